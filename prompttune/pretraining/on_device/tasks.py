"""Generated training samples, made in batches where the network runs.

The batched counterpart of `generated` and `pairs`: tasks of layers whose families, textures and
changes combine to many thousands of kinds. A sample is a function of `(seed, index)`, whatever the
batch or, but for rounding, the device.
"""

import torch
from torch import Tensor

from prompttune.pretraining.dataset import Mix
from prompttune.pretraining.on_device import coloring
from prompttune.synthetic.batched.counter_random import Draws
from prompttune.synthetic.batched.layering import Plan, draw_layers
from prompttune.synthetic.batched.painting import paint

# Pixels under way: on a CPU what its caches hold, elsewhere what keeps a batch below some GB.
_BATCH_PIXELS = {"cpu": 1 << 21, "other": 1 << 24}
_FAMILY_PIXELS = {"cpu": 1 << 17, "other": 1 << 22}


class DeviceTasks:
    """Batches of generated tasks."""

    def __init__(self, canvas: int, patch: int, mix: Mix, seed: int) -> None:
        if canvas % patch:
            raise ValueError(f"a canvas of {canvas} pixels has no whole patches of {patch}")
        self.canvas, self.patch, self.mix, self.seed = canvas, patch, mix, seed

    @torch.no_grad()
    def batch(self, indices: Tensor, device: torch.device | str) -> dict[str, Tensor]:
        """Make samples `indices` (B int64; on the host, or each call waits for the device).

        Returns, on `device`: image and target, B x 3 x 2S x S float32 in [0, 1], the prompt above
        the query; masked, B x tokens bool; weight, B x 1 x 2S x S float32; seg_type, B int64, 1
        where each shape is a class of its own and query and prompt are views of one scene.
        """
        device = torch.device(device)
        kind = "cpu" if device.type == "cpu" else "other"
        at_once = max(1, _BATCH_PIXELS[kind] // (2 * self.canvas**2))
        with torch.autocast(device.type, enabled=False):
            parts = [
                self._part(some, device, _FAMILY_PIXELS[kind])
                for some in indices.to("cpu", torch.int64).split(at_once)
            ]
        if len(parts) == 1:
            return parts[0]
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}

    def _part(self, indices: Tensor, device: torch.device, pixels: int) -> dict[str, Tensor]:
        plan = Plan.draw(Draws.of(self.seed, indices), self.mix)
        layers = draw_layers(plan, device, self.canvas, pixels)
        images, labels = paint(plan, layers, pixels)
        del layers
        draws = plan.draws.to(device)
        instance = plan.instance.to(device, non_blocking=True)
        colors = coloring.class_colors(draws, labels, instance, self.mix)
        target = coloring.color(labels, colors)
        masked = coloring.hide(draws, self.canvas // self.patch, self.mix)
        made = {
            "image": self._stacked(coloring.recolor(plan.draws, images)),
            "target": target,
            "masked": masked,
            "weight": coloring.weigh(target, masked, self.patch, self.mix.foreground),
            "seg_type": instance.long(),
        }
        back = plan.order.argsort().to(device, non_blocking=True)
        return {name: one[back] for name, one in made.items()}

    def _stacked(self, images: Tensor) -> Tensor:
        """Put prompts above queries: 2B x 3 x S x S to B x 3 x 2S x S."""
        pairs = images.view(-1, 2, 3, self.canvas, self.canvas).transpose(1, 2)
        return pairs.reshape(-1, 3, 2 * self.canvas, self.canvas)
