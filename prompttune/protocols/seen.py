"""Whether a backbone saw a benchmark's images in its training, from the list in its card."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import prompttune.backbone
from prompttune.backbone import SegGPT

Answer = Literal["yes", "no", "unknown"]
SHARED_WITH = {
    "pascal-5i": ("voc2012_subset",),
    "pascal-part": ("voc2012_subset",),
    "coco-20i": ("coco128",),
    "lvis-92i": ("coco128",),
    "paco-part": ("coco128",),
    "coco-panoptic": ("coco128",),
    "davis-2016": ("davis2016_val",),
    "davis-2017": ("davis2016_val",),
}
"""Of a benchmark the sets, as cards name them, that hold some of its images; others share none."""
SEQUENCES = (
    "bmx-trees", "breakdance", "camel", "car-shadow", "cows", "dog", "drift-chicane",
    "drift-straight", "goat", "kite-surf", "libby", "motocross-jump", "paragliding-launch",
    "parkour", "scooter-black",
)  # fmt: skip
"""Of DAVIS, in `davis2016_val`; its other sequences are not in it."""


def seen_in_training(benchmark: str, network: SegGPT, cases: Sequence[str]) -> Answer:
    """Say whether a backbone was trained on some of a benchmark's images.

    Args:
        benchmark: its name.
        network: the backbone; one without a card here is unknown.
        cases: that are answered; of DAVIS they are sequences.
    """
    listed = card_sets(network)
    if listed is None:
        return "unknown"
    shared = set(SHARED_WITH.get(benchmark, ())) & listed
    if shared == {"davis2016_val"}:
        return "yes" if set(cases) & set(SEQUENCES) else "no"
    return "yes" if shared else "no"


def card_sets(network: SegGPT) -> set[str] | None:
    """Return the sets that a backbone's card lists; None where no card here is of its weights."""
    folder = Path(prompttune.backbone.__file__).parent
    for path in folder.glob("*.md"):
        text = path.read_text(encoding="utf-8")
        if f"`{network.fingerprint}`" in text and "## Data" in text:
            rows = text.partition("## Data")[2].partition("\n## ")[0]
            return set(re.findall(r"^\| (\w+) \| \d+ \|", rows, re.MULTILINE))
    return None
