"""Features of windows, and tokens that are looked at, against windows one by one."""

import numpy as np
import pytest
import torch
from serving import make_network, make_prompt, photo

from prompttune.inference.probing import WINDOWS, describe_windows, looked_at_most
from prompttune.inference.segmenter import Segmenter
from prompttune.utils.errors import InputError


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    return Segmenter(make_network())


def test_windows_are_described_row_by_row(segmenter: Segmenter) -> None:
    prompt, image = make_prompt("a", scale=1.0), photo(16, 48)
    found = describe_windows(segmenter, image, prompt, 0.0)
    assert found.shape == (3, segmenter.network.config.dim)
    for number, seen in enumerate(found):
        alone = describe_windows(segmenter, image[:, 16 * number :][:, :16], prompt, 0.0)
        np.testing.assert_allclose(seen, alone[0], rtol=1e-4, atol=1e-5)
    assert np.array_equal(found, segmenter.describe(image, prompt))


def test_some_tokens_of_each_later_block_are_kept(segmenter: Segmenter) -> None:
    config, prompt = segmenter.network.config, make_prompt("a", scale=1.0)
    kept = looked_at_most(segmenter, [photo(40, 60)], prompt, 5).kept_tokens
    assert kept is not None
    assert len(kept) == config.depth - config.apart
    for block in kept:
        assert len(block) == 5
        assert list(block) == sorted(set(block))
        assert max(block) < (config.canvas // config.patch) ** 2
    assert WINDOWS > 0
    with pytest.raises(InputError):
        looked_at_most(segmenter, [photo(40, 60)], prompt, 10**6)
    assert torch.equal(prompt.images[0], make_prompt("a", scale=1.0).images[0])
