"""The same curve of several runs over the same axis: by step, images seen or time."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from dit_studio.ui.train.curve import Curve, Floats
from dit_studio.ui.train.curves import RunHistory, XAxis

LOSS, VALIDATION = "training loss", "validation loss"
_HOURS_FROM, _MINUTES_FROM = 2 * 3600.0, 120.0  # seconds


@dataclass(frozen=True, kw_only=True)
class Overlay:
    """One run's points. `problem`: why there are none, or what is odd about them."""

    title: str
    steps: Floats
    x: Floats
    y: Floats
    smooth: Floats
    problem: str = ""


def measures(histories: Iterable[RunHistory]) -> list[str]:
    """What can be overlaid: the losses, and every figure that one of the runs has measured."""
    return [LOSS, VALIDATION, *dict.fromkeys(name for history in histories for name in history.measured)]


def overlay(title: str, history: RunHistory | None, *, measure: str, axis: XAxis, smoothing: float) -> Overlay:
    """A run's curve; without any points, `problem` says why."""
    curve = _curve(history, measure) if history is not None else None
    none = np.empty(0)
    if history is None or curve is None or not len(curve):
        why = f"{title} has no {measure}" if history is not None else f"{title} is being read"
        return Overlay(title=title, steps=none, x=none, y=none, smooth=none, problem=why)
    if not _has_axis(history, axis):
        unit = "images" if axis == "images" else "time"
        why = f"{title} did not write down its {unit}"
        return Overlay(title=title, steps=none, x=none, y=none, smooth=none, problem=why)
    smooth = curve.smoothed(smoothing) if measure == LOSS else curve.y
    bad = int(np.count_nonzero(~np.isfinite(curve.y)))
    problem = f"{title} has {bad:,} values that are not finite" if bad else ""
    x = history.positions(curve.x, axis)
    return Overlay(title=title, steps=curve.x.copy(), x=x, y=curve.y.copy(), smooth=smooth.copy(), problem=problem)


def time_unit(overlays: Sequence[Overlay]) -> tuple[str, float]:
    """Seconds, minutes or hours, by the longest run, and how many seconds that is."""
    longest = max((float(one.x[-1]) for one in overlays if one.x.size), default=0.0)
    if longest >= _HOURS_FROM:
        return "hours", 3600.0
    return ("minutes", 60.0) if longest >= _MINUTES_FROM else ("seconds", 1.0)


def to_csv(overlays: Sequence[Overlay], measure: str, axis: XAxis) -> list[list[str]]:
    """A line for each point of each run."""
    head = ["run", "step", *([] if axis == "step" else [{"images": "images_seen", "seconds": "seconds"}[axis]])]
    lines = [[*head, measure, f"{measure} smoothed"]]
    for one in overlays:
        columns = (values.tolist() for values in (one.steps, one.x, one.y, one.smooth))
        for step, x, y, smooth in zip(*columns, strict=True):
            lines.append([one.title, f"{step:.0f}", *([] if axis == "step" else [_cell(x)]), _cell(y), _cell(smooth)])
    return lines


def _cell(value: float) -> str:
    return f"{value:.9g}" if value == value else ""  # NaN alone differs from itself


def _curve(history: RunHistory, measure: str) -> Curve | None:
    if measure in (LOSS, VALIDATION):
        return history.loss if measure == LOSS else history.validation
    measured = history.measured.get(measure)
    return measured.value if measured else None


def _has_axis(history: RunHistory, axis: XAxis) -> bool:
    if axis == "step":
        return True
    curve = history.images_seen if axis == "images" else history.seconds
    return bool(len(curve)) and float(np.nanmax(curve.y)) > 0
