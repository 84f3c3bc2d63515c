"""The key of a comparison, what it was or is tuned with, and the bench on which it is scored."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prompttune.evaluation.comparison import Bench
from prompttune.inference.segmenter import Segmenter
from prompttune.keys.card import Card
from prompttune.prompts.composition import Composition, changed
from prompttune.prompts.loading import load_key
from prompttune.prompts.prompt import Prompt
from prompttune.tasks import recipe as recipes
from prompttune.tasks.data import TaskData
from prompttune.tasks.recipe import READING, Recipe
from prompttune.tuning.run import Machine, Tuned
from prompttune.utils.devices import choose_bf16
from prompttune.utils.errors import InputError
from prompttune.workflows.companion import tune_with_companion
from prompttune.workflows.scale import unlearned, with_auto_scale

FindData = Callable[[Recipe], TaskData]
"""Finds the images of a recipe."""


@dataclass(frozen=True)
class Contender:
    """The key, and what it was or is tuned with."""

    recipe: Recipe
    data: TaskData
    key: Prompt | Composition
    tuned: Tuned | None = None
    """How it was tuned; None if that was not done here."""
    card: Card | None = None
    path: Path | None = None

    @property
    def seconds(self) -> float | None:
        """What tuning took, here or as the key's card says; None where nobody knows."""
        if self.tuned is not None:
            return self.tuned.seconds
        return self.card.tuning.seconds if self.card and self.card.tuning else None


def from_key(
    path: Path, task: str, segmenter: Segmenter, find: FindData, answers: bool, scale: float | None
) -> Contender:
    """Take a key from its file.

    Args:
        path: of the key.
        task: a recipe, whose classes are the key's.
        segmenter: that asks it.
        find: its images.
        answers: whether the key itself is asked; else it gives others no more than its scale, and
            may be of another backbone.
        scale: of the others, in place of the key's own.

    Returns:
        The contender; nothing is tuned.

    Raises:
        InputError: a key that breaks the format, of other classes, or that answers and is of
            another backbone or has two scales.
    """
    key, card = load_key(path)
    recipe = recipe_of(task, card)
    if answers:
        if scale is not None:
            text = "--scale: the key has a scale of its own; leave 'tuned' out of --rows"
            raise InputError(text)
        load_key(path, segmenter.network.fingerprint, segmenter.network.name)
    if scale is not None:
        key = changed(key, scale=scale)
    return Contender(recipe, find(recipe), key, None, card, path)


def tuned_here(
    task: str, segmenter: Segmenter, find: FindData, answers: bool, folder: Path
) -> Contender:
    """Tune a key, unless none is asked; then what stands for it has the recipe's scale alone.

    Args:
        task: a recipe.
        segmenter: on whose backbone.
        find: its images.
        answers: whether the key itself is asked.
        folder: of the run.

    Returns:
        The contender, without a card.

    Raises:
        InputError: as finding the images and tuning do.
    """
    recipe = recipes.load_recipe(task)
    data = find(recipe)
    recipe = data.recipe or recipe
    if not answers:
        return Contender(recipe, data, changed(unlearned(recipe, data, segmenter), name="none"))
    machine = machine_of(segmenter)
    if task in recipes.SCALED_BY_IMAGES:
        recipe = with_auto_scale(recipe, data, segmenter, machine)
    tuned = tune_with_companion(recipe, segmenter, data, folder, machine)
    return Contender(recipe, data, changed(tuned.prompt, name="tuned here"), tuned)


def machine_of(segmenter: Segmenter) -> Machine:
    """Return the machine that tunes where a segmenter answers."""
    bf16 = choose_bf16("auto", segmenter.device, on_cpu=True)
    return Machine(segmenter.device.type, bf16)


def recipe_of(task: str, card: Card) -> Recipe:
    """Return the task's recipe with the key's own split: no image that tuned it may be scored.

    Raises:
        InputError: unknown task, or classes that are not the key's.
    """
    kept = {"seed", "val_fraction", *READING} & card.recipe.keys()
    given: dict[str, Any] = {name: card.recipe[name] for name in kept}
    theirs = tuple(entry.name for entry in card.classes)
    any_classes = recipes.load_recipe(task).classes == Recipe.classes
    if task == card.task and any_classes:
        given["classes"] = theirs
        values: Any = card.recipe.get("mask_values")
        if values:
            given["mask_values"] = {int(value): index for value, index in values.items()}
    recipe = recipes.load_recipe(task, given)
    if theirs != recipe.classes:
        raise InputError(
            f"key {card.name}: its classes ({', '.join(theirs)}) are not those of task {task} "
            f"({', '.join(recipe.classes)}); give the key's own task, {card.task}"
        )
    return recipe


def bench_of(
    contender: Contender,
    segmenter: Segmenter,
    split: str,
    validation: int,
    most: int | None,
    examples: int,
    overlap: float | None,
    seed: int,
) -> Bench:
    """Return the bench of a comparison, all its images read once.

    A bad file shows now, and not after an hour.

    Args:
        contender: the key, and its images.
        segmenter: that answers.
        split: "test" or "val".
        validation: images that choose thresholds, at most.
        most: images that are scored, at most; None: all.
        examples: how many one-shot examples are drawn.
        overlap: of windows; None: the recipe's.
        seed: chooses the examples.

    Raises:
        InputError: no test images with masks, or one that cannot be read.
    """
    data = contender.data
    test = data.test if split == "test" else data.val
    if not test:
        raise InputError(f"{data.name}: no test images with masks; try --split val")
    bench = Bench(
        segmenter=segmenter,
        key=contender.key,
        canvas=segmenter.canvas(contender.key.parts[0]),
        train=data.train,
        validation=data.val[:validation],
        test=test[:most],
        examples=examples,
        overlap=contender.recipe.overlap if overlap is None else overlap,
        seed=seed,
    )
    for samples in (bench.validation, bench.test):
        for _ in samples:
            pass
    return bench
