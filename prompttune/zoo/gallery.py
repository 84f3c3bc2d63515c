"""A page of keys: what each has learned, what it gained, and what it predicts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from prompttune.data.layouts import LoadedSample
from prompttune.evaluation.metrics import counted_pixels, pixel_dice
from prompttune.evaluation.page import FALSE, HIT, MISSED, color_answer, format_score, save_picture
from prompttune.inference.segmenter import Segmenter
from prompttune.keys.card import Card
from prompttune.prompts.composition import Composition
from prompttune.prompts.loading import load_key
from prompttune.prompts.prompt import Prompt
from prompttune.tasks.data import FIRST_TEST_SEED, GENERATORS, task_data
from prompttune.tasks.recipe import READING, Recipe
from prompttune.utils.contact_sheet import write_png
from prompttune.utils.errors import InputError
from prompttune.utils.normalize import to_uint8
from prompttune.utils.pages import PAGE, PICTURES, staged
from prompttune.zoo.gallery_page import (
    MARK,
    Learned,
    Prediction,
    ShownKey,
    css,
    render_gallery,
)

_NEEDED = ("seed", "val_fraction", "mask_values", "scale", "overlap", *READING)
"""What a card's recipe must say to find and read the images that the key was not tuned on."""


def write_gallery(
    output: Path, keys: Sequence[Path], images: int = 3, data: Path | None = None
) -> list[str]:
    """Write `index.html` and its pictures; return what is wrong with keys that cannot be read.

    Args:
        output: a new or empty folder, or an earlier gallery, which is replaced. It stays as it was
            if the work fails.
        keys: their folders.
        images: sample predictions a key, on generated images where its task has some. With 0 no
            backbone is loaded.
        data: the folder of a task's images, to predict some of its test part.

    Raises:
        InputError: `output` holds something else, or `data` cannot be read.
    """
    backbones: dict[str, Segmenter] = {}
    shown, problems = [], []
    with staged(output, "gallery", _is_gallery) as stage:
        (stage / PICTURES).mkdir()
        for key in keys:
            try:
                prompt, card = load_key(key)
            except InputError as error:
                problems.append(str(error))
                continue
            shown.append(_shown(stage, key.name, prompt, card, images, data, backbones))
        (stage / PAGE).write_text(render_gallery(shown, problems), encoding="utf-8")
    return problems


def _shown(
    stage: Path,
    name: str,
    prompt: Prompt | Composition,
    card: Card,
    images: int,
    data: Path | None,
    backbones: dict[str, Segmenter],
) -> ShownKey:
    samples, about = _samples(card, images, data)
    predictions: list[Prediction] = []
    try:
        segmenter = _segmenter(card, prompt, backbones) if samples else None
    except InputError as error:
        segmenter, about = None, f"None, since its backbone is not at hand: {error}"
    if segmenter is not None:
        overlap = float(str(card.recipe.get("overlap", Recipe.overlap)))
        for number, sample in enumerate(samples, 1):
            path = f"{PICTURES}/{name}_prediction{number}.png"
            caption = _predict(stage / path, sample, segmenter, prompt, overlap)
            predictions.append(Prediction(path, caption))
    learned = _save_learned(stage, name, prompt)
    return ShownKey(name, card, learned, predictions, about, _colors(prompt))


def _is_gallery(folder: Path) -> bool:
    page = folder / PAGE
    return page.is_file() and MARK.encode() in page.read_bytes()


def _samples(card: Card, count: int, data: Path | None) -> tuple[Sequence[LoadedSample], str]:
    """Return images to predict, and in words what they are."""
    if count == 0:
        return (), "None were asked for."
    recipe = _recipe_of(card)
    if data is not None:
        found = task_data(recipe, data)
        part, name = (found.test, "test") if found.test else (found.val, "validation")
        about = f"On images of the {name} part of {found.name}. They are on this page: share it "
        return part[:count], f"{about}only as they may be shared."
    if recipe.generator is None:
        return (), "None: its task has no generated images (see --key and --data)."
    generate = GENERATORS[recipe.generator]
    seeds = range(FIRST_TEST_SEED, FIRST_TEST_SEED + count)
    about = f"On generated {recipe.generator} images"
    trained = "which it was tuned on the like of" if card.data.generated else "not real ones"
    return [generate(seed) for seed in seeds], f"{about}, {trained}."


def _recipe_of(card: Card) -> Recipe:
    """Return the recipe as far as images are concerned: a card may be of another version."""
    known: dict[str, Any] = {name: card.recipe[name] for name in _NEEDED if name in card.recipe}
    if known.get("mask_values"):
        known["mask_values"] = {int(value): to for value, to in known["mask_values"].items()}
    if card.recipe.get("generator") in GENERATORS:
        known["generator"] = card.recipe["generator"]
    classes = tuple(entry.name for entry in card.classes)
    try:
        return Recipe(task=card.task, classes=classes, **known)
    except (AttributeError, TypeError, ValueError) as error:
        raise InputError(f"key {card.name}: the recipe in its card is unusable ({error})") from None


def _segmenter(card: Card, prompt: Prompt | Composition, loaded: dict[str, Segmenter]) -> Segmenter:
    name = card.backbone.name
    if name not in loaded:
        loaded[name] = Segmenter(name)
    loaded[name].check(prompt)
    return loaded[name]


def _save_learned(stage: Path, name: str, prompt: Prompt | Composition) -> list[Learned]:
    learned: list[Learned] = []
    for part in prompt.parts:
        for pair in zip(part.images, part.colors, strict=True):
            ends = [f"{kind}{len(learned) + 1}.png" for kind in ("image", "colours")]
            image, colors = (f"{PICTURES}/{name}_{end}" for end in ends)
            for path, plane in zip((image, colors), pair, strict=True):
                write_png(stage / path, to_uint8(plane))
            learned.append(Learned(image, colors, part.palette))
    return learned


def _predict(
    path: Path,
    sample: LoadedSample,
    segmenter: Segmenter,
    prompt: Prompt | Composition,
    overlap: float,
) -> str:
    """Save a picture of an image, its truth and the answer; return its caption."""
    result = segmenter.predict(sample.image, prompt, overlap)
    truth, view = sample.class_map, sample.field_of_view
    counted = counted_pixels(truth, view)
    dice = pixel_dice(result.classes[counted], truth[counted])
    caption = f"{sample.name}: Dice {format_score(dice)}"
    answers = {"truth": truth, f"key: Dice {format_score(dice)}": result.classes}
    panels = [(sample.name, sample.image)]
    for label, answer in answers.items():
        panels.append((label, color_answer(answer, truth, view, prompt.palette)))
    save_picture(path, panels)
    return caption


def _colors(prompt: Prompt | Composition) -> dict[str, str]:
    if len(prompt.palette.classes) == 1:
        return {css(HIT): "hit", css(MISSED): "missed", css(FALSE): "false"}
    named = zip(prompt.palette.colors, prompt.palette.classes, strict=True)
    return {css(color): name for color, name in named}
