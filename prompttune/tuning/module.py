"""The Lightning module of in-context tuning: a frozen network and one learned prompt."""

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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
from prompttune.tasks.recipe import Recipe
from prompttune.tuning.groups import groups_in_turn, relabeling
from prompttune.tuning.learnable import LearnablePrompt
from prompttune.tuning.loss import Pool, tuning_loss, whole
from prompttune.utils.constants import IGNORE
from prompttune.utils.devices import sum_of_all
from prompttune.utils.errors import InputError


class PromptTuning(pl.LightningModule):
    """Learns a prompt by gradient descent through a network that stays as it is.

    Of several prompts, each answers for its own classes; the others' are background to it. On any
    number of devices a step is the same: the loss is that of the whole batch. After the fit `best`
    holds what the validation with the best Dice had learned, or the start where no step was better.
    """

    strict_loading = False  # checkpoints leave the network out

    def __init__(
        self, network: SegGPT, prompt: LearnablePrompt, recipe: Recipe, seconds: float = 0.0
    ) -> None:
        super().__init__()
        self.network = network.requires_grad_(False)
        self.prompt = prompt
        self.recipe = recipe
        names = [part.palette.classes for part in prompt.parts]
        known = tuple(name for own in names for name in own)
        self._tables = [torch.tensor(relabeling(recipe.classes, own)) for own in (*names, known)]
        self.val_dice = MulticlassF1Score(len(known) + 1, average="none", ignore_index=IGNORE)
        self.best: dict[str, Any] = {"dice": -1.0, "step": 0}
        self.stale = 0  # validations since the best
        self.history: list[tuple[float, float]] = []  # seconds, Dice of each validation
        self.average = deepcopy(prompt).requires_grad_(False) if recipe.ema else None
        self._seconds, self._since = seconds, time.perf_counter()

    @property
    def kept(self) -> LearnablePrompt:
        """The prompt that is validated: the average over steps, where one is asked for."""
        return self.average or self.prompt

    def train(self, mode: bool = True) -> Self:
        """Switch the mode of all but the network, which stays in eval mode."""
        super().train(mode)
        self.network.eval()
        return self

    @property
    def seconds(self) -> float:
        """What tuning has taken, `seconds` before and validations included, resumed or not."""
        return self._seconds + time.perf_counter() - self._since

    def training_step(self, batch: dict[str, Tensor], batch_index: int) -> Tensor:
        """Return the loss of one batch of query crops: the mean over the prompts."""
        recipe, pool = self.recipe, sum_of_all if self.trainer.world_size > 1 else whole
        groups = self._groups(batch["class_map"], pool)
        with self._reproducible():
            answers = self.prompt(self.network, batch["image"], groups)
        losses = [
            tuning_loss(
                answer, self._relabeled(batch["class_map"], index),
                self.prompt.parts[index].palette,
                recipe.dice_weight, recipe.color_weight, recipe.beta, recipe.foreground_weight,
                pool,
            )
            for index, answer in zip(groups, answers, strict=True)
        ]  # fmt: skip
        loss = torch.stack(losses).mean()
        self.log("loss", loss, prog_bar=True, batch_size=answers.shape[1])
        return loss

    def _groups(self, class_map: Tensor, pool: Pool) -> list[int]:
        """Return the prompts that learn from a batch, the same on all devices."""
        count = self.recipe.groups_a_step
        if not count:
            return list(range(len(self.prompt.parts)))
        pixels = pool(torch.bincount(class_map.flatten().long(), minlength=IGNORE + 1).float())
        seen = torch.arange(IGNORE, device=class_map.device)[pixels[:IGNORE] > 0]
        own = [self._relabeled(seen, index) > 0 for index in range(len(self.prompt.parts))]
        shown = torch.stack(own).sum(1).cpu()
        return groups_in_turn(shown, self.global_step, count)

    @contextmanager
    def _reproducible(self) -> Iterator[None]:
        """Make the noise of a step depend on (seed, step) alone, whichever device takes it."""
        if not (self.recipe.jitter or self.recipe.dropout):
            yield
            return
        on_cuda = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices=on_cuda):
            torch.manual_seed(self.recipe.seed * 1_000_003 + self.global_step)
            yield

    def _relabeled(self, class_map: Tensor, prompt: int) -> Tensor:
        """Map the recipe's class indices to those of one prompt, or with -1 of all."""
        return self._tables[prompt].to(class_map.device)[class_map].to(class_map.dtype)

    def on_fit_start(self) -> None:
        """Start the clock.

        Raises:
            InputError: several processes would cut crops at different scales.
        """
        self._since = time.perf_counter()
        if self.trainer.world_size > 1:
            scales = torch.as_tensor(self.all_gather(torch.tensor(self.recipe.scale)))
            if scales.min() != scales.max():
                text = f"tuning: one process has scale {scales.min():g}, another {scales.max():g}; "
                raise InputError(text + "give all of them the same --scale")

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

    def validation_step(self, batch: dict[str, Tensor], batch_index: int) -> Tensor:
        """Count hits and misses of one batch; return what was decided, `B x S x S uint8`."""
        decided = self.kept.decide(self.kept(self.network, batch["image"]))
        self.val_dice.update(decided.long(), self._relabeled(batch["class_map"], -1))
        return decided

    def on_validation_epoch_end(self) -> None:
        """Log the Dice over all validation pixels (mean over classes); keep the best prompt."""
        dice = self.val_dice.compute()[1:].mean()
        self.val_dice.reset()
        self.log("val_dice", dice, prog_bar=True)
        self.history.append((self.seconds, float(dice)))
        self.stale += 1
        if float(dice) > self.best["dice"]:
            learned = {
                name: value.detach().cpu().clone() for name, value in self.kept.named_parameters()
            }
            self.best = {"dice": float(dice), "step": self.global_step, "learned": learned}
            self.stale = 0
        self._end_if_stale()

    def _end_if_stale(self) -> None:
        if self.recipe.patience and self.stale >= self.recipe.patience:
            self.trainer.should_stop = True

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """AdamW, a short warm-up, a cosine to zero."""
        adamw = AdamW(self.parameter_groups(), self.recipe.lr, weight_decay=0.0)
        rate = LambdaLR(
            adamw, lambda step: warm_cosine(step, self.recipe.max_steps, self.recipe.warmup)
        )
        return {"optimizer": adamw, "lr_scheduler": {"scheduler": rate, "interval": "step"}}

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return what is learned, as an optimizer takes it."""
        prompt, recipe = self.prompt, self.recipe
        pixels = [half for half in (prompt.images, prompt.colors) if half.requires_grad]
        groups: list[dict[str, Any]] = [{"params": pixels, "weight_decay": recipe.weight_decay}]
        if prompt.type_shifts is not None:
            groups.append({"params": [prompt.type_shifts], "lr": recipe.type_lr})
        return groups

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep what was learned, not the network (1.5 GB each time for ViT-L)."""
        state = checkpoint["state_dict"]
        checkpoint["state_dict"] = {k: v for k, v in state.items() if not k.startswith("network.")}
        checkpoint["best"], checkpoint["stale"] = self.best, self.stale
        checkpoint["seconds"], checkpoint["history"] = self.seconds, self.history

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on with the best prompt so far; in runs of version 0.1 its colors are `colours`."""
        checkpoint["state_dict"] = _named_now(checkpoint["state_dict"])
        if "learned" in checkpoint["best"]:  # from the first validation on
            checkpoint["best"]["learned"] = _named_now(checkpoint["best"]["learned"])
        self.best, self.stale = checkpoint["best"], checkpoint["stale"]
        self._seconds, self.history = checkpoint["seconds"], checkpoint["history"]


def _named_now(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.replace("colours", "colors"): value for name, value in tensors.items()}


def warm_cosine(step: int, steps: int, warmup: float) -> float:
    """Return the share of its peak that a learning rate has: it rises, then falls to zero.

    Args:
        step: the next one, from 0.
        steps: of the run.
        warmup: share of the steps in which it rises, in a line; then it falls along a cosine.
    """
    warm = max(1, round(steps * warmup))
    if step < warm:
        return (step + 1) / warm
    progress = (step - warm) / max(1, steps - warm)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
