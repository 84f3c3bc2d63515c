"""Images per second of the predictor, beside the same loop with transformers, as ratios.

    OMP_NUM_THREADS=1 python -m benchmarks.prediction

Both read the same generated files, see the same windows with the same random weights, decode by the
same palette and write the same masks; ours writes overlays as well. A third measurement is the
network's own forward pass over all windows, in batches of the same size, and nothing else. The
three take turns, and the best turn of each counts. On a processor that others use as well,
`--clock cpu` counts the processor's seconds of all threads instead; what ours reads and writes at
the same time then counts in full.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from prompttune.backbone import SegGPTConfig
from prompttune.data.inputs import load_image
from prompttune.inference.batch import segment_files
from prompttune.inference.segmenter import Segmenter
from prompttune.inference.sliding_window import Part
from prompttune.inference.writing import Asked
from prompttune.outputs.drawing import index_image
from prompttune.prompts.prompt import Prompt
from prompttune.synthetic.fundus import generate_fundus
from prompttune.utils.normalize import denormalize, normalize

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from seggpt_oracle import random_network, transformers_model

COLUMNS = (
    "windows an image", "transformers", "ours, files", "ours, arrays",
    "ours / transformers", "files / forward", "arrays / forward", "largest difference",
)  # fmt: skip
Loop = Callable[[], list[np.ndarray]]


OFFICIAL_LAYOUT = SegGPTConfig(
    canvas=64, patch=8, dim=192, depth=8, heads=3, merge_index=2, out_indices=(2, 4, 6, 7),
    decoder_dim=16, pretrain_canvas=64,
)  # fmt: skip
"""What transformers can compute too, small enough that all that is not the network shows."""


def main() -> None:
    """Measure the modes and print the table (Markdown)."""
    parser = argparse.ArgumentParser(prog="benchmarks.prediction", description=__doc__)
    parser.add_argument("--images", type=int, default=16, help="files of a turn (default: 16)")
    parser.add_argument("--size", type=int, default=256, help="their side (default: 256)")
    parser.add_argument("--repeats", type=int, default=5, help="turns (default: 5)")
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    given = parser.parse_args()
    segmenter = Segmenter(random_network(OFFICIAL_LAYOUT))
    clock = time.perf_counter if given.clock == "wall" else time.process_time
    print(f"{given.images} images of {given.size} x {given.size}, {given.repeats} turns, "
          f"{torch.get_num_threads()} thread(s), images a second ({given.clock})")  # fmt: skip
    print(f"| | {' | '.join(COLUMNS)} |\n|{'---|' * (len(COLUMNS) + 1)}")
    with tempfile.TemporaryDirectory() as folder:
        paths = _files(Path(folder), given.images, given.size)
        for name, prompt in _prompts(segmenter.network.config.canvas).items():
            cells = _measure(segmenter, prompt, paths, given.repeats, clock)
            print(f"| {name} | {' | '.join(cells)} |", flush=True)


def _files(folder: Path, count: int, size: int) -> list[Path]:
    paths = [folder / f"{number}.png" for number in range(count)]
    for number, path in enumerate(paths):
        Image.fromarray(generate_fundus(number, size=size).image).save(path)
    return paths


def _prompts(canvas: int) -> dict[str, Prompt]:
    samples = [generate_fundus(1000 + number, size=128) for number in range(8)]
    pairs = [(sample.image, sample.class_map) for sample in samples]
    # To the predictor a tuned key is a prompt at a scale: these pixels were only never learned.
    tuned = Prompt.from_examples(pairs[:1], ["vessel"], scale=1.0, canvas=canvas)
    return {
        "one-shot": Prompt.from_examples(pairs[:1], ["vessel"], scale="whole"),
        "ensemble of 8": Prompt.from_examples(pairs, ["vessel"], scale="whole"),
        "tuned": replace(tuned, name="tuned"),
    }


def _measure(
    segmenter: Segmenter,
    prompt: Prompt,
    paths: list[Path],
    repeats: int,
    clock: Callable[[], float],
) -> list[str]:
    arrays = [load_image(path) for path in paths]
    canvas = segmenter.network.config.canvas
    windows = [window for array in arrays for window in _windows(array, prompt, canvas)]
    loops: dict[str, Loop] = {
        "transformers": _with_transformers(segmenter, prompt, paths),
        "files": lambda: _with_files(segmenter, prompt, paths),
        "arrays": lambda: [each.scores for each in segmenter.stream(arrays, prompt)],
        "forward": lambda: _forward(segmenter, prompt, windows),
    }
    segmenter.predict(arrays[0], prompt)  # what is done once a process
    seconds: dict[str, list[float]] = {name: [] for name in loops}
    answers: dict[str, list[np.ndarray]] = {}
    for _ in range(repeats):
        for name, loop in loops.items():
            start = clock()
            answers[name] = loop()
            seconds[name].append(clock() - start)
    best = {name: min(turns) for name, turns in seconds.items()}
    difference = max(
        np.abs(one - other).max()
        for one, other in zip(answers["arrays"], answers["transformers"], strict=True)
    )
    return [
        f"{len(windows) / len(paths):.0f}",
        *(f"{len(paths) / best[name]:.1f}" for name in ("transformers", "files", "arrays")),
        f"**{best['transformers'] / best['files']:.2f}**",
        f"{best['files'] / best['forward']:.2f}",
        f"{best['arrays'] / best['forward']:.2f}",
        f"{difference:.0e}",
    ]


def _windows(image: np.ndarray, prompt: Prompt, canvas: int) -> list[Tensor]:
    part = Part(image, prompt, canvas, overlap=0.25)
    return [
        part.pixels[:, top : top + canvas, left : left + canvas] for top, left in part.blend.places
    ]


def _forward(segmenter: Segmenter, prompt: Prompt, windows: list[Tensor]) -> list[np.ndarray]:
    """Run the network alone, its prompt encoded once."""
    network = segmenter.network
    images, colors = (normalize(x) for x in prompt.at(network.config.canvas))
    with segmenter.computing():
        encoded = network.encode_prompt(images, colors)
        size = segmenter.batch_size(len(images))
        for start in range(0, len(windows), size):
            network.ensemble(torch.stack(windows[start : start + size]), encoded)
    return []


def _with_files(segmenter: Segmenter, prompt: Prompt, paths: list[Path]) -> list[np.ndarray]:
    output = paths[0].parent / "ours"
    output.mkdir(exist_ok=True)
    masks = {path: output / path.name for path in paths}
    bad = segment_files(segmenter, prompt, masks, Asked(), output)
    assert not bad
    return []


def _with_transformers(segmenter: Segmenter, prompt: Prompt, paths: list[Path]) -> Loop:
    """Return the loop: a batch of windows a call, or for an ensemble, as it must be, one a call."""
    model = transformers_model(segmenter.network)
    canvas, output = segmenter.network.config.canvas, paths[0].parent / "transformers"
    output.mkdir(exist_ok=True)
    images, colors = (normalize(x) for x in prompt.at(canvas))
    together = segmenter.batch_size(1) if len(images) == 1 else 1

    def answer(queries: Tensor) -> Tensor:
        rows = len(queries) if len(images) == 1 else len(images)
        result = model(
            pixel_values=queries.expand(rows, -1, -1, -1),
            prompt_pixel_values=images.expand(rows, -1, -1, -1),
            prompt_masks=colors.expand(rows, -1, -1, -1),
            embedding_type="semantic",
            feature_ensemble=len(images) > 1,
        )
        return denormalize(result.pred_masks[: len(queries), :, canvas:])

    @torch.inference_mode()
    def loop() -> list[np.ndarray]:
        found = []
        for path in paths:
            image = load_image(path)
            part = Part(image, prompt, canvas, overlap=0.25)
            windows = torch.stack(_windows(image, prompt, canvas))
            answers = torch.cat([answer(normalize(few)) for few in windows.split(together)])
            for place, scores in zip(
                part.blend.places, prompt.palette.scores(answers), strict=True
            ):
                part.blend.add(place, scores)
            scores = part.scores(image.shape[:2])
            found.append(scores.numpy())
            mask = index_image(prompt.decide(scores).numpy(), prompt.palette)
            mask.save(output / path.name)
        return found

    return loop


if __name__ == "__main__":
    main()
