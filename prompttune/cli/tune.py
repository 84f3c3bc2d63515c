"""Tune a prompt for one task, keep it as a key, and show what it gained.

prompttune tune --task retina [--data DIR]
"""

import os
import sys
from argparse import ArgumentTypeError
from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args, get_origin, get_type_hints

from jsonargparse import ArgumentParser, Namespace

from prompttune.cli.commandline import COMPLETING, OneLineErrors, as_now, quote_command, say
from prompttune.data.class_names import BACKGROUND, class_names
from prompttune.tasks.recipe import (
    AUTO,
    FOUND,
    RENAMED,
    SCALED_BY_IMAGES,
    Recipe,
    recipe_values,
    task_names,
)
from prompttune.utils.bounds import check
from prompttune.utils.errors import InputError, warn
from prompttune.utils.paths import DEFAULT_BACKBONE

if TYPE_CHECKING:
    import torch

    from prompttune.tasks.data import TaskData
    from prompttune.tuning.run import Machine
    from prompttune.workflows.finish import Finished

PROG = "prompttune.fit"
HARM = 0.05
"""Dice by which a prompt alone must be better than with its companion, so that it is hardly chance
on a few images."""
TOO_GOOD = 0.99
"""A Dice that is seldom had but with masks that were read wrongly."""


def parse(argv: Sequence[str]) -> tuple[Namespace, Recipe]:
    """Parse a command line: the task's recipe, overridden by what the line names."""
    argv = _as_now(argv)
    parser = _Parser(prog="prompttune tune", description=__doc__)
    add = parser.add_argument
    add("--data", type=Path, help="folder of images and masks; without it images are generated")
    add("--images_dir", type=Path, help="where its images lie, if not in images/")
    add("--masks_dir", type=Path, help="where its masks lie, if not in masks/")
    add("--images", type=int, help="learn from so many of the training images (default: all)")
    add("--backbone", default=DEFAULT_BACKBONE, help="name or weights file")
    add("--prompts_zoo", type=Path, help="folder that gets the key (default: the user's own)")
    add("--name", help="of the key (default: the task, with -generated where there is no --data)")
    add("--output", type=Path, help="folder of the run (default: runs/NAME)")
    add("--device", choices=("auto", "cpu", "cuda"), default="auto")
    add("--devices", type=int, default=1, help="a process on each takes its share of every batch")
    add("--nodes", type=int, default=1, help="machines with so many devices each, started alike")
    add("--precision", choices=("auto", "fp32", "bf16"), default="auto", help="of the tuning steps")
    add("--memory", choices=("fast", "saving"), default="fast", help="saving: less memory, slower")
    add("--score_images", type=int, default=6, help="images of the table at the end, at most")
    add("--tokens", type=int, help="make the key compact: later blocks see so many of its tokens")
    add("--notes", help="for the key's card: terms of the images, who made it, what it is not for")
    add("--logger", choices=("csv", "wandb"), default="csv")
    add("--workers", type=int, default=0, help="processes that cut crops")
    add("--resume", action="store_true", help="go on with the run in --output")
    add("--overwrite", action="store_true", help="start anew where this run or key exists")
    add("--classes", type=str, help="foreground classes, comma-separated, instead of the recipe's")
    add("--scale", type=_Scale(), help="canvas pixels an image pixel; auto: the images choose")
    parser.add_class_arguments(Recipe, skip={"classes", "scale", *FOUND})
    if COMPLETING in os.environ:
        _complete_values(parser)
    task = _task_of(argv)
    values = {"scale": AUTO if task in SCALED_BY_IMAGES else Recipe.scale}
    values |= recipe_values(task) if task else {}
    classes = values.pop("classes", Recipe.classes)
    parser.set_defaults(values)
    args = parser.parse_args(argv)
    args.auto_scale = args.scale == AUTO
    if args.auto_scale:
        args.scale = Recipe.scale  # until the images are known
    args.classes = _classes(args.classes, args.colors) or classes
    for name in ("score_images", "images", "workers", "devices", "tokens"):
        if args[name] is not None:
            check(name, args[name], f"--{name}")
    given = {one.name: args[one.name] for one in fields(Recipe) if one.name not in FOUND}
    return args, Recipe(**given)


def _complete_values(parser: ArgumentParser) -> None:
    """Let a shell complete tasks, and values that are one of a few; jsonargparse offers none."""
    kinds = get_type_hints(Recipe)
    for action in parser._actions:
        kind = kinds.get(action.dest)
        words = get_args(kind) if get_origin(kind) is Literal else ()
        words = task_names() if action.dest == "task" else words
        if words:
            action.completer = partial(_words, words)  # type: ignore[attr-defined]


def _words(words: Sequence[object], **_: object) -> list[str]:
    return [str(each) for each in words]


class _Scale:
    """The type of --scale; its repr is shown by --help."""

    def __call__(self, text: str | float) -> str | float:
        if text == AUTO:
            return AUTO
        try:
            return float(text)
        except ValueError:
            raise ArgumentTypeError(f"{text}: give a number, or auto") from None

    def __repr__(self) -> str:
        return "number or auto"


def _classes(text: str | None, colors: str | None) -> tuple[str, ...]:
    """Return the classes that a command line names, with --classes or with --colors alone."""
    if text:
        return class_names(text.split(","))
    if colors is None:
        return ()
    from prompttune.data.masks import color_pairs

    names = dict.fromkeys(name for name, _ in color_pairs(colors))
    return tuple(name for name in names if name.lower() not in (*BACKGROUND, "ignore", "void"))


def _as_now(argv: Sequence[str]) -> list[str]:
    """Return a line with options and values by their names of today."""
    return as_now(argv, {f"--{old}": f"--{new}" for old, new in RENAMED.items()})


class _Parser(OneLineErrors, ArgumentParser):
    """A parser whose errors are `InputError`."""


def _task_of(argv: Sequence[str]) -> str | None:
    """Find the task before all else, since its recipe gives the other defaults."""
    for position, word in enumerate(argv):
        if word == "--task" and position + 1 < len(argv):
            return argv[position + 1]
        if word.startswith("--task="):
            return word.removeprefix("--task=")
    if "--help" in argv or "-h" in argv:
        return None
    raise InputError(f"--task is needed, one of: {', '.join(task_names())}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; raises `InputError` for bad input."""
    argv = sys.argv[1:] if argv is None else argv
    args, recipe = parse(argv)
    name = args.name or (recipe.task if args.data else f"{recipe.task}-generated")
    output = args.output or Path("runs") / name

    from prompttune.inference.segmenter import Segmenter
    from prompttune.keys.files import save_folder
    from prompttune.keys.key import check_savable
    from prompttune.tasks.data import task_data
    from prompttune.tuning.run import begun_scale, discard
    from prompttune.utils.devices import check_devices, global_rank, take_own_device
    from prompttune.utils.paths import check_folder
    from prompttune.workflows.companion import tune_with_companion
    from prompttune.workflows.finish import check_tokens, finish
    from prompttune.workflows.scale import with_auto_scale

    check_folder(output, "--output")
    zoo = save_folder(args.prompts_zoo)
    overwrite = args.overwrite or args.resume
    check_savable(name, zoo, overwrite)
    take_own_device()
    segmenter = Segmenter(args.backbone, device=args.device)
    check_devices(args.devices, segmenter.device.type, recipe.batch, recipe.val_crops, args.nodes)
    if args.tokens is not None:
        check_tokens(args.tokens, recipe, segmenter)
    data = task_data(recipe, args.data, args.images, args.images_dir, args.masks_dir)
    recipe = data.recipe or recipe
    machine = _machine(args, segmenter.device)
    first = global_rank(args.devices) == 0
    if first:
        _announce(recipe, data)
        if args.overwrite and not args.resume:
            discard(output)
    if args.auto_scale:
        begun = begun_scale(output, args.resume or not first)
        recipe = with_auto_scale(recipe, data, segmenter, machine, begun)
        if first:
            say(PROG, f"scale {recipe.scale:g}, chosen by the images")
    tuned = tune_with_companion(recipe, segmenter, data, output, machine, args.resume)
    if not first:
        return 0  # the first process has the same prompt, and goes on alone
    finished = finish(
        tuned, recipe, segmenter, data, name, zoo, output, quote_command(PROG, argv),
        overwrite, args.score_images, args.tokens, args.notes,
    )  # fmt: skip
    _print_result(finished, name, data, recipe)
    return 0


def _machine(args: Namespace, device: "torch.device") -> "Machine":
    from prompttune.tuning.run import Machine
    from prompttune.utils.devices import choose_bf16

    bf16 = choose_bf16(args.precision, device, on_cpu=True)
    parts = args.memory, args.logger, args.workers
    return Machine(device.type, bf16, *parts, devices=args.devices, nodes=args.nodes)


def _announce(recipe: Recipe, data: "TaskData") -> None:
    """Say what the user must know of the key before the time is spent."""
    tell_survey(PROG, data)
    if data.generated:
        text = f"No --data: tuning on {data.name}, not on real ones. Give --data for a useful key."
        print(text, flush=True)
    if recipe.init in ("example", "best-example", "mean", "mosaic") and not data.generated:
        text = f"init '{recipe.init}': the key will contain training images. Do not share it "
        print(text + "unless you may share that image.", flush=True)


def tell_survey(prog: str, data: "TaskData") -> None:
    """Say on stderr what was understood of a folder, and warn of what looks wrong."""
    if data.survey is None:
        return
    say(prog, f"{data.name}: {data.survey.line} ({data.layout})")
    for line in (*data.survey.notes, *data.survey.warnings):
        warn(line)


def _print_result(finished: "Finished", name: str, data: "TaskData", recipe: Recipe) -> None:
    from rich.console import Console
    from rich.table import Table

    from prompttune.evaluation.fitting import TITLES, row_score

    comparison = finished.comparison
    table = Table()
    more = [TITLES[recipe.score]] if recipe.score in TITLES else []
    for head in ("prompt", "Dice", "IoU", *more):
        table.add_column(head, justify="left" if head == "prompt" else "right")
    labels = {
        "one-shot": "one example (mean)",
        "tuned": "tuned key",
        "tuned-prompt": "its prompt alone",
        "tuned-all-tokens": "all tokens",
    }
    for row in comparison.rows:
        values = [row.mean.dice, row.mean.iou]
        values += [row_score(row, comparison.samples, recipe.score)] if more else []
        table.add_row(labels[row.mode], *(f"{value:.3f}" for value in values))
    console = Console()
    console.print(f"{data.name}, {len(comparison.samples)} images of the {comparison.split} part:")
    console.print(table)
    for doubt in doubts({row.mode: row.mean.dice for row in comparison.rows}):
        console.print(f"Warning: {doubt}")
    console.print(f"Key:      {name} ({finished.key})", soft_wrap=True, highlight=False)
    console.print(f"Pictures: {finished.report / 'index.html'}", soft_wrap=True, highlight=False)


def doubts(dice: Mapping[str, float]) -> list[str]:
    """Return what makes one doubt a key, by the scores of it and of what it is compared with.

    Args:
        dice: by the rows of the short table.
    """
    tuned, found = dice["tuned"], []
    if not tuned > dice["one-shot"]:
        found.append("tuning gained nothing. Try another --lr or --scale, or more steps.")
    if tuned < dice.get("tuned-prompt", 0.0) - HARM:
        found.append(
            "the companion does harm here: the prompt alone is better. Give more images, images "
            "that show more of each class, or --companion 0."
        )
    if tuned > TOO_GOOD:
        found.append(
            "a Dice this near to 1 is rare. Look at the pictures, or at the masks with "
            "prompttune inspect: do they show what is meant?"
        )
    return found
