"""What a pre-training run does: a dataclass, and a strict reader of it from YAML."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import yaml

from prompttune.backbone.config import SegGPTConfig
from prompttune.pretraining.dataset import Mix
from prompttune.pretraining.optimizers import OptimiserConfig
from prompttune.pretraining.sources.pool import SetConfig
from prompttune.utils.bounds import BOUNDS, check
from prompttune.utils.errors import InputError, suggest


@dataclass(frozen=True)
class PretrainRecipe:
    """Everything that decides what a pre-training run does."""

    backbone: SegGPTConfig = field(default_factory=SegGPTConfig)
    """The network's sizes."""
    mix: Mix = field(default_factory=Mix)
    """What the samples are."""
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    """How it is trained."""
    sets: list[SetConfig] = field(default_factory=list)
    """The folders of the pool."""
    init: str | Path | None = None
    """Weights to start from: a name, or a path in any layout that `prompttune.backbone.load` reads
    (any canvas: position tables are resized); None: random."""
    max_steps: int = 10_000
    """Optimiser steps."""
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
        for one in dataclasses.fields(self):
            if one.name in BOUNDS and one.name != "prompts":
                check(one.name, getattr(self, one.name))
        if not self.prompts or not all(0 < count < self.views for count in self.prompts):
            raise InputError(f"prompts must lie in 1..{self.views - 1} (views - 1)")


def read_recipe(path: Path, **overrides: Any) -> PretrainRecipe:
    """Read a recipe's YAML; `overrides` replace its values.

    Raises:
        InputError: No such file, or values that make no recipe.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such recipe")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        if not isinstance(values, dict):
            raise InputError("not a mapping of fields to values")
        return _build(PretrainRecipe, {**values, **overrides}, "")
    except (InputError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"recipe {path}: {error}") from error


def _build(kind: type, values: Any, where: str) -> Any:
    """Make a dataclass of a mapping; `where` is the dotted name of the field that it is for."""
    if not isinstance(values, Mapping):
        raise InputError(f"{where} must be a mapping of fields to values, not {values!r}")
    kinds = get_type_hints(kind)
    inside = f"{where}." if where else ""
    for name in values:
        if name not in kinds:
            raise InputError(f"unknown field '{inside}{name}'.{suggest(str(name), kinds)}")
    given = {name: _convert(kinds[name], value, inside + name) for name, value in values.items()}
    for each in dataclasses.fields(kind):
        unset = each.default is each.default_factory is dataclasses.MISSING
        if unset and each.name not in given:
            raise InputError(f"'{inside}{each.name}' is missing")
    return kind(**given)


def _convert(kind: Any, value: Any, where: str) -> Any:
    """Check a value of YAML against a field's type."""
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _build(kind, value, where)
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        if value is None and NoneType in parts:
            return None
        return _convert(next(part for part in parts if part is not NoneType), value, where)
    if origin is Literal:
        if value not in parts:
            raise InputError(f"{where} must be one of {', '.join(map(str, parts))}, not {value!r}")
        return value
    if origin in (list, tuple):
        if not isinstance(value, list | tuple):
            raise InputError(f"{where} must be a list, not {value!r}")
        return origin(_convert(parts[0], one, f"{where}[{i}]") for i, one in enumerate(value))
    return _scalar(kind, value, where)


def _scalar(kind: type, value: Any, where: str) -> Any:
    if kind is float:  # YAML takes 1e-3, without a point, for text
        if isinstance(value, int | float | str) and not isinstance(value, bool):
            try:
                return float(value)
            except ValueError:
                pass
    elif kind is str:
        if isinstance(value, str | Path):
            return str(value)
    elif isinstance(value, kind) and (kind is bool or not isinstance(value, bool)):
        return value
    names = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
    raise InputError(f"{where} must be {names.get(kind, kind.__name__)}, not {value!r}")
