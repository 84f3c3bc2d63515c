"""Whether batches change bits is found out, whichever way it is."""

import pytest
import torch
from serving import make_network

from prompttune.inference.segmenter import Segmenter
from prompttune.serve.exactness import is_batch_invariant


def test_a_batch_that_changes_bits_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    segmenter = Segmenter(make_network())
    assert is_batch_invariant(segmenter, 1, 16) in (True, False)
    plain = segmenter.network.ensemble

    def sloppy(queries: torch.Tensor, *rest: object, **more: object) -> torch.Tensor:
        answers = plain(queries, *rest, **more)
        return answers + 1e-7 * (len(queries) > 1)

    monkeypatch.setattr(segmenter.network, "ensemble", sloppy)
    assert not is_batch_invariant(segmenter, 1, 16)


def test_batches_of_one_are_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    segmenter = Segmenter(make_network())
    monkeypatch.setattr(segmenter, "batch_size", lambda images, canvas: 1)
    assert is_batch_invariant(segmenter, 1, 16)
