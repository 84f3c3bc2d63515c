"""Kinds of masks that people have are read as they are meant, or asked for."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from prompttune.data.mask_facts import look_at
from prompttune.data.mask_forms import AUTO, MaskOptions, read_stored
from prompttune.data.mask_survey import describe_masks, guess_classes, settle
from prompttune.data.masks import color_pairs, parse_colors, read_mask
from prompttune.utils.errors import InputError

SHAPE = (40, 60)
OBJECT = np.zeros(SHAPE, bool)
OBJECT[10:30, 15:40] = True
SECOND = np.zeros(SHAPE, bool)
SECOND[2:8, 44:58] = True


def cells(count: int, dtype: type = np.uint8, side: int = 3) -> np.ndarray:
    """Number `count` squares that touch each other."""
    columns = 25
    mask = np.zeros((side * (count // columns + 2), side * columns), dtype)
    for number in range(count):
        row, column = divmod(number, columns)
        inside = np.s_[row * side : (row + 1) * side, column * side : (column + 1) * side]
        mask[inside] = number + 1
    return mask


def written(folder: Path, *masks: np.ndarray, suffix: str = "png") -> list[Path]:
    paths = [folder / f"{number}.{suffix}" for number in range(len(masks))]
    for path, mask in zip(paths, masks, strict=True):
        if suffix == "tif":
            tifffile.imwrite(path, mask)
        else:
            Image.fromarray(mask).save(path)
    return paths


def settled(paths: list[Path], classes: int = 1, options: MaskOptions = AUTO) -> MaskOptions:
    return settle([look_at(read_stored(path, options), path) for path in paths], classes, options)


@pytest.mark.parametrize("count", [21, 127, 128, 150, 255])
def test_numbers_of_things_are_one_class(tmp_path: Path, count: int) -> None:
    (path,) = written(tmp_path, cells(count))
    np.testing.assert_array_equal(read_mask(path, 1), cells(count) > 0)


@pytest.mark.parametrize("count", [180, 300])
def test_16_bit_numbers_of_things_are_one_class(tmp_path: Path, count: int) -> None:
    (path,) = written(tmp_path, cells(count, np.uint16), suffix="tif")
    np.testing.assert_array_equal(read_mask(path, 1), cells(count, np.uint16) > 0)


def test_a_few_numbers_that_lack_are_no_reason_for_doubt(tmp_path: Path) -> None:
    mask = cells(150)
    mask[np.isin(mask, (3, 77, 140))] = 0
    (path,) = written(tmp_path, mask)
    np.testing.assert_array_equal(read_mask(path, 1), mask > 0)


def test_few_things_are_asked_for_in_one_mask_and_seen_in_several(tmp_path: Path) -> None:
    one = written(tmp_path, cells(5))
    with pytest.raises(InputError, match="--mask_kind instances"):
        read_mask(one[0], 1)
    np.testing.assert_array_equal(
        read_mask(one[0], 1, options=MaskOptions("instances")), cells(5) > 0
    )
    apart = [np.pad(cells(count), 2) for count in (1, 3, 5, 9, 4, 1)]
    assert settled(written(tmp_path, *apart)).kind == "instances"


def test_class_maps_are_not_taken_for_numbers_of_things(tmp_path: Path) -> None:
    maps = [
        np.where(OBJECT, a, np.where(SECOND, b, 0)) for a, b in ((1, 2), (2, 1), (1, 3), (2, 3))
    ]
    paths = written(tmp_path, *(each.astype(np.uint8) for each in maps))
    assert settled(paths).kind == "auto"
    with pytest.raises(InputError, match="values 0, 1, 2"):
        read_mask(paths[0], 1)


def test_shades_of_all_values_are_no_numbers_of_things(tmp_path: Path) -> None:
    rows, columns = np.mgrid[:120, :120]
    disc = ((25 - np.hypot(rows - 60, columns - 60)) / 30 + 0.5).clip(0, 1)
    mask = (disc * 255).round().astype(np.uint8)
    assert len(np.unique(mask)) > 128
    (path,) = written(tmp_path, mask)
    np.testing.assert_array_equal(read_mask(path, 1), mask > 127)
    names, options = guess_classes([look_at(read_stored(path), path)], AUTO)
    assert (names, options.kind) == (("foreground",), "gray")


def test_boolean_tiff_is_true_where_the_array_is(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "mask.tif", OBJECT)
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.tif", 1), OBJECT)
    tifffile.imwrite(tmp_path / "pages.tif", np.stack([~OBJECT, OBJECT]))
    np.testing.assert_array_equal(read_mask(tmp_path / "pages.tif", 1, page=1), OBJECT)


@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
def test_scanned_bits_are_what_is_displayed(tmp_path: Path, photometric: str) -> None:
    stored = OBJECT if photometric == "minisblack" else ~OBJECT
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric=photometric, software="a scanner")
    np.testing.assert_array_equal(read_mask(tmp_path / "a.tif", 1), OBJECT)


@pytest.mark.parametrize("suffix", ["png", "gif"])
@pytest.mark.parametrize("white_first", [True, False])
def test_a_palette_of_black_and_white_is_read_by_its_colors(
    tmp_path: Path, suffix: str, white_first: bool
) -> None:
    image = Image.fromarray((OBJECT ^ white_first).astype(np.uint8), "P")
    image.putpalette([255, 255, 255, 0, 0, 0] if white_first else [0, 0, 0, 255, 255, 255])
    image.save(tmp_path / f"mask.{suffix}")
    np.testing.assert_array_equal(read_mask(tmp_path / f"mask.{suffix}", 1), OBJECT)


def test_other_palettes_are_indices(tmp_path: Path) -> None:
    image = Image.fromarray(OBJECT.astype(np.uint8), "P")
    image.putpalette([255, 255, 255, 255, 0, 0])
    image.save(tmp_path / "mask.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.png", 1), OBJECT)


@pytest.mark.parametrize("color", [(255, 255, 255), (0, 0, 0), (9, 80, 200)])
def test_alpha_is_the_mask_where_the_colors_say_nothing(tmp_path: Path, color: tuple) -> None:
    alpha = OBJECT * np.uint8(255)
    rgba = np.dstack([np.broadcast_to(np.array(color, np.uint8), (*SHAPE, 3)), alpha])
    Image.fromarray(rgba).save(tmp_path / "rgba.png")
    Image.fromarray(np.dstack([np.full(SHAPE, color[0], np.uint8), alpha]), "LA").save(
        tmp_path / "la.png"
    )
    for name in ("rgba.png", "la.png"):
        np.testing.assert_array_equal(read_mask(tmp_path / name, 1), OBJECT)


def test_alpha_of_a_cut_out_photo_is_the_mask(tmp_path: Path) -> None:
    photo = np.random.default_rng(0).integers(0, 256, (*SHAPE, 3), dtype=np.uint8)
    Image.fromarray(np.dstack([photo, OBJECT * np.uint8(255)])).save(tmp_path / "cut.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "cut.png", 1), OBJECT)


def test_alpha_that_is_full_everywhere_is_dropped(tmp_path: Path) -> None:
    gray = OBJECT * np.uint8(255)
    Image.fromarray(np.dstack([gray, gray, gray, np.full_like(gray, 255)])).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "a.png", 1), OBJECT)


@pytest.mark.parametrize("grays", [(127, 255), (128, 255), (85, 170), (50, 100), (64, 128, 192)])
def test_grays_far_apart_are_classes_in_rising_order(tmp_path: Path, grays: tuple) -> None:
    expected = np.zeros(SHAPE, np.uint8)
    for number in range(len(grays)):
        expected[4:36, 18 * number : 18 * number + 14] = number + 1
    (path,) = written(tmp_path, np.array([0, *grays], np.uint8)[expected])
    np.testing.assert_array_equal(read_mask(path, len(grays)), expected)
    names, options = guess_classes([look_at(read_stored(path), path)], AUTO)
    assert names == tuple(str(number) for number in range(1, len(grays) + 1))
    np.testing.assert_array_equal(read_mask(path, len(names), options=options), expected)
    assert f"{grays[0]} = 1" in describe_masks([look_at(read_stored(path), path)], names, options)


def test_a_set_decides_what_one_mask_cannot(tmp_path: Path) -> None:
    both = np.where(OBJECT, 127, np.where(SECOND, 255, 0)).astype(np.uint8)
    paths = written(tmp_path, both, np.where(both == 255, 255, 0).astype(np.uint8))
    options = settled(paths, classes=2)
    assert set(np.unique(read_mask(paths[1], 2, options=options))) == {0, 2}
    with pytest.raises(InputError, match=r"127, 255, each on areas.*--classes.*--mask_kind gray"):
        settled(paths, classes=1)
    with pytest.raises(InputError, match="--mask_kind gray"):
        read_mask(paths[0], 1)
    np.testing.assert_array_equal(read_mask(paths[0], 1, options=MaskOptions("gray")), both > 127)


def test_a_seam_of_one_gray_is_no_class(tmp_path: Path) -> None:
    mask = OBJECT * np.uint8(255)
    mask[9, 15:40] = mask[30, 15:40] = 128
    (path,) = written(tmp_path, mask)
    np.testing.assert_array_equal(read_mask(path, 1), mask > 127)


def test_one_other_gray_in_all_masks_is_the_class(tmp_path: Path) -> None:
    paths = written(tmp_path, OBJECT * np.uint8(128), SECOND * np.uint8(128))
    np.testing.assert_array_equal(read_mask(paths[1], 1, options=settled(paths)), SECOND)


def test_empty_masks_of_a_set_of_jpegs(tmp_path: Path) -> None:
    for name, mask in (("a", OBJECT), ("b", np.zeros(SHAPE, bool))):
        Image.fromarray(mask * np.uint8(255)).save(tmp_path / f"{name}.jpg", quality=60)
    noisy = np.zeros(SHAPE, np.uint8)
    noisy[::5] = 2
    Image.fromarray(noisy).save(tmp_path / "c.png")
    paths = [tmp_path / name for name in ("a.jpg", "b.jpg", "c.png")]
    options = settled(paths)
    assert options.kind == "gray"
    assert (read_mask(paths[0], 1, options=options) == OBJECT).mean() > 0.99
    assert not read_mask(paths[2], 1, options=options).any()


def colored(*colors: tuple[int, int, int]) -> np.ndarray:
    picture = np.zeros((*SHAPE, 3), np.uint8)
    for inside, color in zip((OBJECT, SECOND), colors, strict=False):
        picture[inside] = color
    return picture


def test_colors_are_named(tmp_path: Path) -> None:
    (path,) = written(tmp_path, colored((255, 0, 0), (0, 255, 0)))
    with pytest.raises(InputError, match=r"#ff0000 \(20\.8 %\).*--colors"):
        read_mask(path, 2)
    colors = parse_colors("crack=#f00, pothole=#00FF00", ["crack", "pothole"])
    expected = OBJECT + 2 * SECOND
    np.testing.assert_array_equal(read_mask(path, 2, options=MaskOptions(colors=colors)), expected)
    Image.open(path).save(path.with_suffix(".jpg"), quality=95, subsampling=0)
    near = read_mask(path.with_suffix(".jpg"), 2, options=MaskOptions(colors=colors))
    assert (near == expected).mean() > 0.97


def test_one_color_on_black_is_the_class(tmp_path: Path) -> None:
    (path,) = written(tmp_path, colored((200, 40, 40)))
    np.testing.assert_array_equal(read_mask(path, 1), OBJECT)


def test_a_color_that_nobody_named_is_asked_for(tmp_path: Path) -> None:
    (path,) = written(tmp_path, colored((255, 0, 0), (0, 0, 255)))
    colors = parse_colors("crack=#ff0000", ["crack"])
    with pytest.raises(InputError, match=r"#0000ff on 3\.5 % .* background=#0000ff"):
        read_mask(path, 1, options=MaskOptions(colors=colors))
    colors = parse_colors("crack=#ff0000,background=#0000ff", ["crack"])
    np.testing.assert_array_equal(read_mask(path, 1, options=MaskOptions(colors=colors)), OBJECT)


@pytest.mark.parametrize("text", ["crack", "crack=red", "=#ff0000", "crack=#ff00"])
def test_colors_that_are_none(text: str) -> None:
    with pytest.raises(InputError, match="NAME=#RRGGBB"):
        color_pairs(text)


def test_a_kind_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    (path,) = written(tmp_path, OBJECT * np.uint8(255))
    with pytest.raises(InputError, match="no alpha channel"):
        read_mask(path, 1, options=MaskOptions("alpha"))
    with pytest.raises(InputError, match="one of auto, index"):
        MaskOptions("magic")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_masks_of_imagej_mean_what_they_store(tmp_path: Path, dtype: type) -> None:
    stored = OBJECT * dtype(255)
    options = {"photometric": "miniswhite", "software": "other", "metadata": None}
    tifffile.imwrite(tmp_path / "a.tif", stored, description="ImageJ=1.54f\n", **options)
    np.testing.assert_array_equal(read_mask(tmp_path / "a.tif", 1), OBJECT)
    displayed = np.where(OBJECT, 0, np.iinfo(dtype).max).astype(dtype)
    tifffile.imwrite(tmp_path / "b.tif", displayed, **options)
    np.testing.assert_array_equal(read_mask(tmp_path / "b.tif", 1), OBJECT)


def quarters(*grays: int) -> np.ndarray:
    mask = np.zeros((40, 80), np.uint8)
    for place, gray in enumerate(grays):
        mask[5:35, 20 * place : 20 * place + 14] = gray
    return mask


def test_grays_at_other_distances_are_asked_for(tmp_path: Path) -> None:
    (path,) = written(tmp_path, quarters(100, 200, 255))
    facts = [look_at(read_stored(path), path)]
    for ask in (lambda: guess_classes(facts, AUTO), lambda: settle(facts, 1, AUTO)):
        with pytest.raises(InputError, match=r"grays 100, 200, 255.*--classes.*--mask_kind gray"):
            ask()
    assert read_mask(path, 3).max() == 3


def test_classes_in_a_jpeg_are_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "mask.jpg"
    noise = np.random.default_rng(0).integers(-5, 6, (40, 80))
    noisy = (quarters(127, 255, 127).astype(int) + noise).clip(0, 255).astype(np.uint8)
    Image.fromarray(noisy).save(path, quality=70)
    facts = [look_at(read_stored(path), path)]
    assert facts[0].shades
    with pytest.raises(InputError, match=r"mask\.jpg: areas of a gray.*--colors A=#7f7f7f"):
        guess_classes(facts, AUTO)
    with pytest.raises(InputError, match="--mask_kind gray"):
        settle(facts, 1, AUTO)
    colors = parse_colors("a=#7f7f7f,b=#ffffff", ["a", "b"])
    found = read_mask(path, 2, options=MaskOptions(colors=colors))
    np.testing.assert_array_equal(found[10:30, 2:12], 1)
    np.testing.assert_array_equal(found[10:30, 22:32], 2)
    with pytest.raises(InputError, match="--colors A=#7f7f7f"):
        read_mask(path, 2)
