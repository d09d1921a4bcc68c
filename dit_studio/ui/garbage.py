"""Python's cyclic garbage is collected in the window's thread alone.

By itself Python collects in whatever thread allocates next. In a thread that runs a job that destroys Qt objects far
from the thread they belong to, and can wait for Qt while Qt waits for Python: the window then stands still.
"""

import gc

from PySide6.QtCore import QObject, QTimer

_INTERVAL_MS = 500
_FULL_EVERY = 60  # collections of the young


def leave_to_the_end() -> None:
    """Nothing that exists now is looked at again: Python's own last collection, as the process ends, would tear Qt
    objects apart in an order that Qt does not survive."""
    gc.collect()
    gc.freeze()


class GarbageCollector(QObject):
    """Takes over from Python until it is closed. What exists when it starts is not looked at again."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._rounds = 0
        self._timer = QTimer(self, interval=_INTERVAL_MS)
        self._timer.timeout.connect(self._collect)
        gc.disable()
        gc.freeze()
        self._timer.start()

    def close(self) -> None:
        """Let Python do it again."""
        self._timer.stop()
        gc.unfreeze()
        gc.enable()

    def _collect(self) -> None:
        self._rounds += 1
        gc.collect(1 if self._rounds % _FULL_EVERY else 2)
