"""The Sample page: what is asked on the left, images coming out of noise in the centre, what was drawn on the right."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from PySide6.QtCore import QPoint, QTimer, Signal
from PySide6.QtWidgets import QStackedWidget, QTabWidget, QVBoxLayout, QWidget

from dit_studio.errors import StudioError
from dit_studio.events import Failure, JobState, SampleModel, SettingsRefused
from dit_studio.image_settings import read_settings
from dit_studio.jobs.launch import Launcher
from dit_studio.jobs.run_folder import RunFolder, list_runs
from dit_studio.jobs.sample_history import HistoryEntry, SampleHistory
from dit_studio.places import runs_dir, samples_dir
from dit_studio.sample_request import BranchPoint, SampleRequest
from dit_studio.ui.sample.compare import ComparePanel
from dit_studio.ui.sample.compare_view import CompareView
from dit_studio.ui.sample.export_menu import ExportMenu
from dit_studio.ui.sample.film import Film
from dit_studio.ui.sample.frames import Frames
from dit_studio.ui.sample.history import HistoryPanel
from dit_studio.ui.sample.lineage import Place, film_of, origin_of, place_of, with_parent
from dit_studio.ui.sample.restore_sheet import RestoreSheet
from dit_studio.ui.sample.session import SampleSession
from dit_studio.ui.sample.set_up import SampleSetUp
from dit_studio.ui.sample.stage import Stage
from dit_studio.ui.sample.sweep_tab import SweepTab
from dit_studio.ui.settings import Settings
from dit_studio.ui.train.amounts import memory
from dit_studio.ui.widgets.columns import Columns, Side
from dit_studio.ui.widgets.message import MessageCard

_LEFT, _RIGHT = 312, 280  # pixels


class SamplePage(QWidget):
    """Draws images from a model, and shows every step of it."""

    status_changed = Signal(str)  # one line for the status bar
    evaluate_asked = Signal(object)  # Path of a folder of samples or of a sweep

    def __init__(self, settings: Settings, launcher: Launcher, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._settings = settings
        self.history = SampleHistory(samples_dir())
        self.session = SampleSession(launcher, self)
        self.set_up, self.stage, self.compare_view = SampleSetUp(settings), Stage(), CompareView()
        self.entries, self.pins, self.exports = HistoryPanel(self.history), ComparePanel(), ExportMenu(launcher)
        self.sweep = SweepTab(settings)
        self.message = MessageCard()
        self._branch: BranchPoint | None = None  # of the next Generate
        self._shown = ""  # the name of the entry on the stage
        self._film: Film | None = None
        self._build()
        self._connect()
        self.history.empty_trash()
        self.history.clear_up()
        QTimer.singleShot(0, self, self._open_remembered)

    # --------------------------------------------------------------------------------------------- what others ask

    def open_model(self, path: Path) -> None:
        """Sample from a run, a checkpoint or a file of weights."""
        self.set_up.set_model(str(path))
        self._load(str(path), self.set_up.model.weights_name)

    def open_picture(self, path: Path) -> None:
        """Offer the settings inside a PNG, after showing what would change."""
        try:
            found = read_settings(path)
        except StudioError as error:
            self._refuse(error)
            return
        now = self.set_up.request() or SampleRequest()
        sheet = RestoreSheet(path, found, now, self.session.model, parent=self)
        sheet.applied.connect(self._restore)
        sheet.open()

    def close_page(self) -> None:
        """End the page's jobs, and wait for their threads."""
        if self._columns.count == 3:
            self._settings.save_form("sample_columns", {"sizes": self._columns.sizes()})
        self.exports.status.close_jobs()
        self.session.close()

    # --------------------------------------------------------------------------------------------- drawing

    def _generate(self) -> None:
        request = self.set_up.next_request()
        if request is None or self.session.is_busy:
            return
        self.message.clear()
        self._obey(lambda: self.session.generate(request, self.history.new_folder(), branch=self._branch))

    def _draw_sweep(self, axes: list[dict[str, Any]]) -> None:
        request = self.sweep.request()
        if request is None or self.session.is_busy:
            return
        self.message.clear()
        self._obey(lambda: self._begin_sweep(request, axes, self.history.new_folder()))

    def _begin_sweep(self, request: SampleRequest, axes: list[dict[str, Any]], folder: Path) -> None:
        self.sweep.begin(folder)
        self.session.sweep(request, axes, folder, model=self.sweep.model_path())

    def _on_begun(self, frames: Frames) -> None:
        folder = self.session.folder
        assert folder is not None
        self._shown = folder.name
        self._film = with_parent(self.history, frames, self._branch)
        self._show_images()
        self.stage.set_stars(set())
        model = self.session.model
        names = model.class_names if model else ()
        self.stage.show_film(self._film, live=True, class_names=names, memory=frames.memory_text)
        self._show_exports()

    def _on_state(self, state: JobState) -> None:
        self.set_up.show_state(state, self._words(state))
        self.sweep.show_state(state)
        if state.is_active:
            return
        self.status_changed.emit("")
        if not self.session.is_sweep:
            self._show_drawn()
        self.entries.refresh()

    def _show_drawn(self) -> None:
        if self.session.frames is None and self.session.folder is not None:  # its steps could not be shown
            self._shown, self._film = self.session.folder.name, None
        if self._film is not None:
            self.stage.film_ended()
        self._show_kept()

    def _words(self, state: JobState) -> str:
        if state is JobState.STOPPED and not self.session.is_sweep:
            return f"stopped; {self.session.done} finished and kept"
        return ""

    def _show_kept(self) -> None:
        """From now on the film on the disk, which stays when the next one is drawn."""
        found = self.history.entry(self._shown)
        if found is not None and found.has_trajectory:
            image, step = self.stage.current_image, self.stage.current_step
            self._obey(lambda: self._show_film(found, image=image, step=step))
        self._show_exports()

    def _show_film(self, found: HistoryEntry, *, image: int = 0, step: int | None = None) -> None:
        """Raises: DataError if the entry's film cannot be read."""
        self._film = film_of(self.history, found.name)
        self._shown = found.name
        self._show_stars()
        size = self.history.size_bytes(found.name)
        self.stage.show_film(
            self._film,
            image=image,
            step=step,
            class_names=found.entry.record.model.class_names,
            memory=f"{memory(size)} on the disk" if found.has_trajectory else "",
        )

    def _on_refused(self, refused: SettingsRefused) -> None:
        self.set_up.show_problems(refused.problems)
        self._say(" ".join(sentence for _, sentence in refused.problems), "error")

    def _on_failed(self, failure: Failure) -> None:
        self.message.show_failure(failure)

    # --------------------------------------------------------------------------------------------- branches

    def _branch_from(self, image: int, step: int) -> None:
        """Generate goes on from this x_t; the settings become those of the image, for the user to change."""
        place = self._place(image, step)
        found = self.history.entry(place.entry)
        if found is None or self.session.is_busy:
            self._say("A branch begins from a finished trajectory: wait until it has ended, or stop it.", "warning")
            return
        self._obey(lambda: self._prepare_branch(found, place))

    def _place(self, image: int, step: int = 1) -> Place:
        """Whose image of the stage it is: of the entry that is shown, or of its parent."""
        found = self.history.entry(self._shown)
        if found is None or self._film is None:
            return Place(self._shown, image, step)
        return place_of(self._film, entry=self._shown, branch=found.entry.record.branch, image=image, step=step)

    def _prepare_branch(self, found: HistoryEntry, place: Place) -> None:
        point, image = origin_of(self.history, place), place.image
        record = found.entry.record
        self._branch = point
        self.set_up.set_request(
            msgspec.structs.replace(
                record.request, classes=(record.label_of(image),), seed=record.request.seed + image, count=1
            )
        )
        self.set_up.show_branch(
            f"Branch from image {image + 1} ({record.class_of(image)}) at step {place.step} · t = {point.t:.4g}. "
            "Change the class, CFG, seed or sampler; Generate goes on from there."
        )

    def _forget_branch(self) -> None:
        self._branch = None
        self.set_up.clear_branch()

    # --------------------------------------------------------------------------------------------- the history

    def _open_entry(self, name: str) -> None:
        if self.session.is_busy and self.session.folder is not None and name == self.session.folder.name:
            return
        self._obey(lambda: self._show_entry(name))

    def _show_entry(self, name: str) -> None:
        found = self.history.entry(name)
        if found is None:
            self._say(f"The entry {name} is gone, or cannot be read.", "warning")
            return
        self._show_images()
        self._show_film(found)
        self.entries.mark_shown(name)
        self._show_exports()

    def _restore_entry(self, name: str) -> None:
        found = self.history.entry(name)
        if found is None:
            return
        record = found.entry.record
        self._forget_branch()
        self.set_up.set_request(record.request)
        self._say(
            f"The settings are those of {record.model.name or record.model.path}; its model was not opened.", "info"
        )

    def _restore(self, request: SampleRequest, model: str, weights: str) -> None:
        """What the sheet of a dropped PNG gave, and the model that the user asked for with it."""
        self._forget_branch()
        self.set_up.set_request(request)
        if model:
            self.set_up.set_model(model, weights)
            self._load(model, weights)

    def _on_deleted(self, name: str) -> None:
        if self._branch is not None and self._branch.entry == name:
            self._forget_branch()
        if name == self._shown and not self.session.is_busy:
            self._shown, self._film = "", None
            self.stage.show_film(None)
            self._show_exports()

    def _show_stars(self) -> None:
        places = [(image, self._place(image)) for image in range(self._film.images if self._film else 0)]
        entries = {name: self.history.entry(name) for name in {place.entry for _, place in places}}
        stars = {
            image for image, place in places if (found := entries[place.entry]) and place.image in found.favourites
        }
        self.stage.set_stars(stars)

    def _star(self, image: int) -> None:
        place = self._place(image)
        found = self.history.entry(place.entry)
        if found is None:
            self._say("An image can be a favourite once its entry is on the disk.", "info")
            return
        is_on = place.image not in found.favourites
        self._obey(lambda: self.history.set_favourite(found.name, place.image, on=is_on))
        self._show_stars()
        self.entries.refresh()

    # --------------------------------------------------------------------------------------------- compare, export

    def _compare_shown(self, image: int) -> None:
        place = self._place(image)
        self._compare_entry(place.entry, place.image)

    def _compare_entry(self, name: str, image: int) -> None:
        self._obey(lambda: self._pin(name, image))

    def _pin(self, name: str, image: int) -> None:
        found = self.history.entry(name)
        if found is None:
            self._say("An image can be compared once its entry is on the disk.", "info")
            return
        film = film_of(self.history, name)
        self.pins.pin(film, image, f"{found.entry.record.class_of(image)} · seed {film.seeds[image]}")
        self._side.setCurrentWidget(self.pins)
        if all(self.pins.pins):
            self._show_comparison()

    def _show_comparison(self) -> None:
        first, second = self.pins.pins
        if first is None or second is None:
            self._show_images()
            return
        self.compare_view.show_pins(first, second)
        self._tabs.setCurrentIndex(0)
        self._images.setCurrentWidget(self.compare_view)
        self.compare_view.setFocus()

    def _on_pins_changed(self) -> None:
        if self._images.currentWidget() is self.compare_view:
            self._show_comparison()

    def _menu(self, image: int, where: QPoint) -> None:
        self._show_exports()
        menu = self.exports.menu()
        if menu is not None and image == self.stage.current_image:
            menu.popup(where)

    def _show_exports(self) -> None:
        busy = self.session.is_busy and self.session.folder is not None and self.session.folder.name == self._shown
        found = None if busy else self.history.entry(self._shown) if self._shown else None
        place = self._place(self.stage.current_image)
        if found is not None and place.entry != found.name:
            self._obey(lambda: self._show_exports_of(place))
            return
        self.exports.show_entry(found, place.image, self._film)

    def _show_exports_of(self, place: Place) -> None:
        self.exports.show_entry(self.history.entry(place.entry), place.image, film_of(self.history, place.entry))

    # --------------------------------------------------------------------------------------------- the model

    def _load(self, path: str, weights: str) -> None:
        if not path:
            return
        self.set_up.show_loading("Loading the model")
        self.session.load(path, weights)

    def _on_model(self, model: SampleModel) -> None:
        self.set_up.show_model(model)
        self._suggest_settings()
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
        """The model that was open last, or the newest run that has something to sample from."""
        path = self.set_up.model.path
        if not path:
            runs = [run.folder for run in list_runs(runs_dir()) if run.folder.checkpoints()]
            path = str(runs[0].path) if runs else ""
            if path:
                self.set_up.set_model(path)
        if path and self.session.model is None:
            self._load(path, self.set_up.model.weights_name)
        if self._film is None and (drawn := self.history.entries()):
            self._open_entry(drawn[0].name)

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
        self._tabs.setCurrentIndex(0)
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
        session.loading.connect(set_up.show_loading)
        session.waiting.connect(self._on_waiting)
        session.model_loaded.connect(self._on_model)
        session.model_failed.connect(set_up.show_failure)
        session.begun.connect(self._on_begun)
        session.grew.connect(self._on_grew)
        session.refused.connect(self._on_refused)
        session.failed.connect(self._on_failed)
        session.noticed.connect(self._say)
        session.sweep_said.connect(self.sweep.add_events)
        set_up.generate_asked.connect(self._generate)
        set_up.stop_asked.connect(session.stop)
        set_up.model_chosen.connect(self._load)
        set_up.branch_cancelled.connect(self._forget_branch)
        set_up.changed.connect(self._show_base)
        stage.branch_asked.connect(self._branch_from)
        stage.star_toggled.connect(self._star)
        stage.compare_asked.connect(self._compare_shown)
        stage.menu_asked.connect(self._menu)
        stage.image_picked.connect(self._show_exports)
        self.entries.opened.connect(self._open_entry)
        self.entries.restore_asked.connect(self._restore_entry)
        self.entries.compare_asked.connect(self._compare_entry)
        self.entries.deleted.connect(self._on_deleted)
        self.entries.said.connect(self._say)
        self.pins.open_asked.connect(self._show_comparison)
        self.pins.changed.connect(self._on_pins_changed)
        self.compare_view.closed.connect(self._show_images)
        self.compare_view.swap_asked.connect(self.pins.swap)
        self.exports.said.connect(self._say)
        self.sweep.start_asked.connect(self._draw_sweep)
        self.sweep.stop_asked.connect(session.stop)
        self.sweep.restore_asked.connect(set_up.set_request)
        self.sweep.evaluate_asked.connect(self.evaluate_asked)

    def _build(self) -> None:
        self._images = QStackedWidget()
        self._images.setContentsMargins(0, 8, 0, 0)  # below the corner's button
        self._images.addWidget(self.stage)
        self._images.addWidget(self.compare_view)
        self._tabs = QTabWidget(documentMode=True)
        self._tabs.tabBar().setDrawBase(False)
        self._tabs.tabBar().setAccessibleName("Views of what is drawn")
        self._tabs.setTabToolTip(self._tabs.addTab(self._images, "Images"), "The images, and every step of each.")
        self._tabs.setTabToolTip(self._tabs.addTab(self.sweep, "Sweep"), "Many settings side by side.")
        self._tabs.setCornerWidget(self.exports)
        self._side = QTabWidget(documentMode=True)
        self._side.tabBar().setDrawBase(False)
        self._side.tabBar().setAccessibleName("What was drawn")
        self._side.setTabToolTip(self._side.addTab(self.entries, "History"), "What was drawn before.")
        self._side.setTabToolTip(self._side.addTab(self.pins, "Compare"), "Two images or trajectories, pinned.")
        centre = QWidget()
        column = QVBoxLayout(centre)
        column.setContentsMargins(8, 0, 8, 0)
        column.setSpacing(8)
        column.addWidget(self.message)
        column.addWidget(self._tabs, 1)
        column.addWidget(self.exports.status)
        self._columns = Columns(
            Side(self.set_up, _LEFT, "Set-up", "Model, classes and settings: what Generate begins with."),
            centre,
            self._tabs,
            Side(self._side, _RIGHT, "History", "What was drawn before, and what is compared."),
        )
        if sizes := self._settings.form("sample_columns").get("sizes"):
            self._columns.set_sizes(sizes)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._columns)
