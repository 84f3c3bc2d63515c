"""Time of the one-way layout beside the two-way one of the same size, as ratios.

    python -m benchmarks.one_way --threads 1

Both networks have random weights and stand in one process; they take turns at every measurement, so
that whatever else the machine does slows both. The best turn of each counts; the range is that of
the ratios of single turns. A processor with AVX2 alone is emulated by environment variables, which
are read when PyTorch starts:

    ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 MKL_ENABLE_INSTRUCTIONS=AVX2 \\
        python -m benchmarks.one_way --threads 1
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from prompttune.backbone import SegGPT, SegGPTConfig
from prompttune.backbone.one_way import build
from prompttune.pretraining.config import read_recipe
from prompttune.pretraining.init import initialize

RECIPE = Path(__file__).parents[1] / "recipes" / "pretrain" / "small.yaml"
TWO_WAY = SegGPTConfig(
    canvas=128, patch=8, dim=384, depth=12, heads=6, merge_index=2, out_indices=(2, 5, 8, 11),
    decoder_dim=32, pretrain_canvas=128,
)  # fmt: skip
PROMPTS, BATCH = 8, 8
"""Of the ensemble, and queries of a tuning step."""


def main() -> None:
    """Measure all tasks and print the table (Markdown)."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.one_way",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--threads", type=int, default=1, help="(default: 1)")
    parser.add_argument("--repeats", type=int, default=10, help="turns (default: 10)")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    networks = [_network(TWO_WAY), _network(read_recipe(RECIPE).backbone)]
    millions = " and ".join(
        f"{sum(x.numel() for x in one.parameters()) / 1e6:.1f}" for one in networks
    )
    print(f"{given.threads} thread(s), {torch.backends.cpu.get_cpu_capability()}, fp32, best of "
          f"{given.repeats} turns; {millions} million parameters")  # fmt: skip
    print("| | two-way | one-way | one-way / two-way |\n|---|---|---|---|")
    for name, prepare in TASKS.items():
        turns = _turns([prepare(network) for network in networks], given.repeats)
        print(f"| {name} | {' | '.join(_cells(turns))} |", flush=True)


def _network(config: SegGPTConfig) -> SegGPT:
    network = build(config)
    initialize(network, seed=0)
    return network.eval().requires_grad_(False)


def _pictures(network: SegGPT, count: int) -> Tensor:
    side = network.config.canvas
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(count))


def _query(network: SegGPT, prompts: int) -> Callable[[], Tensor]:
    """Return a forward pass of one query, whose prompt is encoded beforehand."""
    query, images = _pictures(network, 1), _pictures(network, prompts)
    with torch.inference_mode():
        encoded = network.encode_prompt(images, images.flip(0))

    @torch.inference_mode()
    def run() -> Tensor:
        return network.ensemble(query, encoded)

    return run


def _step(network: SegGPT) -> Callable[[], Tensor]:
    """Return a step of tuning: the gradients of one prompt's image and colors."""
    queries, target = _pictures(network, BATCH), _pictures(network, BATCH).flip(0)
    learned = [_pictures(network, 1).requires_grad_() for _ in range(2)]

    def run() -> Tensor:
        answer = network.ensemble(queries, *learned)
        return torch.autograd.grad(F.smooth_l1_loss(answer, target), learned)[0]

    return run


TASKS: dict[str, Callable[[SegGPT], Callable[[], Tensor]]] = {
    "query, cached prompt": lambda network: _query(network, 1),
    f"query, {PROMPTS} cached prompts": lambda network: _query(network, PROMPTS),
    f"tuning step, {BATCH} queries": _step,
}


def _turns(runs: list[Callable[[], Tensor]], repeats: int) -> list[list[float]]:
    """Return the seconds of each turn of each run, after one turn that is not counted."""
    seconds: list[list[float]] = [[] for _ in runs]
    for turn in range(1 + repeats):
        for run, kept in zip(runs, seconds, strict=True):
            start = time.perf_counter()
            run()
            if turn:
                kept.append(time.perf_counter() - start)
    return seconds


def _cells(turns: list[list[float]]) -> list[str]:
    best = [min(each) for each in turns]
    ratios = [new / old for old, new in zip(*turns, strict=True)]
    return [
        *(f"{1000 * each:.1f} ms" for each in best),
        f"**{best[1] / best[0]:.2f}** ({min(ratios):.2f}-{max(ratios):.2f})",
    ]


if __name__ == "__main__":
    main()
