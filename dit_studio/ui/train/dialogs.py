"""What the Train page asks a person in windows of their own; a test passes functions that answer instead."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QTimer, QUrl
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QApplication, QFileDialog, QMessageBox

_LOOK_MS = 200


def _folder(start: str) -> str:
    return QFileDialog.getExistingDirectory(QApplication.activeWindow(), "Open a folder of images", start)


def _vae_folder(start: str) -> str:
    return QFileDialog.getExistingDirectory(QApplication.activeWindow(), "Choose the folder of a VAE", start)


def _model_folder(start: str) -> str:
    title = "Choose a run, a checkpoint or a diffusers folder"
    return QFileDialog.getExistingDirectory(QApplication.activeWindow(), title, start)


def _model_file(start: str) -> str:
    kinds = "Models (*.pt *.pth *.ckpt *.bin *.safetensors);;All files (*)"
    return QFileDialog.getOpenFileName(QApplication.activeWindow(), "Choose a model", start, kinds)[0]


def _archive(start: str) -> str:
    kinds = "Archives of images (*.zip *.tar *.tar.gz *.tgz *.tar.xz *.tar.bz2);;All files (*)"
    return QFileDialog.getOpenFileName(QApplication.activeWindow(), "Open an archive of images", start, kinds)[0]


def _recipe_to_open(start: str) -> str:
    return QFileDialog.getOpenFileName(QApplication.activeWindow(), "Open a recipe", start, "Recipes (*.toml)")[0]


def _recipe_to_save(start: str) -> str:
    return QFileDialog.getSaveFileName(QApplication.activeWindow(), "Save as a recipe", start, "Recipes (*.toml)")[0]


def _script_to_save(start: str) -> str:
    return QFileDialog.getSaveFileName(QApplication.activeWindow(), "Save the script", start, "Scripts (*.sh)")[0]


def _run_folder(start: str) -> str:
    title = "Choose where the run's folder is made"
    return QFileDialog.getExistingDirectory(QApplication.activeWindow(), title, start)


def _confirm(question: str, action: str) -> bool:
    return _confirm_while(question, action, lambda: True)


def _confirm_while(question: str, action: str, holds: Callable[[], bool]) -> bool:
    box = QMessageBox(QMessageBox.Icon.Question, "DiT Studio", question, parent=QApplication.activeWindow())
    yes = box.addButton(action, QMessageBox.ButtonRole.AcceptRole)
    box.setDefaultButton(box.addButton("Cancel", QMessageBox.ButtonRole.RejectRole))
    watch = QTimer(box, interval=_LOOK_MS)
    watch.timeout.connect(lambda: None if holds() else box.reject())
    watch.start()
    box.exec()
    watch.stop()
    box.deleteLater()  # it and what watches hold each other
    return box.clickedButton() is yes


def _choose(question: str, answers: Sequence[str]) -> str:
    box = QMessageBox(QMessageBox.Icon.Question, "DiT Studio", question, parent=QApplication.activeWindow())
    buttons = {box.addButton(answer, QMessageBox.ButtonRole.AcceptRole): answer for answer in answers}
    box.setDefaultButton(next(iter(buttons)))
    box.addButton("Cancel", QMessageBox.ButtonRole.RejectRole)
    box.exec()
    pressed = box.clickedButton()
    return next((answer for button, answer in buttons.items() if button is pressed), "")


def _show_path(path: Path) -> None:
    QDesktopServices.openUrl(QUrl.fromLocalFile(str(path)))


@dataclass(frozen=True, kw_only=True)
class Dialogs:
    """Each choice of a path takes where to begin, and gives "" if nothing was chosen."""

    folder: Callable[[str], str] = _folder
    archive: Callable[[str], str] = _archive
    vae_folder: Callable[[str], str] = _vae_folder
    model_folder: Callable[[str], str] = _model_folder
    model_file: Callable[[str], str] = _model_file
    recipe_to_open: Callable[[str], str] = _recipe_to_open
    recipe_to_save: Callable[[str], str] = _recipe_to_save
    script_to_save: Callable[[str], str] = _script_to_save
    run_folder: Callable[[str], str] = _run_folder
    confirm: Callable[[str, str], bool] = _confirm  # the question, and what the button says that does it
    confirm_while: Callable[[str, str, Callable[[], bool]], bool] = _confirm_while  # closed once that holds no longer
    choose: Callable[[str, Sequence[str]], str] = _choose  # the question and its answers, first the one to take
    show_path: Callable[[Path], None] = _show_path
