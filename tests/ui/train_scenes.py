"""The Train page in its states, for screenshots.py and for the walk over every page."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from example_runs import make_runs
from PIL import Image
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QTabBar, QWidget
from scripted import Script, ScriptedLauncher

from dit_studio.config import Recipe
from dit_studio.events import (
    Check,
    CheckStatus,
    ClassSummary,
    DataSummary,
    Event,
    Failure,
    FileProblem,
    JobState,
    Measured,
    Metrics,
    ModelSummary,
    Notice,
    Preflight,
    Started,
    StateChanged,
)
from dit_studio.jobs.event_log import EventWriter
from dit_studio.jobs.run_folder import RunFolder, Status
from dit_studio.ui.main_window import MainWindow
from dit_studio.ui.settings import Settings

_KINDS = ("fields", "mountains", "desert", "sea", "beach", "island", "forest at dusk")
_MODEL = ModelSummary(parameters=33_012_345, gflops=6.06, tokens=256, training_bytes=4_100_000_000)
_CHECKS = Preflight(
    checks=(
        Check(name="Data", status=CheckStatus.OK, message="4319 images in 7 classes."),
        Check(
            name="Memory",
            status=CheckStatus.WARNING,
            message="About 3.4 GB to train, 3.6 GB free.",
            remedy="Take a smaller batch, or close other programs.",
        ),
        Check(
            name="Disk",
            status=CheckStatus.FAILED,
            message="1.2 GB needed for 3 checkpoints and the cache, 310 MB free.",
            remedy="Free some space, keep fewer checkpoints, or choose another folder.",
        ),
    )
)
_OUT_OF_MEMORY = Failure(
    message="A step does not fit into the memory of the device.",
    remedy="Choose a smaller batch or model, or recompute activations.",
    code="out_of_memory",
    numbers={"needed_bytes": 12.3e9, "free_bytes": 1.1e9, "total_bytes": 8.6e9},
    details="Traceback (most recent call last):\n  …",
    step=3,
)


def _window(place: Path, scan: Script) -> MainWindow:
    answers = {"scan_data": scan, "describe_model": [_MODEL], "preflight": [_CHECKS]}
    return MainWindow(Settings(place / "settings.json"), ScriptedLauncher(answers=answers))


def _summary(place: Path) -> DataSummary:
    hues = np.linspace(0, 255, 12 * 64, dtype=np.uint8)
    strip = np.stack([np.tile(hues, (64, 1)), np.full((64, 12 * 64), 90), np.full((64, 12 * 64), 200)], axis=-1)
    Image.fromarray(strip.astype(np.uint8), "HSV").convert("RGB").save(place / "strip.png")
    return DataSummary(
        path=str(place),
        images=4319,
        source="suffix",
        classes=tuple(ClassSummary(name=kind, images=640 - 20 * number) for number, kind in enumerate(_KINDS)),
        smallest=(256, 256),
        largest=(1920, 1080),
        size_bytes=310_000_000,
        problem_count=2,
        problems=(
            FileProblem(file="a/00001.jpg", reason="cut off after 3 kB"),
            FileProblem(file="notes.txt", reason="not an image"),
        ),
        warnings=("The class “island” has 12 images only: it is learnt badly.",),
        thumbnails=str(place / "strip.png"),
        thumbnail_labels=(*_KINDS, *_KINDS)[:12],
    )


def _open(window: MainWindow, place: Path) -> MainWindow:
    folder = place / "landscape pictures"
    folder.mkdir()
    window.train_page.open_data(folder)
    return window


def scanned(place: Path) -> QWidget:
    return _open(_window(place, [_summary(place)]), place)


def scan_failed(place: Path) -> QWidget:
    failure = Failure(message=f"{place} holds no images.", remedy="Choose a folder with JPEG, PNG or WebP files.")
    return _open(_window(place, [failure]), place)


def out_of_memory(place: Path) -> QWidget:
    started = Started(
        steps=20_000, parameters=33_012_345, device="cpu", precision="bf16", images=4103, validation_images=216
    )
    said: list[Event] = [started, Notice(message="2 files were left out.", level="warning")]
    said += [Metrics(step=step, loss=1.0, learning_rate=1e-4, seconds=step * 0.3) for step in (1, 2, 3)]
    folder = RunFolder.create(place / "runs" / "20260101-120000-landscapes", Recipe())
    with EventWriter(folder) as writer:
        for event in (*said, _OUT_OF_MEMORY, StateChanged(state=JobState.FAILED, step=3)):
            writer.append(event)
    folder.write_status(Status(state=JobState.FAILED, step=3, steps=20_000))
    window = _window(place, [_summary(place)])
    window.train_page.open_run(folder.path)
    return _open(window, place)


def stopped(place: Path) -> QWidget:
    runs = make_runs(place / "runs")
    window = _window(place, [_summary(place)])
    window.train_page.open_run(next(run.path for run in runs if run.read_status().state is JobState.STOPPED))
    return window


def measuring(place: Path) -> QWidget:
    """A run with metrics, the second of them in sight."""
    folder = RunFolder.create(place / "runs" / "20260101-120000-digits", Recipe())
    random = np.random.default_rng(0)
    with EventWriter(folder) as writer:
        writer.append(Started(steps=2000, parameters=1_200_000, device="cpu", precision="fp32", images=1707,
                              validation_images=90))  # fmt: skip
        for step in range(1, 1001):
            loss = 0.05 + 0.9 / (1 + step / 40) + 0.02 * random.random()
            writer.append(Metrics(step=step, loss=loss, learning_rate=1e-3, seconds=step * 0.1, images_seen=64 * step))
            if step % 100 == 0:
                for event in _measured(step, 20 + 900 * 2 ** (-step / 150) + 4 * random.random()):
                    writer.append(event)
        writer.append(StateChanged(state=JobState.STOPPED, step=1000))
    folder.write_status(Status(state=JobState.STOPPED, step=1000, steps=2000))
    window = _window(place, [_summary(place)])
    window.train_page.open_run(folder.path)
    tabs = next(bar for bar in window.findChildren(QTabBar) if bar.accessibleName() == "Plot below the loss")
    tabs.setCurrentIndex(tabs.count() - 1)
    timer = QTimer(window, singleShot=True, interval=400)  # its history is read in a thread
    timer.timeout.connect(lambda: tabs.setCurrentIndex(tabs.count() - 1))
    timer.start()
    return window


def _measured(step: int, fd: float) -> list[Event]:
    kd = fd / 2000
    return [
        Measured(step=step, metric="fid", name="FD-random-256", value=fd, floor=18.2, floor_n=256, n=256, seconds=2.0),
        Measured(step=step, metric="kid", name="KD-random-256", value=kd, low=0.8 * kd, high=1.2 * kd, floor=0.0011,
                 floor_n=256, n=256, seconds=2.0),
    ]  # fmt: skip


TRAIN_SCENES: dict[str, Callable[[Path], QWidget]] = {
    "train-scanned": scanned,
    "train-scan-failed": scan_failed,
    "train-out-of-memory": out_of_memory,
    "train-stopped": stopped,
    "train-metrics": measuring,
}
