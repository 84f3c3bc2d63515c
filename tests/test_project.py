"""What a stranger sees agrees with itself: versions, workflows, templates, extras, completeness."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from prompttune import __version__

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
YAML = sorted(
    [*(ROOT / ".github").rglob("*.yml"), ROOT / ".pre-commit-config.yaml", ROOT / "CITATION.cff"]
)


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def test_versions_agree() -> None:
    assert PROJECT["version"] == __version__
    assert str(read(ROOT / "CITATION.cff")["version"]) == __version__
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.parametrize("path", YAML, ids=lambda path: path.name)
def test_yaml_is_yaml(path: Path) -> None:
    assert isinstance(read(path), dict)


def test_workflows_run_what_the_project_has() -> None:
    jobs = read(ROOT / ".github" / "workflows" / "ci.yml")["jobs"]
    assert set(jobs) == {
        "lint", "types", "tests", "lowest", "browser", "docs", "wheel", "locked", "audit",
    }  # fmt: skip
    text = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    makefile = (ROOT / "Makefile").read_text()
    assert all(re.search(rf"^{name}:", makefile, re.M) for name in re.findall(r"make (\w+)", text))
    extras = set(re.findall(r"\.\[([a-z,]+)\]", text + makefile))
    named = {name for group in extras for name in group.split(",")}
    assert named <= set(PROJECT["optional-dependencies"])
    tested = {
        f"Programming Language :: Python :: {v}"
        for v in jobs["tests"]["strategy"]["matrix"]["python"]
    }
    assert tested <= set(PROJECT["classifiers"])


def test_every_page_of_the_docs_is_in_the_menu() -> None:
    menu = (ROOT / "mkdocs.yml").read_text()
    for page in (ROOT / "docs").glob("*.md"):
        assert f": {page.name}\n" in menu


def test_the_docs_build_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs", reason="`make docs` checks this; the extra docs is not here")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert 'id="prompttune.tune"' in (tmp_path / "api" / "index.html").read_text()


def test_every_requirement_has_an_exact_version() -> None:
    def names(lines: list[str]) -> set[str]:
        found = (re.match(r"[A-Za-z0-9._-]+", line) for line in lines)
        return {match[0].lower().replace("_", "-") for match in found if match}

    pinned = names((ROOT / "constraints.txt").read_text().splitlines())
    extras = PROJECT["optional-dependencies"].values()
    asked = [line for lines in (PROJECT["dependencies"], *extras) for line in lines]
    assert names(asked) <= pinned


def test_the_front_page_is_short() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    words = [word for word in text.split() if re.search(r"\w", word)]  # without bars and dashes
    assert len(words) <= 1000
