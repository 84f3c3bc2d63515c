"""Tuning from Python: images and masks in, a prompt that is ready to use out."""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from prompttune.backbone import SegGPT
from prompttune.data.inputs import ImageLike, MaskLike
from prompttune.data.layouts import LoadedSample
from prompttune.inference.segmenter import Segmenter
from prompttune.prompts.composition import Composition
from prompttune.prompts.examples import load_pairs
from prompttune.prompts.palette import Palette
from prompttune.prompts.prompt import Prompt
from prompttune.tasks.data import TaskData, task_data
from prompttune.tasks.recipe import (
    AUTO,
    FOUND,
    READING,
    SCALED_BY_IMAGES,
    Recipe,
    current,
    recipe_values,
)
from prompttune.utils.devices import choose_bf16
from prompttune.utils.errors import InputError, suggest, warn
from prompttune.utils.paths import DEFAULT_BACKBONE
from prompttune.utils.recipe_reader import convert_fields

with warnings.catch_warnings():
    # In a notebook without ipywidgets: of a bar of Lightning's that is never shown.
    warnings.filterwarnings("ignore", "IProgress not found")
    from prompttune.tuning import run
    from prompttune.workflows import finish
    from prompttune.workflows.companion import tune_with_companion
    from prompttune.workflows.scale import with_auto_scale

Pairs = Iterable[tuple[ImageLike, MaskLike]]
Stack = Sequence[ImageLike] | np.ndarray | Tensor
"""Several images or masks: a list, or an array or tensor whose first axis counts them."""


def tune(
    data: str | PathLike[str] | Pairs | Stack | None = None,
    masks: Stack | None = None,
    *,
    classes: Sequence[str] | None = None,
    task: str = "custom",
    name: str | None = None,
    backbone: str | Path | SegGPT | Segmenter = DEFAULT_BACKBONE,
    device: str = "auto",
    precision: str = "auto",
    tokens: int | None = None,
    output: str | PathLike[str] | None = None,
    resume: bool = False,
    progress: bool = True,
    **values: Any,
) -> Prompt | Composition:
    """Learn a prompt from labeled images; nothing is written unless `output` is given.

    Args:
        data: a folder (the layouts of `prompttune tune --data`); or pairs of an image and its
            mask, each of any kind that `Segmenter.predict` takes; or images alone, whose masks
            follow; or None: images are generated, for a task that has a generator.
        masks: of the images, as many: `H x W` class indices each (0 background, 255 ignored), or
            mask files. For pairs and folders leave it out.
        classes: names of the foreground classes. None: the task's; for pairs of a custom task a
            two-valued mask is one class "foreground", any other has classes "1", "2", ...
        task: a recipe, `custom` for anything that has none of its own.
        name: of the prompt (default: the task's).
        backbone: its name or weights file, a loaded network, or a segmenter to tune for.
        device: "auto", "cpu" or "cuda"; a segmenter stays where it is.
        precision: of the tuning steps: "auto", "fp32" or "bf16".
        tokens: makes the prompt compact: the later blocks see so many of its tokens; None: all.
        output: folder to keep the run in (checkpoint, log, pictures of the progress).
        resume: go on with the run in `output`.
        progress: show how far it is, on stderr.
        **values: any value of `prompttune.tasks.recipe.Recipe` in place of the task's own, such as
            `scale=0.5` or `max_steps=400`. `scale="auto"` has the images choose, as
            they do for a custom task of which no scale is given.

    Returns:
        The prompt, with its threshold chosen on the images that were held out for validation. A
        task with more classes than `group` gives a composition of several. `save` keeps either as
        a key.

    Raises:
        InputError: unknown task, class, backbone or value; images or masks that cannot be used.
    """
    by_images = values.get("scale", AUTO if task in SCALED_BY_IMAGES else None) == AUTO
    if by_images:
        values.pop("scale", None)
    recipe, found = _prepare(data, masks, classes, task, values)
    if not isinstance(backbone, Segmenter):
        backbone = Segmenter(backbone, device)
    if tokens is not None:
        finish.check_tokens(tokens, recipe, backbone)
    bf16 = choose_bf16(precision, backbone.device, on_cpu=True)
    machine = run.Machine(backbone.device.type, bf16, progress=progress)
    with _run_folder(output) as folder:
        if by_images:
            begun = run.begun_scale(folder, resume)
            recipe = with_auto_scale(recipe, found, backbone, machine, begun)
        tuned = tune_with_companion(recipe, backbone, found, folder, machine, resume)
    return finish.ready(
        tuned, recipe, backbone, found, name or task, progress=progress, tokens=tokens
    )


def _prepare(
    data: Any, masks: Any, classes: Sequence[str] | None, task: str, values: dict[str, Any]
) -> tuple[Recipe, TaskData]:
    """Return the task's recipe with the given values, and its images."""
    values = current(values)
    known = {each.name for each in fields(Recipe)} - {"task", "classes", *FOUND}
    for field in values:
        if field not in known:
            raise InputError(f"tune: a recipe has no value '{field}'.{suggest(field, known)}")
    settings = recipe_values(task) | _typed(values)
    if classes is not None:
        settings["classes"] = Palette.of(classes).classes
    if data is None or isinstance(data, str | PathLike):
        if masks is not None:
            raise InputError("tune: masks go with images; a folder has masks of its own")
        recipe = Recipe(**settings)
        found = task_data(recipe, None if data is None else Path(data))
        if found.survey is not None:
            for line in (*found.survey.notes, *found.survey.warnings):
                warn(line)
        return found.recipe or recipe, found
    usual = {each.name: each.default for each in fields(Recipe)}
    for field in ("mask_values", *READING):
        if settings.get(field, usual[field]) != usual[field]:
            raise InputError(
                f"tune: {field} goes with a folder; give RGB images and masks of class indices"
            )
    named = None if classes is None and task == "custom" else settings["classes"]
    settings["classes"], pairs = load_pairs(_pairs(data, masks), named)
    recipe = Recipe(**settings)
    samples = [LoadedSample(f"{n:04}", *pair) for n, pair in enumerate(pairs)]
    return recipe, _split(samples, recipe)


def _typed(values: dict[str, Any]) -> dict[str, Any]:
    try:
        return convert_fields(Recipe, values)
    except InputError as error:
        raise InputError(f"tune: {error}") from None


def _pairs(data: Any, masks: Any) -> list[tuple[ImageLike, MaskLike]]:
    """Pair images with masks; a single image with its mask is a list of one."""
    if masks is None:
        if isinstance(data, np.ndarray | Tensor | Image.Image | bytes):
            raise InputError("tune: images without masks; give tune(images, masks)")
        return _listed(data)
    if isinstance(masks, str | PathLike | bytes | Image.Image) or getattr(masks, "ndim", 3) == 2:
        return [(data, masks)]
    images, masks = _listed(data), _listed(masks)
    if len(images) != len(masks):
        raise InputError(f"tune: {len(images)} images and {len(masks)} masks; give as many of each")
    return list(zip(images, masks, strict=True))


def _listed(items: Any) -> list[Any]:
    try:
        return list(items)
    except TypeError:
        kind = type(items).__name__
        raise InputError(
            f"tune: {kind} given; give a folder, pairs of image and mask, or images and masks"
        ) from None


def _split(samples: Sequence[LoadedSample], recipe: Recipe) -> TaskData:
    """Hold out some samples for validation, none of fewer than three, as folders are split."""
    count = max(1, round(recipe.val_fraction * len(samples))) if len(samples) > 2 else 0
    held = set(np.random.default_rng(recipe.seed).permutation(len(samples))[:count].tolist())
    val = [sample for index, sample in enumerate(samples) if index in held]
    train = [sample for index, sample in enumerate(samples) if index not in held]
    return TaskData(train, val or train, [], "images given in Python", "pairs", generated=False)


@contextmanager
def _run_folder(output: str | PathLike[str] | None) -> Iterator[Path]:
    if output is not None:
        yield Path(output)
        return
    with TemporaryDirectory(prefix="prompttune-") as folder:
        yield Path(folder) / "run"
