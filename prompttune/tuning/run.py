"""One tuning run: from images to a learned prompt, resumable at any moment."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, Logger
from torch.utils.data import DataLoader

from prompttune.backbone import SegGPT, explain_out_of_memory
from prompttune.data.crops import CropDataset
from prompttune.data.endless import EndlessSampler
from prompttune.data.task import TaskData
from prompttune.errors import InputError
from prompttune.prompt import Prompt
from prompttune.recipes import Recipe
from prompttune.training import StepProgress, quiet
from prompttune.tuning.module import PromptTuning
from prompttune.tuning.prompt import LearnablePrompt
from prompttune.tuning.start import starting_prompt

CHECKPOINT, SETTINGS = "last.ckpt", "settings.json"


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


@dataclass(frozen=True)
class Tuned:
    """A learned prompt (threshold still 0.5) and what its choice stands on."""

    prompt: Prompt
    val_dice: float
    """On the validation crops, of the kept step."""
    step: int


def tune(
    recipe: Recipe,
    network: SegGPT,
    data: TaskData,
    output: Path,
    machine: Machine,
    resume: bool = False,
) -> Tuned:
    """Learn a prompt; everything that a resumed run needs lies in `output`.

    Two runs with one recipe, data and backbone give the same prompt bit for bit on a CPU, whether
    one of them was killed and resumed or not.

    Raises:
        InputError: `output` holds another run, or `resume` does not fit it.
    """
    last = output / CHECKPOINT
    resumes = last if resume and last.exists() else None
    step = torch.load(last, weights_only=True, map_location="cpu")["global_step"] if resumes else 0
    loaders = _loaders(recipe, network.config.canvas, data, step, machine.workers)
    start = starting_prompt(
        recipe,
        network.config.canvas,
        data.train,
        lambda prompt: _crop_dice(_module(recipe, network, prompt), loaders[1], machine),
    )
    module = _module(recipe, network, start)
    # Only now: images that cannot be read must not leave a run behind.
    _claim(output, _settings(recipe, network, data), resume)
    network.memory = machine.memory
    with quiet(), explain_out_of_memory():
        trainer = _trainer(recipe, output, machine)
        trainer.fit(module, *loaders, ckpt_path=resumes, weights_only=True)
    best = module.best
    learned = Prompt(
        tuple(best["images"]), tuple(best["colours"]), start.palette,
        scale=recipe.scale, seg_type=start.seg_type, fingerprint=network.fingerprint,
    )  # fmt: skip
    return Tuned(learned, best["dice"], best["step"])


def _module(recipe: Recipe, network: SegGPT, start: Prompt) -> PromptTuning:
    prompt = LearnablePrompt(
        start, network.config.canvas, recipe.learn, recipe.bounded, recipe.jitter, recipe.dropout
    )
    return PromptTuning(network, prompt, recipe)


@torch.no_grad()
def _crop_dice(module: PromptTuning, crops: DataLoader[Any], machine: Machine) -> float:
    """Return the Dice of a prompt that is not tuned yet, as validation measures it."""
    module = module.to(machine.device).eval()
    for number, batch in enumerate(crops):
        with torch.autocast(machine.device, torch.bfloat16, enabled=machine.bf16):
            on_device = {name: values.to(machine.device) for name, values in batch.items()}
            module.validation_step(on_device, number)
    return float(module.val_dice.compute()[1:].mean())


def _loaders(
    recipe: Recipe, canvas: int, data: TaskData, start: int, workers: int
) -> tuple[DataLoader[Any], DataLoader[Any]]:
    """Return endless training crops from step `start` on, and the fixed validation crops."""
    train = CropDataset(
        list(data.train),
        canvas,
        recipe.scale,
        recipe.seed,
        length=recipe.max_steps * recipe.batch,
        augment=recipe.augment,
    )
    val = CropDataset(
        list(data.val), canvas, recipe.scale, recipe.seed, length=recipe.val_crops, augment=False
    )
    sampler = EndlessSampler(start * recipe.batch)
    return (
        DataLoader(
            train,
            recipe.batch,
            sampler=sampler,
            num_workers=workers,
            persistent_workers=workers > 0,
        ),
        DataLoader(val, 2 * recipe.batch),
    )


def _trainer(recipe: Recipe, output: Path, machine: Machine) -> pl.Trainer:
    # After each validation: a checkpoint between two of them would lose the choice of the best.
    checkpoint = ModelCheckpoint(
        output,
        filename=Path(CHECKPOINT).stem,
        enable_version_counter=False,
        save_on_train_epoch_end=False,
    )
    bars = [StepProgress(f"Tuning {recipe.task}")] if machine.progress else []
    return pl.Trainer(
        accelerator="gpu" if machine.device == "cuda" else "cpu",
        devices=1,
        precision="bf16-mixed" if machine.bf16 else "32-true",
        max_steps=recipe.max_steps,
        val_check_interval=min(recipe.val_every, recipe.max_steps),
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        logger=_logger(output, machine),
        log_every_n_steps=10,
        callbacks=[checkpoint, *bars],
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


def _claim(output: Path, settings: dict[str, Any], resume: bool) -> None:
    """Make the run's folder, or check that it holds the run that is to be resumed."""
    path = output / SETTINGS
    if not resume and path.exists():
        raise InputError(
            f"{output} holds a run already; add --resume to go on, --overwrite to start anew"
        )
    text = json.dumps(settings, indent=1, sort_keys=True)
    if resume and path.exists():
        earlier = json.loads(path.read_text(encoding="utf-8"))
        if differing := _differences(earlier, json.loads(text)):
            raise InputError(
                f"{output} cannot be resumed: it was run with other {', '.join(differing)}"
            )
        return
    output.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def _differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    flat = [{**each, **each.get("recipe", {}), "recipe": None} for each in (old, new)]
    return sorted(
        name for name in flat[0].keys() | flat[1].keys() if flat[0].get(name) != flat[1].get(name)
    )


def discard(output: Path) -> None:
    """Forget an earlier run in `output`; anything else there stays."""
    for name in (CHECKPOINT, SETTINGS):
        (output / name).unlink(missing_ok=True)
