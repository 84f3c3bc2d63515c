"""Learning a companion: a small U-Net, on the crops that tune the prompt."""

from tempfile import TemporaryDirectory
from typing import cast

import lightning.pytorch as pl
import torch
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader

from prompttune.companion.network import CompanionNetwork
from prompttune.data.crops import Augmentation, CropDataset, Share, StepSampler
from prompttune.tasks.data import TaskData
from prompttune.tasks.recipe import Recipe
from prompttune.tuning.loss import supervised_loss
from prompttune.tuning.module import warm_cosine
from prompttune.tuning.run import Machine
from prompttune.utils.lightning import StepProgress, quiet
from prompttune.utils.normalize import normalize

LR, WEIGHT_DECAY, WARMUP = 2e-3, 0.01, 0.05
AVERAGED = 0.98
"""Decay of the averaged weights, which are kept."""
MAX_CROP = 256
"""Side of a crop: a larger canvas shows a network of convolutions nothing that it could use."""

MANY = 16
"""Training images that show the light in which things may lie. A companion of fewer takes theirs
for a trait of the things, and sees windows standardized. That has a price: where something that no
training image shows fills half of a window, what it finds in the other half changes (docs/tune.md).
"""


class CompanionTraining(pl.LightningModule):
    """Trains a companion by cross-entropy and Dice; what is kept is the average over steps."""

    def __init__(self, network: CompanionNetwork, steps: int) -> None:
        super().__init__()
        self.network, self._steps = network, steps
        self.average = AveragedModel(network, avg_fn=_averaged, use_buffers=True)

    def training_step(self, batch: dict[str, Tensor], batch_index: int) -> Tensor:
        """Return the loss of a batch of crops."""
        loss = supervised_loss(self.network(normalize(batch["image"])), batch["class_map"])
        self.log("loss", loss, prog_bar=True)
        return loss

    def on_train_batch_end(self, *_: object) -> None:
        """Average the weights."""
        self.average.update_parameters(self.network)

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """AdamW, a short warm-up, a cosine to zero."""
        adamw = AdamW(self.network.parameters(), LR, weight_decay=WEIGHT_DECAY)
        rate = LambdaLR(adamw, lambda step: warm_cosine(step, self._steps, WARMUP))
        return {"optimizer": adamw, "lr_scheduler": {"scheduler": rate, "interval": "step"}}


def _averaged(kept: Tensor, new: Tensor, count: Tensor | int) -> Tensor:
    """Average with a decay that begins small, so that the start is forgotten."""
    if not kept.is_floating_point():
        return new
    return torch.lerp(new, kept, min(AVERAGED, (1 + int(count)) / (10 + int(count))))


def train_companion(
    recipe: Recipe,
    canvas: int,
    data: TaskData,
    steps: int,
    machine: Machine,
    strong: bool = False,
) -> CompanionNetwork:
    """Learn a companion from the images that tune the prompt.

    It takes a minute or two and is not resumed: what is interrupted begins again. Two runs give
    the same bits on a CPU. What lies outside fields of view does not count in any score, but users
    see it: a companion that never learned it paints black corners.

    Args:
        recipe: of the task; classes, scale, batch, augmentation and seed are taken from it.
        canvas: side of the windows in which the key answers, pixels.
        data: `train` is learned from.
        steps: at least 1.
        machine: that computes.
        strong: vary the crops strongly, where the recipe varies them at all.

    Returns:
        The network, in eval mode on the CPU.

    Raises:
        InputError: no sample shows a class.
    """
    side = min(canvas, MAX_CROP)
    augment = Augmentation(side, strong, recipe.flips) if recipe.augment else None
    crops = CropDataset(
        data.train, side, recipe.scale, recipe.seed, steps * recipe.batch, augment, outside=0
    )
    loader = DataLoader(
        crops, batch_sampler=StepSampler(Share(recipe.batch)), num_workers=machine.workers
    )
    with torch.random.fork_rng(devices=[]), quiet(), TemporaryDirectory() as folder:
        torch.manual_seed(recipe.seed)
        network = CompanionNetwork(len(recipe.classes), standardized=len(data.train) < MANY)
        module = CompanionTraining(network, steps)
        _trainer(steps, machine, folder).fit(module, loader)
    return cast(CompanionNetwork, module.average.module).cpu().eval()


def _trainer(steps: int, machine: Machine, folder: str) -> pl.Trainer:
    return pl.Trainer(
        accelerator="gpu" if machine.device == "cuda" else "cpu",
        devices=1,
        precision="bf16-mixed" if machine.bf16 else "32-true",
        max_steps=steps,
        default_root_dir=folder,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[StepProgress("Learning the companion")] if machine.progress else [],
    )
