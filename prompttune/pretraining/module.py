"""The Lightning module of in-context coloring."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast

import lightning.pytorch as pl
import torch
import torch.nn.functional as F
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.strategies import ModelParallelStrategy
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from prompttune.backbone.network import SegGPT
from prompttune.backbone.one_way import OneWaySegGPT
from prompttune.pretraining.optimizers import OptimizerConfig, optimizers, rate
from prompttune.pretraining.sharding import shard
from prompttune.utils.normalize import normalize

Batch = dict[str, Tensor]
Generate = Callable[[int, torch.device], Batch]
"""Makes the samples of a step that the loader does not make."""


def coloring_loss(
    output: Tensor, target: Tensor, weight: Tensor, beta: float, total: Tensor | None = None
) -> Tensor:
    """Return smooth-L1 averaged over the weighted pixels (paper, section 3.1).

    Args:
        output: B x 3 x H x W; `target` likewise, normalized space.
        weight: B x 1 x H x W, 0 where nothing is asked.
        beta: Where the loss turns from square to linear.
        total: The sum of all weights that the batch has elsewhere, too; None: these are all.
    """
    per_pixel = F.smooth_l1_loss(output.float(), target, beta=beta, reduction="none").mean(
        1, keepdim=True
    )
    return (per_pixel * weight).sum() / (weight.sum() if total is None else total).clamp_min(1)


class InContextColoring(pl.LightningModule):
    """Trains a SegGPT on pairs from `PairDataset`, and what `generate` adds to them.

    On any number of devices, and in any number of parts, a step is the same: the loss is divided by
    the weight of the whole batch.
    """

    def __init__(
        self,
        network: SegGPT,
        optimizer: OptimizerConfig,
        max_steps: int,
        accumulate: int = 1,
        generate: Generate | None = None,
        prompts: Sequence[int] = (1,),
    ) -> None:
        super().__init__()
        self.network = network
        self.config = optimizer
        self.max_steps = max_steps
        self.accumulate = accumulate
        self.generate = generate
        self.prompts = tuple(prompts)
        self.automatic_optimization = False  # two optimizers share one backward pass

    def configure_model(self) -> None:
        """Give each device its share of the network, where the strategy asks for that."""
        if isinstance(self.trainer.strategy, ModelParallelStrategy):
            shard(self.network, self.device_mesh["data_parallel"])  # type: ignore[index]

    def training_step(self, batch: Batch, batch_index: int) -> None:
        """Take one step; logs the loss and the learning rate."""
        if self.generate is not None:
            batch = _join(batch, self.generate(self.global_step, self.device))
        if isinstance(self.network, OneWaySegGPT):
            batch = _as_tasks(batch, self.prompts[self.global_step % len(self.prompts)])
        steppers = self._steppers()
        for stepper in steppers:
            stepper.zero_grad()
        loss = self._backward(batch)
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.config.clip)
        *others, last = steppers
        for stepper in others:
            stepper.optimizer.step()  # the bare one: Lightning counts a step for each of its own
        last.step()
        self.log("loss", loss, prog_bar=True, batch_size=1, sync_dist=True)
        self.log("lr", last.param_groups[0]["lr"], prog_bar=True, batch_size=1)
        for scheduler in cast(list[LambdaLR], _listed(self.lr_schedulers())):
            scheduler.step()

    def _backward(self, batch: Batch) -> Tensor:
        """Fill the gradients; return this device's summand of the loss, times the devices."""
        total = batch["weight"].sum()
        # Gradients are averaged over the devices, but each has only its summands of the loss.
        total = self.trainer.strategy.reduce(total, reduce_op="sum") / self.trainer.world_size
        loss = total.new_zeros(())
        count = len(batch["weight"])
        size = -(-count // self.accumulate)
        for start in range(0, count, size):
            part = {name: values[start : start + size] for name, values in batch.items()}
            is_last = start + size >= count
            with nullcontext() if is_last else self._without_exchange():
                summand = self._loss(part, total)
                self.manual_backward(summand)
            loss += summand.detach()
        return loss

    def _loss(self, batch: Batch, total: Tensor) -> Tensor:
        if isinstance(self.network, OneWaySegGPT):
            images, colors, queries, target = (
                normalize(batch[name]) for name in ("images", "colors", "queries", "target")
            )
            output = self.network.color(images, colors, queries, batch["seg_type"])
            output, target, weight = (x.flatten(0, 1) for x in (output, target, batch["weight"]))
            return coloring_loss(output, target, weight, self.config.beta, total)
        image, target = normalize(batch["image"]), normalize(batch["target"])
        seg_type = batch.get("seg_type")
        if seg_type is None:
            seg_type = torch.zeros(len(image), dtype=torch.long, device=image.device)
        output = self.network(image, target, batch["masked"], seg_type, query_only=False)
        return coloring_loss(output, target, batch["weight"], self.config.beta, total)

    def _without_exchange(self) -> AbstractContextManager[None]:
        model = self.trainer.model
        return model.no_sync() if isinstance(model, DistributedDataParallel) else nullcontext()

    def _steppers(self) -> list[LightningOptimizer]:
        return cast(list[LightningOptimizer], _listed(self.optimizers()))

    def configure_optimizers(self) -> tuple[list[Optimizer], list[LambdaLR]]:
        """Return the optimizers that the configuration names, and the schedule of each."""
        each = optimizers(self.network, self.config)
        return each, [LambdaLR(one, self._rate) for one in each]

    def _rate(self, step: int) -> float:
        return rate(self.config, step, self.max_steps)


def _as_tasks(batch: Batch, prompts: int) -> Batch:
    """Part the images of tasks, or of pairs, into prompts and queries.

    Returns images and colors, B x N x 3 x S x S; queries and target, B x Q x 3 x S x S; weight,
    B x Q x 1 x S x S; seg_type.
    """
    if "images" in batch:
        images, targets, weight = (batch[name] for name in ("images", "targets", "weight"))
    else:  # a pair stands on one canvas
        images, targets, weight = (
            torch.stack(batch[name].chunk(2, 2), 1) for name in ("image", "target", "weight")
        )
        prompts = 1
    return {
        "images": images[:, :prompts],
        "colors": targets[:, :prompts],
        "queries": images[:, prompts:],
        "target": targets[:, prompts:],
        "weight": weight[:, prompts:],
        "seg_type": batch["seg_type"],
    }


def _join(loaded: Batch, generated: Batch) -> Batch:
    """Put generated samples behind loaded ones; of either there may be none."""
    if not (loaded and generated):
        return loaded or generated
    return {
        name: torch.cat((values, generated[name].to(values.dtype)))
        for name, values in loaded.items()
        if name in generated
    }


def _listed(one_or_many: Any) -> list[Any]:
    return one_or_many if isinstance(one_or_many, list) else [one_or_many]
