"""The Lightning module of in-context colouring."""

from dataclasses import dataclass
from typing import Any, cast

import lightning.pytorch as pl
import torch
import torch.nn.functional as F
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor
from torch.nn import Parameter
from torch.optim import AdamW, Muon, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from prompttune.backbone.network import SegGPT
from prompttune.pixels import normalise


@dataclass(frozen=True)
class OptimiserConfig:
    """How the network is trained."""

    lr: float = 1.5e-3
    """Peak learning rate, of Muon (2-D weights) and of AdamW (the rest)."""
    weight_decay: float = 0.05
    """Decoupled weight decay, of 2-D weights alone."""
    warmup: float = 0.02
    """Share of the steps in which the rate rises linearly."""
    decay: float = 0.5
    """Share of the steps, at the end, in which it falls linearly to zero."""
    clip: float = 1.0
    """Largest norm of the gradient."""
    beta: float = 1.0
    """Of smooth-L1, normalised units. A small one (the paper's .01) makes thin things vanish."""


def colouring_loss(output: Tensor, target: Tensor, weight: Tensor, beta: float) -> Tensor:
    """Return smooth-L1 averaged over the weighted pixels (paper, section 3.1).

    Args:
        output: B x 3 x H x W; `target` likewise, normalised space.
        weight: B x 1 x H x W, 0 where nothing is asked.
    """
    per_pixel = F.smooth_l1_loss(output.float(), target, beta=beta, reduction="none").mean(
        1, keepdim=True
    )
    return (per_pixel * weight).sum() / weight.sum().clamp_min(1)


class InContextColouring(pl.LightningModule):
    """Trains a SegGPT on pairs from `PairDataset`."""

    def __init__(self, network: SegGPT, optimiser: OptimiserConfig, max_steps: int) -> None:
        super().__init__()
        self.network = network
        self.config = optimiser
        self.max_steps = max_steps
        self.automatic_optimization = False  # two optimisers share one backward pass

    def training_step(self, batch: dict[str, Tensor], batch_index: int) -> None:
        """Take one step; logs the loss."""
        image, target = normalise(batch["image"]), normalise(batch["target"])
        seg_type = torch.zeros(len(image), dtype=torch.long, device=image.device)
        output = self.network(image, target, batch["masked"], seg_type, query_only=False)
        loss = colouring_loss(output, target, batch["weight"], self.config.beta)
        muon, adamw = cast(list[LightningOptimizer], self.optimizers())
        adamw.zero_grad()
        muon.zero_grad()
        self.manual_backward(loss)
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.config.clip)
        muon.optimizer.step()  # the bare one: Lightning counts a step for each of its own
        adamw.step()
        for scheduler in self.lr_schedulers():  # type: ignore[union-attr]
            scheduler.step()
        self.log("loss", loss, prog_bar=True)

    def configure_optimizers(self) -> tuple[list[Optimizer], list[LambdaLR]]:
        """Give the matrices to Muon and everything else to AdamW."""
        matrices: list[Parameter] = []
        others: list[Parameter] = []
        for name, parameter in self.network.named_parameters():
            is_matrix = parameter.ndim == 2 and "rel_pos" not in name
            (matrices if is_matrix else others).append(parameter)
        config = self.config
        muon = Muon(matrices, config.lr, config.weight_decay, adjust_lr_fn="match_rms_adamw")
        adamw = AdamW(others, config.lr, betas=(0.9, 0.98), weight_decay=0.0)
        return [muon, adamw], [LambdaLR(one, self._rate) for one in (muon, adamw)]

    def _rate(self, step: int) -> float:
        warm = max(1, int(self.max_steps * self.config.warmup))
        falling = max(1, int(self.max_steps * self.config.decay))
        return min(1.0, (step + 1) / warm, max(0.0, (self.max_steps - step) / falling))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the network's configuration beside its weights."""
        checkpoint["network_config"] = self.network.config.to_dict()
