"""Items of a few scenes, and their layers."""

import pytest
import torch

from prompttune.pretraining.dataset import Mix
from prompttune.synthetic.batched import layering
from prompttune.synthetic.batched.counter_random import Draws
from prompttune.synthetic.batched.fields import (
    Items,
)
from prompttune.synthetic.batched.layering import Plan

CPU = torch.device("cpu")


def some_items(count=40, size=32, seed=0):
    """Pairs of images: even ones and the odd ones after them share a task."""
    sample = Draws.of(seed, torch.arange(count) // 2)
    half = torch.arange(count) % 2
    return Items(sample.fork("task"), sample.fork("scene", half), sample.fork("view", half), size)


@pytest.fixture(scope="module")
def layered():
    plan = Plan.draw(Draws.of(0, torch.arange(120)), Mix(instances=0.2))
    return plan, layering.draw_layers(plan, CPU, 32, 1 << 17)
