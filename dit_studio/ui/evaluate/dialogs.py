"""What the left column asks a person in windows of their own; a test passes functions that answer instead."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from PySide6.QtWidgets import QApplication, QFileDialog

from dit_studio.ui.settings import Settings

_FORM = "evaluation dialogs"  # what the settings file calls it
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


def beginning_where_last(dialogs: SourceDialogs, settings: Settings) -> SourceDialogs:
    """The same, each beginning in the folder of what was chosen last, also before the last start of the program."""

    def asked(dialog: Callable[[str], str], start: str) -> str:
        last = str(settings.form(_FORM).get("folder", ""))
        chosen = dialog(last if last and Path(last).is_dir() else start)
        if chosen:
            settings.save_form(_FORM, {"folder": str(Path(chosen).parent)})
        return chosen

    return SourceDialogs(folder=partial(asked, dialogs.folder), file=partial(asked, dialogs.file))
