"""The Runs page with many runs: how soon its rows are there, and what looking after them costs the window."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from statistics import median

import msgspec
import numpy as np
from PySide6.QtCore import QEvent, QObject
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QTableView

from dit_studio.config import dump_recipe, parse_recipe
from dit_studio.events import JobState
from dit_studio.jobs.launch import Launcher
from dit_studio.jobs.run_folder import Status
from dit_studio.ui import theme
from dit_studio.ui.app import make_app
from dit_studio.ui.benchmark_run import own_places
from dit_studio.ui.benchmark_window import WindowFigures
from dit_studio.ui.event_loop_delay import delays_ms
from dit_studio.ui.main_window import MainWindow
from dit_studio.ui.settings import Settings

_ROUNDS, _LONGEST_SECONDS = 3, 60.0
_PICTURES_SECONDS, _REFRESHES_SECONDS = 4.0, 9.0  # four refreshes
_STATES = (JobState.FINISHED, JobState.FINISHED, JobState.STOPPED, JobState.FAILED, JobState.INTERRUPTED)
_OPEN = "import sys; from dit_studio.ui.benchmark_runs import open_twice; print(*open_twice(int(sys.argv[1])))"
_NAMES = {
    "cold": "in a new process with nothing remembered",
    "warm": "in a new process with the settings remembered on disk",
    "again": "in a second window of a process",
}
_MOMENTS = ("first", "all", "first_cpu", "all_cpu")


def measure_runs_page(runs: int) -> WindowFigures:
    """From the choice of the page until its first rows, and all of them, are painted: in a new process with nothing
    remembered (cold), in one with what an earlier one left behind (warm), and in a second window of the same process
    (again), each with the time that the process was at work meanwhile, which other work on the machine hardly changes;
    then the event loop's delay while the page lists the runs every two seconds. Milliseconds, medians."""
    with own_places() as place:
        _make_runs(place, runs)
        rounds: dict[str, list[list[float]]] = {kind: [] for kind in _NAMES}
        _open_in_new_process(place, runs, "cold")  # leaves the modules' bytecode, as installing does
        for _ in range(_ROUNDS):
            for kind in ("cold", "warm"):
                opened = _open_in_new_process(place, runs, kind)
                rounds[kind].append(opened[: len(_MOMENTS)])
                rounds["again"].append(opened[len(_MOMENTS) :])
        late = _looked_after(runs)
    values = {"runs": float(runs)}
    for kind, opened_each in rounds.items():
        for moment, figures in zip(_MOMENTS, zip(*opened_each, strict=True), strict=True):
            values[f"runs_{kind}_{moment}_ms"] = median(figures)
    values |= {"runs_refresh_p99_ms": float(np.percentile(late, 99)), "runs_refresh_max_ms": float(late.max())}
    return WindowFigures(_lines(runs, values), values)


def open_twice(runs: int) -> tuple[float, ...]:
    """The page opened in a first and in a second window: until its first rows and all rows are painted, then how long
    the process was at work until then; in ms."""
    theme.apply_theme(make_app(), "dark")
    return *_open(runs), *_open(runs)


def _lines(runs: int, values: dict[str, float]) -> tuple[str, ...]:
    opened = (
        f"Runs page, {runs:,} runs, {name}: from the choice of the page, its import included, the newest screenful is "
        f"painted after {values[f'runs_{kind}_first_ms']:.0f} ms ({values[f'runs_{kind}_first_cpu_ms']:.0f} ms of a "
        f"processor), with all rows in the table after {values[f'runs_{kind}_all_ms']:.0f} ms "
        f"({values[f'runs_{kind}_all_cpu_ms']:.0f} ms)."
        for kind, name in _NAMES.items()
    )
    refreshed = (
        f"Listing them every two seconds: the event loop is late by {values['runs_refresh_p99_ms']:.1f} ms (99 %), "
        f"{values['runs_refresh_max_ms']:.1f} ms (greatest)."
    )
    return *opened, refreshed


def _open_in_new_process(place: Path, runs: int, kind: str) -> list[float]:
    if kind == "cold":
        for file in (place / "cache").glob("runs-*.json"):
            file.unlink()
    command = [sys.executable, "-c", _OPEN, str(runs)]
    places = {**os.environ, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(place / "bytecode")}
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300, env=places)
    return [float(word) for word in done.stdout.split()]


def _open(runs: int) -> tuple[float, ...]:
    with _window("settings") as window:
        delays_ms(0.3)
        started, at_work = time.perf_counter(), time.process_time()
        window.show_page("runs")
        table = _table_of(window)
        paints = _Paints(table)
        taken, worked = [], []
        for rows in (1, runs):
            delays_ms(_LONGEST_SECONDS, until=lambda rows=rows: paints.has_seen(rows))  # type: ignore[misc]
            taken.append(1000 * (time.perf_counter() - started))
            worked.append(1000 * (time.process_time() - at_work))
        return *taken, *worked


def _looked_after(runs: int) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    """The event loop's delays while the page lists the runs again and again."""
    theme.apply_theme(make_app(), "dark")
    with _window("runs") as window:
        model = _table_of(window).model()
        delays_ms(_LONGEST_SECONDS, until=lambda: model.rowCount() >= runs)
        delays_ms(_PICTURES_SECONDS)
        return delays_ms(_REFRESHES_SECONDS)


@contextmanager
def _window(page: str) -> Iterator[MainWindow]:
    """A window that shows a page; afterwards nothing of it runs."""
    settings, launcher = Settings(), Launcher()
    settings.put(page=page)
    window = MainWindow(settings, launcher)
    window.show()
    try:
        yield window
    finally:
        window.leave()
        window.deleteLater()
        settings.flush()
        launcher.close()


def _table_of(window: MainWindow) -> QTableView:
    table = window.page("runs").findChild(QTableView, "runs")
    assert isinstance(table, QTableView)
    return table


class _Paints(QObject):
    """Whether a table was painted since it has so many rows."""

    def __init__(self, table: QTableView) -> None:
        super().__init__(table)
        self._table, self._rows, self._is_painted = table, 0, False
        table.viewport().installEventFilter(self)

    def eventFilter(self, _watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Paint:
            self._rows, self._is_painted = self._table.model().rowCount(), True
        return False

    def has_seen(self, rows: int) -> bool:
        return self._is_painted and self._rows >= rows


def _make_runs(place: Path, runs: int) -> None:
    """Runs in every state as training leaves them behind, all of some time ago."""
    picture = place / "picture.png"
    image = QImage(256, 64, QImage.Format.Format_RGB32)
    image.fill(0x3366AA)
    image.save(str(picture))
    data = picture.read_bytes()
    now = time.time()
    for number in range(runs):
        started = now - 3600 - 60 * number
        folder = place / "runs" / f"{datetime.fromtimestamp(started):%Y%m%d-%H%M%S}-run-{number}"
        for name in ("checkpoints/step-0001000", "previews", "commands"):
            (folder / name).mkdir(parents=True)
        recipe = parse_recipe({"data": {"path": f"/data/set-{number % 7}"}, "train": {"seed": number}})
        status = Status(
            state=_STATES[number % len(_STATES)], step=1000 + number, steps=20_000, started=started,
            loss=0.1 + number / 1e4, validation_loss=0.11, metric="FID-random-256", metric_value=12.0 + number / 100,
            seconds=600.0, preview="previews/step-0000500.png",
        )  # fmt: skip
        (folder / "previews" / "step-0000500.png").write_bytes(data)
        contents = {
            "run.toml": dump_recipe(recipe).encode(),
            "status.json": msgspec.json.encode(status),
            "label.json": b'{"tags": ["ablation"]}',
        }
        for name, content in contents.items():
            (folder / name).write_bytes(content)
            os.utime(folder / name, (now - 60, now - 60))
