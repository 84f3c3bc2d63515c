"""Steps in the page of `prompttune studio`, as a user takes them in a browser."""

import shutil
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the extra serve is not installed")
api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
if CHROMIUM is None:
    pytest.skip("there is no Chromium here", allow_module_level=True)

LONG = 60_000
Page = Any


def open_page(page: Page, url: str) -> None:
    page.goto(url)
    page.wait_for_selector("body[data-ready=yes]", timeout=LONG)


def load(page: Page, name: str, data: bytes) -> None:
    files = [{"name": name, "mimeType": "image/png", "buffer": data}]
    page.set_input_files("#files", files)


def at(page: Page, x: float, y: float) -> tuple[float, float]:
    """Return where a place of the image, in shares of its size, is in the window."""
    box = page.locator("#paint").bounding_box()
    return box["x"] + box["width"] * x, box["y"] + box["height"] * y


def drag(page: Page, *places: tuple[float, float]) -> None:
    page.mouse.move(*at(page, *places[0]))
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*at(page, *place), steps=4)
    page.mouse.up()


def paint(page: Page) -> None:
    drag(page, (0.3, 0.3), (0.6, 0.5))
    api.expect(page.locator("#images")).to_contain_text("(painted)")


def says(page: Page, words: str, wait: int = LONG) -> None:
    """Wait until a line of the page has some words."""
    api.expect(page.locator(".said", has_text=words)).to_have_count(1, timeout=wait)


def colored(page: Page, canvas: str) -> int:
    """Count the pixels of a canvas that are not transparent."""
    script = """id => { const c = document.getElementById(id);
        const d = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
        let n = 0; for (let i = 3; i < d.length; i += 4) n += d[i] > 0; return n; }"""
    return int(page.evaluate(script, canvas))
