"""The page in a real browser: from painting to downloads; large and broken files; tabs; reloads."""

import io
import zipfile

import numpy as np
from browsing import LONG, api, colored, load, open_page, paint, says
from PIL import Image
from serving import photo, png


def test_from_painting_to_masks_and_a_key(page, studio) -> None:  # type: ignore[no-untyped-def]
    load(page, "one.png", png(photo(60, 80, 1)))
    says(page, "Paint a class")
    load(page, "two.png", png(photo(50, 70, 2)))
    paint(page)
    says(page, "answered")
    before = colored(page, "paint")
    assert before > 0
    page.fill("#steps", "6")
    page.click("#tune")
    says(page, "Tuning is done")
    api.expect(page.locator("#curve polyline")).to_have_count(1)
    page.select_option("#leftkind", "ensemble")
    api.expect(page.locator("#slider")).to_be_visible(timeout=LONG)
    page.fill("#name", "../evil<script>")
    page.click("#save")
    says(page, "cannot be the name of a key")
    page.fill("#name", "../evil")  # would lie beside the zoo
    page.click("#save")
    says(page, "cannot be the name of a key")
    assert not (studio.zoo.parent / "evil").exists()
    page.fill("#name", "mine")
    page.click("#save")
    says(page, "The key mine is saved")
    assert (studio.zoo / "mine" / "prompt.safetensors").is_file()
    api.expect(page.locator("#zoo")).to_contain_text("mine: foreground")
    page.click("#images li:nth-child(2) button")
    says(page, "answered")
    with page.expect_download() as waiting:
        page.click("#download")
    with zipfile.ZipFile(waiting.value.path()) as archive:
        names = archive.namelist()
        assert names == ["masks/one.png", "overlays/one.png", "masks/two.png", "overlays/two.png"]
        masks = [np.array(Image.open(io.BytesIO(archive.read(n)))) for n in names[::2]]
    assert [mask.shape for mask in masks] == [(60, 80), (50, 70)]
    assert (masks[0] == 1).sum() == before
    page.click("#correct")
    says(page, "answered")


def test_a_reload_keeps_the_paint_and_another_tab_has_its_own(page, studio) -> None:  # type: ignore[no-untyped-def]
    load(page, "one.png", png(photo(60, 80, 1)))
    says(page, "Paint a class")
    paint(page)
    painted = colored(page, "paint")
    other = page.context.new_page()
    open_page(other, studio.url)
    assert other.locator("#images li").count() == 0
    load(other, "other.png", png(photo(30, 30, 5)))
    says(other, "Paint a class")
    page.reload()
    page.wait_for_selector("body[data-ready=yes]", timeout=LONG)
    api.expect(page.locator("#images")).to_contain_text("one.png (painted)")
    assert page.locator("#images li").count() == 1
    assert colored(page, "paint") == painted


def test_twelve_megapixels_and_a_broken_file(page) -> None:  # type: ignore[no-untyped-def]
    flat = np.full((3000, 4000, 3), 90, np.uint8)
    load(page, "large.png", png(flat))
    says(page, "Paint a class")
    paint(page)
    assert colored(page, "paint") > 0
    api.expect(page.locator("#halt")).to_be_visible()
    page.keyboard.press("Escape")
    says(page, "Answering is stopped")
    api.expect(page.locator("#halt")).to_be_hidden()
    page.keyboard.press("a")
    load(page, "broken.png", b"this is no image")
    says(page, "large.png is answered", 3 * LONG)  # an answer hides no problem
    says(page, "broken.png: image: is not an image")
    assert page.locator("#images li").count() == 1


def test_tuning_is_stopped_and_goes_on(page) -> None:  # type: ignore[no-untyped-def]
    load(page, "one.png", png(photo(60, 80, 1)))
    says(page, "Paint a class")
    paint(page)
    page.fill("#steps", "3000")
    page.click("#tune")
    says(page, "Tuning: step")
    page.click("#stop")
    says(page, "Tuning is stopped")
    api.expect(page.locator("#goon")).to_be_enabled()
    page.click("#goon")
    says(page, "Tuning: step")
    page.click("#stop")
    says(page, "Tuning is stopped")
