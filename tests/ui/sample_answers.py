"""What a worker answers to the Sample page: a model, and drawings that also lie in the history's folder."""

import threading
from pathlib import Path
from typing import Any

import msgspec
from sample_films import Drawing, gradients, started
from sample_history_scenes import make_entry
from scripted import Script, Step

from dit_studio.events import SampleModel
from dit_studio.sample_request import BranchPoint, ModelReference, SampleRecord, SampleRequest

SIDE = 16
MODEL = SampleModel(
    path="/runs/digits",
    name="digits · step 2,000 · EMA",
    step=2000,
    class_names=tuple("0123456789"),
    num_classes=10,
    has_null_class=True,
    image_size=SIDE,
    samplers=("ddim", "ddpm", "dpm++", "unipc", "heun", "euler"),
    parameters=1_900_000,
    device="cpu",
    precision="fp32",
    fingerprint="a1b2c3d4e5f60718",
)


def drawn(
    model: str, weights: str, request: dict[str, Any], folder: str, branch: dict[str, Any] | None, **_: object
) -> Script:
    """Every step of a request, and an entry of the history when it is over."""
    return [*frames(request, folder), *_finished(model, weights, request, folder, branch)]


def frames(request: dict[str, Any], folder: str, *, steps: int | None = None) -> list[Step]:
    """SamplingStarted, and the first `steps` frames; all of them and the images if that is not said."""
    asked = msgspec.convert(request, SampleRequest)
    clean = gradients(asked.count, SIDE)
    start = msgspec.structs.replace(started(clean, asked.steps, seed=asked.seed), folder=folder)
    drawing = Drawing(clean, start)
    until = asked.steps if steps is None else steps
    said: list[Step] = [start, *(drawing.frame(step) for step in range(1, until + 1))]
    return [*said, drawing.drawn()] if steps is None else said


def held(gate: threading.Event, *, steps: int) -> Any:
    """An answer that draws some steps and then waits."""

    def answer(request: dict[str, Any], folder: str, **_: object) -> Script:
        return [*frames(request, folder, steps=steps), gate]

    return answer


def _finished(
    model: str, weights: str, request: dict[str, Any], folder: str, branch: dict[str, Any] | None
) -> list[Step]:
    record = SampleRecord(
        request=msgspec.convert(request, SampleRequest),
        model=ModelReference(path=model, name=MODEL.name, weights=weights, class_names=MODEL.class_names),
        branch=None if branch is None else msgspec.convert(branch, BranchPoint),
        time=float(len(list(Path(folder).parent.iterdir()))),
    )
    Path(folder).rmdir()
    make_entry(Path(folder).parent, Path(folder).name, record, side=SIDE)
    return []
