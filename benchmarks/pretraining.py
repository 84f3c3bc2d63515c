"""Samples per second of pre-training: of the step alone, of the pipeline alone, and of the whole.

    OMP_NUM_THREADS=1 python -m benchmarks.pretraining --recipe recipes/pretrain/cpu.yaml \
        --data DIR

The three are measured in turn, in the middle of one real run: `whole` over a stretch of its steps,
then, while it stands still, the `step` on a fixed batch and its pieces, and the `pipeline` by
loaders of its own. The bar is whole / step >= .9. `floor` is the time of forward and backward over
what the machine's best matrix product would take for the operations that the exact maths asks for.

On a CPU that others use as well take `--clock cpu`: seconds of the processor in the main process,
the pipeline in it, too. Then a pipeline starves the step if its share is above its workers.
"""

import argparse
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_avg_fn
from torch.utils.data import DataLoader

from prompttune.backbone import SegGPTConfig
from prompttune.pretraining.config import PretrainRecipe, read_recipe
from prompttune.pretraining.run import Launch, _prepare, _trainer
from prompttune.utils.lightning import quiet

Clock = Callable[[], float]
DTYPES = {"bf16-mixed": torch.bfloat16, "32-true": torch.float32}


def main() -> None:
    """Run the rounds that were asked for and print what was measured (Markdown)."""
    given = _arguments()
    steps = given.rounds * (given.warm + given.steps)
    changes = {"max_steps": steps, "save_every": 10**9}
    if given.workers is not None:
        changes["workers"] = given.workers
    recipe = replace(read_recipe(given.recipe), init=None, **changes)
    torch.set_num_threads(given.threads)
    with tempfile.TemporaryDirectory() as folder, quiet():
        clock = time.process_time if given.clock == "cpu" else time.perf_counter
        rounds = Rounds(recipe, given.warm, given.steps, clock)
        launch = Launch(given.device)
        trainer = _trainer(recipe, Path(folder), launch, 0, [rounds])
        module, loader = _prepare(recipe, given.data, trainer, 0, resumes=False)
        alone = replace(recipe, workers=0) if given.clock == "cpu" else recipe
        rounds.other_loader = _prepare(alone, given.data, trainer, 0, resumes=False)[1]
        trainer.fit(module, loader)
    _report(recipe, rounds.seconds, rounds.rates)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.pretraining", description=__doc__)
    add = parser.add_argument
    add("--recipe", type=Path, required=True)
    add("--data", type=Path, help="folder of sets (default: generated samples only)")
    add("--device", choices=("auto", "cpu", "cuda"), default="auto")
    add("--clock", choices=("wall", "cpu"), default="wall")
    add("--threads", type=int, default=1, help="(default: 1)")
    add("--workers", type=int, help="instead of the recipe's")
    add("--rounds", type=int, default=3, help="(default: 3)")
    add("--steps", type=int, default=8, help="measured of each, in a round (default: 8)")
    add("--warm", type=int, default=6, help="steps before them, to empty queues (default: 6)")
    return parser.parse_args()


class Rounds(pl.Callback):
    """Measures stretches of a run, and between them the parts of it on their own."""

    other_loader: DataLoader[Any]

    def __init__(self, recipe: PretrainRecipe, warm: int, steps: int, clock: Clock) -> None:
        self._recipe, self._warm, self._steps, self._clock = recipe, warm, steps, clock
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self.rates: list[float] = []

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Make the fixed batch, and the averages whose cost is measured."""
        batch = next(iter(self.other_loader))
        if pl_module.generate is not None:
            batch = batch or pl_module.generate(0, pl_module.device)
        self._batch = {name: x.to(pl_module.device) for name, x in batch.items()}
        self._average = AveragedModel(
            pl_module.network, pl_module.device, get_ema_avg_fn(self._recipe.ema)
        )

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Note the time of the whole; after a stretch, measure the parts."""
        _synchronize(pl_module.device)
        position = trainer.global_step % (self._warm + self._steps)
        if position == self._warm:
            self._start = self._clock()
        elif position == 0:
            self.seconds["whole"].append((self._clock() - self._start) / self._steps)
            self._measure_step(trainer, pl_module)
            self._measure_pipeline()
            self.rates.append(_matmul_rate(self._recipe, pl_module.device, self._clock))

    def _measure_step(self, trainer: pl.Trainer, module: Any) -> None:
        steppers = module._steppers()
        total = self._batch["weight"].sum()

        def forward() -> None:
            with trainer.precision_plugin.forward_context():
                self._loss = module._loss(self._batch, total)

        pieces: dict[str, Callable[[], Any]] = {
            "forward": forward,
            "backward": lambda: self._loss.backward(),
            "clip": lambda: torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0),
            **{type(one.optimizer).__name__: one.optimizer.step for one in steppers},
            "average": lambda: self._average.update_parameters(module.network),
        }
        taken: dict[str, float] = defaultdict(float)
        for _ in range(self._steps):
            for one in steppers:
                one.optimizer.zero_grad()
            for name, run in pieces.items():
                taken[name] += _timed(run, module.device, self._clock)
        for name, seconds in taken.items():
            self.seconds[name].append(seconds / self._steps)
        self.seconds["step"].append(sum(taken.values()) / self._steps)

    def _measure_pipeline(self) -> None:
        batches = iter(self.other_loader)
        for _ in range(2 * self.other_loader.num_workers):  # made while the step was measured
            next(batches)
        start = self._clock()
        for _ in range(self._steps):
            next(batches)
        self.seconds["pipeline"].append((self._clock() - start) / self._steps)


def _timed(run: Callable[[], Any], device: torch.device, clock: Clock) -> float:
    start = clock()
    run()
    _synchronize(device)
    return clock() - start


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def _matmul_rate(recipe: PretrainRecipe, device: torch.device, clock: Clock) -> float:
    """Return the FLOP/s of the MLP's product over a batch, in the precision of the run."""
    config, dtype = recipe.backbone, DTYPES[recipe.precision]
    a = torch.randn(recipe.batch * config.tokens, config.dim, device=device, dtype=dtype)
    b = torch.randn(int(config.mlp_ratio * config.dim), config.dim, device=device, dtype=dtype)

    def product() -> Tensor:
        return torch.nn.functional.linear(a, b)

    fastest = min(_timed(product, device, clock) for _ in range(8))
    return 2 * a.numel() * len(b) / fastest


def operations(config: SegGPTConfig, batch: int) -> float:
    """Return the fewest multiplications and additions of forward and backward.

    Backward, each product has one for either factor; the images need no gradient.
    """
    dim, tokens, decoder = config.dim, config.tokens, config.decoder_dim
    linear = (8 + 4 * config.mlp_ratio) * dim**2
    attention = dim * (4 * tokens + 2 * sum(config.grid))
    early, late = config.merge_index + 1, config.out_indices[-1] - config.merge_index
    blocks = (2 * early + late) * tokens * (linear + attention)
    decode = 2 * tokens * len(config.out_indices) * dim * config.patch**2 * decoder
    pixels = 2 * config.canvas**2
    colors = pixels * (18 * decoder**2 + 6 * decoder)
    embed = 2 * tokens * 6 * config.patch**2 * dim
    return batch * (3 * (blocks + decode + colors) + 2 * embed)


def _report(recipe: PretrainRecipe, seconds: dict[str, list[float]], rates: list[float]) -> None:
    work = operations(recipe.backbone, recipe.batch)
    print(f"batch {recipe.batch}, {recipe.workers} worker(s), {recipe.precision}")
    print(
        f"best product {max(rates) / 1e9:.0f} GFLOP/s; forward and backward {work / 1e9:.1f} GFLOP"
    )
    print("| | s / step | samples / s | share of the step |\n|---|---|---|---|")
    step = median(seconds["step"])
    for name, many in seconds.items():
        each = median(many)
        print(f"| {name} | {each:.4f} | {recipe.batch / each:.1f} | {each / step:.3f} |")
    ratios = sorted(a / b for a, b in zip(seconds["step"], seconds["whole"], strict=True))
    both = [a + b for a, b in zip(seconds["forward"], seconds["backward"], strict=True)]
    floors = [each / (work / rate) for each, rate in zip(both, rates, strict=True)]
    print(f"whole / step: {median(ratios):.3f} ({ratios[0]:.3f}-{ratios[-1]:.3f})")
    print(f"over the floor: {median(floors):.2f}")


if __name__ == "__main__":
    main()
