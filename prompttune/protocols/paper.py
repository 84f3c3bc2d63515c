"""What SegGPT's paper reports, as far as a page that can be looked up confirms it."""

from typing import Any

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
"""By benchmark and what answers, in [0, 1]; what no source confirms is left out."""


def paper_values(benchmark: str, setting: dict[str, Any]) -> dict[str, Any] | None:
    """Return `values` and their `source`, or None where none are known."""
    how = "key" if setting["prompts"] else f"{setting['shots']} shot"
    found = VALUES.get((benchmark, how))
    return None if found is None else {"values": found[0], "source": found[1]}
