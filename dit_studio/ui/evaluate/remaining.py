"""How far a plan is, in words: its point, its stage, the rate, and when it will be done."""

from dit_studio.events import Progress
from dit_studio.ui.train.amounts import counted, duration, rate

_AT_ONCE = 0.5  # seconds; a point that took less was there already, and says nothing of the others


class Remaining:
    """Of so many points. Times are those of a clock that only goes forward, in seconds."""

    def __init__(self, points: int) -> None:
        self._points = points
        self._index = 0
        self._done: set[int] = set()
        self._taken: list[float] = []
        self._started: float | None = None

    def start(self, index: int, *, now: float) -> None:
        self._index, self._started = index, now

    def finish(self, index: int, *, now: float) -> None:
        self._done.add(index)
        taken = 0.0 if self._started is None else now - self._started
        if taken > _AT_ONCE:
            self._taken.append(taken)
        self._started = None

    def words(self, event: Progress, *, now: float) -> tuple[str, int, int | None]:
        """A line, and what a bar shows: of one point its stage, of several the points."""
        parts = [f"{event.stage}: {_amount(event)}" if event.total != 1 else event.stage]
        if event.rate > 0 and event.total != 1:
            parts.append(f"{rate(event.rate)}/s")
        if self._points < 2:
            return " · ".join([*parts, *self._of_stage(event)]), event.done, event.total
        parts = [f"{self._index + 1} of {self._points}", *parts, *self._of_plan(now)]
        return " · ".join(parts), len(self._done), self._points

    def _of_stage(self, event: Progress) -> list[str]:
        if not event.rate or not event.total or event.total <= event.done:
            return []
        return [f"{duration((event.total - event.done) / event.rate)} left"]

    def _of_plan(self, now: float) -> list[str]:
        if not self._taken:
            return []
        left = self._points - len(self._done)
        each = sum(self._taken) / len(self._taken)
        spent = 0.0 if self._started is None else min(now - self._started, each)
        return [f"about {duration(left * each - spent)} left"]


def _amount(event: Progress) -> str:
    unit = event.unit.rstrip("s") or "step"
    if event.total is None:
        return counted(event.done, unit)
    return f"{event.done:,} of {counted(event.total, unit)}"
