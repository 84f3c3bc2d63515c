import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))

from prompttune.backbone import SegGPT, SegGPTConfig
from prompttune.backbone.one_way import build
from prompttune.inference.segmenter import Segmenter

ONE_WAY = SegGPTConfig(
    canvas=16, patch=4, dim=16, depth=4, heads=2, taps=(2, 3), decoder_dim=4, pretrain_canvas=16,
    one_way=True, apart=2, match_taps=(0, 1), image_taps=(0,), pixel_dim=4,
)  # fmt: skip
OFFICIAL = SegGPTConfig(
    canvas=16, patch=4, dim=16, depth=4, heads=2, taps=(2, 3), decoder_dim=4, pretrain_canvas=16
)


def random_network(config: SegGPTConfig) -> SegGPT:
    generator = torch.Generator().manual_seed(0)
    network = build(config).requires_grad_(False).eval()
    for parameter in network.parameters():
        parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return network


@pytest.fixture(scope="session", params=[ONE_WAY, OFFICIAL], ids=["one-way", "official"])
def either(request: pytest.FixtureRequest) -> Segmenter:
    return Segmenter(random_network(request.param))


@pytest.fixture(scope="session")
def segmenter() -> Segmenter:
    return Segmenter(random_network(ONE_WAY))


@pytest.fixture(scope="session")
def expected() -> Callable[[str], dict[str, Any]]:
    folder = Path(__file__).parent / "expected"
    return lambda name: json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
