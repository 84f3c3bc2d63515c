"""The frozen linear layer against PyTorch's own."""

import pytest
import torch
from torch import Tensor, nn

from prompttune.backbone import linear as products
from prompttune.backbone.linear import Linear, times_transposed


@pytest.fixture(params=["onednn", "without"])
def library(request: pytest.FixtureRequest, monkeypatch) -> str:
    if request.param == "without":
        monkeypatch.setattr(products, "_has_onednn", lambda: False)
    return request.param


def layouts(x: Tensor) -> list[Tensor]:
    """Return the same matrix in several strides."""
    wide = torch.zeros(2 * len(x), 2 * x.shape[1])
    wide[::2, ::2] = x
    return [x, x.T.contiguous().T, wide[::2, ::2], torch.cat((x, x), 1)[:, : x.shape[1]]]


def test_product_in_every_layout(library: str):
    x, w, bias = torch.randn(7, 5), torch.randn(3, 5), torch.randn(6)[::2]
    for left in layouts(x):
        for right in layouts(w):
            torch.testing.assert_close(times_transposed(left, right), x @ w.T)
            torch.testing.assert_close(times_transposed(left, right, bias), x @ w.T + bias)


@pytest.mark.parametrize("shape", [(5,), (4, 5), (2, 3, 5), (0, 5)])
@pytest.mark.parametrize("bias", [True, False])
def test_frozen_layer_is_that_of_pytorch(library: str, shape: tuple[int, ...], bias: bool):
    layer = Linear(5, 6, bias=bias).requires_grad_(False)
    plain = nn.Linear(5, 6, bias=bias)
    plain.load_state_dict(layer.state_dict())
    results = []
    for function in (layer, plain):
        x = torch.randn(shape, generator=torch.Generator().manual_seed(0), requires_grad=True)
        answer = function(x)
        answer.sin().sum().backward()
        results.append((answer, x.grad))
    for value, expected in zip(*results, strict=True):
        torch.testing.assert_close(value, expected)


def test_learning_layer_gets_gradients():
    layer = Linear(5, 6)
    layer(torch.randn(2, 5)).sum().backward()
    assert layer.weight.grad is not None
    assert layer.bias.grad is not None
    layer.weight.requires_grad_(False)
    layer.bias.grad = None
    layer(torch.randn(2, 5)).sum().backward()
    assert layer.bias.grad is not None


def test_autocast_is_obeyed():
    layer = Linear(5, 6).requires_grad_(False)
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(torch.randn(2, 5)).dtype == torch.bfloat16
    assert layer.bfloat16()(torch.randn(2, 5).bfloat16()).dtype == torch.bfloat16
