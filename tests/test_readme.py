"""The README tells the truth: its commands are understood, its Python runs, its files exist."""

import importlib
import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMANDS = sorted(
    {
        line.strip()
        for page in PAGES
        for block in re.findall(r"```(?:sh|bash)\n(.*?)```", page.read_text(), re.S)
        for line in block.replace("\\\n", " ").splitlines()
        if line.strip().startswith("python -m prompttune")
    }
)


def test_the_readme_shows_commands() -> None:
    assert len(COMMANDS) >= 5


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_are_understood(command: str) -> None:
    """Each is parsed by its own parser; that its files exist is not asked."""
    _, _, module, *words = shlex.split(command, comments=True)
    name = f"{module}.__main__" if module.endswith(("zoo", "backbone", "pretraining")) else module
    importlib.import_module(name).parse(words)


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"`?make ([a-z-]+)`?", (ROOT / "README.md").read_text()))
    assert {"retina", "test"} <= targets
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.M), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_pictures_exist(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_the_lines_of_python_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    from PIL import Image

    from prompttune.data.fundus import generate_fundus

    Image.fromarray(generate_fundus(5, size=160).image).save(tmp_path / "eye.png")
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(code, names)
    assert names["result"].classes.shape == (160, 160)
