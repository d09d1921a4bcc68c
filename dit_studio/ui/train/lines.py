"""Which lines each plot has, and their colours."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from PySide6.QtGui import QColor

from dit_studio.ui import theme
from dit_studio.ui.train.curve import Curve
from dit_studio.ui.train.curves import Measurements, RunHistory

TIMESTEPS = 1000  # what the names of the bands divide
_BLUE, _ORANGE, _GREEN, _PINK = 0, 1, 2, 4  # places in a palette's curves


@dataclass(frozen=True, kw_only=True)
class Line:
    """One curve of a plot, and how it is drawn."""

    name: str
    curve: Curve
    colour: str
    scale: float = 1.0  # from the curve's unit to the axis's
    is_raw: bool = True  # every value, faint if there is a smoothed line too
    is_smooth: bool = True
    has_points: bool = False
    is_dashed: bool = False
    interval: tuple[Curve, Curve] | None = None  # its low and high ends, parallel to the curve


@dataclass(frozen=True, kw_only=True)
class PlotKind:
    """What one plot shows."""

    name: str  # of the tab
    title: str  # of the y axis, with its unit
    about: str
    lines: Callable[[RunHistory], list[Line]]


def _loss(history: RunHistory) -> list[Line]:
    validation = Line(
        name="validation",
        curve=history.validation,
        colour=_colour(_ORANGE),
        is_smooth=False,
        has_points=True,
    )
    loss = Line(name="loss", curve=history.loss, colour=_colour(_BLUE))
    return [loss, validation] if len(history.validation) else [loss]


def _bands(history: RunHistory) -> list[Line]:
    count = len(history.bands)
    return [
        Line(name=band_name(index, count), curve=curve, colour=_ramp(index / max(count - 1, 1)), is_raw=False)
        for index, curve in enumerate(history.bands)
    ]


def _gradient(history: RunHistory) -> list[Line]:
    return [Line(name="gradient norm", curve=history.grad_norm, colour=_colour(_BLUE))]


def _rate(history: RunHistory) -> list[Line]:
    return [Line(name="learning rate", curve=history.learning_rate, colour=_colour(_ORANGE), is_smooth=False)]


def _speed(history: RunHistory) -> list[Line]:
    return [Line(name="images/s", curve=history.images_per_second, colour=_colour(_GREEN))]


def _memory(history: RunHistory) -> list[Line]:
    line = Line(
        name="memory (GB)",
        curve=history.memory_bytes,
        colour=_colour(_PINK),
        scale=1e-9,
        is_smooth=False,
    )
    return [line]


LOSS = PlotKind(
    name="Loss",
    title="Loss",
    about="Training loss: faint each step, bold the smoothed line. Points: validation loss at fixed noise.",
    lines=_loss,
)
OTHERS = (
    PlotKind(name="By timestep", title="Loss", about="Smoothed loss in bands of the timestep t.", lines=_bands),
    PlotKind(name="Gradient", title="Norm", about="Length of the gradient before clipping.", lines=_gradient),
    PlotKind(name="Rate", title="Learning rate", about="Learning rate of the optimiser.", lines=_rate),
    PlotKind(name="Speed", title="Images/s", about="Training images a second.", lines=_speed),
    PlotKind(name="Memory", title="Memory (GB)", about="Memory of the device in use, in GB.", lines=_memory),
)


def metric_kind(measured: Measurements) -> PlotKind:
    """The plot of a metric that is measured while training."""
    about = (
        f"{measured.name} of the averaged weights, from {measured.n:,} images only: fewer images make it larger, so "
        "compare it within this run alone. Bars: 95 % interval. Dashed: the floor, one half of "
        f"{2 * measured.floor_n:,} training images against the other."
    )
    return PlotKind(name=measured.name, title=measured.name, about=about, lines=partial(_metric, measured.name))


def _metric(name: str, history: RunHistory) -> list[Line]:
    if (measured := history.measured.get(name)) is None:
        return []
    value = Line(
        name=f"{name}, {measured.n:,} images only",
        curve=measured.value,
        colour=_colour(_BLUE),
        is_smooth=False,
        has_points=True,
        interval=(measured.low, measured.high),
    )
    floor = Line(
        name=f"floor, {measured.floor_n:,} real images",
        curve=measured.floor,
        colour=_colour(_ORANGE),
        is_smooth=False,
        is_dashed=True,
    )
    return [value, floor] if measured.floor_n else [value]


def band_name(index: int, count: int, timesteps: int = TIMESTEPS) -> str:
    """The range of timesteps in one of `count` equal bands."""
    return f"t {index * timesteps // count}–{(index + 1) * timesteps // count - 1}"


def _colour(place: int) -> str:
    return theme.current().curves[place]


def _ramp(place: float) -> str:
    """A colour between blue (clean, 0) and orange (noisy, 1), the same order in any colour vision."""
    stops = [_colour(_BLUE), _colour(_PINK), _colour(_ORANGE)]
    index = min(int(place * 2), 1)
    return _mixed(QColor(stops[index]), QColor(stops[index + 1]), place * 2 - index).name()


def _mixed(first: QColor, second: QColor, share: float) -> QColor:
    def between(one: int, other: int) -> int:
        return round(one + (other - one) * share)

    return QColor(
        between(first.red(), second.red()),
        between(first.green(), second.green()),
        between(first.blue(), second.blue()),
    )
