"""A line for each image of which something is known."""

import csv
from pathlib import Path

from prompttune.outputs.tables import ReliabilityTable


def test_lines_and_their_summary(tmp_path: Path) -> None:
    table = ReliabilityTable()
    table.add(Path("none.png"), None, None, None, None)
    assert table.summary() == ""
    table.add(Path("a.png"), None, 0.8, 0.9, 0.5)
    table.add(Path("b.tif"), 2, 0.6, 0.7, 1.5)
    table.add(Path("c.png"), None, None, 0.7, None)
    table.write(tmp_path)
    with (tmp_path / ReliabilityTable.name).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["image"] for row in rows] == ["a.png", "b.tif", "c.png"]
    assert rows[0] == {
        "image": "a.png", "page": "", "expected_dice": "0.8000", "confidence": "0.9000",
        "unlikeness": "0.5000", "in_domain": "yes",
    }  # fmt: skip
    assert (rows[1]["page"], rows[1]["in_domain"], rows[2]["in_domain"]) == ("2", "no", "")
    said = table.summary()
    assert "Expected Dice: 0.70 in the mean." in said
    assert "doubtful: b.tif." in said


def test_many_strange_images_are_counted() -> None:
    table = ReliabilityTable()
    for number in range(5):
        table.add(Path(f"{number}.png"), None, None, None, 2.0)
    assert "0.png, 1.png, 2.png and 2 more" in table.summary()


def test_a_key_that_was_checked_on_its_own_images_says_so() -> None:
    table = ReliabilityTable()
    table.add(Path("a.png"), None, 0.8, 0.9, 0.5)
    assert "hopeful" not in table.summary()
    table.add(Path("b.png"), None, 0.8, 0.9, 0.5, held_out=False)
    said = table.summary()
    assert "too hopeful: the key had no images to spare" in said
    assert "\n" not in said
