"""The Model files page: pretrained models, VAEs and what metrics need, fetched or added on request only."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PySide6.QtCore import QPoint, Qt, QTimer, Signal
from PySide6.QtGui import QDragEnterEvent, QDragLeaveEvent, QDropEvent, QKeyEvent, QShowEvent
from PySide6.QtWidgets import QAbstractButton, QApplication, QFileDialog, QVBoxLayout, QWidget

from dit_studio.events import Event, Failure, ModelFiles, Progress
from dit_studio.jobs.launch import Launcher
from dit_studio.ui.icons import icon
from dit_studio.ui.model_files.card_group import CardGroup
from dit_studio.ui.model_files.file_card import FileCard, open_in_browser
from dit_studio.ui.model_files.words import GROUPS
from dit_studio.ui.one_job import OneJob
from dit_studio.ui.settings import Settings
from dit_studio.ui.train.drop_area import DropArea
from dit_studio.ui.widgets.basics import BusyBar, Heading, WholeText, button, row
from dit_studio.ui.widgets.message import MessageCard
from dit_studio.ui.widgets.scrolling import Scrolling

_KINDS = "Weights (*.pth *.pt *.safetensors *.bin);;All files (*)"
_INTRODUCTION = "Published networks. Nothing is fetched before you press Download."
_HINT = "Drop a file, or the folder of a model, here or anywhere on this page: it is known by its content."


def _file(start: str) -> str:
    return QFileDialog.getOpenFileName(QApplication.activeWindow(), "Add a model file", start, _KINDS)[0]


def _folder(start: str) -> str:
    return QFileDialog.getExistingDirectory(QApplication.activeWindow(), "Choose the folder of a model", start)


@dataclass(frozen=True, kw_only=True)
class FileDialogs:
    """Each takes where to begin, and gives "" if nothing was chosen."""

    file: Callable[[str], str] = _file
    folder: Callable[[str], str] = _folder


@dataclass(frozen=True)
class _Task:
    """A job that the page runs; `name` is of the file that it fetches."""

    job: str
    params: dict[str, Any] = field(default_factory=dict)
    name: str = ""


class ModelFilesPage(QWidget):
    """Lists, fetches and takes in model files, one job after another. `open_url` and `dialogs` are for tests."""

    files_changed = Signal(object)  # ModelFiles
    open_model_requested = Signal(str)  # the path of a pretrained model
    use_vae_requested = Signal(str)  # the name of a VAE

    def __init__(
        self,
        settings: Settings,
        launcher: Launcher,
        *,
        open_url: Callable[[str], None] = open_in_browser,
        dialogs: FileDialogs | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._settings, self._launcher = settings, launcher
        self._open_url, self._dialogs = open_url, dialogs or FileDialogs()
        self._job = OneJob(self)
        self._now: _Task | None = None
        self._waiting: deque[_Task] = deque()
        self._failed: _Task | None = None
        self._files: ModelFiles | None = None
        self._is_listed = False  # by the job that runs
        self._wanted = ""  # the extractor, or the file's name, to show as soon as its card is there
        self._kept: QWidget | None = None  # in view while what is above it grows, until somebody scrolls
        self._is_following = False  # what is wanted is scrolled to as the cards find their places
        self.cards: dict[str, FileCard] = {}
        self._groups = {role: CardGroup(*words) for role, words in GROUPS.items()}
        self._message, self._busy, self._searched = MessageCard(), BusyBar(), WholeText(role="caption")
        self._build()
        self._job.received.connect(self._on_received)
        self._job.ended.connect(self._on_ended)
        self.setAcceptDrops(True)

    def refresh(self) -> None:
        """Look for the files again."""
        self._ask(_Task("model_files"))

    def show_file(self, name: str) -> None:
        """Bring a model, a VAE or the files of an extractor into view and mark them; an empty name marks none."""
        self._wanted, self._is_following, self._kept = name, bool(name), None
        for card in self.cards.values():
            card.set_highlighted(self._is_wanted(card))
        self._scroll_to_wanted()

    def add_path(self, path: str, name: str = "") -> None:
        """Take in a file, or choose a folder, as the model of a name or whatever it is."""
        self._message.clear()
        self._ask(_Task("add_model_file", {"path": path, "name": name}))

    def download(self, name: str) -> None:
        """Fetch a file, after those that were asked for before; its licence was agreed to."""
        self._message.clear()
        self.cards[name].show_waiting()
        accepted = {"accepts_licence": True} if self.cards[name].info.terms else {}
        self._ask(_Task("download_model_file", {"name": name, **accepted}, name))

    def cancel(self, name: str) -> None:
        """Stop fetching a file; what arrived is kept."""
        if self._now is not None and self._now.name == name:
            self.cards[name].show_ending()
            self._job.stop()
            return
        self._waiting = deque(task for task in self._waiting if task.name != name)
        self._show_files()

    def close_page(self) -> None:
        self._waiting.clear()
        self._job.stop()  # and `close` asks a second time, which does not wait for a slow server
        self._job.close()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        if self._now is None:
            self.refresh()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Return presses a button here as Space does."""
        focused = self.focusWidget()
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and isinstance(focused, QAbstractButton):
            if not event.isAutoRepeat():
                focused.click()
        else:
            super().keyPressEvent(event)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if any(url.isLocalFile() for url in event.mimeData().urls()):
            self._drop.show_aimed_at(is_aimed_at=True)
            event.acceptProposedAction()

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        self._drop.show_aimed_at(is_aimed_at=False)
        super().dragLeaveEvent(event)

    def dropEvent(self, event: QDropEvent) -> None:
        self._drop.show_aimed_at(is_aimed_at=False)
        for url in event.mimeData().urls():
            if url.isLocalFile():
                self.add_path(url.toLocalFile())
        event.acceptProposedAction()

    # --------------------------------------------------------------------------------------------- what is done

    def _ask(self, task: _Task) -> None:
        if task != self._now and task not in self._waiting:
            self._waiting.append(task)
        if self._now is None:
            self._begin_next()

    def _begin_next(self) -> None:
        self._now = self._waiting.popleft() if self._waiting else None
        self._is_listed = False
        if self._now is not None:
            self._job.run(self._launcher.call(self._now.job, **self._now.params))
            if not self._now.name:
                self._busy.show_progress("Looking for model files")

    def _on_received(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Progress):
                self._show_progress(event)
            elif isinstance(event, Failure):
                self._message.show_failure(event, [("again", "Try again")] if self._now and self._now.name else [])
                self._failed = self._now
                if self._now is not None and self._now.name:
                    self._bring_into_view(self.cards[self._now.name])
            elif isinstance(event, ModelFiles):
                self._files, self._is_listed = event, True
                self._show_files()
                self.files_changed.emit(event)

    def _on_ended(self) -> None:
        ended, self._now = self._now, None
        self._busy.finish()
        if ended is not None and ended.job != "model_files" and not self._is_listed:
            self._waiting.appendleft(_Task("model_files"))  # a job that failed or was stopped says nothing of the files
        self._begin_next()
        self._show_files()

    def _on_action(self, key: str) -> None:
        if key == "again" and self._failed is not None:
            self.download(self._failed.name)

    def _on_add(self, name: str) -> None:
        self._choose(self._dialogs.folder if self.cards[name].info.is_on_hub else self._dialogs.file, name)

    def _choose(self, dialog: Callable[[str], str], name: str = "") -> None:
        start = str(self._settings.form("model files").get("folder", ""))
        if path := dialog(start):
            self._settings.save_form("model files", {"folder": str(Path(path).parent)})
            self.add_path(path, name)

    # --------------------------------------------------------------------------------------------- what is shown

    def _show_progress(self, progress: Progress) -> None:
        if self._now is not None and self._now.name and progress.unit == "bytes":
            self.cards[self._now.name].show_progress(progress)
        elif self._now is not None and not self._now.name:
            self._busy.show_progress(progress.stage, progress.done, progress.total)

    def _show_files(self) -> None:
        if self._files is None:
            return
        has_cards = bool(self.cards)
        busy = {task.name for task in (self._now, *self._waiting) if task is not None}
        for info in self._files.files:
            card = self.cards.get(info.name) or self._add_card(info.name)
            if info.name not in busy:
                card.show_info(info)
        self._searched.setText("\n".join(["Files are looked for in", *self._files.searched]))
        if self._wanted and not has_cards:
            self.show_file(self._wanted)

    def _add_card(self, name: str) -> FileCard:
        assert self._files is not None
        info = next(info for info in self._files.files if info.name == name)
        card = self.cards[name] = FileCard(info, open_url=self._open_url)
        card.download_asked.connect(self.download)
        card.cancel_asked.connect(self.cancel)
        card.add_asked.connect(self._on_add)
        card.forget_asked.connect(lambda name: self.add_path("", name))
        card.open_asked.connect(self.open_model_requested)
        card.use_asked.connect(self.use_vae_requested)
        card.terms_shown.connect(self._bring_into_view)
        self._groups[info.role].add(card)
        return card

    def _is_wanted(self, card: FileCard) -> bool:
        return bool(self._wanted) and self._wanted in (card.info.extractor, card.info.name)

    def _scroll_to_wanted(self) -> None:
        card = next((card for card in self.cards.values() if self._is_wanted(card)), None)
        if card is not None and self._is_following:
            self._scrolling.verticalScrollBar().setValue(card.mapTo(self._content, QPoint(0, 0)).y())

    def _bring_into_view(self, widget: QWidget) -> None:
        """As soon as it has found its place, and as long as nobody scrolls."""
        self._is_following, self._kept = False, widget
        QTimer.singleShot(0, self, self._scroll_to_kept)

    def _scroll_to_kept(self) -> None:
        """Of what is higher than the view, its upper end."""
        if self._kept is None:
            return
        if self._kept.height() > self._scrolling.viewport().height():
            self._scrolling.verticalScrollBar().setValue(self._kept.mapTo(self._content, QPoint()).y())
        else:
            self._scrolling.ensureWidgetVisible(self._kept)

    def _stop_following(self) -> None:
        self._is_following, self._kept = False, None

    # --------------------------------------------------------------------------------------------- set-up

    def _build(self) -> None:
        self._message.action.connect(self._on_action)
        self.again = button("Look again", "Look for the files in the usual folders again.", icon=icon("refresh"))
        self.add_file = button("Add a file…", "Copy a weights file from elsewhere; its SHA-256 is checked.")
        self.add_folder = button("Choose a folder…", "Take a model from the folder of its configuration and weights.")
        self.again.clicked.connect(self.refresh)
        self.add_file.clicked.connect(lambda: self._choose(self._dialogs.file))
        self.add_folder.clicked.connect(lambda: self._choose(self._dialogs.folder))
        self._drop = DropArea([self.add_file, self.add_folder], hint=_HINT)
        self._content = QWidget()
        parts = QVBoxLayout(self._content)
        parts.setContentsMargins(0, 0, 8, 0)
        parts.setSpacing(8)
        parts.addWidget(WholeText(_INTRODUCTION, role="muted"))
        parts.addWidget(self._drop)
        for group in self._groups.values():
            parts.addWidget(group)
        parts.addWidget(self._searched)
        self._scrolling = Scrolling(self._content)
        self._scrolling.verticalScrollBar().rangeChanged.connect(self._scroll_to_wanted)
        self._scrolling.verticalScrollBar().rangeChanged.connect(self._scroll_to_kept)
        self._scrolling.verticalScrollBar().actionTriggered.connect(self._stop_following)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 16, 16, 16)
        layout.setSpacing(8)
        layout.addLayout(row(Heading("Model files"), None, self.again))
        for part in (self._message, self._busy):
            layout.addWidget(part)
        layout.addWidget(self._scrolling, 1)
