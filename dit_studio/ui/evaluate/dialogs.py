"""What the left column asks a person in windows of their own; a test passes functions that answer instead."""

from collections.abc import Callable
from dataclasses import dataclass

from PySide6.QtWidgets import QApplication, QFileDialog

_KINDS = "Images or statistics (*.npz *.zip *.tar *.tar.gz *.tgz *.tar.xz *.tar.bz2);;All files (*)"


def _folder(start: str) -> str:
    return QFileDialog.getExistingDirectory(QApplication.activeWindow(), "Open a folder of images", start)


def _file(start: str) -> str:
    return QFileDialog.getOpenFileName(QApplication.activeWindow(), "Open an archive or .npz", start, _KINDS)[0]


@dataclass(frozen=True, kw_only=True)
class SourceDialogs:
    """Each takes where to begin, and gives "" if nothing was chosen."""

    folder: Callable[[str], str] = _folder
    file: Callable[[str], str] = _file
