"""Playing a film: which step comes next, and when."""

from PySide6.QtCore import QObject, Qt, QTimer, Signal

SPEEDS = (5, 8, 12, 20, 30, 45, 60)  # frames per second
_DEFAULT_SPEED = 20
_HOLD_SECONDS = 0.7  # on the last frame, before a loop begins anew


class Playback(QObject):
    """Goes from step to step by a timer. Its owner shows the steps, and tells it where it is and how many there are."""

    moved = Signal(int)  # to a step, by the timer
    changed = Signal()  # playing, looping or the speed

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.step, self.last = 1, 1
        self.loops = False
        self.frames_per_second = _DEFAULT_SPEED
        self._held_ticks = 0
        self._timer = QTimer(self, timerType=Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._on_tick)

    @property
    def is_playing(self) -> bool:
        return self._timer.isActive()

    def play(self) -> None:
        """Go on from here; at the end, begin anew."""
        if self.last <= 1 or self.is_playing:
            return
        self._held_ticks = 0
        self._timer.start(round(1000 / self.frames_per_second))
        if self.step >= self.last:
            self._move(1)
        self.changed.emit()

    def pause(self) -> None:
        if self.is_playing:
            self._timer.stop()
            self.changed.emit()

    def toggle(self) -> None:
        self.pause() if self.is_playing else self.play()

    def set_loops(self, loops: bool) -> None:
        self.loops = loops
        self.changed.emit()

    def set_speed(self, frames_per_second: int) -> None:
        self.frames_per_second = frames_per_second
        self._timer.setInterval(round(1000 / frames_per_second))
        self.changed.emit()

    def change_speed(self, by: int) -> None:
        """One speed of SPEEDS up or down."""
        index = SPEEDS.index(self.frames_per_second) + by
        self.set_speed(SPEEDS[min(max(index, 0), len(SPEEDS) - 1)])

    def _on_tick(self) -> None:
        if self.step < self.last:
            self._move(self.step + 1)
        elif not self.loops:
            self.pause()
        elif self._held_ticks < _HOLD_SECONDS * self.frames_per_second:
            self._held_ticks += 1
        else:
            self._held_ticks = 0
            self._move(1)

    def _move(self, step: int) -> None:
        self.step = step
        self.moved.emit(step)
