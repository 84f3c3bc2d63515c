"""Small networks and a key of theirs, as files and loaded."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "backbone"))
from one_way_oracle import EXTRAS, small
from seggpt_oracle import random_network

from prompttune.backbone.weights import fingerprint
from prompttune.inference.segmenter import Segmenter
from prompttune.prompts.palette import Palette
from prompttune.prompts.prompt import Prompt


@pytest.fixture(scope="session")
def segmenter() -> Segmenter:
    network = random_network(small(**EXTRAS["all"]))
    network.fingerprint = fingerprint(dict(network.state_dict()))
    return Segmenter(network, "cpu", "fp32")


@pytest.fixture(scope="session")
def key_of():
    return _key_of


def _key_of(segmenter: Segmenter, classes: tuple[str, ...], prompts: int = 1, **values) -> Prompt:
    """Return a key of random pixels."""
    side = segmenter.network.config.canvas
    generator = torch.Generator().manual_seed(len(classes))
    pixels = torch.rand(2, prompts, 3, side, side, generator=generator)
    shift = 0.3 * torch.randn(segmenter.network.config.dim, generator=generator)
    given = {"type_shift": shift, "seg_type": 1, "threshold": 0.4, "scale": 1.0} | values
    return Prompt(
        images=tuple(pixels[0]),
        colors=tuple(pixels[1]),
        palette=Palette.of(classes),
        canvas=side,
        fingerprint=segmenter.network.fingerprint,
        name="-".join(classes),
        **given,
    )
