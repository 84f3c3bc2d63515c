"""How a companion's opinion is weighed against a prompt's."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch

from prompttune.companion.companion import MIN_OPINION, Companion, standardize, weighed
from prompttune.companion.shapes import weight_count
from prompttune.utils.errors import InputError


def made(classes: int = 1, share: float = 0.5) -> Companion:
    generator = torch.Generator().manual_seed(1)
    weights = torch.randn(weight_count((4, 8), classes), generator=generator) / 4
    return Companion(weights.half().float(), (4, 8), classes, share)


def test_one_class_is_a_mean_of_logits() -> None:
    logits, scores = torch.randn(1, 2, 5, 5), torch.rand(1, 1, 5, 5) * 0.9 + 0.05
    own = (logits[:, 1:] - logits[:, :1]).sigmoid().clamp(MIN_OPINION, 1 - MIN_OPINION)
    expected = (0.3 * own.logit() + 0.7 * scores.logit()).sigmoid()
    assert torch.allclose(weighed(logits.softmax(1)[:, 1:], scores, 0.3), expected, atol=1e-5)


def test_several_classes_follow_the_slow_formula() -> None:
    logits = torch.randn(1, 4, 2, 2)
    scores = torch.rand(1, 4, 2, 2).softmax(1)[:, 1:]
    found = weighed(logits.softmax(1)[:, 1:], scores, 0.6)
    for y in range(2):
        for x in range(2):
            own = logits[0, :, y, x].softmax(0).clamp(MIN_OPINION, 1 - MIN_OPINION)
            given = torch.tensor([1 - float(scores[0, :, y, x].sum()), *scores[0, :, y, x]])
            product = own**0.6 * given.clamp(MIN_OPINION, 1 - MIN_OPINION) ** 0.4
            assert torch.allclose(found[0, :, y, x], (product / product.sum())[1:], atol=1e-5)


def test_a_window_is_standardized_by_its_own_pixels() -> None:
    queries = torch.rand(2, 3, 8, 8) * torch.tensor([2.0, 0.01])[:, None, None, None]
    found = standardize(queries)
    for window, seen in zip(queries.numpy(), found.numpy(), strict=True):
        even = np.stack([channel - channel.mean() for channel in window])
        np.testing.assert_allclose(seen, even / (np.sqrt((even**2).mean()) + 0.1), atol=1e-5)


def test_light_hardly_changes_what_a_standardized_one_says() -> None:
    companion = replace(made(), standardized=True)
    queries = torch.rand(1, 3, 16, 16) * 4
    tint = torch.tensor([1.0, -2.0, 0.5])[:, None, None]
    assert torch.allclose(companion.logits(queries), companion.logits(queries + tint), atol=1e-4)
    changed = [
        (each.logits(queries * 2) - each.logits(queries)).abs().mean()
        for each in (companion, made())
    ]
    assert changed[0] < changed[1] / 5
    assert not torch.allclose(made().logits(queries), made().logits(queries + tint), atol=0.1)


def test_a_share_of_one_is_the_companion_alone_and_of_next_to_nothing_the_prompt() -> None:
    own, given = torch.rand(2, 1, 1, 5, 5) * 0.9 + 0.05
    assert torch.allclose(weighed(own, given, 1.0), own, atol=1e-5)
    assert torch.allclose(weighed(own, given, 1e-6), given, atol=1e-4)


def test_beside_one_of_several_prompts_all_other_classes_are_background() -> None:
    queries, scores = torch.randn(1, 3, 16, 16), torch.rand(1, 2, 16, 16) / 2
    companion = made(5)
    own = companion.logits(queries).softmax(1)[:, 3:5]  # background, two of others, these two
    second = replace(companion, first=2)
    assert torch.allclose(second.weigh(queries, scores), weighed(own, scores, 0.5), atol=1e-6)


@pytest.mark.parametrize("first", [-1, 2])
def test_a_class_that_it_does_not_have(first: int) -> None:
    with pytest.raises(InputError, match="knows 2 classes"):
        replace(made(2), first=first)


def test_an_answer_does_not_depend_on_its_batch() -> None:
    queries, scores = torch.randn(3, 3, 16, 16), torch.rand(3, 2, 16, 16) / 2
    companion = made(2)
    together = companion.weigh(queries, scores)
    alone = torch.cat([companion.weigh(queries[i : i + 1], scores[i : i + 1]) for i in range(3)])
    assert torch.allclose(together, alone, atol=1e-6)


def test_it_goes_to_other_processes_without_what_lies_on_a_device() -> None:
    companion = made()
    queries, scores = torch.randn(1, 3, 16, 16), torch.rand(1, 1, 16, 16)
    expected = companion.weigh(queries, scores)
    there = pickle.loads(pickle.dumps(companion))
    assert torch.equal(there.weigh(queries, scores), expected)


@pytest.mark.parametrize("share", [0.0, -0.1, 1.1, float("nan")])
def test_shares_out_of_range_are_refused(share: float) -> None:
    with pytest.raises(InputError, match="share"):
        made(share=share)


def test_weights_of_another_network_are_refused() -> None:
    with pytest.raises(InputError, match="these widths have"):
        Companion(torch.zeros(10), (4, 8), 1, 0.5)


def test_weights_that_overflow_leave_scores_that_are_some() -> None:
    weights = torch.full((weight_count((4, 8), 1),), 65504.0)
    scores = Companion(weights, (4, 8), 1, 0.5).weigh(
        torch.randn(1, 3, 16, 16) * 100, torch.rand(1, 1, 16, 16)
    )
    assert torch.isfinite(scores).all()
    assert (scores >= 0).all()
    assert (scores <= 1).all()
