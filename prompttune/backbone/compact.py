"""Fewer tokens of a prompt for a query to attend to: those that queries look at most.

In the blocks after the apart ones a query attends to all tokens of its prompt, most of which it
hardly looks at. What a block does not need is left out of what is kept of the prompt; each block
has its own choice. The matching of image features still looks at all tokens: there every token
counts, and thinning it out cost up to .035 of Dice where thinning out the blocks cost nothing.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from prompttune.backbone.network import SegGPT
from prompttune.backbone.one_way import OneWaySegGPT
from prompttune.backbone.one_way_blocks import CachedPrompt, OneWayBlock
from prompttune.utils.errors import InputError

Kept = tuple[tuple[int, ...], ...]
"""Of each later block the tokens that are kept, ascending."""


NOT_ONE_WAY = "fewer tokens: only prompts of a one-way backbone can be thinned out"


def choose_tokens(network: SegGPT, prompt: object, queries: Tensor, count: int) -> Kept:
    """Choose the tokens of a prompt that some queries attend to most, block by block.

    Args:
        network: of the one-way layout.
        prompt: what its `encode_prompt` made, of one prompt.
        queries: B x 3 x S x S, normalized.
        count: how many to keep.

    Raises:
        InputError: a network of the official layout, where query and prompt attend to each other;
            or a count that is not below the number of tokens.
    """
    if not isinstance(network, OneWaySegGPT) or not isinstance(prompt, CachedPrompt):
        raise InputError(NOT_ONE_WAY)
    check_count(network, count, prompt.tensors[_first(network)].shape[2])
    received = _attention_received(network, prompt, queries)
    return tuple(tuple(sorted(each.topk(count).indices.tolist())) for each in received)


def check_count(network: SegGPT, count: int, total: int) -> None:
    """Check, before any work is spent, that so many of `total` tokens can be kept.

    Raises:
        InputError: as `choose_tokens`.
    """
    if not isinstance(network, OneWaySegGPT):
        raise InputError(NOT_ONE_WAY)
    if not 1 <= count < total:
        raise InputError(f"{count} tokens: the prompt has {total}; keep fewer, at least 1")


def keep_tokens(network: SegGPT, prompt: object, kept: Kept) -> CachedPrompt:
    """Return what is kept of a prompt with no more than these tokens in the later blocks.

    Raises:
        InputError: as `choose_tokens`, or a choice that does not fit the network.
    """
    if not isinstance(network, OneWaySegGPT) or not isinstance(prompt, CachedPrompt):
        raise InputError(NOT_ONE_WAY)
    first = _first(network)
    pairs = prompt.tensors[first:]
    if 2 * len(kept) != len(pairs) or max(map(max, kept)) >= pairs[0].shape[2]:
        raise InputError("the key's kept tokens do not fit this backbone; tune the key again")
    thinned = [
        tensor.index_select(2, torch.tensor(kept[index // 2], device=tensor.device))
        for index, tensor in enumerate(pairs)
    ]
    return replace(prompt, tensors=(*prompt.tensors[:first], *thinned))


def _first(network: OneWaySegGPT) -> int:
    """Return where in a cached prompt the blocks' keys and values begin."""
    return 1 if network.matching is None else 3


def _attention_received(
    network: OneWaySegGPT, prompt: CachedPrompt, queries: Tensor
) -> Sequence[Tensor]:
    """Return of each later block the attention that each of the M tokens gets, summed."""
    received: list[Tensor] = []

    def watch(block: torch.nn.Module, given: tuple) -> None:
        assert isinstance(block, OneWayBlock)
        tokens, pair = given
        own_queries, own_keys, _ = block.attn.qkv(block.norm1(tokens)).unflatten(
            -1, (3, block.attn.heads, -1)
        ).permute(2, 0, 3, 1, 4)  # fmt: skip
        keys = torch.cat((pair[0].expand(len(tokens), -1, -1, -1), own_keys), 2)
        logits = own_queries.float() @ keys.float().transpose(-1, -2)
        shares = (logits * own_queries.shape[-1] ** -0.5).softmax(-1)
        received.append(shares[..., : pair[0].shape[2]].sum((0, 1, 2)))

    config = network.config
    later = network.blocks[config.apart : config.out_indices[-1] + 1]
    hooks = [block.register_forward_pre_hook(watch) for block in later]
    try:
        network.ensemble(queries, prompt)
    finally:
        for hook in hooks:
            hook.remove()
    return received
