"""Plans of layers, and parts within their wholes."""

import torch
from scene_items import layered as layered

from prompttune.pretraining.dataset import Mix
from prompttune.synthetic.batched.closed_families import CLOSED
from prompttune.synthetic.batched.counter_random import Draws
from prompttune.synthetic.batched.layering import CORE, LAYERS, PIECE, PLAIN, RIM, WHOLE, Plan


def test_plans():
    mix = Mix(hard=0.7, instances=0.2)
    plan = Plan.draw(Draws.of(0, torch.arange(3000)), mix)
    assert (plan.layers[:-1] >= plan.layers[1:]).all()
    used = torch.arange(LAYERS) < plan.layers[:, None]
    kinds = plan.label.amax(1)
    assert set(kinds.tolist()) == {1, 2, 3}
    assert not plan.label[~used].any()
    for kind in (1, 2, 3):
        assert ((plan.label == kind).sum(1) == (kinds >= kind)).all()
    assert (plan.layers[~plan.hard] == kinds[~plan.hard]).all()
    assert abs(plan.hard.float().mean() - 0.7) < 0.03
    assert abs(plan.instance.float().mean() - 0.2) < 0.03
    labeled = plan.instance[:, None] & (plan.label > 0)
    assert (plan.family[labeled] < len(CLOSED)).all()
    assert (plan.part[plan.instance] == WHOLE).all()
    assert (plan.change[plan.instance] == PLAIN).all()
    alone = (plan.part == CORE) | (plan.part == RIM)
    assert ((plan.family == -1) == (alone | ~used)).all()
    assert {CORE, PIECE, RIM} <= set(plan.part[used].tolist())


def test_parts_lie_in_what_they_are_parts_of(layered):
    plan, layers = layered
    for row, slot in (plan.part * (torch.arange(LAYERS) < plan.layers[:, None])).nonzero().tolist():
        for image in (2 * row, 2 * row + 1):
            inside = layers.level[slot, image] > 0
            assert (layers.level[slot - 1, image][inside] > 0).all()
