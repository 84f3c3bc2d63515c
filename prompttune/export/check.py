"""Compare an exported file with the network that it was made from."""

import statistics
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from prompttune.inference.segmenter import Segmenter
from prompttune.prompts.composition import Composition
from prompttune.prompts.prompt import Prompt
from prompttune.utils.errors import InputError

CLOSE = 1e-4
"""Scores of an fp32 file may differ by no more from those of PyTorch."""
WINDOWS = 2


@dataclass(frozen=True)
class Check:
    """What comparing found."""

    difference: float
    """The largest of any score."""
    agreement: float
    """Share of the pixels for which the same class was decided."""
    time: float
    """Of a window, as a share of the time that PyTorch takes on the same threads."""


def check_onnx(
    path: Path, prompt: Prompt | Composition, segmenter: Segmenter, repeats: int = 5
) -> Check:
    """Ask the file and the segmenter for the same windows, in turn.

    The windows are cut from the key's own pixels and from noise.

    Args:
        path: written by `export_onnx` for this prompt or, with a key as input, for its backbone.
        prompt: a key.
        segmenter: its backbone.
        repeats: how often each is timed.

    Raises:
        InputError: onnxruntime cannot run the file.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    try:
        # From a path: a file over 2 GB cannot be given as bytes.
        session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # onnxruntime's errors have no common class of their own
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path}: written, but onnxruntime cannot run it ({reason})") from None
    windows = _windows(prompt, segmenter.canvas(prompt.parts[0]))
    inputs = [i.name for i in session.get_inputs()]
    embedded = inputs == ["image"]
    asked = [{}] if embedded else [key_inputs(part, segmenter) for part in prompt.parts]
    feeds = [{"image": windows} | one for one in asked]
    seen = _for_windows(prompt)
    scores = np.concatenate([session.run(None, feed)[0] for feed in feeds], 1)
    expected = segmenter.predict(list(windows), seen)
    wanted = np.stack([result.scores for result in expected])
    decided = [seen.decide(torch.from_numpy(each)).numpy() for each in scores]
    same = np.mean([a == b.classes for a, b in zip(decided, expected, strict=True)])
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats):
        began = time.perf_counter()
        for feed in feeds:
            session.run(None, feed)
        between = time.perf_counter()
        segmenter.predict(list(windows), seen)
        seconds[0].append(between - began)
        seconds[1].append(time.perf_counter() - between)
    share = statistics.median(seconds[0]) / statistics.median(seconds[1])
    return Check(float(np.abs(scores - wanted).max()), float(same), share)


def key_inputs(prompt: Prompt, segmenter: Segmenter) -> dict[str, Any]:
    """Return what a file with a key as input takes beside the image.

    Raises:
        InputError: a compact key, or one with a companion, whose answers such a file cannot give.
    """
    if prompt.companion is not None:
        raise InputError(
            f"{prompt.name}: has a companion; only a file that embeds it answers as it does"
        )
    if prompt.kept_tokens is not None:
        raise InputError(
            f"{prompt.name}: is compact; only a file that embeds it answers as it does"
        )
    images, colors = prompt.at(segmenter.canvas(prompt))
    shift = prompt.type_shift
    return {
        "key_images": images.float().numpy(),
        "key_colors": colors.float().numpy(),
        "palette": np.array(prompt.palette.colors, np.float32),
        "type_shift": (torch.zeros(segmenter.network.config.dim) if shift is None else shift)
        .float()
        .numpy(),
        "seg_type": np.array([prompt.seg_type]),
    }


def _windows(prompt: Prompt | Composition, canvas: int) -> np.ndarray:
    """Return some windows, `WINDOWS x S x S x 3 uint8`."""
    own = prompt.parts[0].at(canvas)[0][0].permute(1, 2, 0).clamp(0, 1).mul(255).round().byte()
    noise = np.random.default_rng(0).integers(0, 256, (WINDOWS - 1, canvas, canvas, 3), np.uint8)
    return np.concatenate([own.numpy()[None], noise])


def _for_windows(prompt: Prompt | Composition) -> Prompt | Composition:
    """Return a prompt whose images are windows already, and which tells only what they show."""
    told = "card", "domain", "calibration", "zoomed"
    plain: dict[str, Any] = {"scale": 1.0} | dict.fromkeys(told)
    parts = [replace(part, **plain) for part in prompt.parts]
    return parts[0] if isinstance(prompt, Prompt) else Composition(parts)
