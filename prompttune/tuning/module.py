"""The Lightning module of in-context tuning: a frozen network and one learned prompt."""

import math
from typing import Any, Self

import lightning.pytorch as pl
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor
from torch.optim import Adam
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
        )  # fmt: skip
        self.log("loss", loss, prog_bar=True, batch_size=len(answer))
        return loss

    def on_train_batch_end(self, *_: Any) -> None:
        """Keep the pixels a picture."""
        self.prompt.project()

    def validation_step(self, batch: dict[str, Tensor], batch_index: int) -> None:
        """Count hits and misses of one batch of validation crops."""
        palette = self.prompt.palette
        decided = palette.decide(palette.scores(self.prompt(self.network, batch["image"])))
        self.val_dice.update(decided.long(), batch["class_map"])

    def on_validation_epoch_end(self) -> None:
        """Log the Dice over all validation pixels (mean over classes); keep the best prompt."""
        dice = self.val_dice.compute()[1:].mean()
        self.val_dice.reset()
        self.log("val_dice", dice, prog_bar=True)
        if not self.trainer.sanity_checking and float(dice) > self.best["dice"]:
            pixels = {
                name: value.detach().cpu().clone() for name, value in self.prompt.named_parameters()
            }
            self.best = {"dice": float(dice), "step": self.global_step, **pixels}

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """Adam, a short warm-up, a cosine to zero; no weight decay, which would darken pixels."""
        learned = [pixels for pixels in self.prompt.parameters() if pixels.requires_grad]
        adam = Adam(learned, self.recipe.lr)
        rate = LambdaLR(adam, self._rate)
        return {"optimizer": adam, "lr_scheduler": {"scheduler": rate, "interval": "step"}}

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
        checkpoint["best"] = self.best

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on with the best prompt so far."""
        self.best = checkpoint["best"]
