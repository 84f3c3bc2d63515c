"""Matrix products by the faster of the two libraries that PyTorch carries for CPUs.

In fp32 PyTorch gives matrix products to MKL, which leaves AVX-512 unused on AMD: oneDNN, which
PyTorch asks for convolutions and bf16 alone, was measured 2.1 times as fast on a Zen 5 core (200
GFLOP/s against 95), at the same precision. The operator is the one that TorchInductor calls.
"""

from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class Linear(nn.Linear):
    """`nn.Linear`, faster on a CPU while it is frozen."""

    def forward(self, input: Tensor) -> Tensor:
        """Map `... x in` to `... x out`."""
        learns = self.weight.requires_grad or (self.bias is not None and self.bias.requires_grad)
        if learns or torch.is_autocast_enabled(input.device.type) or not _suits(input, self.weight):
            return super().forward(input)
        return _FrozenLinear.apply(input, self.weight, self.bias)


class _FrozenLinear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(weight)
        return times_transposed(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (weight,) = ctx.saved_tensors
        return times_transposed(grad, weight.T), None, None


def times_transposed(x: Tensor, w: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return `x w^T + bias`, without gradients.

    Args:
        x: ... x in.
        w: out x in.
        bias: out.
    """
    if not _suits(x, w):
        return F.linear(x, w, bias)
    return _onednn()(x, _dense(w), None if bias is None else bias.contiguous(), "none", [], "")


def _dense(w: Tensor) -> Tensor:
    # The operator reads matrices and transposed ones; other strides it would misread.
    return w if w.is_contiguous() or w.T.is_contiguous() else w.contiguous()


def _suits(x: Tensor, w: Tensor) -> bool:
    if torch.compiler.is_compiling():  # an exported graph should hold operators of every machine
        return False
    on_cpu = x.device.type == w.device.type == "cpu"
    return on_cpu and x.dtype == w.dtype == torch.float32 and _has_onednn()


def _onednn() -> Any:
    return torch.ops.mkldnn._linear_pointwise


@cache
def _has_onednn() -> bool:
    """Say whether this build of PyTorch has the operator, and it does what it should."""
    x, bias = torch.arange(6.0).view(2, 3), torch.arange(2.0)
    try:
        for w in (x.flip(0), x.T.contiguous().T):
            if not torch.equal(_onednn()(x, w, bias, "none", [], ""), F.linear(x, w, bias)):
                return False
    except (AttributeError, RuntimeError, TypeError):
        return False
    return True
