"""Plots as SVG that stands inside an HTML page.

Class s0 … s6: the colour of a series; line, dot, bar, whisker, floor, grid, axis, text: what it is for. The page's
style gives them colours for light and dark; the attributes beside them are what a reader without styles sees.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from dit_studio.figures import number
from dit_studio.plot_colours import ON_LIGHT

_INK, _MUTED, _EDGE = "#1c1e22", "#5a616b", "#d5d9df"
_GRID = f'class="grid" stroke="{_EDGE}"'
_AXIS = f'class="axis" stroke="{_MUTED}"'
_TEXT = f'class="text" fill="{_MUTED}" font-size="12"'
_FLOOR = f'class="floor" stroke="{_INK}" stroke-width="1.5" stroke-dasharray="6 4"'
_WHISKER = f'class="whisker ink" stroke="{_INK}" stroke-width="2"'
_WIDTH, _HEIGHT = 480, 270  # of a plot of lines
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 16, 14, 46
_BAR, _LABEL_LETTERS = 26, 26  # pixels a bar, letters of a label
_LETTER, _LINE = 6.6, 10  # pixels, about, at 12 pixels: the width of a letter, its height
_MOST_NAMED = 100  # marks of a plot; the names of more would lie over one another
_ARM, _DOT = 5, 3.5  # pixels, half of a cross and of a dot


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A value at a place, with its interval if it has one."""

    x: float
    y: float
    label: str
    low: float | None = None
    high: float | None = None
    across: tuple[float, float] | None = None  # the interval of x
    name: str = ""  # written beside it
    hint: str = ""  # what is read where one points at it; empty: label and value


@dataclass(frozen=True, kw_only=True)
class Series:
    name: str
    marks: tuple[Mark, ...]


@dataclass(frozen=True)
class _Scale:
    """From values to pixels."""

    low: float
    high: float
    first: float  # pixel of `low`
    last: float

    def __call__(self, value: float) -> float:
        return round(self.first + (value - self.low) / (self.high - self.low) * (self.last - self.first), 2)


@dataclass(frozen=True)
class _Box:
    """What a text or a mark covers, in pixels."""

    left: float
    base: float  # its lower edge
    width: float
    height: float

    def meets(self, other: "_Box") -> bool:
        is_beside = self.left + self.width <= other.left or other.left + other.width <= self.left
        return not is_beside and self.base - self.height < other.base and other.base - other.height < self.base


def line_plot(
    series: Sequence[Series], *, title: str, x_title: str, ticks: Sequence[tuple[float, str]], floor: float | None
) -> str:
    """Values over an axis, a line a series; `ticks` of the x axis: places and texts."""
    marks = [mark for one in series for mark in one.marks]
    x = _padded([place for place, _ in ticks] + [mark.x for mark in marks], 0.04)
    across = _Scale(*x, _LEFT, _WIDTH - _RIGHT)
    up = _Scale(*_value_range(marks, floor), _HEIGHT - _BOTTOM, _TOP)
    parts = [*_rows(up), *_columns(ticks, across), *_axis_title(x_title)]
    parts += _floor_line(floor, f'x1="{_LEFT}" x2="{_WIDTH - _RIGHT}"', up, "y")
    for index, one in enumerate(series):
        parts += _line(one, index % len(ON_LIGHT), across, up)
    return _svg(parts, title, _WIDTH, _HEIGHT)


def scatter_plot(series: Sequence[Series], *, title: str, titles: tuple[str, str], floor: Mark | None) -> str:
    """Values against values, with the titles of x and y; a series' marks are joined, and the floor is a cross."""
    marks = [*(mark for one in series for mark in one.marks), *([floor] if floor else [])]
    xs = [x for mark in marks for x in (mark.x, *(mark.across or ()))]
    across = _Scale(*_padded(xs, 0.08), _LEFT, _WIDTH - _RIGHT)
    up = _Scale(*_value_range(marks, None), _HEIGHT - _BOTTOM, _TOP)
    ticks = [(value, _tick(value)) for value in nice_ticks(across.low, across.high, 6)]
    parts = [*_rows(up), *_columns(ticks, across), *_axis_title(titles[0]), _side_title(titles[1])]
    for index, one in enumerate(series):
        parts += _line(one, index % len(ON_LIGHT), across, up)
    parts += [_cross(floor, across, up)] if floor else []
    return _svg([*parts, *_names(marks, across, up)], title, _WIDTH, _HEIGHT)


def bar_plot(marks: Sequence[Mark], *, title: str, floor: float | None) -> str:
    """Bars one below the other, each from 0, with its value at its end."""
    height = _BAR * len(marks) + 40
    left = min(max(len(mark.label) for mark in marks), _LABEL_LETTERS) * _LETTER + 14
    low, high = _value_range(marks, floor, with_zero=True)
    across = _Scale(low, high, left, _WIDTH - 80)
    parts = []
    for value in nice_ticks(low, high, 4):
        x = across(value)
        parts.append(f'<line {_GRID} x1="{x}" x2="{x}" y1="6" y2="{height - 28}"/>')
        parts.append(f'<text {_TEXT} x="{x}" y="{height - 12}" text-anchor="middle">{_tick(value)}</text>')
    for index, mark in enumerate(marks):
        parts += _one_bar(mark, 8 + index * _BAR, left, across)
    parts += _floor_line(floor, f'y1="4" y2="{height - 26}"', across, "x")
    return _svg(parts, title, _WIDTH, height)


def series_names(series: Sequence[Series]) -> list[str]:
    """The entries of a legend, as HTML: the name of each series behind its colour."""
    return [
        f'<span><i class="s{index % len(ON_LIGHT)}"></i>{escape(one.name)}</span>'
        for index, one in enumerate(series)
        if one.name
    ]


def nice_ticks(low: float, high: float, most: int) -> list[float]:
    """Round values between the two, at most about `most`."""
    step = 10.0 ** math.floor(math.log10((high - low) / most))
    step *= next(factor for factor in (1, 2, 5, 10) if (high - low) / (step * factor) <= most)
    first = math.ceil(low / step - 1e-9)
    return [number * step for number in range(first, math.floor(high / step + 1e-9) + 1)]


# ------------------------------------------------------------------------------------------------- parts


def _line(one: Series, index: int, across: _Scale, up: _Scale) -> list[str]:
    points, colour = " ".join(f"{across(mark.x)},{up(mark.y)}" for mark in one.marks), ON_LIGHT[index]
    line = f'class="line s{index}" fill="none" stroke="{colour}" stroke-width="2"'
    whisker = f'class="whisker s{index}" stroke="{colour}" stroke-width="4" stroke-opacity="0.45"'
    parts = [f'<polyline {line} points="{points}"/>'] if len(one.marks) > 1 else []
    for mark in one.marks:
        x, y, dot = across(mark.x), up(mark.y), f'class="dot s{index}" fill="{colour}"'
        if mark.low is not None and mark.high is not None:
            parts.append(f'<line {whisker} x1="{x}" x2="{x}" y1="{up(mark.low)}" y2="{up(mark.high)}"/>')
        if mark.across is not None:
            left, right = (across(end) for end in mark.across)
            parts.append(f'<line {whisker} x1="{left}" x2="{right}" y1="{y}" y2="{y}"/>')
        parts.append(f'<circle {dot} cx="{x}" cy="{y}" r="{_DOT}">{_hint(mark)}</circle>')
    return parts


def _cross(mark: Mark, across: _Scale, up: _Scale) -> str:
    x, y = across(mark.x), up(mark.y)
    strokes = " ".join(f"M{x - _ARM:g},{y + end * _ARM:g} L{x + _ARM:g},{y - end * _ARM:g}" for end in (-1, 1))
    return f'<path class="cross" stroke="{_INK}" stroke-width="2.5" d="{strokes}">{_hint(mark)}</path>'


def _names(marks: Sequence[Mark], across: _Scale, up: _Scale) -> list[str]:
    """Right or left of their marks; those that would run into another thing on both sides are left out."""
    parts: list[str] = []
    dots = [_Box(across(mark.x) - _DOT, up(mark.y) + _DOT, 2 * _DOT, 2 * _DOT) for mark in marks]
    taken: list[_Box] = []
    named = [(mark, dot) for mark, dot in zip(marks, dots, strict=True) if mark.name]
    for mark, dot in named if len(named) <= _MOST_NAMED else ():
        text, base = _short(mark.name), up(mark.y) - _ARM
        width = len(text) * _LETTER
        others = [*taken, *(other for other in dots if not other.meets(dot))]
        sides = [_Box(left, base, width, _LINE) for left in (across(mark.x) + _ARM, across(mark.x) - _ARM - width)]
        inside = [box for box in sides if box.left >= _LEFT and box.left + width <= _WIDTH]
        free = [box for box in inside if not any(box.meets(other) for other in others)]
        if free:
            taken.append(free[0])
            parts.append(f'<text {_TEXT} x="{free[0].left:.2f}" y="{base:.2f}">{escape(text)}</text>')
    return parts


def _one_bar(mark: Mark, y: float, left: float, across: _Scale) -> list[str]:
    zero, end, middle = across(0.0), across(mark.y), y + _BAR / 2 - 3
    size = f'width="{max(1.0, round(abs(end - zero), 2))}" height="{_BAR - 8}" rx="2"'
    name = f"{escape(_short(mark.label))}<title>{escape(mark.label)}</title>"
    parts = [
        f'<text {_TEXT} x="{left - 8:.2f}" y="{middle + 4}" text-anchor="end">{name}</text>',
        f'<rect class="bar s0" fill="{ON_LIGHT[0]}" x="{min(zero, end)}" y="{y}" {size}>{_hint(mark)}</rect>',
    ]
    right = max(zero, end)
    if mark.low is not None and mark.high is not None:
        low, high = across(mark.low), across(mark.high)
        parts.append(f'<line {_WHISKER} x1="{low}" x2="{high}" y1="{middle}" y2="{middle}"/>')
        right = max(right, high)
    return [*parts, f'<text {_TEXT} x="{right + 6:.2f}" y="{middle + 4}">{number(mark.y)}</text>']


def _rows(up: _Scale) -> list[str]:
    parts = []
    for value in nice_ticks(up.low, up.high, 6):
        y = up(value)
        parts.append(f'<line {_GRID} x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text {_TEXT} x="{_LEFT - 8}" y="{y + 4}" text-anchor="end">{_tick(value)}</text>')
    return parts


def _columns(ticks: Sequence[tuple[float, str]], across: _Scale) -> list[str]:
    """Those texts that do not run into the one before."""
    parts, free_from = [], 0.0
    for place, text in sorted(ticks):
        x, half = across(place), len(text) * _LETTER / 2
        parts.append(f'<line {_AXIS} x1="{x}" x2="{x}" y1="{_HEIGHT - _BOTTOM}" y2="{_HEIGHT - _BOTTOM + 4}"/>')
        if x - half < free_from:
            continue
        free_from = x + half + 8
        label = escape(text)
        parts.append(f'<text {_TEXT} x="{x}" y="{_HEIGHT - _BOTTOM + 18}" text-anchor="middle">{label}</text>')
    end = _WIDTH - _RIGHT
    return [*parts, f'<line {_AXIS} x1="{_LEFT}" x2="{end}" y1="{_HEIGHT - _BOTTOM}" y2="{_HEIGHT - _BOTTOM}"/>']


def _axis_title(text: str) -> list[str]:
    x = (_LEFT + _WIDTH - _RIGHT) / 2
    return [f'<text {_TEXT} x="{x}" y="{_HEIGHT - 8}" text-anchor="middle">{escape(text)}</text>']


def _side_title(text: str) -> str:
    middle = (_TOP + _HEIGHT - _BOTTOM) / 2
    return f'<text {_TEXT} transform="translate(14 {middle}) rotate(-90)" text-anchor="middle">{escape(text)}</text>'


def _floor_line(floor: float | None, across: str, scale: _Scale, name: str) -> list[str]:
    if floor is None:
        return []
    place = scale(floor)
    hint = f"<title>floor {number(floor)}</title>"
    return [f'<line {_FLOOR} {across} {name}1="{place}" {name}2="{place}">{hint}</line>']


def _svg(parts: Sequence[str], title: str, width: int, height: int) -> str:
    inside = "\n".join(parts)
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-label="{escape(title)}"><title>{escape(title)}</title>\n{inside}\n</svg>'
    )


# ------------------------------------------------------------------------------------------------- numbers


def _value_range(marks: Sequence[Mark], floor: float | None, *, with_zero: bool = False) -> tuple[float, float]:
    values = [value for mark in marks for value in (mark.y, mark.low, mark.high) if value is not None]
    values += [floor] if floor is not None else []
    if not with_zero:
        return _padded(values, 0.08)
    low, high = min(0.0, *values), max(0.0, *values)
    return (low, high) if high > low else (low, low + 1.0)


def _padded(values: Sequence[float], share: float) -> tuple[float, float]:
    low, high = min(values), max(values)
    margin = (high - low) * share or abs(high) * share or 1.0
    return low - margin, high + margin


def _hint(mark: Mark) -> str:
    interval = "" if mark.low is None or mark.high is None else f" ({number(mark.low)} … {number(mark.high)})"
    return f"<title>{escape(mark.hint or f'{mark.label}: {number(mark.y)}{interval}')}</title>"


def _short(text: str) -> str:
    return text if len(text) <= _LABEL_LETTERS else f"{text[: _LABEL_LETTERS - 1]}…"


def _tick(value: float) -> str:
    """Without zeros at the end; what is nothing but rounding is 0."""
    return "0" if abs(value) < 1e-12 else f"{value:.4g}"
