"""Where an exported file goes: asked in the system's dialog, with the ending that its form has."""

import os
from collections.abc import Callable
from pathlib import Path

from PySide6.QtWidgets import QApplication, QFileDialog

from dit_studio.ui.train.dialogs import Dialogs

SavePath = Callable[[str, str, str], str]  # title, suggested path, kinds of files -> "" for none
Confirm = Callable[[str, str], bool]  # the question, and what the button says that does it


def save_path(title: str, suggested: str, kinds: str) -> str:
    """The path that a person chooses; "" if none."""
    dialog = save_dialog(title, suggested, kinds)
    path = dialog.selectedFiles()[0] if dialog.exec() else ""
    dialog.deleteLater()
    return path


def save_dialog(title: str, suggested: str, kinds: str) -> QFileDialog:
    """A dialog that adds the suggested file's ending to a name without one, and then asks before it replaces a file."""
    place = Path(suggested)
    dialog = QFileDialog(QApplication.activeWindow(), title, str(place.parent), kinds)
    dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
    dialog.setFileMode(QFileDialog.FileMode.AnyFile)
    dialog.setDefaultSuffix(place.suffix.removeprefix("."))
    dialog.selectFile(place.name)
    return dialog


confirm: Confirm = Dialogs().confirm


def file_at(text: str, ending: str) -> Path | None:
    """The file, or with no ending the folder, that is meant by a path as it was typed; `ending`: with its dot.

    None where it cannot be one: a path without a name, somebody's home that is not there.
    """
    try:
        text.encode()
        path = Path(text).expanduser()
    except (RuntimeError, ValueError):
        return None
    is_folder = path.name in ("", "..") or (bool(ending) and text.endswith(("/", os.sep)))
    if is_folder or "\0" in text:
        return None
    return path if not ending or path.suffix.lower() == ending else path.with_name(path.name + ending)


def is_there(path: Path) -> bool:
    """Whether something lies at a path; no, too, where that cannot be known: a locked folder, too long a name."""
    try:
        return path.exists()
    except OSError:
        return False


class ExportPlace:
    """Asks for a file's path, first in the folder that the last one went to. Nothing is replaced unasked."""

    def __init__(
        self, *, will_write: Callable[[Path], bool], save_path: SavePath = save_path, confirm: Confirm = confirm
    ) -> None:
        self._will_write, self._save_path, self._confirm = will_write, save_path, confirm
        self._folder = Path.home()

    def ask(self, title: str, suggested: str, *, ending: str, kinds: str) -> Path | None:
        """None if the user went back. `ending`: without its dot."""
        while chosen := self._save_path(title, str(self._folder / suggested), kinds):
            path = file_at(chosen, f".{ending}")
            if path is None:
                continue
            self._folder, suggested = path.parent, path.name
            if self._may_write(path, Path(chosen)):
                return path
        return None

    def _may_write(self, path: Path, typed: Path) -> bool:
        """Ask about a file that the dialog could not: it knew another name, or the file is yet to come."""
        if self._will_write(path):
            question = f"{path.name} is being exported already. Replace it with this one?"
        elif path != typed and is_there(path):
            question = f"{path.name} is there already in {path.parent}. Replace it?"
        else:
            return True
        return self._confirm(question, "Replace")
