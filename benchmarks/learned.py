"""What a key should hold: an image with its colors, or tokens that no image has.

    python -m benchmarks.learned --data data --output learned.md

Three ways begin alike, with the recipe's start, and learn for the same time on one core:

- `image`: the prompt's pixels and colors, as keys hold them (paper, section 3.4).
- `tokens`: what the later blocks get of the prompt, and what its colors are matched by.
- `deep`: the keys and values of every later block as well, each for itself.

Tokens are learned in units of their own deviation. A first seed chooses each way's rate, the others
are run at that. Scores are Dice on crops of validation images, each run at its best threshold; test
images are never read. Only for one-way backbones. Results are kept in a JSON file as they come; the
command goes on where it ended.
"""

import argparse
import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from benchmarks.ablation import SETS
from prompttune.backbone.one_way import OneWaySegGPT
from prompttune.backbone.one_way_blocks import CachedPrompt
from prompttune.data.crops import Augmentation, CropDataset
from prompttune.data.samples import LoadedSample
from prompttune.evaluation.metrics import dice_curve, threshold_grid
from prompttune.inference.segmenter import Segmenter
from prompttune.prompts.prompt import Prompt
from prompttune.tasks.data import task_data
from prompttune.tasks.recipe import Recipe, load_recipe
from prompttune.tuning.init import starting_prompt
from prompttune.tuning.loss import tuning_loss
from prompttune.tuning.module import warm_cosine
from prompttune.utils.constants import IGNORE
from prompttune.utils.io import write_whole
from prompttune.utils.normalize import denormalize, normalize
from prompttune.utils.paths import DEFAULT_BACKBONE

RATES = {"image": (0.02, 0.05, 0.1), "tokens": (0.01, 0.03, 0.1), "deep": (0.01, 0.03, 0.1)}
CROPS, BATCH = 96, 16
"""Of validation images, that score a run."""
MANY = 100_000
"""Steps that no run reaches: time ends it."""
Known = dict[str, dict[str, float]]
"""Dice, steps and numbers, by `task | way | rate | seed | seconds`."""


class Image(nn.Module):
    """A prompt's pixels, as `LearnablePrompt` has them."""

    def __init__(self, network: OneWaySegGPT, start: Prompt) -> None:
        super().__init__()
        images, colors = start.at(network.config.canvas)
        self.images, self.colors = nn.Parameter(images.clone()), nn.Parameter(colors.clone())

    def forward(self, network: OneWaySegGPT) -> CachedPrompt:
        """Encode the prompt."""
        return network.encode_prompt(normalize(self.images), normalize(self.colors))

    @torch.no_grad()
    def project(self) -> None:
        """Keep pixels a picture."""
        for pixels in self.parameters():
            pixels.clamp_(0, 1)


class Tokens(nn.Module):
    """What the later blocks see of a prompt at first, and what its colors are matched by."""

    def __init__(self, network: OneWaySegGPT, start: Prompt) -> None:
        super().__init__()
        cached = _encoded(network, start)
        self.types, count = cached.tensors[0], 3 if network.matching is not None else 1
        images, colors = (normalize(half) for half in start.at(network.config.canvas))
        targets = network.target_embed(colors)
        marks = network.segment_token_x[0] + network.segment_token_y[0] + self.types
        first = network.encode_images(images).last + targets + marks
        self.learned = _Scaled([first.detach(), *cached.tensors[1:count]])

    def forward(self, network: OneWaySegGPT) -> CachedPrompt:
        """Run the later blocks over the tokens."""
        tokens, *matched = self.learned()
        kept = [self.types, *matched]
        for block in network.blocks[network.config.apart : network.config.out_indices[-1] + 1]:
            tokens, pair = block(tokens, None)
            kept += pair
        return CachedPrompt(tuple(kept), 1)

    def project(self) -> None:
        """Tokens may be anything."""


class Deep(nn.Module):
    """All that a query sees of a prompt, in every block."""

    def __init__(self, network: OneWaySegGPT, start: Prompt) -> None:
        super().__init__()
        self.types, *rest = _encoded(network, start).tensors
        self.learned = _Scaled(rest)

    def forward(self, network: OneWaySegGPT) -> CachedPrompt:
        """Return them; no block is run."""
        return CachedPrompt((self.types, *self.learned()), 1)

    def project(self) -> None:
        """Tokens may be anything."""


class _Scaled(nn.Module):
    """Tensors that are learned in units of their own deviation."""

    def __init__(self, tensors: list[Tensor]) -> None:
        super().__init__()
        self.deviations = [tensor.std() for tensor in tensors]
        pairs = zip(tensors, self.deviations, strict=True)
        self.units = nn.ParameterList(tensor / deviation for tensor, deviation in pairs)

    def forward(self) -> list[Tensor]:
        return [unit * by for unit, by in zip(self.units, self.deviations, strict=True)]


WAYS: dict[str, type[Image] | type[Tokens] | type[Deep]] = {
    "image": Image, "tokens": Tokens, "deep": Deep,
}  # fmt: skip


@torch.no_grad()
def _encoded(network: OneWaySegGPT, start: Prompt) -> CachedPrompt:
    images, colors = (normalize(half) for half in start.at(network.config.canvas))
    return network.encode_prompt(images, colors)


@dataclass(frozen=True)
class Bench:
    """What all runs of one task and seed share."""

    network: OneWaySegGPT
    recipe: Recipe
    train: list[LoadedSample]
    val: list[dict[str, Tensor]]
    start: Prompt
    bf16: bool


def main() -> None:
    """Run what is not known yet; write the table."""
    given = _arguments()
    network = Segmenter(given.backbone, device="cpu").network
    if not isinstance(network, OneWaySegGPT):
        raise SystemExit("benchmarks.learned: only for one-way backbones")
    kept = given.output.with_suffix(".json")
    known: Known = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
    for task in given.tasks:
        for seed in range(given.seeds):
            bench = None
            for way, rates in RATES.items():
                for rate in rates if seed == 0 else [best_rate(known, task, way, given.seconds)]:
                    name = f"{task} | {way} | {rate} | {seed} | {given.seconds}"
                    if name in known:
                        continue
                    bench = bench or begin(network, task, seed, given)
                    known[name] = run(bench, way, rate, given.seconds)
                    print(name, known[name], flush=True)
                    write_whole(kept, json.dumps(known, indent=1))
    write_whole(given.output, table(known, given))
    print(given.output.read_text(encoding="utf-8"))


def best_rate(known: Known, task: str, way: str, seconds: int) -> float:
    """Return the rate at which the first seed of a task was best."""
    names = {rate: f"{task} | {way} | {rate} | 0 | {seconds}" for rate in RATES[way]}
    return max(names, key=lambda rate: known[names[rate]]["dice"])


def begin(network: OneWaySegGPT, task: str, seed: int, given: argparse.Namespace) -> Bench:
    """Read a task's images and choose the start, as its recipe does."""
    recipe = load_recipe(task, {})
    # The images are split by the recipe's own seed, whatever the seed of the run.
    data = task_data(recipe, given.data / SETS[task])
    recipe = data.recipe or recipe
    canvas = network.config.canvas
    crops = CropDataset(list(data.val), canvas, recipe.scale, recipe.seed, CROPS)
    val, recipe = list(DataLoader(crops, BATCH)), replace(recipe, seed=seed)

    def judge(prompts: Sequence[Prompt]) -> list[float]:
        return [score(network, Image(network, one), one, val[:2], given.bf16) for one in prompts]

    start = starting_prompt(recipe, canvas, data.train, judge)
    assert isinstance(start, Prompt)  # of few classes
    return Bench(network, recipe, list(data.train), val, start, given.bf16)


def run(bench: Bench, way: str, rate: float, seconds: float) -> dict[str, float]:
    """Learn one prompt for some seconds.

    Returns:
        Its Dice on validation crops, how many steps it took and how many numbers it learned.
    """
    network, recipe = bench.network, bench.recipe
    canvas = network.config.canvas
    learned = WAYS[way](network, bench.start)
    augment = Augmentation(canvas, flips=recipe.flips)
    crops = CropDataset(
        bench.train, canvas, recipe.scale, recipe.seed, MANY * recipe.batch, augment
    )
    optimizer = torch.optim.AdamW(learned.parameters(), rate, weight_decay=0.0)
    began, steps = time.perf_counter(), 0
    for batch in DataLoader(crops, recipe.batch):
        spent = (time.perf_counter() - began) / seconds
        if spent >= 1:
            break
        for group in optimizer.param_groups:
            group["lr"] = rate * warm_cosine(round(1000 * spent), 1000, recipe.warmup)
        with torch.autocast("cpu", torch.bfloat16, enabled=bench.bf16):
            answers = network.ensemble(normalize(batch["image"]), learned(network))
        loss = tuning_loss(
            denormalize(answers.float()), batch["class_map"], bench.start.palette,
            recipe.dice_weight, recipe.color_weight, recipe.beta, recipe.foreground_weight,
        )  # fmt: skip
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        learned.project()
        steps += 1
    dice = score(network, learned, bench.start, bench.val, bench.bf16)
    return {"dice": dice, "steps": steps, "values": sum(x.numel() for x in learned.parameters())}


@torch.no_grad()
def score(
    network: OneWaySegGPT,
    learned: nn.Module,
    start: Prompt,
    crops: list[dict[str, Tensor]],
    bf16: bool,
) -> float:
    """Return the Dice over all pixels of crops, at the threshold that is best for them."""
    found = []
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        cached = learned(network)
        for batch in crops:
            answers = network.ensemble(normalize(batch["image"]), cached)
            found.append(start.palette.scores(denormalize(answers.float())))
    scores = torch.cat(found).transpose(0, 1).flatten(1, 2)  # one tall image
    truth = torch.cat([batch["class_map"] for batch in crops]).flatten(0, 1)
    shown = (truth != IGNORE).numpy()
    return float(dice_curve(scores.numpy(), truth.numpy(), shown, threshold_grid()).max())


def table(known: Known, given: argparse.Namespace) -> str:
    """Write what was learned as Markdown: mean and deviation over the seeds of each task."""
    head = ["learned", "numbers", "steps", *given.tasks, "mean"]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for way in RATES:
        cells, means, runs = [], [], []
        for task in given.tasks:
            rate = best_rate(known, task, way, given.seconds)
            names = [
                f"{task} | {way} | {rate} | {seed} | {given.seconds}" for seed in range(given.seeds)
            ]
            dices = [known[name]["dice"] for name in names]
            runs += [known[name] for name in names]
            means.append(statistics.fmean(dices))
            spread = f" ± {statistics.stdev(dices):.3f}" if len(dices) > 1 else ""
            cells.append(f"{means[-1]:.3f}{spread} (rate {rate:g})")
        steps = statistics.fmean(each["steps"] for each in runs)
        numbers = f"{runs[0]['values']:,}"
        row = [way, numbers, f"{steps:.0f}", *cells, f"{statistics.fmean(means):.3f}"]
        lines.append(f"| {' | '.join(row)} |")
    return "\n".join(lines) + "\n"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.learned", description=__doc__)
    add = parser.add_argument
    add("--data", type=Path, required=True, help="folder of the sets")
    add("--output", type=Path, required=True, help="the table, Markdown; .json lies beside it")
    add("--tasks", nargs="+", choices=SETS, default=list(SETS))
    add("--backbone", default=DEFAULT_BACKBONE)
    add("--seconds", type=int, default=90, help="that each run learns")
    add("--seeds", type=int, default=3)
    add("--bf16", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
