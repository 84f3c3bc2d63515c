"""The tuning loss against pixel-by-pixel sums."""

import pytest
import torch

from prompttune.prompts.palette import Palette
from prompttune.tuning.loss import dice_loss, tuning_loss
from prompttune.utils.constants import IGNORE
from prompttune.utils.normalize import STD


def slow_dice(scores: torch.Tensor, class_map: torch.Tensor) -> float:
    losses = []
    for index in range(scores.shape[1]):
        overlap = total = 0.0
        shown = False
        for b, y, x in torch.cartesian_prod(*map(torch.arange, class_map.shape)).tolist():
            label = int(class_map[b, y, x])
            if label == IGNORE:
                continue
            score, truth = float(scores[b, index, y, x]), float(label == index + 1)
            shown |= bool(truth)
            overlap += score * truth
            total += score + truth
        if shown:
            losses.append(1 - 2 * overlap / total)
    return sum(losses) / len(losses)


def slow_smooth_l1(
    answer: torch.Tensor, target: torch.Tensor, valid: torch.Tensor, beta: float
) -> float:
    summed = count = 0.0
    for b, y, x in torch.cartesian_prod(*map(torch.arange, valid.shape)).tolist():
        if not valid[b, y, x]:
            continue
        for channel in range(3):
            off = abs(float(answer[b, channel, y, x] - target[b, channel, y, x])) / STD[channel]
            summed += off**2 / (2 * beta) if off < beta else off - beta / 2
            count += 1
    return summed / count


@pytest.fixture
def case() -> tuple[Palette, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    answer = torch.rand(2, 3, 5, 4, generator=generator)
    class_map = torch.randint(0, 3, (2, 5, 4), generator=generator)
    class_map[0, :2] = IGNORE
    return Palette.of(("a", "b")), answer, class_map


def test_dice_equals_a_slow_sum(case) -> None:
    palette, answer, class_map = case
    scores = palette.scores(answer)
    assert dice_loss(scores, class_map).item() == pytest.approx(
        slow_dice(scores, class_map), rel=1e-5
    )


def test_dice_leaves_out_classes_that_are_not_shown(case) -> None:
    palette, answer, class_map = case
    class_map[class_map == 2] = 0
    scores = palette.scores(answer)
    assert dice_loss(scores, class_map).item() == pytest.approx(
        slow_dice(scores, class_map), rel=1e-5
    )


@pytest.mark.parametrize("beta", [0.01, 1.0])
def test_colour_term_equals_a_slow_sum(case, beta: float) -> None:
    palette, answer, class_map = case
    expected = slow_smooth_l1(answer, palette.paint(class_map), class_map != IGNORE, beta)
    loss = tuning_loss(answer, class_map, palette, dice_weight=0, color_weight=1, beta=beta)
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_terms_are_weighted(case) -> None:
    palette, answer, class_map = case
    each = [
        tuning_loss(answer, class_map, palette, *w, 1.0).item() for w in ((1, 0), (0, 1), (0.5, 2))
    ]
    assert each[2] == pytest.approx(0.5 * each[0] + 2 * each[1], rel=1e-5)


def test_ignored_pixels_have_no_gradient(case) -> None:
    palette, answer, class_map = case
    answer.requires_grad_()
    tuning_loss(answer, class_map, palette, 1.0, 1.0, 1.0).backward()
    assert answer.grad is not None
    ignored = (class_map == IGNORE).unsqueeze(1).expand_as(answer)
    assert not answer.grad[ignored].any()
    assert answer.grad[~ignored].all()


def test_background_alone_asks_for_low_scores(case) -> None:
    palette, answer, class_map = case
    scores = palette.scores(answer)
    assert (
        dice_loss(scores, torch.zeros_like(class_map))
        > dice_loss(scores * 0.1, torch.zeros_like(class_map))
        > 0
    )


def test_foreground_weight_counts_a_coloured_pixel_as_often(case) -> None:
    palette, answer, class_map = case
    one = [tuning_loss(answer, class_map, palette, 0, 1, 1.0, weight) for weight in (1.0, 3.0)]
    repeated = torch.cat([class_map, *[torch.where(class_map == 0, IGNORE, class_map)] * 2])
    tripled = tuning_loss(torch.cat([answer] * 3), repeated, palette, 0, 1, 1.0)
    assert one[1].item() == pytest.approx(tripled.item(), rel=1e-5)
    assert one[0].item() != pytest.approx(one[1].item(), rel=1e-3)
