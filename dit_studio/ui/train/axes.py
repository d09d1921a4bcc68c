"""An axis of a plot: ticks that fit the range, and numbers short enough to read."""

import math

import numpy as np
import pyqtgraph as pg

_SUFFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"))
_SUFFIXES_END = 1e12  # from here on powers of ten


class NumberAxis(pg.AxisItem):
    """Shows 12 000 as 12k, 0.0002 as 2e-4; on a logarithmic axis positions are powers of ten."""

    def __init__(self, orientation: str) -> None:
        super().__init__(orientation, maxTickLength=-4)
        self.enableAutoSIPrefix(enable=False)
        self._is_log = False

    def set_log(self, is_log: bool) -> None:
        self._is_log = is_log
        self.picture = None
        self.update()

    def tickValues(self, minVal: float, maxVal: float, size: float) -> list[tuple[float, list[float]]]:  # noqa: N803
        if self._is_log:
            return [(1.0, log_ticks(minVal, maxVal))]
        return super().tickValues(minVal, maxVal, size)[:1] if size else []

    def tickStrings(self, values: list[float], scale: float, spacing: float) -> list[str]:
        if self._is_log:
            return [number_text(10.0**value, 0.0) for value in values]
        return [number_text(value * scale, spacing * scale) for value in values]


def log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten between 10**low and 10**high, with 2 and 5 times them where there are few, else round numbers."""
    decades = np.arange(math.floor(low), math.ceil(high) + 1, dtype=float)
    for factors in ([1], [1, 2, 5]):
        ticks = [tick for tick in np.add.outer(decades, np.log10(factors)).ravel() if low <= tick <= high]
        if len(ticks) >= 3:
            return ticks[:: math.ceil(len(ticks) / 10)]
    return _linear_ticks(low, high)


def _linear_ticks(low: float, high: float) -> list[float]:
    bottom, top = 10.0**low, 10.0**high
    raw = (top - bottom) / 4
    if raw <= 0:
        return []
    unit = 10.0 ** math.floor(math.log10(raw))
    spacing = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= raw * 0.999)
    values = np.arange(math.ceil(bottom / spacing), math.floor(top / spacing) + 1) * spacing
    return [math.log10(value) for value in values if value > 0]


def number_text(value: float, spacing: float) -> str:
    """A tick's label; `spacing` to the next tick says how many digits matter."""
    if abs(value) < spacing * 1e-6 or value == 0:
        return "0"
    if not 1e-3 <= abs(value) < _SUFFIXES_END:
        exponent = math.floor(math.log10(abs(value)) + 1e-9)
        return f"{_digits(value / 10.0**exponent, spacing / 10.0**exponent)}e{exponent}"
    for limit, suffix in _SUFFIXES:
        if abs(value) >= limit:
            return _digits(value / limit, spacing / limit) + suffix
    return _digits(value, spacing)


def _digits(value: float, spacing: float) -> str:
    """As many decimals as tell a value from the next one; three digits where there is no even spacing."""
    if spacing <= 0:
        return f"{value:.3g}"
    return f"{value:.{min(max(0, math.ceil(-math.log10(spacing) - 1e-9)), 6)}f}"
