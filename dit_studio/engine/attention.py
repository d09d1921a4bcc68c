"""The attention of a block: its projections, and the kinds of looking, each one short class.

Letters in shapes: B images, N tokens, H heads, d the width of a head, D = H·d. The tokens are a square grid of patches,
rows first; `extra` tokens that stand for no patch may follow them: they see all, and all see them.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from dit_studio.engine import device
from dit_studio.errors import ShapeError

_WHOLE_GRID = 16  # patches on a side up to which window attention takes the grid as one tile
_LEAST_TILE = 8


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
        self.q_norm, self.k_norm = (norm(head_size) if norm else None for _ in range(2))
        self.rope = rope
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
        if self.q_norm and self.k_norm:
            q, k = self.q_norm(q.float()), self.k_norm(k.float())
        if self.rope:
            q, k = self.rope(q), self.rope(k)
        return q.to(v.dtype), k.to(v.dtype), v


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

    A large grid is cut into tiles, whose queries look, through a mask, at the keys around them: time grows with
    N·window², not with N², and no more is kept for the backward pass than queries, keys and values.
    """

    visible: Tensor  # (N + extra, N + extra), or with tiles (rows of tiles, tiles of a row, 1, patches of a tile, keys)

    def __init__(self, *, grid_size: int, window: int, extra: int = 0) -> None:
        super().__init__()
        if window % 2 == 0:
            raise ShapeError(f"A window of {window} has no middle; choose an odd one, as {window + 1}.")
        self.grid_size, self.window, self.extra, self.reach = grid_size, window, extra, window // 2
        self.tile = _tile_side(grid_size, window)
        self.tiles = math.ceil(grid_size / self.tile)  # on a side
        self.register_buffer("visible", self._visible(), persistent=False)

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Shapes: each (B, H, grid² + extra, d) -> (B, H, grid² + extra, d)."""
        if self.tiles == 1:
            return attend(q, k, v, visible=self.visible)
        if torch.is_grad_enabled() and not torch.compiler.is_compiling():
            result: Tensor = _GatheredTwice.apply(q, k, v, self)  # type: ignore[no-untyped-call]
        else:
            result = self.of_patches(q, k, v)
        if not self.extra:
            return result
        return torch.cat([result, attend(q[:, :, self.grid_size**2 :], k, v)], dim=2)

    def pairs(self, tokens: int) -> int:
        grid, reach = self.grid_size, self.reach
        along = sum(min(grid, place + reach + 1) - max(0, place - reach) for place in range(grid))
        return along**2 + self.extra * (2 * tokens - self.extra)

    def of_patches(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """What the patches see. Shapes: each (B, H, grid² + extra, d) -> (B, H, grid², d)."""
        parts = device.parts_of_heads(q.device, q.shape[1])
        return torch.cat([
            torch.cat([self.of_row(row, *self.pieces(row, *heads)) for row in range(self.tiles)], dim=2)
            for heads in zip(*(x.chunk(parts, dim=1) for x in (q, k, v)), strict=True)
        ], dim=1)  # fmt: skip

    def pieces(self, row: int, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, ...]:
        """What a row of tiles takes, as views: its queries, the keys and values around it, and those of extra tokens.

        Shapes: each (B, H, grid² + extra, d) -> (B, H, …, d).
        """
        grid, top, bottom = self.grid_size, row * self.tile, min(self.grid_size, (row + 1) * self.tile)
        around = slice(max(0, top - self.reach) * grid, min(grid, bottom + self.reach) * grid)
        extra = slice(grid * grid, None)
        return q[:, :, top * grid : bottom * grid], k[:, :, around], v[:, :, around], k[:, :, extra], v[:, :, extra]

    def of_row(self, row: int, q: Tensor, k: Tensor, v: Tensor, extra_k: Tensor, extra_v: Tensor) -> Tensor:
        """What a row of tiles sees, of its `pieces`. Shapes: (B, H, …, d) -> (B, H, rows · grid, d)."""
        batch, heads, tile, tiles = *q.shape[:2], self.tile, self.tiles
        rows, beyond = q.shape[2] // self.grid_size, tiles * tile - self.grid_size
        q = F.pad(torch.unflatten(q, 2, (rows, -1)), (0, 0, 0, beyond, 0, tile - rows)).flatten(0, 1)
        q = torch.unflatten(q, 2, (tiles, tile)).permute(2, 0, 1, 3, 4).flatten(2, 3)  # (tiles, B·H, tile², d)
        around = self._around(row, k, extra_k), self._around(row, v, extra_v)
        seen = attend(q, *around, visible=self.visible[row])  # (tiles, B·H, tile², d)
        seen = seen.reshape(tiles, batch, heads, tile, tile, -1).permute(1, 2, 3, 0, 4, 5).flatten(3, 4)
        return seen[:, :, :rows, : self.grid_size].flatten(2, 3)

    def _around(self, row: int, k: Tensor, extra: Tensor) -> Tensor:
        """Gather what each tile of a row sees. Shapes: (B, H, …, d) -> (tiles, B·H, side² + extra, d)."""
        side, beyond = self.tile + 2 * self.reach, self.tiles * self.tile - self.grid_size
        k = torch.unflatten(k, 2, (-1, self.grid_size))
        above = max(0, self.reach - row * self.tile)  # rows that lie beyond the grid
        k = F.pad(k, (0, 0, self.reach, self.reach + beyond, above, side - above - k.shape[2])).flatten(0, 1)
        k = k.unfold(2, side, self.tile).permute(2, 0, 1, 4, 3).flatten(2, 3)
        return torch.cat([k, extra.flatten(0, 1).expand(self.tiles, -1, -1, -1)], dim=2) if self.extra else k

    def _visible(self) -> Tensor:
        """What sees what. Its places lie on the CPU, also where a model is built without memory: it is in no file."""
        places = torch.arange(self.tiles * self.tile, device="cpu").view(self.tiles, self.tile)
        if self.tiles == 1:
            both = _on_both_axes((places[:, :, None] - places[:, None, :]).abs() <= self.reach)
            return F.pad(both[0, 0], (0, self.extra, 0, self.extra), value=True)
        around = places[:, :1] - self.reach + torch.arange(self.tile + 2 * self.reach, device="cpu")
        is_near = (places[:, :, None] - around[:, None, :]).abs() <= self.reach
        is_there = (around >= 0) & (around < self.grid_size)
        both = _on_both_axes(is_near & is_there[:, None, :])
        both = both | ~both.any(dim=-1, keepdim=True)  # of queries beyond the grid, so that nothing becomes NaN
        return F.pad(both, (0, self.extra), value=True)[:, :, None]


class _GatheredTwice(torch.autograd.Function):
    """A window's backward pass gathers the keys of each row of tiles anew, instead of keeping them all."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, window: WindowAttention) -> Tensor:
        ctx.save_for_backward(q, k, v)
        ctx.window = window
        return window.of_patches(q, k, v)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        window, inputs = ctx.window, ctx.saved_tensors
        results = [torch.zeros_like(x) for x in inputs]
        parts = device.parts_of_heads(gradient.device, gradient.shape[1])
        chunks = zip(*(x.chunk(parts, dim=1) for x in (*inputs, *results, gradient)), strict=True)
        for q, k, v, of_q, of_k, of_v, of_result in chunks:
            for row, part in enumerate(of_result.split(window.tile * window.grid_size, dim=2)):
                pieces = [piece.detach().requires_grad_() for piece in window.pieces(row, q, k, v)]
                with torch.enable_grad():
                    seen = window.of_row(row, *pieces)
                found = torch.autograd.grad(seen, pieces, part, allow_unused=True)
                for whole, piece in zip(window.pieces(row, of_q, of_k, of_v), found, strict=True):
                    if piece is not None:
                        whole += piece
        return *results, None


def _on_both_axes(near: Tensor) -> Tensor:
    """Shapes: along one axis (tiles, n, m) -> on the grid (tiles, tiles, n², m²)."""
    return (near[:, None, :, None, :, None] & near[None, :, None, :, None, :]).flatten(4, 5).flatten(2, 3)


def _tile_side(grid_size: int, window: int) -> int:
    """Side of the tiles that window attention cuts a grid into, in patches; the whole grid where that is small."""
    if grid_size <= _WHOLE_GRID or 2 * window > grid_size:
        return grid_size
    return math.ceil(grid_size / round(grid_size / max(_LEAST_TILE, window)))


Attend = FullAttention | GroupedAttention | WindowAttention


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
