"""The numbers behind the plots: growing series with a smoothed twin, and the history of a run made of them."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

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

Floats = npt.NDArray[np.float64]
XAxis = Literal["step", "images", "seconds"]
FlagKind = Literal["checkpoint", "preview", "resume", "warning", "not finite", "failure"]
_NEGLIGIBLE = 1e-18  # below the last bit of a double


class Curve:
    """A growing series; x is the training step and always rises, NaN stands for a value that is not finite."""

    def __init__(self) -> None:
        self._x = np.empty(256)
        self._y = np.empty(256)
        self._smooth = np.empty(256)
        self._count = 0
        self._smooth_count = 0
        self._average = _RunningAverage(0.0)
        self.nonpositive_count = 0  # what a logarithmic axis cannot show

    def __len__(self) -> int:
        return self._count

    @property
    def x(self) -> Floats:
        return self._x[: self._count]

    @property
    def y(self) -> Floats:
        return self._y[: self._count]

    def append(self, x: float, y: float | None) -> None:
        self.extend(np.array([x], float), np.array([y], float))

    def extend(self, x: Floats, y: Floats) -> None:
        """Add points in rising x. Points from the first new x on, if there are any, are replaced."""
        if not x.size:
            return
        if self._count and x[0] <= self._x[self._count - 1]:
            self._keep(int(np.searchsorted(self.x, x[0])))
        self._grow(self._count + x.size)
        new = slice(self._count, self._count + x.size)
        self._x[new] = x
        self._y[new] = np.where(np.isfinite(y), y, np.nan)
        self._count = new.stop
        self.nonpositive_count += int(np.count_nonzero(y <= 0))

    def cut(self, step: float) -> None:
        """Forget every point after `step`."""
        self._keep(int(np.searchsorted(self.x, step, side="right")))

    def smoothed(self, amount: float) -> Floats:
        """The debiased moving average of y, `amount` in [0, 1) its memory; NaN passes, a constant stays as it is.

        Costs O(new points) while `amount` stays the same.
        Source: classicSmoothing of TensorBoard's line_chart_v2/data_transformer.ts.
        """
        if amount != self._average.amount:
            self._average, self._smooth_count = _RunningAverage(amount), 0
        new = slice(self._smooth_count, self._count)
        self._smooth[new] = self._average.feed(self._y[new])
        self._smooth_count = self._count
        return self._smooth[: self._count]

    def at(self, step: float, values: Floats) -> float:
        """The element of `values`, parallel to x, that is nearest to `step`; NaN if there is none."""
        if not self._count:
            return np.nan
        right = min(int(np.searchsorted(self.x, step)), self._count - 1)
        left = max(right - 1, 0)
        return float(values[left if step - self._x[left] < self._x[right] - step else right])

    def _keep(self, count: int) -> None:
        if count < self._count:
            self._count = count
            self._average, self._smooth_count = _RunningAverage(self._average.amount), 0
            self.nonpositive_count = int(np.count_nonzero(self.y <= 0))

    def _grow(self, count: int) -> None:
        if count > self._x.size:
            size = max(count, 2 * self._x.size)
            self._x, self._y, self._smooth = (np.resize(old, size) for old in (self._x, self._y, self._smooth))


class _RunningAverage:
    """TensorBoard's smoothing, fed piece by piece."""

    def __init__(self, amount: float) -> None:
        self.amount = amount
        memory = math.ceil(math.log(_NEGLIGIBLE) / math.log(amount)) if amount else 1
        self._powers = amount ** np.arange(1, memory + 1)  # further ones count as 0
        self._sum = 0.0
        self._seen = 0
        self._constant: float | None = None  # the only value so far

    def feed(self, values: Floats) -> Floats:
        finite = np.isfinite(values)
        if finite.all():
            return self._feed_finite(values)
        result = values.copy()
        result[finite] = self._feed_finite(values[finite])
        return result

    def _feed_finite(self, values: Floats) -> Floats:
        if not values.size:
            return values
        if self._seen == 0:
            self._constant = float(values[0])
        sums = _recursive_filter(values, self.amount)
        fading = self._powers[: values.size]
        sums[: fading.size] += self._sum * fading
        self._sum = float(sums[-1])
        biases = self._powers[self._seen : self._seen + values.size]
        sums[: biases.size] /= 1 - biases
        self._seen += values.size
        if self._constant is not None:
            changes = np.flatnonzero(values != self._constant)
            sums[: changes[0] if changes.size else None] = self._constant
            self._constant = None if changes.size else self._constant
        return sums


def _recursive_filter(values: Floats, weight: float) -> Floats:
    """s[k] = weight * s[k - 1] + (1 - weight) * values[k], by doubling: each pass reaches twice as far back."""
    sums: Floats = (1 - weight) * values
    reach = 1
    while reach < sums.size and weight**reach > _NEGLIGIBLE:
        sums[reach:] += weight**reach * sums[:-reach]
        reach *= 2
    return sums


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
        self.images_seen = Curve()
        self.seconds = Curve()
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
                    self._add_rare(event)

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

    def _flag_losses_that_are_not_finite(self, events: list[Metrics]) -> None:
        """One flag for each row of bad steps, at its first."""
        was_bad = len(self.loss) > 0 and bool(np.isnan(self.loss.y[-1]))
        for event in events:
            if event.loss is None and not was_bad:
                self._flag(event.step, "not finite", f"The loss is not a finite number from step {event.step:,} on")
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
