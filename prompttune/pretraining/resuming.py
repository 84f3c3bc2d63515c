"""What makes two runs the same: only then one may go on where the other was stopped."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from prompttune.pretraining.config import PretrainRecipe
from prompttune.pretraining.state import read_values
from prompttune.utils.resuming import check_same_run

FREE = ("save_every", "workers", "memory", "accumulate")
"""Fields that change how a run is computed, not what it computes."""


def describe_run(recipe: PretrainRecipe, data: Path | None) -> dict[str, Any]:
    """Return what must be equal for a run to be resumed, as JSON has it."""
    values = {name: value for name, value in asdict(recipe).items() if name not in FREE}
    return json.loads(json.dumps({**values, "data": _files(recipe, data)}, default=str))


def _files(recipe: PretrainRecipe, data: Path | None) -> str | None:
    """Return a hash of the names and sizes of the pool's files; None without data."""
    if data is None:
        return None
    found = (path for one in recipe.sets for path in (data / one.name).rglob("*"))
    lines = sorted(
        f"{path.relative_to(data).as_posix()} {path.stat().st_size}"
        for path in found
        if path.is_file()
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def resumed_step(state: Path, run: dict[str, Any]) -> int:
    """Return the number of steps that a kept state has behind it.

    Raises:
        InputError: It is another run's, or cannot be read.
    """
    kept = read_values(state)
    check_same_run(state.parent.parent, kept["run"], run)
    return kept["global_step"]
