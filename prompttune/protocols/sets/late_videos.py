"""YouTube-VOS 2018 and MOSE: objects that appear in any frame; servers take the masks as ZIPs."""

from pathlib import Path
from typing import Any

from prompttune.evaluation.davis import ObjectScores, mean_scores
from prompttune.inference.segmenter import Segmenter
from prompttune.protocols.layout import read_json, require
from prompttune.protocols.protocol import Benchmark, Options, Outcomes, Protocol
from prompttune.protocols.videos import Rules, Submitted, find_late_videos
from prompttune.utils.errors import InputError
from prompttune.utils.malformed import understood


class YouTubeVideos(Submitted):
    """Videos whose objects are of seen or unseen categories."""

    main = "G"
    prefix = "Annotations/"
    categories: dict[str, dict[str, str]]
    seen: set[str]

    def summary(self, outcomes: Outcomes) -> dict[str, float]:
        """Return J and F, of seen and unseen categories where they are known, and their mean G."""
        scores = super().summary(outcomes)
        parts: dict[str, list[ObjectScores]] = {"seen": [], "unseen": []}
        for video, outcome in outcomes.items() if self.seen else ():
            for label, one in outcome["objects"].items():
                kind = "seen" if self.categories[video].get(label) in self.seen else "unseen"
                parts[kind].append(ObjectScores(tuple(one["J"]), tuple(one["F"])))
        if all(parts.values()):
            for kind, each in parts.items():
                _, scores[f"J {kind}"], scores[f"F {kind}"] = mean_scores(each)
            scores["G"] = sum(scores[f"{m} {k}"] for m in "JF" for k in parts) / 4
        return scores


def open_youtube_vos(root: Path, segmenter: Segmenter, options: Options) -> Benchmark:
    """Open `DIR/valid/{JPEGImages,Annotations,meta.json}`.

    Where `DIR/train/meta.json` is there too, its categories are the seen ones.

    Raises:
        InputError: anything is missing, or `meta.json` is of another set or year.
    """
    part = root / "valid" if (root / "valid").is_dir() else root
    require(part, YOUTUBE_VOS, ["JPEGImages", "Annotations", "meta.json"])
    categories = read_meta(part / "meta.json")
    frames = {path.name for path in (part / "JPEGImages").iterdir() if path.is_dir()}
    if frames != set(categories):
        odd = sorted(frames ^ set(categories))
        raise InputError(
            f"{part / 'meta.json'}: does not fit JPEGImages ({len(odd)} videos are in one alone, "
            f"first {odd[0]}); is it of another year?"
        )
    videos = find_late_videos(part / "JPEGImages", part / "Annotations", sorted(frames))
    opened = YouTubeVideos(segmenter, videos, options, Rules(late=True, without_last=False))
    opened.categories = categories
    train = root / "train/meta.json"
    seen = read_meta(train) if train.is_file() else {}
    opened.seen = {category for objects in seen.values() for category in objects.values()}
    return opened


def read_meta(path: Path) -> dict[str, dict[str, str]]:
    """Read which objects each video has, and their categories.

    Raises:
        InputError: not YouTube-VOS' list.
    """
    content: Any = read_json(path)
    with understood(path, "list that YouTube-VOS 2018 published; get it again"):
        return {
            video: {label: str(one["category"]) for label, one in given["objects"].items()}
            for video, given in content["videos"].items()
        }


def open_mose(root: Path, segmenter: Segmenter, options: Options) -> Benchmark:
    """Open `DIR/valid/{JPEGImages,Annotations}/<video>`.

    Raises:
        InputError: anything is missing.
    """
    part = root / "valid" if (root / "valid").is_dir() else root
    require(part, MOSE, ["JPEGImages", "Annotations"])
    names = sorted(path.name for path in (part / "JPEGImages").iterdir() if path.is_dir())
    if not names:
        raise InputError(f"{part / 'JPEGImages'}: has no videos; copy the set again")
    require(part, MOSE, [f"Annotations/{name}" for name in names])
    videos = find_late_videos(part / "JPEGImages", part / "Annotations", names)
    return Submitted(segmenter, videos, options, Rules(late=True, without_last=False))


_HOW = (
    "objects by the mask of the frame in which they appear; scores here are of frames whose masks "
    "lie beside the set, the set's server has the others"
)
YOUTUBE_VOS = Protocol(
    name="youtube-vos-2018",
    title="YouTube-VOS 2018",
    home="youtube-vos.org/dataset/vos (2018, valid)",
    terms="for non-commercial research",
    open=open_youtube_vos,
    shots="one",
    how=_HOW,
)
MOSE = Protocol(
    name="mose",
    title="MOSE",
    home="henghuiding.github.io/MOSE (valid)",
    terms="CC BY-NC-SA 4.0",
    open=open_mose,
    shots="one",
    how=_HOW,
)
