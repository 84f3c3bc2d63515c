"""Pre-training runs where nothing is installed but what its own imports need."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
NEEDED = {
    "torch", "lightning", "torchmetrics", "numpy", "opencv", "safetensors", "pyyaml", "fsspec",
}  # fmt: skip
"""Lightning itself brings torchmetrics and fsspec."""
MODULES = {"pillow": "PIL", "scikit": "skimage", "huggingface_hub": "huggingface_hub"}

BARE = """
import importlib.metadata, importlib.util, sys

blocked = set({blocked!r})

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in blocked:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

found = importlib.metadata.distribution
def distribution(name):
    if name.lower().replace("-", "_") in blocked:
        raise importlib.metadata.PackageNotFoundError(name)
    return found(name)

importlib.metadata.distribution = distribution
find_spec = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: (
    None if name.partition(".")[0] in blocked else find_spec(name, *rest)
)
sys.meta_path.insert(0, Absent())
from prompttune.cli.commandline import run
from prompttune.cli.pretrain import main
run(main, "lean")
"""

RECIPE = """
backbone: {canvas: 16, patch: 8, dim: 16, depth: 1, heads: 2, merge_index: 0, out_indices: [0],
           decoder_dim: 4, pretrain_canvas: 16}
max_steps: 2
batch: 2
workers: 0
"""


def other_packages() -> set[str]:
    """Return the modules of all dependencies that pre-training does without."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    names = {re.split(r"[^a-z0-9_]", line.lower())[0] for lines in groups for line in lines}
    return {MODULES.get(name, name) for name in names - NEEDED} | {"scipy", "pydantic_core"}


def test_runs_without_the_other_dependencies(tmp_path: Path) -> None:
    blocked = other_packages()
    assert {"jsonargparse", "rich", "pydantic", "PIL", "albumentations", "tifffile"} <= blocked
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    command = [
        sys.executable, "-c", BARE.format(blocked=sorted(blocked)), "--device", "cpu",
        "--recipe", str(tmp_path / "recipe.yaml"), "--output", str(tmp_path / "run"),
    ]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Pre-training 2/2 steps, loss" in done.stderr
    assert (tmp_path / "run" / "backbone.safetensors").is_file()
