"""The window: a rail, the pages, a status bar; what is dropped, opened, closed and remembered."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import cast

from PySide6.QtCore import QByteArray, QEvent, Signal
from PySide6.QtGui import QCloseEvent, QKeySequence, QShortcut, QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QMainWindow, QStackedWidget, QVBoxLayout, QWidget

from dit_studio.events import Failure, ModelFiles
from dit_studio.jobs.launch import Launcher
from dit_studio.jobs.queue import Queue
from dit_studio.ui.closing import ask_about_runs
from dit_studio.ui.device_label import DeviceLabel
from dit_studio.ui.drops import (
    DropSheet,
    drop_words,
    is_measured,
    kind_of,
    left_out_words,
    page_for,
    refusal,
    taken_together,
)
from dit_studio.ui.leaving import Ask, Leaving
from dit_studio.ui.notifications import Notifications
from dit_studio.ui.page_needs import EvaluatePageLike, SamplePageLike, TrainPageLike
from dit_studio.ui.queue.access import QueueAccess
from dit_studio.ui.queue.words import at_work_words
from dit_studio.ui.rail import PageEntry, Rail
from dit_studio.ui.run_news import RunNews, Tells
from dit_studio.ui.run_watch import MakeQueue, RunsSeen, RunWatch
from dit_studio.ui.settings import Settings
from dit_studio.ui.shortcuts import ShortcutSheet
from dit_studio.ui.widgets.basics import ElidedLabel
from dit_studio.ui.widgets.message import MessageCard

PAGES = (
    PageEntry("train", "Train", "Choose images and a model, train, and watch."),
    PageEntry("sample", "Sample", "Draw images from a model, and see how they come out of noise."),
    PageEntry("evaluate", "Evaluate", "Measure images and models, and compare them."),
    PageEntry("runs", "Runs", "All runs: open, resume, compare."),
    PageEntry("speed", "Speed", "How fast attention and the models are on this machine.", is_last=True),
    PageEntry("files", "Model files", "The networks that metrics need: what is here, and how to get it."),
    PageEntry("settings", "Settings", "Folders, theme, text size."),
)
DEFAULT_SIZE = (1280, 800)
MINIMUM_SIZE = (1024, 640)
_NO_RUN = "no run in progress"


MakePage = Callable[[Settings, Launcher], QWidget]


class MainWindow(QMainWindow):
    """Pages are built when they are first shown. `make_…_page` and `ask` are there for tests to answer."""

    closed = Signal()

    def __init__(
        self,
        settings: Settings,
        launcher: Launcher,
        *,
        make_train_page: MakePage | None = None,
        make_sample_page: MakePage | None = None,
        make_evaluate_page: MakePage | None = None,
        ask: Ask = ask_about_runs,
        make_queue: MakeQueue = Queue,
        notifications: Tells | None = None,
    ) -> None:
        super().__init__()
        self._settings, self._launcher = settings, launcher
        self._watch = RunWatch(make_queue, self)
        self._notifications = notifications or Notifications(self)
        self._news = RunNews(
            settings, self._notifications, is_watched=self._is_in_view, are_listed=self._are_runs_listed, parent=self
        )
        self._queue = QueueAccess(self._watch, self)
        self._told_status = ""  # by the Train page, of its run
        self._make_train_page = make_train_page or _train_page
        self._make_sample_page = make_sample_page or _sample_page
        self._make_evaluate_page = make_evaluate_page or _evaluate_page
        self._pages: dict[str, QWidget] = {}
        self._is_leaving = False
        self._refusal = ""  # the newest one of what could not be opened
        self._rail = Rail(PAGES)
        self._stack = QStackedWidget()
        self._message = MessageCard()
        self._run_status = ElidedLabel(_NO_RUN, role="caption")
        self._device = DeviceLabel(launcher)
        self._notes = ElidedLabel(role="caption")
        self._leaving = Leaving(
            self, launcher, self._watch, ask=ask, page=self._built_train_page, status=self._run_status.text
        )
        self._build()
        self._connect()
        self._restore()

    # --------------------------------------------------------------------------------------------- pages

    def show_page(self, key: str) -> None:
        self._rail.show_page(key)
        self._stack.setCurrentWidget(self.page(key))
        self._settings.put(page=key)
        if key == "runs":
            self._news.forget()

    def page(self, key: str) -> QWidget:
        """The page, built now if it was not yet."""
        if key not in self._pages:
            self._pages[key] = self._make_page(key)
            self._stack.addWidget(self._pages[key])
        return self._pages[key]

    @property
    def train_page(self) -> TrainPageLike:
        return cast(TrainPageLike, self.page("train"))

    def _built_train_page(self) -> TrainPageLike | None:
        return self.train_page if "train" in self._pages else None

    @property
    def sample_page(self) -> SamplePageLike:
        return cast(SamplePageLike, self.page("sample"))

    @property
    def evaluate_page(self) -> EvaluatePageLike:
        return cast(EvaluatePageLike, self.page("evaluate"))

    def open_path(self, path: Path) -> None:
        """Open a run, model or recipe, take the settings of a picture, or a folder or archive as data set; or say why
        not. Where the Sample page is shown a run is sampled from; the Evaluate page measures what it is given."""
        kind = kind_of(path)
        if kind == "nothing":
            self._refuse(refusal(path))
            return
        self._forget_refusal()
        page = page_for(kind, self._rail.shown())
        self.show_page(page)
        if page == "runs":
            self._import_run(path)
        elif page == "evaluate":
            self._open_in_evaluate(path, kind)
        elif page == "sample":
            opens = self.sample_page.open_picture if kind == "picture" else self.sample_page.open_model
            opens(path.parent if path.name == "run.toml" else path)
        elif kind == "run":
            self.train_page.open_run(path if path.is_dir() else path.parent)
        elif kind == "recipe":
            self.train_page.open_recipe(path)
        else:
            self.train_page.open_data(path)

    def open_dropped(self, paths: Sequence[Path]) -> None:
        """Open what was let go over the window: all images where they are measured, else the first."""
        taken = taken_together(paths, self._rail.shown()) if len(paths) > 1 else paths
        for path in taken:
            self.open_path(path)
        if left := [path for path in paths if path not in taken]:
            self._refuse(left_out_words(left))

    def come_to_front(self, path: Path | None = None) -> None:
        """Another start of the program: show this window, and open its path."""
        self.showNormal() if self.isMinimized() else self.show()
        self.raise_()
        self.activateWindow()
        if path is not None:
            self.open_path(path)

    def show_failure(self, failure: Failure) -> None:
        """An error that no page took care of."""
        self._message.show_failure(failure)

    def show_shortcuts(self) -> None:
        ShortcutSheet([(entry.title, f"Ctrl+{number}") for number, entry in enumerate(PAGES, 1)], self).open()

    def _make_page(self, key: str) -> QWidget:
        if key == "train":
            page = self._make_train_page(self._settings, self._launcher)
            train = cast(TrainPageLike, page)
            train.status_changed.connect(self._on_status)
            train.sample_asked.connect(self.sample_from)
            train.evaluate_asked.connect(self.evaluate_model)
            train.files_asked.connect(self._show_model_file)
            train.queue_changed.connect(self._watch.look)
            return page
        if key == "sample":
            page = self._make_sample_page(self._settings, self._launcher)
            sample = cast(SamplePageLike, page)
            sample.status_changed.connect(self._notes.setText)
            sample.evaluate_asked.connect(self.evaluate_images)
            sample.evaluate_sweep_asked.connect(self.evaluate_sweep)
            return page
        if key == "evaluate":
            page = self._make_evaluate_page(self._settings, self._launcher)
            evaluate = cast(EvaluatePageLike, page)
            evaluate.status_changed.connect(self._notes.setText)
            evaluate.model_files_asked.connect(self._show_model_file)
            evaluate.dropped.connect(self._forget_refusal)
            return page
        if key == "files":
            return self._make_files_page()
        if key == "speed":
            from dit_studio.ui.speed.page import SpeedPage

            speed = SpeedPage(self._settings, self._launcher)
            speed.status_changed.connect(self._notes.setText)
            return speed
        if key == "runs":
            from dit_studio.ui.runs.page import RunsPage  # each page is imported when it is first shown

            runs = RunsPage(self._settings, self._launcher)
            runs.open_run.connect(self.open_path)
            runs.resume_run.connect(self._resume_run)
            runs.sample_run.connect(self.sample_from)
            runs.evaluate_run.connect(self.evaluate_model)
            runs.queue_asked.connect(self.show_queue)
            runs.train_asked.connect(partial(self.show_page, "train"))
            return runs
        from dit_studio.ui.settings_page import SettingsPage

        return SettingsPage(self._settings, self._launcher)

    def sample_from(self, path: Path) -> None:
        """Show the Sample page with the model of a run or checkpoint."""
        self.show_page("sample")
        self.sample_page.open_model(path)

    def evaluate_model(self, path: Path) -> None:
        """Show the Evaluate page with a run or checkpoint to be measured."""
        self.show_page("evaluate")
        self.evaluate_page.open_model(path)

    def evaluate_images(self, path: Path) -> None:
        """Show the Evaluate page with a folder of samples to be measured."""
        self.show_page("evaluate")
        self.evaluate_page.open_images([path])

    def evaluate_sweep(self, folder: Path) -> None:
        """Show the Evaluate page with the cells of a sweep to be measured."""
        self.show_page("evaluate")
        self.evaluate_page.open_sweep(folder)

    def _open_in_evaluate(self, path: Path, kind: str) -> None:
        """A model is measured; of images the first are the reference, and those that follow are measured."""
        if kind in ("run", "model"):
            self.evaluate_page.open_model(path.parent if path.name == "run.toml" else path)
        else:
            self.evaluate_page.open_dropped(path)

    def _drop_words(self, paths: Sequence[Path]) -> str:
        """What will happen to what hovers over the window."""
        shown = self._rail.shown()
        taken = taken_together(paths, shown)
        kind = kind_of((taken or list(paths))[0])
        if is_measured(kind) and page_for(kind, shown) == "evaluate" and "evaluate" in self._pages:
            return self.evaluate_page.drop_words(len(taken))
        words = drop_words(kind, shown)
        return f"{words}: {taken[0].name} alone" if taken and len(paths) > len(taken) else words

    def _refuse(self, words: str) -> None:
        """Why something was not opened, until something is."""
        self._refusal = words
        self._message.show_notice(words, level="warning")

    def _forget_refusal(self) -> None:
        if self._message.text() == self._refusal:
            self._message.clear()

    def _make_files_page(self) -> QWidget:
        from dit_studio.ui.model_files.page import ModelFilesPage

        files = ModelFilesPage(self._settings, self._launcher)
        files.files_changed.connect(self._on_model_files)
        files.open_model_requested.connect(lambda path: self.sample_from(Path(path)))
        files.use_vae_requested.connect(self._use_vae)
        return files

    def _import_run(self, path: Path) -> None:
        from dit_studio.ui.runs.page import RunsPage

        cast(RunsPage, self.page("runs")).import_file(path)

    def _use_vae(self, name: str) -> None:
        self.show_page("train")
        self.train_page.use_vae(name)

    def _on_model_files(self, files: ModelFiles) -> None:
        if "evaluate" in self._pages:
            self.evaluate_page.show_model_files(files)

    def _show_model_file(self, name: str) -> None:
        from dit_studio.ui.model_files.page import ModelFilesPage

        self.show_page("files")
        cast(ModelFilesPage, self.page("files")).show_file(name)

    def _resume_run(self, path: Path) -> None:
        self.open_path(path)
        self.train_page.resume()

    # --------------------------------------------------------------------------------------------- the queue

    def show_queue(self) -> None:
        """What is at work and what waits, in a window of its own."""
        self._queue.show()

    def _open_from_queue(self, path: Path) -> None:
        self.show_page("train")
        self.train_page.open_run(path)

    def _start_from_queue(self, path: Path) -> None:
        self.show_page("train")
        self.train_page.start_queued(path)

    def _on_runs_seen(self, seen: RunsSeen) -> None:
        if page := self._built_train_page():
            page.show_queue(seen)
        self._show_run_status()

    def _is_in_view(self, run: Path) -> bool:
        """Somebody looks at the run, as far as a window can know."""
        page = self._built_train_page() if self.isActiveWindow() and self._rail.shown() == "train" else None
        return page is not None and page.shown_run() == run

    def _are_runs_listed(self) -> bool:
        return self.isActiveWindow() and self._rail.shown() == "runs"

    def _on_ends_counted(self, count: int, is_alarm: bool) -> None:
        meaning = f"{count} ended since you looked" + (", not all of them well" if is_alarm else "")
        self._rail.show_badge("runs", count, is_alarm=is_alarm, meaning=f"{meaning}.")

    def _on_notification_clicked(self) -> None:
        self.come_to_front(self._news.newest)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.ActivationChange and self._are_runs_listed():
            self._news.forget()

    # --------------------------------------------------------------------------------------------- what happens

    def _on_status(self, text: str) -> None:
        self._told_status = text
        self._show_run_status()

    def _show_run_status(self) -> None:
        """What the Train page says of its run; while that is not at work, the newest of those that are."""
        page, seen = self._built_train_page(), self._watch.newest
        is_told = page is not None and page.is_running()
        text = self._told_status if is_told else at_work_words(seen.at_work) or self._told_status
        self._run_status.setText(text or _NO_RUN)

    def _on_hint(self, hint: str) -> None:
        self._message.show_notice(hint, level="warning")

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        if not event.spontaneous():
            self._device.start()
            self._watch.start()

    # --------------------------------------------------------------------------------------------- the end

    def closeEvent(self, event: QCloseEvent) -> None:
        if self._leaving.is_waiting:  # closed again while a run still saves: let it go on by itself
            self._leaving.wait_no_longer()
        elif not self._is_leaving and not self._may_close():
            event.ignore()
            return
        self._leave()
        event.accept()
        self.closed.emit()

    def leave(self) -> None:
        """Close without a question; a run in a process of its own goes on."""
        self._is_leaving = True
        self.close()

    def _may_close(self) -> bool:
        may_close = self._leaving.may_close()
        if self._leaving.is_waiting:
            self._notes.setText("closing waits for the save; close again to leave it")
        return may_close

    def _leave(self) -> None:
        self._settings.put(geometry=bytes(self.saveGeometry().toBase64().data()).decode())
        self._device.close_job()
        self._watch.close()
        self._notifications.close()
        for page in self._pages.values():
            close_page = getattr(page, "close_page", None)
            if close_page is not None:
                close_page()
        self._settings.flush()

    # --------------------------------------------------------------------------------------------- set-up

    def _build(self) -> None:
        self.setWindowTitle("DiT Studio")
        self.setMinimumSize(*MINIMUM_SIZE)
        self._message.setProperty("place", "window")
        right = QVBoxLayout()
        right.setSpacing(0)
        right.addWidget(self._message)
        right.addWidget(self._stack, 1)
        centre = QWidget()
        layout = QHBoxLayout(centre)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self._rail)
        layout.addLayout(right, 1)
        self.setCentralWidget(centre)
        self._drop_sheet = DropSheet(self, self._drop_words)
        self._build_status_bar()

    def _build_status_bar(self) -> None:
        bar = self.statusBar()
        bar.setSizeGripEnabled(False)
        bar.setContentsMargins(8, 0, 8, 0)
        self._run_status.setAccessibleName("Run in progress")
        self._notes.setAccessibleName("Notes")
        for label, share in ((self._device, 4), (self._run_status, 4), (self._notes, 4)):
            bar.addWidget(label, share)
        bar.addPermanentWidget(self._queue.status)

    def _connect(self) -> None:
        self._rail.chosen.connect(self.show_page)
        self._drop_sheet.dropped.connect(self.open_dropped)
        self._device.hinted.connect(self._on_hint)
        self._leaving.ended.connect(self.close)
        self._watch.seen.connect(self._on_runs_seen)
        self._queue.open_asked.connect(self._open_from_queue)
        self._queue.start_asked.connect(self._start_from_queue)
        self._queue.add_asked.connect(partial(self.show_page, "train"))
        for refusing in (self._queue.keeping, self._leaving):
            refusing.refused.connect(self._message.show_failure)
        self._watch.ended.connect(self._news.note)
        self._news.counted.connect(self._on_ends_counted)
        if isinstance(self._notifications, Notifications):
            self._notifications.clicked.connect(self._on_notification_clicked)
        QShortcut(QKeySequence("Ctrl+J"), self, self.show_queue)
        for number, entry in enumerate(PAGES, 1):
            QShortcut(QKeySequence(f"Ctrl+{number}"), self, partial(self.show_page, entry.key))
        QShortcut(QKeySequence("Ctrl+Q"), self, self.close)
        for keys in ("F1", "?"):
            QShortcut(QKeySequence(keys), self, self.show_shortcuts)

    def _restore(self) -> None:
        self.resize(*DEFAULT_SIZE)
        if self._settings.now.geometry:
            self.restoreGeometry(QByteArray.fromBase64(self._settings.now.geometry.encode()))
        keys = [entry.key for entry in PAGES]
        self.show_page(self._settings.now.page if self._settings.now.page in keys else keys[0])
        self._rail.focus_shown()
        self._news.recall()
        if self._settings.problem:
            self._message.show_notice(self._settings.problem, level="warning")


def _train_page(settings: Settings, launcher: Launcher) -> QWidget:
    from dit_studio.ui.train.page import TrainPage

    return TrainPage(settings, launcher)


def _sample_page(settings: Settings, launcher: Launcher) -> QWidget:
    from dit_studio.ui.sample.page import SamplePage

    return SamplePage(settings, launcher)


def _evaluate_page(settings: Settings, launcher: Launcher) -> QWidget:
    from dit_studio.ui.evaluate.page import EvaluatePage

    return EvaluatePage(settings, launcher)
