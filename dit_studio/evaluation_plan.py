"""Several evaluations that belong together: one comparison, a curve over a run's checkpoints, a sweep's cells.

<evaluations>/20260301-142233-9f3a/   an entry of the history:
    evaluation.json        `EvaluationRecord`: the plan, and how it went with every point; written anew after each
    evaluation.lock        held by who measures
    results/000.json       `EvaluationResult` of point 0
    results/000-samples.png, 000-copies.json    its first images; all its images by closeness (`CopyList`)
<evaluations>/drawn/<key>/             images that a model drew for evaluations: 000000.png …, labels.csv; the same
                                       model, settings and number of images are never drawn twice
<evaluations>/drawn/<key>.json         what they were drawn with
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec

from dit_studio.errors import DataError
from dit_studio.evaluation_request import Copy, EvaluationRequest, EvaluationResult, decode_result
from dit_studio.sweep import SweepAxis, SweepPlan, SweepRecord

INDEX, LOCK, RESULTS, DRAWN = "evaluation.json", "evaluation.lock", "results", "drawn"
VERSION = 1


class EvaluationPoint(msgspec.Struct, frozen=True, kw_only=True):
    """One comparison of a plan. `labels`: what sets it apart, an axis each; without axes, its name."""

    index: int
    labels: tuple[str, ...]
    values: tuple[str, ...] = ()  # of the axes, as `SweepAxis` has them
    request: EvaluationRequest

    @property
    def label(self) -> str:
        return ", ".join(self.labels)

    @property
    def result_file(self) -> str:
        return f"{RESULTS}/{self.index:03d}.json"

    @property
    def samples_file(self) -> str:
        """A picture of its first images, in rows of 8."""
        return f"{RESULTS}/{self.index:03d}-samples.png"

    @property
    def copies_file(self) -> str:
        return f"{RESULTS}/{self.index:03d}-copies.json"


class EvaluationPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The points in the order in which they are measured. Without axes they are sources side by side."""

    title: str
    axes: tuple[SweepAxis, ...] = ()
    points: tuple[EvaluationPoint, ...]


class PointState(msgspec.Struct, frozen=True, kw_only=True):
    state: Literal["waiting", "done", "failed"] = "waiting"
    seconds: float = 0.0
    message: str = ""
    remedy: str = ""
    samples: str = ""  # the folder or file of what was measured; of a model, where it was drawn into


class EvaluationRecord(msgspec.Struct, frozen=True, kw_only=True):
    """`evaluation.json`. Who measures holds a lock on `LOCK`: without it a record that says "running" was killed."""

    version: int = VERSION
    plan: EvaluationPlan
    states: tuple[PointState, ...]
    state: Literal["running", "stopped", "finished"] = "stopped"
    time: float = 0.0  # when it began, in seconds since 1970


class CopyList(msgspec.Struct, frozen=True, kw_only=True):
    """Every generated image with the reference images nearest to it, the closest first; the paths open them again."""

    real_path: str
    fake_path: str
    copies: tuple[Copy, ...]


def plan_one(request: EvaluationRequest, *, title: str) -> EvaluationPlan:
    """A single comparison."""
    return plan_sources([request], labels=[title], title=title)


def plan_sources(requests: Sequence[EvaluationRequest], *, labels: Sequence[str], title: str) -> EvaluationPlan:
    """Several sources side by side, each with its name."""
    points = (
        EvaluationPoint(index=index, labels=(label,), request=request)
        for index, (request, label) in enumerate(zip(requests, labels, strict=True))
    )
    return EvaluationPlan(title=title, points=tuple(points))


def plan_model(base: EvaluationRequest, sweep: SweepPlan, *, title: str) -> EvaluationPlan:
    """A model over the settings of a sweep that is still to be drawn: a point for each of its cells."""
    points = tuple(
        EvaluationPoint(
            index=cell.index,
            labels=cell.labels,
            values=_values(sweep, (cell.column, cell.row, cell.page)),
            request=msgspec.structs.replace(base, fake=cell.model, model_weights=cell.weights, sample=cell.request),
        )
        for cell in sweep.cells
    )
    return EvaluationPlan(title=title, axes=sweep.axes, points=points)


def plan_cells(base: EvaluationRequest, sweep: SweepRecord, folder: Path, *, title: str) -> EvaluationPlan:
    """The cells of a sweep that was drawn into `folder`. Raises: DataError if not one of them was."""
    drawn = [cell for cell, state in zip(sweep.plan.cells, sweep.states, strict=True) if state.state == "drawn"]
    if not drawn:
        raise DataError(f"No cell of the sweep in {folder} was drawn.", remedy="Draw it first, then evaluate it.")
    points = tuple(
        EvaluationPoint(
            index=index,
            labels=cell.labels,
            values=_values(sweep.plan, (cell.column, cell.row, cell.page)),
            request=msgspec.structs.replace(base, fake=str(folder / cell.folder)),
        )
        for index, cell in enumerate(drawn)
    )
    return EvaluationPlan(title=title, axes=sweep.plan.axes, points=points)


def _values(plan: SweepPlan, place: tuple[int, ...]) -> tuple[str, ...]:
    return tuple(axis.values[number] for axis, number in zip(plan.axes, place, strict=False))


def open_evaluation(folder: Path) -> EvaluationRecord:
    """The record of an entry. Raises: DataError if there is none, or it is damaged or of a later version."""
    try:
        record = msgspec.json.decode((folder / INDEX).read_bytes(), type=EvaluationRecord)
    except OSError as error:
        raise DataError(f"{folder} is no evaluation: {INDEX} cannot be read ({error.strerror}).") from error
    except msgspec.DecodeError as error:
        raise DataError(f"The evaluation in {folder} is damaged: {error}.", remedy="Evaluate again.") from error
    if record.version > VERSION:
        raise DataError(
            f"The evaluation in {folder} is of version {record.version}; this program reads up to {VERSION}.",
            remedy="Update the program.",
        )
    points = record.plan.points
    if not points or len(points) != len(record.states) or any(at != point.index for at, point in enumerate(points)):
        raise DataError(f"The evaluation in {folder} is damaged: its points are not all there.")
    return record


def read_result(folder: Path, point: EvaluationPoint) -> EvaluationResult:
    """What came of a point. Raises: DataError if it cannot be read."""
    file = folder / point.result_file
    try:
        return decode_result(file.read_bytes(), name=str(file))
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror}.", remedy="Evaluate again.") from error


def read_copies(folder: Path, point: EvaluationPoint) -> CopyList:
    """Raises: DataError if they cannot be read."""
    file = folder / point.copies_file
    try:
        return msgspec.json.decode(file.read_bytes(), type=CopyList)
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror}.", remedy="Evaluate again.") from error
    except msgspec.DecodeError as error:
        raise DataError(f"{file} is damaged: {error}.", remedy="Evaluate again.") from error
