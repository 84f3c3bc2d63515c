"""Networks of pixels to logits, trained on the same crops that tune a prompt; a U-Net."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from torch import Tensor, nn
from torch.optim import AdamW
from torch.utils.data import DataLoader
from torchmetrics.classification import MulticlassF1Score

from prompttune.data.crops import Augmentation, CropDataset, Share, StepSampler
from prompttune.data.layouts import LoadedSample
from prompttune.tuning.loss import supervised_loss
from prompttune.utils.constants import IGNORE
from prompttune.utils.errors import InputError
from prompttune.utils.lightning import StepProgress, quiet
from prompttune.utils.normalize import normalize, to_tensor
from prompttune.utils.tiling import Blend, pad_reflect, resize, resize_scores, scaled_size

CROP = 128
"""Pixels; a U-Net is free to see more at once than the backbone's canvas."""

ENDLESS = 1_000_000


@dataclass(frozen=True)
class Budget:
    """How long a rival may train, and on what."""

    seconds: float
    """Wall time; the rate falls along a cosine of it."""
    crop: int
    """Side of a training crop and of a window at prediction, in pixels at `scale`."""
    scale: float
    """Pixels of a crop an image pixel."""
    lr: float = 1e-3
    """Peak rate of AdamW."""
    batch: int = 8
    """Crops a step."""
    val_every: int = 25
    """Steps between validations, of which the best weights are kept."""
    val_crops: int = 32
    """Crops of the validation images."""
    patience: int | None = None
    """Validations without a better Dice after which it ends; None: only the time ends it."""
    seed: int = 0
    """Of weights and crops."""
    flips: bool = True
    """Whether crops are mirrored and quarter-turned, as those of the prompt are."""
    bf16: bool = False
    """Compute in bf16 where that is safe (autocast), as the prompt is tuned."""


class Supervised(pl.LightningModule):
    """Trains `network` (normalized `B x 3 x S x S` to logits `B x (C + 1) x S x S`).

    The loss is cross-entropy plus Dice (`supervised_loss`).
    """

    def __init__(self, network: nn.Module, classes: int, budget: Budget) -> None:
        super().__init__()
        self.network = network
        self.budget = budget
        self.started = math.nan
        self.history: list[tuple[float, float]] = []  # seconds, Dice on validation crops
        self.val_dice = MulticlassF1Score(classes + 1, average="none", ignore_index=IGNORE)

    def on_fit_start(self) -> None:
        """Start the clock."""
        self.started = time.monotonic()

    def training_step(self, batch: dict[str, Tensor], batch_index: int) -> Tensor:
        """Return the loss of a batch of crops."""
        return supervised_loss(self.network(normalize(batch["image"])), batch["class_map"])

    def on_train_batch_start(self, *_: Any) -> None:
        """Lower the rate as the time goes by."""
        gone = min(1.0, (time.monotonic() - self.started) / self.budget.seconds)
        for group in self.optimizers().param_groups:  # type: ignore[union-attr]
            group["lr"] = self.budget.lr * max(0.02, 0.5 * (1 + math.cos(math.pi * gone)))

    def validation_step(self, batch: dict[str, Tensor], batch_index: int) -> None:
        """Count hits and misses of one batch of validation crops."""
        decided = self.network(normalize(batch["image"])).argmax(1)
        self.val_dice.update(decided, batch["class_map"])

    def on_validation_epoch_end(self) -> None:
        """Log the Dice over all validation pixels, mean over classes."""
        dice = self.val_dice.compute()[1:].mean()
        self.log("val_dice", dice, prog_bar=True)
        self.history.append((time.monotonic() - self.started, float(dice)))
        self.val_dice.reset()

    def configure_optimizers(self) -> AdamW:
        """AdamW over what is not frozen."""
        return AdamW([p for p in self.parameters() if p.requires_grad], self.budget.lr)


@dataclass(frozen=True)
class Trained:
    """A network with the weights of its best validation, in eval mode, and how it came there."""

    network: nn.Module
    history: list[tuple[float, float]]
    """Of each validation: seconds since the start, Dice on the crops."""


def train_rival(
    network: nn.Module,
    classes: int,
    train: Sequence[LoadedSample],
    validation: Sequence[LoadedSample],
    budget: Budget,
    device: torch.device,
    title: str,
) -> Trained:
    """Train a network for a time.

    Raises:
        InputError: no sample shows a class.
    """
    pl.seed_everything(budget.seed, verbose=False)
    crops = [
        CropDataset(part, budget.crop, budget.scale, budget.seed, length, augment)
        for part, length, augment in (
            (train, ENDLESS, Augmentation(budget.crop, flips=budget.flips)),
            (validation, budget.val_crops, None),
        )
    ]
    loaders = (
        DataLoader(crops[0], batch_sampler=StepSampler(Share(budget.batch))),
        DataLoader(crops[1], 2 * budget.batch),
    )
    module = Supervised(network, classes, budget)
    with TemporaryDirectory() as folder, quiet():
        best = ModelCheckpoint(folder, monitor="val_dice", mode="max", save_weights_only=True)
        _trainer(budget, device, best, title).fit(module, *loaders)
        if best.best_model_path:  # none where the time was over before the first validation
            state = torch.load(Path(best.best_model_path), weights_only=True)["state_dict"]
            module.load_state_dict(state)
    return Trained(module.network.to(device).eval(), module.history)


def _trainer(budget: Budget, device: torch.device, best: ModelCheckpoint, title: str) -> pl.Trainer:
    callbacks: list[pl.Callback] = [best, StepProgress(title)]
    if budget.patience is not None:
        callbacks.append(EarlyStopping("val_dice", mode="max", patience=budget.patience))
    return pl.Trainer(
        accelerator="gpu" if device.type == "cuda" else "cpu",
        devices=1,
        precision="bf16-mixed" if budget.bf16 else "32-true",
        max_steps=-1,
        max_time=timedelta(seconds=budget.seconds),
        val_check_interval=budget.val_every,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        logger=False,
        callbacks=callbacks,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


@torch.inference_mode()
def predict_tiled(
    network: nn.Module, image: np.ndarray, budget: Budget, overlap: float, device: torch.device
) -> np.ndarray:
    """Return the scores of an `H x W x 3 uint8` image, `C x H x W float32` in [0, 1].

    Windows, scale, overlap and blending are those of `Segmenter.predict`.
    """
    size = scaled_size(image.shape[0], image.shape[1], budget.scale)
    pixels, (top, left) = pad_reflect(resize(to_tensor(image), size), budget.crop)
    blend = Blend(pixels.shape[1], pixels.shape[2], budget.crop, overlap)
    places = blend.places
    for first in range(0, len(places), budget.batch):
        chunk = places[first : first + budget.batch]
        queries = torch.stack([_window(pixels, place, budget.crop) for place in chunk])
        with torch.autocast(device.type, torch.bfloat16, enabled=budget.bf16):
            logits = network(normalize(queries.to(device))).float()
        scores = logits.softmax(1)[:, 1:].cpu()
        for place, each in zip(chunk, scores, strict=True):
            blend.add(place, each)
    scores = blend.result()[:, top : top + size[0], left : left + size[1]]
    return resize_scores(scores, (image.shape[0], image.shape[1])).numpy()


def _window(pixels: Tensor, place: tuple[int, int], side: int) -> Tensor:
    top, left = place
    return pixels[:, top : top + side, left : left + side]


def unet(classes: int) -> nn.Module:
    """Return MONAI's residual U-Net (1.6 M parameters), normalized pixels to `classes + 1` logits.

    Channels as in MONAI's own 2D segmentation tutorials, doubled; crops' sides divide by 16.

    Raises:
        InputError: MONAI is not installed.
    """
    try:
        from monai.networks.nets import UNet  # type: ignore[attr-defined]
    except ImportError as error:
        raise InputError(
            "the row unet needs MONAI; pip install 'prompttune[rivals]', or leave it out of --rows"
        ) from error
    network: nn.Module = UNet(
        spatial_dims=2,
        in_channels=3,
        out_channels=classes + 1,
        channels=(32, 64, 128, 256),
        strides=(2, 2, 2),
        num_res_units=2,
    )
    return network
