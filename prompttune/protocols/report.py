"""What a run leaves for the reader: `results.json`, and `results.md` with the paper's values."""

import json
from pathlib import Path
from typing import Any

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
