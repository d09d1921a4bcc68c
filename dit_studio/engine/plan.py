"""What can be said before a run starts: the device, and whether anything stands in the way."""

import functools
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import torch

from dit_studio.config import Recipe, parse_recipe
from dit_studio.engine import data, fine_tune
from dit_studio.engine import device as devices
from dit_studio.engine.checkpoint import COLOR_CHANNELS
from dit_studio.engine.device_plan import DevicePlan, device_checks, plan_line
from dit_studio.engine.latents_checks import latents_checks
from dit_studio.engine.model_cost import model_cost
from dit_studio.engine.trainer import PREVIEW_CLASSES
from dit_studio.errors import StudioError
from dit_studio.events import (
    Check,
    CheckStatus,
    DataSummary,
    Preflight,
    Progress,
)
from dit_studio.files import free_bytes, why_not_writable
from dit_studio.machine_events import DeviceDescribed, DevicesListed, DeviceSummary
from dit_studio.model_settings import resolve_model
from dit_studio.places import cache_dir

_SCAN_SECONDS = 60.0
_BLOCK_SECONDS = 0.003  # that calling the operations of a block, forward and backward, costs at least
_EFFICIENCY = 0.4  # of the machine's own matmul rate that a training step reaches (measured on S/2 and XXS/2)


def describe_device() -> Iterator[DeviceSummary]:
    """The device that a run would take."""
    device = devices.pick_device()
    yield DeviceSummary(
        backend=device.type,
        name=devices.describe(device),
        precision=devices.pick_precision(device).name,
        torch_version=str(torch.__version__),
        memory_used=devices.memory_total(device) - devices.memory_free(device),
        memory_total=devices.memory_total(device),
        hint=devices.missing_accelerator_hint(),
    )


def list_devices() -> Iterator[DevicesListed]:
    """Every device of this machine."""
    names = devices.here()
    found = [devices.pick_device(name) for name in names]
    yield DevicesListed(
        devices=tuple(
            DeviceDescribed(
                name=name,
                title=devices.describe(device),
                memory_used=in_use,
                memory_total=devices.memory_total(device),
            )
            for name, device, in_use in zip(names, found, devices.memory_in_use(found), strict=True)
        ),
        cores=devices.cores(),
    )


# ------------------------------------------------------------------------------------------------- preflight


def preflight(recipe: dict[str, Any], out: str) -> Iterator[Progress | Preflight]:
    """Everything that can be found out before Start, as a list of checks."""
    settings = parse_recipe(recipe)
    summary, data_checks = yield from _check_data(settings)
    names = [kind.name for kind in summary.classes] if summary and settings.data.classes != "none" else []
    classes = len(names)
    checks = [
        *data_checks,
        *(vae_checks := latents_checks(settings, summary.images if summary else 0)),
        *_check_folder("Output folder", Path(out)),
        *_check_folder("Cache folder", cache_dir()),
        *(wrong_devices := list(device_checks(settings))),
    ]
    if all(check.status is not CheckStatus.FAILED for check in [*vae_checks, *wrong_devices]):  # else it is not known
        checks += [
            *([fine_tune.preflight_line(settings, names)] if settings.train.start_from else []),
            *_check_disk(settings, Path(out), summary, classes),
            *_check_devices(settings, classes),
            _check_memory(settings, classes),
            _check_time(settings, classes),
        ]
    yield Preflight(checks=tuple(checks))


def room_checks(settings: Recipe, out: Path) -> Iterator[Check]:
    """Whether the run's folder can be written and has room for its checkpoints."""
    if problems := list(_check_folder("Output folder", out)):
        yield from problems
    else:
        yield from _check_disk(settings, out, None, 0)


def _check_data(settings: Recipe) -> Generator[Progress, None, tuple[DataSummary | None, list[Check]]]:
    """The data set's summary, or None, and what it says."""
    if not settings.data.path:
        return None, [_failed("Data", "No images are chosen.", "Choose a folder, a zip or a tar of images.")]
    try:
        summary = yield from _scan(settings.data.path, settings.data.classes)
    except StudioError as error:
        return None, [_failed("Data", error.message, error.remedy)]
    return summary, list(_data_checks(settings, summary))


_scanned: dict[tuple[str, str], tuple[float, DataSummary]] = {}


def _scan(path: str, classes: str) -> Generator[Progress, None, DataSummary]:
    """What a data set holds; an answer not older than a minute is given again, as forms ask at every change."""
    seen = _scanned.get((path, classes))
    if seen and time.monotonic() - seen[0] < _SCAN_SECONDS:
        return seen[1]
    summary = None
    for event in data.scan(path, classes):
        if isinstance(event, DataSummary):
            summary = event
        elif isinstance(event, Progress):
            yield event
    assert summary is not None
    _scanned[path, classes] = (time.monotonic(), summary)
    return summary


def _data_checks(settings: Recipe, summary: DataSummary) -> Iterator[Check]:
    classes = f" in {len(summary.classes)} classes" if summary.classes else ", without classes"
    yield Check(name="Data", status=CheckStatus.OK, message=f"{summary.images} images{classes}.")
    if summary.problem_count:
        first = summary.problems[0]
        yield _warning(
            "Data",
            f"{summary.problem_count} files are left out, for instance {first.file}: {first.reason}",
            "The rest trains. The data card lists them all.",
        )
    for warning in summary.warnings:
        yield _warning("Data", warning)
    if summary.images < 2:
        yield _failed("Data", f"{summary.images} image is too little to train on.", "Take at least 2, better 1 000.")
    elif settings.train.batch_size > summary.images:
        yield _warning(
            "Batch",
            f"A batch of {settings.train.batch_size} is more than the {summary.images} images: each step repeats some.",
            f"Take a batch of {summary.images} or less.",
        )


def _check_folder(name: str, path: Path) -> Iterator[Check]:
    """One line if nothing can be written there."""
    if problem := why_not_writable(path):
        yield _failed(name, problem, "Choose another one in Settings.")


def _check_disk(settings: Recipe, out: Path, summary: DataSummary | None, classes: int) -> Iterator[Check]:
    """Room for the checkpoints, and for the decoded images."""
    train = settings.train
    written = train.steps // train.checkpoint_every + 1 if train.checkpoint_every else 1
    kept = min(train.keep_checkpoints or written, written)
    checkpoint = 4 * 4 * model_cost(settings, classes).parameters  # weights, average, two moments
    yield _room("Disk", (kept + 1) * checkpoint, out, f"{kept} checkpoints")
    if summary is not None:
        pixels = summary.images * COLOR_CHANNELS[settings.data.color] * settings.data.image_size**2
        yield _room("Cache", pixels, cache_dir(), "the decoded images")


def _room(name: str, needed: float, place: Path, what: str) -> Check:
    free = free_bytes(place)
    message = f"{_gigabytes(needed)} needed for {what}, {_gigabytes(free)} free."
    if needed > free:
        return _failed(name, message, "Free some space, keep fewer checkpoints, or choose another folder.")
    if needed > 0.8 * free:
        return _warning(name, message, "Free some space, or keep fewer checkpoints.")
    return Check(name=name, status=CheckStatus.OK, message=message)


def _check_devices(settings: Recipe, classes: int) -> Iterator[Check]:
    """One line if there are several."""
    if (plan := model_cost(settings, classes).plan).count > 1:
        yield plan_line(plan, batch_size=settings.train.batch_size, cores=devices.cores())


def _check_memory(settings: Recipe, classes: int) -> Check:
    plan = model_cost(settings, classes).plan
    needed, (free, fullest) = plan.needed_of_one_memory, _least_free(plan)
    message = (
        f"About {_gigabytes(needed)} to train{_each(plan)}, {_gigabytes(free)} free on {devices.describe(fullest)}."
    )
    if needed > min(devices.memory_total(device) for device in plan.devices):
        return _failed("Memory", message, _less_memory(plan))
    if needed > 0.9 * free:
        return _warning("Memory", message, "Take a smaller batch, or close other programs.")
    return Check(name="Memory", status=CheckStatus.OK, message=message)


def _least_free(plan: DevicePlan) -> tuple[int, torch.device]:
    """Bytes that are free on the fullest device, and which it is."""
    if plan.count == 1 or plan.devices[0].type == "cpu":
        return devices.memory_free(plan.devices[0]), plan.devices[0]
    in_use = zip(plan.devices, devices.memory_in_use(plan.devices), strict=True)
    return min(((devices.memory_total(device) - used, device) for device, used in in_use), key=lambda pair: pair[0])


def _each(plan: DevicePlan) -> str:
    if plan.count == 1:
        return ""
    return f" in {plan.count} processes" if plan.devices[0].type == "cpu" else " on each device"


def _less_memory(plan: DevicePlan) -> str:
    ways = "Take a smaller batch, gradient checkpointing, or a smaller model."
    return ways if plan.is_split or plan.count == 1 else f"Split the model over the devices. {ways}"


def _check_time(settings: Recipe, classes: int) -> Check:
    cost = model_cost(settings, classes)
    device = cost.plan.devices[0]
    precision = devices.pick_precision(device, settings.train.precision)
    rate = matmul_rate(device, precision.dtype) * (1 if device.type == "cpu" else cost.plan.count)  # cores are shared
    flops = 2e9 * cost.gflops * 3 * settings.train.batch_size  # the backward pass costs two
    operations = resolve_model(settings.model).depth or 0
    seconds_a_step = flops / (rate * _EFFICIENCY) + settings.train.accumulate * operations * _BLOCK_SECONDS
    seconds = settings.train.steps * seconds_a_step * (1 + _share_beside(settings, classes))
    message = f"About {_duration(seconds)} for {settings.train.steps} steps in {precision.name}, by a rough estimate."
    if seconds > 7 * 86_400:
        return _warning("Time", message, "Take fewer steps, a smaller model, or a larger patch.")
    return Check(name="Time", status=CheckStatus.OK, message=message)


def _share_beside(settings: Recipe, classes: int) -> float:
    """What previews cost, as a share of the training itself; a forward pass costs a third of a step's image."""
    train, preview = settings.train, settings.sample
    if not train.preview_every:
        return 0.0
    images = preview.per_class * min(max(classes, 1), PREVIEW_CLASSES) * (2 if preview.cfg not in (0, 1) else 1)
    return images * preview.steps / 3 / (train.preview_every * train.batch_size)


@functools.lru_cache(maxsize=8)
def matmul_rate(device: torch.device, dtype: torch.dtype, *, size: int = 1024, repeats: int = 5) -> float:
    """Floating-point operations a second in a square matrix product on this machine; the best of `repeats`."""
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    best = float("inf")
    for _ in range(repeats + 1):
        devices.synchronise(device)
        started = time.perf_counter()
        torch.mm(a, b)
        devices.synchronise(device)
        best = min(best, time.perf_counter() - started)
    return 2 * size**3 / best


def _failed(name: str, message: str, remedy: str) -> Check:
    return Check(name=name, status=CheckStatus.FAILED, message=message, remedy=remedy)


def _warning(name: str, message: str, remedy: str = "") -> Check:
    return Check(name=name, status=CheckStatus.WARNING, message=message, remedy=remedy)


def _gigabytes(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    if seconds < 2 * 86_400:
        return f"{seconds / 3600:.1f} h"
    days = seconds / 86_400
    return f"{days:.1f} days" if days < 730 else f"{days / 365:.0f} years"
