"""The history of a run as curves and flags."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from dit_studio.events import (
    CheckpointSaved,
    Event,
    Failure,
    Measured,
    Metrics,
    Notice,
    PreviewSaved,
    Resumed,
    Started,
    Validation,
)
from dit_studio.jobs.history import BANDS, NUMBERS, MetricsBlocks, Records
from dit_studio.ui.train.curve import Curve, Floats

XAxis = Literal["step", "images", "seconds"]
FlagKind = Literal["checkpoint", "preview", "resume", "warning", "not finite", "failure"]
_NOT_FINITE = "The loss is not a finite number from step {step:,} on"


@dataclass(frozen=True)
class Flag:
    """Something that happened at a step, for the strip below the loss."""

    step: int
    kind: FlagKind
    text: str


class Measurements:
    """A metric along a run, with its interval and its floor; NaN where there is none."""

    def __init__(self, event: Measured) -> None:
        self.name, self.n, self.floor_n = event.name, event.n, event.floor_n
        self.value, self.low, self.high, self.floor = (Curve() for _ in range(4))

    @property
    def curves(self) -> tuple[Curve, ...]:
        return self.value, self.low, self.high, self.floor

    def add(self, event: Measured) -> None:
        for curve, value in zip(self.curves, (event.value, event.low, event.high, event.floor), strict=True):
            curve.append(event.step, np.nan if value is None else value)


class RunHistory:
    """Every curve and flag of one run, fed by its events."""

    def __init__(self) -> None:
        self.loss = Curve()
        self.validation = Curve()
        self.bands: list[Curve] = []
        self.learning_rate = Curve()
        self.grad_norm = Curve()
        self.images_per_second = Curve()
        self.memory_bytes = Curve()
        self.images_seen = Curve(is_place=True)
        self.seconds = Curve(is_place=True)
        self.measured: dict[str, Measurements] = {}  # by the name that is printed, with its number of images
        self.flags: list[Flag] = []
        self.steps = 0  # planned
        self.version = 0  # of the flags: rises when they change

    @property
    def last_step(self) -> int:
        curves = (self.loss, self.validation)
        return int(max((curve.x[-1] for curve in curves if len(curve)), default=0))

    @property
    def is_empty(self) -> bool:
        return not len(self.loss) and not len(self.validation) and not self.flags

    def add(self, events: Sequence[Event]) -> None:
        for are_metrics, group in itertools.groupby(events, key=lambda event: isinstance(event, Metrics)):
            if are_metrics:
                self._add_metrics([event for event in group if isinstance(event, Metrics)])
            else:
                for event in group:
                    self._add_blocks(event.records) if isinstance(event, MetricsBlocks) else self._add_rare(event)

    def share_rare(self, other: "RunHistory") -> None:
        """Take over what another history knows beside the metrics of each step."""
        self.validation, self.measured, self.flags = other.validation, other.measured, other.flags

    def positions(self, steps: Floats, axis: XAxis) -> Floats:
        """Where steps lie on an x axis. Between the steps that were reported the line is straight."""
        return self._translated(steps, axis, back=False)

    def position(self, step: float, axis: XAxis) -> float:
        return float(self.positions(np.array([step]), axis)[0])

    def steps_at(self, positions: Floats, axis: XAxis) -> Floats:
        """The steps at places of an x axis."""
        return self._translated(positions, axis, back=True)

    def _translated(self, values: Floats, axis: XAxis, *, back: bool) -> Floats:
        if axis == "step":
            return values
        curve = self.images_seen if axis == "images" else self.seconds
        if not len(curve):
            return values
        known, wanted = (curve.y, curve.x) if back else (curve.x, curve.y)
        return np.interp(values, known, wanted)

    def _add_metrics(self, events: list[Metrics]) -> None:
        steps = np.array([event.step for event in events], float)
        self._flag_losses_that_are_not_finite(events)
        self.loss.extend(steps, np.array([event.loss for event in events], float))
        self.learning_rate.extend(steps, np.array([event.learning_rate for event in events], float))
        self.grad_norm.extend(steps, np.array([event.grad_norm for event in events], float))
        self.images_per_second.extend(steps, np.array([event.images_per_second for event in events], float))
        self.memory_bytes.extend(steps, np.array([event.memory_bytes for event in events], float))
        self.images_seen.extend(steps, np.array([event.images_seen for event in events], float))
        self.seconds.extend(steps, np.array([event.seconds for event in events], float))
        self._add_bands(steps, events)

    def _add_bands(self, steps: Floats, events: list[Metrics]) -> None:
        count = max(len(event.bands) for event in events)
        self.bands += [Curve() for _ in range(count - len(self.bands))]
        for index, curve in enumerate(self.bands):
            values = np.array([event.bands[index] if index < len(event.bands) else None for event in events], float)
            is_measured = np.isfinite(values)  # a batch may hold no sample of a band
            curve.extend(steps[is_measured], values[is_measured])

    def _add_blocks(self, records: Records) -> None:
        steps = records["last_step"].astype(float)
        self._flag_blocks_that_are_not_finite(records)
        for column, name in enumerate(NUMBERS):
            _extend(getattr(self, name), steps, records["numbers"][:, column])
        for band in range(BANDS):
            numbers = records["numbers"][:, len(NUMBERS) + band]
            is_measured = numbers["count"] > 0
            if is_measured.any():
                self.bands += [Curve() for _ in range(band + 1 - len(self.bands))]
                _extend(self.bands[band], steps[is_measured], numbers[is_measured])

    def _flag_blocks_that_are_not_finite(self, records: Records) -> None:
        was_bad = np.append([self._ends_badly()], np.isnan(records["numbers"][:-1, 0]["last"]))
        goes_on = was_bad & (records["first_not_finite"] == records["first_step"])
        for step in records["first_not_finite"][(records["not_finite"] > 0) & ~goes_on]:
            self._flag(int(step), "not finite", _NOT_FINITE.format(step=int(step)))

    def _ends_badly(self) -> bool:
        return len(self.loss) > 0 and bool(np.isnan(self.loss.y[-1]))

    def _flag_losses_that_are_not_finite(self, events: list[Metrics]) -> None:
        """One flag for each row of bad steps, at its first."""
        was_bad = self._ends_badly()
        for event in events:
            if event.loss is None and not was_bad:
                self._flag(event.step, "not finite", _NOT_FINITE.format(step=event.step))
            was_bad = event.loss is None

    def _add_rare(self, event: Event) -> None:
        match event:
            case Started(steps=steps):
                self.steps = steps
            case Resumed(step=step):
                self._cut(step)
                self._flag(step, "resume", f"Resumed from step {step:,}")
            case Validation(step=step, loss=loss):
                self.validation.append(step, loss)
            case Measured(name=name):
                self.measured.setdefault(name, Measurements(event)).add(event)
            case CheckpointSaved(step=step):
                self._flag(step, "checkpoint", f"Checkpoint of step {step:,}")
            case PreviewSaved(step=step):
                self._flag(step, "preview", f"Preview of step {step:,}")
            case Failure(message=message, step=step):
                self._flag(step or self.last_step, "failure", message)
            case Notice(level="warning", message=message, step=step):
                self._flag(step or self.last_step, "warning", message)

    def _flag(self, step: int, kind: FlagKind, text: str) -> None:
        self.flags.append(Flag(step, kind, text))
        self.version += 1

    def _cut(self, step: int) -> None:
        self.flags = [flag for flag in self.flags if flag.step <= step]
        for curve in (
            self.loss,
            self.validation,
            self.learning_rate,
            self.grad_norm,
            self.images_per_second,
            self.memory_bytes,
            self.images_seen,
            self.seconds,
            *self.bands,
            *(curve for measured in self.measured.values() for curve in measured.curves),
        ):
            curve.cut(step)


def _extend(curve: Curve, steps: Floats, numbers: Records) -> None:
    curve.extend_merged(
        steps,
        numbers["last" if curve.is_place else "mean"],
        low=numbers["low"],
        high=numbers["high"],
        finite=numbers["count"].astype(float),
        below=numbers["nonpositive"].astype(float),
    )
