"""What a plot of a plan shows: points with their intervals, as lines over an axis, and the floor under them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from dit_studio.evaluation_plan import EvaluationPlan, EvaluationPoint
from dit_studio.evaluation_request import EvaluationResult, Metric, MetricResult
from dit_studio.figures import figure_text, images_text, interval_of, short
from dit_studio.ui.evaluate.comparable import differences, figure_of, floor_of
from dit_studio.ui.evaluate.floor_words import beside, halves
from dit_studio.ui.evaluate.plan_axis import axis_names, axis_title, axis_values

Range = tuple[float, float]
Results = Mapping[int, EvaluationResult]
ARROWS = {"lower": " ↓", "higher": " ↑", "": ""}  # towards the better end
_NUMBER_OF_IMAGES = re.compile(r"-\d+k?(?= |$)")


@dataclass(frozen=True, kw_only=True)
class PlotPoint:
    """A point of the plan, where it stands, and what is read out of it."""

    index: int  # in the plan
    x: float
    y: float
    x_range: Range | None = None  # its interval
    y_range: Range | None = None
    text: str
    name: str = ""  # what is written beside it
    differs: tuple[str, ...] = ()  # what keeps it from being compared with the first


@dataclass(frozen=True, kw_only=True)
class PlotLine:
    """Points that differ in one setting alone, in its order."""

    name: str
    points: tuple[PlotPoint, ...]
    breaks: tuple[int, ...] = ()  # places in `points` before which others have no figure, so that nothing joins them
    gaps: tuple[float, ...] = ()  # the x of those others, where they have one


@dataclass(frozen=True, kw_only=True)
class Floor:
    """One half of the reference against the other: a level of y, or a range where it is not the same for all."""

    low: float
    high: float
    text: str


@dataclass(frozen=True, kw_only=True)
class Picture:
    """Everything that a plot shows."""

    lines: tuple[PlotLine, ...]
    x_title: str
    y_title: str
    x_names: tuple[tuple[float, str], ...] = ()  # of an axis of names
    is_connected: bool = True  # the points of a line
    floors: tuple[Floor, ...] = ()
    floor_point: PlotPoint | None = None  # where both axes have a floor

    @property
    def points(self) -> list[PlotPoint]:
        return [point for line in self.lines for point in line.points]


def metric_picture(plan: EvaluationPlan, results: Results, metric: Metric, place: int) -> Picture:
    """A metric over an axis of the plan, a line for each combination of the others' values."""
    names = tuple(axis_names(plan, place))
    lines = tuple(_line(name, points, plan, results, metric, place) for name, points in lines_of(plan, place).items())
    return Picture(
        lines=tuple(line for line in lines if line.points),
        x_title=x_title(plan, place),
        y_title=metric_title(results, metric),
        x_names=names,
        is_connected=not names,
        floors=tuple(floors(results, metric)),
    )


def x_title(plan: EvaluationPlan, place: int) -> str:
    return axis_title(plan.axes[place]) if plan.axes else "Measured"


def metric_title(results: Results, metric: Metric) -> str:
    """Its name, with the number of images where that is the same for all, and an arrow to the better end."""
    found = [each for result in results.values() if (each := figure_of(result, metric)) is not None]
    names = dict.fromkeys(each.name for each in found)
    if len(names) > 1:
        names = dict.fromkeys(_NUMBER_OF_IMAGES.sub("", name) for name in names)
    return " / ".join(names) + ARROWS[found[0].better if found else ""]


def lines_of(plan: EvaluationPlan, place: int) -> dict[str, list[EvaluationPoint]]:
    """The points of each line in the order of the x axis, by its name; without other axes there is one, without one."""
    found: dict[str, list[EvaluationPoint]] = {}
    for point in plan.points:
        labels = point.labels[:place] + point.labels[place + 1 :] if plan.axes else ()
        found.setdefault(", ".join(labels), []).append(point)
    places = axis_values(plan, place)
    return {name: sorted(points, key=lambda point: places[point.index]) for name, points in found.items()}


def reference_of(results: Results) -> EvaluationResult:
    """The first point's: the others are compared with it."""
    return results[min(results)]


def read_out(point: EvaluationPoint, *figures: MetricResult) -> str:
    """For instance "step 600, CFG 2: FD-random-500 10.67, 500 against 500 images"."""
    words = [f"{found.name} {figure_text(found)}" for found in figures]
    return f"{point.label}: {', '.join([*words, images_text(figures[0].n_real, figures[0].n_fake)])}"


def floors(results: Results, metric: Metric, *, what: str = "the points") -> list[Floor]:
    """The floor of all that may be compared; empty if none was measured. `what`: they, in a word."""
    first = reference_of(results) if results else None
    found = [
        floor
        for result in results.values()
        if first is not None and not differences(first, result, metric)
        if (floor := floor_of(result, metric)) is not None
    ]
    values = [floor.value for floor in found if floor.value is not None]
    if not values:
        return []
    around = [interval_of(floor) for floor in found]
    low = min([*values, *(interval.low for interval in around if interval)])
    high = max([*values, *(interval.high for interval in around if interval)])
    level = " to ".join(dict.fromkeys([short(min(values)), short(max(values))]))
    images = f", {halves(found[0])}" if found[0].n_fake else ""
    reading = beside(found[0], generated_images(results, metric), what)
    return [Floor(low=low, high=high, text=f"floor {level}: real against real{images}{reading}")]


def generated_images(results: Results, metric: Metric) -> int:
    """Of the first figure, which the others are compared with; those of other numbers are marked."""
    figure = figure_of(reference_of(results), metric) if results else None
    return figure.n_fake if figure is not None else 0


def _line(
    name: str, points: list[EvaluationPoint], plan: EvaluationPlan, results: Results, metric: Metric, place: int
) -> PlotLine:
    places = axis_values(plan, place)
    found: list[PlotPoint] = []
    gaps, breaks = [], []
    for point in points:
        x, result = places[point.index], results.get(point.index)
        figure = figure_of(result, metric) if result is not None else None
        if result is None or figure is None or figure.value is None:
            gaps.append(x)
            breaks.append(len(found))
            continue
        interval = interval_of(figure)
        found.append(
            PlotPoint(
                index=point.index,
                x=x,
                y=figure.value,
                y_range=(interval.low, interval.high) if interval else None,
                text=read_out(point, figure),
                differs=tuple(differences(reference_of(results), result, metric)),
            )
        )
    return PlotLine(name=name, points=tuple(found), breaks=tuple(breaks), gaps=tuple(gaps))
