"""Splits give every part its share of the images that show something, and repeat by seed."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from prompttune.data.folders import Finding
from prompttune.data.layouts import Split, find_split, load_sample
from prompttune.data.splitting import rank, split_off
from prompttune.utils.errors import InputError


def data(folder: Path, values: dict[str, set[int]]) -> Path:
    """Write an image and a mask for each name, the mask showing some values."""
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    for name, shown in values.items():
        mask = np.zeros((8, 12), np.uint8)
        for column, value in enumerate(sorted(shown)):
            mask[2:6, column] = value
        Image.new("RGB", (12, 8)).save(folder / "images" / f"{name}.png")
        Image.fromarray(mask).save(folder / "masks" / f"{name}.png")
    return folder


def positives(split: Split, value: int = 1, classes: int = 1) -> list[int]:
    """Count in each part the images that show a class."""
    return [
        sum((load_sample(each, classes).class_map == value).any() for each in part)
        for part in (split.train, split.val, split.test)
    ]


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("count", [3, 6])
def test_few_positives_reach_every_part(tmp_path: Path, seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    shown = set(rng.choice(20, count, replace=False).tolist())
    folder = data(tmp_path, {f"part_{n:02}": {1} if n in shown else set() for n in range(20)})
    split = find_split(folder, seed)
    assert min(positives(split)) >= 1
    assert sum(positives(split)) == count
    assert [len(split.train), len(split.val), len(split.test)] == [13, 3, 4]
    assert find_split(folder, seed) == split


@pytest.mark.parametrize(("count", "expected"), [(1, [1, 0, 0]), (2, [1, 1, 0])])
def test_what_is_too_few_for_all_is_learned_from_first(
    tmp_path: Path, count: int, expected: list[int]
) -> None:
    for seed in range(6):
        folder = tmp_path / str(seed)
        data(folder, {f"{n:02}": {1} if n < count else set() for n in range(20)})
        assert positives(find_split(folder, seed)) == expected


def test_rare_classes_reach_every_part(tmp_path: Path) -> None:
    rare = {1: {3, 7, 11}, 2: {0, 1, 2, 3, 4}, 3: set(range(30))}
    names = {f"{n:02}": {value for value, who in rare.items() if n in who} for n in range(30)}
    for seed in range(6):
        split = find_split(data(tmp_path / str(seed), names), seed, classes=("a", "b", "c"))
        for value in rare:
            assert min(positives(split, value, classes=3)) >= 1


def test_where_all_show_the_class_the_split_is_that_of_the_names(tmp_path: Path) -> None:
    names = [f"{n:02}" for n in range(20)]
    split = find_split(data(tmp_path, {name: {1} for name in names}), seed=2)
    ordered = sorted(names, key=lambda name: rank(2, name))
    assert {each.name for each in split.test} == set(ordered[:4])


def test_few_images_show_something(tmp_path: Path) -> None:
    folder = data(tmp_path, {f"{n:02}": {1} if n in (5, 9, 14, 17) else set() for n in range(20)})
    for seed in range(6):
        chosen = set()
        for count in (1, 2, 3, 5):
            split = find_split(folder, seed, images=count)
            assert positives(split)[0] >= 1
            names = {each.name for each in (*split.train, *split.val)}
            assert chosen <= names
            chosen = names


def test_few_masks_are_read_where_all_show_the_class() -> None:
    from prompttune.data.layouts import Sample

    samples = [Sample(f"{n:03}", Path("i"), Path("m")) for n in range(500)]
    asked = []
    split_off(samples, 0.2, 0, lambda s: s.name, lambda s: asked.append(s) or frozenset({1}))
    assert len(asked) < 10


def test_groups_by_a_pattern_stay_together(tmp_path: Path) -> None:
    names = {f"patient{p}_slice{s}": {1} for p in range(8) for s in range(3)}
    split = find_split(data(tmp_path, names), finding=Finding(group_by=r"patient(\d+)"))
    parts = [{each.name[:8] for each in part} for part in (split.train, split.val, split.test)]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 8
    assert all(len(part) == 3 * len(who) for part, who in zip(
        (split.train, split.val, split.test), parts, strict=True
    ))  # fmt: skip
    with pytest.raises(InputError, match="--group_by"):
        find_split(tmp_path, finding=Finding(group_by="("))


def test_groups_that_keep_nothing_together_are_told(tmp_path: Path) -> None:
    names = {f"patient{p}_slice{s}": {1} for p in range(3) for s in range(3)}
    folder = data(tmp_path / "a", names | {"odd": {1}})
    with pytest.raises(InputError, match=r"'subject\(\\d\+\)': matches no name \(such as"):
        find_split(folder, finding=Finding(group_by=r"subject(\d+)"))
    notes = find_split(folder, finding=Finding(group_by=r"patient(\d+)")).notes
    assert any("1 of 10 are in no group by --group_by, such as 'odd'" in line for line in notes)
    notes = find_split(folder, finding=Finding(group_by=r"(patient|odd)(?=\d|$)")).notes
    assert not any("all are of one group" in line for line in notes)
    for part in ("train", "test"):
        data(tmp_path / "b" / part, names)
    notes = find_split(tmp_path / "b", finding=Finding(group_by=r"patient(\d+)")).notes
    assert any("3 groups lie in several parts, such as '0'" in line for line in notes)
    one = find_split(tmp_path / "b" / "test", finding=Finding(group_by="^(pat)"))
    assert any("all are of one group" in line for line in one.notes)


def test_what_is_scored_first_shows_something(tmp_path: Path) -> None:
    for part, count in (("train", 12), ("test", 10)):
        names = {f"{n:02}": {1} if n >= count - 2 else set() for n in range(count)}
        data(tmp_path / part, names)
    split = find_split(tmp_path)
    assert [each.name for each in split.test][:3] == ["08", "09", "00"]
    assert any((load_sample(each, 1).class_map == 1).any() for each in split.val[:3])
