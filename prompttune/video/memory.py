"""The memory: frames that were segmented last, as further examples of the prompt.

Earlier frames with their predictions join the prompt in a feature ensemble (SegGPT, section 3.3).
"""

from collections import deque
from dataclasses import replace

import torch
from torch import Tensor

from prompttune.inference.sliding_window import Result
from prompttune.prompts.examples import crop_most_foreground
from prompttune.prompts.palette import Palette
from prompttune.prompts.prompt import Prompt
from prompttune.utils.tiling import resize, resize_scores


class Memory:
    """The last K frames and their soft answers at the canvas' size, so that it stays small.

    Frames in which nothing was found do not enter: after an occlusion the memory still shows what
    to look for.

    Args:
        prompt: stays in the ensemble whatever the memory holds.
        length: K, how many frames are kept, 0 or more.
        canvas: of the backbone.
    """

    def __init__(self, prompt: Prompt, length: int, canvas: int) -> None:
        self._prompt = prompt
        self._canvas = canvas
        self._entries: deque[tuple[Tensor, Tensor]] = deque(maxlen=length)

    def prompt(self) -> Prompt:
        """Return the prompt with the remembered frames behind it."""
        if not self._entries:
            return self._prompt
        images, colors = zip(*self._entries, strict=True)
        return replace(
            self._prompt,
            images=(*self._prompt.images, *images),
            colors=(*self._prompt.colors, *colors),
        )

    def add(self, pixels: Tensor, result: Result) -> None:
        """Remember a frame, in place of the oldest one.

        Args:
            pixels: `3 x H x W` in [0, 1].
            result: its answer.
        """
        if not self._entries.maxlen or not result.classes.any():
            return
        size = (self._canvas, self._canvas)
        colors = soft_colors(torch.from_numpy(result.scores), self._prompt.palette)
        scale = self._prompt.known_scale
        if scale is None:
            self._entries.append((resize(pixels, size), resize_scores(colors, size)))
            return
        both = torch.cat((pixels, colors))
        classes = torch.from_numpy(result.classes)
        window, _ = crop_most_foreground(both, classes, scale, self._canvas)
        self._entries.append((window[:3], window[3:]))


def soft_colors(scores: Tensor, palette: Palette) -> Tensor:
    """Return the colors that scores expect: a pixel that is half a class has half its color.

    Args:
        scores: `C x H x W`, one plane a foreground class; the rest is background, black.
        palette: of the C classes.

    Returns:
        `3 x H x W` in [0, 1].
    """
    points = torch.tensor(palette.colors, dtype=scores.dtype) / 255
    return torch.einsum("chw,cd->dhw", scores, points).clamp(0, 1)
