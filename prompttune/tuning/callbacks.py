"""Pictures of a prompt while it is learned, and of what it answers to the same few crops."""

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from torch import Tensor

from prompttune.evaluation.page import GAP, color_answer
from prompttune.tuning.module import PromptTuning
from prompttune.utils.contact_sheet import beside, fit, grid, write_png
from prompttune.utils.normalize import to_uint8

CROPS = 4
SIDE = 160
"""Pixels of a square in a picture."""


class ProgressPictures(pl.Callback):
    """Shows each validation in `folder/step-00050.png`, and to loggers that take images.

    A picture has a row a prompt image, its colors beside it; to the right of these a row a crop:
    the crop, the answer, the truth. The crops are the first validation batch's first `CROPS` that
    show a class, so they stay the same, and their answers cost nothing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._answered: list[list[np.ndarray]] = []

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: dict[str, Tensor],
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep what was decided of the first crops."""
        if batch_idx or not trainer.is_global_zero:
            return
        assert isinstance(pl_module, PromptTuning)
        palette = pl_module.prompt.start.palette
        self._answered = []
        for index in _telling(batch["class_map"]):
            truth = batch["class_map"][index].byte().cpu().numpy()
            decided = outputs[index].cpu().numpy()
            maps = [color_answer(each, truth, None, palette) for each in (decided, truth)]
            self._answered.append([to_uint8(batch["image"][index]), *maps])

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write and log the pictures."""
        if not trainer.is_global_zero:
            return
        assert isinstance(pl_module, PromptTuning)
        kept, step = pl_module.kept, trainer.global_step
        pairs = zip(kept.images, kept.colors, strict=True)
        prompts = _sheet([[to_uint8(image), to_uint8(colors)] for image, colors in pairs])
        answers = _sheet(self._answered)
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"step-{step:05d}.png"
        write_png(path, beside(prompts, answers, 3 * GAP))
        for logger in trainer.loggers:
            if log_image := getattr(logger, "log_image", None):
                log_image("prompt", [prompts], step)
                log_image("answers", [answers], step)


def _telling(class_maps: Tensor) -> list[int]:
    """Return the first `CROPS` indices of `B x S x S` maps, those that show a class before all."""
    shows = ((class_maps > 0) & (class_maps < 255)).flatten(1).any(1)
    order = torch.argsort(shows, descending=True, stable=True)[:CROPS]
    return sorted(order.tolist())


def _sheet(rows: list[list[np.ndarray]]) -> np.ndarray:
    """Lay `S x S x 3 uint8` squares out in rows, all of one size."""
    return grid([[fit(square, SIDE) for square in row] for row in rows], GAP)
