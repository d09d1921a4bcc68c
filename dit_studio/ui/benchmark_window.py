"""How long the window keeps its user waiting: the delay of the event loop while full plots go on growing."""

import math
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QApplication

from dit_studio.events import CheckpointSaved, Event, Metrics, PreviewSaved, Validation
from dit_studio.ui import theme
from dit_studio.ui.event_loop_delay import delays_ms

_BATCH_MS = 100
_BATCH_STEPS = 20
_SIZE = (620, 560)  # pixels, of the plots in a window of 1280×800
_LOADING_LIMIT_SECONDS = 120.0


@dataclass(frozen=True)
class WindowFigures:
    """What was measured: lines to read, and the numbers by name."""

    lines: tuple[str, ...]
    values: dict[str, float]


def measure_window(*, seconds: float, points: int = 100_000) -> WindowFigures:
    """The window's start and memory; then the window and a training run beside each other for so many seconds."""
    from dit_studio.ui.benchmark_run import measure_beside_training, measure_start

    start, beside = measure_start(), measure_beside_training(seconds, points)
    lines = (
        f"Start: painted and usable after {start['start_seconds']:.2f} s, {start['start_bytes'] / 1e6:.0f} MB.",
        f"Beside a training run, {points:,} points a curve, {seconds:g} s: the event loop is late by "
        f"{beside['p50_ms']:.1f} ms (median), {beside['p99_ms']:.1f} ms (99 %), {beside['max_ms']:.1f} ms (greatest).",
        f"A training step takes {beside['step_ratio']:.3f} times as long with the window as without.",
    )
    return WindowFigures(lines, start | beside)


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
    loading_ms = delays_ms(_LOADING_LIMIT_SECONDS, until=lambda: len(plots.history.loss) >= points)
    loading_seconds = time.perf_counter() - start
    feed = QTimer(interval=_BATCH_MS, timerType=Qt.TimerType.PreciseTimer)
    feed.timeout.connect(lambda: plots.add_events([event for _ in range(_BATCH_STEPS) for event in next(run)]))
    feed.start()
    late = delays_ms(seconds)
    feed.stop()
    plots.close()
    plots.deleteLater()
    return {
        "points": float(len(plots.history.loss)),
        "beats": float(late.size),
        "p50_ms": float(np.percentile(late, 50)),
        "p99_ms": float(np.percentile(late, 99)),
        "max_ms": float(late.max()),
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
