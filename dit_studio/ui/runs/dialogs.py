"""What the Runs page asks a person in windows of their own; a test passes functions that answer instead."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QFile, QUrl
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QFileDialog, QMessageBox, QWidget

from dit_studio.jobs.archive_format import SUFFIX
from dit_studio.jobs.run_archive import Checkpoints
from dit_studio.jobs.run_label import Label
from dit_studio.ui.runs.label_dialogs import NameDialog, TagsDialog
from dit_studio.ui.runs.listing import RunRow

_KINDS: dict[str, Checkpoints] = {
    f"Run with all its checkpoints (*{SUFFIX})": "all",
    f"Run with its newest checkpoint (*{SUFFIX})": "newest",
    f"Run without checkpoints (*{SUFFIX})": "none",
}


def _ask_to_delete(page: QWidget, question: str) -> bool:
    box = QMessageBox(QMessageBox.Icon.Question, "Delete runs", question, parent=page)
    yes = box.addButton("Move to trash", QMessageBox.ButtonRole.DestructiveRole)
    box.setDefaultButton(box.addButton("Cancel", QMessageBox.ButtonRole.RejectRole))
    box.exec()
    return box.clickedButton() is yes


def _ask_for_name(page: QWidget, row: RunRow) -> Label | None:
    dialog = NameDialog(row, page)
    try:
        return dialog.label() if dialog.exec() else None
    finally:
        dialog.deleteLater()


def _ask_for_tags(
    page: QWidget, rows: Sequence[RunRow], known: Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    dialog = TagsDialog(rows, known, page)
    try:
        return dialog.changes() if dialog.exec() else None
    finally:
        dialog.deleteLater()


def _file_to_export(page: QWidget, name: str) -> tuple[str, Checkpoints]:
    path, kind = QFileDialog.getSaveFileName(page, "Export the run", name, ";;".join(_KINDS))
    return path, _KINDS.get(kind, "all")


def _tensorboard_folder(page: QWidget) -> str:
    return QFileDialog.getExistingDirectory(page, "Choose where the TensorBoard files go")


def _file_to_import(page: QWidget) -> str:
    return QFileDialog.getOpenFileName(page, "Import a run", "", f"Exported runs (*{SUFFIX});;All files (*)")[0]


def _file_to_save(page: QWidget, name: str, kinds: str) -> str:
    return QFileDialog.getSaveFileName(page, "Save the comparison", name, kinds)[0]


def _show_folder(path: Path) -> None:
    QDesktopServices.openUrl(QUrl.fromLocalFile(str(path)))


def _move_to_trash(path: Path) -> bool:
    return bool(QFile.moveToTrash(str(path)))


@dataclass(frozen=True, kw_only=True)
class RunDialogs:
    """Each takes the page that asks; "" or None: nothing was chosen."""

    tensorboard_folder: Callable[[QWidget], str] = _tensorboard_folder
    confirm: Callable[[QWidget, str], bool] = _ask_to_delete
    name: Callable[[QWidget, RunRow], Label | None] = _ask_for_name
    # the tags to give, and those to take away
    tags: Callable[[QWidget, Sequence[RunRow], Sequence[str]], tuple[tuple[str, ...], tuple[str, ...]] | None] = (
        _ask_for_tags
    )
    file_to_export: Callable[[QWidget, str], tuple[str, Checkpoints]] = _file_to_export
    file_to_import: Callable[[QWidget], str] = _file_to_import
    file_to_save: Callable[[QWidget, str, str], str] = _file_to_save
    show_folder: Callable[[Path], None] = _show_folder
    move_to_trash: Callable[[Path], bool] = _move_to_trash
