"""The attention of a block: its projections, and the kinds of looking, each one short class.

Letters in shapes: B images, N tokens, H heads, d the width of a head, D = H·d. The tokens are a square grid of patches,
rows first; `extra` tokens that stand for no patch may follow them: they see all, and all see them.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dit_studio.engine import device
from dit_studio.errors import ShapeError

_WHOLE_GRID = 16  # patches on a side up to which window attention takes the grid as one tile
_LEAST_TILE = 4


class SelfAttention(nn.Module):
    """Queries, keys and values of the tokens, how they look at each other, and the projection of what they saw."""

    def __init__(
        self,
        hidden_size: int,
        *,
        num_heads: int,
        num_kv_heads: int | None = None,
        kind: "Attend",
        rope: "Rope | None" = None,
        norm: Callable[[int], nn.Module] | None = None,
    ) -> None:
        super().__init__()
        self.num_heads, self.num_kv_heads = num_heads, num_kv_heads or num_heads
        head_size = hidden_size // num_heads
        self.qkv = nn.Linear(hidden_size, (num_heads + 2 * self.num_kv_heads) * head_size)
        self.q_norm, self.k_norm = (norm(head_size) if norm else nn.Identity() for _ in range(2))
        self.rope = rope or nn.Identity()
        self.kind = kind
        self.proj = nn.Linear(hidden_size, hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        """Shapes: (B, N, D) -> (B, N, D)."""
        x = self.kind(*self.heads(x))  # (B, H, N, d)
        result: Tensor = self.proj(x.transpose(1, 2).flatten(2))  # (B, N, D)
        return result

    def heads(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, normed and turned. Shapes: (B, N, D) -> (B, H, N, d), twice (B, H_kv, N, d)."""
        count, shared = self.num_heads, self.num_kv_heads
        qkv = self.qkv(x).unflatten(-1, (count + 2 * shared, -1)).transpose(1, 2)  # (B, H + 2·H_kv, N, d)
        q, k, v = qkv.split((count, shared, shared), dim=1)
        q, k = self.rope(self.q_norm(q)), self.rope(self.k_norm(k))
        return q.to(v.dtype), k.to(v.dtype), v  # norms give float32 where products are in 16 bits


class CrossAttention(nn.Module):
    """The tokens look at another sequence."""

    def __init__(self, hidden_size: int, *, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.q = nn.Linear(hidden_size, hidden_size)
        self.kv = nn.Linear(hidden_size, 2 * hidden_size)
        self.proj = nn.Linear(hidden_size, hidden_size)

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        """Shapes: x (B, N, D), c (B, M, D) -> (B, N, D)."""
        q = self.q(x).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)  # (B, H, N, d)
        k, v = self.kv(c).unflatten(-1, (2, self.num_heads, -1)).permute(2, 0, 3, 1, 4)  # each (B, H, M, d)
        result: Tensor = self.proj(attend(q, k, v).transpose(1, 2).flatten(2))  # (B, N, D)
        return result


# ------------------------------------------------------------------------------------------------- ways of looking


class FullAttention(nn.Module):
    """Every token sees every token."""

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Shapes: each (B, H, N, d) -> (B, H, N, d)."""
        return attend(q, k, v)

    def pairs(self, tokens: int) -> int:
        """How many times a token of the tokens sees one."""
        return tokens**2


class GroupedAttention(nn.Module):
    """Every token sees every token; several heads share their keys and values (Ainslie et al. 2023, arXiv:2305.13245).

    The queries of heads that share are laid one after another, so that the keys are never repeated.
    """

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Shapes: q (B, H, N, d), k and v (B, H_kv, N, d) -> (B, H, N, d)."""
        shared, tokens = k.shape[1], q.shape[2]
        together = torch.unflatten(q, 1, (shared, -1)).flatten(2, 3)  # (B, H_kv, H/H_kv·N, d)
        return torch.unflatten(attend(together, k, v), 2, (-1, tokens)).flatten(1, 2)

    def pairs(self, tokens: int) -> int:
        return tokens**2


class WindowAttention(nn.Module):
    """A patch sees the patches in a square around it, cut at the border, and the extra tokens.

    The grid is cut into tiles; the queries of a tile look, through a mask, at the keys around it: memory and time grow
    with N·window², not with N².
    """

    rows: Tensor  # (tiles on a side, side of what a tile sees): which rows, and columns, those are
    visible: Tensor  # (tiles, 1, patches of a tile, keys)

    def __init__(self, *, grid_size: int, window: int, extra: int = 0) -> None:
        super().__init__()
        if window % 2 == 0:
            raise ShapeError(f"A window of {window} has no middle; choose an odd one, as {window + 1}.")
        self.grid_size, self.window, self.extra = grid_size, window, extra
        self.tile = tile_side(grid_size, window)
        starts = torch.arange(0, grid_size, self.tile, device="cpu")  # also where a model is built without memory
        reach, side = window // 2, min(grid_size, self.tile + window - 1)
        rows = (starts - reach).clamp(0, grid_size - side)[:, None] + torch.arange(side, device="cpu")
        places = starts[:, None] + torch.arange(self.tile, device="cpu")  # (tiles on a side, tile)
        near = (places[:, :, None] - rows[:, None, :]).abs() <= reach  # along one axis: (tiles, tile, side)
        both = near[:, None, :, None, :, None] & near[None, :, None, :, None, :]
        visible = both.flatten(0, 1).flatten(1, 2).flatten(2, 3)  # (tiles², tile², side²)
        self.register_buffer("rows", rows, persistent=False)
        self.register_buffer("visible", F.pad(visible, (0, extra), value=True)[:, None], persistent=False)

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Shapes: each (B, H, grid² + extra, d) -> (B, H, grid² + extra, d)."""
        if self.window >= 2 * self.grid_size - 1:
            return attend(q, k, v)
        patches = self.grid_size**2
        seen = attend(self._tiles(q[:, :, :patches]), self._around(k), self._around(v), visible=self.visible)
        result = self._untiled(seen, batch=len(q))
        if not self.extra:
            return result
        return torch.cat([result, attend(q[:, :, patches:], k, v)], dim=2)

    def pairs(self, tokens: int) -> int:
        reach, grid = self.window // 2, self.grid_size
        along = sum(min(grid, place + reach + 1) - max(0, place - reach) for place in range(grid))
        return along**2 + self.extra * (2 * tokens - self.extra)

    def _tiles(self, q: Tensor) -> Tensor:
        """Shapes: (B, H, grid², d) -> (tiles, B·H, tile², d); what lies beyond the grid is 0."""
        count, tile, beyond = len(self.rows), self.tile, len(self.rows) * self.tile - self.grid_size
        q = F.pad(torch.unflatten(q, 2, (self.grid_size, -1)), (0, 0, 0, beyond, 0, beyond))
        q = q.reshape(*q.shape[:2], count, tile, count, tile, -1)  # (B, H, tile row, row, tile column, column, d)
        return q.permute(2, 4, 0, 1, 3, 5, 6).flatten(4, 5).flatten(2, 3).flatten(0, 1)

    def _around(self, k: Tensor) -> Tensor:
        """What each tile sees. Shapes: (B, H, grid² + extra, d) -> (tiles, B·H, side² + extra, d)."""
        patches, count = self.grid_size**2, len(self.rows)
        extra = k[:, :, patches:].flatten(0, 1)  # (B·H, extra, d)
        k = torch.unflatten(k[:, :, :patches].flatten(0, 1), 1, (self.grid_size, -1))  # (B·H, grid, grid, d)
        k = k[:, self.rows][:, :, :, self.rows]  # (B·H, rows, side, columns, side, d)
        k = k.permute(1, 3, 0, 2, 4, 5).flatten(3, 4).flatten(0, 1)  # (tiles, B·H, side², d)
        return torch.cat([k, extra.expand(count**2, -1, -1, -1)], dim=2) if self.extra else k

    def _untiled(self, seen: Tensor, *, batch: int) -> Tensor:
        """Shapes: (tiles, B·H, tile², d) -> (B, H, grid², d)."""
        count, tile, grid = len(self.rows), self.tile, self.grid_size
        seen = seen.reshape(count, count, batch, -1, tile, tile, seen.shape[-1])
        seen = seen.permute(2, 3, 0, 4, 1, 5, 6).flatten(4, 5).flatten(2, 3)  # (B, H, all rows, all columns, d)
        return seen[:, :, :grid, :grid].flatten(2, 3)


Attend = FullAttention | GroupedAttention | WindowAttention


def tile_side(grid_size: int, window: int) -> int:
    """Side of the tiles that window attention cuts a grid into, in patches: near half of the window."""
    if grid_size <= _WHOLE_GRID or 2 * window > grid_size:
        return grid_size
    pieces = math.ceil(grid_size / max(_LEAST_TILE, window))
    return math.ceil(grid_size / pieces)


def attend(q: Tensor, k: Tensor, v: Tensor, *, visible: Tensor | None = None) -> Tensor:
    """softmax(q·kᵀ / √d)·v over what is visible, by torch's fused kernel except where plain products are faster.

    Shapes: q (B, H, N, d), k and v (B, H, M, d), visible to broadcast to (B, H, N, M) -> (B, H, N, d).
    """
    if not device.prefers_plain_attention(q, keys=k.shape[2]):
        return F.scaled_dot_product_attention(q, k, v, attn_mask=visible)
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)  # (B, H, N, M)
    if visible is not None:
        scores = scores.masked_fill(~visible, -math.inf)
    attended: Tensor = scores.softmax(dim=-1) @ v
    return attended


# ------------------------------------------------------------------------------------------------- where a patch lies


class Rope(nn.Module):
    """Turn queries and keys by the row and column of their patch, so that only differences of place count.

    The first half of a head turns with the row, the second with the column, neighbouring numbers together; extra
    tokens are not turned. Source: Su et al. 2021, arXiv:2104.09864, on two axes as in EVA-02, arXiv:2303.11331.
    """

    cosines: Tensor  # (N, d/2)
    sines: Tensor

    def __init__(self, head_size: int, *, grid_size: int, extra: int = 0) -> None:
        super().__init__()
        if head_size % 4:
            raise ShapeError(f"A head of {head_size} is not a multiple of 4, which turning by row and column needs.")
        exponents = torch.arange(head_size // 4, dtype=torch.float64, device="cpu") / (head_size // 4)
        axis = torch.arange(grid_size, dtype=torch.float64, device="cpu")[:, None] * 10_000.0**-exponents  # (grid, d/4)
        rows, columns = axis.repeat_interleave(grid_size, dim=0), axis.repeat(grid_size, 1)
        angles = F.pad(torch.cat([rows, columns], dim=1), (0, 0, 0, extra))  # (N, d/2)
        self.register_buffer("cosines", angles.cos().float(), persistent=False)
        self.register_buffer("sines", angles.sin().float(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Shapes: (B, H, N, d) -> (B, H, N, d), in float32."""
        first, second = torch.unflatten(x.float(), -1, (-1, 2)).unbind(-1)  # each (B, H, N, d/2)
        turned = first * self.cosines - second * self.sines, second * self.cosines + first * self.sines
        return torch.stack(turned, dim=-1).flatten(-2)
