"""The images that a figure is of, in a window of their own."""

from PySide6.QtWidgets import QDialog, QWidget

from dit_studio.jobs.launch import Launcher


class SamplesDialog(QDialog):
    """A grid of the images at a path; `count` of them."""

    def __init__(
        self, title: str, samples_path: str, count: int, *, launcher: Launcher, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle(title)
        self._path, self._count, self._launcher = samples_path, count, launcher
