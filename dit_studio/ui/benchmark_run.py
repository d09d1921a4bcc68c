"""The window beside real work: how fast it starts, what it weighs, and how it and a training run bear each other."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import msgspec
import numpy as np
from PySide6.QtCore import QEventLoop, QTimer
from PySide6.QtGui import QColor, QImage

from dit_studio.config import parse_recipe
from dit_studio.events import Command, Metrics, encode
from dit_studio.jobs.event_log import EventReader
from dit_studio.jobs.launch import Launcher
from dit_studio.jobs.run_folder import RunFolder
from dit_studio.ui.app import make_app
from dit_studio.ui.event_loop_delay import delays_ms
from dit_studio.ui.main_window import MainWindow
from dit_studio.ui.settings import Settings

_PICTURES, _SIDE, _ROUNDS = 64, 32, 3
_RECIPE: dict[str, Any] = {
    "data": {"image_size": _SIDE},
    "model": {"preset": "XXS/4"},
    "train": {"steps": 10_000_000, "batch_size": 64, "checkpoint_every": 0, "preview_every": 0, "validate_every": 0},
}
_START = """
import os, sys, time
from PySide6.QtCore import QTimer
from dit_studio.ui.app import make_app
from dit_studio.ui import theme
from dit_studio.ui.settings import Settings
from dit_studio.ui.main_window import MainWindow
from dit_studio.jobs.launch import Launcher
app = make_app()
settings, launcher = Settings(), Launcher()
theme.apply_theme(app, settings.now.theme, settings.now.font_scale)
window = MainWindow(settings, launcher)
window.show()
def painted():
    window.repaint()
    ready = time.time()
    def weigh():
        import psutil
        print(ready - float(sys.argv[1]), psutil.Process().memory_info().rss, flush=True)
        window.leave(); launcher.close(); app.quit()
    QTimer.singleShot(3000, weigh)
QTimer.singleShot(0, painted)  # once the events of showing it are done
app.exec()
"""


def measure_start(*, rounds: int = 5) -> dict[str, float]:
    """A new process on its Train page: `start_seconds` until its window is painted and takes events, counted from
    before the process exists, and its memory three seconds later. The medians of `rounds`."""
    seconds, sizes = [], []
    with own_places():
        for _ in range(rounds):
            command = [sys.executable, "-c", _START, str(time.time())]
            done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
            taken, size = done.stdout.split()
            seconds.append(float(taken))
            sizes.append(float(size))
    return {"start_seconds": median(seconds), "start_bytes": median(sizes)}


def measure_beside_training(seconds: float, points: int) -> dict[str, float]:
    """A real run of DiT-XXS/4 with `points` steps behind it, alone and with the window open on it, in turn.

    Gives the event loop's delay while the run trains, in milliseconds (`p50_ms`, `p99_ms`, `max_ms`), and how much
    longer a training step takes with the window than without (`step_ratio`, the median of the paired rounds).
    """
    make_app()
    with own_places() as place:
        folder = _run_with_history(place, points)
        watcher = EventReader(folder)
        launcher = Launcher()
        job = launcher.train(folder, resume=True)
        events = job.events()
        try:
            next(event for event in events if isinstance(event, Metrics) and event.step > points + 20)
            _pass_over(watcher)
            delays, ratios = [], []
            for _ in range(_ROUNDS):
                alone = _step_seconds(watcher, seconds / _ROUNDS / 2)
                with _window_on(folder, place, points):
                    _pass_over(watcher)
                    delays.append(delays_ms(seconds / _ROUNDS))
                    ratios.append(_median_step(list(watcher.drain())) / alone)
        finally:
            folder.send(Command.STOP)
            for _ in events:
                pass
            launcher.close()
    late = np.concatenate(delays)
    return {
        "points": float(points),
        "p50_ms": float(np.percentile(late, 50)),
        "p99_ms": float(np.percentile(late, 99)),
        "max_ms": float(late.max()),
        "step_ratio": median(ratios),
    }


@contextmanager
def own_places() -> Iterator[Path]:
    """Runs, cache and settings in a temporary folder, for this process and its children."""
    place = Path(tempfile.mkdtemp(prefix="dit-studio-window-"))
    names = {"DIT_STUDIO_RUNS": "runs", "DIT_STUDIO_CACHE": "cache", "DIT_STUDIO_SETTINGS": "settings.json"}
    before = {name: os.environ.get(name) for name in names}
    os.environ.update({name: str(place / inside) for name, inside in names.items()})
    try:
        yield place
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.__setitem__(name, value)
        shutil.rmtree(place, ignore_errors=True)


def _run_with_history(place: Path, points: int) -> RunFolder:
    """A run whose first checkpoint says that `points` steps are done, and whose history says so too."""
    from dit_studio.ui.benchmark_window import synthetic_run

    for number in range(_PICTURES):
        picture = QImage(_SIDE, _SIDE, QImage.Format.Format_RGB32)
        picture.fill(QColor.fromHsv(number * 5, 120, 200))
        (place / "pictures").mkdir(exist_ok=True)
        picture.save(str(place / "pictures" / f"{number}.png"))
    tables = {**_RECIPE, "data": {**_RECIPE["data"], "path": str(place / "pictures")}}
    folder = RunFolder.create(place / "runs" / "benchmark", parse_recipe(tables))
    for event in Launcher().train(folder).events():
        if isinstance(event, Metrics) and event.step == 1:
            folder.send(Command.STOP)
    (checkpoint,) = folder.checkpoints()
    state = msgspec.json.decode((checkpoint / "state.json").read_bytes())
    (checkpoint / "state.json").write_bytes(msgspec.json.encode({**state, "step": points}))
    run = synthetic_run()
    history = [encode(event) for _ in range(points) for event in next(run) if isinstance(event, Metrics)]
    (folder.path / "events.jsonl").write_bytes(b"\n".join(history) + b"\n")
    return folder


@contextmanager
def _window_on(folder: RunFolder, place: Path, points: int) -> Iterator[None]:
    """The window, open on the run, with all of its history in the plots."""
    launcher = Launcher()
    window = MainWindow(Settings(place / "settings.json"), launcher)
    window.show()
    window.open_path(folder.path)
    plots = window.page("train").plots  # type: ignore[attr-defined]
    delays_ms(120.0, until=lambda: plots.history.last_step >= points)
    delays_ms(2.0)  # until the device is described and the first paint is over
    try:
        yield
    finally:
        window.leave()
        window.deleteLater()
        launcher.close()


def _step_seconds(watcher: EventReader, seconds: float) -> float:
    """A training step without a window: this process only waits."""
    _pass_over(watcher)
    loop = QEventLoop()
    QTimer.singleShot(int(1000 * seconds), loop.quit)
    loop.exec()
    return _median_step(list(watcher.drain()))


def _pass_over(watcher: EventReader) -> None:
    for _ in watcher.drain():
        pass


def _median_step(events: list[Any]) -> float:
    steps = [event for event in events if isinstance(event, Metrics)]
    return float(np.median(np.diff([event.time for event in steps])))
