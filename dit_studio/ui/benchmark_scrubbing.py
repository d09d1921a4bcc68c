"""How fast the Sample page follows the slider: the time from a step asked for to all of it painted."""

import time

import numpy as np
from PySide6.QtCore import QEvent, QEventLoop, QObject, QTimer
from PySide6.QtWidgets import QApplication

from dit_studio.events import SampleFrame, SamplesDrawn, SamplingStarted, StepPoint
from dit_studio.ui import theme
from dit_studio.ui.benchmark_window import WindowFigures
from dit_studio.ui.sample.frames import Frames
from dit_studio.ui.sample.stage import Stage

_SIZE = (720, 720)  # pixels, of the stage in a window of 1280×800
_WARM_UP = 5  # repaints that are not counted


def measure_scrubbing(*, steps: int = 100, images: int = 64, side: int = 32, rounds: int = 3) -> WindowFigures:
    """Scrub through a film of noise, with all images in sight at every step.

    Gives, in milliseconds, the time of a repaint (`p50_ms`, `p95_ms`, `max_ms`, of `repaints`).
    Needs a display, or QT_QPA_PLATFORM=offscreen.
    """
    app = QApplication.instance() or QApplication([])
    assert isinstance(app, QApplication)
    theme.apply_theme(app)
    stage = Stage()
    stage.resize(*_SIZE)
    stage.show_film(_film(steps, images, side))
    stage.show()
    watch = _Watch(stage)
    elapsed_ms = [watch.time_step(step) for step in [*range(1, _WARM_UP + 1), *list(range(1, steps + 1)) * rounds]]
    stage.close()
    stage.deleteLater()
    counted = np.array(elapsed_ms[_WARM_UP:])
    values = {
        "repaints": float(counted.size),
        "p50_ms": float(np.percentile(counted, 50)),
        "p95_ms": float(np.percentile(counted, 95)),
        "max_ms": float(counted.max()),
    }
    line = (
        f"Scrubbing {steps} steps × {images} images of {side}×{side}: a repaint takes {values['p50_ms']:.1f} ms "
        f"(median), {values['p95_ms']:.1f} ms (95 %), {values['max_ms']:.1f} ms (greatest)."
    )
    return WindowFigures((line,), values)


class _Watch(QObject):
    """Times what the window's thread does for a step. The wait for the screen between its two parts does not count."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self._stage = stage
        self._loop = QEventLoop(self)
        self._painting_since = 0.0
        stage.installEventFilter(self)

    def time_step(self, step: int) -> float:
        """Milliseconds to go to a step, and to paint all that changed."""
        start = time.perf_counter()
        self._stage.seek(step)
        seconds = time.perf_counter() - start
        self._stage.scrubber.update()  # the first step may be shown already
        self._painting_since = 0.0
        self._loop.exec()
        return (seconds + time.perf_counter() - self._painting_since) * 1000

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.UpdateRequest and not self._painting_since:
            self._painting_since = time.perf_counter()
            QTimer.singleShot(0, self._loop.quit)
        return super().eventFilter(watched, event)


def _film(steps: int, images: int, side: int) -> Frames:
    draw = np.random.default_rng(0)
    log_snr = np.linspace(-9, 9, steps)
    started = SamplingStarted(
        folder="",
        points=tuple(
            StepPoint(t=1000 * (1 - index / steps), sigma=float(np.exp(-value / 2)), log_snr=float(value))
            for index, value in enumerate(log_snr)
        ),
        labels=tuple(image % 10 for image in range(images)),
        seeds=tuple(range(images)),
        height=side,
        width=side,
        channels=3,
        planes=("x_t", "x_start"),
    )
    film = Frames(started, budget_bytes=2**31)
    for step in range(1, steps + 1):
        data = draw.bytes(2 * images * side * side * 3)
        numbers = tuple(draw.random(images).tolist())
        film.add(SampleFrame(first_image=0, images=images, step=step, norms=numbers, moves=numbers, data=data))
    film.finish(SamplesDrawn(first_image=0, images=images, data=draw.bytes(images * side * side * 3)))
    return film
