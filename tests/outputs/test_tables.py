"""Tables of a folder of results."""

import csv
from pathlib import Path

from prompttune.outputs.tables import update_table


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_later_run_replaces_its_own_images_and_keeps_the_others(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    update_table(path, ("image", "value"), [{"image": name, "value": 1} for name in ("a", "b, c")])
    update_table(path, ("image", "value"), [{"image": "a", "value": 2}])
    assert rows_of(path) == [{"image": "b, c", "value": "1"}, {"image": "a", "value": "2"}]


def test_a_table_of_other_columns_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("name,area\nx,1\n")
    update_table(path, ("image", "value"), [{"image": "a", "value": 2}])
    assert rows_of(path) == [{"image": "a", "value": "2"}]


def test_nothing_known_writes_nothing(tmp_path: Path) -> None:
    update_table(tmp_path / "table.csv", ("image",), [])
    assert list(tmp_path.iterdir()) == []
