"""The page's tools: fill, undo, the keyboard, removing; what it says of answers; and to whom."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from browsing import LONG, api, at, colored, drag, load, paint, says
from serving import make_prompt, photo, png, save

AREA = 60 * 80


@pytest.fixture
def one(page):  # type: ignore[no-untyped-def]
    load(page, "one.png", png(photo(60, 80, 1)))
    says(page, "Paint a class")
    page.fill("#size", "4")
    return page


def count(page, pixels: int) -> None:  # type: ignore[no-untyped-def]
    """Wait until so many pixels are painted."""
    for _ in range(50):
        if (found := colored(page, "paint")) == pixels:
            return
        page.wait_for_timeout(100)
    assert found == pixels


def black(page, canvas: str) -> int:  # type: ignore[no-untyped-def]
    script = """id => { const c = document.getElementById(id);
        const d = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
        let n = 0; for (let i = 0; i < d.length; i += 4) n += d[i + 3] && !d[i] && !d[i + 1];
        return n; }"""
    return int(page.evaluate(script, canvas))


def test_an_outline_is_filled_and_undone(one) -> None:  # type: ignore[no-untyped-def]
    corners = [(0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75), (0.25, 0.25)]
    drag(one, *corners)
    outline = colored(one, "paint")
    one.keyboard.press("f")
    one.mouse.click(*at(one, 0.5, 0.5))
    says(one, "pixels are filled")
    filled = colored(one, "paint")
    assert AREA / 4 < filled < AREA / 3  # the box of half the sides, and half a brush around it
    assert filled > 2 * outline
    one.mouse.click(*at(one, 0.05, 0.05))
    says(one, "reached the image's border")
    count(one, AREA)
    one.keyboard.press("Control+z")
    count(one, filled)
    one.keyboard.press("Control+z")
    count(one, outline)
    one.keyboard.press("Control+y")
    count(one, filled)
    one.click("#clear")
    count(one, 0)
    one.click("#undo")
    count(one, filled)


def test_painting_without_a_mouse(one) -> None:  # type: ignore[no-untyped-def]
    one.focus("#stage")
    for key in ("ArrowLeft", "ArrowUp", "Space"):
        one.keyboard.press(key)
    says(one, "Painted foreground at 38 across, 28 down.")
    dab = colored(one, "paint")
    assert dab > 0
    api.expect(one.locator("#images")).to_contain_text("(painted)")
    one.keyboard.press("e")
    one.keyboard.press("Shift+ArrowRight")
    one.keyboard.press("Space")
    says(one, "Painted nothing at 39 across")
    assert 0 < colored(one, "paint") < dab
    one.keyboard.press("?")
    api.expect(one.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    one.keyboard.press("Escape")
    api.expect(one.get_by_role("dialog")).to_have_count(0)


def test_an_image_is_removed_for_good(one) -> None:  # type: ignore[no-untyped-def]
    name = "<img src=x onerror=alert(1)>.png"
    load(one, name, png(photo(50, 70, 2)))
    api.expect(one.locator("#images li")).to_have_count(2, timeout=LONG)
    paint(one)
    asked: list[str] = []

    def answer(dialog) -> None:  # type: ignore[no-untyped-def]
        asked.append(dialog.message)
        dialog.accept()

    one.on("dialog", answer)
    one.get_by_role("button", name=f"Remove {name}").click()
    api.expect(one.locator("#images li")).to_have_count(1)
    assert asked == []
    one.get_by_role("button", name="Remove one.png").click()
    api.expect(one.locator("#images li")).to_have_count(0)
    assert asked == ["Remove one.png and what is painted on it?"]
    api.expect(one.locator("#welcome")).to_be_visible()
    one.reload()
    one.wait_for_selector("body[data-ready=yes]", timeout=LONG)
    assert one.locator("#images li").count() == 0


def test_it_says_how_far_to_rely_on_an_answer(one, keys) -> None:  # type: ignore[no-untyped-def]
    alike, strange = keys
    one.evaluate("dispatchEvent(new Event('focus'))")  # looked at again: new keys are there
    one.get_by_role("button", name=f"{alike}: thing").click()
    says(one, f"Left, key {alike}: expect a Dice of about 0.")
    assert black(one, "left") == 0
    one.keyboard.press("u")
    api.expect(one.locator("#unsure")).to_be_checked()
    for _ in range(50):
        if stripes := black(one, "left"):
            break
        one.wait_for_timeout(100)
    assert stripes > 0
    one.select_option("#rightkind", f"key:{strange}")
    says(one, f"Right, key {strange}: this image is unlike those that the key learned from")
    one.select_option("#rightkind", "none")
    paint(one)
    one.select_option("#leftkind", "ensemble")
    says(one, "this image is painted, so its answer says little")


def test_a_key_that_was_deleted_is_no_answer_any_more(one, studio) -> None:  # type: ignore[no-untyped-def]
    folder = save(make_prompt("passing", fingerprint=studio.fingerprint), studio.zoo)
    one.evaluate("dispatchEvent(new Event('focus'))")
    one.get_by_role("button", name="passing: thing").click()
    says(one, "key passing: how good it is")
    shutil.rmtree(Path(folder))
    one.evaluate("dispatchEvent(new Event('focus'))")
    says(one, "The key passing is not in the zoo any more.")
    api.expect(one.get_by_role("button", name="passing: thing")).to_have_count(0)


def test_a_folder_brings_its_masks(page, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    mask = np.zeros((60, 80), np.uint8)
    mask[10:30, 20:50] = 1
    (tmp_path / "set" / "masks").mkdir(parents=True)
    (tmp_path / "set" / "one.png").write_bytes(png(photo(60, 80, 1)))
    (tmp_path / "set" / "two.png").write_bytes(png(photo(50, 60, 2)))
    (tmp_path / "set" / "masks" / "one.png").write_bytes(png(mask))
    (tmp_path / "set" / "masks" / "two.png").write_bytes(png(mask))
    page.set_input_files("#folder", str(tmp_path / "set"))
    says(page, "two.png is 80 x 60 pixels, and two.png is 60 x 50")
    page.get_by_role("button", name="one.png (painted)").click()
    count(page, 600)


def test_it_can_be_read_out(one, keys) -> None:  # type: ignore[no-untyped-def]
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed"
    )
    paint(one)
    for state in ("page", "help"):
        response = axe.Axe().run(one).response
        assert len(response["passes"]) > 5
        told = [
            f"{state}: {each['id']}: {each['help']}: {node['html'][:120]}"
            for each in response["violations"]
            for node in each["nodes"]
        ]
        assert told == []
        one.keyboard.press("?")
    one.keyboard.press("Escape")


def test_the_keyboard_reaches_everything_in_the_order_of_work(one) -> None:  # type: ignore[no-untyped-def]
    paint(one)
    says(one, "answered")
    one.focus("#keyboard")  # the last of the header
    seen: list[str] = []
    for _ in range(60):
        one.keyboard.press("Tab")
        name = one.evaluate(
            """() => { const e = document.activeElement; if (e === document.body) return "";
            return e.id || e.getAttribute("aria-label") || e.textContent; }"""
        )
        if not name or name in seen:
            break
        seen.append(name)
    wanted = ["files", "folder", "brush", "eraser", "fill", "size", "undo", "maskfile", "stage"]
    wanted += ["leftkind", "rightkind", "unsure", "correct", "steps", "tune", "download"]
    assert [name for name in seen if name in wanted] == wanted
    assert "Remove one.png" in seen
