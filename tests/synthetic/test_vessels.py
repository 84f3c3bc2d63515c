"""Vessels obey the laws that they are grown by."""

import math

import numpy as np
import pytest

from prompttune.synthetic.vessels import STEP, THINNEST, Anatomy, Vessel, grow_vessels


@pytest.fixture(scope="module")
def eyes() -> list[tuple[Anatomy, list[Vessel]]]:
    found = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        anatomy = Anatomy.draw(rng)
        found.append((anatomy, grow_vessels(rng, anatomy)))
    return found


def test_radii_obey_murrays_law_at_every_fork(eyes) -> None:
    forks = 0
    for _, vessels in eyes:
        for vessel in vessels:
            parent = vessel.parent
            if parent is None or vessel.fork + 1 >= len(parent.radii):
                continue
            before, after = parent.radii[vessel.fork], parent.radii[vessel.fork + 1]
            assert before**3 == pytest.approx(after**3 + vessel.radii[0] ** 3, rel=1e-6)
            forks += 1
    assert forks > 50


def test_they_stay_in_the_field_and_out_of_the_fovea(eyes) -> None:
    for anatomy, vessels in eyes:
        assert len(vessels) > 20
        assert {vessel.artery for vessel in vessels} == {True, False}
        for vessel in vessels:
            points = np.array(vessel.points)
            assert np.hypot(*points.T).max() <= 1.03
            assert np.hypot(*(points - anatomy.fovea).T).min() > anatomy.fovea_radius
            steps = np.hypot(*np.diff(points, axis=0).T)
            assert steps == pytest.approx(np.full(len(steps), STEP))
            assert min(vessel.radii) > 0.99 * THINNEST
            assert all(a >= b for a, b in zip(vessel.radii, vessel.radii[1:], strict=False))


def test_thin_vessels_outnumber_thick_ones(eyes) -> None:
    radii = [vessel.radii[0] for _, vessels in eyes for vessel in vessels]
    assert np.median(radii) < 0.5 * max(radii)
    assert math.isclose(max(radii), 0.0135, rel_tol=0.15)
