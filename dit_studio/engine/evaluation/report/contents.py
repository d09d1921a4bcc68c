"""What a report is of: entries of the history with their results, and the figures in groups that share an axis."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dit_studio.engine.left_out import shown
from dit_studio.errors import DataError
from dit_studio.evaluation_plan import EvaluationPoint, EvaluationRecord, PointState, open_evaluation, read_result
from dit_studio.evaluation_request import EvaluationResult, MetricResult, Protocol
from dit_studio.sweep import SweepAxis


@dataclass(frozen=True, kw_only=True)
class ReportPoint:
    """A point that was measured, or why it was not."""

    entry: str  # the title of its entry
    folder: Path
    axes: tuple[SweepAxis, ...]
    point: EvaluationPoint
    state: PointState
    result: EvaluationResult | None

    @property
    def label(self) -> str:
        return self.point.label


@dataclass(frozen=True, kw_only=True)
class Entry:
    folder: Path
    record: EvaluationRecord
    points: tuple[ReportPoint, ...]


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A figure with the point that it is of."""

    point: ReportPoint
    found: MetricResult
    floor: MetricResult | None

    @property
    def protocol(self) -> Protocol:
        assert self.point.result is not None
        return self.point.result.protocol


@dataclass(frozen=True, kw_only=True)
class Group:
    """Figures of one protocol and of as many images: those of a metric may stand on one axis."""

    letter: str
    protocol: Protocol  # of the first
    reference: str
    figures: tuple[Figure, ...]

    @property
    def metrics(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(figure.found.metric for figure in self.figures))

    def of(self, metric: str) -> list[Figure]:
        return [figure for figure in self.figures if figure.found.metric == metric]


def read_entry(folder: str) -> Entry:
    """Raises: DataError if it is none, or nothing in it is measured."""
    path = Path(folder).expanduser()
    record = open_evaluation(path)
    points = tuple(
        ReportPoint(
            entry=record.plan.title or path.name,
            folder=path,
            axes=record.plan.axes,
            point=point,
            state=state,
            result=read_result(path, point) if state.state == "done" else None,
        )
        for point, state in zip(record.plan.points, record.states, strict=True)
    )
    if not any(point.result for point in points):
        failed = next((f" The first failed: {state.message}" for state in record.states if state.message), "")
        raise DataError(
            f"{shown(str(path))} holds no results: none of its {len(points):,} points was measured.{failed}",
            remedy="Go on with this evaluation first, or choose another.",
        )
    return Entry(folder=path, record=record, points=points)


def figures_of(entries: Sequence[Entry]) -> list[Figure]:
    """Every figure, and every reason why there is none, in the order of the points."""
    return [
        Figure(point=point, found=found, floor=_floor(point.result, found))
        for entry in entries
        for point in entry.points
        if point.result is not None
        for found in point.result.results
    ]


def _floor(result: EvaluationResult, found: MetricResult) -> MetricResult | None:
    return next((one for one in result.floor if one.metric == found.metric and one.value is not None), None)


def groups_of(figures: Sequence[Figure]) -> list[Group]:
    """Equal protocols and numbers of images together, in the order in which they come. Letters: A … Z, AA …"""
    found: dict[tuple[object, ...], list[Figure]] = {}
    for figure in figures:
        protocol = figure.protocol
        found.setdefault((protocol.key, protocol.n_real, protocol.n_fake), []).append(figure)
    return [
        Group(
            letter=_letter(index),
            protocol=group[0].protocol,
            reference=Path(group[0].point.result.real.path).name if group[0].point.result else "",
            figures=tuple(group),
        )
        for index, group in enumerate(found.values())
    ]


def _letter(index: int) -> str:
    return (_letter(index // 26 - 1) if index >= 26 else "") + chr(ord("A") + index % 26)
