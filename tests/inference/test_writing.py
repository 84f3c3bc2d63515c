"""Results of one page and of several: all files of an image, or none."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from prompttune.data.reading import Picture
from prompttune.inference import writing
from prompttune.inference.result import Result
from prompttune.inference.writing import Asked, ResultWriter, Slice, finish_tables
from prompttune.outputs.tables import ReliabilityTable
from prompttune.prompts.palette import Palette
from prompttune.prompts.prompt import Prompt

PLANE = torch.zeros(3, 4, 4)
PROMPT = Prompt((PLANE,), (PLANE,), Palette.of(["a", "b"]), scale=1.0)
PICTURE = Picture(np.full((12, 14, 3), 90, np.uint8), "8-bit RGB", (), None)


def result(value: int = 1) -> Result:
    classes = np.zeros((12, 14), np.uint8)
    classes[2:8, 3:9] = value
    scores = np.stack([classes == 1, classes == 2]).astype(np.float32)
    return Result(classes, scores, PICTURE.pixels, PROMPT)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    Image.fromarray(PICTURE.pixels).save(tmp_path / "7.png")
    return tmp_path / "7.png"


def test_a_page_has_a_mask_an_overlay_and_objects(image: Path, tmp_path: Path) -> None:
    out = tmp_path / "out" / "7.png"
    with ResultWriter(PROMPT, Asked(least_area=16), tmp_path) as writer:
        writer.write(Slice(image), out, PICTURE, result(2))
    assert sorted(path.name for path in out.parent.iterdir()) == [
        "7.png", "7_instances.json", "7_overlay.png",
    ]  # fmt: skip
    with Image.open(out) as written:
        assert np.array_equal(np.asarray(written), result(2).classes)
    (thing,) = json.loads((out.parent / "7_instances.json").read_text())
    assert (thing["image_id"], thing["category_id"], thing["bbox"]) == (7, 2, [3, 2, 6, 6])


def test_pixels_without_data_are_counted_nowhere(image: Path, tmp_path: Path) -> None:
    empty = np.zeros((12, 14), bool)
    empty[:, :7] = True
    asked = Asked(least_area=1, shape_area=1, formats=("csv", "npz"))
    with ResultWriter(PROMPT, asked, tmp_path) as writer:
        writer.write(
            Slice(image), tmp_path / "o" / "7.png", replace(PICTURE, empty=empty), result()
        )
        writer.write_tables()
    with (tmp_path / "areas.csv").open() as file:
        assert [row["pixels"] for row in csv.DictReader(file)] == ["12", "0"]  # of 36
    (thing,) = json.loads((tmp_path / "o" / "7_instances.json").read_text())
    assert thing["bbox"] == [7, 2, 2, 6]
    assert not np.load(tmp_path / "o" / "7_scores.npz")["scores"][:, :, :7].any()


def test_pages_of_a_stack_appear_together(image: Path, tmp_path: Path) -> None:
    out = tmp_path / "out" / "7.tif"
    with ResultWriter(PROMPT, Asked(), tmp_path) as writer:
        writer.write(Slice(image, 0, 2, 2), out, PICTURE, result(1))
        assert not out.exists()
        writer.write(Slice(image, 1, 2, 2), out, PICTURE, result(2))
        assert out.exists()
    assert [page.max() for page in tifffile.imread(out)] == [1, 2]


def test_of_a_stack_with_a_page_that_is_no_good_nothing_is_left(
    image: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out" / "7.tif"
    with ResultWriter(PROMPT, Asked(), tmp_path) as writer:
        writer.write(Slice(image, 0, 2, 2), out, PICTURE, result())
    assert not list(out.parent.iterdir())


def test_a_world_file_is_there_before_the_mask_that_says_that_all_is_done(
    image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a run that is killed in between and goes on with --skip_done would lose the place."""
    image.with_suffix(".pgw").write_text("1\n0\n0\n-1\n5\n7\n")
    out = tmp_path / "out" / "7.png"
    order = []
    real = writing.write_png

    def write(path: Path, drawn: Image.Image) -> None:
        order.append((path.name, out.with_suffix(".pgw").exists()))
        real(path, drawn)

    monkeypatch.setattr(writing, "write_png", write)
    with ResultWriter(PROMPT, Asked(), tmp_path) as writer:
        writer.write(Slice(image), out, PICTURE, result(2))
    assert order == [("7_overlay.png", False), ("7.png", True)]


def test_lines_of_tables_are_kept_page_by_page(image: Path, tmp_path: Path) -> None:
    with ResultWriter(PROMPT, Asked(formats=("csv",)), tmp_path) as writer:
        writer.write(Slice(image), tmp_path / "out" / "7.png", PICTURE, result(2))
        assert (tmp_path / ".areas.csv.part").exists()
        writer.write_tables()
    assert (tmp_path / "areas.csv").is_file()
    assert not (tmp_path / ".areas.csv.part").exists()


def test_what_a_killed_run_kept_becomes_its_table(tmp_path: Path) -> None:
    killed = ReliabilityTable()
    for number, name in enumerate("ab"):
        killed.add(Path(f"{name}.png"), None, 0.5, 0.1 * number, None)
        killed.keep(tmp_path)
    assert not (tmp_path / "reliability.csv").exists()
    finish_tables(tmp_path)
    with (tmp_path / "reliability.csv").open(newline="") as file:
        assert [row["image"] for row in csv.DictReader(file)] == ["a.png", "b.png"]
    assert [path.name for path in tmp_path.iterdir()] == ["reliability.csv"]


def test_a_folder_without_any_stays_as_it_is(tmp_path: Path) -> None:
    finish_tables(tmp_path)
    assert not list(tmp_path.iterdir())
