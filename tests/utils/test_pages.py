"""Templates escape what they are given, and miss nothing silently."""

import pytest
from jinja2 import UndefinedError

from prompttune.utils.pages import PACKAGE, render, table


def test_paths_are_quoted_and_text_is_escaped() -> None:
    values = {"title": "<t>", "lead": "", "notices": ["a & b"], "heads": (), "rows": []}
    content = {"backbone": "b", "data": "d", "split": "test", "scoring": '"s"'}
    picture = {"path": 'a "b".png', "caption": "<c>"}
    page = render(
        "evaluation/comparison.html.jinja",
        **values, content=content, pictures=[picture], key={}, chart=None,
    )  # fmt: skip
    assert page.startswith("<!doctype html>")
    assert "<title>&lt;t&gt;</title>" in page
    assert "a &amp; b" in page
    assert 'src="a%20%22b%22.png"' in page
    assert 'alt="&lt;c&gt;"' in page


def test_what_is_missing_is_an_error() -> None:
    with pytest.raises(UndefinedError):
        render("evaluation/comparison.html.jinja")


def test_all_templates_lie_in_the_package() -> None:
    found = {path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.jinja")}
    assert found >= {"evaluation/comparison.html.jinja", "zoo/gallery.html.jinja"}


def test_cells_stand_in_their_columns() -> None:
    assert table(["a", "b"], [["1", "x|y"]], "r") == "| a | b |\n| ---: | --- |\n| 1 | x\\|y |"
