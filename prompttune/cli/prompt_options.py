"""From the options of `predict` to the prompt that answers: keys, examples, pools."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from prompttune.cli.commandline import say
from prompttune.cli.file_options import (
    cards_of,
    image_options,
    mask_options,
    named_by_colors,
)
from prompttune.data.class_names import class_names
from prompttune.utils.errors import InputError

if TYPE_CHECKING:
    from prompttune.inference.segmenter import Segmenter
    from prompttune.inference.selection import NearestExamples
    from prompttune.prompts.composition import Composition
    from prompttune.prompts.prompt import Prompt
    from prompttune.utils.bounds import AnyScale

PROG = "prompttune.predict"
MAX_PAGES = 8
"""Of a stack that is an example."""


def _say_scale(scale: float | None) -> None:
    seen = "images whole" if scale is None else f"scale {scale:g}"
    print(f"{seen} (chosen from the examples; --scale sets it)", file=sys.stderr)


def make_prompt(
    options: argparse.Namespace, segmenter: "Segmenter"
) -> "Prompt | Composition | NearestExamples":
    """Make of the options what answers, and check that it fits the backbone."""
    return _at_threshold(_made(options, segmenter), options.threshold)


def _made(
    options: argparse.Namespace, segmenter: "Segmenter"
) -> "Prompt | Composition | NearestExamples":
    from prompttune.prompts.composition import Composition
    from prompttune.prompts.prompt import Prompt

    keys = []
    if options.prompt:
        from prompttune.zoo.store import load_prompt

        keys = [load_prompt(name, options.prompts_zoo) for name in options.prompt]
    if options.resize is not None:
        keys = [key.resized(options.resize) for key in keys]
    for key in keys:
        segmenter.check(key)
    if options.example or options.pool:
        plain = [key for key in keys if isinstance(key, Prompt)]
        if len(plain) < len(keys):
            raise InputError("--prompt: a key that shares its classes among groups stands alone")
        return _with_examples(options, segmenter, plain)
    return keys[0] if len(keys) == 1 else Composition(part for key in keys for part in key.parts)


def _at_threshold(
    prompt: "Prompt | Composition | NearestExamples", threshold: float | None
) -> "Prompt | Composition | NearestExamples":
    """Return a prompt that decides at another threshold; None: as it is."""
    from prompttune.inference.selection import NearestExamples
    from prompttune.prompts.composition import Composition

    if threshold is None:
        return prompt
    if isinstance(prompt, NearestExamples):
        return prompt.at_threshold(threshold)
    if isinstance(prompt, Composition):
        return Composition(replace(part, threshold=threshold) for part in prompt.parts)
    return replace(prompt, threshold=threshold)


def _with_examples(
    options: argparse.Namespace, segmenter: "Segmenter", keys: list["Prompt"]
) -> "Prompt | NearestExamples":
    from prompttune.inference.scale import MAX_EXAMPLES
    from prompttune.inference.selection import NearestExamples, Pool
    from prompttune.prompts.palette import Palette
    from prompttune.prompts.prompt import Prompt

    canvas = segmenter.canvas(keys[0] if keys else None)
    scale: AnyScale = "auto" if options.scale is None else options.scale
    scale = keys[0].scale if keys else scale
    classes = list(keys[0].palette.classes) if keys else _names(options)

    def at_scale(prompt: Prompt) -> Prompt:
        if prompt.scale != "auto" or options.video:  # a video's first frame may tell
            return prompt
        prompt = segmenter.scaled(prompt)
        _say_scale(prompt.known_scale)
        return prompt

    if options.instance_masks:
        name = classes[0] if classes else "object"
        return at_scale(Prompt.from_instances(example_files(options, None), name, scale, canvas))
    made = Prompt.spatial if options.ensemble == "spatial" else Prompt.from_examples

    def make(examples: Sequence[tuple]) -> Prompt:
        return Prompt.join([*keys, made(examples, classes, scale, canvas)])

    if options.example:
        return at_scale(make(example_files(options, classes)))
    classes = classes or ["foreground"]
    examples = _pool_files(options, classes)
    if not 1 <= options.shots <= len(examples):
        raise InputError(
            f"--shots {options.shots}: {options.pool} has {len(examples)} images that show a class"
        )
    pool = Pool(segmenter, examples)
    if options.select == "nearest":
        palette = keys[0].palette if keys else Palette.of(classes)
        if scale == "auto":  # once for all images
            some = pool.diverse(min(len(examples), MAX_EXAMPLES))
            scale = at_scale(Prompt.from_examples(some, classes)).scale
        return NearestExamples(pool, options.shots, palette, make)
    if options.select == "diverse":
        return at_scale(make(pool.diverse(options.shots)))
    return at_scale(make(pool.random(options.shots, options.seed)))


def example_files(options: argparse.Namespace, classes: list[str] | None) -> list[tuple]:
    """Return the examples' files with what says how they are read; note how masks were."""
    from prompttune.data.inputs import ImageFile, MaskFile
    from prompttune.prompts.examples import read_class_maps

    _fix_window(options)
    images = image_options(options, cards_of(options.prompt, options.prompts_zoo))
    masks = mask_options(options, classes)
    files = [
        (ImageFile(image, images, page), MaskFile(mask, masks, page))
        for image, mask in options.example
        for page in _example_pages(image, mask)
    ]
    if not options.instance_masks:
        *_, said = read_class_maps([mask for _, mask in files], classes)
        options.masks_read = f"; masks {said}"
    return files


def _fix_window(options: argparse.Namespace) -> None:
    """Show examples and images of volumes by one range, that of the first example."""
    from prompttune.volumes.opening import volume_of, window_of

    if options.stretch is not None or options.prompt:
        return
    for image, _ in options.example:
        volume = volume_of(image)
        if volume is not None and (found := window_of(volume)):
            (low, high), what = found
            options.stretch = f"{low:g},{high:g}"
            text = f"examples and images are shown from {low:g} to {high:g} ({what} of {image}; "
            say(PROG, f"{text}--stretch sets it)")
            return


def _example_pages(image: Path, mask: Path) -> list[int]:
    """Return the pages of an example that show something: of stacks, a few; else the only one."""
    from prompttune.data.decoding import page_count
    from prompttune.data.mask_forms import read_stored

    pages = page_count(image), page_count(mask)
    if pages[0] != pages[1]:
        raise InputError(
            f"{image} has {pages[0]} page{'s' * (pages[0] > 1)}, but {mask} has {pages[1]}; an "
            "example's image and mask must have equally many"
        )
    if pages[0] == 1:
        return [0]
    telling = [page for page in range(pages[0]) if read_stored(mask, page=page).values.any()]
    return telling[:: -(-len(telling) // MAX_PAGES)] if telling else [0]


def _pool_files(options: argparse.Namespace, classes: list[str]) -> list[tuple]:
    """Return the pool's files that show a class, their masks understood as a set."""
    from prompttune.data.inputs import ImageFile, MaskFile
    from prompttune.data.mask_facts import look_at
    from prompttune.data.mask_forms import read_stored
    from prompttune.data.mask_survey import describe_masks, settle
    from prompttune.inference.selection import find_pool, showing

    images = image_options(options, cards_of(options.prompt, options.prompts_zoo))
    masks = mask_options(options, classes)
    pairs = find_pool(options.pool)
    facts = [look_at(read_stored(mask, masks), mask) for _, mask in pairs]
    masks = settle(facts, len(classes), masks)
    options.masks_read = f"; masks {describe_masks(facts, classes, masks)}"
    return showing([(ImageFile(i, images), MaskFile(m, masks)) for i, m in pairs], classes)


def _names(options: argparse.Namespace) -> list[str] | None:
    if options.classes is not None:
        return list(class_names(options.classes.split(",")))
    return None if options.colors is None else list(named_by_colors(options.colors))
