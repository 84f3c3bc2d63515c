"""An answer and what the network saw on the way: both as if asked for alone."""

import pytest
import torch
from seggpt_oracle import CONFIGS, random_network
from serving import CONFIG as ONE_WAY

from prompttune.backbone.describing import colour_and_describe, describe
from prompttune.backbone.network import SegGPT
from prompttune.backbone.one_way import build


def networks() -> list[SegGPT]:
    torch.manual_seed(0)
    one_way = build(ONE_WAY).eval().requires_grad_(False)
    for parameter in one_way.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return [one_way, random_network(CONFIGS["merge-1"])]


@pytest.mark.parametrize("network", networks(), ids=["one way", "two way"])
def test_describing_changes_no_answer(network: SegGPT) -> None:
    side = network.config.canvas
    random = torch.Generator().manual_seed(1)
    images, colours = torch.rand(2, 2, 3, side, side, generator=random)
    queries = torch.rand(3, 3, side, side, generator=random)
    prompt = network.encode_prompt(images, colours, 0, None)
    with torch.no_grad():
        answers, features = colour_and_describe(network, queries, prompt)
        torch.testing.assert_close(answers, network.ensemble(queries, prompt))
        assert features.shape == (3, network.config.dim)
        torch.testing.assert_close(features, describe(network, queries, prompt))
        alone = torch.cat([describe(network, one[None], prompt) for one in queries])
        torch.testing.assert_close(features, alone, rtol=1e-4, atol=1e-5)
    assert (features[0] - features[1]).abs().max() > 1e-4
