"""Draws a sweep cell by cell into a folder: what is finished stays, what fails is marked, the rest goes on.

sweep.json      `SweepRecord`: the plan, and how it went with every cell; written anew after each
cells/000/      000000.png … with their settings inside, and labels.csv: a data set
sweep.lock      held by who draws
sweep.png       the cells side by side with their settings; a second page is sweep-2.png, and so on
"""

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Literal

import msgspec
from PIL import Image

from dit_studio.engine.export.sweep_picture import read_images, write_pages
from dit_studio.engine.sample_checks import check_request, parse_request
from dit_studio.engine.sample_files import save_samples
from dit_studio.engine.several_devices import load_several
from dit_studio.engine.solvers import samplers_for
from dit_studio.engine.warm_model import WarmModel
from dit_studio.errors import ConfigError, Problem, RunError, StudioError, in_a_line
from dit_studio.events import CellDrawn, CellFailed, CellStarted, Event, Progress, SettingsRefused
from dit_studio.files import naming_disk_errors, new_folder_atomically, remove_leftovers, write_atomically
from dit_studio.locks import locked
from dit_studio.sweep import (
    INDEX,
    LOCK,
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
_TRY_AGAIN = "Draw the sweep again into this folder: the cells that are there stay."

_Load = Callable[[str, str], Generator[Progress, None, tuple[WarmModel, ...]]]  # on each device


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
        load = partial(load_several, device=device, precision=precision)
        plan = yield from _checked_plan(model, weights, request, axes, load)
    except ConfigError as error:
        yield SettingsRefused(problems=tuple((problem.field, problem.message) for problem in error.problems))
        return
    with _only_writer(Path(folder)):
        yield from _Sweep.begin(Path(folder), plan).run(load)


@contextmanager
def _only_writer(folder: Path) -> Iterator[None]:
    """Raises: RunError if somebody draws there already, or nothing can be written there."""
    with naming_disk_errors(folder):
        (folder / "cells").mkdir(parents=True, exist_ok=True)
        (folder / LOCK).touch()
    with locked(folder / LOCK) as is_ours:
        if not is_ours:
            raise RunError(f"{folder} is being drawn already.", remedy="Wait until it has ended, or stop it.")
        yield


def _checked_plan(
    model: str, weights: str, request: dict[str, Any], axes: list[dict[str, Any]], load: _Load
) -> Generator[Event, None, SweepPlan]:
    """The plan of a sweep, each of whose cells the model can serve. Raises: ConfigError, CheckpointError."""
    base, asked = parse_request(request), msgspec.convert(axes, list[SweepAxis])
    warm, *_ = yield from load(model, weights)
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
        self._state: Literal["drawing", "stopped", "finished"] = "drawing"

    @classmethod
    def begin(cls, folder: Path, plan: SweepPlan) -> "_Sweep":
        """A new sweep, or the same one gone on with. Raises: RunError if the folder holds another."""
        states = [CellState() for _ in plan.cells]
        if (folder / INDEX).exists():
            before = open_sweep(folder)
            if before.plan != plan:
                raise RunError(f"{folder} holds another sweep.", remedy="Choose another folder.")
            states = [
                state if state.state == "drawn" and _is_whole(folder / cell.folder, cell, state) else CellState()
                for cell, state in zip(plan.cells, before.states, strict=True)
            ]
        remove_leftovers(folder / "cells")
        return cls(folder, plan, states)

    @property
    def record(self) -> SweepRecord:
        return SweepRecord(plan=self.plan, states=tuple(self.states), state=self._state)

    def run(self, load: _Load) -> Generator[Event, None, None]:
        """Every cell, then the pages. However it ends, `sweep.json` says how."""
        self._write()
        try:
            for cell in self.plan.cells:
                yield CellStarted(index=cell.index)
                yield from self._one(cell, load)
        except BaseException:
            self._state = "stopped"
            with suppress(StudioError):  # a full disk has been said already
                self._write()
            raise
        self._state = "finished"
        self._write()
        yield from write_pages(self.folder, self.record)

    def _one(self, cell: SweepCell, load: _Load) -> Generator[Event, None, None]:
        """A cell that is there, or is drawn now, or is marked as one that failed."""
        try:
            if self.states[cell.index].state == "drawn":
                yield self._drawn(cell)
            else:
                yield from self._draw(cell, load)
        except MemoryError:
            raise
        except StudioError as error:
            self._put(cell, CellState(state="failed", message=str(error)))
            yield CellFailed(index=cell.index, message=error.message, remedy=error.remedy)
        except Exception as error:  # noqa: BLE001  whatever a driver or a library raises, the other cells go on
            message = f"The cell could not be drawn: {in_a_line(error)}."
            self._put(cell, CellState(state="failed", message=f"{message} {_TRY_AGAIN}"))
            yield CellFailed(index=cell.index, message=message, remedy=_TRY_AGAIN)

    def _put(self, cell: SweepCell, state: CellState) -> None:
        self.states[cell.index] = state
        self._write()

    def _draw(self, cell: SweepCell, load: _Load) -> Generator[Event, None, None]:
        """A cell's images, whole or not at all. Raises: StudioError."""
        started = time.monotonic()
        models = yield from load(cell.model, cell.weights)
        check_request(cell.request, models[0].loaded.config)
        with new_folder_atomically(self.folder / cell.folder) as folder:
            yield from save_samples(models, cell.request, folder)
        seconds = time.monotonic() - started
        self._put(cell, CellState(state="drawn", images=cell.request.count, seconds=round(seconds, 3)))
        yield self._drawn(cell)

    def _drawn(self, cell: SweepCell) -> CellDrawn:
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


def _is_whole(folder: Path, cell: SweepCell, state: CellState) -> bool:
    """Whether every picture of a cell is there and can be read, and its labels are."""
    if state.images != cell.request.count or not (folder / "labels.csv").is_file():
        return False
    try:
        for image in range(state.images):
            with Image.open(folder / f"{image:06d}.png") as picture:
                picture.load()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return False
    return True
