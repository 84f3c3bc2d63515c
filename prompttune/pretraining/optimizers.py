"""How the network is trained: the optimizers, and how their rate rises and falls."""

import math
import re
from dataclasses import dataclass
from typing import Any, Literal

from torch import nn
from torch.nn import Parameter
from torch.optim import AdamW, Muon, Optimizer

from prompttune.utils.errors import InputError


@dataclass(frozen=True)
class OptimizerConfig:
    """How the network is trained."""

    lr: float = 1.5e-3
    """Peak learning rate, of Muon (2-D weights) and of AdamW (the rest)."""
    weight_decay: float = 0.05
    """Decoupled weight decay, of 2-D weights alone."""
    warmup: float = 0.02
    """Share of the steps in which the rate rises linearly."""
    decay: float = 0.5
    """Share of the steps, at the end, in which it falls to zero."""
    clip: float = 1.0
    """Largest norm of the gradient."""
    beta: float = 1.0
    """Of smooth-L1, normalized units. A small one (the paper's .01) makes thin things vanish."""
    name: Literal["muon+adamw", "adamw"] = "muon+adamw"
    """Muon for 2-D weights with AdamW for the rest, or AdamW for all."""
    schedule: Literal["linear", "cosine"] = "linear"
    """How the rate falls."""
    layer_decay: float = 1.0
    """With AdamW: of the rate, from each block to the one before it; for weights that start from
    a trained network, whose first blocks should change least."""

    def __post_init__(self) -> None:
        for field in ("lr", "clip", "beta"):
            if not getattr(self, field) > 0:
                raise InputError(f"optimizer.{field} must be above 0, not {getattr(self, field)}")
        if not 0 < self.layer_decay <= 1:
            raise InputError(f"optimizer.layer_decay must be in 0..1, not {self.layer_decay}")
        if self.layer_decay < 1 and self.name != "adamw":
            raise InputError("optimizer.layer_decay is for name: adamw")
        for field in ("warmup", "decay"):
            if not 0 <= getattr(self, field) <= 1:
                raise InputError(f"optimizer.{field} must be in 0..1, not {getattr(self, field)}")
        if self.weight_decay < 0:
            raise InputError(f"optimizer.weight_decay is negative: {self.weight_decay}")


def optimizers(network: nn.Module, config: OptimizerConfig) -> list[Optimizer]:
    """Return what trains the network; one step of it is a step of each."""
    if config.name == "adamw":
        return [AdamW(_groups(network, config), config.lr, betas=(0.9, 0.98))]
    matrices: list[Parameter] = []
    others: list[Parameter] = []
    for name, parameter in network.named_parameters():
        (matrices if _is_matrix(name, parameter) else others).append(parameter)
    rest = {"params": others, "weight_decay": 0.0}
    muon = Muon(matrices, config.lr, config.weight_decay, adjust_lr_fn="match_rms_adamw")
    return [muon, AdamW([rest], config.lr, betas=(0.9, 0.98))]


def _is_matrix(name: str, parameter: Parameter) -> bool:
    return parameter.ndim == 2 and "rel_pos" not in name


def _groups(network: nn.Module, config: OptimizerConfig) -> list[dict[str, Any]]:
    """Group the parameters by their rates and by whether they decay."""
    numbers = [int(match[1]) for name, _ in network.named_parameters() if (match := _BLOCK(name))]
    blocks = 1 + max(numbers, default=0)
    groups: dict[tuple[float, bool], list[Parameter]] = {}
    for name, parameter in network.named_parameters():
        match = _BLOCK(name)
        below = blocks if name.startswith(("patch_embed", "pos_embed")) else 0
        above = blocks - 1 - int(match[1]) if match else below
        key = config.lr * config.layer_decay**above, _is_matrix(name, parameter)
        groups.setdefault(key, []).append(parameter)
    return [
        {"params": some, "lr": lr, "weight_decay": config.weight_decay * decays}
        for (lr, decays), some in groups.items()
    ]


_BLOCK = re.compile(r"blocks\.(\d+)\.").match


def rate(config: OptimizerConfig, step: int, max_steps: int) -> float:
    """Return the learning rate of a step over the peak's."""
    warm = max(1, int(max_steps * config.warmup))
    falling = max(1, int(max_steps * config.decay))
    left = min(1.0, max(0.0, (max_steps - step) / falling))
    if config.schedule == "cosine":
        left = 0.5 * (1 - math.cos(math.pi * left))
    return min((step + 1) / warm, left)
