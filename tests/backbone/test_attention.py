"""The fast attentions against the plain one, and against a loop over all pairs of tokens."""

from collections.abc import Callable

import pytest
import torch
from seggpt_oracle import relative_error
from torch import Tensor

from prompttune.backbone import attention
from prompttune.backbone.attention import attend, attend_plain, relative_table

SHAPES = {"one head": (1, (4, 3), 5), "two heads": (2, (6, 3), 4), "wide": (3, (2, 7), 8)}
Inputs = tuple[Tensor, Tensor, Tensor]


def random_inputs(heads: int, grid: tuple[int, int], head_dim: int) -> Inputs:
    generator = torch.Generator().manual_seed(0)
    height, width = grid
    qkv = torch.randn(2, height * width, 3 * heads * head_dim, generator=generator)
    table_h = torch.randn(2 * height - 1, head_dim, generator=generator)
    table_w = torch.randn(2 * width - 1, head_dim, generator=generator)
    return qkv, table_h, table_w


def in_cache(qkv: Tensor, towards_h: Tensor, towards_w: Tensor, heads: int, tail: int) -> Tensor:
    return attention._InCache.apply(qkv, towards_h, towards_w, heads, tail)


def test_plain_is_the_definition():
    heads, (height, width), head_dim = SHAPES["two heads"]
    qkv, table_h, table_w = random_inputs(heads, (height, width), head_dim)
    answer = attend(qkv, table_h, table_w, heads, (height, width))
    for image in range(2):
        q, k, v = qkv[image].unflatten(-1, (3, heads, head_dim)).unbind(1)
        for head in range(heads):
            for i in range(height * width):
                scores = torch.empty(height * width)
                for j in range(height * width):
                    down, right = i // width - j // width, i % width - j % width
                    scores[j] = (
                        q[i, head] @ k[j, head] / head_dim**0.5
                        + q[i, head] @ table_h[down + height - 1]
                        + q[i, head] @ table_w[right + width - 1]
                    )
                part = slice(head * head_dim, (head + 1) * head_dim)
                expected = scores.softmax(0) @ v[:, head]
                torch.testing.assert_close(answer[image, i, part], expected)


@pytest.mark.parametrize("fast", [in_cache, attention._attend_fused, attention._attend_long])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("rows", [1, 2, None])
@pytest.mark.parametrize("cached", [1, 200, 2**20])
@pytest.mark.parametrize("threads", [1, 2])
def test_fast_is_plain(
    fast: Callable[..., Tensor],
    shape: str,
    rows: int | None,
    cached: int,
    threads: int,
    monkeypatch,
):
    heads, grid, head_dim = SHAPES[shape]
    monkeypatch.setattr(attention, "BYTES_IN_CACHE", cached)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    tail = (rows or grid[0]) * grid[1]
    inputs = [x.requires_grad_() for x in random_inputs(heads, grid, head_dim)]
    results = []
    for function in (attend_plain, fast):
        qkv, *tables = inputs
        towards = [relative_table(*pair) for pair in zip(tables, grid, strict=True)]
        answer = function(qkv, *towards, heads, tail)
        weight = torch.randn(answer.shape, generator=torch.Generator().manual_seed(1))
        results.append((answer, *torch.autograd.grad((answer * weight).sum(), inputs)))
    for value, expected in zip(*reversed(results), strict=True):
        assert value.shape == expected.shape
        assert relative_error(value, expected) < 1e-5


@pytest.mark.parametrize("fast", [in_cache, attention._attend_long])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_close(dtype: torch.dtype, fast: Callable[..., Tensor]):
    heads, grid, head_dim = SHAPES["two heads"]
    qkv, table_h, table_w = random_inputs(heads, grid, head_dim)
    towards = relative_table(table_h, grid[0]), relative_table(table_w, grid[1])
    results = []
    for function, kind in ((attend_plain, torch.float32), (fast, dtype)):
        leaf = qkv.detach().clone().requires_grad_()
        answer = function(leaf.to(kind), *(x.to(kind) for x in towards), heads, 18)
        assert answer.dtype == kind
        answer.float().square().sum().backward()
        results.append((answer.float(), leaf.grad))
    for value, expected in zip(*reversed(results), strict=True):
        assert (value - expected).norm() < 0.05 * expected.norm()


@pytest.mark.parametrize(
    ("dtype", "size", "taken"),
    [(torch.float32, 4, "attend_plain"), (torch.bfloat16, 4, "_attend_long"),
     (torch.float32, 20, None), (torch.bfloat16, 20, None)],
)  # fmt: skip
def test_the_way_follows_size_and_precision(dtype, size, taken, monkeypatch):
    called = []
    for name in ("attend_plain", "_attend_long"):
        function = getattr(attention, name)
        monkeypatch.setattr(
            attention, name, lambda *a, name=name, f=function: called.append(name) or f(*a)
        )
    inputs = [x.to(dtype) for x in random_inputs(2, (2 * size, size), 4)]
    assert attend(*inputs, 2, (2 * size, size)).dtype == dtype
    assert called == ([taken] if taken else [])


def test_frozen_tables_cost_no_gradient():
    heads, grid, head_dim = SHAPES["wide"]
    qkv, table_h, table_w = random_inputs(heads, grid, head_dim)
    towards = relative_table(table_h, grid[0]), relative_table(table_w, grid[1])
    leaf = qkv.requires_grad_()
    for function in (attend_plain, in_cache):
        function(leaf, *towards, heads, 14).square().sum().backward()
    assert towards[0].grad is None
    expected = torch.autograd.grad(attend_plain(leaf, *towards, heads, 14).square().sum(), leaf)[0]
    assert relative_error(leaf.grad / 2, expected) < 1e-5


def test_no_score_matrix_is_kept():
    qkv, table_h, table_w = random_inputs(2, (40, 20), 4)
    sizes = []

    def keep(x: Tensor) -> Tensor:
        sizes.append(x.numel())
        return x

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
        attend(qkv.requires_grad_(), table_h, table_w, 2, (40, 20))
    assert qkv.numel() in sizes  # the input is what the backward pass starts from
    assert max(sizes) < 800 * 800


def test_autocast_does_not_reach_inside():
    heads, grid, head_dim = SHAPES["two heads"]
    qkv, table_h, table_w = (x.bfloat16() for x in random_inputs(heads, grid, head_dim))
    towards = relative_table(table_h, grid[0]), relative_table(table_w, grid[1])
    expected = in_cache(qkv, *towards, heads, 18)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(in_cache(qkv, *towards, heads, 18), expected)
