"""The network at another canvas, against transformers, which resizes its tables at every step."""

import pytest
import torch
from seggpt_oracle import (
    CONFIGS,
    random_canvas,
    random_network,
    relative_error,
    transformers_model,
)

from prompttune.backbone import at_canvas
from prompttune.utils.errors import InputError


@pytest.mark.parametrize("canvas", [8, 24, 32])
@torch.no_grad()
def test_another_canvas_is_the_official_one(canvas: int) -> None:
    network = random_network(CONFIGS["merge-1"])
    other = at_canvas(network, canvas)
    image, target = random_canvas(other.config, 1)
    (above, query), (colours, _) = image.chunk(2, 2), target.chunk(2, 2)
    model = transformers_model(other)
    for layer, block in zip(model.model.encoder.layers, network.blocks, strict=True):
        layer.attention.rel_pos_h = block.attn.rel_pos_h
        layer.attention.rel_pos_w = block.attn.rel_pos_w
    expected = model(
        pixel_values=query,
        prompt_pixel_values=above,
        prompt_masks=colours,
        embedding_type="semantic",
    ).pred_masks[:, :, canvas:]
    assert relative_error(other.ensemble(query, above, colours), expected) < 1e-5


def test_weights_are_shared_but_for_relative_positions() -> None:
    network = random_network(CONFIGS["merge-0"])
    network.name, network.fingerprint = "small", "f" * 64
    other = at_canvas(network, 40)
    own = dict(network.named_parameters())
    shared = {n for n, p in other.named_parameters() if p.data_ptr() == own[n].data_ptr()}
    assert own.keys() - shared == {name for name in own if "rel_pos" in name}
    assert (other.name, other.fingerprint, other.config.canvas) == ("small", "f" * 64, 40)
    assert not other.training
    assert not any(parameter.requires_grad for parameter in other.parameters())


def test_its_own_canvas_is_itself_and_a_broken_one_is_refused() -> None:
    network = random_network(CONFIGS["merge-0"])
    assert at_canvas(network, 24) is network
    with pytest.raises(InputError, match="canvas=30 is no multiple of patch=8"):
        at_canvas(network, 30)
