"""Precision against recall: how true the images are, and how much of the reference they cover."""

from dataclasses import replace

from dit_studio.evaluation_plan import EvaluationPlan, EvaluationPoint
from dit_studio.evaluation_request import EvaluationResult
from dit_studio.figures import interval_of
from dit_studio.ui.evaluate.comparable import differences, figure_of, floor_of
from dit_studio.ui.evaluate.floor_words import beside, halves
from dit_studio.ui.evaluate.plan_axis import axis_names
from dit_studio.ui.evaluate.plot_lines import (
    Picture,
    PlotLine,
    PlotPoint,
    Results,
    generated_images,
    lines_of,
    metric_title,
    read_out,
    reference_of,
)

_MOST_NAMED = 100  # points; the names of more would lie over one another
TITLE = "Precision against recall"


def has_both(results: Results) -> bool:
    return any(_point(None, result, result) is not None for result in results.values())


def precision_recall_picture(plan: EvaluationPlan, results: Results, place: int) -> Picture:
    """A point for each result that has both, joined along an axis of the plan."""
    lines = []
    for name, points in lines_of(plan, place).items():
        found: list[PlotPoint] = []
        breaks = []
        for point in points:
            result = results.get(point.index)
            shown = _point(point, result, reference_of(results)) if result is not None else None
            if shown is None:
                breaks.append(len(found))
            else:
                found.append(replace(shown, name=_name(plan, point, place)))
        lines.append(PlotLine(name=name, points=tuple(found), breaks=tuple(breaks)))
    return Picture(
        lines=tuple(line for line in lines if line.points),
        x_title=metric_title(results, "recall"),
        y_title=metric_title(results, "precision"),
        is_connected=not axis_names(plan, place),
        floor_point=_floor(results) if results else None,
    )


def _name(plan: EvaluationPlan, point: EvaluationPoint, place: int) -> str:
    """What tells it from the others of its line."""
    if len(plan.points) > _MOST_NAMED:
        return ""
    return point.labels[place] if plan.axes else point.label


def _point(point: EvaluationPoint | None, result: EvaluationResult, first: EvaluationResult) -> PlotPoint | None:
    precision, recall = figure_of(result, "precision"), figure_of(result, "recall")
    if precision is None or recall is None or precision.value is None or recall.value is None:
        return None
    up, across = interval_of(precision), interval_of(recall)
    return PlotPoint(
        index=point.index if point is not None else -1,
        x=recall.value,
        y=precision.value,
        x_range=(across.low, across.high) if across else None,
        y_range=(up.low, up.high) if up else None,
        text=read_out(point, precision, recall) if point is not None else "",
        differs=tuple(dict.fromkeys(differences(first, result, "precision") + differences(first, result, "recall"))),
    )


def _floor(results: Results) -> PlotPoint | None:
    """Where one half of the reference stands against the other."""
    first = reference_of(results)
    precision, recall = floor_of(first, "precision"), floor_of(first, "recall")
    if precision is None or recall is None or precision.value is None or recall.value is None:
        return None
    reading = beside(precision, generated_images(results, "precision"), "the points")
    text = f"floor: real against real, {halves(precision)}{reading}"
    return PlotPoint(index=-1, x=recall.value, y=precision.value, text=text)
