"""The images of a task: read from a folder, or generated where none is given."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

from prompttune.data.fundus import generate_fundus
from prompttune.data.hashing import hash_data
from prompttune.data.layouts import (
    LoadedSample,
    Sample,
    find_split,
    load_sample,
)
from prompttune.errors import InputError
from prompttune.recipes import Recipe

GENERATORS: dict[str, Callable[[int], LoadedSample]] = {"fundus": generate_fundus}
GENERATED_TRAIN, GENERATED_VAL, GENERATED_TEST = 12, 4, 6
FIRST_TEST_SEED = 1_000_000
"""Generated test images come from seeds that no training image has."""


@dataclass(frozen=True)
class TaskData:
    """The three parts of a task's images; `val` chooses, `test` is only ever scored."""

    train: Sequence[LoadedSample]
    val: Sequence[LoadedSample]
    test: Sequence[LoadedSample]
    name: str
    """The folder's own name, or what was generated."""
    layout: str
    """How the folder was read."""
    generated: bool

    def sha256(self) -> str:
        """Return the hash of what tuning may see, `train` and `val` (docs/key-format.md)."""
        entries: dict[str, Path | bytes] = {}
        for part in (self.train, self.val):
            entries |= part.files() if isinstance(part, SampleFolder) else _arrays(part)
        return hash_data(entries)


class SampleFolder(Sequence[LoadedSample]):
    """Samples that are read when they are asked for: a split need not fit into memory."""

    def __init__(self, samples: Sequence[Sample], recipe: Recipe, folder: Path) -> None:
        self.samples = samples
        self.recipe = recipe
        self.folder = folder

    def files(self) -> dict[str, Path]:
        """Return all files, by their path relative to the data's folder."""
        paths = [
            path
            for sample in self.samples
            for path in (sample.image, sample.mask, sample.field_of_view)
            if path is not None
        ]
        return {path.relative_to(self.folder).as_posix(): path for path in paths}

    def __len__(self) -> int:
        return len(self.samples)

    @overload
    def __getitem__(self, index: int) -> LoadedSample: ...
    @overload
    def __getitem__(self, index: slice) -> "SampleFolder": ...
    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return SampleFolder(self.samples[index], self.recipe, self.folder)
        return load_sample(self.samples[index], len(self.recipe.classes), self.recipe.mask_values)


def task_data(recipe: Recipe, folder: Path | None, images: int | None = None) -> TaskData:
    """Find a task's images; the split depends on the recipe's seed, not on who asks.

    Args:
        recipe: of the task.
        folder: of the images; None: they are generated.
        images: how many may be learned from, validation included; None: all that are not for test.

    Raises:
        InputError: As `find_split`, no folder for a task without a generator, or fewer images
            than asked for.
    """
    if folder is None:
        if images is not None:
            raise InputError("--images goes with --data; generated images are always as many")
        return _generated(recipe)
    split = find_split(folder, recipe.seed, recipe.val_fraction, images, recipe.classes)
    train, val, test = (
        SampleFolder(part, recipe, folder) for part in (split.train, split.val, split.test)
    )
    return TaskData(train, val, test, folder.resolve().name, split.layout, generated=False)


def _generated(recipe: Recipe) -> TaskData:
    if recipe.generator is None:
        raise InputError(f"task '{recipe.task}' has no generated images; give --data DIR")
    generate = GENERATORS[recipe.generator]
    train = range(recipe.seed, recipe.seed + GENERATED_TRAIN)
    val = range(train.stop, train.stop + GENERATED_VAL)
    test = range(FIRST_TEST_SEED, FIRST_TEST_SEED + GENERATED_TEST)
    images = [[generate(seed) for seed in seeds] for seeds in (train, val, test)]
    name = f"generated {recipe.generator} images"
    return TaskData(images[0], images[1], images[2], name, "generated", generated=True)


def _arrays(samples: Sequence[LoadedSample]) -> dict[str, bytes]:
    """Return the raw bytes of generated samples, by `<sample>/<array>`."""
    return {
        f"{sample.name}/{name}": getattr(sample, name).tobytes()
        for sample in samples
        for name in ("image", "class_map", "field_of_view")
        if getattr(sample, name) is not None
    }
