"""What a prompt and the backbone make of an image on the way: features, and tokens looked at."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from prompttune.backbone.compact import choose_tokens
from prompttune.backbone.one_way import describe
from prompttune.inference.sliding_window import Question
from prompttune.prompts.prompt import Prompt
from prompttune.utils.normalize import normalise

WINDOWS = 4
"""Of an image, every second one, that choose the tokens of a compact prompt."""


def describe_windows(
    segmenter: Any, image: np.ndarray, prompt: Prompt, overlap: float
) -> np.ndarray:
    """Describe windows, see `Segmenter.describe`; the image is `H x W x 3 uint8`."""
    question = Question(image, prompt, segmenter.canvas(None), overlap)
    windows = list(question.windows())
    encoded = segmenter.encoded(prompt)
    network = segmenter.at(question.parts[0].canvas)
    size = segmenter.batch_size(len(prompt.images))
    found = []
    with segmenter.computing():
        for start in range(0, len(windows), size):
            pixels = torch.stack([each.pixels() for each in windows[start : start + size]])
            seen = normalise(pixels.to(segmenter.device))
            found.append(describe(network, seen, encoded).cpu())
    return torch.cat(found).numpy()


def looked_at_most(
    segmenter: Any, images: Iterable[np.ndarray], prompt: Prompt, tokens: int
) -> Prompt:
    """Keep some tokens of a prompt, see `Segmenter.compact`; images are `H x W x 3 uint8`."""
    canvas = segmenter.canvas(None)
    windows = []
    for image in images:
        question = Question(image, prompt, canvas, 0.0)
        windows += [window.pixels() for window in list(question.windows())[::2][:WINDOWS]]
    whole = replace(prompt, kept_tokens=None)
    network, encoded = segmenter.at(segmenter.canvas(prompt)), segmenter.encode(whole)
    with segmenter.computing():
        queries = normalise(torch.stack(windows).to(segmenter.device))
        kept = choose_tokens(network, encoded, queries, tokens)
        return replace(prompt, kept_tokens=kept)
