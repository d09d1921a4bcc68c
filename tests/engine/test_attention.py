"""The kinds of attention against dense references, and against each other."""

import math

import pytest
import torch
from torch import Tensor

from dit_studio.engine import attention as attention_module
from dit_studio.engine.attention import FullAttention, GroupedAttention, Rope, SelfAttention, WindowAttention
from dit_studio.errors import ShapeError


def heads(tokens: int, *, batch: int = 2, count: int = 4, size: int = 8, seed: int = 0) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    return tuple(
        torch.randn(batch, count, tokens, size, generator=generator, dtype=torch.float64).requires_grad_()
        for _ in range(3)
    )


def dense(q: Tensor, k: Tensor, v: Tensor, visible: Tensor | None = None) -> Tensor:
    scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
    if visible is not None:
        scores = scores.masked_fill(~visible, -math.inf)
    return scores.softmax(-1) @ v


def square_of(grid: int, window: int, extra: int) -> Tensor:
    """Which token sees which, one by one."""
    count, reach = grid * grid + extra, window // 2
    visible = torch.ones(count, count, dtype=torch.bool)
    for one in range(grid * grid):
        for other in range(grid * grid):
            rows, columns = abs(one // grid - other // grid), abs(one % grid - other % grid)
            visible[one, other] = max(rows, columns) <= reach
    return visible


def gradients(output: Tensor, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    weights = torch.linspace(-1, 1, output.numel(), dtype=output.dtype).view_as(output)
    return torch.autograd.grad((output * weights).sum(), inputs)


@pytest.fixture(params=["as chosen", "in tiles"])
def _tiles(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small grids are taken whole; here they are cut into tiles of 3, too, which do not divide them."""
    if request.param == "in tiles":
        monkeypatch.setattr(attention_module, "_tile_side", lambda *_: 3)


@pytest.mark.usefixtures("_tiles")
@pytest.mark.parametrize("extra", [0, 2])
@pytest.mark.parametrize(("grid", "window"), [(8, 1), (8, 3), (7, 5), (5, 7), (6, 11)])
def test_a_window_is_what_a_dense_mask_gives(grid: int, window: int, extra: int) -> None:
    qkv = heads(grid * grid + extra)
    kind = WindowAttention(grid_size=grid, window=window, extra=extra)
    visible = square_of(grid, window, extra)
    ours, reference = kind(*qkv), dense(*qkv, visible)
    assert ours.shape == qkv[0].shape
    torch.testing.assert_close(ours, reference)
    torch.testing.assert_close(gradients(ours, qkv), gradients(reference, qkv))
    assert kind.pairs(grid * grid + extra) == int(visible.sum())


def test_a_large_grid_is_cut_into_tiles_and_the_same() -> None:
    grid, window = 20, 7
    kind = WindowAttention(grid_size=grid, window=window)
    assert kind.tiles > 1
    qkv = heads(grid * grid, batch=1, count=2)
    torch.testing.assert_close(kind(*qkv), dense(*qkv, square_of(grid, window, 0)))


@pytest.mark.parametrize("extra", [0, 2])
def test_a_window_over_everything_is_full_attention(extra: int) -> None:
    qkv = heads(36 + extra)
    for window in (11, 101):
        kind = WindowAttention(grid_size=6, window=window, extra=extra)
        torch.testing.assert_close(kind(*qkv), FullAttention()(*qkv))
        assert kind.pairs(36 + extra) == FullAttention().pairs(36 + extra)


def test_memory_of_a_window_grows_with_the_tokens_alone() -> None:
    """What a mask takes for each token is the same on a grid four times as large."""
    small, large = (WindowAttention(grid_size=grid, window=7).visible for grid in (32, 64))
    assert large.numel() == 4 * small.numel()
    assert large.numel() < 64**4 / 16


def test_a_window_needs_a_middle() -> None:
    with pytest.raises(ShapeError, match="window of 4 has no middle; choose an odd one, as 5"):
        WindowAttention(grid_size=8, window=4)


@pytest.mark.parametrize("shared", [1, 2, 4])
def test_grouped_attention_is_what_repeated_keys_give(shared: int) -> None:
    q, k, v = heads(12)
    k, v = k[:, :shared], v[:, :shared]
    ours = GroupedAttention()(q, k, v)
    reference = dense(q, k.repeat_interleave(4 // shared, dim=1), v.repeat_interleave(4 // shared, dim=1))
    torch.testing.assert_close(ours, reference)
    torch.testing.assert_close(gradients(ours, (q, k, v)), gradients(reference, (q, k, v)))


def test_keys_are_never_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, ...]] = []

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        seen.extend(tuple(tensor.shape) for tensor in (q, k, v))
        assert k.data_ptr() == key.data_ptr()
        return q

    q, key, v = heads(12)
    monkeypatch.setattr(attention_module, "attend", attend)
    assert GroupedAttention()(q, key[:, :2], v[:, :2]).shape == q.shape
    assert seen == [(2, 2, 24, 8), (2, 2, 12, 8), (2, 2, 12, 8)]


def test_grouped_with_all_heads_is_full_attention() -> None:
    x = torch.randn(2, 16, 32)
    full = SelfAttention(32, num_heads=4, kind=FullAttention())
    grouped = SelfAttention(32, num_heads=4, num_kv_heads=4, kind=GroupedAttention())
    grouped.load_state_dict(full.state_dict())
    torch.testing.assert_close(grouped(x), full(x))


def test_attention_is_torchs_own_with_the_same_weights() -> None:
    ours = SelfAttention(32, num_heads=4, kind=FullAttention())
    theirs = torch.nn.MultiheadAttention(32, 4, batch_first=True)
    theirs.load_state_dict(
        {"in_proj_weight": ours.qkv.weight, "in_proj_bias": ours.qkv.bias,
         "out_proj.weight": ours.proj.weight, "out_proj.bias": ours.proj.bias}
    )  # fmt: skip
    x = torch.randn(2, 16, 32)
    torch.testing.assert_close(ours(x), theirs(x, x, x)[0])


def test_rope_depends_on_the_difference_of_places_alone() -> None:
    """A query and a key at any two patches: their product is that of two others as far apart."""
    rope = Rope(8, grid_size=6)
    q, k = (torch.randn(8).expand(1, 1, 36, 8) for _ in range(2))
    products = (rope(q) @ rope(k).transpose(-1, -2))[0, 0].view(6, 6, 6, 6)  # row, column of both
    torch.testing.assert_close(products[0, 1, 2, 4], products[3, 2, 5, 5])
    torch.testing.assert_close(products[4, 4, 1, 0], products[5, 5, 2, 1])
    torch.testing.assert_close(products[2, 2, 2, 2], (q @ k.transpose(-1, -2))[0, 0, 0, 0])
    assert not torch.isclose(products[0, 0, 0, 1], products[0, 0, 1, 0])


def test_rope_is_the_rotation_of_neighbouring_numbers() -> None:
    """An independent, literal reading with complex numbers: rows turn the first half, columns the second."""
    x = torch.randn(1, 1, 9, 8)
    turned = Rope(8, grid_size=3)(x)[0, 0]
    for place in range(9):
        for pair in range(4):
            position = (place // 3, place % 3)[pair // 2]
            angle = position * 10_000 ** -((pair % 2) / 2)
            number = complex(x[0, 0, place, 2 * pair], x[0, 0, place, 2 * pair + 1])
            expected = number * complex(math.cos(angle), math.sin(angle))
            assert complex(turned[place, 2 * pair], turned[place, 2 * pair + 1]) == pytest.approx(expected, abs=1e-6)


def test_rope_leaves_extra_tokens_as_they_are() -> None:
    x = torch.randn(1, 2, 18, 8)
    torch.testing.assert_close(Rope(8, grid_size=4, extra=2)(x)[:, :, 16:], x[:, :, 16:])
    with pytest.raises(ShapeError, match="head of 6 is not a multiple of 4"):
        Rope(6, grid_size=4)


@pytest.mark.parametrize("kind", [FullAttention(), WindowAttention(grid_size=3, window=3, extra=1)])
def test_gradients_are_those_of_small_differences(kind: torch.nn.Module) -> None:
    assert torch.autograd.gradcheck(kind, heads(10, batch=1, count=1, size=4))
