"""Families draw, and look alike at every canvas."""

import pytest
import torch
from scene_items import layered as layered
from scene_items import some_items

from prompttune.synthetic.batched.closed_families import CLOSED, scatter
from prompttune.synthetic.batched.spread_families import SPREAD


@pytest.mark.parametrize("family", sorted({*CLOSED, *SPREAD}, key=lambda one: one.__name__))
def test_families_draw_something_in_most_scenes(family):
    items = some_items()
    level = family(items, scatter(items)) if family in CLOSED else family(items)
    assert level.shape == (40, 32, 32)
    assert level.dtype == torch.float32
    assert level.isfinite().all()
    cover = (level > 0).float().mean((1, 2))
    assert ((cover > 0.004) & (cover < 0.8)).float().mean() > 0.85
    prompt, query = cover[::2], cover[1::2]
    assert (prompt != query).float().mean() > 0.6  # another scene
    assert (prompt - query).abs().mean() < (prompt - query.roll(1)).abs().mean() * 1.1  # one task
    step = (level[:, :, 1:] - level[:, :, :-1]).abs()
    assert step.flatten(1).quantile(0.5, 1).median() < 4 / 32  # about a distance


def test_families_look_alike_at_every_canvas():
    for family in {*CLOSED, *SPREAD}:
        masks = []
        for size in (64, 128):  # small ones widen what is thinner than a pixel
            items = some_items(24, size=size)
            level = family(items, scatter(items)) if family in CLOSED else family(items)
            masks.append((level > 0).float().mean((1, 2)))
        assert torch.corrcoef(torch.stack(masks))[0, 1] > 0.8, family.__name__
