"""Global attention with decomposed relative positions: fast on a CPU, fast on a GPU, and plain.

To the scaled product of a query token at (h, w) with a key token at (h', w') the official code
adds `q . Rh[h - h'] + q . Rw[w - w']`, with the *unscaled* q. Both terms are small tables, for the
first depends on the key through h' alone, the second through w' alone:

    S = scale q k^T + rows[h'] + columns[w']     rows = q Rh(h, .),  tokens x H
    P = softmax(S),  out = P v                   columns = q Rw(w, .),  tokens x W

**CPU** (`_InCache`): S of one head and a few rows of queries fits the second-level cache. There the
product is taken, the tables are added, and the softmax follows, before the next rows come; nothing
of size tokens x tokens reaches memory. The backward pass keeps only the input: it computes the rows
of P again (no dearer than from stored log-sum-exps), then, for the gradient g of the output,

    dS = P * (g v^T - sum(P * g v^T))      dv += P^T g        dk += scale dS^T q
    drows = sum of dS over w'              dcolumns = sum of dS over h'
    dq = scale dS k + drows Rh + dcolumns Rw

**GPU** (`_attend_fused`): the tables join the product, so that a fused kernel needs no bias at all;
and so (`_attend_long`) on a CPU for small canvases in bf16, in which sums that broadcast are slow:

    S = [scale q, rows, columns] . [k, onehot(h'), onehot(w')]^T

**Plain** (`attend_plain`): term by term as in the official code; the oracle of the tests, and the
fastest on a CPU for small canvases in fp32.
"""

from collections.abc import Iterator
from itertools import product
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from prompttune.backbone.linear import times_transposed

PLAIN_TOKENS, LONG_TOKENS = 384, 512
"""On a CPU, score matrices up to this size stay in cache as they are; in fp32, and in bf16."""
BYTES_IN_CACHE = 2**20
"""Of the scores of one head that are held at a time: the size of a second-level cache."""

Grid = tuple[int, int]


def attend(
    qkv: Tensor, table_h: Tensor, table_w: Tensor, heads: int, grid: Grid, tail: int | None = None
) -> Tensor:
    """Attend over all tokens of a grid with decomposed relative positions.

    Args:
        qkv: B x tokens x 3 dim: queries, keys and values, of each all heads; tokens row by row.
        table_h: (2H - 1) x (dim / heads), relative positions along the rows; `table_w`: (2W - 1) x
            the same.
        heads: Their number.
        grid: H, W with H * W = tokens.
        tail: Only the last `tail` tokens, whole rows of the grid, ask; None: all. All are keys.

    Returns:
        B x tail x dim.

    Source: `add_decomposed_rel_pos` (Painter; MViTv2, arXiv 2112.01526).
    """
    height, width = grid
    towards_h = relative_table(table_h, height).to(qkv.dtype)
    towards_w = relative_table(table_w, width).to(qkv.dtype)
    tail = height * width if tail is None else tail
    if qkv.device.type != "cpu":
        return _attend_fused(qkv, towards_h, towards_w, heads, tail)
    if qkv.dtype == torch.bfloat16 and height * width <= LONG_TOKENS:
        return _attend_long(qkv, towards_h, towards_w, heads, tail)
    if height * width <= PLAIN_TOKENS or torch.compiler.is_compiling():  # also what is exported
        return attend_plain(qkv, towards_h, towards_w, heads, tail)
    return _InCache.apply(qkv, towards_h, towards_w, heads, tail)


def relative_table(table: Tensor, size: int) -> Tensor:
    """Spread a `(2 size - 1) x d` table to `size x size x d`: [i, j] belongs to offset i - j."""
    at = torch.arange(size, device=table.device)
    return table[at[:, None] - at[None, :] + size - 1]


def position_terms(q: Tensor, towards_h: Tensor, towards_w: Tensor) -> tuple[Tensor, Tensor]:
    """Return `q Rh` (... x tokens x H) and `q Rw` (... x tokens x W).

    Args:
        q: ... x tokens x d, of the last rows of the grid.
        towards_h: H x H x d spread table; `towards_w`: W x W x d.
    """
    on_grid = q.unflatten(-2, (-1, len(towards_w)))
    asking = towards_h[-on_grid.shape[-3] :]
    rows = on_grid @ asking.transpose(-2, -1)
    columns = on_grid.transpose(-3, -2) @ towards_w.transpose(-2, -1)
    return rows.flatten(-3, -2), columns.transpose(-3, -2).flatten(-3, -2)


def attend_plain(
    qkv: Tensor, towards_h: Tensor, towards_w: Tensor, heads: int, tail: int
) -> Tensor:
    """Do what `attend` does, with spread tables, term by term as in the official code."""
    q, k, v = _split(qkv, heads)
    q = q[:, :, -tail:]
    rows, columns = position_terms(q, towards_h, towards_w)
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)
    scores = scores.unflatten(-1, (len(towards_h), len(towards_w)))
    scores = scores + rows[..., :, None] + columns[..., None, :]
    return (scores.flatten(-2).softmax(-1) @ v).transpose(1, 2).flatten(2)


def _attend_fused(
    qkv: Tensor, towards_h: Tensor, towards_w: Tensor, heads: int, tail: int
) -> Tensor:
    long_q, long_k, v = _lengthened(qkv, towards_h, towards_w, heads, tail)
    long_q, long_k = (F.pad(x, (0, -x.shape[-1] % 16)) for x in (long_q, long_k))  # as kernels ask
    mixed = F.scaled_dot_product_attention(long_q, long_k, v, scale=1.0)
    return mixed.transpose(1, 2).flatten(2)


def _attend_long(
    qkv: Tensor, towards_h: Tensor, towards_w: Tensor, heads: int, tail: int
) -> Tensor:
    long_q, long_k, v = _lengthened(qkv, towards_h, towards_w, heads, tail)
    shares = (long_q @ long_k.transpose(-2, -1)).softmax(-1)
    return (shares.to(v.dtype) @ v).transpose(1, 2).flatten(2)


def _lengthened(
    qkv: Tensor, towards_h: Tensor, towards_w: Tensor, heads: int, tail: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the two factors of all scores, positions included, and the values."""
    q, k, v = _split(qkv, heads)
    q = q[:, :, -tail:]
    rows, columns = position_terms(q, towards_h, towards_w)
    place = _place((len(towards_h), len(towards_w)), k).expand(*k.shape[:2], -1, -1)
    long_q = torch.cat((q * q.shape[-1] ** -0.5, rows, columns), -1)
    return long_q, torch.cat((k, place), -1), v


def _place(grid: Grid, like: Tensor) -> Tensor:
    """Return `[onehot(h), onehot(w)]` of all tokens, tokens x (H + W)."""
    height, width = grid
    at_row = torch.eye(height, dtype=like.dtype, device=like.device).repeat_interleave(width, 0)
    at_column = torch.eye(width, dtype=like.dtype, device=like.device).repeat(height, 1)
    return torch.cat((at_row, at_column), 1)


def _split(qkv: Tensor, heads: int) -> Tensor:
    """View `B x tokens x 3 dim` as `3 x B x heads x tokens x d`."""
    return qkv.unflatten(-1, (3, heads, -1)).permute(2, 0, 3, 1, 4)


class _InCache(torch.autograd.Function):
    """Attention on a CPU, a few rows of queries at a time; see the mathematics above."""

    @staticmethod
    def forward(
        ctx: Any, qkv: Tensor, towards_h: Tensor, towards_w: Tensor, heads: int, tail: int
    ) -> Tensor:
        ctx.save_for_backward(qkv, towards_h, towards_w)
        ctx.heads, ctx.tail = heads, tail
        out = qkv.new_empty(len(qkv), tail, qkv.shape[-1] // 3)
        parts, into = _split(qkv, heads), out.unflatten(-1, (heads, -1)).transpose(1, 2)
        with torch.autocast("cpu", enabled=False):  # it would take the softmax in fp32
            for image, one in product(range(len(qkv)), range(heads)):
                _Head(parts[:, image, one], towards_h, towards_w, tail).forward(into[image, one])
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        qkv, towards_h, towards_w = ctx.saved_tensors
        learns = ctx.needs_input_grad[1] or ctx.needs_input_grad[2]
        grad_qkv = torch.zeros_like(qkv)
        grad_h, grad_w = torch.zeros_like(towards_h), torch.zeros_like(towards_w)
        parts, into = _split(qkv, ctx.heads), _split(grad_qkv, ctx.heads)
        grad = grad.unflatten(-1, (ctx.heads, -1)).transpose(1, 2)
        for image, one in product(range(len(qkv)), range(ctx.heads)):
            head = _Head(parts[:, image, one], towards_h, towards_w, ctx.tail)
            for_tables = head.backward(grad[image, one], into[:, image, one], learns)
            if learns:
                grad_h += for_tables[0]
                grad_w += for_tables[1]
        return grad_qkv, grad_h, grad_w, None, None


class _Head:
    """One head of one image, without autograd. In comments, c is the queries of a chunk."""

    def __init__(self, qkv: Tensor, towards_h: Tensor, towards_w: Tensor, tail: int) -> None:
        q, self.k, self.v = qkv.contiguous()  # tokens x d, each
        self.q = q[-tail:]
        self.scale = q.shape[-1] ** -0.5
        self.towards = towards_h, towards_w
        self.grid = len(towards_h), len(towards_w)
        self.rows, self.columns = position_terms(self.q, *self.towards)
        row = self.grid[1] * self.k.shape[0] * q.element_size()  # of queries: bytes of its scores
        rows_at_a_time = max(1, BYTES_IN_CACHE * torch.get_num_threads() // row)
        self.step = rows_at_a_time * self.grid[1]
        # Sums that broadcast are slow in bf16: there the products are longer, as on a GPU.
        self.is_long = q.dtype != torch.float32
        self.asking, self.keys = self.q * self.scale, self.k
        if self.is_long:
            self.asking = torch.cat((self.asking, self.rows, self.columns), -1)
            self.keys = torch.cat((self.k, _place(self.grid, self.k)), -1)

    def forward(self, out: Tensor) -> None:
        """Write the output, tail x d."""
        for chunk, p in self._softmax():
            out[chunk] = times_transposed(p, self.v.T)

    def backward(self, grad: Tensor, grad_qkv: Tensor, learns: bool) -> tuple[Tensor, ...]:
        """Write the gradients of q, k and v; return those of the tables if they learn."""
        dq, drows, dcolumns = (torch.empty_like(x) for x in (self.q, self.rows, self.columns))
        dk, dv = (torch.zeros_like(x.T, dtype=torch.float32) for x in (self.k, self.v))
        for chunk, p in self._softmax():
            g = grad[chunk].contiguous()
            dp = times_transposed(g, self.v)
            ds = torch.ops.aten._softmax_backward_data(dp, p, -1, p.dtype)  # c x tokens
            dv += times_transposed(g.T, p.T)  # d x tokens: the transposed gradient
            dk += times_transposed(self.q[chunk].T, ds.T)
            dq[chunk] = times_transposed(ds, self.k.T)
            on_grid = ds.unflatten(-1, self.grid)
            drows[chunk], dcolumns[chunk] = on_grid.sum(-1), on_grid.sum(-2)
        through_terms, *for_tables = self._terms_backward(drows, dcolumns, learns)
        grad_qkv[0, -len(dq) :] = dq * self.scale + through_terms
        grad_qkv[1], grad_qkv[2] = dk.T * self.scale, dv.T
        return tuple(for_tables)

    def _softmax(self) -> Iterator[tuple[slice, Tensor]]:
        """Yield chunks of the tail and their P, c x tokens."""
        for start in range(0, len(self.q), self.step):
            chunk = slice(start, start + self.step)
            scores = times_transposed(self.asking[chunk], self.keys)
            if not self.is_long:
                on_grid = scores.unflatten(-1, self.grid)
                on_grid += self.rows[chunk, :, None]
                on_grid += self.columns[chunk, None, :]
            yield chunk, scores.softmax(-1)

    def _terms_backward(self, drows: Tensor, dcolumns: Tensor, learns: bool) -> tuple[Tensor, ...]:
        with torch.enable_grad():
            q = self.q.detach().requires_grad_()
            towards = [x.detach().requires_grad_(learns) for x in self.towards]
            terms = position_terms(q, *towards)
        leaves = (q, *towards) if learns else (q,)
        return torch.autograd.grad(terms, leaves, (drows, dcolumns))
