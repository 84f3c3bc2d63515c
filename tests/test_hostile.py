"""The check of pages finds what it is for; without that its silence would say nothing."""

import pytest
from hostile import HOSTILE, Faults

from prompttune.utils.pages import PACKAGE


@pytest.mark.parametrize(
    "page",
    [
        HOSTILE,
        '<script src="a.js"></script>',
        '<img src="https://elsewhere.example/a.png">',
        '<img src="//elsewhere.example/a.png">',
        '<link rel="stylesheet" href="http://elsewhere.example/a.css">',
        '<p onclick="a()">',
        '<a href="javascript:a()">',
        "<style>p { background: url(x) }</style>",
        "<style>@import 'x';</style>",
        '<p style="background: url(x)">',
        "<iframe></iframe>",
    ],
)
def test_it_finds_what_a_page_must_not_hold(page: str) -> None:
    assert Faults(page).found


def test_it_takes_what_a_page_may_hold() -> None:
    page = (
        '<a href="https://a.example">a</a><img src="a%20b.png"><img src="data:image/png;base64,">'
    )
    assert not Faults(f'{page}<p style="color: #aabbcc">https://a.example</p>').found
    assert not Faults('<script src="static/a.js"></script>', scripts=("static/",)).found


def test_no_template_and_no_script_goes_round_the_escapes() -> None:
    rounds = ("|safe", "| safe", "Markup(", "autoescape", "innerHTML", "outerHTML",
              "insertAdjacentHTML", "document.write", "eval(", "new Function")  # fmt: skip
    files = [path for end in ("*.jinja", "*.js", "*.html") for path in PACKAGE.rglob(end)]
    assert len(files) > 10
    for path in files:
        text = path.read_text(encoding="utf-8")
        assert not [each for each in rounds if each in text], path
