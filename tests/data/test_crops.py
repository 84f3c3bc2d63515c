"""Training crops: a function of (seed, i), aligned, at the right scale, with ignored borders."""

import pickle
import weakref
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from cropping import CANVAS
from torch import Tensor
from torch.utils.data import DataLoader

from prompttune.data.crops import Augmentation, CropDataset, Share, StepSampler
from prompttune.data.layouts import LoadedSample
from prompttune.data.picture_store import PictureStore
from prompttune.synthetic.fundus import generate_fundus
from prompttune.utils.errors import InputError


def blobs(seed: int, height: int = 70, width: int = 90) -> LoadedSample:
    """Return a sample whose class can be seen in its image: background dark, class bright."""
    rng = np.random.default_rng(seed)
    class_map = (rng.random((height // 10 + 1, width // 10 + 1)) > 0.7).astype(np.uint8)
    class_map = class_map.repeat(10, 0).repeat(10, 1)[:height, :width]
    image = np.where(class_map, 220, 40).astype(np.uint8)[:, :, None].repeat(3, 2)
    return LoadedSample(f"blobs-{seed}", image, class_map)


def dataset(
    *samples: LoadedSample,
    augment: bool = False,
    strong: bool = False,
    flips: bool = True,
    **changes,
) -> CropDataset:
    varied = Augmentation(CANVAS, strong, flips) if augment else None
    options = {"canvas": CANVAS, "scale": 1.0, "seed": 0, "length": 20, "augment": varied}
    return CropDataset(samples, **(options | changes))


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return torch.equal(a["image"], b["image"]) and torch.equal(a["class_map"], b["class_map"])


@pytest.mark.parametrize("augment", [False, True])
def test_item_shapes_and_ranges(augment: bool) -> None:
    crops = dataset(blobs(0), augment=augment)
    items = list(crops)
    assert len(items) == len(crops) == 20
    for item in items:
        image, class_map = item["image"], item["class_map"]
        assert image.shape == (3, CANVAS, CANVAS)
        assert image.dtype == torch.float32
        assert image.min() >= 0
        assert image.max() <= 1
        assert class_map.shape == (CANVAS, CANVAS)
        assert class_map.dtype == torch.int64
        assert set(class_map.unique().tolist()) <= {0, 1, 255}


@pytest.mark.parametrize("augment", [False, True])
def test_an_item_depends_on_seed_and_index_alone(augment: bool) -> None:
    samples = [blobs(0), blobs(1)]
    items = list(dataset(*samples, augment=augment))
    fresh = dataset(*samples, augment=augment)
    np.random.seed(3)  # noqa: NPY002 (nobody's global state may matter)
    torch.manual_seed(3)
    for index in (19, 4, 4, 11, 0):
        assert same(fresh[index], items[index])
    assert not any(same(items[0], other) for other in items[1:])
    other_seed = dataset(*samples, augment=augment, seed=1)
    assert not same(other_seed[0], items[0])


def test_items_go_on_beyond_the_length() -> None:
    short, long = (dataset(blobs(0), length=length, augment=True) for length in (2, 30))
    assert same(short[25], long[25])


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # on one core
def test_workers_see_the_same_items() -> None:
    crops = dataset(blobs(0), length=8, augment=True)
    batches = list(DataLoader(crops, 4, num_workers=2))
    for batch, expected in zip(batches, DataLoader(crops, 4), strict=True):
        assert same(batch, expected)


def test_data_set_can_be_sent_to_spawned_workers() -> None:
    crops = dataset(blobs(0), augment=True)
    copy = pickle.loads(pickle.dumps(crops))
    assert same(copy[7], crops[7])


@pytest.mark.parametrize("augment", [False, True])
@pytest.mark.filterwarnings("error")
def test_pictures_that_memory_does_not_hold_give_the_same_items(
    augment: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = [blobs(0), blobs(1), blobs(2)]
    expected = list(dataset(*samples, augment=augment))
    monkeypatch.setattr("prompttune.data.crops.PictureStore", lambda: PictureStore(30_000))
    crops = dataset(*samples, augment=augment)
    sent = pickle.loads(pickle.dumps(crops))
    for own, worker, known in zip(crops, sent, expected, strict=True):
        assert same(own, known)
        assert same(worker, known)


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # on one core
def test_workers_leave_pictures_on_the_disk_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prompttune.data.crops.PictureStore", lambda: PictureStore(0))
    crops = dataset(blobs(0), blobs(1), length=8)
    for _ in range(2):
        batches = list(DataLoader(crops, 4, num_workers=2))
        for batch, expected in zip(batches, DataLoader(crops, 4), strict=True):
            assert same(batch, expected)


def test_samples_are_read_one_after_the_other() -> None:
    read: list[weakref.ref[LoadedSample]] = []

    class Folder(Sequence):
        def __len__(self) -> int:
            return 6

        def __getitem__(self, index: int) -> LoadedSample:
            if index >= 6:
                raise IndexError
            assert sum(sample() is not None for sample in read) < 2
            sample = blobs(index)
            read.append(weakref.ref(sample))
            return sample

    CropDataset(Folder(), CANVAS, 1.0, 0, 4)
    assert len(read) == 6


@pytest.mark.parametrize(
    ("augment", "strong", "least"),
    [(False, False, 0.9999), (True, False, 0.97), (True, True, 0.95)],
)
def test_image_and_class_map_move_together(augment: bool, strong: bool, least: float) -> None:
    agreement = []
    for item in dataset(blobs(0, 200, 200), length=60, augment=augment, strong=strong):
        image, class_map = item["image"].mean(0), item["class_map"]
        counted = class_map != 255
        middle = (image[counted].max() + image[counted].min()) / 2
        if image[counted].max() - image[counted].min() > 0.3:
            agreement.append(((image > middle).long() == class_map)[counted].float().mean())
    assert len(agreement) > 40
    assert np.mean(agreement) > least


def test_crops_without_augmentation_are_windows_of_the_image() -> None:
    sample = blobs(0)
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, sample.image.shape, dtype=np.uint8)
    sample = LoadedSample("noise", image, sample.class_map)
    places = set()
    for item in dataset(sample, length=10):
        crop = (item["image"].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
        windows = np.lib.stride_tricks.sliding_window_view(image, crop.shape)[:, :, 0]
        found = np.argwhere((windows == crop).all((2, 3, 4)))
        assert len(found) == 1
        top, left = found[0]
        expected = sample.class_map[top : top + CANVAS, left : left + CANVAS]
        np.testing.assert_array_equal(item["class_map"].numpy(), expected)
        places.add((top, left))
    assert len(places) > 5


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0])
def test_scale_is_canvas_pixels_per_image_pixel(scale: float) -> None:
    class_map = np.zeros((128, 128), np.uint8)
    class_map[:, ::32] = 1  # lines 32 pixels apart
    class_map[:, 1::32] = 1
    image = class_map[:, :, None].repeat(3, 2) * np.uint8(255)
    for item in dataset(LoadedSample("lines", image, class_map), scale=scale, length=5):
        rows = item["class_map"][5]
        starts = torch.nonzero((rows[1:] == 1) & (rows[:-1] == 0))[:, 0].tolist()
        if len(starts) > 1:
            assert set(np.diff(starts)) == {32 * scale}
        assert (rows == 1).sum() <= CANVAS / 32 / scale * 2 * scale + 2 * scale


def test_outside_the_field_of_view_is_ignored() -> None:
    sample = blobs(0)
    field = np.zeros(sample.class_map.shape, bool)
    field[20:50, 30:70] = True
    inside = LoadedSample("field", sample.image, sample.class_map, field)
    seen = 0
    for item in dataset(inside, length=30):
        counted = item["class_map"] != 255
        assert 0 < counted.sum() <= 30 * 40
        rows, columns = torch.nonzero(counted, as_tuple=True)
        box = (rows.max() - rows.min() + 1) * (columns.max() - columns.min() + 1)
        assert box == counted.sum()  # a rectangle, as the field of view is
        seen += int((~counted).any())
    assert seen > 0
    assert not (sample.class_map == 255).any()  # the sample itself is left as it is


@pytest.mark.parametrize("augment", [False, True])
def test_small_images_are_mirrored_and_the_border_is_ignored(augment: bool) -> None:
    class_map = np.ones((9, 11), np.uint8)
    class_map[0] = 0
    image = np.full((9, 11, 3), 200, np.uint8)
    for item in dataset(LoadedSample("small", image, class_map), length=8, augment=augment):
        counted = int((item["class_map"] != 255).sum())
        if augment:
            assert 0.75 * 99 < counted < 1.35 * 99
        else:
            assert counted == 99
            assert torch.allclose(item["image"], torch.tensor(200 / 255))
        assert item["image"].min() > 0.2  # mirrored, not black


def test_image_of_one_pixel() -> None:
    sample = LoadedSample("dot", np.full((1, 1, 3), 9, np.uint8), np.ones((1, 1), np.uint8))
    item = dataset(sample)[0]
    assert (item["class_map"] != 255).sum() == 1
    assert torch.allclose(item["image"], torch.tensor(9 / 255))


def test_rare_classes_are_seen_in_half_of_the_crops() -> None:
    class_map = np.zeros((400, 400), np.uint8)
    class_map[7, 390], class_map[300:380, 20:100] = 2, 1
    sample = LoadedSample("rare", np.zeros((400, 400, 3), np.uint8), class_map)
    items = list(dataset(sample, length=300))
    dot = np.mean([bool((item["class_map"] == 2).any()) for item in items])
    square = np.mean([bool((item["class_map"] == 1).any()) for item in items])
    assert 0.17 < dot < 0.36  # a quarter is placed around it, hardly any other crop meets it
    assert square > 0.2
    empty = np.mean([bool((item["class_map"] == 0).all()) for item in items])
    assert 0.25 < empty < 0.5


def test_ignored_pixels_are_no_anchor() -> None:
    class_map = np.full((300, 300), 255, np.uint8)
    class_map[150:160, 150:160] = 1
    sample = LoadedSample("island", np.zeros((300, 300, 3), np.uint8), class_map)
    assert all((item["class_map"] == 1).any() for item in dataset(sample, length=40))


def test_masks_without_any_class_are_refused() -> None:
    empty = LoadedSample("void", np.zeros((40, 40, 3), np.uint8), np.zeros((40, 40), np.uint8))
    with pytest.raises(InputError, match=r"none of the 1 masks \(void\) shows any class"):
        dataset(empty)
    both = dataset(empty, blobs(0))
    assert len(list(both)) == 20


@pytest.mark.parametrize("augment", [False, True])
def test_outside_the_field_of_view_may_be_background(augment: bool) -> None:
    sample = blobs(0)
    class_map = np.ones_like(sample.class_map)
    class_map[:10] = 255
    field = np.zeros(class_map.shape, bool)
    field[:, 30:70] = True
    whole = LoadedSample("field", np.uint8(field)[..., None].repeat(3, 2) * 255, class_map, field)
    items = list(dataset(whole, length=40, outside=0, augment=augment, scale=2.0))
    seen = [item["class_map"] for item in items]
    assert {0, 1, 255} == set(torch.stack(seen).unique().tolist())
    assert any((each == 0).all() for each in seen)  # crops lie there, too
    for item in items if not augment else ():  # outside is dark here
        counted = item["class_map"] != 255
        inside = item["image"].mean(0) > 0.5
        assert ((item["class_map"] == 1) == inside)[counted].float().mean() > 0.9


def test_class_outside_the_field_of_view_does_not_count() -> None:
    sample = blobs(0)
    blind = LoadedSample("blind", sample.image, sample.class_map, sample.class_map == 0)
    with pytest.raises(InputError, match="shows any class"):
        dataset(blind)


def test_generated_fundus_crops() -> None:
    crops = dataset(*(generate_fundus(seed, 128) for seed in range(2)), augment=True, length=10)
    assert all((item["class_map"] != 255).any() for item in crops)
    assert any((item["class_map"] == 1).any() for item in crops)


@pytest.mark.parametrize("world", [1, 2, 3, 6])
@pytest.mark.parametrize("made", [0, 1, 4, 12])
def test_devices_share_a_batch_without_loss_or_repeat(world: int, made: int) -> None:
    shares = [Share(12, made, rank, world) for rank in range(world)]
    for step in (0, 5):
        both = [[*one.loaded(step), *one.generated(step)] for one in shares]
        assert {len(indices) for indices in both} == {12 // world}
        every = sorted(index for indices in both for index in indices)
        assert every == list(range(12 * step, 12 * step + 12))
        generated = sorted(index for one in shares for index in one.generated(step))
        assert generated == list(range(12 * step + 12 - made, 12 * step + 12))


def test_the_sampler_goes_on_where_a_run_stopped() -> None:
    share = Share(4, made=1)
    whole = iter(StepSampler(share))
    _ = next(whole), next(whole)
    resumed = iter(StepSampler(share, start=2))
    assert next(whole) == next(resumed) == [8, 9, 10]


@pytest.mark.parametrize("canvas", [32, 96, 101])
def test_margin_holds_what_the_strongest_rotation_and_shrinking_bring_in(canvas: int) -> None:
    corner = np.array([canvas / 2, canvas / 2])
    reach = 0.0
    for angle in np.radians(np.linspace(-15, 15, 31)):
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        reach = max(reach, np.abs(turn @ corner / 0.9).max())
    margin = Augmentation(canvas).margin
    assert reach <= canvas / 2 + margin - 1 < reach + 1  # one more for interpolation


def test_augmentation_turns_mirrors_and_recolors() -> None:
    rng = np.random.default_rng(0)
    augment = Augmentation(CANVAS)
    side = CANVAS + 2 * augment.margin
    image = rng.integers(60, 200, (side, side, 3), dtype=np.uint8)
    quarters = np.zeros((side, side), np.uint8)  # 0 1 / 2 3
    quarters[side // 2 :] += 2
    quarters[:, side // 2 :] += 1
    corners, means = set(), set()
    for seed in range(100):
        augmented, moved = augment(image, quarters, seed)
        assert set(np.unique(moved)) <= {0, 1, 2, 3}
        corners.add((moved[4, 4], moved[4, -5]))
        means.add(tuple(augmented.mean((0, 1)).round()))
    assert len(corners) == 8  # all flips and quarter turns
    assert len(means) > 50


@pytest.mark.parametrize("strong", [False, True])
def test_without_flips_left_stays_left_and_up_is_up(strong: bool) -> None:
    augment = Augmentation(CANVAS, strong, flips=False)
    side = CANVAS + 2 * augment.margin
    ramps = np.stack(np.meshgrid(*2 * [np.arange(side)]), -1).astype(np.uint8)
    image = np.dstack([ramps, ramps[..., :1]])
    ways = set()
    for seed in range(40):
        _, columns = augment(image, ramps[..., 0], seed)
        _, rows = augment(image, ramps[..., 1], seed)
        across = columns[:, -8:].mean() > columns[:, :8].mean()
        ways.add((across, rows[-8:].mean() > rows[:8].mean()))
    assert ways == {(True, True)}


def test_strong_augmentation_changes_light_and_sizes_more() -> None:
    spread = {}
    for strong in (False, True):
        augment = Augmentation(CANVAS, strong)
        side = CANVAS + 2 * augment.margin
        image = np.full((side, side, 3), 120, np.uint8)
        rows, columns = np.indices((side, side)) - side // 2
        disk = (rows**2 + columns**2 < (CANVAS // 4) ** 2).astype(np.uint8)
        crops = [augment(image, disk, seed) for seed in range(150)]
        sizes = [np.sqrt(moved.sum() / disk.sum()) for _, moved in crops]
        spread[strong] = (np.std([changed.mean() for changed, _ in crops]), np.ptp(sizes))
        least, most = (0.62, 1.55) if strong else (0.87, 1.13)
        assert least < min(sizes)
        assert max(sizes) < most
    for usual, strongly in zip(*spread.values(), strict=True):
        assert strongly > 1.4 * usual
