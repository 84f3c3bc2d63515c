"""Prompts thinned out: the most attended tokens stay, and what is kept is what counts."""

import pytest
import torch
import torch.nn.functional as F

from prompttune.backbone.compact import check_count, choose_tokens, keep_tokens
from prompttune.backbone.config import SegGPTConfig
from prompttune.backbone.network import SegGPT
from prompttune.backbone.one_way import OneWaySegGPT
from prompttune.utils.errors import InputError

CONFIG = SegGPTConfig(
    canvas=16, patch=4, dim=16, depth=4, heads=2, one_way=True, apart=2, match_indices=(0, 1),
    out_indices=(2, 3), decoder_dim=4, pretrain_canvas=16,
)  # fmt: skip
TOKENS = 16


@pytest.fixture(scope="module")
def network() -> OneWaySegGPT:
    generator = torch.Generator().manual_seed(0)
    made = OneWaySegGPT(CONFIG).requires_grad_(False).eval()
    for parameter in made.parameters():
        parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return made


def pictures(seed: int, count: int) -> torch.Tensor:
    return torch.rand(count, 3, 16, 16, generator=torch.Generator().manual_seed(seed))


def test_all_tokens_kept_change_nothing(network: OneWaySegGPT) -> None:
    prompt = network.encode_prompt(pictures(0, 1), pictures(1, 1))
    everything = (tuple(range(TOKENS)),) * 2
    same = keep_tokens(network, prompt, everything)
    queries = pictures(2, 3)
    assert torch.equal(network.ensemble(queries, same), network.ensemble(queries, prompt))


def test_tokens_that_no_block_keeps_have_no_say_there(network: OneWaySegGPT) -> None:
    prompt = network.encode_prompt(pictures(0, 1), pictures(1, 1))
    kept = choose_tokens(network, prompt, pictures(2, 3), 4)
    assert [len(each) for each in kept] == [4, 4]
    assert all(list(each) == sorted(set(each)) for each in kept)
    thin = keep_tokens(network, prompt, kept)
    assert [x.shape[2] for x in thin.tensors[3:]] == [4] * 4
    assert thin.tensors[:3] == prompt.tensors[:3]  # the matching sees all of them
    for index, each in enumerate(thin.tensors[3:]):
        assert torch.equal(each, prompt.tensors[3 + index][:, :, list(kept[index // 2])])


def test_the_tokens_that_get_most_attention_are_chosen(
    network: OneWaySegGPT, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompt = network.encode_prompt(pictures(0, 1), pictures(1, 1))
    plain, received = F.scaled_dot_product_attention, []

    def watched(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, **given: float) -> torch.Tensor:
        if k.shape[2] == 2 * TOKENS:  # a later block: the prompt's tokens, then the query's own
            shares = (q.double() @ k.double().mT / q.shape[-1] ** 0.5).softmax(-1)
            received.append(shares[..., :TOKENS].sum((0, 1, 2)))
        return plain(q, k, v, **given)

    monkeypatch.setattr(F, "scaled_dot_product_attention", watched)
    network.ensemble(pictures(2, 8), prompt)
    expected = [sorted(each.argsort()[-5:].tolist()) for each in received]
    assert [list(each) for each in choose_tokens(network, prompt, pictures(2, 8), 5)] == expected


def test_what_cannot_be(network: OneWaySegGPT) -> None:
    prompt = network.encode_prompt(pictures(0, 1), pictures(1, 1))
    for count in (0, TOKENS):
        with pytest.raises(InputError, match=f"the prompt has {TOKENS}; keep fewer"):
            choose_tokens(network, prompt, pictures(2, 1), count)
    with pytest.raises(InputError, match="do not fit this backbone"):
        keep_tokens(network, prompt, ((0, TOKENS), (0, 1)))
    official = SegGPT(SegGPTConfig(canvas=16, patch=4, dim=16, depth=4, heads=2, out_indices=(2, 3),
                                   decoder_dim=4, pretrain_canvas=16))  # fmt: skip
    with pytest.raises(InputError, match="one-way backbone"):
        check_count(official, 4, TOKENS)
