"""Fewer points with the same picture, and the range worth looking at."""

import numpy as np

from dit_studio.ui.train.curve import Curve, Floats


def visible(x: Floats, *, low: float, high: float) -> slice:
    """The points between `low` and `high` and one more on each side, so that lines run to the edges; x rises."""
    start = int(np.searchsorted(x, low)) - 1
    stop = int(np.searchsorted(x, high, side="right")) + 1
    return slice(max(start, 0), min(stop, x.size))


def stride_for(count: int, *, buckets: int) -> int:
    """The smallest power of two that cuts `count` points into at most `buckets` pieces."""
    return 1 << max(0, -(-count // max(buckets, 1)) - 1).bit_length()


def envelope(curve: Curve, part: slice, *, buckets: int) -> tuple[Floats, Floats]:
    """The least and greatest value of each bucket, so that no peak is lost; NaN only where all of a bucket is.

    Buckets start at multiples of their size, so that a picture does not flicker while points are added.
    """
    stride = stride_for(part.stop - part.start, buckets=buckets)
    x, (lows, highs) = curve.x[part], curve.ends(part)
    if stride == 1 and part.start >= curve.merged_count:
        return x, lows
    edges = np.maximum(np.arange(part.start - part.start % stride, part.stop, stride) - part.start, 0)
    lows, highs = np.fmin.reduceat(lows, edges), np.fmax.reduceat(highs, edges)
    middles = np.minimum(edges + stride // 2, x.size - 1)
    return np.stack([x[edges], x[middles]], axis=1).ravel(), np.stack([lows, highs], axis=1).ravel()


def sampled(x: Floats, y: Floats, part: slice, *, buckets: int) -> tuple[Floats, Floats]:
    """The last point of each bucket; for curves that are smooth already."""
    stride = stride_for(part.stop - part.start, buckets=buckets)
    if stride == 1:
        return x[part], y[part]
    ends = np.arange(part.start - part.start % stride, part.stop, stride) + stride - 1
    ends[-1] = part.stop - 1
    return x[ends], y[ends]


def robust_range(y: Floats, *, outliers: float = 0.02) -> tuple[float, float] | None:
    """Least and greatest finite value without the share `outliers` at either end, the newest value included."""
    finite = np.sort(y[np.isfinite(y)])
    if not finite.size:
        return None
    skipped = int(finite.size * outliers)
    newest = float(y[np.isfinite(y)][-1])
    return min(float(finite[skipped]), newest), max(float(finite[-1 - skipped]), newest)


def padded(low: float, high: float, *, share: float = 0.08) -> tuple[float, float]:
    """A little wider; a range without height gets one."""
    margin = (high - low) * share or abs(high) * share or 1.0
    return low - margin, high + margin
