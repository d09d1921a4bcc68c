"""Implementations of attention on this machine: each beside the plain softmax of the same meaning, in turn."""

import importlib
import importlib.util
import math
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median

import torch
from msgspec.structs import replace
from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from dit_studio.engine import device as devices
from dit_studio.engine.attention import FullAttention, GroupedAttention, WindowAttention
from dit_studio.engine.benchmark_figures import Figures
from dit_studio.errors import DeviceMemoryError
from dit_studio.events import Notice, Progress
from dit_studio.model_events import AttentionTimed
from dit_studio.model_settings import nearest_divisor

_LEAST_ROUNDS, _MOST_ROUNDS, _SECONDS_A_BATCH = 3, 15, 4.0
_WINDOW = 7
_KERNELS = {
    "sdpa math": SDPBackend.MATH,
    "sdpa flash": SDPBackend.FLASH_ATTENTION,
    "sdpa efficient": SDPBackend.EFFICIENT_ATTENTION,
    "sdpa cudnn": SDPBackend.CUDNN_ATTENTION,
}
_WORDS = {"speed": "time", "memory": "memory"}
Attend = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True, kw_only=True, eq=False)
class Way:
    """An implementation, and the plain one of the same meaning."""

    name: str
    attend: Attend
    plain: Attend
    kv_heads: int
    keeps_scores: bool = False  # N² numbers a head, and several times
    has_backward: bool = True
    note: str = ""  # why it does not run here


def time_attention(
    batches: Sequence[int], tokens: int, heads: int, head_size: int
) -> Iterator[Progress | Notice | AttentionTimed]:
    """Every implementation at every batch size, in the number format that training takes here."""
    device = devices.pick_device()
    precision = devices.pick_precision(device)
    how = f"in {precision.name} on {devices.describe(device)}, torch {torch.__version__}"
    yield Notice(message=f"Measured {how}: {heads} heads of {head_size}.")
    ways = list(_ways(tokens, heads, device))
    for number, batch in enumerate(batches):
        yield Progress(stage=f"batch {batch}", done=number, total=len(batches))
        sizes = Sizes(batch=batch, tokens=tokens, heads=heads, head_size=head_size)
        yield from _Measurement(sizes, device, precision.dtype).of(ways)


# ------------------------------------------------------------------------------------------------- the ways


def _ways(tokens: int, heads: int, device: torch.device) -> Iterator[Way]:
    """All that there are, those that cannot run here with a note."""
    yield Way(name="plain", attend=plain, plain=plain, kv_heads=heads, keeps_scores=True)
    for name, kernel in _KERNELS.items():
        yield Way(
            name=name, attend=_kernel(kernel), plain=plain, kv_heads=heads, keeps_scores=kernel is SDPBackend.MATH
        )
    yield Way(name="xformers", attend=_xformers, plain=plain, kv_heads=heads, note=_why_no_xformers())
    shared = nearest_divisor(heads, max(1, heads // 4 + (heads % 4 > 0)))
    yield Way(name=f"grouped {shared}", attend=GroupedAttention(), plain=_plain_grouped, kv_heads=shared)
    yield Way(name="flex", attend=_flex(None), plain=plain, kv_heads=heads, has_backward=device.type != "cpu")
    grid = math.isqrt(tokens)
    if grid * grid != tokens:
        note = f"{tokens} tokens make no square, which a window needs."
        yield Way(name=f"window {_WINDOW}", attend=plain, plain=plain, kv_heads=heads, note=note)
        return
    masked = _plain_window(grid, device)
    window = WindowAttention(grid_size=grid, window=_WINDOW).to(device)
    yield Way(name=f"window {_WINDOW}", attend=window, plain=masked, kv_heads=heads)
    yield Way(
        name=f"flex window {_WINDOW}", attend=_flex(grid), plain=masked, kv_heads=heads,
        has_backward=device.type != "cpu",
    )  # fmt: skip


def plain(q: Tensor, k: Tensor, v: Tensor, visible: Tensor | None = None) -> Tensor:
    """The softmax written out."""
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
    if visible is not None:
        scores = scores.masked_fill(~visible, -math.inf)
    attended: Tensor = scores.softmax(dim=-1) @ v
    return attended


def _plain_grouped(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    times = q.shape[1] // k.shape[1]
    return plain(q, k.repeat_interleave(times, dim=1), v.repeat_interleave(times, dim=1))


def _plain_window(grid: int, device: torch.device) -> Attend:
    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        places = torch.arange(grid * grid, device=device)
        return plain(q, k, v, _is_near(places[:, None], places[None, :], grid))

    return attend


def _is_near(one: Tensor, other: Tensor, grid: int) -> Tensor:
    reach = _WINDOW // 2
    return ((one // grid - other // grid).abs() <= reach) & ((one % grid - other % grid).abs() <= reach)


def _kernel(kernel: SDPBackend) -> Attend:
    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        with sdpa_kernel(kernel), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # why a kernel does not run is said in its error
            return F.scaled_dot_product_attention(q, k, v)

    return attend


def _flex(grid: int | None) -> Attend:
    """FlexAttention, compiled when it is first called; with a grid, under the mask of its window."""
    compiled: dict[str, object] = {}

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        from torch.nn.attention.flex_attention import create_block_mask, flex_attention

        if not compiled:
            compiled["call"] = torch.compile(flex_attention, dynamic=False)
            compiled["mask"] = None
            if grid is not None:
                compiled["mask"] = create_block_mask(
                    lambda _b, _h, one, other: _is_near(one, other, grid), None, None, q.shape[2], q.shape[2],
                    device=str(q.device),
                )  # fmt: skip
        result: Tensor = compiled["call"](q, k, v, block_mask=compiled["mask"])  # type: ignore[operator]
        return result

    return attend


def _why_no_xformers() -> str:
    return "" if importlib.util.find_spec("xformers") else "It is not installed here."


def _xformers(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    operations = importlib.import_module("xformers.ops")
    result: Tensor = operations.memory_efficient_attention(*(part.transpose(1, 2) for part in (q, k, v)))
    return result.transpose(1, 2)


# ------------------------------------------------------------------------------------------------- measuring


@dataclass(frozen=True, kw_only=True)
class Sizes:
    batch: int
    tokens: int
    heads: int
    head_size: int


class _Measurement:
    """Of all ways at one size: once each for what they give and hold, then rounds in which all take turns."""

    def __init__(self, sizes: Sizes, device: torch.device, dtype: torch.dtype) -> None:
        self._sizes, self._device, self._dtype = sizes, device, dtype
        generator = torch.Generator().manual_seed(0)
        shape = (sizes.batch, sizes.tokens, sizes.heads, sizes.head_size)  # as the projection gives them

        def numbers() -> Tensor:
            drawn = torch.randn(shape, generator=generator).to(device, dtype)
            return drawn.transpose(1, 2)

        self._q, self._k, self._v = (numbers() for _ in range(3))

    def of(self, ways: Sequence[Way]) -> Iterator[Progress | AttentionTimed]:
        stage, rows = f"batch {self._sizes.batch}", {}
        for number, way in enumerate(ways):
            yield Progress(stage=f"{stage}: {way.name}", done=number, total=len(ways))
            rows[way] = self._tried(way)
        running = [way for way, row in rows.items() if not row.note]
        forward: dict[Way, list[float]] = {way: [] for way in ways}
        both: dict[Way, list[float]] = {way: [] for way in ways}
        started = time.perf_counter()
        for number in range(_MOST_ROUNDS):
            if number >= _LEAST_ROUNDS and time.perf_counter() - started > _SECONDS_A_BATCH:
                break
            yield Progress(stage=f"{stage}: rounds", done=number, total=_MOST_ROUNDS)
            for way in running:
                forward[way].append(self._seconds(partial(self._forward, way)))
                if way.has_backward:
                    both[way].append(self._seconds(partial(self._run, way)))
        for way, row in rows.items():
            yield replace(row, seconds=_median(forward[way]), backward_seconds=_median(both[way]))

    def _tried(self, way: Way) -> AttentionTimed:
        """Without its times: whether it runs, what it holds, and how far it is from the plain one."""
        if note := way.note or (self._why_too_large() if way.keeps_scores else ""):
            return self._row(way, note=note)
        try:
            with devices.naming_memory_errors(self._device), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of compilers
                output = self._forward(way)
                difference = None if self._why_too_large() else float((output - self._plain(way)).abs().max())
                held = devices.peak_bytes(self._device, lambda: self._run(way))
        except DeviceMemoryError:
            return self._row(way, note=f"A batch of {self._sizes.batch} does not fit into the memory here.")
        except Exception as error:  # noqa: BLE001  kernels and compilers fail in many ways
            return self._row(way, note=f"It does not run here: {str(error).strip().partition('. ')[0][:200]}.")
        return self._row(way, difference=difference, memory_bytes=held)

    def _row(self, way: Way, **found: object) -> AttentionTimed:
        sizes = self._sizes
        values = {"difference": None, "memory_bytes": None, "note": "", **found}
        return AttentionTimed(
            name=way.name, batch=sizes.batch, tokens=sizes.tokens, heads=sizes.heads, head_size=sizes.head_size,
            seconds=None, **values,  # type: ignore[arg-type]
        )  # fmt: skip

    def _why_too_large(self) -> str:
        """A sentence if the plain one, which keeps its scores, takes more than there is."""
        sizes, free = self._sizes, devices.memory_free(self._device)
        needed = 5 * sizes.batch * sizes.heads * sizes.tokens**2 * self._dtype.itemsize
        return f"It needs {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free." if needed > free else ""

    def _inputs(self, way: Way) -> tuple[Tensor, Tensor, Tensor]:
        return self._q, self._k[:, : way.kv_heads], self._v[:, : way.kv_heads]

    @torch.no_grad()
    def _forward(self, way: Way) -> Tensor:
        return way.attend(*self._inputs(way))

    @torch.no_grad()
    def _plain(self, way: Way) -> Tensor:
        return way.plain(*self._inputs(way))

    def _run(self, way: Way) -> None:
        """Forward and backward; forward alone where there is no more."""
        if not way.has_backward:
            self._forward(way)
            return
        inputs = [part.detach().requires_grad_() for part in self._inputs(way)]
        output = way.attend(*inputs)
        torch.autograd.grad(output, inputs, torch.ones_like(output))

    def _seconds(self, action: Callable[[], object]) -> float:
        devices.synchronise(self._device)
        started = time.perf_counter()
        action()
        devices.synchronise(self._device)
        return time.perf_counter() - started


def _median(seconds: list[float]) -> float | None:
    return median(seconds) if seconds else None


# ------------------------------------------------------------------------------------------------- window and full


def measure_window(*, tokens: int = 4096, batch: int = 1, heads: int = 6, head_size: int = 64) -> Figures:
    """Window against full attention as the model computes both, and against the plain one: forward and backward."""
    device, grid = devices.pick_device(), math.isqrt(tokens)
    sizes = Sizes(batch=batch, tokens=tokens, heads=heads, head_size=head_size)
    measurement = _Measurement(sizes, device, devices.pick_precision(device).dtype)
    window = WindowAttention(grid_size=grid, window=_WINDOW).to(device)
    ways = [
        Way(name="plain", attend=plain, plain=plain, kv_heads=heads, keeps_scores=True),
        Way(name="full", attend=FullAttention(), plain=plain, kv_heads=heads),
        Way(name="window", attend=window, plain=_plain_window(grid, device), kv_heads=heads),
    ]
    rows = {row.name: row for row in measurement.of(ways) if isinstance(row, AttentionTimed)}
    figures = Figures(
        lines=[f"a window of {_WINDOW} at {tokens} tokens, batch {batch}, forward and backward:"], values={}
    )
    for name in ("plain", "full"):
        for what, field in (("speed", "backward_seconds"), ("memory", "memory_bytes")):
            theirs, ours = getattr(rows[name], field), getattr(rows["window"], field)
            if theirs and ours:
                figures.values[f"window_{what}_against_{name}"] = theirs / ours
                figures.lines.append(f"  {name} attention takes {theirs / ours:.2f} times the {_WORDS[what]}")
    return figures
