"""The Evaluate page: what is asked on the left, figures and curves in the centre, what was measured on the right."""

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import QTabWidget, QVBoxLayout, QWidget

from dit_studio.errors import StudioError
from dit_studio.evaluation_plan import open_evaluation
from dit_studio.evaluation_request import EvaluationResult
from dit_studio.events import Failure, JobState, ModelFiles, SettingsRefused
from dit_studio.jobs.evaluation_history import EvaluationHistory
from dit_studio.jobs.launch import Launcher
from dit_studio.places import evaluations_dir
from dit_studio.ui.evaluate.bars import Bars
from dit_studio.ui.evaluate.copying_view import CopyingView
from dit_studio.ui.evaluate.curves import Curves
from dit_studio.ui.evaluate.display import Display
from dit_studio.ui.evaluate.evaluate_bar import KEYS
from dit_studio.ui.evaluate.export_menu import ExportMenu
from dit_studio.ui.evaluate.history import EvaluationsPanel
from dit_studio.ui.evaluate.results import Results
from dit_studio.ui.evaluate.samples_dialog import SamplesDialog
from dit_studio.ui.evaluate.session import EvaluationSession
from dit_studio.ui.evaluate.set_up import EvaluateSetUp
from dit_studio.ui.one_job import OneJob
from dit_studio.ui.settings import Settings
from dit_studio.ui.widgets.basics import row
from dit_studio.ui.widgets.columns import Columns, Side
from dit_studio.ui.widgets.message import MessageCard
from dit_studio.ui.widgets.page_keys import press_by_keys
from dit_studio.ui.widgets.scrolling import Scrolling
from dit_studio.ui.widgets.tab_order import lead_tab

_LEFT, _RIGHT = 328, 300  # pixels
_SEVERAL_DROPPED = "Drop to measure against the first, and to measure the others"


class EvaluatePage(QWidget):
    """Measures images and models against a reference, and shows every figure with how it was made."""

    status_changed = Signal(str)  # one line for the status bar
    model_files_asked = Signal(str)  # the extractor whose file is missing
    dropped = Signal()  # something on one of the cards

    def __init__(self, settings: Settings, launcher: Launcher, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._settings, self._launcher = settings, launcher
        self.history = EvaluationHistory(evaluations_dir())
        self.session = EvaluationSession(launcher, self)
        self.set_up, self.message = EvaluateSetUp(settings, launcher), MessageCard()
        self.results, self.curves, self.bars = Results(), Curves(), Bars()
        self.entries, self.copying = EvaluationsPanel(self.history), CopyingView(launcher)
        self.exports = ExportMenu(launcher)
        self.display = Display(self.results, self.curves, self.copying, self)
        self._compared: list[tuple[str, EvaluationResult]] = []
        self._files = OneJob(self)
        self._passing = ""  # a notice that goes with its point
        self._build()
        self._connect()
        self.history.empty_trash()
        QTimer.singleShot(0, self, self._open_newest)

    # --------------------------------------------------------------------------------------------- what others ask

    def open_reference(self, path: Path) -> None:
        """Measure against a folder, an archive, an .npz or a run's data set."""
        self.set_up.set_reference(str(path))
        self._columns.show_side(self.set_up)

    def open_model(self, path: Path) -> None:
        """Measure a run or a checkpoint."""
        self.set_up.set_model(str(path))
        self._columns.show_side(self.set_up)

    def open_images(self, paths: Sequence[Path]) -> None:
        """Measure folders or files of images."""
        self.set_up.set_images([str(path) for path in paths], [path.name for path in paths])
        self._columns.show_side(self.set_up)

    def open_dropped(self, path: Path) -> None:
        """Images that were dropped: the reference if there is none, else what is measured."""
        self.set_up.take_images(str(path))
        self._columns.show_side(self.set_up)

    def drop_words(self, count: int) -> str:
        """What a drop of so many sets of images does."""
        if self.set_up.reference.path:
            return "Drop to measure these images"
        return "Drop to measure against these images" if count == 1 else _SEVERAL_DROPPED

    def open_sweep(self, folder: Path) -> None:
        """Measure the cells of a sweep that was drawn."""
        self.set_up.set_sweep(folder)
        self._columns.show_side(self.set_up)

    def show_model_files(self, files: ModelFiles) -> None:
        """Which extractors have their files."""
        self.set_up.show_model_files(files)

    def close_page(self) -> None:
        """End the page's jobs, and wait for their threads."""
        if self._columns.count == 3:
            self._settings.save_form("evaluate_columns", {"sizes": self._columns.sizes()})
        for dialog in self.findChildren(SamplesDialog):
            dialog.reject()
        self.set_up.remember()
        self.set_up.close_jobs()
        self.copying.close_jobs()
        self.exports.close_jobs()
        self._files.close()
        self.session.close()

    def focusNextPrevChild(self, is_next: bool) -> bool:
        """From the tabs through the results, whose cards come and go, to what is below and beside them."""
        lead_tab(self._tabs.tabBar(), self.results)
        return super().focusNextPrevChild(is_next)

    # --------------------------------------------------------------------------------------------- measuring

    def _evaluate(self) -> None:
        plan = self.set_up.plan()
        if plan is None or self.session.is_busy:
            return
        self.message.clear()
        self._obey(lambda: self.session.evaluate(plan, self.history.new_folder()))
        if self.session.folder is not None:
            self._show_measured()

    def _go_on(self, name: str = "") -> None:
        """After a pause; or with an entry that was not finished, without a name the one measured last."""
        name = name or self._measured
        is_at_work = self.session.is_busy and (self.session.state is not JobState.PAUSED or name != self._measured)
        if name and not is_at_work:
            self.message.clear()
            folder = self.history.root / name
            self._obey(lambda: self._take_up(folder))
        elif name:
            self._say("Another evaluation is being measured: wait, or stop it.", "warning")

    def _take_up(self, folder: Path) -> None:
        """Raises: DataError if the entry cannot be read."""
        self.session.go_on(open_evaluation(folder), folder)
        self._show_measured()
        self.display.show(folder)  # with what it has already

    def _retry(self) -> None:
        if self.display.name:
            self._go_on(self.display.name)

    @property
    def _measured(self) -> str:
        """The entry that is measured, or was last."""
        return self.session.folder.name if self.session.folder is not None else ""

    @property
    def _is_measured_shown(self) -> bool:
        return bool(self._measured) and self._measured == self.display.name

    def _show_measured(self) -> None:
        folder, plan = self.session.folder, self.session.plan
        if folder is None or plan is None:
            return
        self.display.begin(plan, folder)
        self.exports.folder = None
        self._tabs.setCurrentWidget(self.results)

    def _on_state(self, state: JobState) -> None:
        self.entries.paused = self._measured if state is JobState.PAUSED else ""
        self.set_up.show_state(state, _WORDS.get(state, "") or self.session.failures)
        self.entries.refresh()
        if state is JobState.RUNNING:
            self.entries.mark_shown(self.display.name)
            self.entries.select(self.display.name)
        if state.is_active and state is not JobState.PAUSED:
            return
        self._forget_notice()
        self.status_changed.emit("evaluation paused" if state is JobState.PAUSED else "")
        if self.session.folder is not None:
            with contextlib.suppress(OSError):
                self.session.folder.rmdir()  # nothing was begun in it
        if self._is_measured_shown:
            self.results.halt()
        self._update_exports()

    def _on_progress(self, text: str, done: int, total: int | None) -> None:
        self.set_up.show_progress(text, done, total)
        self.status_changed.emit(f"evaluating: {text}")

    def _on_noticed(self, text: str, level: str) -> None:
        self._say(text, level)
        self._passing = self.message.text() if level == "info" else ""

    def _forget_notice(self) -> None:
        """What was only of the point that was measured."""
        if self._passing and self.message.text() == self._passing:
            self.message.clear()
        self._passing = ""

    def _on_started(self, index: int) -> None:
        self._forget_notice()
        if self._is_measured_shown:
            self.display.start(index)

    def _on_point_progress(self, index: int, text: str, done: int, total: int | None) -> None:
        if self._is_measured_shown:
            self.display.progress(index, text, done, total)

    def _on_done(self, index: int, result: EvaluationResult, samples: str) -> None:
        if self._is_measured_shown:
            self.display.add(index, result, samples)
        self.entries.refresh()

    def _on_failed_point(self, index: int, message: str, remedy: str) -> None:
        if self._is_measured_shown:
            self.display.fail(index, message, remedy)

    def _on_failed(self, failure: Failure) -> None:
        if failure.code == "killed":
            remedy = "What is drawn and measured is kept: press Go on."
            failure = msgspec.structs.replace(failure, remedy=remedy)
        self.message.show_failure(failure)

    def _on_refused(self, refused: SettingsRefused) -> None:
        self.set_up.show_problems(refused.problems)
        self.display.clear()
        self._say(" ".join(sentence for _, sentence in refused.problems), "error")

    # --------------------------------------------------------------------------------------------- the history

    def _open_entry(self, name: str) -> None:
        if name != self.display.name:
            self._obey(lambda: self._show_entry(name))

    def _open_in_front(self, name: str) -> None:
        """As the user asks for it: where the history is a tab, or others are compared, it comes to the front."""
        self._open_entry(name)
        if self.display.name == name and self._tabs.currentWidget() in (self._side, self.bars):
            self._tabs.setCurrentWidget(self.results)

    def _show_entry(self, name: str) -> None:
        """Raises: DataError if it cannot be read."""
        self.display.show(self.history.root / name)
        self.entries.mark_shown(name)

    def _use_settings(self, name: str) -> None:
        self._obey(lambda: self.set_up.set_plan(open_evaluation(self.history.root / name).plan))
        self._columns.show_side(self.set_up)

    def _compare(self, name: str) -> None:
        """Put every result of an entry beside those that are compared already."""
        self._obey(lambda: self._add_to_comparison(name))

    def _add_to_comparison(self, name: str) -> None:
        found = self.history.results(name)
        if not found:
            self._say("An evaluation can be compared once something of it is measured.", "info")
            return
        known = {label for label, _ in self._compared}
        self._compared += [(label, result) for label, result in found if label not in known]
        self.bars.set_results(self._compared)
        self._tabs.setCurrentWidget(self.bars)

    def _remove_from_comparison(self, label: str) -> None:
        self._compared = [(other, result) for other, result in self._compared if label and other != label]
        self.bars.set_results(self._compared)

    def _export_entry(self, name: str) -> None:
        self._open_entry(name)
        if self.display.name == name:
            self.exports.popup()

    def _on_deleted(self, name: str) -> None:
        if name == self.display.name:
            self.display.clear()

    # --------------------------------------------------------------------------------------------- points

    def _show_samples(self, index: int) -> None:
        """The images of a point, in a window of their own."""
        result, where = self.display.found.get(index), self.display.samples.get(index, "")
        if result is None or self.display.plan is None:
            return
        title = self.display.plan.points[index].label
        dialog = SamplesDialog(
            title, where or result.fake.path, result.fake.images, launcher=self._launcher, parent=self
        )
        dialog.open()

    def _show_copying(self, index: int) -> None:
        self.display.select(index)
        self._side.setCurrentWidget(self.copying)
        self._columns.show_side(self._side)

    def _update_exports(self) -> None:
        self.exports.folder = self.display.folder if self.display.found else None

    # --------------------------------------------------------------------------------------------- how it is made

    def _open_newest(self) -> None:
        """What was measured last, and the states of the extractors' files."""
        self._files.run(self._launcher.call("model_files"))
        newest = next(iter(self.history.entries()), None)
        if newest is not None and not self.display.name:
            self._open_entry(newest.name)

    def _on_files(self, events: list[object]) -> None:
        for event in events:
            if isinstance(event, ModelFiles):
                self.set_up.show_model_files(event)

    def _obey(self, action: Callable[[], object]) -> None:
        try:
            action()
        except StudioError as error:
            self.message.show_failure(Failure(message=error.message, remedy=error.remedy, code=error.code))

    def _say(self, text: str, level: str) -> None:
        self.message.show_notice(text, level=level)

    def _connect(self) -> None:
        session, set_up = self.session, self.set_up
        session.state_changed.connect(self._on_state)
        session.progressed.connect(self._on_progress)
        session.point_started.connect(self._on_started)
        session.point_progressed.connect(self._on_point_progress)
        session.point_done.connect(self._on_done)
        session.point_failed.connect(self._on_failed_point)
        session.refused.connect(self._on_refused)
        session.failed.connect(self._on_failed)
        session.noticed.connect(self._on_noticed)
        set_up.evaluate_asked.connect(self._evaluate)
        set_up.pause_asked.connect(session.pause)
        set_up.go_on_asked.connect(self._go_on)
        set_up.stop_asked.connect(session.stop)
        set_up.model_files_asked.connect(self.model_files_asked)
        set_up.dropped.connect(self.dropped)
        self._files.received.connect(self._on_files)
        self.display.changed.connect(self._update_exports)
        for view in (self.results, self.curves):
            view.point_selected.connect(self.display.select)
            view.samples_asked.connect(self._show_samples)
        self.results.copying_asked.connect(self._show_copying)
        self.results.retry_asked.connect(self._retry)
        self.bars.removed.connect(self._remove_from_comparison)
        self.entries.opened.connect(self._open_in_front)
        self.entries.settings_asked.connect(self._use_settings)
        self.entries.compare_asked.connect(self._compare)
        self.entries.go_on_asked.connect(self._go_on)
        self.entries.export_asked.connect(self._export_entry)
        self.entries.deleted.connect(self._on_deleted)
        self.entries.said.connect(self._say)
        self.exports.said.connect(self._say)

    def _build(self) -> None:
        self._tabs = _tabs("What came of it")
        for widget, title, tooltip in (
            (self.results, "Results", "Every figure, with its interval and how it was made."),
            (self.curves, "Curves", "A metric against a setting, and precision against recall."),
            (self.bars, "Compare", "Results of several evaluations side by side."),
        ):
            self._tabs.setTabToolTip(self._tabs.addTab(widget, title), tooltip)
        self._side = _tabs("What was measured")
        self._side.setTabToolTip(self._side.addTab(Scrolling(self.entries), "History"), "What was measured before.")
        copying = self._side.addTab(self.copying, "Is it copying?")
        self._side.setTabToolTip(copying, "The training images nearest to each generated one.")
        centre = QWidget()
        column = QVBoxLayout(centre)
        column.setContentsMargins(8, 0, 8, 0)
        column.setSpacing(4)
        column.addWidget(self.message)
        column.addWidget(self._tabs, 1)
        column.addLayout(row(None, self.exports))
        column.addWidget(self.exports.status)
        self._columns = Columns(
            Side(self.set_up, _LEFT, "Set-up", "Reference, what is measured, and how.", bar=self.set_up.bar),
            Scrolling(centre),
            self._tabs,
            Side(self._side, _RIGHT, "History", "What was measured before, and the nearest images."),
        )
        if sizes := self._settings.form("evaluate_columns").get("sizes"):
            self._columns.set_sizes(sizes)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._columns)
        press_by_keys(self, {keys: [self.set_up.bar.buttons[name] for name in names] for keys, names in KEYS.items()})


_WORDS = {
    JobState.PAUSED: "Everything computed is kept.",
    JobState.STOPPED: "Everything computed is kept; Go on takes it up again.",
    JobState.FAILED: "What is measured is kept; Go on takes it up again.",
}


def _tabs(name: str) -> QTabWidget:
    result = QTabWidget(documentMode=True)
    result.tabBar().setDrawBase(False)
    result.tabBar().setAccessibleName(name)
    return result
