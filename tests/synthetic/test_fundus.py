"""Generated fundus images: decided by the seed, plausible anatomy, a photograph's numbers."""

import hashlib
import itertools
import math

import numpy as np
import pytest
from scipy import ndimage

from prompttune.data.layouts import LoadedSample
from prompttune.synthetic.fundus import generate_fundus
from prompttune.synthetic.vessels import THINNEST, Anatomy, Vessel, grow_vessels

SEEDS = range(6)


@pytest.fixture(scope="module")
def fundi() -> list[LoadedSample]:
    return [generate_fundus(seed) for seed in SEEDS]


@pytest.fixture(scope="module")
def trees() -> list[tuple[Anatomy, list[Vessel]]]:
    grown = []
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        anatomy = Anatomy.draw(rng)
        grown.append((anatomy, grow_vessels(rng, anatomy)))
    return grown


def digest(sample: LoadedSample) -> str:
    assert sample.field_of_view is not None
    arrays = (sample.image, sample.class_map, sample.field_of_view)
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()


def test_arrays_are_what_the_docstring_says(fundi: list[LoadedSample]) -> None:
    for fundus, size in [(each, 384) for each in fundi] + [(generate_fundus(0, 200), 200)]:
        assert fundus.image.shape == (size, size, 3)
        assert fundus.image.dtype == fundus.class_map.dtype == np.uint8
        assert fundus.class_map.shape == (size, size)
        assert fundus.field_of_view is not None
        assert fundus.field_of_view.dtype == bool
        assert set(np.unique(fundus.class_map)) == {0, 1}


def test_the_seed_decides_everything(fundi: list[LoadedSample]) -> None:
    np.random.default_rng(5).random()
    assert [digest(generate_fundus(seed)) for seed in SEEDS] == [digest(fundus) for fundus in fundi]
    assert len({digest(fundus) for fundus in fundi}) == len(fundi)


def test_field_of_view_is_a_disc_with_dark_around(fundi: list[LoadedSample]) -> None:
    for fundus in fundi:
        field = fundus.field_of_view
        assert field is not None
        y, x = np.nonzero(field)
        radius = math.sqrt(field.sum() / math.pi)
        assert 0.45 * 384 < radius < 0.49 * 384
        distance = np.hypot(x - x.mean(), y - y.mean())
        assert distance.max() < radius + 1
        assert not (fundus.class_map[~field]).any()
        far = ~ndimage.binary_dilation(field, iterations=4)
        assert fundus.image[far].mean() < 10
        assert fundus.image[field].mean() > 50


def test_vessels_cover_what_they_cover_in_photographs(fundi: list[LoadedSample]) -> None:
    shares = [fundus.class_map[fundus.field_of_view].mean() for fundus in fundi]
    assert min(shares) > 0.08
    assert max(shares) < 0.17
    assert 0.105 < np.mean(shares) < 0.145


def test_retina_is_red_and_vessels_are_darker_most_of_all_in_green(
    fundi: list[LoadedSample],
) -> None:
    for fundus in fundi:
        field = fundus.field_of_view
        assert field is not None
        red, green, blue = fundus.image[field].mean(0)
        assert red > green > blue
        vessels = fundus.class_map == 1
        around = ndimage.binary_dilation(vessels, iterations=4) & ~vessels & field
        ratio = fundus.image[vessels].mean(0) / fundus.image[around].mean(0)
        assert ratio[1] < 0.97
        assert ratio[1] == ratio.min()


def test_thin_and_thick_vessels(fundi: list[LoadedSample]) -> None:
    for fundus in fundi:
        inside = ndimage.distance_transform_edt(fundus.class_map)
        ridge = (inside == ndimage.maximum_filter(inside, 3)) & (inside > 0)
        assert (inside[ridge] <= 1).mean() > 0.25
        assert inside[ridge].max() >= 2.5


def test_eyes_are_left_and_right(fundi: list[LoadedSample]) -> None:
    def brightest_column(fundus: LoadedSample) -> int:  # where the optic disc lies
        smooth = ndimage.uniform_filter(fundus.image[:, :, 1].astype(float), 25)
        return int(np.unravel_index(smooth.argmax(), smooth.shape)[1])

    columns = [brightest_column(generate_fundus(seed, 192)) for seed in range(12)]
    assert min(columns) < 60
    assert max(columns) > 132


def test_forks_obey_murrays_law(trees: list[tuple[Anatomy, list[Vessel]]]) -> None:
    forks = 0
    for _, vessels in trees:
        for vessel in vessels:
            if vessel.parent is None:
                continue
            before = vessel.parent.radii[vessel.fork]
            assert vessel.points[0] == vessel.parent.points[vessel.fork]
            assert THINNEST * (1 - 1e-9) <= vessel.radii[0] <= before
            if vessel.fork + 1 == len(vessel.parent.radii):
                continue  # the other branch ended at once
            after = vessel.parent.radii[vessel.fork + 1]
            assert before**3 == pytest.approx(after**3 + vessel.radii[0] ** 3)
            forks += 1
    assert forks > 100


def test_vessels_never_widen_and_start_at_the_disc(
    trees: list[tuple[Anatomy, list[Vessel]]],
) -> None:
    for anatomy, vessels in trees:
        for vessel in vessels:
            assert all(a >= b for a, b in itertools.pairwise(vessel.radii))
            assert len(vessel.points) == len(vessel.radii)
            if vessel.parent is None:
                assert math.dist(vessel.points[0], anatomy.disc) < anatomy.disc_radius
        kinds = [vessel.artery for vessel in vessels if vessel.parent is None]
        assert kinds.count(True) >= 4
        assert kinds.count(False) >= 4


def test_vessels_keep_out_of_the_fovea_and_stay_in_the_field(
    trees: list[tuple[Anatomy, list[Vessel]]],
) -> None:
    for anatomy, vessels in trees:
        points = np.array([point for vessel in vessels for point in vessel.points])
        assert np.hypot(*(points - anatomy.fovea).T).min() >= anatomy.fovea_radius
        assert np.hypot(*points.T).max() < 1.04


def test_arteries_are_thinner_than_veins(trees: list[tuple[Anatomy, list[Vessel]]]) -> None:
    for _, vessels in trees:
        widest = {
            kind: max(v.radii[0] for v in vessels if v.artery is kind) for kind in (True, False)
        }
        assert widest[True] < widest[False]
