"""Tables of a folder of results."""

import csv
from pathlib import Path

from prompttune.outputs.tables import keep_rows, update_table


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


def test_lines_of_a_killed_run_are_kept(tmp_path: Path) -> None:
    path, columns = tmp_path / "table.csv", ("image", "page", "value")
    rows = [{"image": name, "page": 1, "value": 1} for name in ("a", "b", "c,\nd")]
    update_table(path, columns, [{"image": "z", "page": "", "value": 0}])
    keep_rows(path, columns, rows)  # and then it was killed
    with (tmp_path / ".table.csv.part").open("a") as file:
        file.write("e,1,23")  # a line that broke off
    again = [{"image": "b", "page": 1, "value": 2}, {"image": "f", "page": 1, "value": 2}]
    keep_rows(path, columns, again)
    update_table(path, columns, again)
    with path.open(newline="") as file:
        found = [(row["image"], row["value"]) for row in csv.DictReader(file)]
    assert found == [("z", "0"), ("a", "1"), ("c,\nd", "1"), ("b", "2"), ("f", "2")]
    assert [each.name for each in tmp_path.iterdir()] == ["table.csv"]


def test_the_last_of_two_kept_lines_counts(tmp_path: Path) -> None:
    path, columns = tmp_path / "table.csv", ("image", "page", "value")
    for value in (1, 2):
        keep_rows(path, columns, [{"image": "a", "page": p, "value": value} for p in (1, 2)])
    update_table(path, columns, [])
    with path.open(newline="") as file:
        found = [(row["page"], row["value"]) for row in csv.DictReader(file)]
    assert found == [("1", "2"), ("2", "2")]
