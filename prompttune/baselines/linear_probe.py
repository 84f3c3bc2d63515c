"""A linear probe on the frozen backbone: what its features hold without any prompt."""

from typing import Self

import torch
from torch import Tensor, nn

from prompttune.backbone import SegGPT
from prompttune.utils.normalize import normalize


class LinearProbe(nn.Module):
    """One linear layer from each patch's features to the logits of its pixels.

    The features are those that the decoder gets (of all its depths, after the last LayerNorm), of a
    query under a prompt that shows nothing: a gray image, all background.
    """

    def __init__(self, network: SegGPT, classes: int) -> None:
        super().__init__()
        config = network.config
        # In a tuple: the backbone is neither trained nor kept with the probe's weights.
        self._frozen = (network,)
        self._patch, self._columns, self._outputs = config.patch, config.grid[1], classes + 1
        self._queries = config.tokens // 2
        features = network.decoder_embed.in_features  # of a one-way network early blocks as well
        self.head = nn.Linear(features, config.patch**2 * (classes + 1))

    def forward(self, queries: Tensor) -> Tensor:
        """Map `B x 3 x S x S`, normalized, to logits `B x (C + 1) x S x S`."""
        logits = self.head(self._features(queries))
        logits = logits.unflatten(1, (-1, self._columns))
        logits = logits.unflatten(-1, (self._patch, self._patch, self._outputs))
        return logits.permute(0, 5, 1, 3, 2, 4).flatten(4, 5).flatten(2, 3)

    def to(self, *args, **kwargs) -> Self:  # type: ignore[no-untyped-def]
        """Move the probe and its backbone."""
        self._frozen[0].to(*args, **kwargs)
        return super().to(*args, **kwargs)

    @torch.no_grad()
    def _features(self, queries: Tensor) -> Tensor:
        """Return what the decoder gets of the queries, `B x tokens x features`."""
        network = self._frozen[0]
        caught: list[Tensor] = []
        hook = network.decoder_embed.register_forward_pre_hook(
            lambda _, inputs: caught.append(inputs[0])
        )
        try:
            nothing = torch.zeros_like(queries[:1])
            network.ensemble(queries, nothing, normalize(nothing))
        finally:
            hook.remove()
        return caught[0][:, -self._queries :].float()  # the official layout has a border above
