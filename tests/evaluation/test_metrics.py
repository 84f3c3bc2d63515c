import math

import numpy as np
import pytest
import torch

from prompttune.data.samples import LoadedSample
from prompttune.evaluation.metrics import (
    MIN_IMAGES,
    Metrics,
    Reliability,
    auc,
    best_threshold,
    choose_threshold,
    cldice,
    counted_pixels,
    defined_mean,
    dice,
    dice_curve,
    iou,
    mean_metrics,
    measure,
    pixel_dice,
    threshold_grid,
)
from prompttune.prompts.palette import Palette
from prompttune.prompts.prompt import Prompt
from prompttune.reliability.calibration import Calibration, Curve
from prompttune.utils.constants import IGNORE

SIZE = (24, 31)


def random_mask(seed: int, share: float) -> np.ndarray:
    return np.random.default_rng(seed).random(SIZE) < share


def random_case(seed: int, classes: int):
    """Return scores that lean towards the truth, a truth with ignored pixels, a field of view."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, classes + 1, SIZE).astype(np.uint8)
    logits = random.normal(size=(classes + 1, *SIZE)) + 1.5 * (
        truth == np.arange(classes + 1)[:, None, None]
    )
    scores = np.exp(logits) / np.exp(logits).sum(0)
    truth[random.random(SIZE) < 0.1] = IGNORE
    return scores[1:].astype(np.float32), truth, random.random(SIZE) < 0.8


# --- overlap ---


@pytest.mark.parametrize(("seed", "shares"), [(0, (0.1, 0.2)), (1, (0.5, 0.5)), (2, (0.9, 0.05))])
def test_dice_and_iou_agree_with_sets_and_torchmetrics(seed, shares):
    from torchmetrics.functional.classification import binary_f1_score, binary_jaccard_index

    predicted, truth = random_mask(seed, shares[0]), random_mask(seed + 10, shares[1])
    p, t = set(zip(*np.nonzero(predicted), strict=True)), set(zip(*np.nonzero(truth), strict=True))
    tensors = torch.from_numpy(predicted).long(), torch.from_numpy(truth).long()

    assert dice(predicted, truth) == pytest.approx(2 * len(p & t) / (len(p) + len(t)))
    assert iou(predicted, truth) == pytest.approx(len(p & t) / len(p | t))
    assert dice(predicted, truth) == pytest.approx(float(binary_f1_score(*tensors)))
    assert iou(predicted, truth) == pytest.approx(float(binary_jaccard_index(*tensors)))


# --- AUC ---


def test_auc_is_the_share_of_rightly_ordered_pairs():
    random = np.random.default_rng(0)
    scores = random.integers(0, 12, 150).astype(np.float32) / 11  # many ties
    truth = random.random(150) < scores * 0.6
    pairs = [(p, n) for p in scores[truth] for n in scores[~truth]]

    slow = sum(1.0 if p > n else 0.5 if p == n else 0.0 for p, n in pairs) / len(pairs)

    assert auc(scores, truth) == pytest.approx(slow)


def test_auc_agrees_with_torchmetrics():
    from torchmetrics.functional.classification import binary_auroc

    scores, truth, _ = random_case(4, 1)
    positive = truth.ravel() == 1
    exact = binary_auroc(torch.from_numpy(scores.ravel()), torch.from_numpy(positive).long())

    assert auc(scores.ravel(), positive) == pytest.approx(float(exact), abs=1e-6)


@pytest.mark.parametrize("truth", [np.zeros(5, bool), np.ones(5, bool)])
def test_auc_of_one_kind_of_pixels_is_undefined(truth):
    assert math.isnan(auc(np.linspace(0, 1, 5), truth))


# --- clDice ---


def test_cldice_of_a_line_found_in_half():
    truth, predicted = np.zeros((11, 20), bool), np.zeros((11, 20), bool)
    truth[5, :] = True
    predicted[5, :10] = True
    # All of the predicted line is true, half of the true line is found: 2 * 1 * .5 / 1.5.
    assert cldice(predicted, truth) == pytest.approx(2 / 3)


def test_cldice_does_not_mind_the_width_but_a_gap():
    thin, thick = np.zeros((15, 40), bool), np.zeros((15, 40), bool)
    thin[7, :] = True
    thick[5:10, :] = True
    gap = thick.copy()
    gap[:, 15:25] = False

    assert cldice(thick, thin) > 0.95
    assert dice(thick, thin) == pytest.approx(1 / 3)
    assert cldice(gap, thin) < 0.87


def test_cldice_of_masks_that_miss_each_other_is_zero():
    truth, predicted = np.zeros((9, 9), bool), np.zeros((9, 9), bool)
    truth[2, :], predicted[6, :] = True, True
    assert cldice(predicted, truth) == 0


def test_cldice_agrees_with_its_formula_on_blobs():
    from skimage.filters import gaussian
    from skimage.morphology import skeletonize

    noise = np.random.default_rng(3).normal(size=(2, 60, 60))
    predicted, truth = (gaussian(each, 3) > 0 for each in noise)
    lines = skeletonize(predicted), skeletonize(truth)
    precision = sum(truth[y, x] for y, x in np.argwhere(lines[0])) / lines[0].sum()
    sensitivity = sum(predicted[y, x] for y, x in np.argwhere(lines[1])) / lines[1].sum()

    expected = 2 * precision * sensitivity / (precision + sensitivity)

    assert cldice(predicted, truth) == pytest.approx(expected)


# --- one image ---


def test_only_counted_pixels_enter():
    scores, truth, view = random_case(0, 1)
    counted = counted_pixels(truth, view)
    predicted = (scores[0] > 0.5).astype(np.uint8)
    before = measure(scores, predicted, truth, counted)

    other, flipped, elsewhere = scores.copy(), predicted.copy(), truth.copy()
    other[:, ~counted] = 1 - other[:, ~counted]
    flipped[~counted] = 1 - flipped[~counted]
    elsewhere[~counted] = 1

    assert measure(other, flipped, elsewhere, counted) == before
    assert not counted[truth == IGNORE].any()
    assert not counted[~view].any()
    assert counted[(truth != IGNORE) & view].all()


def test_several_classes_are_averaged_over_those_that_the_truth_shows():
    scores, truth, view = random_case(1, 3)
    truth[truth == 2] = 0
    counted = counted_pixels(truth, view)
    predicted = Palette.of(["a", "b", "c"]).decide(torch.from_numpy(scores)).numpy()
    got = measure(scores, predicted, truth, counted)

    inside = np.where(counted, predicted, 0), np.where(counted, truth, 0)
    each = [
        (
            dice(inside[0] == index, inside[1] == index),
            iou(inside[0] == index, inside[1] == index),
            auc(scores[index - 1][counted], truth[counted] == index),
            cldice(inside[0] == index, inside[1] == index),
        )
        for index in (1, 3)
    ]

    assert (got.dice, got.iou, got.auc, got.cldice) == pytest.approx(tuple(np.mean(each, axis=0)))


@pytest.mark.parametrize(("predicted", "value"), [(0, 1.0), (1, 0.0)])
def test_truth_without_foreground(predicted, value):
    truth, counted = np.zeros((4, 4), np.uint8), np.ones((4, 4), bool)
    got = measure(np.zeros((1, 4, 4)), np.full((4, 4), predicted, np.uint8), truth, counted)
    assert (got.dice, got.iou, got.cldice) == (value,) * 3
    assert math.isnan(got.auc)


def test_image_without_counted_pixels_is_undefined_and_left_out_of_means():
    truth = np.full((4, 4), IGNORE, np.uint8)
    nothing = measure(
        np.zeros((1, 4, 4)), np.zeros((4, 4), np.uint8), truth, counted_pixels(truth, None)
    )
    assert all(math.isnan(value) for value in vars(nothing).values())
    assert mean_metrics([nothing, Metrics(0.2, 0.1, math.nan, 0.4)]).dice == 0.2
    assert (
        mean_metrics([nothing, Metrics(0.2, 0.1, math.nan, 0.4), Metrics(0.4, 0, 0.7, 0)]).auc
        == 0.7
    )
    assert math.isnan(mean_metrics([]).dice)
    assert math.isnan(defined_mean([math.nan]))


# --- thresholds ---


def test_the_grid_is_symmetric_about_one_half():
    grid = threshold_grid()
    assert len(grid) == 33
    assert grid[16] == 0.5
    assert np.allclose(grid + grid[::-1], 1, atol=1e-6)
    assert (np.diff(grid) > 0).all()
    assert 0 < grid[0] < 0.01


@pytest.mark.parametrize("classes", [1, 3])
def test_the_curve_is_what_deciding_at_each_threshold_gives(classes):
    scores, truth, view = random_case(7, classes)
    grid = threshold_grid()
    scores[0, :2, :16] = grid[:32].reshape(2, 16)  # scores that lie on a threshold
    counted = counted_pixels(truth, view)
    palette = Palette.of([str(index) for index in range(classes)])

    slow = [
        measure(
            scores, palette.decide(torch.from_numpy(scores), float(t)).numpy(), truth, counted
        ).dice
        for t in grid
    ]

    assert dice_curve(scores, truth, counted, grid) == pytest.approx(slow)


def test_the_curve_of_truth_without_foreground():
    scores = np.full((1, 2, 2), 0.3, np.float32)
    truth, counted = np.zeros((2, 2), np.uint8), np.ones((2, 2), bool)
    assert dice_curve(scores, truth, counted, np.array([0.2, 0.3, 0.4])).tolist() == [0, 1, 1]
    assert np.isnan(dice_curve(scores, truth, ~counted, np.array([0.2, 0.3]))).all()


@pytest.mark.parametrize("seed", range(6))
def test_dice_alone_is_that_of_all_measures(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth, predicted = rng.choice([0, 0, 1, 3, 255], (2, 9, 11)).astype(np.uint8)
    predicted[predicted == 255] = 2
    counted = (truth != 255) & (rng.random(truth.shape) < 0.7)
    for true in (truth, np.where(counted, 0, truth), np.full_like(truth, 255)):
        seen = counted & (true != 255)
        scores = rng.random((3, 9, 11)).astype(np.float32)
        whole = measure(scores, predicted, true, seen).dice
        assert pixel_dice(predicted[seen], true[seen]) == pytest.approx(whole, nan_ok=True)


def test_the_threshold_with_the_best_mean_is_chosen():
    grid = np.array([0.1, 0.3, 0.5, 0.7])
    curves = [np.array([0.9, 0.5, 0.2, 0.0]), np.array([0.1, 0.6, 0.5, 0.0])] * 2
    assert best_threshold(curves, grid) == pytest.approx((0.3, 0.55))


def test_of_equal_thresholds_the_one_nearest_one_half_is_chosen():
    grid = np.array([0.1, 0.3, 0.5, 0.7])
    assert best_threshold([np.array([0.6, 0.6, 0.2, 0.2])] * 3, grid)[0] == pytest.approx(0.3)
    assert best_threshold([np.full(4, 0.6)], grid)[0] == 0.5


def test_one_image_must_say_more_for_a_threshold_far_from_one_half():
    grid = np.array([0.05, 0.5])
    little, much = np.array([0.7, 0.6]), np.array([0.9, 0.6])
    assert best_threshold([little], grid) == pytest.approx((0.5, 0.6))
    assert best_threshold([little] * 2, grid) == pytest.approx((0.5, 0.6))
    assert best_threshold([little] * 3, grid) == pytest.approx((0.05, 0.7))
    assert best_threshold([little, np.full(2, math.nan)] * 2, grid)[0] == 0.5
    assert best_threshold([much], grid) == pytest.approx((0.05, 0.9))


def test_images_without_counted_pixels_have_no_say_in_the_threshold():
    grid = np.array([0.1, 0.5])
    curves = [np.full(2, math.nan), *[np.array([0.8, 0.2])] * 3]
    assert best_threshold(curves, grid) == (pytest.approx(0.1), pytest.approx(0.8))
    threshold, value = best_threshold([], grid)
    assert threshold == 0.5
    assert math.isnan(value)


def test_faint_answers_find_their_threshold():
    truth = np.zeros((6, 6), np.uint8)
    truth[:, 3] = 1
    scores = np.where(truth, 0.02, 0.006).astype(np.float32)[None]
    threshold, value = choose_threshold([(scores, truth, np.ones((6, 6), bool))])
    assert 0.006 < threshold < 0.02
    assert value == 1


STRAIGHT = Curve(tuple(np.linspace(0, 1, 33)))
PLANE = torch.zeros(3, 4, 4)


def prompt(calibrated: bool) -> Prompt:
    known = Calibration(STRAIGHT, STRAIGHT, (0.0, 1.0), 4, True) if calibrated else None
    return Prompt((PLANE,), (PLANE,), Palette.of(["a"]), calibration=known)


def test_without_a_calibration_nothing_is_known() -> None:
    for one in (None, prompt(False)):
        gathered = Reliability(one)
        gathered.add(np.ones((1, 2, 2), np.float32), np.ones((2, 2), np.uint8), sample(), 1.0)
        assert math.isnan(gathered.ece)
        assert math.isnan(gathered.ece_before)
        assert math.isnan(gathered.expected_dice_r)


def sample(size: int = 2) -> LoadedSample:
    return LoadedSample("a", np.zeros((size, size, 3), np.uint8), np.ones((size, size), np.uint8))


def test_the_error_of_scores_is_what_they_claim_too_much() -> None:
    """Scores of .75 that are right in half of the pixels: off by a quarter."""
    gathered = Reliability(prompt(True))
    half = LoadedSample("a", np.zeros((2, 2, 3), np.uint8), np.array([[1, 1], [0, 0]], np.uint8))
    scores, decided = np.full((1, 2, 2), 0.75, np.float32), np.ones((2, 2), np.uint8)
    gathered.add(scores, decided, half, 0.7)
    assert gathered.ece_before == pytest.approx(0.25, abs=1e-6)
    known = Calibration(STRAIGHT, STRAIGHT, (0.0, 1.0), 4, True)
    confidence = known.confidence(scores, decided, [(1,)])
    assert gathered.ece == pytest.approx(abs(float(confidence.mean()) - 0.5), abs=1e-6)


def test_the_correlation_wants_a_few_images_that_differ() -> None:
    gathered = Reliability(prompt(True))
    for number in range(MIN_IMAGES):
        assert math.isnan(gathered.expected_dice_r)
        scores = np.full((1, 2, 2), 0.6 + 0.08 * number, np.float32)
        gathered.add(scores, np.ones((2, 2), np.uint8), sample(), 0.5 + 0.1 * number)
    assert gathered.expected_dice_r > 0.95
