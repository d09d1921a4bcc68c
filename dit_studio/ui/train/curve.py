"""A growing series behind a plot, with its smoothed twin, in a memory that does not grow with it."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
_NEGLIGIBLE = 1e-18  # below the last bit of a double
_MOST_VALUES, _KEPT_VALUES = 50_000, 25_000  # that are single points
_MERGED_VALUES = 256  # that become one point when there are more
_MOST_MERGED = 65_536  # points that stand for many values; of more, each two become one
_LOW, _HIGH, _FINITE, _NONPOSITIVE = range(4)  # rows of what is known of such a point


class Curve:
    """A growing series; x is the training step and always rises, NaN stands for a value that is not finite.

    The newest points are single values. Older ones stand for many, once there are many: y is their mean, x the last
    one's. With `is_place` y is the last one's, too.
    """

    def __init__(self, *, is_place: bool = False) -> None:
        self._x = np.empty(256)
        self._y = np.empty(256)
        self._smooth = np.empty(256)
        self._count = 0
        self._smooth_count = 0
        self._merged = np.empty((4, 0))  # of the first points
        self.is_place = is_place
        self._average = _RunningAverage(0.0)
        self.nonpositive_count = 0  # values that a logarithmic axis cannot show

    def __len__(self) -> int:
        return self._count

    @property
    def x(self) -> Floats:
        return self._x[: self._count]

    @property
    def y(self) -> Floats:
        return self._y[: self._count]

    @property
    def merged_count(self) -> int:
        """How many points, the oldest, may stand for many values."""
        return self._merged.shape[1]

    @property
    def merged_until(self) -> float:
        """The last x that stands for many values; 0 if there is none."""
        return float(self._x[self.merged_count - 1]) if self._merged.size else 0.0

    def values_between(self, low: float, high: float) -> int:
        """How many finite values there are from one x to another."""
        part = slice(int(np.searchsorted(self.x, low)), int(np.searchsorted(self.x, high, side="right")))
        return int(self._known(part)[_FINITE].sum())

    def append(self, x: float, y: float | None) -> None:
        self.extend(np.array([x], float), np.array([y], float))

    def extend(self, x: Floats, y: Floats) -> None:
        """Add values in rising x. Points from the first new x on, if there are any, are replaced."""
        if not x.size:
            return
        self._add(x, np.where(np.isfinite(y), y, np.nan))
        self.nonpositive_count += int(np.count_nonzero(y <= 0))
        values = self._count - self.merged_count
        if values > _MOST_VALUES:
            count = (values - _KEPT_VALUES) // _MERGED_VALUES * _MERGED_VALUES
            self._merge(self.merged_count, count, size=_MERGED_VALUES)
            self._halve_merged()

    def extend_merged(self, x: Floats, y: Floats, *, low: Floats, high: Floats, finite: Floats, below: Floats) -> None:
        """Add points that stand for many values: their mean or, of places, the last; the least and greatest; how many
        are finite, and how many of these not positive."""
        if not x.size:
            return
        before = self._known(slice(0, self._count))
        self._add(x, y)
        self._merged = np.concatenate([before[:, : self._count - x.size], np.stack([low, high, finite, below])], axis=1)
        self.nonpositive_count += int(below.sum())
        self._halve_merged()

    def cut(self, step: float) -> None:
        """Forget every point after `step`."""
        self._keep(int(np.searchsorted(self.x, step, side="right")))

    def ends(self, part: slice) -> tuple[Floats, Floats]:
        """The least and greatest value of each point."""
        known = self._known(part)
        return known[_LOW], known[_HIGH]

    def smoothed(self, amount: float) -> Floats:
        """The debiased moving average of y, `amount` in [0, 1) its memory; NaN passes, a constant stays as it is.

        Costs O(new points) while `amount` stays the same. A point that stands for n values counts as its y n times.
        Source: classicSmoothing of TensorBoard's line_chart_v2/data_transformer.ts.
        """
        if amount != self._average.amount:
            self._average, self._smooth_count = _RunningAverage(amount), 0
        new = slice(self._smooth_count, self._count)
        self._smooth[new] = self._average.feed(self._y[new], self._known(new)[_FINITE])
        self._smooth_count = self._count
        return self._smooth[: self._count]

    def at(self, step: float, values: Floats) -> float:
        """The element of `values`, parallel to x, that is nearest to `step`; NaN if there is none."""
        if not self._count:
            return np.nan
        right = min(int(np.searchsorted(self.x, step)), self._count - 1)
        left = max(right - 1, 0)
        return float(values[left if step - self._x[left] < self._x[right] - step else right])

    def _add(self, x: Floats, y: Floats) -> None:
        if self._count and x[0] <= self._x[self._count - 1]:
            self._keep(int(np.searchsorted(self.x, x[0])))
        self._grow(self._count + x.size)
        new = slice(self._count, self._count + x.size)
        self._x[new], self._y[new] = x, y
        self._count = new.stop

    def _keep(self, count: int) -> None:
        if count < self._count:
            self._count = count
            self._merged = self._merged[:, :count]
            self._forget_average()
            self.nonpositive_count = int(self._known(slice(0, count))[_NONPOSITIVE].sum())

    def _known(self, part: slice) -> Floats:
        """The four rows of some points; a single value is its own least and greatest."""
        y = self._y[part]
        known = np.stack([y, y, np.isfinite(y), y <= 0])
        merged = self._merged[:, part]
        known[:, : merged.shape[1]] = merged
        return known

    def _merge(self, begin: int, count: int, *, size: int) -> None:
        """Make one point of each `size` among `count` points from `begin` on."""
        stop, edges = begin + count, np.arange(0, count, size)
        known, y = self._known(slice(begin, stop)), self._y[begin:stop]
        low, high = np.fmin.reduceat(known[_LOW], edges), np.fmax.reduceat(known[_HIGH], edges)
        finite, below = (np.add.reduceat(known[row], edges) for row in (_FINITE, _NONPOSITIVE))
        with np.errstate(invalid="ignore"):
            mean = np.add.reduceat(np.nan_to_num(y) * known[_FINITE], edges) / finite
        last = edges + size - 1
        if self._smooth_count < stop:
            self._forget_average()
        self._put(self._x, begin, stop, self._x[begin + last])
        self._put(self._smooth, begin, stop, self._smooth[begin + last])
        self._put(self._y, begin, stop, y[last] if self.is_place else mean)
        points = [self._merged[:, :begin], np.stack([low, high, finite, below]), self._merged[:, stop:]]
        self._merged = np.concatenate(points, axis=1)
        self._count -= count - edges.size
        self._smooth_count = max(0, self._smooth_count - count + edges.size)

    def _halve_merged(self) -> None:
        while self.merged_count > _MOST_MERGED:
            self._merge(0, self.merged_count - self.merged_count % 2, size=2)

    def _put(self, values: Floats, begin: int, stop: int, merged: Floats) -> None:
        rest = values[stop : self._count].copy()
        values[begin : begin + merged.size] = merged
        values[begin + merged.size : begin + merged.size + rest.size] = rest

    def _forget_average(self) -> None:
        self._average, self._smooth_count = _RunningAverage(self._average.amount), 0

    def _grow(self, count: int) -> None:
        if count > self._x.size:
            size = max(count, 2 * self._x.size)
            self._x, self._y, self._smooth = (np.resize(old, size) for old in (self._x, self._y, self._smooth))


class _RunningAverage:
    """TensorBoard's smoothing, fed piece by piece."""

    def __init__(self, amount: float) -> None:
        self.amount = amount
        self._sum = 0.0
        self._seen = 0.0  # values
        self._constant: float | None = None  # the only value so far

    def feed(self, values: Floats, weights: Floats) -> Floats:
        """The average after each value, which counts `weights` times; where it is NaN, it stays NaN."""
        finite = np.isfinite(values)
        if finite.all():
            return self._feed_finite(values, weights)
        result = values.copy()
        result[finite] = self._feed_finite(values[finite], weights[finite])
        return result

    def _feed_finite(self, values: Floats, weights: Floats) -> Floats:
        if not values.size:
            return values
        if self._seen == 0:
            self._constant = float(values[0])
        sums = _recursive_filter(values, self.amount**weights)
        counts = np.cumsum(weights)
        sums += self._sum * self.amount**counts
        self._sum = float(sums[-1])
        sums /= 1 - self.amount ** (self._seen + counts)
        self._seen += float(counts[-1])
        if self._constant is not None:
            changes = np.flatnonzero(values != self._constant)
            sums[: changes[0] if changes.size else None] = self._constant
            self._constant = None if changes.size else self._constant
        return sums


def _recursive_filter(values: Floats, decays: Floats) -> Floats:
    """s[k] = decays[k] * s[k - 1] + (1 - decays[k]) * values[k], by doubling: each pass reaches twice as far back."""
    sums: Floats = (1 - decays) * values
    reach = 1
    while reach < sums.size and decays[reach:].max() > _NEGLIGIBLE:
        sums[reach:] += decays[reach:] * sums[:-reach]
        decays = np.concatenate([decays[:reach], decays[reach:] * decays[:-reach]])
        reach *= 2
    return sums
