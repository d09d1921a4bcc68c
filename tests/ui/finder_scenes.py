"""The dialogs that find a batch size and a learning rate, in their states."""

import math
import threading
from collections.abc import Callable
from pathlib import Path

from PySide6.QtWidgets import QWidget
from scripted import Script, ScriptedLauncher

from dit_studio.events import ClassSummary, DataSummary, Event, Failure, Progress
from dit_studio.findings import batch_found, has_run_away, rate_found
from dit_studio.machine_events import BatchTried, RateTried
from dit_studio.ui.train.find_batch_dialog import FindBatchDialog
from dit_studio.ui.train.find_rate_dialog import FindRateDialog
from dit_studio.ui.train.finders import Finders
from dit_studio.ui.widgets.form import Form

DATA = DataSummary(
    path="/digits", images=1797, source="folders", smallest=(8, 8), largest=(8, 8), size_bytes=1,
    classes=tuple(ClassSummary(name=str(digit), images=179) for digit in range(10)),
)  # fmt: skip


def tried(batch: int, *, limit: int = 96) -> BatchTried:
    """On a device that holds `limit` images, 250 MB each, and is at its best at 64."""
    if batch > limit:
        reason = f"A batch of {batch} does not fit into the memory of Test GPU."
        return BatchTried(batch_size=batch, fits=False, reason=reason)
    speed = 900 * batch / (batch + 12) * (1 if batch <= 64 else 0.93)
    return BatchTried(
        batch_size=batch, fits=True, peak_bytes=2_000_000_000 + 250_000_000 * batch, images_per_second=speed
    )


BATCHES = [tried(batch) for batch in (1, 2, 4, 8, 16, 32, 64, 128, 96, 112, 104, 100, 98, 97)]
BATCH_FOUND = batch_found(BATCHES, limit="A batch of 97 does not fit into the memory of Test GPU.")


def rates(*, count: int = 140) -> list[RateTried]:
    """Losses as digits give them."""
    result: list[RateTried] = []
    mean = 0.0
    for step in range(1, count + 1):
        rate = 10 ** (-7 + 7 * (step - 1) / 139)
        fall = 0.75 / (1 + math.exp(-3.2 * (math.log10(rate) + 2.9)))
        away = max(0.0, math.log10(rate) + 1.7) ** 3
        loss = 1.0 - fall + away * 4 + 0.012 * math.sin(9.1 * step)
        mean = 0.8 * mean + 0.2 * loss
        result.append(RateTried(step=step, learning_rate=rate, loss=loss, smoothed=mean / (1 - 0.8**step)))
        if has_run_away(result):
            break
    return result


RATES = rates()
_FAILED = Failure(
    message="Training does not fit into the memory of Test GPU.",
    remedy="Take a smaller batch, gradient checkpointing, or a smaller model.",
    code="out_of_memory",
    details="Traceback (most recent call last):\n  …",
)


def finders(form: Form, *, data: DataSummary | None = DATA, **answers: Script) -> Finders:
    from dit_studio.config import Recipe

    result = Finders(ScriptedLauncher(answers=answers), form)  # type: ignore[arg-type]
    result.serve(recipe=Recipe, data=lambda: data)
    return result


def _batch(events: list[Event], *, is_running: bool = False) -> FindBatchDialog:
    script: list[Event | threading.Event] = [*events]
    if is_running:
        script = [*events, Progress(stage="Trying a batch of 112", done=2, total=4), threading.Event()]
    dialog = finders(Form("train"), find_batch_size=script).find_batch()
    dialog.bar.start.click()
    return dialog


def _rate(events: list[Event], *, is_running: bool = False, data: DataSummary | None = DATA) -> FindRateDialog:
    script: list[Event | threading.Event] = [*events]
    if is_running:
        script = [*events, Progress(stage="Training", done=90, total=140), threading.Event()]
    dialog = finders(Form("train"), data=data, find_learning_rate=script).find_rate()
    dialog.bar.start.click()
    return dialog


FINDER_SCENES: dict[str, Callable[[Path], QWidget]] = {
    "find-batch-running": lambda _: _batch([*BATCHES[:9]], is_running=True),
    "find-batch-found": lambda _: _batch([*BATCHES, BATCH_FOUND]),
    "find-batch-none": lambda _: _batch(
        [tried(1, limit=0), batch_found([tried(1, limit=0)], limit="A batch of 1 does not fit. Take a smaller model.")]
    ),
    "find-rate-running": lambda _: _rate([*RATES[:90]], is_running=True),
    "find-rate-found": lambda _: _rate([*RATES, rate_found(RATES)]),
    "find-rate-failed": lambda _: _rate([_FAILED]),
    "find-rate-no-images": lambda _: _rate([], data=None),
}
