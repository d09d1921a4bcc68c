"""Draws a sweep cell by cell into a folder: what is finished stays, what fails is marked, the rest goes on.

sweep.json      `SweepRecord`: the plan, and how it went with every cell; written anew after each
cells/000/      000000.png … with their settings inside, and labels.csv: a data set
sweep.png       the cells side by side with their settings; a second page is sweep-2.png, and so on
"""

import time
from collections.abc import Callable, Generator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from dit_studio.engine.export.sweep_picture import read_images, write_pages
from dit_studio.engine.sample_checks import check_request, parse_request
from dit_studio.engine.sample_files import save_samples
from dit_studio.engine.solvers import samplers_for
from dit_studio.engine.warm_model import WarmModel, load_warm
from dit_studio.errors import ConfigError, Problem, RunError, StudioError
from dit_studio.events import CellDrawn, CellFailed, CellStarted, Event, Progress, SettingsRefused
from dit_studio.files import naming_disk_errors, new_folder_atomically, write_atomically
from dit_studio.sweep import (
    INDEX,
    CellState,
    ModelLimits,
    SweepAxis,
    SweepCell,
    SweepPlan,
    SweepRecord,
    open_sweep,
    plan_sweep,
)

_MOST_SHOWN = 256  # images of a cell

_Load = Callable[[str, str], Generator[Progress, None, WarmModel]]


def draw_sweep(
    model: str,
    weights: str,
    request: dict[str, Any],
    axes: list[dict[str, Any]],
    folder: str,
    device: str = "auto",
    precision: str = "auto",
) -> Generator[Event, None, None]:
    """Draw every cell that is not there yet; `axes` are SweepAxis. What cannot be is refused before anything is drawn.

    Raises: CheckpointError, RunError or DiskFullError if the folder cannot take it.
    """
    try:
        load = partial(load_warm, device=device, precision=precision)
        plan = yield from _checked_plan(model, weights, request, axes, load)
    except ConfigError as error:
        yield SettingsRefused(problems=tuple((problem.field, problem.message) for problem in error.problems))
        return
    sweep = _Sweep.begin(Path(folder), plan)
    for cell in plan.cells:
        yield CellStarted(index=cell.index)
        if sweep.states[cell.index].state == "drawn":
            yield sweep.drawn(cell)
            continue
        try:
            yield from sweep.draw(cell, load)
        except StudioError as error:
            sweep.put(cell, CellState(state="failed", message=str(error)))
            yield CellFailed(index=cell.index, message=error.message, remedy=error.remedy)
    yield from write_pages(sweep.folder, sweep.record)


def _checked_plan(
    model: str, weights: str, request: dict[str, Any], axes: list[dict[str, Any]], load: _Load
) -> Generator[Event, None, SweepPlan]:
    """The plan of a sweep, each of whose cells the model can serve. Raises: ConfigError, CheckpointError."""
    base, asked = parse_request(request), msgspec.convert(axes, list[SweepAxis])
    warm = yield from load(model, weights)
    plan = plan_sweep(base, model=model, weights=weights, axes=asked, limits=_limits(warm))
    problems: dict[str, Problem] = {}
    for cell in plan.cells:
        try:
            check_request(cell.request, warm.loaded.config)
        except ConfigError as error:
            problems |= {problem.message: problem for problem in error.problems}
    if problems:
        raise ConfigError(list(problems.values()))
    return plan


def _limits(warm: WarmModel) -> ModelLimits:
    config = warm.loaded.config
    return ModelLimits(
        num_classes=config.num_classes,
        class_names=config.class_names,
        timesteps=config.diffusion.timesteps,
        samplers=samplers_for(config.diffusion.objective),
        has_null_class=config.class_dropout_prob > 0,
    )


class _Sweep:
    """A sweep's folder, and where it stands."""

    def __init__(self, folder: Path, plan: SweepPlan, states: list[CellState]) -> None:
        self.folder, self.plan, self.states = folder, plan, states

    @classmethod
    def begin(cls, folder: Path, plan: SweepPlan) -> "_Sweep":
        """A new sweep, or the same one gone on with. Raises: RunError if the folder holds another."""
        states = [CellState() for _ in plan.cells]
        if (folder / INDEX).exists():
            before = open_sweep(folder)
            if before.plan != plan:
                raise RunError(f"{folder} holds another sweep.", remedy="Choose another folder.")
            there = [(folder / cell.folder / "labels.csv").exists() for cell in plan.cells]
            states = [
                state if state.state == "drawn" and is_there else CellState()
                for state, is_there in zip(before.states, there, strict=True)
            ]
        with naming_disk_errors(folder):
            (folder / "cells").mkdir(parents=True, exist_ok=True)
        sweep = cls(folder, plan, states)
        sweep._write()
        return sweep

    @property
    def record(self) -> SweepRecord:
        return SweepRecord(plan=self.plan, states=tuple(self.states))

    def put(self, cell: SweepCell, state: CellState) -> None:
        self.states[cell.index] = state
        self._write()

    def draw(self, cell: SweepCell, load: _Load) -> Generator[Event, None, None]:
        """A cell's images, whole or not at all. Raises: StudioError."""
        started = time.monotonic()
        warm = yield from load(cell.model, cell.weights)
        check_request(cell.request, warm.loaded.config)
        with new_folder_atomically(self.folder / cell.folder) as folder:
            yield from save_samples(warm, cell.request, folder)
        seconds = time.monotonic() - started
        self.put(cell, CellState(state="drawn", images=cell.request.count, seconds=round(seconds, 3)))
        yield self.drawn(cell)

    def drawn(self, cell: SweepCell) -> CellDrawn:
        """What is shown of a cell: its first images, however many it has."""
        folder, state = self.folder / cell.folder, self.states[cell.index]
        images = read_images(folder, min(state.images, _MOST_SHOWN))
        count, height, width, channels = images.shape
        return CellDrawn(
            index=cell.index, folder=str(folder), images=count, height=height, width=width, channels=channels,
            seconds=state.seconds, data=images.tobytes(),
        )  # fmt: skip

    def _write(self) -> None:
        write_atomically(self.folder / INDEX, msgspec.json.encode(self.record))
