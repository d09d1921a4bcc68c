"""Pages that only note what the window asks of them."""

from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QLabel, QVBoxLayout, QWidget


class PlaceholderPage(QWidget):
    status_changed = Signal(str)
    sample_asked = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[str, Path | None]] = []
        self.runs = False
        QVBoxLayout(self).addWidget(QLabel("Train"))

    def open_data(self, path: Path) -> None:
        self.calls.append(("open_data", path))

    def open_run(self, path: Path) -> None:
        self.calls.append(("open_run", path))

    def open_recipe(self, path: Path) -> None:
        self.calls.append(("open_recipe", path))

    def resume(self) -> None:
        self.calls.append(("resume", None))

    def is_running(self) -> bool:
        return self.runs

    def stop_and_save(self) -> None:
        self.calls.append(("stop_and_save", None))

    def close_page(self) -> None:
        self.calls.append(("close_page", None))


class PlaceholderSamplePage(QWidget):
    """A Sample page that only notes what the window asks of it."""

    status_changed = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[str, Path]] = []
        QVBoxLayout(self).addWidget(QLabel("Sample"))

    def open_model(self, path: Path) -> None:
        self.calls.append(("open_model", path))

    def open_picture(self, path: Path) -> None:
        self.calls.append(("open_picture", path))

    def close_page(self) -> None:
        """Nothing to close."""
