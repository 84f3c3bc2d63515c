"""The wheel, installed where no checkout is: its command runs, and what is shipped is inside."""

import subprocess
import sys
import sysconfig
import venv
from importlib.util import find_spec
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from PIL import Image

from prompttune import __version__

ROOT = Path(__file__).parents[1]
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run([*map(str, command)], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(*PIP, "wheel", "--no-deps", "--no-build-isolation", "-w", folder, ROOT, cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def scripts(wheel: Path) -> Path:
    """Install the wheel into an empty environment; return the folder of its commands."""
    home = wheel.parent / "environment"
    venv.create(home, symlinks=True)
    scripts = home / ("Scripts" if sys.platform == "win32" else "bin")
    python = scripts / "python"
    run(*PIP, "--python", python, "install", "--no-deps", "--no-index", wheel, cwd=home)
    # The libraries are lent by the environment of the tests, since torch alone takes minutes. A
    # line in a .pth adds its folder without what installs a checkout there.
    lib = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=home)
    spec = find_spec("torch")
    assert spec is not None
    assert spec.origin is not None
    lent = {sysconfig.get_path("purelib"), str(Path(spec.origin).parents[1])}
    Path(lib.strip(), "lent.pth").write_text("\n".join(lent))
    return scripts


def test_it_holds_what_is_shipped_and_no_more(wheel: Path) -> None:
    names = ZipFile(wheel).namelist()
    for needed in (
        "prompttune/py.typed",
        "prompttune/_shipped/recipes/tasks/retina.yaml",
        "prompttune/_shipped/recipes/pretrain/cpu.yaml",
        "prompttune/_shipped/prompts_zoo/retina/prompt.safetensors",
    ):
        assert needed in names
    assert {name.split("/")[0] for name in names} == {
        "prompttune",
        f"prompttune-{__version__}.dist-info",
    }
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_its_command_runs(scripts: Path, tmp_path: Path) -> None:
    command = scripts / "prompttune"
    assert run(command, "--version", cwd=tmp_path) == f"prompttune {__version__}\n"
    where = run(scripts / "python", "-c", "import prompttune as p; print(p.__file__)", cwd=tmp_path)
    assert Path(where.strip()).is_relative_to(scripts.parent)
    listed = run(command, "zoo", "list", cwd=tmp_path)
    assert "retina" in listed
    assert "shipped" in listed


def test_a_shipped_key_segments_an_image(scripts: Path, tmp_path: Path) -> None:
    Image.fromarray(np.full((80, 90, 3), 120, np.uint8)).save(tmp_path / "eye.png")
    line = "predict --prompt retina eye.png --output out --device cpu"
    run(scripts / "prompttune", *line.split(), cwd=tmp_path)
    with Image.open(tmp_path / "out" / "eye.png") as mask:
        assert (mask.mode, mask.size) == ("P", (90, 80))
