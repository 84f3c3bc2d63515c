"""Moving squares, and a segmenter that answers what it sees: bright pixels are the object."""

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import av
import numpy as np
import pytest
from torch import Tensor, nn

from prompttune.inference.segmenter import Segmenter

CANVAS = 16
SIZE = (48, 64)


class Seeing(nn.Module):
    """Answers each query with its own pixels; remembers queries and prompts."""

    def __init__(self, canvas: int = CANVAS) -> None:
        super().__init__()
        self.config = SimpleNamespace(canvas=canvas, patch=4)
        self.fingerprint = "f" * 64
        self.name = "seeing"
        self.queries: list[Tensor] = []
        self.prompts: list[SimpleNamespace] = []

    def encode_prompt(
        self, images: Tensor, colors: Tensor, seg_type: int, type_shift: Tensor | None
    ) -> SimpleNamespace:
        return SimpleNamespace(images=images, colors=colors, seg_type=seg_type)

    def ensemble(self, queries: Tensor, prompt: SimpleNamespace) -> Tensor:
        self.queries.append(queries)
        self.prompts.append(prompt)
        return queries


@pytest.fixture
def moving() -> ModuleType:
    """Return this module: test files cannot import it by name."""
    return sys.modules[__name__]


@pytest.fixture
def seeing() -> Seeing:
    return Seeing()


@pytest.fixture
def segmenter(seeing: Seeing) -> Segmenter:
    return Segmenter(seeing, "cpu")  # type: ignore[arg-type]


def mask_of(number: int, side: int = 8) -> np.ndarray:
    """A square that moves two pixels a frame to the right, `H x W uint8`."""
    mask = np.zeros(SIZE, np.uint8)
    mask[20 : 20 + side, 4 + 2 * number : 4 + 2 * number + side] = 1
    return mask


def frame_of(number: int, side: int = 8) -> np.ndarray:
    """A white square on gray-black noise."""
    noise = np.random.default_rng(number).integers(0, 40, (*SIZE, 3), np.uint8)
    noise[mask_of(number, side) > 0] = 255
    return noise


def write_video(
    path: Path, frames: list[np.ndarray], rate: int = 10, codec: str = "libx264", **options: str
) -> Path:
    with av.open(path, "w", options=options) as container:
        stream = container.add_stream(codec, rate, options={"crf": "10"})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return path
