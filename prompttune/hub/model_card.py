"""The card of a key as a model card: the metadata by which the Hub finds and shows it."""

from typing import Any

import yaml

from prompttune.keys.card import Card
from prompttune.keys.previews import readme

HOMES = {"seggpt-vit-large": "BAAI/seggpt-vit-large"}
"""Backbones that have a repository of their own on the Hub."""
LICENSES = frozenset(
    {"apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0",
     "cc-by-nc-4.0", "cc-by-nc-sa-4.0", "cc-by-nc-nd-4.0", "gpl-3.0", "lgpl-3.0", "agpl-3.0",
     "odbl", "openrail", "unlicense"}
)  # fmt: skip
"""Names that the Hub knows, of those that a card may well bear."""
METRICS = {
    "dice": "Dice",
    "iou": "IoU",
    "auc": "Area under the ROC curve",
    "cldice": "clDice",
    "ece": "Expected calibration error of the confidence",
    "expected_dice_r": "Correlation of expected and true Dice",
}
"""What a key's scores may hold, and its name on the Hub."""


def model_card(card: Card, repo: str) -> str:
    """Return the page of a key on the Hub: metadata, how to use it, and the key's own page.

    Args:
        card: of the key.
        repo: `user/name`.
    """
    use = (
        "```python\nimport prompttune\n\n"
        f'prompt = prompttune.load_prompt("{repo}")\n'
        'result = prompttune.Segmenter().predict("image.png", prompt)\n```\n'
    )
    head = yaml.safe_dump(metadata(card), sort_keys=False, allow_unicode=True)
    title, _, rest = readme(card).partition("\n")
    return f"---\n{head}---\n\n{title}\n\n{use}{rest}"


def metadata(card: Card) -> dict[str, Any]:
    """Return the Hub's fields: library, backbone, license, tags, classes and scores."""
    license_name = card.licence.lower()
    known = license_name in LICENSES
    fields: dict[str, Any] = {
        "library_name": "prompttune",
        "pipeline_tag": "image-segmentation",
        "base_model": HOMES.get(card.backbone.name, card.backbone.name),
        "license": license_name if known else "other",
        **({} if known else {"license_name": card.licence}),
        "tags": ["prompttune", "seggpt", "in-context-learning", "prompt-tuning", card.task],
    }
    results = _results(card)
    if results:
        measured = {one["type"] for result in results for one in result["metrics"]}
        fields["metrics"] = [name for name in METRICS if name in measured]
        fields["model-index"] = [{"name": card.name, "results": results}]
    return fields


def _results(card: Card) -> list[dict[str, Any]]:
    """Return what the key itself scored, in the form of the Hub's leaderboards."""
    found = []
    for scores in card.scores:
        for row in (row for row in scores.rows if row.mode == "tuned"):
            measured = ((kind, name, getattr(row, kind, None)) for kind, name in METRICS.items())
            metrics = [
                {"type": kind, "name": name, "value": round(value, 4)}
                for kind, name, value in measured
                if value is not None
            ]
            found.append(
                {
                    "task": {"type": "image-segmentation"},
                    "dataset": {"name": scores.data, "type": scores.data, "split": scores.split},
                    "metrics": metrics,
                }
            )
    return found
