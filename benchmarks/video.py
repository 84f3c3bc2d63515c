"""J&F of video object segmentation on a folder in DAVIS' layout, for several memories and views.

    python -m benchmarks.video --data data/video-davis

`DIR/images/<sequence>/*.jpg` are the frames and `DIR/masks/<sequence>/*.png` the true masks, of
which the first is given. The first and the last frame do not count, as in DAVIS 2017. Frames a
second count reading and segmenting, not scoring.
"""

import argparse
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from prompttune import Prompt, Segmenter
from prompttune.cli.commandline import run
from prompttune.data.reading import read_image, read_mask
from prompttune.evaluation.davis import ObjectScores, VideoScores, mean_scores
from prompttune.utils.errors import InputError
from prompttune.utils.paths import DEFAULT_BACKBONE
from prompttune.video import open_clip, segment_frames

PROG = "benchmarks.video"
FOLLOW = {"auto": None, "follow": True, "whole": False}


@dataclass(frozen=True)
class Sequence:
    """One video: its frames and their masks."""

    name: str
    images: list[Path]
    masks: list[Path]


@dataclass(frozen=True)
class Tracker:
    """How to segment: with which memory, and what of a frame is seen."""

    segmenter: Segmenter
    memory: int
    view: str

    def __call__(self, sequence: Sequence) -> tuple[int, Iterator[np.ndarray]]:
        """Return how many objects the first mask shows, and the class maps, made when asked for."""
        scale = None if self.view in FOLLOW else float(self.view)
        canvas = self.segmenter.network.config.canvas
        first = [(sequence.images[0], sequence.masks[0])]
        prompt = Prompt.from_examples(first, scale=scale, canvas=canvas)
        frames = map(read_image, sequence.images)
        follow = FOLLOW.get(self.view, False)
        class_maps = segment_frames(self.segmenter, prompt, frames, self.memory, follow)
        return len(prompt.palette.classes), class_maps


def main() -> None:
    """Score what was asked for and print the table (Markdown)."""
    given = _arguments()
    sequences = find_sequences(given.data, given.frames)
    segmenter = Segmenter(given.backbone, given.device)
    print(f"{segmenter.network.name} on {segmenter.device}, {given.data}")
    columns = ["", "J&F", "J", "F", *(each.name for each in sequences), "frames/s"]
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    print(row("first mask, copied", None, sequences))
    for view in given.view:
        for memory in given.memory:
            tracker = Tracker(segmenter, memory, view)
            print(row(f"{view}, K = {memory}", tracker, sequences), flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=PROG, description=__doc__)
    add = parser.add_argument
    add("--data", type=Path, required=True, metavar="DIR", help="images/ and masks/")
    add("--memory", type=int, nargs="+", default=[0, 1, 4, 8], metavar="K")
    add(
        "--view", nargs="+", default=["auto"], metavar="VIEW",
        help="auto, follow, whole, or a scale at which frames are tiled (default: auto)",
    )  # fmt: skip
    add("--frames", type=int, metavar="N", help="the first N of a sequence (default: all)")
    add("--backbone", default=DEFAULT_BACKBONE, help="name or weights file (default: %(default)s)")
    add("--device", default="auto", choices=("auto", "cpu", "cuda"))
    return parser.parse_args()


def find_sequences(folder: Path, frames: int | None = None) -> list[Sequence]:
    """Find the sequences of a folder; raises `InputError` where one or a mask is missing."""
    found = []
    for images in sorted(each for each in (folder / "images").glob("*") if each.is_dir()):
        paths = list(open_clip(images).images[:frames])
        masks = [folder / "masks" / images.name / f"{path.stem}.png" for path in paths]
        if missing := [path for path in masks if not path.is_file()]:
            raise InputError(f"{missing[0]}: no such file; every frame needs its true mask")
        found.append(Sequence(images.name, paths, masks))
    if not found:
        raise InputError(f"{folder}: no sequences; put frames into images/<sequence>/")
    return found


def row(name: str, tracker: Tracker | None, sequences: Iterable[Sequence]) -> str:
    """Score all sequences and return a line of the table; without a tracker copy the first mask."""
    scored = [_score(tracker, sequence) for sequence in sequences]
    means = mean_scores(each for objects, _, _ in scored for each in objects)
    each_video = [mean_scores(objects)[0] for objects, _, _ in scored]
    frames, seconds = (sum(values) for values in list(zip(*scored, strict=True))[1:])
    rate = f"{frames / seconds:.1f}" if tracker else ""
    cells = [f"{value:.3f}".lstrip("0") for value in (*means, *each_video)]
    return f"| {name} | {' | '.join(cells)} | {rate} |"


def _score(tracker: Tracker | None, sequence: Sequence) -> tuple[list[ObjectScores], int, float]:
    """Return the scores of each object, how many frames there were, and the seconds they took."""
    objects, class_maps = tracker(sequence) if tracker else _copied(sequence)
    scores, seconds = VideoScores(objects), 0.0
    for mask in sequence.masks:
        start = time.perf_counter()
        class_map = next(class_maps)
        seconds += time.perf_counter() - start
        scores.add(class_map, read_mask(mask, objects))
    return scores.result(), len(sequence.masks), seconds


def _copied(sequence: Sequence) -> tuple[int, Iterator[np.ndarray]]:
    prompt = Prompt.from_examples([(sequence.images[0], sequence.masks[0])])
    objects = len(prompt.palette.classes)
    first = read_mask(sequence.masks[0], objects)
    return objects, (first for _ in sequence.masks)


if __name__ == "__main__":
    run(main, PROG)
