"""The Runs page with many runs: how soon its rows are there, and what looking after them costs the window."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
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
_NAMES = {"cold": "nothing remembered", "warm": "remembered on disk", "again": "seen before"}


def measure_runs_page(runs: int) -> WindowFigures:
    """From the choice of the page until its first rows, and all of them, are painted: in a new process with nothing
    remembered (cold), in one with what an earlier one left behind (warm), and in a second window of the same process
    (again); then the event loop's delay while the page lists the runs every two seconds. Milliseconds, medians."""
    with own_places() as place:
        _make_runs(place, runs)
        rounds: dict[str, list[list[float]]] = {kind: [] for kind in _NAMES}
        for _ in range(_ROUNDS):
            for kind in ("cold", "warm"):
                opened = _open_in_new_process(place, runs, kind)
                rounds[kind].append(opened[:2])
                rounds["again"].append(opened[2:])
        late = _looked_after(runs)
    values = {"runs": float(runs)}
    for kind, opened_each in rounds.items():
        values[f"runs_{kind}_first_ms"] = median(first for first, _ in opened_each)
        values[f"runs_{kind}_all_ms"] = median(whole for _, whole in opened_each)
    values |= {"runs_refresh_p99_ms": float(np.percentile(late, 99)), "runs_refresh_max_ms": float(late.max())}
    return WindowFigures(_lines(runs, values), values)


def open_twice(runs: int) -> tuple[float, ...]:
    """The page opened in a first and in a second window: until its first rows and all rows are painted, in ms."""
    theme.apply_theme(make_app(), "dark")
    return *_open(runs), *_open(runs)


def _lines(runs: int, values: dict[str, float]) -> tuple[str, ...]:
    opened = (
        f"Runs page, {runs:,} runs, {name}: first rows after {values[f'runs_{kind}_first_ms']:.0f} ms, all after "
        f"{values[f'runs_{kind}_all_ms']:.0f} ms."
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
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    return [float(word) for word in done.stdout.split()]


def _open(runs: int) -> tuple[float, float]:
    with _window("settings") as window:
        delays_ms(0.3)
        started = time.perf_counter()
        window.show_page("runs")
        table = _table_of(window)
        paints = _Paints(table)
        delays_ms(_LONGEST_SECONDS, until=lambda: paints.has_seen(1))
        first = time.perf_counter()
        delays_ms(_LONGEST_SECONDS, until=lambda: paints.has_seen(runs))
        return 1000 * (first - started), 1000 * (time.perf_counter() - started)


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
        folder = place / "runs" / f"20260101-{number:06d}-run-{number}"
        for name in ("checkpoints/step-0001000", "previews", "commands"):
            (folder / name).mkdir(parents=True)
        recipe = parse_recipe({"data": {"path": f"/data/set-{number % 7}"}, "train": {"seed": number}})
        status = Status(
            state=_STATES[number % len(_STATES)], step=1000 + number, steps=20_000, started=now - 3600 - 60 * number,
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
