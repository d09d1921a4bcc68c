"""Before a model of another program is used, it is asked what its tensors do not tell; once."""

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QWidget

from dit_studio.events import Event, Failure, Progress
from dit_studio.jobs.launch import Launcher
from dit_studio.model_events import ModelOpened
from dit_studio.ui.one_job import OneJob
from dit_studio.ui.sample.model_answers import must_be_asked, remembered_answers
from dit_studio.ui.sample.model_sheet import ModelSheet
from dit_studio.ui.train.amounts import count


class ModelOpening(QObject):
    """`known` follows every `open` of a model that can be used, at once if nothing is to be asked."""

    known = Signal(str, str)  # path, weights
    loading = Signal(str, int, object)  # what is done, how much of it, of how much or None
    failed = Signal(object)  # Failure
    cancelled = Signal()

    def __init__(self, launcher: Launcher, choose_folder: Callable[[str], str], parent: QWidget) -> None:
        super().__init__(parent)
        self._launcher, self._choose_folder, self._window = launcher, choose_folder, parent
        self._job = OneJob(self)
        self._path, self._weights = "", ""
        self._is_first = False  # whether nothing was known of the model before
        self._is_answered = False  # whether what is asked of the engine now has every answer
        self._answers: dict[str, str] = {}
        self.sheet: ModelSheet | None = None
        self._job.received.connect(self._on_received)

    def open(self, path: str, weights: str) -> None:
        """Have a model used, after asking what has to be asked."""
        self._begin(path, weights)
        if not must_be_asked(Path(path)):
            self.known.emit(path, weights)
            return
        self._is_first = True
        self._ask({})

    def show_known(self, path: str, weights: str) -> None:
        """Show what is known of a model, for its answers to be changed."""
        self._begin(path, weights)
        self._answers = remembered_answers(Path(path))
        self._make_sheet().show_progress("Reading the weights")
        self._ask(self._answers)

    def close_job(self) -> None:
        self._forget_sheet()
        self._job.close()

    # --------------------------------------------------------------------------------------------- what is said

    def _begin(self, path: str, weights: str) -> None:
        self._job.drop()
        self._forget_sheet()
        self._path, self._weights, self._answers = path, weights, {}
        self._is_first, self._is_answered = False, False

    def _ask(self, answers: dict[str, str]) -> None:
        self._job.run(self._launcher.call("open_model", path=self._path, answers=answers))

    def _on_answered(self, answers: dict[str, str]) -> None:
        assert self.sheet is not None
        self.sheet.show_progress("Reading the weights")
        self._is_answered = True
        self._ask(answers)

    def _on_received(self, events: list[Event]) -> None:
        for event in events:
            match event:
                case Progress():
                    self._show_progress(event)
                case ModelOpened():
                    self._take(event)
                case Failure():
                    self._fail(event)

    def _show_progress(self, event: Progress) -> None:
        of = f" {count(event.done)} of {count(event.total)} {event.unit}" if event.total else ""
        if self.sheet is not None:
            self.sheet.show_progress(event.stage + of, event.done, event.total)
        else:
            self.loading.emit(event.stage + of, event.done, event.total)

    def _take(self, opened: ModelOpened) -> None:
        if self._is_answered or (self._is_first and not opened.questions and not opened.warnings):
            self._forget_sheet()
            self.known.emit(self._path, self._weights)
            return
        (self.sheet or self._make_sheet()).show_opened(opened, self._answers)

    def _fail(self, failure: Failure) -> None:
        sentence = f"{failure.message} {failure.remedy}".strip()
        if self.sheet is not None:
            self.sheet.show_problem(sentence)
        else:
            self.failed.emit(failure)

    # --------------------------------------------------------------------------------------------- the sheet

    def _make_sheet(self) -> ModelSheet:
        self.sheet = ModelSheet(Path(self._path), self._choose_folder, self._window)
        self.sheet.answered.connect(self._on_answered)
        self.sheet.rejected.connect(self._on_rejected)
        self.sheet.open()
        return self.sheet

    def _on_rejected(self) -> None:
        self._job.drop()
        self.sheet = None
        if self._is_first:
            self.cancelled.emit()

    def _forget_sheet(self) -> None:
        sheet, self.sheet = self.sheet, None
        if sheet is not None:
            sheet.rejected.disconnect(self._on_rejected)
            sheet.accept()
