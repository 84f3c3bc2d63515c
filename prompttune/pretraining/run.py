"""One pre-training run: from a recipe to a weights file, resumable at any moment."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.strategies import DDPStrategy
from torch.utils.data import DataLoader

from prompttune.backbone import SegGPT
from prompttune.backbone.one_way import build
from prompttune.backbone.weights import write_weights
from prompttune.data.crops import Share, StepSampler, collate
from prompttune.pretraining.callbacks import KeepState, Speed, TimeBox
from prompttune.pretraining.config import PretrainRecipe
from prompttune.pretraining.dataset import PairDataset
from prompttune.pretraining.init import starting_network
from prompttune.pretraining.module import Generate, InContextColoring
from prompttune.pretraining.sharding import ShardedAverage, ShardedStrategy, check_sharded
from prompttune.pretraining.sources.pool import ImageSet, read_pool
from prompttune.pretraining.state import (
    StateIO,
    describe_run,
    read_state,
    remove_former,
    remove_state,
    resumed_step,
)
from prompttune.utils.devices import global_rank
from prompttune.utils.errors import InputError, explain_out_of_memory
from prompttune.utils.lightning import StepProgress, quiet
from prompttune.utils.locking import alone_in
from prompttune.utils.paths import check_folder
from prompttune.utils.resuming import refuse_begun

STATE = Path("state") / "state.json"
"""The manifest of the kept state, below a run's folder; that folder can go on elsewhere."""
RESULT = "backbone.safetensors"


@dataclass(frozen=True)
class Launch:
    """What does not change what a run computes, only where and for how long."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    devices: int = 1
    """On each node; each a process."""
    nodes: int = 1
    minutes: float | None = None
    """After which the run stops, to be resumed."""
    strategy: Literal["ddp", "fsdp"] = "ddp"
    """ddp: a copy of the network on each device; fsdp: each holds a share of every tensor."""
    compact: bool = False
    """Smaller checkpoints, from which a run goes on, but no longer bit for bit."""

    def __post_init__(self) -> None:
        if self.devices < 1 or self.nodes < 1:
            raise InputError("--devices and --nodes must be at least 1")
        if self.device == "cuda" and not torch.cuda.is_available():
            raise InputError("--device cuda: there is no CUDA device here; choose cpu")

    @property
    def shards(self) -> bool:
        """Whether several devices hold shares of the network."""
        return self.strategy == "fsdp" and self.devices * self.nodes > 1

    @property
    def kind(self) -> str:
        """Return "cpu" or "cuda"."""
        found = "cuda" if torch.cuda.is_available() else "cpu"
        return found if self.device == "auto" else self.device


def pretrain(
    recipe: PretrainRecipe,
    data: Path | None,
    output: Path,
    launch: Launch | None = None,
    resume: bool = False,
    overwrite: bool = False,
) -> Path:
    """Train; return the path of the averaged weights, `output/backbone.safetensors`.

    Without `data` all samples are generated. On a CPU two runs with one recipe and data end with
    the same weights bit for bit, whether one of them was killed and resumed or not.

    Raises:
        InputError: Unusable data, or `output` cannot be a folder, or holds another run, or one that
            was not to be resumed, or one that is at work there.
    """
    launch = launch or Launch()
    check_folder(output, "--output")
    # One run at a time in a folder; the first process keeps the others out.
    with alone_in(output) if global_rank(launch.devices) == 0 else nullcontext():
        return _pretrain(recipe, data, output, launch, resume, overwrite)


def _pretrain(
    recipe: PretrainRecipe,
    data: Path | None,
    output: Path,
    launch: Launch,
    resume: bool,
    overwrite: bool,
) -> Path:
    time_box = TimeBox(launch.minutes)
    state, run = output / STATE, describe_run(recipe, data)
    refuse_begun(output, state.exists(), resume or overwrite)
    if launch.shards:
        check_sharded(recipe)
    resumes = resume and state.exists()
    start = resumed_step(state, run) if resumes else 0
    if start < recipe.max_steps:
        with quiet(), explain_out_of_memory():
            keep = KeepState(state, recipe.save_every, run)
            trainer = _trainer(recipe, output, launch, start, [time_box, keep])
            module, loader = _prepare(recipe, data, trainer, start, resumes)
            if not resumes and trainer.is_global_zero:
                remove_state(state)
            trainer.fit(module, loader, ckpt_path=state if resumes else None, weights_only=True)
        if not trainer.is_global_zero:
            return output / RESULT
    return _write_result(recipe, state, output / RESULT)


def _write_result(recipe: PretrainRecipe, state: Path, path: Path) -> Path:
    """Write the averaged weights, which the callback has put where a state has its weights."""
    averaged = {
        name.removeprefix("network."): value.bfloat16()
        for name, value in read_state(state)["state_dict"].items()
    }
    write_weights(averaged, recipe.backbone, path)
    remove_former(state)
    return path


def _trainer(
    recipe: PretrainRecipe, output: Path, launch: Launch, start: int, extra: list[pl.Callback]
) -> pl.Trainer:
    beyond_decoder = (
        recipe.backbone.out_indices[-1] < recipe.backbone.depth - 1
    )  # blocks that never learn
    return pl.Trainer(
        accelerator="gpu" if launch.kind == "cuda" else "cpu",
        devices=launch.devices,
        num_nodes=launch.nodes,
        strategy=_strategy(launch, beyond_decoder),
        plugins=[StateIO(launch.compact)],
        max_steps=recipe.max_steps,
        precision=recipe.precision,
        logger=CSVLogger(output, name="log", version=f"from-{start}"),
        callbacks=[
            ShardedAverage(recipe.ema)
            if launch.shards
            else EMAWeightAveraging(device=launch.kind, decay=recipe.ema),
            Speed(recipe.batch),
            StepProgress("Pre-training"),
            *extra,
        ],
        log_every_n_steps=min(20, recipe.max_steps),
        use_distributed_sampler=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def _strategy(launch: Launch, beyond_decoder: bool) -> Any:
    several = launch.devices * launch.nodes
    if launch.shards:
        return ShardedStrategy(several)
    return DDPStrategy(find_unused_parameters=beyond_decoder) if several > 1 else "auto"


def _prepare(
    recipe: PretrainRecipe, data: Path | None, trainer: pl.Trainer, start: int, resumes: bool
) -> tuple[InContextColoring, DataLoader[Any]]:
    """Return what is trained, and the loader of this process from step `start` on."""
    if recipe.batch % trainer.world_size:
        raise InputError(
            f"a batch of {recipe.batch} cannot be shared evenly by {trainer.world_size} devices"
        )
    sets = read_pool(data, recipe.sets) if data else ()
    config, mix, made = recipe.backbone, recipe.mix, 0
    if recipe.generate == "device":
        made = round(recipe.batch * (mix.generated if sets and not config.one_way else 1.0))
        mix = replace(mix, generated=0.0)
    share = Share(recipe.batch, made, trainer.global_rank, trainer.world_size)
    network = build(config) if resumes else starting_network(config, recipe.init, recipe.seed)
    network.memory = recipe.memory
    where = trainer.strategy.root_device
    if where.type == "cuda" and config.one_way:
        _compile(network)
    module = InContextColoring(
        network, recipe.optimizer, recipe.max_steps, recipe.accumulate,
        _generate(recipe, share, sets, trainer) if made else None, recipe.prompts,
    )  # fmt: skip
    samples = PairDataset(sets, config.canvas, config.patch, mix, recipe.seed)
    loader = DataLoader(
        samples,
        batch_sampler=StepSampler(share, start),
        collate_fn=collate,
        num_workers=recipe.workers,
        persistent_workers=recipe.workers > 0,
        pin_memory=trainer.strategy.root_device.type == "cuda",
        worker_init_fn=_one_thread,
    )
    return module, loader


def _compile(network: SegGPT) -> None:
    """Compile the network part by part: all blocks share what is compiled for one."""
    import torch._dynamo as dynamo

    dynamo.config.recompile_limit = 64  # a variant for each number of prompts
    for part in (*network.blocks, network.decoder_pred):
        part.compile(dynamic=False)


def _generate(
    recipe: PretrainRecipe, share: Share, sets: Sequence[ImageSet], trainer: pl.Trainer
) -> Generate:
    config = recipe.backbone
    if config.one_way:
        from prompttune.pretraining.on_device import ContextTasks

        where = trainer.strategy.root_device
        contexts = ContextTasks(
            sets, config.canvas, recipe.mix, recipe.seed, recipe.views, recipe.scenes, where
        )
        return lambda step, _: contexts.batch(torch.tensor(share.generated(step)))
    from prompttune.pretraining.on_device import DeviceTasks

    tasks = DeviceTasks(config.canvas, config.patch, recipe.mix, recipe.seed)

    def generate(step: int, device: torch.device) -> dict[str, torch.Tensor]:
        indices = torch.tensor(share.generated(step), dtype=torch.int64)
        return tasks.batch(indices, device) if len(indices) else {}

    return generate


def _one_thread(_: int) -> None:
    # OpenCV's threads in every worker would fight the network's own.
    import cv2

    cv2.setNumThreads(0)
    torch.set_num_threads(1)
