"""The network that is learned, and what a key keeps of it."""

import pytest
import torch

from prompttune.companion.network import WIDTHS, CompanionNetwork
from prompttune.companion.shapes import weight_count


@pytest.fixture(params=[True, False], ids=["standardized", "plain"])
def network(request: pytest.FixtureRequest) -> CompanionNetwork:
    torch.manual_seed(0)
    made = CompanionNetwork(2, (4, 8, 12), standardized=request.param)
    made(torch.randn(4, 3, 24, 24))  # moves the running means away from 0
    return made.eval()


def test_folding_changes_no_answer(network: CompanionNetwork) -> None:
    queries = torch.randn(2, 3, 24, 24)
    with torch.no_grad():
        expected, found = network(queries), network.folded(1.0).logits(queries)
    assert found.shape == (2, 3, 24, 24)
    assert torch.allclose(found, expected, atol=5e-3)  # weights are rounded to half precision


def test_folding_leaves_the_network_as_it_was(network: CompanionNetwork) -> None:
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network.folded(0.5)
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_odd_sides_are_answered_whole(network: CompanionNetwork) -> None:
    assert network.folded(1.0).logits(torch.randn(1, 3, 21, 30)).shape == (1, 3, 21, 30)


def test_the_usual_one_fits_a_key_below_a_megabyte() -> None:
    assert 2 * weight_count(WIDTHS, 1) < 800_000
    assert sum(p.numel() for p in CompanionNetwork(1).out.parameters()) == 2 * WIDTHS[0] + 2
