"""One key and one image give one mask: today and later, and whatever is asked beside it."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from stored_answers import ZOO, load_answer, shipped, stored

import prompttune
from benchmarks import same_answer
from prompttune.inference.result import Result
from prompttune.inference.segmenter import Segmenter

DICE = 0.999
"""Least agreement with what is stored, class by class: processors round differently."""
AGAIN = "python tests/stored_answers.py"


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    return Segmenter(device="cpu", precision="fp32")


def test_every_shipped_key_has_a_stored_answer() -> None:
    assert stored() == shipped(), f"a key is new or was tuned anew: run {AGAIN}"


@pytest.mark.parametrize("name", sorted(shipped()))
def test_a_shipped_key_answers_as_it_did(segmenter: Segmenter, name: str) -> None:
    image, mask = load_answer(name)
    answer = segmenter.predict(image, prompttune.load_prompt(ZOO / name)).classes
    assert mask.any(), "a mask without anything would tell little"
    for number in np.unique([*np.unique(mask), *np.unique(answer)]):
        ours, theirs = answer == number, mask == number
        dice = 2 * (ours & theirs).sum() / (ours.sum() + theirs.sum())
        assert dice >= DICE, f"class {number}"


@pytest.fixture(scope="module")
def asked() -> list[tuple[np.ndarray, prompttune.Prompt]]:
    """Images of several sizes, and keys in turn."""
    keys = [prompttune.load_prompt(ZOO / name) for name in ("retina", "cracks", "aerial")]
    pairs = []
    for number, (height, width) in enumerate([(100, 120), (130, 90), (144, 144)]):
        image, _ = load_answer(("retina", "cracks", "aerial")[number])
        pairs.append((np.ascontiguousarray(image[:height, :width]), keys[number]))
    return pairs


@pytest.fixture(scope="module")
def alone(segmenter: Segmenter, asked: list) -> list[np.ndarray]:
    """The mask of each pair where it is asked by itself, window by window."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segmenter, "batch_size", lambda *_: 1)
        return [segmenter.predict(image, key).classes for image, key in asked]


@pytest.mark.parametrize("windows", [2, 3, 8])
def test_the_size_of_a_batch_changes_no_mask(
    segmenter: Segmenter, asked: list, alone: list, monkeypatch: pytest.MonkeyPatch, windows: int
) -> None:
    monkeypatch.setattr(segmenter, "batch_size", lambda *_: windows)
    for (image, key), mask in zip(asked, alone, strict=True):
        assert np.array_equal(segmenter.predict(image, key).classes, mask)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
def test_neither_order_nor_neighbors_change_a_mask(
    segmenter: Segmenter, asked: list, alone: list, order: tuple[int, ...]
) -> None:
    """Of one key over a folder, and of keys in turn, whose windows share batches."""
    keys = iter([asked[index][1] for index in order])
    images = [asked[index][0] for index in order]
    mixed = segmenter.stream(images, lambda _: next(keys))
    for index, result in zip(order, mixed, strict=True):
        assert np.array_equal(result.classes, alone[index])
    own = [asked[0][0], asked[1][0], asked[0][0]]
    for image, result in zip(own, segmenter.stream(own, asked[0][1]), strict=True):
        if image is own[0]:
            assert np.array_equal(result.classes, alone[0])


@pytest.fixture
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("_threads")
@pytest.mark.parametrize("threads", [2, 3])
def test_the_number_of_threads_changes_no_mask(
    segmenter: Segmenter, asked: list, alone: list, threads: int
) -> None:
    torch.set_num_threads(threads)
    image, key = asked[0]
    assert np.array_equal(segmenter.predict(image, key).classes, alone[0])


def test_processors_with_other_instructions_agree(tmp_path: Path) -> None:
    """As `python -m benchmarks.instructions` measures, with one key."""
    out = subprocess.run(
        [sys.executable, "-m", "benchmarks.instructions", "--keys", "retina", "--levels", "avx2"],
        capture_output=True, text=True, check=False, cwd=ZOO.parent,
    )  # fmt: skip
    assert out.returncode == 0, out.stderr[-2000:]
    (line,) = [each for each in out.stdout.splitlines() if each.startswith("| avx2")]
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert float(cells[3]) >= DICE


def test_the_measured_table_counts_masks_that_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    """As `python -m benchmarks.same_answer` measures, with one key."""
    for name, few in (("BATCHES", (3,)), ("ORDERS", 1), ("THREADS", (2,))):
        monkeypatch.setattr(same_answer, name, few)
    rows = list(same_answer.compare(["membranes"]))
    assert [row.answers for row in rows] == [2, 4, 2, 2]
    assert {row.differing for row in rows} == {0}
    row, zeros = same_answer.Row("another"), np.zeros((2, 2), np.uint8)
    row.compare(Result(zeros + 1, zeros[None] + 0.5), Result(zeros, zeros[None] + 0.25))
    assert row.cells() == ["another", "1", "1", "2.5e-01"]
