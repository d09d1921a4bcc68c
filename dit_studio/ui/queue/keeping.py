"""Sees to it, while the window is open, that something starts what waits."""

import time
from collections.abc import Callable

from PySide6.QtCore import QObject, Signal

from dit_studio.errors import StudioError
from dit_studio.events import Failure
from dit_studio.jobs.queue import Queue
from dit_studio.ui.run_watch import RunsSeen

_WAITS = (5.0, 15.0, 45.0)  # seconds after each try, until the next
_CALM_SECONDS = 120.0  # of a process that lives, after which the tries count anew


class QueueKeeping(QObject):
    """Starts the process that starts what waits, and again when it is gone: a few times, with growing waits."""

    refused = Signal(object)  # Failure, of the last try

    def __init__(
        self,
        queue: Callable[[], Queue],
        parent: QObject | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(parent)
        self._queue, self._clock = queue, clock
        self._tries, self._tried_at = 0, 0.0

    @property
    def has_given_up(self) -> bool:
        return self._tries > len(_WAITS)

    def note(self, seen: RunsSeen) -> None:
        """One look at the queue."""
        since = self._clock() - self._tried_at
        if seen.is_kept:
            self._tries = 0 if since > _CALM_SECONDS else self._tries
        elif seen.can_start and not self.has_given_up and (not self._tries or since >= _WAITS[self._tries - 1]):
            self._try()

    def _try(self) -> None:
        self._tries, self._tried_at = self._tries + 1, self._clock()
        try:
            self._queue().keep_going()
        except StudioError as error:
            if self.has_given_up:
                self.refused.emit(Failure(message=error.message, remedy=error.remedy, code=error.code))
