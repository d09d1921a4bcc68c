"""The axes of a plan as those of a plot: numbers where all values are, else names in their order."""

import re

from dit_studio.evaluation_plan import EvaluationPlan
from dit_studio.sweep import SweepAxis

_TITLES = {
    "cfg": "CFG scale", "steps": "Sampling steps", "sampler": "Sampler", "class": "Class", "seed": "Seed",
    "checkpoint": "Training step", "weights": "Weights", "interval": "Guided at t",
}  # fmt: skip
_NUMERIC = ("cfg", "steps", "seed", "checkpoint")
_STEP = re.compile(r"(?:.*step-)?0*(\d+)/?")


def axis_title(axis: SweepAxis) -> str:
    return _TITLES.get(axis.name, axis.name)


def axis_number(axis: SweepAxis, value: str) -> float | None:
    """A value of an axis as a number; None if it is none."""
    if axis.name not in _NUMERIC:
        return None
    if axis.name == "checkpoint":
        found = _STEP.fullmatch(value)
        return float(found[1]) if found else None
    try:
        return float(value)
    except ValueError:
        return None


def is_number_axis(axis: SweepAxis) -> bool:
    return all(axis_number(axis, value) is not None for value in axis.values)


def axis_values(plan: EvaluationPlan, place: int) -> list[float]:
    """Where each point stands on an axis: at its number, or at the place of its name, from 0.

    Without axes the points stand beside one another, in their order.
    """
    if not plan.axes:
        return [float(point.index) for point in plan.points]
    axis = plan.axes[place]
    numbers = {value: axis_number(axis, value) for value in axis.values}
    if None in numbers.values():
        numbers = {value: float(number) for number, value in enumerate(axis.values)}
    return [numbers[point.values[place]] or 0.0 for point in plan.points]


def axis_names(plan: EvaluationPlan, place: int) -> list[tuple[float, str]]:
    """What stands at the ticks of an axis of names; empty for one of numbers."""
    if plan.axes and is_number_axis(plan.axes[place]):
        return []
    places = axis_values(plan, place)
    labels = dict(zip(places, (point.labels[place] for point in plan.points), strict=True))
    return sorted(labels.items())
