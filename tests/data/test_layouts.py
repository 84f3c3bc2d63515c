"""Folders of every known layout are split alike on every machine, and bad ones are refused."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from prompttune.data import layouts
from prompttune.data.layouts import (
    Sample,
    find_split,
    load_sample,
)
from prompttune.utils.errors import InputError
from prompttune.utils.image_files import SLIDES


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"found, not read")


def plain(folder: Path, names: Iterable[str], fov: bool = False) -> Path:
    for name in names:
        touch(folder / "images" / f"{name}.jpg", folder / "masks" / f"{name}.png")
        if fov:
            touch(folder / "fov" / f"{name}.gif")
    return folder


def parts(folder: Path, train: int = 10, test: int = 4, fov: bool = False) -> Path:
    plain(folder / "train", (f"a{i:02}" for i in range(train)), fov)
    plain(folder / "test", (f"b{i:02}" for i in range(test)), fov)
    return folder


def chase(folder: Path, children: int = 14) -> Path:
    for child in range(1, children + 1):
        for side in "LR":
            stem = f"Image_{child:02}{side}"
            touch(*(folder / f"{stem}{end}" for end in (".jpg", "_1stHO.png", "_2ndHO.png")))
    return folder


def drive(folder: Path, test_masks: bool = True) -> Path:
    for part, numbers in (("training", range(21, 41)), ("test", range(1, 21))):
        for number in (f"{n:02}" for n in numbers):
            touch(folder / part / "images" / f"{number}_{part}.tif")
            touch(folder / part / "mask" / f"{number}_{part}_mask.gif")
            if test_masks or part == "training":
                touch(folder / part / "1st_manual" / f"{number}_manual1.gif")
    return folder


def names(samples: Iterable[Sample]) -> list[str]:
    return [sample.name for sample in samples]


def test_train_and_test_folders(tmp_path: Path) -> None:
    split = find_split(parts(tmp_path, fov=True))
    assert [len(split.train), len(split.val), len(split.test)] == [8, 2, 4]
    assert sorted(names(split.train + split.val)) == [f"a{i:02}" for i in range(10)]
    assert names(split.test) == ["b00", "b01", "b02", "b03"]
    assert split.test[0] == Sample(
        "b00",
        tmp_path / "test/images/b00.jpg",
        tmp_path / "test/masks/b00.png",
        tmp_path / "test/fov/b00.gif",
    )


def test_field_of_view_is_optional(tmp_path: Path) -> None:
    assert all(sample.field_of_view is None for sample in find_split(parts(tmp_path)).train)


def test_plain_folder_is_split_into_three(tmp_path: Path) -> None:
    split = find_split(plain(tmp_path, (str(i) for i in range(20))), val_fraction=0.25)
    assert [len(split.train), len(split.val), len(split.test)] == [12, 4, 4]
    everything = names(split.train + split.val + split.test)
    assert sorted(everything) == sorted(str(i) for i in range(20))


def test_drive_release(tmp_path: Path) -> None:
    split = find_split(drive(tmp_path))
    assert [len(split.train), len(split.val), len(split.test)] == [16, 4, 20]
    first = min(split.train + split.val, key=lambda sample: sample.name)
    training = tmp_path / "training"
    assert first == Sample(
        "21_training",
        training / "images/21_training.tif",
        training / "1st_manual/21_manual1.gif",
        training / "mask/21_training_mask.gif",
    )


def test_drive_release_without_test_masks(tmp_path: Path) -> None:
    split = find_split(drive(tmp_path, test_masks=False))
    assert [len(split.train), len(split.val), len(split.test)] == [16, 4, 0]


@pytest.mark.parametrize("seed", range(8))
def test_chase_keeps_both_eyes_of_a_child_together(tmp_path: Path, seed: int) -> None:
    split = find_split(chase(tmp_path), seed)
    assert [len(split.train), len(split.val), len(split.test)] == [18, 4, 6]
    children = [
        {name[:-1] for name in names(part)} for part in (split.train, split.val, split.test)
    ]
    assert sum(map(len, children)) == len(set.union(*children)) == 14
    assert all(sample.mask.name == f"{sample.name}_1stHO.png" for sample in split.train)


def test_split_depends_on_seed_and_names_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = plain(tmp_path, (f"{i:02}" for i in range(30)))
    splits = [find_split(folder, seed) for seed in range(4)]
    assert len({tuple(names(split.test)) for split in splits}) == 4
    real = Path.iterdir
    monkeypatch.setattr(Path, "iterdir", lambda path: sorted(real(path), reverse=True))
    assert [find_split(folder, seed) for seed in range(4)] == splits


def test_split_is_the_same_in_every_version(tmp_path: Path) -> None:
    split = find_split(plain(tmp_path, "abcdefghij"), seed=0)
    # In the order of `printf '0 %s' NAME | sha256sum`: i e g j ... (parts are sorted by name)
    assert (names(split.test), names(split.val)) == (["e", "i"], ["g", "j"])


@pytest.mark.parametrize("count", [1, 2])
def test_few_images_are_train_and_val_at_once(tmp_path: Path, count: int) -> None:
    for split in (
        find_split(parts(tmp_path / "parts", train=count)),
        find_split(plain(tmp_path / "plain", (str(i) for i in range(count)))),
    ):
        assert len(split.train) == count
        assert split.val == split.train
    assert split.test == ()


@pytest.mark.parametrize("count", [3, 4, 5, 9])
def test_no_part_is_empty_from_three_images_on(tmp_path: Path, count: int) -> None:
    split = find_split(plain(tmp_path, (str(i) for i in range(count))), val_fraction=0.99)
    assert split.train
    assert split.val
    assert split.test
    assert not set(split.test) & set(split.train + split.val)


def test_other_files_and_upper_case_suffixes(tmp_path: Path) -> None:
    plain(tmp_path, "abc")
    touch(*(tmp_path / "images" / name for name in ("notes.txt", ".hidden.png", "Thumbs.db")))
    (tmp_path / "images" / "a.jpg").rename(tmp_path / "images" / "a.JPG")
    split = find_split(tmp_path)
    assert sorted(names(split.train + split.test)) == ["a", "b", "c"]


def refusal(folder: Path) -> str:
    with pytest.raises(InputError) as refused:
        find_split(folder)
    line = str(refused.value)
    assert str(folder) in line
    assert "\n" not in line
    return line


def test_missing_folders(tmp_path: Path) -> None:
    assert "no such folder" in refusal(tmp_path / "nowhere")
    touch(tmp_path / "train" / "images" / "a.jpg")
    assert str(tmp_path / "train" / "masks") in refusal(tmp_path)
    plain(tmp_path / "train", "a")
    assert str(tmp_path / "test" / "images") in refusal(tmp_path)


def test_unknown_layout_names_the_known_ones(tmp_path: Path) -> None:
    touch(tmp_path / "pictures" / "a.png")
    line = refusal(tmp_path)
    for word in ("train/", "images/ + masks/", "1st_manual/", "Image_01L.jpg"):
        assert word in line


def test_no_images(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    assert "no images" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("missing", "lonely"), [("masks/b.png", "b.jpg"), ("images/b.jpg", "b.png")]
)
def test_missing_pair_names_the_file_without_partner(
    tmp_path: Path, missing: str, lonely: str
) -> None:
    plain(tmp_path, "abc")
    (tmp_path / missing).unlink()
    line = refusal(tmp_path)
    assert lonely in line
    assert "has no" in line


def test_no_masks_at_all(tmp_path: Path) -> None:
    plain(tmp_path, "abc")
    for path in (tmp_path / "masks").iterdir():
        path.unlink()
    assert "a.jpg: has no mask (nor have 2 others)" in refusal(tmp_path)


def test_missing_field_of_view(tmp_path: Path) -> None:
    plain(tmp_path, "abc", fov=True)
    (tmp_path / "fov" / "c.gif").unlink()
    assert "c.jpg: has no field of view" in refusal(tmp_path)


def test_missing_pair_in_releases(tmp_path: Path) -> None:
    drive(tmp_path / "drive")
    (tmp_path / "drive/training/1st_manual/30_manual1.gif").unlink()
    left_out = find_split(tmp_path / "drive").notes
    assert "30_training.tif, without mask" in left_out[0]
    chase(tmp_path / "chase")
    (tmp_path / "chase/Image_03R_1stHO.png").unlink()
    assert "Image_03R.jpg, without mask" in find_split(tmp_path / "chase").notes[0]


def test_two_files_of_one_name(tmp_path: Path) -> None:
    plain(tmp_path, "abc")
    touch(tmp_path / "images" / "b.png")
    assert "b.jpg" in refusal(tmp_path)


@pytest.mark.parametrize("fraction", [-0.1, 0.0, 1.0])
def test_val_fraction_must_be_a_fraction(tmp_path: Path, fraction: float) -> None:
    with pytest.raises(InputError, match="val_fraction"):
        find_split(parts(tmp_path), val_fraction=fraction)


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    mask = np.random.default_rng(0).integers(0, 2, (8, 12), dtype=np.uint8) * np.uint8(255)
    files = [tmp_path / name for name in ("image.png", "mask.png", "fov.png")]
    for path, array in zip(files, (np.dstack([mask] * 3), mask, 255 - mask), strict=True):
        Image.fromarray(array).save(path)
    return Sample("one", *files)


def test_load_sample(sample: Sample) -> None:
    loaded = load_sample(sample, 1)
    assert loaded.name == "one"
    np.testing.assert_array_equal(loaded.image[:, :, 0] == 255, loaded.class_map == 1)
    assert loaded.field_of_view is not None
    np.testing.assert_array_equal(loaded.field_of_view, loaded.class_map == 0)
    inverted = load_sample(sample, 1, {0: 1, 255: 0})
    np.testing.assert_array_equal(inverted.class_map, 1 - loaded.class_map)


@pytest.mark.parametrize("other", ["mask", "field_of_view"])
def test_sizes_must_agree(sample: Sample, other: str) -> None:
    path = getattr(sample, other)
    Image.fromarray(np.zeros((8, 10), np.uint8)).save(path)
    with pytest.raises(InputError) as refused:
        load_sample(sample, 1)
    for words in (str(sample.image), "12 x 8", str(path), "10 x 8"):
        assert words in str(refused.value)


def test_exif_turned_photo_fits_its_upright_mask(sample: Sample, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6
    photo = tmp_path / "photo.jpg"
    Image.fromarray(np.zeros((12, 8, 3), np.uint8)).save(photo, exif=exif)
    loaded = load_sample(Sample("photo", photo, sample.mask), 1)
    assert loaded.image.shape[:2] == loaded.class_map.shape == (8, 12)


def test_suffixes_are_what_the_reader_knows() -> None:
    Image.init()
    others = {".dcm", ".dicom", ".ima", ".nii", ".heic", ".heif", ".hif"} | SLIDES
    assert set(Image.registered_extensions()) >= layouts.SUFFIXES - others


def test_few_images_are_nested_and_leave_the_test_part(tmp_path: Path) -> None:
    parts(tmp_path, train=9, test=2)
    whole = find_split(tmp_path, seed=3)
    chosen = {}
    for count in (1, 4, 9):
        split = find_split(tmp_path, seed=3, images=count)
        chosen[count] = {each.name for each in (*split.train, *split.val)}
        assert len(chosen[count]) == count
        assert split.test == whole.test
    assert chosen[1] < chosen[4] < chosen[9]
    assert find_split(tmp_path, seed=3, images=9) == whole
    with pytest.raises(InputError, match="10 images asked for, 9 are there"):
        find_split(tmp_path, images=10)
