"""The README tells the truth: its commands are understood, its Python runs, its files exist."""

import argparse
import importlib
import re
import runpy
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

from prompttune.cli import main as cli

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
LINES = sorted(
    {
        line.strip()
        for page in PAGES
        for block in re.findall(r"```(?:sh|bash)\n(.*?)```", page.read_text(), re.S)
        for line in block.replace("\\\n", " ").splitlines()
    }
)
COMMANDS = [line for line in LINES if line.startswith(("prompttune ", "python -m prompttune."))]
BENCHMARKS = [line for line in LINES if "python -m benchmarks." in line]


def test_the_pages_show_commands() -> None:
    assert len(COMMANDS) >= 20
    assert len(BENCHMARKS) >= 3


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_are_understood(command: str) -> None:
    """Each is parsed by its own parser; that its files exist is not asked."""
    first, *words = shlex.split(command, comments=True)
    if first == "prompttune":
        name, *words = words
        if name == "--version":
            return
        module = cli.COMMANDS[cli.ALIASES.get(name, name)][0]
    else:
        _, module, *words = words
        if module.endswith(("zoo", "backbone", "pretraining")):
            module += ".__main__"
    door = importlib.import_module(module)  # such as `prompttune.fit`, of `prompttune.cli.tune`
    sys.modules[door.main.__module__].parse(words)


class Understood(Exception):
    """Raised where a benchmark would begin its work."""


@pytest.mark.parametrize("command", BENCHMARKS)
def test_benchmarks_are_understood(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _, _, rest = command.partition("python -m ")
    module, *words = shlex.split(rest, comments=True)
    parse = argparse.ArgumentParser.parse_args

    def only_parse(self: argparse.ArgumentParser, *given: Any) -> None:
        parse(self, *given)
        raise Understood

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", only_parse)
    monkeypatch.setattr(sys, "argv", [module, *words])
    monkeypatch.syspath_prepend(ROOT)
    monkeypatch.delitem(sys.modules, module, raising=False)  # of another test: runpy warns
    with pytest.raises(Understood):
        runpy.run_module(module, run_name="__main__")


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    pages = "".join(page.read_text() for page in PAGES)
    targets = set(re.findall(r"(?:^|`)make ([a-z-]+)", pages, re.M))
    assert {"retina", "test", "docs"} <= targets
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.M), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_pictures_exist(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_the_lines_of_python_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)[0]
    from PIL import Image

    from prompttune.synthetic.fundus import generate_fundus

    Image.fromarray(generate_fundus(5, size=160).image).save(tmp_path / "eye.png")
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(code, names)
    assert names["result"].classes.shape == (160, 160)
    assert (tmp_path / "eye_vessels.png").is_file()
