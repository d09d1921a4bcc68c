"""How long the window keeps its user waiting: the delay of the event loop while full plots go on growing."""

import math
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from PySide6.QtCore import QEventLoop, Qt, QTimer
from PySide6.QtWidgets import QApplication

from dit_studio.events import CheckpointSaved, Event, Metrics, PreviewSaved, Validation
from dit_studio.ui import theme

_BEAT_MS = 5
_BATCH_MS = 100
_BATCH_STEPS = 20
_SIZE = (620, 560)  # pixels, of the plots in a window of 1280×800
_LOADING_LIMIT_SECONDS = 120.0
_BURN = """
import os, sys
import numpy as np
a = np.random.default_rng(0).random((256, 256), np.float32)
while os.getppid() == int(sys.argv[1]):
    b = a @ a
"""  # ends with the process that started it


@dataclass(frozen=True)
class WindowFigures:
    """What was measured: lines to read, and the numbers by name."""

    lines: tuple[str, ...]
    values: dict[str, float]


def measure_window(*, seconds: float, points: int = 100_000) -> WindowFigures:
    """The event loop's delay with full plots, while other processes keep every core busy."""
    one_thread = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", _BURN, str(os.getpid())]
    burners = [subprocess.Popen(command, env=one_thread) for _ in range(os.cpu_count() or 1)]
    try:
        values = measure_event_loop(seconds, points)
        values["bare_p99_ms"] = float(np.percentile(_delays_ms(seconds / 2), 99))
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()
    line = (
        f"Event loop, {values['points']:,.0f} points a curve, {len(burners)} cores busy, {seconds:g} s: delay "
        f"{values['p50_ms']:.1f} ms (median), {values['p99_ms']:.1f} ms (99 %), {values['max_ms']:.1f} ms (greatest); "
        f"without plots {values['bare_p99_ms']:.1f} ms (99 %)."
    )
    return WindowFigures((line,), values | {"busy_cores": float(len(burners))})


def measure_event_loop(seconds: float, points: int) -> dict[str, float]:
    """Open the plots with `points` points in each curve, and feed them 200 steps a second.

    Gives, in milliseconds, the delay of a timer of 5 ms meanwhile (`p50_ms`, `p99_ms`, `max_ms`, of `beats`), and
    its 99th percentile while the points were taken in (`loading_p99_ms`, for `loading_seconds`).
    Needs a display, or QT_QPA_PLATFORM=offscreen.
    """
    app = QApplication.instance() or QApplication([])
    assert isinstance(app, QApplication)
    theme.apply_theme(app)
    from dit_studio.ui.train.plots import TrainPlots

    plots = TrainPlots()
    plots.resize(*_SIZE)
    plots.show()
    run = synthetic_run()
    history = [event for _ in range(points) for event in next(run)]
    start = time.perf_counter()
    plots.add_events(history)
    loading_ms = _delays_ms(_LOADING_LIMIT_SECONDS, until=lambda: len(plots.history.loss) >= points)
    loading_seconds = time.perf_counter() - start
    feed = QTimer(interval=_BATCH_MS, timerType=Qt.TimerType.PreciseTimer)
    feed.timeout.connect(lambda: plots.add_events([event for _ in range(_BATCH_STEPS) for event in next(run)]))
    feed.start()
    delays_ms = _delays_ms(seconds)
    feed.stop()
    plots.close()
    plots.deleteLater()
    return {
        "points": float(len(plots.history.loss)),
        "beats": float(delays_ms.size),
        "p50_ms": float(np.percentile(delays_ms, 50)),
        "p99_ms": float(np.percentile(delays_ms, 99)),
        "max_ms": float(delays_ms.max()),
        "loading_p99_ms": float(np.percentile(loading_ms, 99)),
        "loading_seconds": loading_seconds,
    }


def synthetic_run() -> Iterator[list[Event]]:
    """The events of one step after another, for ever; the same each time."""
    draw = random.Random(0)
    step = 0
    while True:
        step += 1
        loss = (0.03 + math.exp(-step / 3000)) * math.exp(draw.gauss(0.0, 0.3))
        events: list[Event] = [
            Metrics(
                step=step,
                loss=loss,
                learning_rate=2e-4 * min(1.0, step / 100),
                grad_norm=0.3 * math.exp(draw.gauss(0.0, 0.4)),
                images_per_second=draw.gauss(310.0, 12.0),
                memory_bytes=1_200_000_000,
                images_seen=64 * step,
                bands=tuple(loss * factor * math.exp(draw.gauss(0.0, 0.3)) for factor in (4.0, 1.5, 0.6, 0.2)),
                seconds=step * 0.2,
            )
        ]
        if step % 250 == 0:
            events.append(Validation(step=step, loss=loss))
        if step % 500 == 0:
            events.append(
                PreviewSaved(step=step, file=f"previews/step-{step:07d}.png", columns=7, rows=1, cell_size=32)
            )
        if step % 1000 == 0:
            events.append(CheckpointSaved(step=step, file=f"checkpoints/step-{step:07d}"))
        yield events


def _delays_ms(
    seconds: float, *, until: Callable[[], bool] = lambda: False
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Run the event loop, and measure how late each beat of a timer comes."""
    loop = QEventLoop()
    delays: list[float] = []
    started = last = time.perf_counter()

    def on_beat() -> None:
        nonlocal last
        now = time.perf_counter()
        delays.append(max(0.0, (now - last) * 1000 - _BEAT_MS))
        last = now
        if now - started > seconds or until():
            loop.quit()

    beat = QTimer(interval=_BEAT_MS, timerType=Qt.TimerType.PreciseTimer)
    beat.timeout.connect(on_beat)
    beat.start()
    loop.exec()
    beat.stop()
    return np.array(delays)
