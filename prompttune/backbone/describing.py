"""Answer queries, and describe them on the way: what the network saw of each, as one vector."""

from collections.abc import Sequence

from torch import Tensor

from prompttune.backbone.network import EncodedPrompt, SegGPT
from prompttune.backbone.one_way import OneWaySegGPT
from prompttune.backbone.one_way_blocks import CachedPrompt

Encoded = EncodedPrompt | CachedPrompt


def colour_and_describe(
    network: SegGPT, queries: Tensor, prompt: Encoded | Sequence[Encoded]
) -> tuple[Tensor, Tensor]:
    """Color queries as `ensemble` does, and describe them at next to no cost.

    Of a one-way network the features are those of the image alone, after the last apart block; of
    the official one those of the query after the last block, which depend on the prompt as well.

    Args:
        network: of either layout.
        queries: B x 3 x S x S.
        prompt: what `encode_prompt` made, or a list of these, one a query.

    Returns:
        Colors, B x 3 x S x S, and features, B x dim, the mean over the query's tokens.
    """
    if isinstance(network, OneWaySegGPT):
        seen = network.encode_images(queries)
        colours = network.ensemble(queries, prompt, features=seen)  # type: ignore[arg-type]
        return colours, seen.last.float().mean(1)
    found: list[Tensor] = []
    # The norm sees one tap after the other: the last call of a forward pass is the last block's.
    hook = network.norm.register_forward_hook(lambda _, __, tokens: found.append(tokens))
    try:
        colours = network.ensemble(queries, prompt)  # type: ignore[arg-type]
    finally:
        hook.remove()
    half = network.config.tokens // 2
    return colours, found[-1].flatten(1, -2)[:, -half:].float().mean(1)


def describe(network: SegGPT, queries: Tensor, prompt: Encoded | Sequence[Encoded]) -> Tensor:
    """Return the features of `colour_and_describe` alone, without the answer where that is less."""
    if isinstance(network, OneWaySegGPT):
        return network.encode_images(queries).last.float().mean(1)
    return colour_and_describe(network, queries, prompt)[1]
