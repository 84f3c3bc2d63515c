"""Video object segmentation: objects by the masks of the frames in which they appear."""

import zipfile
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from prompttune.evaluation.davis import ObjectScores as ObjectScores
from prompttune.evaluation.davis import boundary_accuracy, mean_scores, region_similarity
from prompttune.inference.segmenter import Segmenter
from prompttune.outputs.drawing import index_image
from prompttune.prompts.palette import Palette
from prompttune.prompts.prompt import Prompt
from prompttune.protocols.layout import files_in, read_indices, read_rgb
from prompttune.protocols.protocol import Benchmark, Options, Outcomes, Panels
from prompttune.utils.constants import IGNORE
from prompttune.utils.contact_sheet import write_png
from prompttune.utils.errors import InputError
from prompttune.utils.io import whole_path
from prompttune.video.frames import segment_frames

MASKS = "masks"


@dataclass(frozen=True)
class Video:
    """One video: its frames, and the masks that are given or known."""

    name: str
    frames: tuple[Path, ...]
    masks: Mapping[str, Path]
    """By the frames' names without suffix."""


@dataclass(frozen=True)
class Rules:
    """In what the sets differ."""

    one_object: bool = False
    """All that a mask shows is one object."""
    late: bool = False
    """Objects may appear after the first frame; else only its objects count."""
    without_last: bool = True
    """The last frame does not count either, as in DAVIS."""


class Videos(Benchmark):
    """Follows the objects of videos, each frame with the last ones as further examples.

    Args:
        segmenter: with any backbone.
        videos: all of them.
        options: how many earlier frames prompt the next one.
        rules: of the set.
    """

    unit = "videos"
    main = "J&F"

    def __init__(
        self, segmenter: Segmenter, videos: Sequence[Video], options: Options, rules: Rules
    ) -> None:
        super().__init__(segmenter)
        self.by_name = {each.name: each for each in videos}
        self.memory, self.rules = options.memory, rules

    @property
    def cases(self) -> Sequence[str]:
        """The names of the videos."""
        return list(self.by_name)

    def run(self, cases: Sequence[str], output: Path) -> Iterator[dict[str, Any]]:
        """Follow the objects of each video; write masks, and score where truth is known."""
        for name in cases:
            video = self.by_name[name]
            folder = output / MASKS / name
            folder.mkdir(parents=True, exist_ok=True)
            scored: dict[int, dict[str, list[Any]]] = {}
            for path, found, known in self._followed(video):
                palette = Palette.of([f"object {n}" for n in range(1, max(known, default=1) + 1)])
                write_png(folder / f"{path.stem}.png", index_image(found, palette))
                self._score(video, path, found, known, scored)
            for one in scored.values() if self.rules.without_last else ():
                _drop(one, video.frames[-1].stem)
            objects = {str(n): one for n, one in scored.items() if one["J"]}
            yield {"objects": objects, "value": _mean(objects)}

    def _followed(self, video: Video) -> Iterator[tuple[Path, np.ndarray, dict[int, int]]]:
        """Give each frame's map, and of the objects known by then the frame of appearance."""
        trackers: list[tuple[tuple[int, ...], Iterator[np.ndarray]]] = []
        known: dict[int, int] = {}
        now: deque[np.ndarray] = deque(maxlen=1)  # decoded once, for all trackers
        for number, path in enumerate(video.frames):
            now.append(read_rgb(path))
            shape = now[0].shape[:2]
            found = np.zeros(shape, np.uint8)
            for labels, maps in trackers:
                own = next(maps)
                table = np.array([0, *labels], np.uint8)
                found = np.where(found > 0, found, table[own])
            given = self._given(video, path, shape) if self.rules.late or not number else None
            if given is not None and (new := _new_objects(given, known)):
                found = np.where(np.isin(given, new), given, found).astype(np.uint8)
                known |= dict.fromkeys(new, number)
                trackers.append((new, self._tracker(now, given, new)))
            if not known and not number and not self.rules.late:
                mask = video.masks.get(path.stem, path)
                raise InputError(f"{mask}: the first frame's shows no object; copy the set again")
            yield path, found, dict(known)

    def _tracker(
        self, now: deque[np.ndarray], given: np.ndarray, labels: tuple[int, ...]
    ) -> Iterator[np.ndarray]:
        """Return the maps of the next frames of objects that appear in this one.

        Args:
            now: the frame, `H x W x 3 uint8`; each time a map is asked for, the next one.
            given: the mask of this one, `H x W uint8`.
            labels: of the objects.
        """
        table = np.zeros(256, np.uint8)
        table[list(labels)] = np.arange(1, len(labels) + 1)
        names = [f"object {label}" for label in labels]
        prompt = Prompt.from_examples([(now[0], table[given])], classes=names)
        frames = (now[0] for _ in count())
        maps = segment_frames(self.segmenter, prompt, frames, self.memory)
        next(maps)  # the frame whose mask is given
        return maps

    def _given(self, video: Video, path: Path, shape: Sequence[int]) -> np.ndarray | None:
        mask = video.masks.get(path.stem)
        return None if mask is None else self._mask(mask, shape)

    def _mask(self, path: Path, shape: Sequence[int]) -> np.ndarray:
        """Read a mask; in DAVIS' code void (255) is background."""
        indices = read_indices(path, shape)
        if self.rules.one_object:
            return (indices > 0).astype(np.uint8)
        return np.where(indices == IGNORE, 0, indices).astype(np.uint8)

    def _score(
        self,
        video: Video,
        path: Path,
        found: np.ndarray,
        known: Mapping[int, int],
        scored: dict[int, dict[str, list[Any]]],
    ) -> None:
        """Add J and F of the objects that appeared before this frame."""
        truth = self._given(video, path, found.shape)
        if truth is None:
            return
        number = video.frames.index(path)
        for label, start in known.items():
            if start == number or ((truth != label).all() and self._is_sparse(video)):
                continue
            one = scored.setdefault(label, {"frames": [], "J": [], "F": []})
            pair = found == label, truth == label
            one["frames"].append(path.stem)
            one["J"].append(region_similarity(*pair))
            one["F"].append(boundary_accuracy(*pair))

    def _is_sparse(self, video: Video) -> bool:
        """Say whether masks are only those in which objects appear: no truth to score by."""
        return self.rules.late and len(video.masks) <= 0.5 * len(video.frames)

    def summary(self, outcomes: Outcomes) -> dict[str, float]:
        """Return J&F, J, and F; nothing where no truth is known."""
        each = [one for outcome in outcomes.values() for one in outcome["objects"].values()]
        if not each:
            return {}
        scores = [ObjectScores(tuple(one["J"]), tuple(one["F"])) for one in each]
        return dict(zip(("J&F", "J", "F"), mean_scores(scores), strict=True))

    def panels(self, case: str, output: Path) -> Panels:
        """Return the frame in which the objects were found worst (else the last one)."""
        video = self.by_name[case]
        path = video.frames[-1]
        truths = [each for each in video.frames[1:] if each.stem in video.masks]
        if truths:
            path = min(truths, key=lambda each: self._frame_value(video, each, output))
        image = read_rgb(path)
        found = read_indices(output / MASKS / case / f"{path.stem}.png").astype(np.uint8)
        truth = self._given(video, path, image.shape)
        truth = found if truth is None else truth
        most = max(int(found.max()), int(truth.max()), 1)
        palette = Palette.of([f"object {number}" for number in range(1, most + 1)])
        return Panels(image, truth, found, palette)

    def _frame_value(self, video: Video, path: Path, output: Path) -> float:
        found = read_indices(output / MASKS / video.name / f"{path.stem}.png")
        truth = self._given(video, path, found.shape)
        assert truth is not None
        labels = np.unique(truth[truth > 0])
        return float(np.mean([region_similarity(found == n, truth == n) for n in labels] or [1]))


class Submitted(Videos):
    """Videos whose scores a server computes: the masks are handed in as one ZIP."""

    prefix = ""

    def hand_in(self, output: Path) -> Path:
        """Write `submission.zip`: an index PNG a frame, in a folder a video."""
        path = output / "submission.zip"
        with whole_path(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
            for name, video in self.by_name.items():
                for frame in video.frames:
                    mask = output / MASKS / name / f"{frame.stem}.png"
                    if mask.is_file():
                        archive.write(mask, f"{self.prefix}{name}/{frame.stem}.png")
        return path


def find_late_videos(images: Path, masks: Path, names: Sequence[str]) -> list[Video]:
    """Find videos whose masks need not be there for each frame."""
    videos = []
    for name in names:
        frames = files_in(images / name, "*.jpg")
        given = {path.stem: path for path in files_in(masks / name, "*.png")}
        if not frames or not given:
            counts = f"{len(frames)} frames and {len(given)} masks"
            raise InputError(f"{images / name}: has {counts}; copy the set again")
        strange = sorted(set(given) - {path.stem for path in frames})
        if strange:
            told = f"{strange[0]}.png is the mask of no frame"
            raise InputError(f"{masks / name}: {told}; copy the set again")
        videos.append(Video(name, tuple(frames), given))
    return videos


def _new_objects(given: np.ndarray, known: Mapping[int, int]) -> tuple[int, ...]:
    return tuple(int(n) for n in np.unique(given) if n and int(n) not in known)


def _drop(one: dict[str, list[Any]], frame: str) -> None:
    if one["frames"] and one["frames"][-1] == frame:
        for values in one.values():
            values.pop()


def _mean(objects: Mapping[str, Mapping[str, Sequence[float]]]) -> float | None:
    each = [(np.mean(one["J"]) + np.mean(one["F"])) / 2 for one in objects.values()]
    return float(np.mean(each)) if each else None
