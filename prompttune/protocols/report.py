"""What a run leaves for the reader: `results.json`, `results.md` with the paper's values."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import prompttune.backbone
from prompttune.backbone import SegGPT
from prompttune.evaluation.page import color_answer, save_picture
from prompttune.protocols.protocol import Benchmark, Outcomes
from prompttune.utils.io import write_whole

JSON, TEXT = "results.json", "results.md"
_CARD = "the model card huggingface.co/BAAI/seggpt-vit-large"
_LIST = "wizwand.com/paper/68fa6f081e209131cea43705 (of arXiv 2304.03284)"

VALUES: dict[tuple[str, str], tuple[dict[str, float], str]] = {
    ("coco-20i", "1 shot"): ({"mIoU": 0.561}, _CARD),
    ("fss-1000", "1 shot"): ({"mIoU": 0.856}, _CARD),
    ("davis-2016", "1 shot"): ({"J": 0.836}, _LIST),
    ("davis-2017", "1 shot"): ({"J": 0.725}, _LIST),
    ("youtube-vos-2018", "1 shot"): ({"G": 0.747}, _LIST),
    ("ade20k", "key"): ({"mIoU": 0.396}, _LIST),
    ("coco-panoptic", "key"): ({"PQ": 0.344}, _LIST),
}
"""Of SegGPT's paper, by benchmark and what answers, in [0, 1]; only what a source confirms."""


def paper_values(benchmark: str, setting: dict[str, Any]) -> dict[str, Any] | None:
    """Return the paper's `values` and their `source`, or None where none are known."""
    how = "key" if setting["prompts"] else f"{setting['shots']} shot"
    found = VALUES.get((benchmark, how))
    return None if found is None else {"values": found[0], "source": found[1]}


def write_report(output: Path, content: dict[str, Any]) -> None:
    """Write both files, each whole or not at all."""
    content["paper"] = paper_values(content["benchmark"], content["setting"])
    write_whole(output / JSON, json.dumps(content, indent=1) + "\n")
    write_whole(output / TEXT, _text(content))


def table(content: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return the lines of the table: measure, ours, the paper's, both in percent."""
    paper = content["paper"]["values"] if content["paper"] else {}
    names = dict.fromkeys([*content["scores"], *paper])
    return [
        (name, _percent(content["scores"].get(name)), _percent(paper.get(name))) for name in names
    ]


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f}"


def _text(content: dict[str, Any]) -> str:
    part = "" if content["cases"] == content["of"] else f" of {content['of']:,}"
    count = f"{'The first ' if part else ''}{content['cases']:,}{part} {content['unit']}"
    lines = [
        f"# {content['title']}",
        "",
        f"Backbone {content['backbone']}; seen in training: {content['seen in training']}. "
        f"{count}. {_sentence(content['how'])}",
        "",
        "| in percent | here | SegGPT's paper |",
        "|---|---|---|",
        *(f"| {' | '.join(line)} |" for line in table(content)),
    ]
    if content["paper"]:
        lines += ["", f"The paper's values as {content['paper']['source']} gives them."]
    if content["seconds a case"] is not None:
        lines += ["", f"{content['seconds a case']} seconds a case, reading and scoring included."]
    if content["submission"]:
        lines += ["", f"For the set's server: `{content['submission']}`."]
    if content["command"]:
        lines += ["", "```sh", content["command"], "```"]
    for picture in content["pictures"]:
        said = f"{picture['place']}: {picture['case']}, {picture['value']:.3f}"
        lines += ["", f"![{said}]({picture['file']})", "", said]
    return "\n".join(lines) + "\n"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}." if text else ""


PICTURES, EACH = "pictures", 3


def draw_pictures(benchmark: Benchmark, outcomes: Outcomes, output: Path) -> list[dict[str, Any]]:
    """Draw the worst and the median cases.

    Args:
        benchmark: answers them again where need be.
        outcomes: of all cases.
        output: folder of the run.

    Returns:
        `file`, `case`, `value` and `place` (worst or median) of each picture.
    """
    valued = [(one["value"], case) for case, one in outcomes.items() if one["value"] is not None]
    ranked = sorted(valued)
    middle = max(0, len(ranked) // 2 - EACH // 2)
    chosen = {
        **{case: "median" for _, case in ranked[middle : middle + EACH]},
        **{case: "worst" for _, case in ranked[:EACH]},
    }
    folder, drawn = output / PICTURES, []
    folder.mkdir(exist_ok=True)
    for path in folder.glob("*.png"):
        path.unlink()
    for number, (value, case) in enumerate(item for item in ranked if item[1] in chosen):
        file = f"{number:02}-{chosen[case]}.png"
        panels = benchmark.panels(case, output)
        rest = None, panels.palette
        truth = color_answer(panels.truth, panels.truth, *rest)
        answer = color_answer(panels.answer, panels.truth, *rest)
        pictures = [(case, panels.image), ("truth", truth), (f"answer, {value:.3f}", answer)]
        save_picture(folder / file, pictures)
        place = chosen[case]
        drawn.append({"file": f"{PICTURES}/{file}", "case": case, "value": value, "place": place})
    return drawn


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
