"""`dit-studio benchmark scale`: several processes beside one, a run's bookkeeping, long histories, many runs."""

import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from dit_studio.cli_output import say
from dit_studio.config import Recipe, parse_recipe
from dit_studio.engine.benchmark_data import write_images
from dit_studio.engine.benchmark_figures import Figures
from dit_studio.engine.benchmark_folder import benchmark_folder
from dit_studio.engine.plan import list_devices
from dit_studio.errors import StudioError
from dit_studio.events import CheckpointSaved, Event, Failure, Metrics, Started
from dit_studio.jobs import training
from dit_studio.jobs.run_folder import RunFolder

_STEPS, _ROUNDS, _WARM_UP = 12, 3, 3
_IMAGES, _BATCH = 64, 8
_HISTORY_LINES, _RUNS = 10_000_000, 1_000


def measure_scale(*, rounds: int = _ROUNDS, history_lines: int = _HISTORY_LINES, runs: int = _RUNS) -> Figures:
    """DiT-S/2 on 32×32 pixels by one process and by several, in turn, with the same recipe; what the events, heartbeats
    and checkpoints of those runs cost; a long history opened; the Runs page opened on many runs."""
    devices, parts = _device_choices(), []
    for precision in ("fp32", "auto"):
        parts.append(_beside_one(devices, precision, rounds=rounds))
    parts += [*_in_window(history_lines, runs)]
    return Figures(
        lines=[line for part in parts for line in part.lines],
        values={name: value for part in parts for name, value in part.values.items()},
    )


def _device_choices() -> tuple[str, ...]:
    """One device, then more of its kind; where there is one, the processor with one process and with two."""
    listed = next(list_devices())
    *accelerators, processor = [device.name for device in listed.devices]
    if len(accelerators) < 2:
        return (processor, f"{processor},{processor}")
    counts = [count for count in (1, 2, 4, 8) if count <= len(accelerators)]
    return tuple(",".join(accelerators[:count]) for count in counts)


# ------------------------------------------------------------------------------------------------- processes


def _beside_one(devices: tuple[str, ...], precision: str, *, rounds: int) -> Figures:
    with benchmark_folder() as folder:
        write_images(folder / "images", _IMAGES)
        done: dict[str, list[list[Event]]] = {device: [] for device in devices}
        for number, device in itertools.product(range(rounds), devices):
            say(f"{precision}, round {number + 1} of {rounds}: {device}")
            run = RunFolder.create(folder / f"{number}-{device}", _recipe(folder / "images", device, precision))
            done[device].append(list(_train(run)))
    return _figures(done)


def _recipe(images: Path, device: str, precision: str) -> Recipe:
    return parse_recipe(
        {
            "data": {"path": str(images), "image_size": 32, "validation_fraction": 0.0},
            "model": {"preset": "S/2"},
            "train": {
                "steps": _STEPS, "batch_size": _BATCH, "device": device, "precision": precision, "shard": "never",
                "preview_every": 0, "checkpoint_every": 0, "validate_every": 0,
            },
        }
    )  # fmt: skip


def _train(run: RunFolder) -> Iterator[Event]:
    """What the run says. Raises: StudioError when it fails."""
    for event in training.follow(run, process=training.start_worker(run)):
        if isinstance(event, Failure):
            raise StudioError(event.message, remedy=event.remedy)
        if event is not None:
            yield event


def _figures(done: dict[str, list[list[Event]]]) -> Figures:
    """Medians over the rounds; the ratios are of runs of the same round."""
    alone, *others = done
    started = next(event for event in done[alone][0] if isinstance(event, Started))
    name = started.precision
    lines = [f"DiT-S/2, 32×32×3, batch {_BATCH} in all, {started.device}, {name}; medians of {len(done[alone])} runs"]
    values: dict[str, float | str] = {}
    for device, runs in done.items():
        seconds = median(_step_seconds(run) for run in runs)
        lines.append(f"  {device:<16}{1000 * seconds:8.0f} ms a step, {_BATCH / seconds:.1f} images a second")
        values[f"{name} seconds a step on {device}"] = seconds
    for device in others:
        ratio = median(_step_seconds(a) / _step_seconds(b) for a, b in zip(done[alone], done[device], strict=True))
        apart = max(_apart(a, b) for a, b in zip(done[alone], done[device], strict=True))
        lines.append(f"  {device} is {ratio:.2f} times as fast as {alone}; losses differ by {apart:.1e} at most")
        values |= {f"{name} speedup of {device}": ratio, f"{name} losses apart on {device}": apart}
    kept = _bookkeeping(done[alone])
    return Figures(lines=[*lines, *kept.lines], values=values | {f"{name} {key}": v for key, v in kept.values.items()})


def _steps(run: list[Event]) -> list[Metrics]:
    return [event for event in run if isinstance(event, Metrics)]


def _step_seconds(run: list[Event]) -> float:
    steps = _steps(run)
    return median(b.seconds - a.seconds for a, b in itertools.pairwise(steps[_WARM_UP:]))


def _apart(one: list[Event], other: list[Event]) -> float:
    """The largest relative difference of two runs' losses."""
    pairs = zip(_steps(one), _steps(other), strict=True)
    return max(abs(a.loss - b.loss) / abs(a.loss) for a, b in pairs if a.loss and b.loss is not None)


def _bookkeeping(runs: list[list[Event]]) -> Figures:
    """What is not the steps themselves between the first and the last, and the checkpoint at the end, as shares."""
    beside = median(_share_beside_steps(run) for run in runs)
    step = median(_step_seconds(run) for run in runs)
    saving = median(_saving_seconds(run) for run in runs)
    every = Recipe().train.checkpoint_every
    share = saving / (every * step)
    lines = [
        f"  events, heartbeats and commands: {100 * beside:.3f} % of the time of the steps",
        f"  a checkpoint: {saving:.2f} s, every {every:,} steps {100 * share:.3f} %",
    ]
    return Figures(lines=lines, values={"share of events": beside, "seconds a checkpoint": saving,
                                        "share of checkpoints": share})  # fmt: skip


def _share_beside_steps(run: list[Event]) -> float:
    steps = _steps(run)[_WARM_UP:]
    inside = steps[-1].seconds - steps[0].seconds
    return (steps[-1].time - steps[0].time - inside) / inside


def _saving_seconds(run: list[Event]) -> float:
    saved = next(event for event in run if isinstance(event, CheckpointSaved))
    return saved.time - _steps(run)[-1].time


# ------------------------------------------------------------------------------------------------- the window's part


def _in_window(history_lines: int, runs: int) -> Iterator[Figures]:
    """A long history and many runs, where there is Qt; painted in memory, with or without a display."""
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    try:
        from dit_studio.ui.benchmark_history import measure_history
        from dit_studio.ui.benchmark_runs import measure_runs_page
    except ImportError as error:
        say(f"The history and the Runs page were not measured: {error}.")
        return
    for found in (measure_history(history_lines), measure_runs_page(runs)):
        yield Figures(lines=list(found.lines), values=dict(found.values))
