"""One tuning run: from images to a learned prompt, resumable at any moment."""

import json
import os
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, Logger
from lightning.pytorch.strategies import DDPStrategy
from torch.utils.data import DataLoader, Subset

from prompttune.backbone import SegGPT, at_canvas
from prompttune.data.crops import Augmentation, CropDataset, Share, StepSampler
from prompttune.prompts.composition import Composition
from prompttune.prompts.prompt import Prompt
from prompttune.tasks.data import TaskData
from prompttune.tasks.recipe import Recipe
from prompttune.tuning.callbacks import ProgressPictures
from prompttune.tuning.checkpoints import WholeCheckpointIO, read_checkpoint
from prompttune.tuning.groups import class_groups
from prompttune.tuning.init import starting_prompt
from prompttune.tuning.learnable import LearnablePrompt, with_learned
from prompttune.tuning.module import PromptTuning
from prompttune.utils.bounds import check_prompt, check_step
from prompttune.utils.devices import check_devices, global_rank
from prompttune.utils.errors import explain_out_of_memory
from prompttune.utils.io import write_whole
from prompttune.utils.lightning import StepProgress, quiet
from prompttune.utils.locking import alone_in
from prompttune.utils.progress import Progress
from prompttune.utils.resuming import check_same_run, read_settings, refuse_begun

ANSWERS = 512
"""Of all starts together, that choose the best: of many each answers few validation crops."""
CHECKPOINT, SETTINGS, PROGRESS = "last.ckpt", "settings.json", "progress"


@dataclass(frozen=True)
class Machine:
    """What does not change what a run means, only where and how it is computed and shown."""

    device: str = "cpu"
    bf16: bool = False
    memory: Literal["fast", "saving"] = "fast"
    """`saving` keeps one tensor a block for the backward pass and computes the rest twice."""
    logger: Literal["csv", "wandb"] = "csv"
    workers: int = 0
    progress: bool = True
    devices: int = 1
    """On each node; each a process that takes its share of every batch."""
    nodes: int = 1


@dataclass(frozen=True)
class Tuned:
    """A learned prompt (threshold still 0.5) and what its choice stands on."""

    prompt: Prompt | Composition
    """A composition where the recipe shares the classes among groups."""
    val_dice: float
    """On the validation crops, of the kept step."""
    step: int
    seconds: float
    """What tuning took, the choice of the start and validations included."""
    history: list[tuple[float, float]]
    """Of each validation: seconds since the start, Dice on the crops."""
    precision: Literal["fp32", "bf16"]


def tune(
    recipe: Recipe,
    network: SegGPT,
    data: TaskData,
    output: Path,
    machine: Machine,
    resume: bool = False,
    start: Prompt | Composition | None = None,
    module: type[PromptTuning] = PromptTuning,
) -> Tuned:
    """Learn a prompt; everything that a resumed run needs lies in `output`.

    Two runs with one recipe, data and backbone give the same prompt bit for bit on a CPU, whether
    one of them was killed and resumed or not. On several devices all processes return the same.

    Args:
        recipe: what is learned, and how.
        network: frozen.
        data: images to learn from, and those that choose.
        output: folder of the run.
        machine: that computes.
        resume: go on with the run in `output`.
        start: where to begin; None: as the recipe's `init` says.
        module: what is trained.

    Raises:
        InputError: `output` holds another run, `resume` does not fit it, too many devices, or
            a step that no memory holds; another run is at work in `output`.
    """
    with ExitStack() as lock:
        return _tune(recipe, network, data, output, machine, resume, start, module, lock)


def _tune(
    recipe: Recipe,
    network: SegGPT,
    data: TaskData,
    output: Path,
    machine: Machine,
    resume: bool,
    start: Prompt | Composition | None,
    module: type[PromptTuning],
    lock: ExitStack,
) -> Tuned:
    check_devices(machine.devices, machine.device, recipe.batch, recipe.val_crops, machine.nodes)
    rank = global_rank(machine.devices)
    last = output / CHECKPOINT
    if rank == 0 and output.is_dir():  # before it is known where to go on from
        lock.enter_context(alone_in(output))
    resumes = last if resume and last.exists() else None
    step = read_checkpoint(last)["global_step"] if resumes else 0
    canvas = max(recipe.min_canvas, network.config.canvas)
    check_step(recipe.batch, recipe.prompts, canvas, network.config.patch)
    groups = class_groups(recipe.classes, recipe.group)
    check_prompt(recipe.task, recipe.prompts * len(groups), canvas)
    network = at_canvas(network, canvas)
    train, val = _crops(recipe, canvas, data)
    settings = _settings(recipe, network, data) if rank == 0 else None
    if settings:
        _check_claim(output, settings, resume)
    # What is resumed brings its pixels along, and other processes get those of the first.
    begin = replace(recipe, init="noise") if resumes or rank else recipe
    learner = _begun(begin, network, data, val, machine, start, module)
    # Only now: images that cannot be read must not leave a run behind.
    if settings:
        if not output.is_dir():
            lock.enter_context(alone_in(output))
            _check_claim(output, settings, resume)
        _claim(output, settings)
    network.memory = machine.memory
    with quiet(), explain_out_of_memory():
        shows = start is not None or recipe.init not in ("noise", "kaiming")
        trainer = _trainer(recipe, output, machine, validate_start=shows)
        loaders = _loaders(recipe, train, val, step, machine)
        device = next(network.parameters()).device
        try:
            trainer.fit(learner, *loaders, ckpt_path=resumes, weights_only=True)
        finally:  # Lightning leaves what it trained on the CPU; the network is not its alone
            network.to(device)
    best = learner.best
    learned = with_learned(learner.prompt.start, network.fingerprint, **best["learned"])
    precision: Literal["fp32", "bf16"] = "bf16" if machine.bf16 else "fp32"
    seconds = learner.seconds
    return Tuned(learned, best["dice"], best["step"], seconds, learner.history, precision)


def _begun(
    recipe: Recipe,
    network: SegGPT,
    data: TaskData,
    val: CropDataset,
    machine: Machine,
    start: Prompt | Composition | None,
    module: type[PromptTuning],
) -> PromptTuning:
    """Choose the start where none is given, on the module's clock."""
    began = time.perf_counter()
    start = start or starting_prompt(
        recipe,
        network.config.canvas,
        data.train,
        lambda prompts: _judged(prompts, recipe, network, val, machine),
    )
    return _module(recipe, network, start, time.perf_counter() - began, module)


def _module(
    recipe: Recipe,
    network: SegGPT,
    start: Prompt | Composition,
    seconds: float = 0.0,
    module: type[PromptTuning] = PromptTuning,
) -> PromptTuning:
    prompt = LearnablePrompt(
        start, network.config.canvas, recipe.learn, recipe.bounded, recipe.jitter, recipe.dropout,
        type_dim=network.config.dim if recipe.type_lr else 0,
    )  # fmt: skip
    return module(network, prompt, recipe, seconds)


def _judged(
    prompts: Sequence[Prompt],
    recipe: Recipe,
    network: SegGPT,
    val: CropDataset,
    machine: Machine,
) -> list[float]:
    """Return the Dice of prompts that are not tuned yet, on a few crops of the validation."""
    count = min(len(val), max(1, ANSWERS // len(prompts)))
    few = list(DataLoader(Subset(val, range(count)), 2 * recipe.batch))
    values: list[float] = []
    with Progress("Choosing the start", len(prompts), "tried", shown=machine.progress) as progress:
        for prompt in prompts:
            values.append(_crop_dice(_module(recipe, network, prompt), few, machine))
            progress.advance(text=f"val_dice {max(values):.3g}")
    return values


@torch.no_grad()
def _crop_dice(
    module: PromptTuning, crops: Sequence[dict[str, torch.Tensor]], machine: Machine
) -> float:
    """Return the Dice of a prompt that is not tuned yet, as validation measures it."""
    module = module.to(machine.device).eval()
    for number, batch in enumerate(crops):
        with torch.autocast(machine.device, torch.bfloat16, enabled=machine.bf16):
            on_device = {name: values.to(machine.device) for name, values in batch.items()}
            module.validation_step(on_device, number)
    return float(module.val_dice.compute()[1:].mean())


def _crops(recipe: Recipe, canvas: int, data: TaskData) -> tuple[CropDataset, CropDataset]:
    """Return endless training crops and the fixed validation crops."""
    shared = canvas, recipe.scale, recipe.seed
    length = recipe.max_steps * recipe.batch
    augment = Augmentation(canvas, flips=recipe.flips) if recipe.augment else None
    train = CropDataset(data.train, *shared, length, augment)
    return train, CropDataset(data.val, *shared, recipe.val_crops)


def _loaders(
    recipe: Recipe, train: CropDataset, val: CropDataset, start: int, machine: Machine
) -> tuple[DataLoader[Any], DataLoader[Any]]:
    """Load this process's share of the batches from step `start` on, and of validation."""
    rank, world = global_rank(machine.devices), machine.devices * machine.nodes
    loader = DataLoader(
        train,
        batch_sampler=StepSampler(Share(recipe.batch, rank=rank, world=world), start),
        num_workers=machine.workers,
        persistent_workers=machine.workers > 0,
    )
    share = Subset(val, range(rank, recipe.val_crops, world))
    return loader, DataLoader(share, 2 * recipe.batch)


def _trainer(recipe: Recipe, output: Path, machine: Machine, validate_start: bool) -> pl.Trainer:
    # After each validation: a checkpoint between two of them would lose the choice of the best.
    checkpoint = ModelCheckpoint(
        output,
        filename=Path(CHECKPOINT).stem,
        enable_version_counter=False,
        save_on_train_epoch_end=False,
    )
    shown: list[pl.Callback] = [ProgressPictures(output / PROGRESS)]
    if machine.progress:
        shown.append(StepProgress(f"Tuning {recipe.task}"))
    return pl.Trainer(
        accelerator="gpu" if machine.device == "cuda" else "cpu",
        devices=machine.devices,
        num_nodes=machine.nodes,
        strategy=DDPStrategy() if machine.devices * machine.nodes > 1 else "auto",
        plugins=[WholeCheckpointIO()],
        use_distributed_sampler=False,
        precision="bf16-mixed" if machine.bf16 else "32-true",
        max_steps=recipe.max_steps,
        val_check_interval=min(recipe.val_every, recipe.max_steps),
        check_val_every_n_epoch=None,
        # A whole validation before the first step: a start that no step betters is kept.
        num_sanity_val_steps=-1 if validate_start else 0,
        logger=_logger(output, machine),
        log_every_n_steps=10,
        callbacks=[checkpoint, *shown],
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def _logger(output: Path, machine: Machine) -> list[Logger]:
    loggers: list[Logger] = [CSVLogger(output, name=None, version="log")]
    if machine.logger == "wandb":
        from lightning.pytorch.loggers import WandbLogger

        # Without a key, wandb would ask at a terminal.
        offline = os.environ.get("WANDB_MODE") == "offline" or "WANDB_API_KEY" not in os.environ
        loggers.append(
            WandbLogger(project="prompttune", save_dir=output, name=output.name, offline=offline)
        )
    return loggers


def _settings(recipe: Recipe, network: SegGPT, data: TaskData) -> dict[str, Any]:
    """Return what must be equal for a run to be resumed."""
    return {"backbone": network.fingerprint, "data": data.sha256(), "recipe": recipe.to_dict()}


def _check_claim(output: Path, settings: dict[str, Any], resume: bool) -> None:
    """Check that a run's folder is free, or holds the run that is to be resumed."""
    path = output / SETTINGS
    refuse_begun(output, path.exists(), resume)
    if path.exists():
        both = read_settings(path), json.loads(json.dumps(settings))
        earlier, now = ({**each, **each.pop("recipe")} for each in both)
        check_same_run(output, earlier, now)


def _claim(output: Path, settings: dict[str, Any]) -> None:
    """Make the run's folder and write what it is a run of; a resumed run writes the same again."""
    path = output / SETTINGS
    output.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(settings, indent=1, sort_keys=True))


def begun_scale(output: Path, resume: bool) -> float | None:
    """Return the scale of the run that is resumed, which goes on at that; None: one begins.

    Args:
        output: folder of the run.
        resume: go on with what lies there, or take part in it as one of several processes.

    Raises:
        InputError: as `tune` of a run that lies there, before a scale is chosen for nothing.
    """
    path = output / SETTINGS
    refuse_begun(output, path.exists(), resume)
    return float(read_settings(path)["recipe"]["scale"]) if path.exists() else None


def discard(output: Path) -> None:
    """Forget an earlier run in `output`; anything else there stays."""
    for path in (output / CHECKPOINT, output / SETTINGS, *(output / PROGRESS).glob("step-*.png")):
        path.unlink(missing_ok=True)
