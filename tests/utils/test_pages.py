"""A page and its pictures appear whole, or not at all."""

import json
import os
from pathlib import Path

import pytest
from jinja2 import UndefinedError

from prompttune.evaluation.report import staged
from prompttune.utils import locking
from prompttune.utils.errors import InputError
from prompttune.utils.pages import PACKAGE, render, table


def write_earlier(folder: Path) -> None:
    (folder / "pictures").mkdir(parents=True)
    (folder / "pictures" / "old.png").write_text("old")
    (folder / "comparison.json").write_text('{"rows": []}')
    (folder / "notes.txt").write_text("mine")


def write_new(folder: Path) -> None:
    (folder / "pictures").mkdir()
    (folder / "pictures" / "new.png").write_text("new")
    (folder / "comparison.json").write_text('{"rows": [1]}')


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_a_new_folder_is_made(tmp_path):
    with staged(tmp_path / "a" / "out") as stage:
        write_new(stage)
    assert names(tmp_path / "a" / "out") == {"pictures", "pictures/new.png", "comparison.json"}


def test_an_earlier_comparison_is_replaced_and_other_files_stay(tmp_path):
    write_earlier(tmp_path)
    with staged(tmp_path) as stage:
        write_new(stage)
    assert names(tmp_path) == {"pictures", "pictures/new.png", "comparison.json", "notes.txt"}
    assert json.loads((tmp_path / "comparison.json").read_text()) == {"rows": [1]}


def fail_within(output: Path) -> None:
    with staged(output) as stage:
        write_new(stage)
        raise OSError("No space left on device")


def test_a_failure_leaves_everything_as_it_was(tmp_path):
    write_earlier(tmp_path / "earlier")
    before = names(tmp_path)
    for output in (tmp_path / "earlier", tmp_path / "new"):
        with pytest.raises(OSError, match="No space"):
            fail_within(output)
    assert names(tmp_path) == before
    assert (tmp_path / "earlier" / "comparison.json").read_text() == '{"rows": []}'


def test_what_a_killed_run_left_does_not_stand_in_the_way(tmp_path):
    (tmp_path / ".unfinished").mkdir()
    (tmp_path / ".unfinished" / "rest.png").write_text("half")
    with staged(tmp_path) as stage:
        write_new(stage)
    assert names(tmp_path) == {"pictures", "pictures/new.png", "comparison.json"}


@pytest.mark.parametrize("content", [None, "no json", "[]", '{"task": 1}'])
def test_a_folder_with_something_else_is_refused(tmp_path, content):
    (tmp_path / "thesis.tex").write_text("years of work")
    if content is not None:
        (tmp_path / "comparison.json").write_text(content)
    before = names(tmp_path)
    with pytest.raises(InputError, match="not empty"), staged(tmp_path):
        pass
    with pytest.raises(InputError, match="is a file"), staged(tmp_path / "thesis.tex"):
        pass
    assert names(tmp_path) == before


def test_a_run_that_was_killed_while_it_moved_its_files_is_replaced(tmp_path):
    """Pictures are there, the numbers by which an earlier result is known are not yet."""
    for name in ("pictures", ".unfinished"):
        (tmp_path / name).mkdir()
    (tmp_path / "pictures" / "half.png").write_text("moved already")
    (tmp_path / ".unfinished" / "comparison.json").write_text('{"rows": []}')
    with staged(tmp_path) as stage:
        write_new(stage)
    assert names(tmp_path) == {"pictures", "pictures/new.png", "comparison.json"}


def test_no_page_is_there_while_pictures_are_exchanged(tmp_path, monkeypatch):
    write_earlier(tmp_path)
    seen = []
    real = os.replace

    def replace(old, new):
        seen.append((Path(new).name, (tmp_path / "comparison.json").exists()))
        real(old, new)

    monkeypatch.setattr(os, "replace", replace)
    with staged(tmp_path) as stage:
        write_new(stage)
    assert seen == [("new.png", False), ("comparison.json", False)]


def test_two_at_once_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(locking, "PATIENCE", 0)
    with staged(tmp_path / "out") as stage:
        with pytest.raises(InputError, match="another run"), staged(tmp_path / "out"):
            pass
        write_new(stage)
    assert names(tmp_path / "out") == {"pictures", "pictures/new.png", "comparison.json"}


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
