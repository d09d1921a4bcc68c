"""One job at a time: the newest counts, and an older one is told to end and not listened to any more."""

from PySide6.QtCore import QObject, Signal

from dit_studio.jobs.launch import Job
from dit_studio.ui.bridge import JobThread


class OneJob(QObject):
    """Hands on what the newest job says: `received` lists of events, then `ended` once, unless it was dropped."""

    received = Signal(list)
    ended = Signal()

    def __init__(self, parent: QObject | None = None, *, interval_ms: int = 100) -> None:
        super().__init__(parent)
        self._interval_ms = interval_ms
        self._thread: JobThread | None = None
        self._dropped: list[JobThread] = []

    @property
    def is_running(self) -> bool:
        return self._thread is not None

    def run(self, job: Job) -> None:
        """Listen to this job from now on."""
        self.drop()
        self._thread = JobThread(job, self, interval_ms=self._interval_ms)
        self._thread.received.connect(self.received)
        self._thread.ended.connect(self._on_ended)
        self._thread.start()

    def drop(self) -> None:
        """Cancel the job and forget it; nothing more is heard of it."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        thread.received.disconnect(self.received)
        thread.ended.disconnect(self._on_ended)
        self._dropped.append(thread)
        thread.ended.connect(lambda: self._forget(thread))
        thread.cancel()

    def stop(self) -> None:
        """Ask the job to end at its next step, and keep listening; asked a second time it ends at once."""
        if self._thread is not None:
            self._thread.cancel()

    def close(self) -> None:
        """Drop the job, and wait until every thread has ended."""
        self.drop()
        for thread in self._dropped:
            thread.wait()

    def _on_ended(self) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.deleteLater()
        self.ended.emit()

    def _forget(self, thread: JobThread) -> None:
        self._dropped.remove(thread)
        thread.deleteLater()
