"""`prompttune predict --ray`: the same command for millions of images, on a Ray cluster."""

import argparse
import re
import sys
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prompttune.cli.file_options import cards_of, image_options
from prompttune.utils.errors import InputError

if TYPE_CHECKING:
    from prompttune.inference.segmenter import Segmenter

MAX_WORKERS = 1024


def predict_on_cluster(
    options: argparse.Namespace, make_prompt: Callable[[argparse.Namespace, "Segmenter"], Any]
) -> int:
    """Run the command; return 0, or 1 where some images, or 2 where all could not be done.

    Args:
        options: of the command line.
        make_prompt: makes of them what answers.
    """
    workers = _workers(options.workers)
    try:
        from prompttune.batch.job import PART_SIZE, find_inputs, read_list
        from prompttune.batch.ray_run import BAD, ray_predict
    except ImportError as error:
        raise InputError(f"--ray needs {error.name}: pip install 'prompttune[batch]'") from None
    from prompttune.inference.segmenter import Segmenter

    prompt = make_prompt(options, Segmenter(options.backbone, "cpu"))
    listed = read_list(options.list) if options.list else ()
    cards = cards_of(options.prompt, options.prompts_zoo)
    done = ray_predict(
        chain(find_inputs(_absolute(each) for each in options.images), listed),
        prompt,
        str(options.output),
        address=options.ray,
        workers=workers,
        backbone=options.backbone,
        device="cuda" if options.device == "cuda" else "cpu",
        precision=options.precision,
        overlap=options.overlap,
        flips=options.flips,
        zooms=options.zooms,
        files=options.files,
        part_size=options.part or PART_SIZE,
        options=image_options(options, cards),
    )
    before = f" ({done.before} were done before)" if done.before else ""
    print(f"{done.images - done.bad} of {done.images} images segmented in {options.output}{before}")
    if done.bad:
        print(f"{done.bad} could not be read: see {options.output}/{BAD}", file=sys.stderr)
    return 0 if not done.bad else 1 if done.bad < done.images else 2


def _absolute(each: Path | str) -> str:
    return each if isinstance(each, str) else str(each.absolute())


def _workers(text: str | None) -> tuple[int, int]:
    if text is None:
        return 1, MAX_WORKERS
    match = re.fullmatch(r"(\d+)(?:-(\d+))?", text)
    if not match:
        raise InputError(f"--workers {text}: give a number, or the fewest and the most as N-M")
    return int(match[1]), int(match[2] or match[1])
