"""Images like those of a key, and strangers, told apart by made-up features."""

import numpy as np
import pytest

from prompttune.reliability.domain import CENTERS, fit_domain


def cloud(seed: int, count: int, around: float, dim: int = 24) -> np.ndarray:
    return np.random.default_rng(seed).normal(around, 1, (count, dim)).astype(np.float32)


def test_strangers_are_told_from_images_alike() -> None:
    held_out = [cloud(seed, 4, 0) for seed in range(10, 20)]
    domain = fit_domain(cloud(0, 100, 0), held_out)
    alike = [domain.unlikeness(cloud(seed, 4, 0)) for seed in range(20, 60)]
    strange = [domain.unlikeness(cloud(seed, 4, 4)) for seed in range(60, 100)]
    assert max(alike) < 1 < min(strange)
    assert np.mean(alike) == pytest.approx(np.mean([domain.unlikeness(x) for x in held_out]), 0.1)


def test_several_kinds_of_training_images_are_all_alike() -> None:
    kinds = np.concatenate([cloud(0, 40, -6), cloud(1, 40, 6)])
    domain = fit_domain(kinds, [cloud(2, 4, -6), cloud(3, 4, 6)])
    assert domain.unlikeness(cloud(4, 4, 6)) < 1
    assert domain.unlikeness(cloud(5, 4, -6)) < 1
    assert domain.unlikeness(cloud(6, 4, 0)) > 1  # their mean is like neither


def test_a_quarter_of_the_windows_is_enough() -> None:
    domain = fit_domain(cloud(0, 100, 0), [cloud(1, 4, 0)])
    mixed = np.concatenate([cloud(2, 4, 0), cloud(3, 4, 9)])
    assert domain.unlikeness(mixed) < 1


def test_no_centroid_is_a_single_window() -> None:
    features = np.concatenate([cloud(0, 39, 0), cloud(1, 1, 50)])  # one far from all
    domain = fit_domain(features, [])
    assert len(domain.centers) < CENTERS
    nearest = np.sqrt(((domain.centers[:, None] - features) ** 2).sum(-1)).min(1)
    assert (nearest > 1).all()


def test_one_window_gives_a_summary_that_still_tells() -> None:
    window = cloud(0, 1, 0)
    domain = fit_domain(window, [window])
    assert domain.unlikeness(window) < 1 < domain.unlikeness(window + 30)


def test_windows_that_are_all_the_same() -> None:
    domain = fit_domain(np.ones((20, 4), np.float32), [np.ones((4, 4), np.float32)])
    assert len(domain.centers) == 1
    assert domain.unlikeness(np.ones((4, 4), np.float32)) < 1


def test_what_is_fitted_is_what_a_key_keeps() -> None:
    domain = fit_domain(cloud(0, 50, 0), [cloud(1, 4, 0)])
    assert np.array_equal(domain.centers.astype(np.float16).astype(np.float32), domain.centers)
