"""Global attention with decomposed relative positions, fast and plain.

For a query token at (h, w) and a key token at (h', w') the official code adds to the scaled product
the terms `q . Rh[h - h']` and `q . Rw[w - w']`, with the *unscaled* q. Since `q . Rh[h - h']` depends
on the key only through h', both terms are a product of a longer query with a longer key:

    [q * scale, q Rh(h, 0..H-1), q Rw(w, 0..W-1)] . [k, onehot(h'), onehot(w')]

so that a fused attention kernel computes everything and no tokens x tokens bias is ever held.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

PLAIN_TOKENS = 512  # on a CPU, small score matrices stay in cache and the fused kernel does not pay


def relative_table(table: Tensor, size: int) -> Tensor:
    """Spread a `(2 size - 1) x d` table to `size x size x d`: entry [i, j] belongs to offset i - j.

    A table of another length is resized linearly, as the official `get_rel_pos` does.
    """
    if table.shape[0] != 2 * size - 1:
        resized = F.interpolate(table.T[None], size=2 * size - 1, mode="linear")
        table = resized[0].T
    at = torch.arange(size, device=table.device)
    return table[at[:, None] - at[None, :] + size - 1]


def position_terms(
    q: Tensor, table_h: Tensor, table_w: Tensor, grid: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """Return `q Rh` (B x heads x tokens x H) and `q Rw` (B x heads x tokens x W) for tokens on a grid."""
    height, width = grid
    on_grid = q.unflatten(2, grid)
    rows = torch.einsum("bnhwd,hkd->bnhwk", on_grid, relative_table(table_h, height))
    columns = torch.einsum("bnhwd,wkd->bnhwk", on_grid, relative_table(table_w, width))
    return rows.flatten(2, 3), columns.flatten(2, 3)


def attend(
    q: Tensor, k: Tensor, v: Tensor, table_h: Tensor, table_w: Tensor, grid: tuple[int, int]
) -> Tensor:
    """Attend over all tokens of a grid with decomposed relative positions.

    Args:
        q: B x heads x tokens x d; `k` and `v` likewise, tokens row by row.
        table_h: (2H - 1) x d relative positions along the rows; `table_w`: (2W - 1) x d.
        grid: H, W with H * W = tokens.

    Returns:
        B x heads x tokens x d.

    Source: the sum is that of `add_decomposed_rel_pos` (Painter; MViTv2, arXiv 2112.01526).
    """
    height, width = grid
    if height * width <= PLAIN_TOKENS and not q.is_cuda:
        return attend_plain(q, k, v, table_h, table_w, grid)
    rows, columns = position_terms(q, table_h, table_w, grid)
    at_row = torch.eye(height, dtype=k.dtype, device=k.device).repeat_interleave(width, 0)
    at_column = torch.eye(width, dtype=k.dtype, device=k.device).repeat(height, 1)
    place = torch.cat((at_row, at_column), 1).expand(*k.shape[:2], -1, -1)
    long_q = torch.cat((q * q.shape[-1] ** -0.5, rows, columns), -1)
    long_k = torch.cat((k, place), -1)
    return F.scaled_dot_product_attention(long_q, long_k, v, scale=1.0)


def attend_plain(
    q: Tensor, k: Tensor, v: Tensor, table_h: Tensor, table_w: Tensor, grid: tuple[int, int]
) -> Tensor:
    """Do what `attend` does, term by term as in the official code: slow, the oracle of the tests."""
    rows, columns = position_terms(q, table_h, table_w, grid)
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)
    scores = scores.unflatten(-1, grid) + rows[..., :, None] + columns[..., None, :]
    return scores.flatten(-2).softmax(-1) @ v
