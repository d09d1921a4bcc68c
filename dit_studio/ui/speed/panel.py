"""One kind of measuring: its sizes, Measure and Stop, how far it is, and a table of what came of it."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QStackedWidget, QVBoxLayout, QWidget

from dit_studio import events
from dit_studio.errors import ConfigError, StudioError
from dit_studio.events import (
    Event,
    Failure,
    Notice,
    Progress,
)
from dit_studio.files import naming_disk_errors, write_atomically
from dit_studio.jobs.launch import Launcher
from dit_studio.model_events import AttentionTimed, FamilyTimed
from dit_studio.places import cache_dir
from dit_studio.ui import theme
from dit_studio.ui.icons import icon
from dit_studio.ui.one_job import OneJob
from dit_studio.ui.settings import Settings
from dit_studio.ui.speed.bars import BarModel, BarTable
from dit_studio.ui.speed.csv_file import ask_for_csv, rows_of, write_csv
from dit_studio.ui.widgets.basics import BusyBar, Caption, EmptyState, button, row
from dit_studio.ui.widgets.form import Form
from dit_studio.ui.widgets.message import MessageCard

_FORM_WIDTH = 560  # pixels at a font scale of 100 %
Timed = AttentionTimed | FamilyTimed
ReadParams = Callable[[Mapping[str, Any]], dict[str, Any]]


class SpeedPanel(QWidget):
    """What was measured is kept and shown again the next time. `choose_csv` is for tests to answer."""

    busy_changed = Signal()  # look again at `is_busy`
    status_changed = Signal(str)

    def __init__(
        self,
        settings: Settings,
        launcher: Launcher,
        *,
        name: str,
        job: str,
        form: Form,
        params: ReadParams,
        model: BarModel,
        empty: str,
        choose_csv: Callable[[QWidget, str], str] = ask_for_csv,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._settings, self._launcher, self._name, self._job_name = settings, launcher, name, job
        self._params, self._choose_csv = params, choose_csv
        self.form, self.model, self.table = form, model, BarTable(model, name)
        self.message, self._busy, self._why_not = MessageCard(), BusyBar(), Caption()
        self._measured = Caption()  # how what is shown was measured
        self._job = OneJob(self)
        self._is_elsewhere_busy = False
        self._is_new = False  # nothing of this measurement is shown yet
        self._how: Notice | None = None  # it is measured
        self._build(empty)
        self.form.set_values(settings.form(job))
        self._read_kept()
        self._show_state()

    @property
    def is_busy(self) -> bool:
        return self._job.is_running

    def set_elsewhere_busy(self, is_busy: bool) -> None:
        """Two measurements at once would spoil each other."""
        self._is_elsewhere_busy = is_busy
        self._show_state()

    def measure(self) -> None:
        if self.form.problems() or self._contradiction() or self.is_busy or self._is_elsewhere_busy:
            return
        self.message.clear()
        self._is_new = True
        self._job.run(self._launcher.call(self._job_name, **self._params(self.form.values())))
        self._busy.show_progress("Starting")
        self._show_state()
        self.busy_changed.emit()

    def stop(self) -> None:
        """What is measured stays."""
        self._job.drop()
        self._on_ended()

    def close_panel(self) -> None:
        self._job.close()

    # --------------------------------------------------------------------------------------------- what it says

    def _on_received(self, received: list[Event]) -> None:
        for event in received:
            match event:
                case Progress():
                    self._busy.show_progress(event.stage, event.done, event.total)
                    self.status_changed.emit(f"measuring: {event.stage}")
                case AttentionTimed() | FamilyTimed():
                    self._put(event)
                case Failure():
                    self.message.show_failure(event)
                case Notice(level="info"):
                    self._how = event
                case Notice():
                    self.message.show_notice(event.message, level=event.level)

    def _put(self, event: Timed) -> None:
        """The first row of a measurement takes the place of what was shown before."""
        if self._is_new:
            self._is_new = False
            self.model.clear()
        self.model.put(event)
        self._show_state()

    def _on_ended(self) -> None:
        self._busy.finish()
        if not self._is_new:
            self._keep()
        self._show_state()
        self.status_changed.emit("")
        self.busy_changed.emit()

    def _on_edited(self) -> None:
        self._settings.save_form(self._job_name, self.form.values())
        self._show_state()

    def _show_state(self) -> None:
        problems = self.form.problems()
        why_not = problems[0].message if problems else self._contradiction()
        if self._is_elsewhere_busy and not self.is_busy:
            why_not = "The other measurement is under way; two at once would spoil each other."
        self.start.setEnabled(not why_not and not self.is_busy)
        self.halt.setEnabled(self.is_busy)
        self._why_not.setText(why_not)
        self._why_not.setVisible(bool(why_not))
        self._pages.setCurrentIndex(1 if self.model.rows or self.is_busy else 0)
        self._measured.setText(self._how.message if self._how and self.model.rows else "")
        self._measured.setVisible(bool(self._measured.text()))
        for action in (self.copy, self.save):
            action.setEnabled(bool(self.model.rows))

    def _contradiction(self) -> str:
        """What is typed and cannot be measured, shown at its field; "" if all can."""
        try:
            self._params(self.form.values())
        except ConfigError as error:
            for problem in error.problems:
                self.form.show_problem(problem)
            return error.problems[0].message
        return ""

    # --------------------------------------------------------------------------------------------- what is kept

    @property
    def _kept(self) -> Path:
        return cache_dir() / "speed" / f"{self._job_name}.jsonl"

    def _keep(self) -> None:
        if not self.model.rows:
            return
        lines = [*([self._how] if self._how else []), *self.model.rows]
        try:
            with naming_disk_errors(self._kept):
                self._kept.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self._kept, b"".join(events.encode(line) + b"\n" for line in lines))
        except StudioError as error:
            self.message.show_notice(f"The figures are not kept. {error}", level="warning")

    def _read_kept(self) -> None:
        try:
            lines = self._kept.read_bytes().splitlines()
            found = [events.decode(line) for line in lines]
        except (OSError, ValueError):
            return  # figures of an earlier version can be measured again
        for event in found:
            if isinstance(event, AttentionTimed | FamilyTimed):
                self.model.put(event)
            elif isinstance(event, Notice):
                self._how = event

    def _save(self) -> None:
        if path := self._choose_csv(self, f"{self._name.lower().replace(' ', '-')}.csv"):
            failure = write_csv(Path(path), rows_of(self.model.rows, self._how.message if self._how else ""))
            self.message.show_notice(failure or f"Saved as {path}.", level="error" if failure else "info")

    # --------------------------------------------------------------------------------------------- set-up

    def _build(self, empty: str) -> None:
        self.start = button(
            "Measure", "Measure the sizes above on this machine.", kind="primary", icon=icon("play", "on_accent")
        )
        self.halt = button("Stop", "End now; what is measured stays.", icon=icon("stop"))
        self.copy = button("Copy", "Copy the selected rows, or all, as a table.", icon=icon("copy"))
        self.save = button("Save as CSV…", "Save the table as a file.", icon=icon("save"))
        self.start.clicked.connect(self.measure)
        self.halt.clicked.connect(self.stop)
        self.copy.clicked.connect(self.table.copy)
        self.save.clicked.connect(self._save)
        self.form.changed.connect(self._on_edited)
        self._job.received.connect(self._on_received)
        self._job.ended.connect(self._on_ended)
        self._pages = QStackedWidget()
        self._pages.addWidget(EmptyState(icon("speed", "muted"), "Nothing measured yet", empty))
        self._pages.addWidget(self.table)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 8, 0, 0)
        layout.setSpacing(8)
        self.form.setMaximumWidth(theme.scaled(_FORM_WIDTH))
        layout.addWidget(self.form)
        layout.addLayout(row(self.start, self.halt, None, self.copy, self.save))
        for part in (self._why_not, self._busy, self.message, self._measured):
            layout.addWidget(part)
        layout.addWidget(self._pages, 1)
