"""How fast a run goes, and when it will be done: from the steps of its latest session alone."""

from dit_studio.events import Metrics

STEPS_BEFORE_ESTIMATE = 30
_WEIGHT = 0.03  # of the newest step in the moving average, once there are enough


class Pace:
    """The moving average of the time of a step."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Forget the steps so far: the run was started, or went on after a break."""
        self._last: Metrics | None = None
        self._steps = 0
        self._seconds_per_step = 0.0
        self._images_per_step = 0.0

    def add(self, metrics: Metrics) -> None:
        last, self._last = self._last, metrics
        if last is None or metrics.step <= last.step:
            return
        seconds = (metrics.seconds - last.seconds) / (metrics.step - last.step)
        if seconds < 0:
            return
        self._images_per_step = (metrics.images_seen - last.images_seen) / (metrics.step - last.step)
        self._steps += metrics.step - last.step
        weight = max(_WEIGHT, 1 / self._steps)
        self._seconds_per_step += min(weight, 1.0) * (seconds - self._seconds_per_step)

    @property
    def steps_per_second(self) -> float | None:
        return 1 / self._seconds_per_step if self._seconds_per_step > 0 else None

    @property
    def images_per_second(self) -> float | None:
        steps_per_second = self.steps_per_second
        return steps_per_second * self._images_per_step if steps_per_second and self._images_per_step > 0 else None

    def remaining_seconds(self, total_steps: int) -> float | None:
        """None until enough steps of this session were seen."""
        if self._last is None or self._steps < STEPS_BEFORE_ESTIMATE or self._seconds_per_step <= 0:
            return None
        return max(0, total_steps - self._last.step) * self._seconds_per_step
