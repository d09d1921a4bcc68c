"""The Sample page: what is asked on the left, images coming out of noise in the centre, what was drawn on the right."""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PySide6.QtCore import QPoint, QTimer, Signal
from PySide6.QtGui import QCursor
from PySide6.QtWidgets import QStackedWidget, QTabWidget, QVBoxLayout, QWidget

from dit_studio.errors import StudioError
from dit_studio.events import Failure, JobState, SampleModel, SettingsRefused
from dit_studio.image_settings import read_settings
from dit_studio.jobs.launch import Launcher
from dit_studio.jobs.run_folder import RunFolder
from dit_studio.jobs.sample_history import HistoryEntry, SampleHistory
from dit_studio.places import samples_dir
from dit_studio.sample_request import SampleRequest
from dit_studio.sweep import open_sweep
from dit_studio.ui.sample.attention import Attention
from dit_studio.ui.sample.branching import Branching
from dit_studio.ui.sample.chosen_model import ChosenModel
from dit_studio.ui.sample.comparing import Comparing
from dit_studio.ui.sample.export_menu import ExportMenu
from dit_studio.ui.sample.frames import Frames
from dit_studio.ui.sample.history import HistoryPanel
from dit_studio.ui.sample.lineage import Place
from dit_studio.ui.sample.on_stage import OnStage
from dit_studio.ui.sample.restore_sheet import RestoreSheet
from dit_studio.ui.sample.session import SampleSession
from dit_studio.ui.sample.set_up import SampleSetUp
from dit_studio.ui.sample.stage import Stage
from dit_studio.ui.sample.sweep_tab import SweepTab
from dit_studio.ui.settings import Settings
from dit_studio.ui.widgets.columns import Columns, Side
from dit_studio.ui.widgets.message import MessageCard
from dit_studio.ui.widgets.page_keys import press_by_keys
from dit_studio.ui.widgets.scrolling import Scrolling

_LEFT, _RIGHT = 312, 280  # pixels
_SET_UP_TOOLTIP = "Model, classes and settings: what Generate begins with."


class SamplePage(QWidget):
    """Draws images from a model, and shows every step of it."""

    status_changed = Signal(str)  # one line for the status bar
    evaluate_asked = Signal(object)  # Path of a folder of samples
    evaluate_sweep_asked = Signal(object)  # Path of a sweep

    def __init__(self, settings: Settings, launcher: Launcher, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._settings = settings
        self.history = SampleHistory(samples_dir())
        self.session = SampleSession(launcher, self)
        self.exports = ExportMenu(launcher)
        self.set_up, self.stage, self.sweep = SampleSetUp(settings), Stage(extra=self.exports), SweepTab(settings)
        self.entries, self.message = HistoryPanel(self.history), MessageCard()
        self.comparing = Comparing(self.history, self)
        self.on_stage = OnStage(self.history, self.stage, self.exports)
        self.attention = Attention(launcher, self.history, self.stage, self.on_stage, self.exports.status, self)
        self.branching = Branching(self.history, self.set_up)
        self.model = ChosenModel(launcher, self.session, self.set_up, self)
        self._build()
        self._connect()
        self.history.empty_trash()
        self.history.clear_up()
        QTimer.singleShot(0, self, self._open_remembered)

    # --------------------------------------------------------------------------------------------- what others ask

    def open_model(self, path: Path) -> None:
        """Sample from a run, a checkpoint or a file of weights."""
        self.model.open(str(path), "ema")

    def open_picture(self, path: Path) -> None:
        """Offer the settings inside a PNG, after showing what would change."""
        try:
            found = read_settings(path)
        except StudioError as error:
            self._refuse(error)
            return
        sheet = RestoreSheet(path, found, self.set_up.typed(), self.session.model, parent=self)
        sheet.applied.connect(self._restore)
        sheet.open()

    def close_page(self) -> None:
        """End the page's jobs, and wait for their threads."""
        if self._columns.count == 3:
            self._settings.save_form("sample_columns", {"sizes": self._columns.sizes()})
        self.exports.status.close_jobs()
        self.model.close_jobs()
        self.attention.close_job()
        self.session.close()

    # --------------------------------------------------------------------------------------------- drawing

    def _generate(self) -> None:
        request = self.set_up.next_request()
        if request is None or self.session.is_busy:
            return
        self.message.clear()
        self._obey(lambda: self.session.generate(request, self.history.new_folder(), branch=self.branching.point))

    def _draw_sweep(self, axes: list[dict[str, Any]]) -> None:
        request = self.sweep.request()
        if request is None or self.session.is_busy or self.session.model is None:
            return
        self.message.clear()
        self._obey(lambda: self._begin_sweep(request, axes, self.history.new_folder()))

    def _begin_sweep(self, request: SampleRequest, axes: list[dict[str, Any]], folder: Path) -> None:
        self.sweep.begin(folder)
        self.session.sweep(request, axes, folder, model=self.sweep.model_path())

    def _on_begun(self, frames: Frames) -> None:
        folder, model = self.session.folder, self.session.model
        assert folder is not None
        self._show_images()
        self.on_stage.show_live(folder.name, frames, self.branching.point, model.class_names if model else ())
        self.entries.refresh()
        self.entries.mark_shown(folder.name)

    def _on_state(self, state: JobState) -> None:
        self.set_up.show_state(state, self._words(state))
        self.sweep.show_state(state)
        if state.is_active:
            self.attention.give_way()
            return
        self.status_changed.emit("")
        folder = self.session.folder
        if folder is not None:
            with contextlib.suppress(OSError):
                folder.rmdir()  # nothing was begun in it
            if not self.session.is_sweep:
                self._obey(lambda: self.on_stage.end(folder.name))
        self.entries.refresh()

    def _words(self, state: JobState) -> str:
        if state is JobState.PREPARING and self.exports.status.is_running:
            return "Waits while an export is drawn."
        if state is JobState.STOPPED and not self.session.is_sweep:
            return f"Stopped; {self.session.done} finished and kept."
        return ""

    def _on_refused(self, refused: SettingsRefused) -> None:
        if self.session.is_sweep:
            self.sweep.show_problems(refused.problems)
        else:
            self.set_up.show_problems(refused.problems)
        self._say(" ".join(sentence for _, sentence in refused.problems), "error")

    # --------------------------------------------------------------------------------------------- branches

    def _branch_from(self, image: int, step: int) -> None:
        place = self.on_stage.place(image, step)
        found = self.history.entry(place.entry)
        if found is None or self.session.is_busy:
            self._say("A branch begins from a finished trajectory: wait until it has ended, or stop it.", "warning")
            return
        self._obey(lambda: self._prepare_branch(found, place))

    def _prepare_branch(self, found: HistoryEntry, place: Place) -> None:
        self.branching.prepare(found, place)
        self._columns.show_side(self.set_up)

    # --------------------------------------------------------------------------------------------- the history

    def _open_entry(self, name: str) -> None:
        is_being_drawn = self.session.is_busy and self.session.folder is not None and name == self.session.folder.name
        if not is_being_drawn:
            self._obey(lambda: self._show_entry(name))

    def _show_entry(self, name: str) -> None:
        found = self.history.entry(name)
        if found is None:
            self._say(f"The entry {name} is gone, or cannot be read.", "warning")
        elif found.sweep is not None:
            self._show_sweep(name)
        else:
            self._show_images()
            self.on_stage.show(found)
            self.entries.mark_shown(name)

    def _show_sweep(self, name: str) -> None:
        """Raises: DataError if it cannot be read."""
        if self.session.is_busy and self.session.is_sweep:
            self._say("A sweep is being drawn; stop it, or wait, to look at another.", "warning")
            return
        folder = self.history.root / name
        self.sweep.show_record(open_sweep(folder), folder)
        self._tabs.setCurrentWidget(self.sweep)
        self.entries.mark_shown(name)

    def _restore_entry(self, name: str) -> None:
        found = self.history.entry(name)
        if found is not None:
            record = found.entry.record
            self.branching.forget()
            self.set_up.set_request(record.request)
            self._columns.show_side(self.set_up)
            loaded = self.session.model
            if loaded is None or loaded.fingerprint != record.model.fingerprint:
                model = record.model.name or record.model.path
                self._say(f"The settings are those of {model}; its model was not opened.", "info")

    def _restore(self, request: SampleRequest, model: str, weights: str) -> None:
        """Settings of a dropped PNG or of a sweep's cell, and the model that is wanted with them ("" for none)."""
        self.branching.forget()
        self.set_up.set_request(request)
        picker = self.set_up.model
        if model and (model, weights) != (picker.path, picker.weights_name):
            self.model.open(model, weights)

    def _on_deleted(self, name: str) -> None:
        if self.branching.point is not None and self.branching.point.entry == name:
            self.branching.forget()
        if name == self.on_stage.name and not self.session.is_busy:
            self.on_stage.clear()

    def _star(self, image: int) -> None:
        self._obey(lambda: self._say_unless(self.on_stage.toggle_star(image), "a favourite"))
        self.entries.refresh()

    # --------------------------------------------------------------------------------------------- compare, export

    def _compare_shown(self, image: int) -> None:
        place = self.on_stage.place(image)
        self._compare_entry(place.entry, place.image)

    def _compare_entry(self, name: str, image: int) -> None:
        self._obey(lambda: self._say_unless(self.comparing.pin(name, image), "compared"))
        self._side.setCurrentWidget(self._pins)
        self._columns.show_side(self._side)

    def _say_unless(self, is_done: bool, what: str) -> None:
        if not is_done:
            self._say(f"An image can be {what} once it is finished and on the disk.", "info")

    def _show_comparison(self) -> None:
        self._tabs.setCurrentWidget(self._images)
        self._images.setCurrentWidget(self.comparing.view)

    def _menu(self, image: int, where: QPoint) -> None:
        menu = self.exports.menu()
        if menu is not None and image == self.stage.current_image:
            self.on_stage.show_exports()
            menu.popup(where)

    def _export_entry(self, name: str) -> None:
        """The menu for an entry of the history, which is opened first."""
        self._open_entry(name)
        menu = self.exports.menu()
        if menu is not None and self.on_stage.name == name:
            menu.popup(QCursor.pos())

    # --------------------------------------------------------------------------------------------- the model

    def _on_model(self, model: SampleModel) -> None:
        if ended := self.branching.check(model):
            self._say(ended, "info")
        self._suggest_settings()

    def _on_model_changed(self) -> None:
        self.attention.show_model(self.session.model)
        self._show_base()

    def _suggest_settings(self) -> None:
        path = Path(self.set_up.model.path)
        place = path.parent.parent if path.parent.name == "checkpoints" else path
        if RunFolder(place).is_run():
            self._obey(lambda: self.set_up.suggest(RunFolder(place).recipe().sample))

    def _show_base(self) -> None:
        """What a sweep is laid over."""
        picker = self.set_up.model
        self.sweep.show_model(self.session.model, picker.path, picker.weights_name)
        self.sweep.set_base(self.set_up.request())

    def _open_remembered(self) -> None:
        """The model, and what was drawn last."""
        self.model.open_remembered()
        newest = next((entry for entry in self.history.entries() if entry.sweep is None), None)
        if self.on_stage.film is None and newest is not None:
            self._obey(lambda: self.on_stage.show(newest))
            self.entries.mark_shown(newest.name)

    # --------------------------------------------------------------------------------------------- how it is made

    def _on_grew(self) -> None:
        self.stage.film_grew()
        frames = self.session.frames
        if frames is not None:
            step = frames.steps_done(min(self.session.done, frames.images - 1))
            text = f"step {step}/{len(frames.points)}, {self.session.done} of {frames.images} images finished"
            self.set_up.show_progress(text, frames.frames_done, frames.images * len(frames.points))
            self.status_changed.emit(f"drawing: {text}")

    def _on_waiting(self, text: str) -> None:
        self.set_up.show_progress(text)

    def _show_images(self) -> None:
        self._tabs.setCurrentWidget(self._images)
        self._images.setCurrentWidget(self.stage)

    def _obey(self, action: Callable[[], object]) -> None:
        try:
            action()
        except StudioError as error:
            self._refuse(error)

    def _refuse(self, error: StudioError) -> None:
        self.message.show_failure(Failure(message=error.message, remedy=error.remedy, code=error.code))

    def _say(self, text: str, level: str) -> None:
        self.message.show_notice(text, level=level)

    def _connect(self) -> None:
        session, set_up, stage = self.session, self.set_up, self.stage
        session.state_changed.connect(self._on_state)
        session.waiting.connect(self._on_waiting)
        self.model.loaded.connect(self._on_model)
        self.model.changed.connect(self._on_model_changed)
        session.begun.connect(self._on_begun)
        session.grew.connect(self._on_grew)
        session.refused.connect(self._on_refused)
        session.failed.connect(self.message.show_failure)
        session.noticed.connect(self._say)
        session.sweep_said.connect(self.sweep.add_events)
        set_up.generate_asked.connect(self._generate)
        set_up.stop_asked.connect(session.stop)
        self.attention.model_asked.connect(self.model.open)
        set_up.branch_cancelled.connect(self.branching.cancel)
        set_up.changed.connect(self._show_base)
        stage.branch_asked.connect(self._branch_from)
        stage.star_toggled.connect(self._star)
        stage.compare_asked.connect(self._compare_shown)
        stage.menu_asked.connect(self._menu)
        stage.image_picked.connect(self.on_stage.show_exports)
        self.entries.opened.connect(self._open_entry)
        self.entries.sweep_opened.connect(self._open_entry)
        self.entries.export_asked.connect(self._export_entry)
        self.entries.restore_asked.connect(self._restore_entry)
        self.entries.compare_asked.connect(self._compare_entry)
        self.entries.deleted.connect(self._on_deleted)
        self.entries.said.connect(self._say)
        self.comparing.shown.connect(self._show_comparison)
        self.comparing.closed.connect(self._show_images)
        self.exports.said.connect(self._say)
        self.sweep.start_asked.connect(self._draw_sweep)
        self.sweep.stop_asked.connect(session.stop)
        self.sweep.restore_asked.connect(self._restore)
        self.sweep.evaluate_asked.connect(self.evaluate_asked)
        self.sweep.evaluate_all_asked.connect(self.evaluate_sweep_asked)

    def _build(self) -> None:
        self._images = QStackedWidget()
        self._images.setContentsMargins(0, 8, 0, 0)
        self._images.addWidget(self.stage)
        self._images.addWidget(self.comparing.view)
        self._tabs = QTabWidget(documentMode=True)
        self._tabs.tabBar().setDrawBase(False)
        self._tabs.tabBar().setAccessibleName("Views of what is drawn")
        self._tabs.setTabToolTip(self._tabs.addTab(self._images, "Images"), "The images, and every step of each.")
        self._tabs.setTabToolTip(self._tabs.addTab(self.sweep, "Sweep"), "Many settings side by side.")
        self._pins = Scrolling(self.comparing.pins)
        self._side = QTabWidget(documentMode=True)
        self._side.tabBar().setDrawBase(False)
        self._side.tabBar().setAccessibleName("What was drawn")
        self._side.setTabToolTip(self._side.addTab(self.entries, "History"), "What was drawn before.")
        self._side.setTabToolTip(self._side.addTab(self._pins, "Compare"), "Two images or trajectories, pinned.")
        centre = QWidget()
        column = QVBoxLayout(centre)
        column.setContentsMargins(8, 0, 8, 0)
        column.setSpacing(8)
        column.addWidget(self.message)
        column.addWidget(self._tabs, 1)
        column.addWidget(self.exports.status)
        self._columns = Columns(
            Side(self.set_up, _LEFT, "Set-up", _SET_UP_TOOLTIP, bar=self.set_up.bar),
            centre,
            self._tabs,
            Side(self._side, _RIGHT, "History", "What was drawn before, and what is compared."),
        )
        if sizes := self._settings.form("sample_columns").get("sizes"):
            self._columns.set_sizes(sizes)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._columns)
        press_by_keys(self, {"Ctrl+Return": [self.set_up.bar.generate], "Ctrl+.": [self.set_up.bar.stop]})
