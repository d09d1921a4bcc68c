"""Pages that only note what the window asks of them."""

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QLabel, QVBoxLayout, QWidget

from dit_studio.events import ModelFiles
from dit_studio.ui.run_watch import RunsSeen


class PlaceholderPage(QWidget):
    status_changed = Signal(str)
    sample_asked = Signal(object)
    evaluate_asked = Signal(object)
    files_asked = Signal(str)
    queue_changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[str, Path | str | None]] = []
        self.runs = False
        self.run: Path | None = None  # that it shows
        QVBoxLayout(self).addWidget(QLabel("Train"))

    def use_vae(self, name: str) -> None:
        self.calls.append(("use_vae", name))

    def open_data(self, path: Path) -> None:
        self.calls.append(("open_data", path))

    def open_run(self, path: Path) -> None:
        self.calls.append(("open_run", path))

    def open_recipe(self, path: Path) -> None:
        self.calls.append(("open_recipe", path))

    def resume(self) -> None:
        self.calls.append(("resume", None))

    def start_queued(self, path: Path) -> None:
        self.calls.append(("start_queued", path))

    def show_queue(self, seen: RunsSeen) -> None:
        """Nothing is shown."""

    def shown_run(self) -> Path | None:
        return self.run

    def is_running(self) -> bool:
        return self.runs

    def stop_and_save(self) -> None:
        self.calls.append(("stop_and_save", None))

    def close_page(self) -> None:
        self.calls.append(("close_page", None))


class PlaceholderSamplePage(QWidget):
    """A Sample page that only notes what the window asks of it."""

    status_changed = Signal(str)
    evaluate_asked = Signal(object)
    evaluate_sweep_asked = Signal(object)

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


class PlaceholderEvaluatePage(QWidget):
    """An Evaluate page that only notes what the window asks of it."""

    status_changed = Signal(str)
    model_files_asked = Signal(str)
    dropped = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[str, object]] = []
        QVBoxLayout(self).addWidget(QLabel("Evaluate"))

    def open_reference(self, path: Path) -> None:
        self.calls.append(("open_reference", path))

    def open_model(self, path: Path) -> None:
        self.calls.append(("open_model", path))

    def open_images(self, paths: Sequence[Path]) -> None:
        self.calls.append(("open_images", list(paths)))

    def open_dropped(self, path: Path) -> None:
        self.calls.append(("open_dropped", path))

    def drop_words(self, count: int) -> str:
        return f"Drop to measure {count}"

    def open_sweep(self, folder: Path) -> None:
        self.calls.append(("open_sweep", folder))

    def show_model_files(self, files: ModelFiles) -> None:
        self.calls.append(("show_model_files", files))

    def close_page(self) -> None:
        """Nothing to close."""
