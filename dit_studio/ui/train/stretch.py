"""A stretch of a long history value by value, read when the user looks at it closely."""

import itertools
from collections.abc import Iterator
from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal

from dit_studio.events import Event
from dit_studio.jobs.history import MetricsBlocks
from dit_studio.jobs.long_history import LongHistory
from dit_studio.jobs.run_folder import RunFolder
from dit_studio.ui.one_job import OneJob
from dit_studio.ui.train.curves import RunHistory

_MOST_VALUES = 20_000  # in sight; of more, a picture cannot show each
_MARGIN = 0.5  # of what is in sight, read on either side
_BLOCKS_BEFORE = 64  # for the smoothed line, which remembers
_PIECE = 1000  # lines
_WAIT_MS = 150  # until the user has stopped zooming


class StretchRead(Event, frozen=True, kw_only=True, eq=False, tag="stretch read"):
    first: float  # step
    last: float
    history: Any  # a RunHistory: every value from first to last, and blocks around them


class ReadStretch:
    """A job that reads every value between two steps of a run."""

    def __init__(self, folder: RunFolder, first: float, last: float) -> None:
        self._file = folder.path / "events.jsonl"
        self._first, self._last = first, last
        self._is_cancelled = False

    def events(self) -> Iterator[Event | None]:
        try:
            long = LongHistory(self._file, self._file.stat().st_size)
            yield from long.read()
            history = RunHistory()
            before, after = long.around(self._first, self._last, before=_BLOCKS_BEFORE)
            history.add([MetricsBlocks(records=before)])
            metrics = long.metrics(self._first, self._last)
            while piece := list(itertools.islice(metrics, _PIECE)):
                if self._is_cancelled:
                    return
                history.add(piece)
            history.add([MetricsBlocks(records=after)])
        except OSError:  # the picture stays as coarse as it is
            return
        yield StretchRead(first=self._first, last=self._last, history=history)

    def cancel(self) -> None:
        self._is_cancelled = True


class Stretch(QObject):
    """Holds the stretch that is looked at, and reads another once the look has stayed elsewhere for a moment."""

    was_read = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._folder: RunFolder | None = None
        self._held: StretchRead | None = None
        self._wanted = (0.0, 0.0)
        self._job = OneJob(self)
        self._job.received.connect(self._on_received)
        self._timer = QTimer(self, singleShot=True, interval=_WAIT_MS)
        self._timer.timeout.connect(self._read)

    def show_run(self, folder: RunFolder | None) -> None:
        self._folder = folder
        self.forget()

    def forget(self) -> None:
        """What was read is no longer so."""
        self._held, self._wanted = None, (0.0, 0.0)
        self._timer.stop()
        self._job.drop()

    def close(self) -> None:
        self._timer.stop()
        self._job.close()

    def history(self, whole: RunHistory, low: float, high: float) -> RunHistory:
        """What to draw between two steps: every value if they are held, and else what is known of them."""
        if whole.loss.merged_until <= low or whole.loss.values_between(low, high) > _MOST_VALUES:
            return whole
        if self._held is not None and self._held.first <= low and high <= self._held.last:
            self._held.history.share_rare(whole)
            found: RunHistory = self._held.history
            return found
        if not (self._wanted[0] <= low and high <= self._wanted[1]):
            margin = _MARGIN * (high - low)
            self._wanted = (low - margin, high + margin)
            self._timer.start()
        return whole

    def _read(self) -> None:
        if self._folder is not None:
            self._job.run(ReadStretch(self._folder, *self._wanted))

    def _on_received(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, StretchRead):
                self._held = event
                self.was_read.emit()
