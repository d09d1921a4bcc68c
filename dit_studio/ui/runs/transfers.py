"""Runs that go out as a file or come in from one, one after another, with how far they are and a way to stop it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from dit_studio.events import Event, Failure, Progress, Written
from dit_studio.jobs.launch import Launcher
from dit_studio.jobs.run_archive import Checkpoints
from dit_studio.ui.one_job import OneJob
from dit_studio.ui.train.amounts import memory
from dit_studio.ui.widgets.basics import BusyBar, button, row


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """`name` is how sentences call it."""

    name: str
    job: str  # of the job table
    params: dict[str, Any]

    @property
    def is_import(self) -> bool:
        return self.job == "import_run"


def exporting(folder: Path, path: Path, checkpoints: Checkpoints, *, name: str) -> Transfer:
    params = {"folder": str(folder), "path": str(path), "checkpoints": checkpoints}
    return Transfer(name=name, job="export_run", params=params)


def exporting_to_tensorboard(folder: Path, path: Path, *, name: str) -> Transfer:
    return Transfer(name=name, job="export_tensorboard", params={"folders": [str(folder)], "path": str(path)})


def importing(path: Path, root: Path) -> Transfer:
    return Transfer(name=path.name, job="import_run", params={"path": str(path), "root": str(root)})


class Transfers(QWidget):
    """Hidden while there is nothing to do. `imported` carries the new run's folder."""

    ended = Signal(str, str)  # a sentence, and its level: "info" or "warning"
    failed = Signal(object)  # Failure
    imported = Signal(object)

    def __init__(self, launcher: Launcher) -> None:
        super().__init__()
        self._launcher = launcher
        self._waiting: list[Transfer] = []
        self._now: Transfer | None = None
        self._end: Written | Failure | None = None
        self._job = OneJob(self)
        self._job.received.connect(self._on_received)
        self._job.ended.connect(self._on_ended)
        self._bar = BusyBar()
        self.cancel = button("Cancel", "Stop this export or import; nothing of it stays.")
        self.cancel.clicked.connect(self._on_cancel)
        layout = row(self._bar, self.cancel)
        layout.setStretch(0, 1)
        self.setLayout(layout)
        self.hide()

    @property
    def is_busy(self) -> bool:
        return self._now is not None

    def add(self, transfer: Transfer) -> None:
        """Do it when those before it have ended."""
        if transfer not in self._waiting and transfer != self._now:
            self._waiting.append(transfer)
        self._start_next()

    def close_job(self) -> None:
        """Give everything up, and wait for the thread."""
        self._waiting.clear()
        self._job.close()

    def _start_next(self) -> None:
        if self._now is None and self._waiting:
            self._now, self._end = self._waiting.pop(0), None
            self.cancel.setEnabled(True)
            self._show(Progress(stage="", done=0))
            self.show()
            self._job.run(self._launcher.call(self._now.job, **self._now.params))
        self.setVisible(self._now is not None)

    def _on_received(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Progress):
                self._show(event)
            elif isinstance(event, Written | Failure):
                self._end = event

    def _show(self, progress: Progress) -> None:
        assert self._now is not None
        verb = "Importing" if self._now.is_import else "Exporting"
        of = f": {memory(progress.done)} of {memory(progress.total)}" if progress.total else ""
        waiting = f"; {len(self._waiting)} more wait" if self._waiting else ""
        self._bar.show_progress(f"{verb} {self._now.name}{of}{waiting}", progress.done, progress.total)

    def _on_cancel(self) -> None:
        self.cancel.setEnabled(False)
        self._job.stop()

    def _on_ended(self) -> None:
        transfer, self._now = self._now, None
        assert transfer is not None
        self._bar.finish()
        if isinstance(self._end, Failure):
            self.failed.emit(self._end)
        else:
            self.ended.emit(*_ending(transfer, self._end))
        if transfer.is_import and isinstance(self._end, Written):
            self.imported.emit(Path(self._end.file))
        self._start_next()


def _ending(transfer: Transfer, end: Written | None) -> tuple[str, str]:
    """What to say of it, and how loud."""
    verb = "imported" if transfer.is_import else "exported"
    if end is None:
        return f"{transfer.name} was not {verb}: cancelled.", "warning"
    where = f" as {Path(end.file).name}" if transfer.is_import else f": {end.file} ({memory(end.size_bytes)})"
    return f"{transfer.name} was {verb}{where}. {end.note}".strip(), "warning" if end.note else "info"
