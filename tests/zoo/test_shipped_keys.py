"""The shipped keys: what their page says, and what no score shows."""

from pathlib import Path

import pytest
from stored_answers import ZOO

import prompttune
from prompttune.keys.card import Card
from prompttune.keys.header import load_card
from prompttune.synthetic.fundus import generate_fundus

SEEN = "The backbone was trained on these images too"


def row(file: Path) -> str:
    """Return the row of the table that a key's card asks for."""
    card = load_card(file)
    classes = ", ".join(entry.name.replace("_", " ") for entry in card.classes)
    seen = "yes" if SEEN in (card.notes or "") else "no"
    cells = [classes, card.scores[0].data, str(card.data.train), dice(card, "one-shot")]
    return f"| {' | '.join([f'`{card.name}`', *cells, dice(card, 'tuned'), seen])} |"


def dice(card: Card, mode: str) -> str:
    """Return a Dice of a card, without the zero."""
    (found,) = (each.dice for each in card.scores[0].rows if each.mode == mode)
    return f"{found:.2f}".removeprefix("0")


def test_table_agrees_with_the_cards() -> None:
    lines = (ZOO / "README.md").read_text(encoding="utf-8").splitlines()
    table = [line for line in lines if line.startswith("| `")]
    assert table == [row(file) for file in sorted(ZOO.glob("*/prompt.safetensors"))]


@pytest.mark.parametrize("seed", range(2))
def test_no_vessels_lie_around_a_fundus(seed: int) -> None:
    sample = generate_fundus(seed, 192)
    segmenter = prompttune.Segmenter(device="cpu", precision="fp32")
    found = segmenter.predict(sample.image, prompttune.load_prompt(ZOO / "retina")).classes > 0
    assert found[sample.field_of_view].mean() > 0.08
    assert found[~sample.field_of_view].mean() < 0.001
