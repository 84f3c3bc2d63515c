"""Generated scenes, made ahead: to launch what draws one batch of them takes as long as a step.

A bank holds the scenes of many tasks as bytes. What is drawn from it is turned and mirrored, and
begins with any of its views.
"""

import torch
from torch import Tensor

from prompttune.pretraining.dataset import Mix
from prompttune.synthetic.batched.counter_random import Draws
from prompttune.synthetic.batched.layering import Plan, draw_layers
from prompttune.synthetic.batched.painting import paint

_TASKS = {"cpu": 16, "other": 512}
"""Made at a time."""
_PIXELS = {"cpu": 1 << 17, "other": 1 << 24}
"""Of one family, at a time."""


class SceneBank:
    """The scenes of `count` tasks, V views each; a function of the seed."""

    def __init__(
        self, count: int, canvas: int, mix: Mix, seed: int, views: int, device: torch.device
    ) -> None:
        kind = "cpu" if device.type == "cpu" else "other"
        made = [
            _made(Draws.of(~seed, some), canvas, mix, views, device, _PIXELS[kind])
            for some in torch.arange(count).split(_TASKS[kind])
        ]
        self.images, self.labels, self.instance = (
            torch.cat(same) for same in zip(*made, strict=True)
        )

    def drawn(self, draws: Draws) -> tuple[Tensor, Tensor, Tensor]:
        """Draw a task for each of `draws` (B, on the device).

        Returns:
            Images, B x V x 3 x S x S float32 in [0, 1]; labels, B x V x S x S uint8: 0, a kind's
            number or, in an instance task, a thing's; and which tasks are of instances, B bool.
        """
        which = draws.integers("scene", len(self.images))
        views = self.images.shape[1]
        first = draws.integers("first view", views)[:, None]
        order = (first + torch.arange(views, device=first.device)) % views
        images, labels = (x[which[:, None], order] for x in (self.images, self.labels))
        for name, dims in (("mirror", (-1,)), ("flip", (-2,)), ("transpose", None)):
            chosen = draws.chance(name, 0.5)
            images, labels = (_turned(x, chosen, dims) for x in (images, labels))
        return images.float() / 255, labels, self.instance[which]


def _turned(values: Tensor, chosen: Tensor, dims: tuple[int, ...] | None) -> Tensor:
    other = values.transpose(-1, -2) if dims is None else values.flip(dims)
    return torch.where(chosen.view(-1, *[1] * (values.ndim - 1)), other, values)


def _made(
    draws: Draws, canvas: int, mix: Mix, views: int, device: torch.device, pixels: int
) -> tuple[Tensor, Tensor, Tensor]:
    plan = Plan.draw(draws, mix, views)
    images, labels = paint(plan, draw_layers(plan, device, canvas, pixels), pixels)
    back = plan.order.argsort()
    instance = plan.instance[back].to(device, non_blocking=True)
    back = back.to(device, non_blocking=True)
    images = (images * 255).round().to(torch.uint8)
    return *(x.unflatten(0, (-1, views))[back] for x in (images, labels)), instance
