"""An exported key beside PyTorch: Dice on labeled images, and the time of a window.

python -m benchmarks.onnx_export --key cracks --data DIR [--images 6]

Both see the same windows of whole 8-bit pixels. Times are taken in turn in one process, one thread
each, so that their ratio holds on a busy machine as well.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from prompttune import Prompt, Segmenter, load_prompt
from prompttune.export.onnx_file import DEFAULT_OPSET, PRECISIONS, OnnxOptions, export_onnx
from prompttune.inference.sliding_window import Question, Window, answered
from prompttune.tasks.data import task_data
from prompttune.tasks.recipe import Recipe, recipe_values
from prompttune.utils.normalize import denormalize, normalize

Run = Callable[[np.ndarray], np.ndarray]


def main() -> None:
    """Print a line for PyTorch and one for each precision."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--key", required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--images", type=int, default=6, help="test images")
    parser.add_argument("--repeats", type=int, default=15, help="timed calls of each")
    parser.add_argument("--opset", type=int, default=DEFAULT_OPSET)
    parser.add_argument("--precision", nargs="+", choices=PRECISIONS, default=PRECISIONS)
    given = parser.parse_args()
    torch.set_num_threads(1)
    segmenter, prompt = Segmenter(device="cpu", precision="fp32"), load_prompt(given.key)
    if not isinstance(prompt, Prompt):
        parser.error("--key: give a key of one group")
    runs = {"PyTorch": _pytorch(segmenter, prompt)}
    with TemporaryDirectory() as folder:
        for precision in given.precision:
            path = Path(folder) / f"{precision}.onnx"
            export_onnx(prompt, segmenter, path, OnnxOptions(given.opset, precision))
            runs[precision] = _onnx(path)
            print(f"{precision}: {path.stat().st_size / 2**20:.1f} MiB", flush=True)
    ratios = _ratios(runs, segmenter.canvas(prompt), given.repeats)
    data = task_data(Recipe(**recipe_values(prompt.card.task)), given.data)
    samples = [data.test[i] for i in range(min(given.images, len(data.test)))]
    for name, run in runs.items():
        dice = _dice(samples, prompt, segmenter.canvas(prompt), run)
        print(f"{name:8} Dice {dice:.4f}   time {ratios[name]:.2f} of PyTorch", flush=True)


def _pytorch(segmenter: Segmenter, prompt: Prompt) -> Run:
    images, colors = (normalize(x) for x in prompt.at(segmenter.canvas(prompt)))
    network = segmenter.at(segmenter.canvas(prompt))
    with torch.inference_mode():
        key = network.encode_prompt(images, colors, prompt.seg_type, prompt.type_shift)

    def run(windows: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            queries = normalize(torch.from_numpy(windows).permute(0, 3, 1, 2).float() / 255)
            return prompt.palette.scores(denormalize(network.ensemble(queries, key))).numpy()

    return run


def _onnx(path: Path) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        path.read_bytes(), options, providers=["CPUExecutionProvider"]
    )
    return lambda windows: session.run(None, {"image": windows})[0]


def _ratios(runs: dict[str, Run], canvas: int, repeats: int) -> dict[str, float]:
    window = np.random.default_rng(0).integers(0, 256, (1, canvas, canvas, 3), np.uint8)
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats + 1):
        for name, run in runs.items():
            began = time.perf_counter()
            run(window)
            seconds[name].append(time.perf_counter() - began)
    median = {name: statistics.median(each[1:]) for name, each in seconds.items()}
    return {name: value / median["PyTorch"] for name, value in median.items()}


def _dice(samples: Sequence, prompt: Prompt, canvas: int, run: Run) -> float:
    """Return the Dice over the pixels of all images, the mean over the classes."""

    def answer(windows: list[Window]) -> None:
        pixels = torch.stack([window.pixels() for window in windows])
        whole = (pixels * 255).round().clamp(0, 255).byte().permute(0, 2, 3, 1).contiguous()
        for window, scores in zip(windows, run(whole.numpy()), strict=True):
            window.add(torch.from_numpy(scores))

    counts = np.zeros((2, len(prompt.palette.classes)))
    for sample in samples:
        (result,) = answered([Question(sample.image, prompt, canvas, 0.25)], answer, lambda *_: 8)
        truth = sample.class_map
        counted = truth != 255
        for label in range(1, counts.shape[1] + 1):
            found, shown = (result.classes == label) & counted, truth == label
            counts[:, label - 1] += 2 * (found & shown).sum(), found.sum() + shown.sum()
    return float((counts[0] / counts[1]).mean())


if __name__ == "__main__":
    main()
