"""Taking an evaluation along: a report of it, its figures as a table, or the reference's statistics."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QMenu, QToolButton, QWidget

from dit_studio.errors import StudioError
from dit_studio.evaluation_plan import EvaluationRecord, open_evaluation
from dit_studio.evaluation_request import EvaluationRequest
from dit_studio.ui import theme
from dit_studio.ui.icons import icon
from dit_studio.ui.sample.export_menu import Calls
from dit_studio.ui.sample.export_path import Confirm, ExportPlace, SavePath, confirm, save_path
from dit_studio.ui.sample.export_status import ExportStatus
from dit_studio.ui.sample.history_words import time_in_words
from dit_studio.ui.widgets.basics import describe

_NOT_IN_NAMES = re.compile(r'[\\/:*?"<>|\x00-\x1f]')  # of files, on one system or another
_HEADING_WIDTH = 360  # pixels at a font scale of 100 %
_NOTHING = "Nothing is shown: evaluate something, or open an evaluation from the history."


@dataclass(frozen=True, kw_only=True)
class _Kind:
    """An entry of the menu, and the file that it writes."""

    key: str
    text: str
    tooltip: str
    filter: str


_KINDS = (
    _Kind(
        key="html",
        text="Report as HTML…",
        tooltip="One file to hand on: figures with their protocols, plots, images and nearest pairs.",
        filter="HTML (*.html)",
    ),
    _Kind(
        key="csv", text="Figures as CSV…", tooltip="A row a figure, for a spreadsheet.", filter="CSV (*.csv)"
    ),
    _Kind(
        key="json", text="Everything as JSON…", tooltip="The plan and every result, for a program.",
        filter="JSON (*.json)",
    ),
    _Kind(
        key="npz",
        text="Statistics of the reference…",
        tooltip="Mean and covariance of its features, as pytorch-fid and ADM's evaluator read those of Inception.",
        filter="NPZ (*.npz)",
    ),
)  # fmt: skip


class ExportMenu(QToolButton):
    """A button with the menu. `status` shows how an export goes; put it where there is room for it."""

    said = Signal(str, str)  # a sentence that has no place in `status`, and its level

    def __init__(
        self,
        launcher: Calls,
        parent: QWidget | None = None,
        *,
        save_path: SavePath = save_path,
        confirm: Confirm = confirm,
        status: ExportStatus | None = None,
    ) -> None:
        super().__init__(parent)
        self._launcher = launcher
        self.status = status or ExportStatus()
        self._entry: Path | None = None
        self._place = ExportPlace(will_write=self.status.will_write, save_path=save_path, confirm=confirm)
        self._heading = QAction(self, enabled=False)
        self._actions: dict[str, QAction] = {}
        self._build()
        self.folder = None

    @property
    def folder(self) -> Path | None:
        """The entry of the history that is exported."""
        return self._entry

    @folder.setter
    def folder(self, folder: Path | None) -> None:
        self._entry = folder
        self._heading.setVisible(folder is not None)
        for kind in _KINDS:
            self._actions[kind.key].setEnabled(folder is not None)
            self._actions[kind.key].setToolTip(kind.tooltip if folder else _NOTHING)

    def popup(self) -> None:
        """Open the menu below the button."""
        self.showMenu()

    def close_jobs(self) -> None:
        """End what is being written, and wait for the end."""
        self.status.close_jobs()

    def export(self, key: str) -> None:
        """Do what an entry of the menu does."""
        kind = next(kind for kind in _KINDS if kind.key == key)
        if self._entry is None:
            return
        try:
            record = open_evaluation(self._entry)
        except StudioError as error:
            self.said.emit(str(error), "error")
            return
        suggested, title = _NOT_IN_NAMES.sub("-", _name(kind, record)), kind.text.rstrip("…")
        if (path := self._place.ask(title, suggested, ending=kind.key, kinds=kind.filter)) is not None:
            self.status.run(self._job(kind, self._entry, record, path), path)

    def _on_chosen(self, key: str, _checked: bool = False) -> None:
        self.export(key)

    def _name_entry(self) -> None:
        """Say in the menu's first line what is exported: it is what is shown, not what is selected in the history."""
        if self._entry is None:
            return
        try:
            record = open_evaluation(self._entry)
        except StudioError:
            title = self._entry.name
        else:
            title = f"{record.plan.title or self._entry.name}, {time_in_words(record.time, time.time())}"
        text = self.fontMetrics().elidedText(f"Of {title}", Qt.TextElideMode.ElideMiddle, theme.scaled(_HEADING_WIDTH))
        self._heading.setText(text.replace("&", "&&"))

    def _job(self, kind: _Kind, folder: Path, record: EvaluationRecord, path: Path) -> Callable[[], Any]:
        if kind.key != "npz":
            return partial(self._launcher.call, "report", folders=[str(folder)], path=str(path))
        request: EvaluationRequest = record.plan.points[0].request
        return partial(self._launcher.call, "save_statistics", request=msgspec.to_builtins(request), path=str(path))

    def _build(self) -> None:
        self.setText("Export")
        self.setIcon(icon("export"))
        self.setToolButtonStyle(self.toolButtonStyle().ToolButtonTextBesideIcon)
        self.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.setProperty("kind", "button")
        describe(self, "Export", "Save a report, the figures, or the reference's statistics of what is shown.")
        menu = QMenu(self)
        menu.setToolTipsVisible(True)
        menu.addAction(self._heading)
        menu.aboutToShow.connect(self._name_entry)
        for kind in _KINDS:
            if kind.key == "npz":
                menu.addSeparator()
            self._actions[kind.key] = menu.addAction(kind.text, partial(self._on_chosen, kind.key))
        self.setMenu(menu)


def _name(kind: _Kind, record: EvaluationRecord) -> str:
    """What the file is called unless the user calls it something else."""
    if kind.key != "npz":
        return f"{record.plan.title or 'evaluation'}.{kind.key}"
    request = record.plan.points[0].request
    return f"{Path(request.real).stem}-{request.extractor}-statistics.npz"
