"""Global attention with decomposed relative positions: fast on a CPU, fast on a GPU, and plain.

To the scaled product of a query token at (h, w) with a key token at (h', w') the official code
adds `q . Rh[h - h'] + q . Rw[w - w']`, with the *unscaled* q. Both terms are small tables, for the
first depends on the key through h' alone, the second through w' alone:

    S = scale q k^T + rows[h'] + columns[w']     rows = q Rh(h, .),  tokens x H
    P = softmax(S),  out = P v                   columns = q Rw(w, .),  tokens x W

**CPU** (`_InCache`): S of one head and a few rows of queries fits the second-level cache. There the
sum of the two tables is written, the product accumulated onto it, and the softmax taken, before the
next rows come; nothing of size tokens x tokens reaches memory. The backward pass keeps only the
input: it computes the rows of P again (no dearer than from stored log-sum-exps), then, for the
gradient g of the output,

    dS = P * (g v^T - sum(P * g v^T))      dv += P^T g        dk += scale dS^T q
    drows = sum of dS over w'              dcolumns = sum of dS over h'
    dq = scale dS k + drows Rh + dcolumns Rw

**GPU** (`_attend_fused`): the tables join the product, so that a fused kernel needs no bias at all:

    S = [scale q, rows, columns] . [k, onehot(h'), onehot(w')]^T

**Plain** (`attend_plain`): term by term as in the official code; the oracle of the tests, and the
fastest on a CPU for small canvases.
"""

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

PLAIN_TOKENS = 512
"""On a CPU, score matrices up to this size stay in cache as they are."""
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
    if qkv.is_cuda:
        return _attend_fused(qkv, towards_h, towards_w, heads, tail)
    if height * width <= PLAIN_TOKENS:
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
    q, k, v = _split(qkv, heads)
    q = q[:, :, -tail:]
    rows, columns = position_terms(q, towards_h, towards_w)
    height, width = len(towards_h), len(towards_w)
    at_row = torch.eye(height, dtype=k.dtype, device=k.device).repeat_interleave(width, 0)
    at_column = torch.eye(width, dtype=k.dtype, device=k.device).repeat(height, 1)
    place = torch.cat((at_row, at_column), 1).expand(*k.shape[:2], -1, -1)
    long_q = torch.cat((q * q.shape[-1] ** -0.5, rows, columns), -1)
    long_k = torch.cat((k, place), -1)
    mixed = F.scaled_dot_product_attention(long_q, long_k, v, scale=1.0)
    return mixed.transpose(1, 2).flatten(2)


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
        into = out.unflatten(-1, (heads, -1)).transpose(1, 2)
        parts = _split(qkv, heads)
        for image, some in _groups(len(qkv), heads):
            _Heads(parts[:, image, some], towards_h, towards_w, tail).forward(into[image, some])
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        qkv, towards_h, towards_w = ctx.saved_tensors
        learns_tables = ctx.needs_input_grad[1] or ctx.needs_input_grad[2]
        grad_qkv = torch.zeros_like(qkv)
        grad_h, grad_w = torch.zeros_like(towards_h), torch.zeros_like(towards_w)
        parts, into = _split(qkv, ctx.heads), _split(grad_qkv, ctx.heads)
        grad = grad.unflatten(-1, (ctx.heads, -1)).transpose(1, 2)
        for image, some in _groups(len(qkv), ctx.heads):
            group = _Heads(parts[:, image, some], towards_h, towards_w, ctx.tail)
            for_tables = group.backward(grad[image, some], into[:, image, some], learns_tables)
            if learns_tables:
                grad_h += for_tables[0]
                grad_w += for_tables[1]
        return grad_qkv, grad_h, grad_w, None, None


def _groups(batch: int, heads: int) -> Iterator[tuple[int, slice]]:
    """Yield an image and some of its heads, as many as there are threads."""
    step = torch.get_num_threads()
    for image in range(batch):
        for start in range(0, heads, step):
            yield image, slice(start, start + step)


class _Heads:
    """Some heads of one image. In comments, n is their number and c the queries of a chunk."""

    def __init__(self, qkv: Tensor, towards_h: Tensor, towards_w: Tensor, tail: int) -> None:
        q, self.k, self.v = qkv.contiguous()  # n x tokens x d, each
        self.q = q[:, -tail:]
        self.scale = q.shape[-1] ** -0.5
        self.towards = towards_h, towards_w
        self.grid = len(towards_h), len(towards_w)
        self.rows, self.columns = position_terms(self.q, *self.towards)
        row = (
            self.grid[1] * q.shape[1] * q.element_size()
        )  # bytes of the scores of a row of queries
        self.step = min(tail, max(1, BYTES_IN_CACHE // row) * self.grid[1])
        self.buffers = q.new_empty(2, len(q), self.step, q.shape[1])
        self.place = None if q.dtype == torch.float32 else self._one_hot()

    def forward(self, out: Tensor) -> None:
        """Write the output, n x tail x d."""
        for chunk, p in self._softmax():
            out[:, chunk] = p @ self.v

    def backward(self, grad: Tensor, grad_qkv: Tensor, learns_tables: bool) -> tuple[Tensor, ...]:
        """Write the gradients of q, k and v; return those of the tables where they learn."""
        drows, dcolumns = torch.empty_like(self.rows), torch.empty_like(self.columns)
        dk, dv = (torch.zeros_like(x, dtype=torch.float32) for x in (self.k, self.v))
        dq = torch.empty_like(self.q)
        values = self.v.transpose(1, 2)
        for chunk, p in self._softmax():
            g = grad[:, chunk]
            dv += p.transpose(1, 2) @ g
            dp = torch.bmm(g, values, out=self._buffer(0, g.shape[1]))
            ds = torch.ops.aten._softmax_backward_data(dp, p, -1, p.dtype)
            dk += ds.transpose(1, 2) @ self.q[:, chunk]
            dq[:, chunk] = ds @ self.k
            on_grid = ds.unflatten(-1, self.grid)
            drows[:, chunk], dcolumns[:, chunk] = on_grid.sum(-1), on_grid.sum(-2)
        inputs = [self.q, *self.towards] if learns_tables else [self.q]
        with torch.enable_grad():
            leaves = [x.detach().requires_grad_() for x in inputs]
            terms = position_terms(*leaves, *self.towards[len(leaves) - 1 :])
        q_again, *for_tables = torch.autograd.grad(terms, leaves, (drows, dcolumns))
        grad_qkv[0, :, -self.q.shape[1] :] = dq * self.scale + q_again
        grad_qkv[1], grad_qkv[2] = dk * self.scale, dv
        return tuple(for_tables)

    def _softmax(self) -> Iterator[tuple[slice, Tensor]]:
        """Yield a chunk of queries and its P, n x c x tokens, valid until the next."""
        keys = self.k.transpose(1, 2)
        for start in range(0, self.q.shape[1], self.step):
            chunk = slice(start, min(start + self.step, self.q.shape[1]))
            q = self.q[:, chunk]
            scores = self._terms_of_position(chunk)
            torch.baddbmm(scores, q, keys, alpha=self.scale, out=scores)
            yield chunk, torch.softmax(scores, -1, out=self._buffer(1, q.shape[1]))

    def _terms_of_position(self, chunk: slice) -> Tensor:
        rows, columns = self.rows[:, chunk], self.columns[:, chunk]
        scores = self._buffer(0, rows.shape[1])
        if self.place is not None:
            return torch.matmul(torch.cat((rows, columns), -1), self.place, out=scores)
        torch.add(rows[..., None], columns[..., None, :], out=scores.unflatten(-1, self.grid))
        return scores

    def _one_hot(self) -> Tensor:
        # In bf16 a product with places is several times faster than a broadcast sum.
        height, width = self.grid
        like = {"dtype": self.q.dtype, "device": self.q.device}
        at_row = torch.eye(height, **like).repeat_interleave(width, 1)
        return torch.cat((at_row, torch.eye(width, **like).repeat(1, height)))

    def _buffer(self, which: int, queries: int) -> Tensor:
        return self.buffers[which, :, :queries]
