"""The job table: every job by name, and the engine's generator that does it.

The engine is named by text and imported where the job runs, so that a window never imports torch.
"""

import importlib
from collections.abc import Callable, Generator
from typing import Any

from dit_studio.events import Event

JOBS = {
    "scan_data": "dit_studio.engine.data:scan",  # path, classes -> Progress…, DataSummary
    "describe_device": "dit_studio.engine.plan:describe_device",  # -> DeviceSummary
    "describe_model": "dit_studio.engine.plan:describe_model",  # recipe, num_classes -> ModelSummary
    "preflight": "dit_studio.engine.plan:preflight",  # recipe, out -> Preflight
    "describe_sampling": "dit_studio.engine.sample_job:describe",  # model, weights -> Progress…, SampleModel
    # model, weights, request, folder, branch, budget_bytes -> SamplingStarted, SampleFrame…, SamplesDrawn…
    "sample": "dit_studio.engine.sample_job:draw",
    # model, weights, request, axes, folder -> CellStarted, Progress…, CellDrawn or CellFailed, …, Written
    "sweep": "dit_studio.engine.sweep_job:draw_sweep",
    # model, weights, request, path -> Progress…, Written: straight to an NPZ, nothing held in memory
    "draw_npz": "dit_studio.engine.draw_npz:draw_npz",
    "export": "dit_studio.engine.export.job:export",  # kind, path, options -> Progress…, Written
    # request, out, device -> Progress…, EvaluationDone
    "evaluate": "dit_studio.engine.evaluation.evaluate:evaluate",
    "train": "dit_studio.engine.training:train",  # recipe, folder, next_command, resume -> the events of a run
}


def resolve(job: str) -> Callable[..., Generator[Event]]:
    """The generator function of a job. Raises: KeyError if there is no such job."""
    module, _, function = JOBS[job].partition(":")
    generator: Callable[..., Generator[Event]] = getattr(importlib.import_module(module), function)
    return generator


def call(job: str, params: dict[str, Any]) -> Generator[Event]:
    """Run a job in this process and thread."""
    yield from resolve(job)(**params)
