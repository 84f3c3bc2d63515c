"""One measurement of one implementation, in a process that `benchmarks.backbone` starts."""

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.work import CONFIGS, TASKS, Task
from prompttune.backbone import SegGPT, SegGPTConfig
from prompttune.backbone.linear import times_transposed

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from seggpt_oracle import random_network, transformers_model

Run = Callable[[], list[Tensor]]


def main() -> None:
    """Measure as the arguments say; print one line of JSON, save the answer."""
    given = _arguments()
    torch.set_num_threads(given.threads)
    task, config = TASKS[given.task], CONFIGS[given.config]
    run, weights = _prepare(given.implementation, task, config, given.batch, given.device)
    rate = _matmul_rate(config, given.device, task.bf16 and given.implementation == "ours")
    _reset_peak(given.device)
    before = _memory(given.device)
    start = time.perf_counter()
    answer = run()
    _synchronize(given.device)
    seconds = time.perf_counter() - start
    result = {
        "seconds": seconds,
        "memory": _peak(given.device) - before,
        "weights": weights,
        "rate": rate,
    }
    torch.save([x.float().cpu() for x in answer], given.answer)
    print(json.dumps(result))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("implementation", choices=("ours", "transformers"))
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("answer", type=Path)
    parser.add_argument("--config", choices=CONFIGS)
    parser.add_argument("--batch", type=int)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--device")
    return parser.parse_args()


def _prepare(
    implementation: str, task: Task, config: SegGPTConfig, batch: int, device: str
) -> tuple[Run, int]:
    """Return what is to be timed, and the bytes of the weights."""
    generator = torch.Generator().manual_seed(0)
    side = (3, config.canvas, config.canvas)
    queries, labels = (torch.randn(batch, *side, generator=generator).to(device) for _ in "ab")
    images, colors = (
        torch.randn(task.prompts, *side, generator=generator).to(device) for _ in "ab"
    )
    network = random_network(config).to(device)
    weights = sum(x.numel() * x.element_size() for x in network.parameters())
    # On a CPU transformers is fastest in fp32; on a GPU both compute in the same precision.
    bf16 = task.bf16 and (implementation == "ours" or device == "cuda")
    if implementation == "ours":
        if bf16:
            network = network.bfloat16()
        run = _ours(network, task, queries, labels, images, colors)
        return run, weights
    run = _transformers(network, task, queries, labels, images, colors)
    cast = torch.autocast(device, torch.bfloat16) if bf16 else nullcontext()

    def autocast() -> list[Tensor]:
        with cast:
            return run()

    return autocast, weights


def _ours(
    network: SegGPT, task: Task, queries: Tensor, labels: Tensor, images: Tensor, colors: Tensor
) -> Run:
    network.memory = "saving" if task.saving else "fast"
    dtype = next(network.parameters()).dtype
    queries, images, colors = (x.to(dtype) for x in (queries, images, colors))
    if task.step:

        def step() -> list[Tensor]:
            prompt = [x.requires_grad_() for x in (images, colors)]
            answer = network.ensemble(queries, images, colors)
            F.smooth_l1_loss(answer.float(), labels, beta=0.01).backward()
            return [x.grad for x in prompt if x.grad is not None]

        return step
    with torch.inference_mode():
        encoded = network.encode_prompt(images, colors) if task.cached else None

    @torch.inference_mode()
    def forward() -> list[Tensor]:
        if encoded is not None:
            return [network.ensemble(queries, encoded)]
        return [network.ensemble(queries, images, colors)]

    return forward


def _transformers(
    network: SegGPT, task: Task, queries: Tensor, labels: Tensor, images: Tensor, colors: Tensor
) -> Run:
    model = transformers_model(network)
    canvas = network.config.canvas

    def call(query: Tensor, images: Tensor, colors: Tensor, ensemble: bool) -> Tensor:
        result = model(
            pixel_values=query,
            prompt_pixel_values=images,
            prompt_masks=colors,
            embedding_type="semantic",
            feature_ensemble=ensemble,
        )
        return result.pred_masks[:, :, canvas:]

    def every(x: Tensor) -> Tensor:
        return x.expand(len(queries), -1, -1, -1)

    def step() -> list[Tensor]:
        prompt = [x.requires_grad_() for x in (images, colors)]
        answer = call(queries, every(images), every(colors), ensemble=False)
        F.smooth_l1_loss(answer.float(), labels, beta=0.01).backward()
        return [x.grad for x in prompt if x.grad is not None]

    @torch.inference_mode()
    def forward() -> list[Tensor]:
        if task.prompts == 1:
            return [call(queries, every(images), every(colors), ensemble=False)]
        rows = [query.expand(task.prompts, -1, -1, -1) for query in queries]
        return [torch.cat([call(row, images, colors, ensemble=True)[:1] for row in rows])]

    return step if task.step else forward


def _matmul_rate(config: SegGPTConfig, device: str, bf16: bool) -> float:
    """Return the FLOP/s of the MLP's product, the largest of the network, by the best library."""
    dtype = torch.bfloat16 if bf16 else torch.float32
    a = torch.randn(config.tokens, config.dim, device=device, dtype=dtype)
    b = torch.randn(4 * config.dim, config.dim, device=device, dtype=dtype)
    seconds = []
    for _ in range(8):
        start = time.perf_counter()
        times_transposed(a, b)
        _synchronize(device)
        seconds.append(time.perf_counter() - start)
    return 2 * a.numel() * len(b) / min(seconds)


def _synchronize(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def _reset_peak(device: str) -> None:
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    elif sys.platform == "linux":
        Path("/proc/self/clear_refs").write_text("5")


def _memory(device: str) -> int:
    return torch.cuda.memory_allocated() if device == "cuda" else _status("VmRSS")


def _peak(device: str) -> int:
    return torch.cuda.max_memory_allocated() if device == "cuda" else _status("VmHWM")


def _status(field: str) -> int:
    if sys.platform != "linux":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


if __name__ == "__main__":
    main()
