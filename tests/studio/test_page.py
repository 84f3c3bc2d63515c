"""The page in a real browser: from painting to downloads; large and broken files; tabs; reloads."""

import io
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("fastapi", reason="the extra serve is not installed")
api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
if CHROMIUM is None:
    pytest.skip("there is no Chromium here", allow_module_level=True)

from serving import make_network, photo, png  # noqa: E402

from prompttune.backbone.weights import save_weights  # noqa: E402

LONG = 60_000


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Run the page on a small random backbone; give its URL and the user's own zoo."""
    folder = tmp_path_factory.mktemp("studio")
    save_weights(make_network(), folder / "small.safetensors")
    command = [sys.executable, "-m", "prompttune.studio", "--port", "0"]
    command += ["--backbone", str(folder / "small.safetensors")]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PROMPTTUNE_HOME": str(folder / "home")}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    yield process.stdout.readline().split()[-1], folder / "home" / "prompts_zoo"
    process.terminate()
    process.wait(20)
    process.stdout.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    with api.sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield made
        made.close()


@pytest.fixture
def page(browser, studio):  # type: ignore[no-untyped-def]
    """Open the page in a context of its own; every request must go to the server itself."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, accept_downloads=True)
    made = context.new_page()
    foreign: list[str] = []
    context.on(
        "request",
        lambda request: (
            None
            if request.url.startswith((studio[0], "data:", "blob:"))
            else foreign.append(request.url)
        ),
    )
    open_page(made, studio[0])
    yield made
    context.close()
    assert foreign == []


def open_page(page, url: str) -> None:  # type: ignore[no-untyped-def]
    page.goto(url)
    page.wait_for_selector("body[data-ready=yes]", timeout=LONG)


def load(page, name: str, data: bytes) -> None:  # type: ignore[no-untyped-def]
    files = [{"name": name, "mimeType": "image/png", "buffer": data}]
    page.set_input_files("#files", files)


def paint(page) -> None:  # type: ignore[no-untyped-def]
    box = page.locator("#paint").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + box["height"] * 0.3)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + box["height"] * 0.5, steps=4)
    page.mouse.up()
    api.expect(page.locator("#images")).to_contain_text("(painted)")


def says(page, words: str) -> None:  # type: ignore[no-untyped-def]
    api.expect(page.locator(".said", has_text=words)).to_have_count(1, timeout=LONG)


def colored(page, canvas: str) -> int:  # type: ignore[no-untyped-def]
    script = """id => { const c = document.getElementById(id);
        const d = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
        let n = 0; for (let i = 3; i < d.length; i += 4) n += d[i] > 0; return n; }"""
    return int(page.evaluate(script, canvas))


def test_from_painting_to_masks_and_a_key(page, studio) -> None:  # type: ignore[no-untyped-def]
    load(page, "one.png", png(photo(60, 80, 1)))
    says(page, "Paint a class")
    load(page, "two.png", png(photo(50, 70, 2)))
    paint(page)
    says(page, "is answered")
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
    page.fill("#name", "mine")
    page.click("#save")
    says(page, "The key mine is saved")
    assert (studio[1] / "mine" / "prompt.safetensors").is_file()
    api.expect(page.locator("#zoo")).to_contain_text("mine: foreground")
    page.click("#images li:nth-child(2) button")
    says(page, "two.png is answered")
    with page.expect_download() as waiting:
        page.click("#download")
    with zipfile.ZipFile(waiting.value.path()) as archive:
        names = archive.namelist()
        assert names == ["masks/one.png", "overlays/one.png", "masks/two.png", "overlays/two.png"]
        masks = [np.array(Image.open(io.BytesIO(archive.read(n)))) for n in names[::2]]
    assert [mask.shape for mask in masks] == [(60, 80), (50, 70)]
    assert (masks[0] == 1).sum() == before
    page.click("#correct")
    says(page, "is answered")


def test_a_reload_keeps_the_paint_and_another_tab_has_its_own(page, studio) -> None:  # type: ignore[no-untyped-def]
    load(page, "one.png", png(photo(60, 80, 1)))
    says(page, "Paint a class")
    paint(page)
    painted = colored(page, "paint")
    other = page.context.new_page()
    open_page(other, studio[0])
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
    load(page, "broken.png", b"this is no image")
    says(page, "large.png is answered")  # an answer does not hide the problem, whichever is first
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
