"""How far a plan is, in words: its point, its stage, the rate, and when it will be done."""

import time

from dit_studio.events import Progress
from dit_studio.ui.train.amounts import counted, duration, rate

_WORTH_A_TIME = 90  # seconds; what ends sooner needs no time of day
_AT_ONCE = 0.5  # seconds; a point that took less was there already, and says nothing of the others


class Remaining:
    """Of so many points. Times are those of a clock that only goes forward, in seconds."""

    def __init__(self, points: int) -> None:
        self._points = points
        self._index = 0
        self._done: set[int] = set()
        self._taken: list[float] = []
        self._started: float | None = None
        self._is_taken_up = False  # a part of the point was there already

    def start(self, index: int, *, now: float) -> None:
        self._index, self._started, self._is_taken_up = index, now, False

    def finish(self, index: int, *, now: float) -> None:
        self._done.add(index)
        taken = 0.0 if self._started is None else now - self._started
        if taken > _AT_ONCE and not self._is_taken_up:
            self._taken.append(taken)
        self._started = None

    def take_up(self) -> None:
        """A part of the point was there already: the time that it takes says nothing of the others."""
        self._is_taken_up = True

    def words(self, event: Progress, *, now: float, clock: float) -> tuple[str, int, int | None]:
        """A line, and what a bar shows: of one point its stage, of several the points. `clock`: seconds since 1970."""
        parts = [f"{event.stage}: {_amount(event)}" if event.total != 1 else event.stage]
        if event.rate > 0 and event.total != 1:
            parts.append(f"{rate(event.rate)}/s")
        if self._points < 2:
            return " · ".join([*parts, *_until(_left_of_stage(event), clock)]), event.done, event.total
        parts = [f"{self._index + 1} of {self._points}", *parts, *_until(self._left_of_plan(event, now), clock)]
        return " · ".join(parts), len(self._done), self._points

    def _left_of_plan(self, event: Progress, now: float) -> float | None:
        """Seconds; of the first point only its longest stage is known, and the others are taken to be like it."""
        left = self._points - len(self._done)
        if not self._taken:
            of_stage = _left_of_stage(event)
            return None if of_stage is None else of_stage + (left - 1) * (event.total or 0) / event.rate
        spent = 0.0 if self._started is None else now - self._started
        each = sum(self._taken) / len(self._taken)
        return left * each - min(spent, each)


def _left_of_stage(event: Progress) -> float | None:
    """Seconds; None where that cannot be told."""
    if not event.rate or not event.total or event.total <= event.done:
        return None
    return (event.total - event.done) / event.rate


def _until(seconds: float | None, clock: float) -> list[str]:
    if seconds is None:
        return []
    words = f"about {duration(seconds)} left"
    if seconds < _WORTH_A_TIME:
        return [words]
    return [f"{words}, until {time.strftime('%H:%M', time.localtime(clock + seconds))}"]


def _amount(event: Progress) -> str:
    unit = event.unit.rstrip("s") or "step"
    if event.total is None:
        return counted(event.done, unit)
    return f"{event.done:,} of {counted(event.total, unit)}"
