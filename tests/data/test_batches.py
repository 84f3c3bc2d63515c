"""Devices share a batch, and go on where a run stopped."""

import pytest

from prompttune.data.batches import Share, StepSampler


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
