"""The images of a task: read from a folder, or generated where none is given."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, overload

from prompttune.data.chosen_pages import ChosenPages
from prompttune.data.folders import Finding, unwrapped
from prompttune.data.layouts import (
    LoadedSample,
    Sample,
    find_split,
    load_sample,
)
from prompttune.data.mask_forms import MaskOptions
from prompttune.data.reading import ImageOptions
from prompttune.data.samples import hash_data
from prompttune.data.survey import Survey, survey
from prompttune.synthetic.fundus import generate_fundus
from prompttune.synthetic.tasks import (
    generate_contours,
    generate_instances,
    generate_stuff,
    generate_text,
)
from prompttune.tasks.legend import read_legend
from prompttune.tasks.recipe import Recipe
from prompttune.utils.errors import InputError
from prompttune.utils.kept import Kept
from prompttune.utils.paths import real
from prompttune.volumes.opening import files_of_volume

GENERATORS: dict[str, Callable[[int], LoadedSample]] = {
    "fundus": generate_fundus,
    "contours": generate_contours,
    "text": generate_text,
    "stuff": generate_stuff,
    "instances": generate_instances,
}
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
    recipe: Recipe | None = None
    """That of the task with what the folder told; None: as it was."""
    survey: Survey | None = None
    """What was understood of a folder."""

    @property
    def holds_out(self) -> bool:
        """Whether no image of `val` is learned from; of one image or two there is none to spare."""
        return set(_names(self.train)).isdisjoint(_names(self.val))

    def sha256(self) -> str:
        """Return the hash of what tuning may see, `train` and `val` (docs/key-format.md)."""
        entries: dict[str, Path | bytes] = {}
        for part in (self.train, self.val):
            entries |= part.files() if isinstance(part, SampleFolder) else _arrays(part)
        return hash_data(entries)


KEPT_BYTES = 256 * 2**20
"""Of decoded samples, for each process: small sets are decoded once, large ones need no memory."""


def _size(sample: LoadedSample) -> int:
    arrays = (sample.image, sample.class_map, sample.field_of_view)
    return sum(array.nbytes for array in arrays if array is not None)


class SampleFolder(Sequence[LoadedSample]):
    """Samples that are read when they are asked for: a split need not fit into memory.

    Those that were asked for last are kept (see `KEPT_BYTES`), so that what tuning, scoring and
    calibration ask for one after the other is decoded once.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        recipe: Recipe,
        folder: Path,
        masks: MaskOptions | None = None,
        images: ImageOptions | None = None,
    ) -> None:
        self.samples = samples
        self.recipe = recipe
        self.folder = folder
        self.masks = masks or recipe.mask_options()
        self.images = images or recipe.image_options()
        self._kept: Kept[LoadedSample] = Kept(KEPT_BYTES, _size)

    def files(self) -> dict[str, Path]:
        """Return all files, by their path relative to the data's folder."""
        paths = [
            path
            for sample in self.samples
            for path in (
                sample.image,
                sample.mask,
                sample.field_of_view,
                *(layer for layer, _ in sample.layers or ()),
            )
            if path is not None
            for path in files_of_volume(path)
        ]
        return {Path(os.path.relpath(path, self.folder)).as_posix(): path for path in paths}

    def __len__(self) -> int:
        return len(self.samples)

    @overload
    def __getitem__(self, index: int) -> LoadedSample: ...
    @overload
    def __getitem__(self, index: slice) -> "SampleFolder": ...
    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            part = self.samples[index]
            folder = SampleFolder(part, self.recipe, self.folder, self.masks, self.images)
            folder._kept = self._kept
            return folder
        sample, classes = self.samples[index], len(self.recipe.classes)
        return self._kept.get(
            sample, lambda: load_sample(sample, classes, None, self.masks, self.images)
        )


def task_data(
    recipe: Recipe,
    folder: Path | None,
    images: int | None = None,
    images_dir: Path | None = None,
    masks_dir: Path | None = None,
) -> TaskData:
    """Find a task's images; the split depends on the recipe's seed, not on who asks.

    Args:
        recipe: of the task.
        folder: of the images; None: they are generated.
        images: how many may be learned from, validation included; None: all that are not for test.
        images_dir: where the images lie, if it is not in one of the known layouts.
        masks_dir: where the masks lie.

    Raises:
        InputError: As `find_split`, no folder for a task without a generator, or fewer images
            than asked for.
    """
    if folder is None:
        if images is not None:
            raise InputError("--images goes with --data; generated images are always as many")
        return _generated(recipe)
    called, folder = folder, unwrapped(folder)
    recipe = read_legend(recipe, folder)
    finding = Finding(
        images_dir, masks_dir, recipe.mask_pattern, recipe.group_by, recipe.crowds,
        ChosenPages.of(recipe.pages),
    )  # fmt: skip
    masks = recipe.mask_options()
    split = find_split(
        folder, recipe.seed, recipe.val_fraction, images, recipe.classes, finding, masks, look=True
    )
    recipe = replace(recipe, classes=split.classes or recipe.classes)
    learned = (*split.train, *split.val)
    found = survey(
        list(dict.fromkeys((*learned, *split.test))), learned, recipe.classes,
        masks, recipe.image_options(), split.notes,
    )  # fmt: skip
    recipe = replace(
        recipe,
        stretch=found.images.stretch,
        image_size=found.image_size,
        category_ids={n: i for n, i in split.category_ids.items() if n in recipe.classes} or None,
    )
    root = folder.parent if folder.is_file() else folder
    train, val, test = (
        SampleFolder(part, recipe, root, found.masks, found.images)
        for part in (split.train, split.val, split.test)
    )
    val._kept = test._kept = train._kept  # parts of small sets share images
    name = real(called).name
    return TaskData(train, val, test, name, split.layout, False, recipe, found)


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


def _names(part: Sequence[LoadedSample]) -> list[str]:
    """Return the names of samples; those of a folder are known without decoding any."""
    return [each.name for each in (part.samples if isinstance(part, SampleFolder) else part)]


def _arrays(samples: Sequence[LoadedSample]) -> dict[str, bytes]:
    """Return the raw bytes of generated samples, by `<sample>/<array>`."""
    return {
        f"{sample.name}/{name}": getattr(sample, name).tobytes()
        for sample in samples
        for name in ("image", "class_map", "field_of_view")
        if getattr(sample, name) is not None
    }
