"""Taking an entry along: a menu of files that can be made of it."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import msgspec
from PySide6.QtCore import Signal
from PySide6.QtGui import QAction, QGuiApplication, QImage
from PySide6.QtWidgets import QApplication, QInputDialog, QMenu, QToolButton, QWidget

from dit_studio.jobs.launch import Job
from dit_studio.jobs.sample_history import HistoryEntry
from dit_studio.ui.icons import icon
from dit_studio.ui.sample.export_path import Confirm, ExportPlace, SavePath, confirm, save_path
from dit_studio.ui.sample.export_status import ExportStatus
from dit_studio.ui.sample.film import Film
from dit_studio.ui.sample.history_words import model_of
from dit_studio.ui.sample.movie_dialog import MovieDialog
from dit_studio.ui.sample.sheet_dialog import SheetDialog
from dit_studio.ui.widgets.basics import describe

_NOT_IN_NAMES = re.compile(r'[\\/:*?"<>|\x00-\x1f]')  # of files, on one system or another
_MOST_IMAGES = 10_000_000
_COLUMNS = 10  # of a contact sheet


class Calls(Protocol):
    """What starts a job: jobs.launch.Launcher, or what stands for it in a test."""

    def call(self, job: str, **params: Any) -> Job: ...


@dataclass(frozen=True, kw_only=True)
class _Kind:
    """An entry of the menu, and the file that it writes."""

    key: str
    text: str
    tooltip: str
    ending: str = ""
    needs_trajectory: bool = False

    @property
    def filter(self) -> str:
        return {"png": "PNG (*.png)", "gif": "GIF (*.gif)", "mp4": "MP4 (*.mp4)", "npz": "NPZ (*.npz)"}[self.ending]


_KINDS = (
    _Kind(key="png", text="Image…", tooltip="The picked image as a PNG with its settings inside.", ending="png"),
    _Kind(key="grid", text="All images as a grid…", tooltip="One PNG of every image of this entry.", ending="png"),
    _Kind(
        key="contact",
        text="Contact sheet…",
        tooltip="Ten steps a line of the picked image, as one PNG.",
        ending="png",
        needs_trajectory=True,
    ),
    _Kind(
        key="sheet",
        text="Evolution sheet…",
        tooltip="Rows are images, columns are timesteps: PNG or PDF.",
        ending="png",
        needs_trajectory=True,
    ),
    _Kind(
        key="gif", text="GIF…", tooltip="The trajectory as an endless animation.", ending="gif", needs_trajectory=True
    ),
    _Kind(key="mp4", text="MP4…", tooltip="The trajectory as a film.", ending="mp4", needs_trajectory=True),
    _Kind(key="npz", text="Images as NPZ…", tooltip="arr_0: images, arr_1: classes, as evaluators read.", ending="npz"),
    _Kind(
        key="many",
        text="Many images to NPZ…",
        tooltip="Draw any number of images with these settings, straight to the disk.",
        ending="npz",
    ),
)
_BESIDES = (
    _Kind(key="copy", text="Copy image", tooltip="The picked image to the clipboard."),
    _Kind(key="folder", text="Open folder", tooltip="The folder of this entry in the system's file manager."),
)


def _ask_count(question: str, default: int) -> int | None:
    parent = QApplication.activeWindow()
    number, is_given = QInputDialog.getInt(parent, "Many images to NPZ", question, default, 1, _MOST_IMAGES)
    return number if is_given else None


def _run_dialog(dialog: SheetDialog | MovieDialog) -> bool:
    return bool(dialog.exec())


@dataclass(frozen=True, kw_only=True)
class ExportDialogs:
    """What is asked in windows of their own; a test passes functions that answer instead."""

    save_path: SavePath = save_path
    ask_count: Callable[[str, int], int | None] = _ask_count
    confirm: Confirm = confirm
    run: Callable[[SheetDialog | MovieDialog], bool] = _run_dialog  # whether it was accepted


class ExportMenu(QToolButton):
    """A button with the menu. `status` shows how an export goes; put it where there is room for it."""

    said = Signal(str, str)  # a sentence that has no place in `status`, and its level

    def __init__(
        self,
        launcher: Calls,
        parent: QWidget | None = None,
        *,
        dialogs: ExportDialogs | None = None,
        status: ExportStatus | None = None,
    ) -> None:
        super().__init__(parent)
        self._launcher = launcher
        self._dialogs = dialogs or ExportDialogs()
        self.status = status or ExportStatus()
        self._entry: HistoryEntry | None = None
        self._image = 0
        self._film: Film | None = None
        self._place = ExportPlace(
            will_write=self.status.will_write,
            save_path=lambda *words: self._dialogs.save_path(*words),
            confirm=lambda *words: self._dialogs.confirm(*words),
        )
        self._actions: dict[str, QAction] = {}
        self._build()
        self.show_entry(None)

    def show_entry(self, entry: HistoryEntry | None, image: int = 0, film: Film | None = None) -> None:
        """What is to be exported; the film is what sheets are previewed from."""
        self._entry, self._image, self._film = entry, image, film
        for kind in (*_KINDS, *_BESIDES):
            why_not = self._why_not(kind)
            self._actions[kind.key].setEnabled(not why_not)
            self._actions[kind.key].setToolTip(why_not or kind.tooltip)

    def export(self, key: str) -> None:
        """Do what an entry of the menu does."""
        assert self._entry is not None
        if key == "copy":
            self._copy(self._entry)
        elif key == "folder":
            self.status.show_path(self._entry.path)
        elif key == "many":
            self._draw_many(self._entry)
        else:
            self._export(self._entry, next(kind for kind in _KINDS if kind.key == key))

    def _on_chosen(self, key: str, _checked: bool = False) -> None:
        self.export(key)

    def _why_not(self, kind: _Kind) -> str:
        """Why this cannot be exported, as a sentence; "" if it can."""
        if self._entry is None:
            return "Nothing is picked: generate images, or open some from the history."
        if kind.key in ("many", "folder"):
            return ""
        if not self._entry.entry.images:
            return "No image of this entry was finished."
        if kind.key in ("png", "copy") and self._image >= self._entry.entry.images:
            return f"Image {self._image + 1} was not finished."
        if kind.needs_trajectory and not self._entry.has_trajectory:
            return "This entry has no trajectory: only its images were kept. Generate it again to get one."
        if kind.key in ("sheet", "gif", "mp4") and self._film is None:
            return "Open this entry first."
        return ""

    # ------------------------------------------------------------------------------------------------- doing

    def _export(self, entry: HistoryEntry, kind: _Kind) -> None:
        answer = self._options(entry, kind.key)
        if answer is None:
            return
        options, ending = answer
        path = self._ask_path(kind, entry, ending or kind.ending)
        if path is not None:
            params = {"kind": kind.key, "path": str(path), "options": {"entry": str(entry.path), **options}}
            self.status.run(partial(self._launcher.call, "export", **params), path)

    def _options(self, entry: HistoryEntry, key: str) -> tuple[dict[str, Any], str] | None:
        """What the export job needs to know, and the ending if another is wanted; None if the user went back."""
        if key == "png":
            return {"image": self._image}, ""
        if key == "contact":
            return {"image": self._image, "columns": _COLUMNS, "plane": "x_start"}, ""
        if key in ("grid", "npz"):
            return {}, ""
        assert self._film is not None
        dialog = self._dialog(entry, key, self._film)
        answer = (dialog.options(), dialog.ending) if self._dialogs.run(dialog) else None
        dialog.deleteLater()
        return answer

    def _dialog(self, entry: HistoryEntry, key: str, film: Film) -> SheetDialog | MovieDialog:
        marked = sorted(entry.favourites)
        if key != "sheet":
            return MovieDialog(film, self._image, marked, self.window())
        kinds = [entry.entry.record.class_of(image) for image in range(film.images)]
        return SheetDialog(film, self._image, marked, self.window(), kinds=kinds)

    def _draw_many(self, entry: HistoryEntry) -> None:
        record = entry.entry.record
        question = "Images in all; the classes are taken in turn, the seeds go on from that of this entry."
        number = self._dialogs.ask_count(question, 1000)
        if number is None:
            return
        kind = next(kind for kind in _KINDS if kind.key == "many")
        path = self._ask_path(kind, entry, "npz")
        if path is not None:
            request = msgspec.to_builtins(msgspec.structs.replace(record.request, count=number))
            params = {"model": record.model.path, "weights": record.model.weights, "request": request}
            self.status.run(partial(self._launcher.call, "draw_npz", **params, path=str(path)), path)

    def _ask_path(self, kind: _Kind, entry: HistoryEntry, ending: str) -> Path | None:
        """Where the file goes; None if the user went back."""
        request = entry.entry.record.request
        seed = request.seed + (self._image if kind.key == "png" else 0)
        part = "" if kind.key == "png" else f"-{kind.key}"
        name = f"{model_of(entry.entry.record)}-{request.sampler}{request.steps}-seed{seed}{part}.{ending}"
        filters = "PDF (*.pdf)" if ending == "pdf" else kind.filter
        suggested = _NOT_IN_NAMES.sub("-", name)
        return self._place.ask(kind.text.rstrip("…"), suggested, ending=ending, kinds=filters)

    def _copy(self, entry: HistoryEntry) -> None:
        image = QImage(str(entry.image_file(self._image)))
        if image.isNull():
            self.said.emit(f"Image {self._image + 1} cannot be read: its file is gone or damaged.", "error")
            return
        QGuiApplication.clipboard().setImage(image)
        self.said.emit(f"Image {self._image + 1} is on the clipboard.", "info")

    def _build(self) -> None:
        self.setText("Export")
        self.setIcon(icon("export"))
        self.setToolButtonStyle(self.toolButtonStyle().ToolButtonTextBesideIcon)
        self.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.setProperty("kind", "button")
        describe(self, "Export", "Save images, sheets and films of what is shown.")
        menu = QMenu(self)
        menu.setToolTipsVisible(True)
        for kind in (*_KINDS, *_BESIDES):
            if kind is _BESIDES[0]:
                menu.addSeparator()
            self._actions[kind.key] = menu.addAction(kind.text, partial(self._on_chosen, kind.key))
        self.setMenu(menu)
