"""Run folders in every state, as training would have left them."""

import math
import os
import socket
import time
from pathlib import Path

import numpy as np
from PIL import Image

from dit_studio.config import Recipe, parse_recipe, resolve
from dit_studio.events import Event, JobState, Metrics, PreviewSaved, Started, Validation
from dit_studio.jobs.event_log import EventWriter
from dit_studio.jobs.run_folder import RunFolder, Status

_STATES = (
    ("digits-XXS", "digits", "XXS/2", JobState.FINISHED, 2000, ""),
    ("landscapes-B4", "landscapes", "B/4", JobState.STOPPED, 1240, ""),
    ("landscapes-S4-cosine", "landscapes", "S/4", JobState.FAILED, 610, "The loss is NaN since step 605."),
    (
        "flowers and 數據",
        "flowers-102",
        "XS/4",
        JobState.INTERRUPTED,
        90,
        "The training process was killed (signal 9).",
    ),
)


def make_runs(root: Path) -> list[RunFolder]:
    """A run in each of several states, the first the oldest."""
    return [make_run(root, *state, age=len(_STATES) - number) for number, state in enumerate(_STATES)]


def make_run(
    root: Path, name: str, data: str, preset: str, state: JobState, step: int, message: str = "", *, age: int = 0
) -> RunFolder:
    """One run of 2000 steps with a falling loss; `age` in hours."""
    recipe = parse_recipe(
        {"data": {"path": f"/data/{data}"}, "model": {"preset": preset}, "train": {"steps": 2000, "seed": age}}
    )
    folder = RunFolder.create(root / name, recipe)
    if state in (JobState.FINISHED, JobState.STOPPED):
        (folder.path / "checkpoints" / f"step-{step:07d}").mkdir()
    _write_events(folder, recipe, step=step, bend=1 + age / 3)
    folder.write_status(
        Status(
            state=state,
            step=step,
            steps=2000,
            message=message,
            pid=os.getpid(),
            host=socket.gethostname(),
            heartbeat=time.time(),
            started=time.time() - 3600 * age,
            seconds=step * 0.31,
            loss=_loss(step, 1 + age / 3),
            validation_loss=_loss(step, 1 + age / 3) * 1.02 if step > 250 else None,
            preview="previews/step-0000500.png",
        )
    )
    return folder


def _loss(step: int, bend: float) -> float:
    return 0.05 + math.exp(-step / 200 / bend) + 0.02 * math.sin(step * 12.9898) ** 2


def _write_events(folder: RunFolder, recipe: Recipe, *, step: int, bend: float) -> None:
    _write_preview(folder.path / "previews" / "step-0000500.png")
    events: list[Event] = [
        Started(steps=2000, parameters=1_000_000, device="cpu", precision="fp32", images=1797, validation_images=90)
    ]
    for number in range(1, step + 1, 5):
        events.append(
            Metrics(
                step=number, loss=_loss(number, bend), learning_rate=resolve(recipe).train.learning_rate, grad_norm=1.0
            )
        )
        if number % 250 == 1:
            events.append(Validation(step=number, loss=_loss(number, bend) * 1.02))
    events.append(PreviewSaved(step=500, file="previews/step-0000500.png", columns=4, rows=1, cell_size=32))
    with EventWriter(folder) as writer:
        for event in events:
            writer.append(event)


def _write_preview(path: Path) -> None:
    y, x = np.mgrid[0:32, 0:128] / 32
    picture = np.stack([0.5 + 0.5 * np.sin(3 * x), y, 1 - y], axis=-1)
    Image.fromarray((255 * picture).astype(np.uint8)).save(path)
