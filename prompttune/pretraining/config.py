"""What a pre-training run does: a dataclass, and its recipes."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from prompttune.backbone.config import STORED, SegGPTConfig
from prompttune.pretraining.dataset import Mix
from prompttune.pretraining.optimizers import OptimizerConfig
from prompttune.pretraining.sources.pool import SetConfig
from prompttune.utils.bounds import BOUNDS, check
from prompttune.utils.errors import InputError, warn
from prompttune.utils.recipe_reader import build, read_mapping
from prompttune.utils.renamed import names_of_today, takes_old_names


@takes_old_names(optimiser="optimizer")
@dataclass(frozen=True)
class PretrainRecipe:
    """Everything that decides what a pre-training run does."""

    backbone: SegGPTConfig = field(default_factory=SegGPTConfig)
    """The network's sizes."""
    mix: Mix = field(default_factory=Mix)
    """What the samples are."""
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    """How it is trained."""
    sets: list[SetConfig] = field(default_factory=list)
    """The folders of the pool."""
    init: str | Path | None = None
    """Weights to start from: a name, or a path in any layout that `prompttune.backbone.load` reads
    (any canvas: position tables are resized); None: random."""
    max_steps: int = 10_000
    """Optimizer steps."""
    batch: int = 32
    """Samples a step, over all devices."""
    seed: int = 0
    """Of the weights and of all samples."""
    ema: float = 0.999
    """Decay of the averaged weights, which are the result."""
    save_every: int = 100
    """Steps between checkpoints."""
    workers: int = 1
    """Processes that make samples, for each device."""
    precision: Literal["bf16-mixed", "32-true"] = "bf16-mixed"
    """As Lightning names it."""
    generate: Literal["loader", "device"] = "loader"
    """Who makes generated samples: the loader one by one, by chance; or the device that trains, as
    a fixed share of every batch. For a one-way network the device then makes real ones as well."""
    views: int = 4
    """Images of a task that a device makes for a one-way network: its prompts and its queries."""
    prompts: tuple[int, ...] = (1,)
    """How many of these are prompts, step by step in turn."""
    scenes: int = 1024
    """Generated scenes that are made ahead for such tasks, `views` images each, and used again and
    again under other light, colors and turns."""
    accumulate: int = 1
    """Parts of a device's batch that pass the network one after the other: more, less memory."""
    memory: Literal["fast", "saving"] = "fast"
    """`saving` keeps one tensor a block for the backward pass and computes the rest twice."""

    def __post_init__(self) -> None:
        for one in fields(self):
            if one.name in BOUNDS and one.name != "prompts":
                check(one.name, getattr(self, one.name))
        if not self.prompts or not all(0 < count < self.views for count in self.prompts):
            raise InputError(f"prompts must lie in 1..{self.views - 1} (views - 1)")


def read_recipe(path: Path, **overrides: Any) -> PretrainRecipe:
    """Read a recipe's YAML.

    Args:
        path: of the file.
        **overrides: fields of `PretrainRecipe`; they replace the file's.

    Raises:
        InputError: No such file, or values that make no recipe.
    """
    path = _as_now(path)
    values = read_mapping(path)
    try:
        for old, now in _renamed_in(values).items():
            warn(f"{path}: {old} is called {now} now; the next version forgets {old}")
        return build(PretrainRecipe, {**as_named_now(values), **overrides})
    except InputError as error:
        raise InputError(f"recipe {path}: {error}") from error


_RENAMED = {"optimiser": "optimizer"}
_RENAMED_IN = {
    "mix": {"unlabelled": "unlabeled", "colours": "colors"},
    "backbone": {stored: name for name, stored in STORED.items()},
}


def as_named_now(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a recipe's fields by their names of today, perhaps given by those of version 0.1.

    Raises:
        InputError: one field by both of its names.
    """
    now = names_of_today(values, _RENAMED)
    for part, names in _RENAMED_IN.items():
        if isinstance(now.get(part), Mapping):
            now[part] = names_of_today(now[part], names)
    return now


def _renamed_in(values: Mapping[str, Any]) -> dict[str, str]:
    """Return what a recipe calls by names of version 0.1, with the names of today."""
    renamed = {old: now for old, now in _RENAMED.items() if old in values}
    for part, names in _RENAMED_IN.items():
        if isinstance(values.get(part), Mapping):
            there = {old: now for old, now in names.items() if old in values[part]}
            renamed |= {f"{part}.{old}": f"{part}.{now}" for old, now in there.items()}
    return renamed


def _as_now(path: Path) -> Path:
    """Return where a recipe lies that version 0.1 kept as `pretrain-NAME.yaml`; or the path."""
    now = path.parent / "pretrain" / path.name.removeprefix("pretrain-")
    if path.is_file() or now.name == path.name or not now.is_file():
        return path
    warn(f"{path} is called {now} now; the next version forgets the old name")
    return now
