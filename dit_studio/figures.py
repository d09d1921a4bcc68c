"""Figures as text: as many digits as they deserve, and what is nothing but rounding is 0."""

import math

from dit_studio.evaluation_request import MetricResult, ValueInterval

_ROUNDING = 1e-9
_DIGITS = 4  # of a figure
_SHORT_DIGITS = 3  # of what it is compared with
_INTERVAL_DIGITS = 2  # of the width of an interval: what lies below says nothing
_SMALLEST, _GREATEST = 1e-4, 1e6  # beyond, powers of ten


def number(value: float | None) -> str:
    """Four digits; "" for none."""
    return "" if value is None else _fixed(value, _decimals(value, _DIGITS))


def short(value: float | None) -> str:
    """Three digits at most, without zeros at the end; "" for none. For what stands beside a figure."""
    text = "" if value is None else _fixed(value, _decimals(value, _SHORT_DIGITS))
    return text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text


def value_and_interval(value: float, interval: ValueInterval | None) -> tuple[str, str]:
    """("0.325", "[0.311, 0.340]"), with the same digits after the point; without an interval ("0.3249", "")."""
    if interval is None:
        return number(value), ""
    greatest = max(abs(value), abs(interval.low), abs(interval.high))
    width = interval.high - interval.low
    decimals = _decimals(greatest, _DIGITS)
    if width > _ROUNDING:
        decimals = min(decimals, _decimals(width, _INTERVAL_DIGITS))
    is_usual = _SMALLEST <= greatest < _GREATEST
    shown, low, high = (
        _rounded(number, decimals) if is_usual else _fixed(number, decimals)
        for number in (value, interval.low, interval.high)
    )
    return shown, f"[{low}, {high}]"


def figure_text(result: MetricResult) -> str:
    """For instance "0.325 [0.311, 0.340]"; "" for none."""
    if result.value is None:
        return ""
    return " ".join(part for part in value_and_interval(result.value, interval_of(result)) if part)


def images_text(n_real: int, n_fake: int) -> str:
    """Of how many images a figure is: "500 against 500 images"; some are of the generated ones alone."""
    return f"{n_real:,} against {n_fake:,} images" if n_real else f"{n_fake:,} images"


def interval_of(result: MetricResult) -> ValueInterval | None:
    """The interval around the figure; one at another number of images is not around it."""
    interval = result.interval
    return interval if interval is not None and interval.n in (0, result.n_fake) else None


def _decimals(value: float, digits: int) -> int:
    """Digits after the point that leave so many that count."""
    if abs(value) < _ROUNDING:
        return 0
    return max(digits - 1 - math.floor(math.log10(abs(value))), 0)


def _rounded(value: float, decimals: int) -> str:
    rounded = round(value, decimals)
    return "0" if abs(value) < _ROUNDING else f"{rounded or 0.0:,.{decimals}f}"  # never -0.00


def _fixed(value: float, decimals: int) -> str:
    if abs(value) < _ROUNDING:
        return "0"
    if not _SMALLEST <= abs(value) < _GREATEST:
        return f"{value:.{_DIGITS}g}"
    return f"{value:,.{decimals}f}"
