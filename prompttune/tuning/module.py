"""The Lightning module of in-context tuning: a frozen network and one learned prompt."""

import math
from copy import deepcopy
from typing import Any, Self

import lightning.pytorch as pl
import torch
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR
from torchmetrics.classification import MulticlassF1Score

from prompttune.backbone import SegGPT
from prompttune.palette import IGNORE
from prompttune.recipes import Recipe
from prompttune.tuning.loss import tuning_loss
from prompttune.tuning.prompt import LearnablePrompt


class PromptTuning(pl.LightningModule):
    """Learns a prompt by gradient descent through a network that stays as it is.

    After the fit `best` holds the images and colours of the validation with the best Dice.
    """

    strict_loading = False  # checkpoints leave the network out

    def __init__(self, network: SegGPT, prompt: LearnablePrompt, recipe: Recipe) -> None:
        super().__init__()
        self.network = network.requires_grad_(False)
        self.prompt = prompt
        self.recipe = recipe
        self.val_dice = MulticlassF1Score(
            len(recipe.classes) + 1, average="none", ignore_index=IGNORE
        )
        self.best: dict[str, Any] = {"dice": -1.0, "step": 0}
        self.stale = 0  # validations since the best
        self.average = deepcopy(prompt).requires_grad_(False) if recipe.ema else None

    @property
    def kept(self) -> LearnablePrompt:
        """The prompt that is validated: the average over steps, where one is asked for."""
        return self.average or self.prompt

    def train(self, mode: bool = True) -> Self:
        """Switch the mode of all but the network, which stays in eval mode."""
        super().train(mode)
        self.network.eval()
        return self

    def training_step(self, batch: dict[str, Tensor], batch_index: int) -> Tensor:
        """Return the loss of one batch of query crops."""
        answer = self.prompt(self.network, batch["image"])
        loss = tuning_loss(
            answer, batch["class_map"], self.prompt.palette,
            self.recipe.dice_weight, self.recipe.colour_weight, self.recipe.beta,
            self.recipe.foreground_weight,
        )  # fmt: skip
        self.log("loss", loss, prog_bar=True, batch_size=len(answer))
        return loss

    def on_train_start(self) -> None:
        """End at once where the run that is resumed had ended early."""
        self._end_if_stale()

    @torch.no_grad()
    def on_train_batch_end(self, *_: Any) -> None:
        """Keep the pixels a picture, and average them."""
        self.prompt.project()
        if self.average is not None:
            step = self.global_step  # the first averages are short, so that the start is forgotten
            share = 1 - min(self.recipe.ema, step / (10 + step))
            for kept, new in zip(self.average.parameters(), self.prompt.parameters(), strict=True):
                kept.lerp_(new, share)

    def validation_step(self, batch: dict[str, Tensor], batch_index: int) -> None:
        """Count hits and misses of one batch of validation crops."""
        palette = self.prompt.palette
        decided = palette.decide(palette.scores(self.kept(self.network, batch["image"])))
        self.val_dice.update(decided.long(), batch["class_map"])

    def on_validation_epoch_end(self) -> None:
        """Log the Dice over all validation pixels (mean over classes); keep the best prompt."""
        dice = self.val_dice.compute()[1:].mean()
        self.val_dice.reset()
        self.log("val_dice", dice, prog_bar=True)
        self.stale += 1
        if float(dice) > self.best["dice"]:
            pixels = {
                name: value.detach().cpu().clone() for name, value in self.kept.named_parameters()
            }
            self.best = {"dice": float(dice), "step": self.global_step, **pixels}
            self.stale = 0
        self._end_if_stale()

    def _end_if_stale(self) -> None:
        if self.recipe.patience and self.stale >= self.recipe.patience:
            self.trainer.should_stop = True

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """AdamW, a short warm-up, a cosine to zero."""
        learned = [pixels for pixels in self.prompt.parameters() if pixels.requires_grad]
        adamw = AdamW(learned, self.recipe.lr, weight_decay=self.recipe.weight_decay)
        rate = LambdaLR(adamw, self._rate)
        return {"optimizer": adamw, "lr_scheduler": {"scheduler": rate, "interval": "step"}}

    def _rate(self, step: int) -> float:
        warm = max(1, round(self.recipe.max_steps * self.recipe.warmup))
        if step < warm:
            return (step + 1) / warm
        progress = (step - warm) / max(1, self.recipe.max_steps - warm)
        return 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep what was learned, not the network (1.5 GB each time for ViT-L)."""
        state = checkpoint["state_dict"]
        checkpoint["state_dict"] = {k: v for k, v in state.items() if not k.startswith("network.")}
        checkpoint["best"], checkpoint["stale"] = self.best, self.stale

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on with the best prompt so far."""
        self.best, self.stale = checkpoint["best"], checkpoint["stale"]
