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
    "list_devices": "dit_studio.engine.plan:list_devices",  # -> DevicesListed
    # recipe, num_classes, images -> Progress…, BatchTried…, BatchFound
    "find_batch_size": "dit_studio.engine.find_batch_size:find_batch_size",
    # recipe -> Progress…, RateTried…, RateFound
    "find_learning_rate": "dit_studio.engine.find_learning_rate:find_learning_rate",
    "export_run": "dit_studio.jobs.run_archive:export_run",  # folder, path, checkpoints -> Progress…, Written
    "import_run": "dit_studio.jobs.run_archive:import_run",  # path, root -> Progress…, Written
    "export_tensorboard": "dit_studio.jobs.tensorboard:export_tensorboard",  # folders, path -> Progress…, Written
    "describe_model": "dit_studio.engine.model_cost:describe_model",  # recipe, num_classes -> ModelSummary
    "describe_vae": "dit_studio.engine.latents:describe_vae",  # vae -> VaeDescribed
    "reconstruct": "dit_studio.engine.latents:reconstruct",  # recipe, count -> Progress…, Reconstruction
    "preflight": "dit_studio.engine.plan:preflight",  # recipe, out -> Preflight
    "describe_sampling": "dit_studio.engine.sample_job:describe",  # model, weights -> Progress…, SampleModel
    # model, weights, request, folder, branch, budget_bytes -> SamplingStarted, SampleFrame…, SamplesDrawn…
    "sample": "dit_studio.engine.sample_job:draw",
    # model, weights, request, axes, folder -> CellStarted, Progress…, CellDrawn or CellFailed, …, Written
    "sweep": "dit_studio.engine.sweep_job:draw_sweep",
    # model, weights, request, path -> Progress…, Written: straight to an NPZ, nothing held in memory
    "draw_npz": "dit_studio.engine.draw_npz:draw_npz",
    # model, weights, request, image, step, block, patch, folder -> Progress…, AttentionSeen; folder: an entry, or ""
    "see_attention": "dit_studio.engine.attention_maps:see_attention",
    # the same, and path -> Progress…, Written: the maps of all heads over the image, as PNG
    "export_attention": "dit_studio.engine.attention_picture:export_attention",
    "export": "dit_studio.engine.export.job:export",  # kind, path, options -> Progress…, Written
    # request, out, device -> Progress…, EvaluationDone
    "evaluate": "dit_studio.engine.evaluation.evaluate:evaluate",
    # plan (EvaluationPlan; {}: go on), folder, device -> PointStarted, Progress…, PointDone or PointFailed, …
    "evaluate_plan": "dit_studio.engine.evaluation.plan_job:evaluate_plan",
    # path, role -> SourceDescribed
    "describe_source": "dit_studio.engine.evaluation.describe:describe_source",
    # path, numbers, size -> Pictures; path may be a run, whose data set is meant
    "pictures": "dit_studio.engine.evaluation.pictures_job:pictures",
    "model_files": "dit_studio.engine.model_files.job:list_files",  # -> Progress…, ModelFiles
    # name, accepts_licence -> Progress…, ModelFiles
    "download_model_file": "dit_studio.engine.model_files.job:download_file",
    # path, name -> Progress…, ModelFiles; an empty path forgets what was chosen for the name
    "add_model_file": "dit_studio.engine.model_files.job:add_file",
    "report": "dit_studio.engine.evaluation.report.job:report",  # folders, path -> Progress…, Written; by the suffix
    # request (EvaluationRequest), path -> Progress…, Written: the reference's statistics as .npz
    "save_statistics": "dit_studio.engine.evaluation.statistics_job:save_statistics",
    # path, answers -> Progress…, ModelOpened; with every question answered it is remembered
    "open_model": "dit_studio.engine.interop:open_model",
    "check_export": "dit_studio.engine.export_model:check_export",  # model, weights, format -> ExportChecked
    # model, weights, path, format -> Progress…, Written
    "convert_model": "dit_studio.engine.export_model:convert_model",
    # batches, tokens, heads, head_size -> Notice, Progress…, AttentionTimed…
    "time_attention": "dit_studio.engine.benchmark_attention:time_attention",
    # names, image_size, batch -> Notice, Progress…, FamilyTimed…
    "time_family": "dit_studio.engine.benchmark_family:time_family",
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
