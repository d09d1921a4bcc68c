"""Renders every page in its states to PNG files, for a person to look at.

    python tests/ui/screenshots.py FOLDER [WORD…]      only the pictures whose names hold one of the words

SCENES is the list to extend: a name, and a function that gives a window ready to be shown.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from devices_scenes import COMMAND_SCENES, DEVICES_SCENES
from evaluate_centre_scenes import CENTRE_SCENES
from evaluate_page_scenes import EVALUATE_SCENES
from evaluate_right_scenes import EVALUATE_RIGHT_SCENES
from evaluate_setup_scenes import SETUP_SCENES
from example_runs import make_runs
from finder_scenes import FINDER_SCENES
from model_files_scenes import MODEL_FILES_SCENES
from PySide6.QtCore import QEventLoop, QSize, QTimer
from PySide6.QtWidgets import QWidget
from queue_scenes import QUEUE_PARTS, QUEUE_SCENES
from runs_scenes import RUNS_PARTS, RUNS_SCENES
from sample_page_scenes import SAMPLE_SCENES
from scripted import CPU, ScriptedLauncher
from speed_scenes import SPEED_SCENES
from train_scenes import TRAIN_SCENES

from dit_studio.events import Failure
from dit_studio.ui import theme
from dit_studio.ui.app import make_app
from dit_studio.ui.main_window import MainWindow
from dit_studio.ui.runs.page import RunsPage
from dit_studio.ui.settings import Settings
from dit_studio.ui.shortcuts import ShortcutSheet

_SCALE = "QT_SCALE_FACTOR"
SIZES = ((1280, 800), (1024, 640))
SETTLE_MS = 700  # time for the threads of a scene to answer
FAILURE = Failure(
    message="The training process was killed (signal 9), often because the machine ran out of memory.",
    remedy="Resume goes on from step-0000500.",
    code="killed",
    details="Traceback (most recent call last):\n  …",
)


def _window(place: Path, page: str, **answers: object) -> MainWindow:
    settings = Settings(place / "settings.json")
    settings.put(page=page)
    return MainWindow(settings, ScriptedLauncher(answers=answers))  # type: ignore[arg-type]


def settings_page(place: Path) -> QWidget:
    return _window(place, "settings")


def runs_empty(place: Path) -> QWidget:
    return _window(place, "runs")


def runs_full(place: Path) -> QWidget:
    make_runs(place / "runs")
    return _window(place, "runs")


def runs_compared(place: Path) -> QWidget:
    window = runs_full(place)
    assert isinstance(window, MainWindow)
    page = window.page("runs")
    assert isinstance(page, RunsPage)
    page.table.model().rowsInserted.connect(page.table.selectAll)
    return window


def runs_failed(place: Path) -> QWidget:
    window = runs_full(place)
    assert isinstance(window, MainWindow)
    window.show_failure(FAILURE)
    return window


def train_empty(place: Path) -> QWidget:
    hint = "A GPU is there, but this torch was built without CUDA. Install the build for CUDA 12.8 to use it."
    return _window(place, "train", describe_device=[type(CPU)(**{**_fields(CPU), "hint": hint})])


def shortcuts(_place: Path) -> QWidget:
    return ShortcutSheet([("Train", "Ctrl+1"), ("Sample", "Ctrl+2"), ("Runs", "Ctrl+3"), ("Settings", "Ctrl+4")])


def _fields(event: object) -> dict[str, object]:
    return {name: getattr(event, name) for name in event.__struct_fields__}  # type: ignore[attr-defined]


PARTS = {
    **COMMAND_SCENES,
    **QUEUE_PARTS,
    **RUNS_PARTS,
    **FINDER_SCENES,
    **SETUP_SCENES,
    **CENTRE_SCENES,
    **EVALUATE_RIGHT_SCENES,
    **MODEL_FILES_SCENES,
}  # no windows
SCENES: dict[str, Callable[[Path], QWidget]] = {
    "settings": settings_page,
    "runs-empty": runs_empty,
    "runs-full": runs_full,
    "runs-compared": runs_compared,
    "runs-failed": runs_failed,
    "train-empty": train_empty,
    **TRAIN_SCENES,
    **DEVICES_SCENES,
    **QUEUE_SCENES,
    **SAMPLE_SCENES,
    **EVALUATE_SCENES,
    **SPEED_SCENES,
    **RUNS_SCENES,
    **PARTS,
    "shortcuts": shortcuts,
}


@contextmanager
def places() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DIT_STUDIO_RUNS"] = str(Path(folder) / "runs")
        os.environ["DIT_STUDIO_SAMPLES"] = str(Path(folder) / "samples")
        os.environ["DIT_STUDIO_EVALUATIONS"] = str(Path(folder) / "evaluations")
        os.environ["DIT_STUDIO_CACHE"] = str(Path(folder) / "cache")
        yield Path(folder)


def _settle(milliseconds: int) -> None:
    loop = QEventLoop()
    QTimer.singleShot(milliseconds, loop.quit)
    loop.exec()


def take(name: str, folder: Path) -> None:
    """One scene in both themes and both sizes, at the scale that Qt was started with."""
    app = make_app()
    for mode in ("dark", "light"):
        theme.apply_theme(app, mode)
        with places() as place:
            widget = SCENES[name](place)
            for width, height in SIZES if isinstance(widget, MainWindow) else (widget.sizeHint().toTuple(),):
                widget.resize(QSize(width, height))
                widget.show()
                _settle(SETTLE_MS)
                widget.grab().save(str(folder / f"{name}-{mode}-{width}-{os.environ[_SCALE]}x.png"))
            widget.close()
            widget.deleteLater()


def main(folder: Path, words: list[str]) -> None:
    if _SCALE not in os.environ:  # Qt takes its scale once, at its start
        for scale in ("1", "2"):
            subprocess.run([sys.executable, *sys.argv], env={**os.environ, _SCALE: scale}, check=True)
        return
    folder.mkdir(parents=True, exist_ok=True)
    for name in SCENES:
        if not words or any(word in name for word in words):
            take(name, folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
