"""One pre-training run: from a recipe to a weights file, resumable at any moment."""

from dataclasses import dataclass, field
from pathlib import Path

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from torch.utils.data import DataLoader

from prompttune.backbone import SegGPT, SegGPTConfig
from prompttune.backbone.weights import load_weights, resize_weights, save_weights
from prompttune.data.endless import EndlessSampler
from prompttune.errors import InputError
from prompttune.pretraining.initialise import initialise
from prompttune.pretraining.module import InContextColouring, OptimiserConfig
from prompttune.pretraining.pairs import Mix, PairDataset
from prompttune.pretraining.pool import SetConfig, read_pool
from prompttune.training import StepProgress, quiet


@dataclass(frozen=True)
class PretrainRecipe:
    """Everything that decides what a pre-training run does."""

    backbone: SegGPTConfig = field(default_factory=SegGPTConfig)
    """The network's sizes."""
    mix: Mix = field(default_factory=Mix)
    """What the samples are."""
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    """How it is trained."""
    sets: list[SetConfig] = field(default_factory=list)
    """The folders of the pool."""
    init: Path | None = None
    """Weights to start from (any canvas: position tables are resized); None: random."""
    max_steps: int = 10_000
    """Optimiser steps."""
    batch: int = 32
    """Samples a step."""
    seed: int = 0
    """Of the weights and of all samples."""
    ema: float = 0.999
    """Decay of the averaged weights, which are the result."""
    save_every: int = 100
    """Steps between checkpoints."""
    workers: int = 1
    """Processes that make samples."""
    precision: str = "bf16-mixed"
    """As Lightning names it."""


def pretrain(
    recipe: PretrainRecipe, data: Path | None, output: Path, resume: bool, device: str
) -> Path:
    """Train; return the path of the averaged weights, `output/backbone.safetensors`.

    Without `data` all samples are generated.

    Raises:
        InputError: Unusable data, or `output` holds another run and `resume` was not asked for.
    """
    last = output / "last.ckpt"
    if last.exists() and not resume:
        raise InputError(
            f"{output} holds a run already; add --resume to go on, or name another --output"
        )
    sets = read_pool(data, recipe.sets) if data else ()
    module = InContextColouring(_network(recipe), recipe.optimiser, recipe.max_steps)
    samples = PairDataset(
        sets, recipe.backbone.canvas, recipe.backbone.patch, recipe.mix, recipe.seed
    )
    resumes = last if last.exists() else None
    start = torch.load(last, weights_only=True, map_location="cpu")["global_step"] if resumes else 0
    loader = DataLoader(
        samples,
        recipe.batch,
        sampler=EndlessSampler(start * recipe.batch),
        num_workers=recipe.workers,
        persistent_workers=recipe.workers > 0,
        worker_init_fn=_one_thread,
    )
    with quiet():
        _trainer(recipe, output, device).fit(module, loader, ckpt_path=resumes, weights_only=True)
    result = output / "backbone.safetensors"
    save_weights(module.network, result)  # the callback has put the averaged weights in place
    return result


def _trainer(recipe: PretrainRecipe, output: Path, device: str) -> pl.Trainer:
    checkpoint = ModelCheckpoint(
        output, filename="last", every_n_train_steps=recipe.save_every, enable_version_counter=False
    )
    return pl.Trainer(
        accelerator={"cpu": "cpu", "cuda": "gpu"}.get(device, "auto"),
        devices=1,
        max_steps=recipe.max_steps,
        precision=recipe.precision,  # type: ignore[arg-type]
        logger=CSVLogger(output, name=None, version="log"),
        callbacks=[EMAWeightAveraging(decay=recipe.ema), checkpoint, StepProgress("Pre-training")],
        log_every_n_steps=20,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def _network(recipe: PretrainRecipe) -> SegGPT:
    network = SegGPT(recipe.backbone)
    initialise(network, recipe.seed)
    if recipe.init is not None:
        _, tensors = load_weights(recipe.init)
        network.load_state_dict(resize_weights(tensors, recipe.backbone))
    return network


def _one_thread(_: int) -> None:
    # OpenCV's threads in every worker would fight the network's own.
    import cv2

    cv2.setNumThreads(0)
    torch.set_num_threads(1)
