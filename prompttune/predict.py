"""Segment images with a key or with examples: `python -m prompttune.predict --help`.

Writes `DIR/<stem>.png`, the class indices with the palette's colours, and `DIR/<stem>_overlay.png`.
"""

import argparse
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from prompttune.commandline import Parser, run
from prompttune.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    from prompttune.palette import Palette
    from prompttune.prompt import Prompt
    from prompttune.segmenter import Segmenter

PROG = "prompttune.predict"
SUFFIXES = {
    ".bmp",
    ".gif",
    ".jpeg",
    ".jpg",
    ".pgm",
    ".png",
    ".pnm",
    ".ppm",
    ".tif",
    ".tiff",
    ".webp",
}
OPACITY = 0.45
WHITE_SHOWN_AS = (0, 229, 255)
"""A single class is white, which vanishes on bright photos: overlays show it in this cyan."""


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line; raises `InputError` for one that cannot be."""
    parser = Parser(prog=f"python -m {PROG}", description="Segment images with a prompt.")
    parser.add_argument(
        "images", nargs="+", metavar="IMAGES", type=Path, help="image files or folders of them"
    )
    prompt = parser.add_mutually_exclusive_group(required=True)
    prompt.add_argument("--prompt", metavar="KEY", help="a key: its name in the zoo, or its folder")
    prompt.add_argument(
        "--example", nargs=2, action="append", type=Path, metavar=("IMG", "MASK"),
        help="an example and its mask; several make a feature ensemble",
    )  # fmt: skip
    parser.add_argument(
        "--output", required=True, metavar="DIR", type=Path, help="where results go"
    )
    parser.add_argument(
        "--backbone", default="seggpt-tiny", help="name or weights file (default: %(default)s)"
    )
    parser.add_argument("--prompts_zoo", metavar="DIR", type=Path, help="folder of keys")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument("--precision", default="auto", choices=("auto", "fp32", "bf16"))
    parser.add_argument(
        "--overlap",
        type=float,
        default=0.25,
        help="share of a tile that its neighbour covers too (default: %(default)s)",
    )
    parser.add_argument(
        "--scale", type=float, metavar="S",
        help="with --example: tile at S canvas pixels an image pixel (default: fit images whole)",
    )  # fmt: skip
    parser.add_argument(
        "--classes", metavar="A,B", help="with --example: names of the mask's classes, in order"
    )
    options = parser.parse_intermixed_args(argv)
    if options.prompt is not None and (options.scale is not None or options.classes is not None):
        raise InputError("--scale and --classes go with --example; a key brings its own")
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return 0, or 1 where some images, or 2 where all could not be done."""
    options = parse(argv)
    examples = [path for pair in options.example or () for path in pair]
    masks = name_outputs(find_images(options.images), options.output, kept=examples)

    from prompttune.segmenter import Segmenter

    segmenter = Segmenter(options.backbone, options.device, options.precision)
    prompt = _make_prompt(options, segmenter.network.config.canvas)
    options.output.mkdir(parents=True, exist_ok=True)
    bad = segment_files(segmenter, prompt, masks, options.overlap)
    for line in bad:
        print(f"{PROG}: error: {line}", file=sys.stderr)
    done = len(masks) - len(bad)
    if done:
        print(f"{done} of {len(masks)} images segmented, masks and overlays in {options.output}")
    return 0 if not bad else 1 if done else 2


def find_images(paths: Iterable[Path]) -> list[Path]:
    """Replace folders by the image files in them, sorted; a file that is named twice counts once.

    Raises:
        InputError: a folder without images.
    """
    found: list[Path] = []
    for path in paths:
        files = [path]
        if path.is_dir():
            files = sorted(each for each in path.iterdir() if each.suffix.lower() in SUFFIXES)
            if not files:
                raise InputError(f"{path}: no images in this folder")
        found += files
    return list({os.path.abspath(path): path for path in found}.values())


def name_outputs(
    images: Iterable[Path], output: Path, kept: Iterable[Path] = ()
) -> dict[Path, Path]:
    """Say for each image where its mask goes; the overlay lies beside it (`overlay_path`).

    Args:
        images: of the command.
        output: folder of the results.
        kept: further files that must not be written over.

    Raises:
        InputError: two images would be written to one file, or a result over an image.
    """
    masks = {image: output / f"{image.stem}.png" for image in images}
    owner: dict[Path, Path] = {}
    for image, mask in masks.items():
        for path in (mask, overlay_path(mask)):
            if path in owner:
                raise InputError(
                    f"{owner[path]} and {image} would both be written to {path}; rename one"
                )
            owner[path] = image
    inputs = {path.resolve() for path in (*masks, *kept)}
    for path in owner:
        if path.resolve() in inputs:
            raise InputError(
                f"{path}: the result would be written over an input; choose another --output"
            )
    return masks


def overlay_path(mask: Path) -> Path:
    """Return `DIR/<stem>_overlay.png` for `DIR/<stem>.png`."""
    return mask.with_name(f"{mask.stem}_overlay.png")


def segment_files(
    segmenter: "Segmenter", prompt: "Prompt", masks: dict[Path, Path], overlap: float
) -> list[str]:
    """Segment files, write masks and overlays; return a line for each image that is no good."""
    from rich.console import Console
    from rich.progress import Progress

    from prompttune.prompt import load_image

    bad: list[str] = []
    opened: list[tuple[Path, np.ndarray]] = []
    console = Console(stderr=True)
    with Progress(console=console, disable=len(masks) < 2 or not console.is_terminal) as progress:
        task = progress.add_task("segmenting", total=len(masks))

        def readable() -> "Iterator[np.ndarray]":
            for path in masks:
                try:
                    opened.append((path, load_image(path)))
                except InputError as error:
                    bad.append(" ".join(str(error).split()))
                    progress.advance(task)
                else:
                    yield opened[-1][1]

        for result in segmenter.stream(readable(), prompt, overlap):
            path, image = opened.pop(0)
            write_png(masks[path], index_image(result.classes, prompt.palette))
            write_png(overlay_path(masks[path]), overlay(image, result.classes, prompt.palette))
            progress.advance(task)
    return bad


def index_image(class_map: "np.ndarray", palette: "Palette") -> "Image.Image":
    """Turn a class map into a PIL image of mode P: its indices, with the palette's colours."""
    from PIL import Image

    image = Image.fromarray(class_map)
    image.putpalette([0, 0, 0, *(value for colour in palette.colours for value in colour)])
    return image


def overlay(image: "np.ndarray", class_map: "np.ndarray", palette: "Palette") -> "Image.Image":
    """Lay the classes' colours over an image: half transparent, full along thin outlines."""
    import numpy as np
    from PIL import Image

    shown = palette.colours
    if shown == ((255, 255, 255),):
        shown = (WHITE_SHOWN_AS,)
    colours = np.array([(0, 0, 0), *shown], np.float32)[class_map]
    opacity = np.where(class_map > 0, np.float32(OPACITY), np.float32(0))
    opacity[_outlines(class_map)] = 1
    blended = image + (colours - image) * opacity[..., None]
    return Image.fromarray(blended.round().astype(np.uint8))


def _outlines(class_map: "np.ndarray") -> "np.ndarray":
    """Find foreground pixels that touch another class on one of four sides, `H x W bool`."""
    import numpy as np

    edge = np.zeros(class_map.shape, bool)
    for one, other in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1])):
        differs = class_map[one] != class_map[other]
        edge[one] |= differs
        edge[other] |= differs
    return edge & (class_map > 0)


def write_png(path: Path, image: "Image.Image") -> None:
    """Write a PNG whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            image.save(file, format="png")
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _make_prompt(options: argparse.Namespace, canvas: int) -> "Prompt":
    if options.prompt is not None:
        from prompttune.zoo.store import load_prompt

        return load_prompt(options.prompt, options.prompts_zoo)
    from prompttune.prompt import Prompt

    classes = (
        None if options.classes is None else [name.strip() for name in options.classes.split(",")]
    )
    return Prompt.from_examples(
        [tuple(pair) for pair in options.example], classes, options.scale, canvas
    )


if __name__ == "__main__":
    run(main, PROG)
