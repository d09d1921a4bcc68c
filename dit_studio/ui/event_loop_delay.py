"""How late the event loop comes: what a person feels as a window that does not answer."""

import time
from collections.abc import Callable

import numpy as np
from PySide6.QtCore import QEventLoop, Qt, QTimer

_BEAT_MS = 5


def delays_ms(
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
