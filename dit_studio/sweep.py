"""A sweep: one request drawn with every combination of the values of one to three settings.

Everything is checked before anything is drawn. The first axis gives the columns, the second the rows, the third the
pages; whatever their order, the expensive ones are the outer loops, so that a model is loaded once.
"""

import difflib
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from dit_studio.checkpoint_header import is_checkpoint, read_header
from dit_studio.errors import CheckpointError, ConfigError, DataError, Problem
from dit_studio.fields import check_value, schema_fields
from dit_studio.sample_request import SampleOptions, SampleRequest

AXES = ("cfg", "steps", "sampler", "class", "seed", "checkpoint", "weights", "interval")
MOST_AXES = 3
MOST_CELLS = 2000
INDEX, LOCK = "sweep.json", "sweep.lock"
_OUTER_FIRST = ("checkpoint", "weights", "sampler", "steps")
_EXAMPLES = {
    "cfg": "1,4,7", "steps": "10,50", "sampler": "ddim,unipc", "class": "0,1", "seed": "1-4",
    "checkpoint": "1000,2000", "weights": "ema,raw", "interval": "100-700,all",
}  # fmt: skip
_LONGEST_SECONDS = 1e9
_FIELDS = {field.name: field for field in schema_fields("request", SampleOptions)}


class SweepAxis(msgspec.Struct, frozen=True, kw_only=True):
    """A setting and the values that it takes, as texts."""

    name: str
    values: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.name}={','.join(self.values)}"


class SweepCell(msgspec.Struct, frozen=True, kw_only=True):
    """One combination. `index` is its place in the order of drawing; its images are in `folder` of the sweep."""

    index: int
    page: int
    row: int
    column: int
    labels: tuple[str, ...]  # what sets it apart, an axis each: ("CFG 4", "50 steps")
    request: SampleRequest
    model: str
    weights: str

    @property
    def folder(self) -> str:
        return f"cells/{self.index:03d}"


class SweepPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The cells in the order in which they are drawn."""

    axes: tuple[SweepAxis, ...]
    cells: tuple[SweepCell, ...]
    columns: int
    rows: int
    pages: int

    @property
    def images(self) -> int:
        return sum(cell.request.count for cell in self.cells)

    def heads(self, axis: int) -> tuple[str, ...]:
        """The labels of an axis' values: of 0 the columns', of 1 the rows', of 2 the pages'."""
        if axis >= len(self.axes):
            return ("",)
        places = {(cell.column, cell.row, cell.page)[axis]: cell.labels[axis] for cell in self.cells}
        return tuple(places[place] for place in sorted(places))


class CellState(msgspec.Struct, frozen=True, kw_only=True):
    state: Literal["waiting", "drawn", "failed"] = "waiting"
    images: int = 0
    seconds: float = 0.0
    message: str = ""


class SweepRecord(msgspec.Struct, frozen=True, kw_only=True):
    """`sweep.json`: what was asked for, and how it went with every cell. Each cell that is drawn is a data set.

    Who draws holds a lock on `LOCK`: without it a sweep that says "drawing" was killed.
    """

    version: int = 1
    plan: SweepPlan
    states: tuple[CellState, ...]
    state: Literal["drawing", "stopped", "finished"] = "stopped"


@dataclass(frozen=True, kw_only=True)
class ModelLimits:
    """What a model can be asked for."""

    num_classes: int
    class_names: tuple[str, ...]
    timesteps: int
    samplers: tuple[str, ...]
    has_null_class: bool


_WITHOUT_MODEL = ("cfg", "steps", "seed", "checkpoint", "weights")
_WIDEST = ModelLimits(num_classes=1, class_names=(), timesteps=4000, samplers=(), has_null_class=True)


def open_sweep(folder: Path) -> SweepRecord:
    """The sweep of a folder. Raises: DataError."""
    try:
        record = msgspec.json.decode((folder / INDEX).read_bytes(), type=SweepRecord)
    except OSError as error:
        raise DataError(f"{folder} is not a sweep: {INDEX} cannot be read ({error.strerror}).") from error
    except msgspec.DecodeError as error:
        raise DataError(f"The sweep in {folder} is damaged: {error}.", remedy="Draw it again.") from error
    if what := _what_does_not_fit(record):
        raise DataError(f"The sweep in {folder} is damaged: {what}.", remedy="Draw it again.")
    return record


def _what_does_not_fit(record: SweepRecord) -> str:
    """What is wrong with a record whose parts are each well formed; "" if it is whole."""
    plan = record.plan
    sizes = [len(axis.values) for axis in plan.axes] + [1] * (MOST_AXES - len(plan.axes))
    if not 1 <= len(plan.axes) <= MOST_AXES or any(axis.name not in AXES for axis in plan.axes):
        return "it is not over one to three settings"
    if [plan.columns, plan.rows, plan.pages] != sizes or not 1 <= math.prod(sizes) <= MOST_CELLS:
        return "its values do not make up its columns, rows and pages"
    places = {(cell.column, cell.row, cell.page) for cell in plan.cells}
    everywhere = set(itertools.product(*map(range, sizes)))
    if len(plan.cells) != len(everywhere) or len(record.states) != len(everywhere) or places != everywhere:
        return "its cells are not all there"
    for place, (cell, state) in enumerate(zip(plan.cells, record.states, strict=True)):
        if cell.index != place or len(cell.labels) != len(plan.axes):
            return f"cell {place + 1} is not where it belongs"
        if not cell.request.classes or min(cell.request.classes) < 0:
            return f"cell {place + 1} has no class"
        if not 0 <= state.images <= cell.request.count or not 0 <= state.seconds < _LONGEST_SECONDS:
            return f"cell {place + 1} cannot have gone as it says"
    return ""


# ------------------------------------------------------------------------------------------------- the plan


def plan_sweep(
    base: SampleRequest, *, model: str, weights: str, axes: Sequence[SweepAxis], limits: ModelLimits
) -> SweepPlan:
    """Every combination of the axes' values, laid over `base`.

    Raises: ConfigError with everything that is wrong, each problem's field being "sweep.<axis>" or "request.<field>".
    """
    problems = _shape_problems(axes)
    known = [axis for axis in axes if axis.name in AXES]
    changes = [[_change(axis.name, value, model, limits, problems) for value in axis.values] for axis in known]
    for axis, found in zip(known, changes, strict=True):
        problems += _twins(axis, found)
    problems += _base_problems(base, axes, limits)
    if problems:
        raise ConfigError(problems)
    sizes = [len(axis.values) for axis in axes] + [1] * (MOST_AXES - len(axes))
    rank = {name: number for number, name in enumerate(_OUTER_FIRST)}
    outer_first = sorted(range(len(axes)), key=lambda number: (rank.get(axes[number].name, len(rank)), -number))
    cells: list[SweepCell] = []
    for values in itertools.product(*(range(sizes[number]) for number in outer_first)):
        place = dict(zip(outer_first, values, strict=True))
        chosen = [changes[number][place[number]] for number in range(len(axes))]
        settings: dict[str, Any] = {}
        for change in chosen:
            settings |= change.settings
        cells.append(
            SweepCell(
                index=len(cells),
                column=place.get(0, 0),
                row=place.get(1, 0),
                page=place.get(2, 0),
                labels=tuple(change.label for change in chosen),
                model=settings.pop("model", model),
                weights=settings.pop("weights", weights),
                request=msgspec.structs.replace(base, **settings),
            )
        )
    if problems := _checkpoint_problems(cells, axes):
        raise ConfigError(problems)
    return SweepPlan(axes=tuple(axes), cells=tuple(cells), columns=sizes[0], rows=sizes[1], pages=sizes[2])


def check_axes(axes: Sequence[SweepAxis], *, model: str) -> None:
    """What can be said of a sweep before its model is loaded. Raises: ConfigError as `plan_sweep` does."""
    problems = _shape_problems(axes)
    for axis in axes:
        if axis.name in _WITHOUT_MODEL:
            problems += _twins(axis, [_change(axis.name, value, model, _WIDEST, problems) for value in axis.values])
    if problems:
        raise ConfigError(problems)


@dataclass(frozen=True)
class _Change:
    label: str
    settings: dict[str, Any]


def _shape_problems(axes: Sequence[SweepAxis]) -> list[Problem]:
    problems = []
    names = [axis.name for axis in axes]
    if not 1 <= len(axes) <= MOST_AXES:
        problems.append(Problem("sweep", f"A sweep goes over one to {MOST_AXES} settings, not {len(axes)}.", len(axes)))
    for name in sorted({name for name in names if names.count(name) > 1}):
        problems.append(Problem(f"sweep.{name}", f"{name} is swept twice: put its values together.", name))
    problems += [Problem(f"sweep.{name}", unknown_axis(name), name) for name in names if name not in AXES]
    for axis in axes:
        if not axis.values:
            sentence = (
                f"The sweep over {axis.name} has no values. "
                f"Give it some, like {_EXAMPLES.get(axis.name, '1,2')}, or leave it out."
            )
            problems.append(Problem(f"sweep.{axis.name}", sentence, ""))
        for value in sorted({value for value in axis.values if axis.values.count(value) > 1}):
            problems.append(Problem(f"sweep.{axis.name}", f"{axis.name} = {value} is there twice.", value))
    if (count := math.prod(len(axis.values) for axis in axes)) > MOST_CELLS:
        sentence = f"The sweep would have {count:,} cells: it takes at most {MOST_CELLS:,}. Leave out some values."
        problems.append(Problem("sweep", sentence, count))
    return problems


def _twins(axis: SweepAxis, changes: Sequence[_Change]) -> list[Problem]:
    """Values that are written in two ways, and are the same."""
    problems, first_of = [], dict[str, str]()
    for value, change in zip(axis.values, changes, strict=True):
        first = first_of.setdefault(repr(change.settings), value) if change.settings else value
        if first != value:
            sentence = f"{axis.name} = {value} is there twice: it is the same as {first}."
            problems.append(Problem(f"sweep.{axis.name}", sentence, value))
    return problems


def _checkpoint_problems(cells: Sequence[SweepCell], axes: Sequence[SweepAxis]) -> list[Problem]:
    """What the checkpoints of a sweep cannot draw, as the heads of their files say."""
    place = next((number for number, axis in enumerate(axes) if axis.name == "checkpoint"), -1)
    sentences: dict[str, Problem] = {}
    for cell in cells if place >= 0 else ():
        value = axes[place].values[(cell.column, cell.row, cell.page)[place]]
        try:
            what = read_header(Path(cell.model), cell.weights).what_it_cannot(cell.request)
        except CheckpointError as error:
            what = error.message
        if what:
            sentence = f"checkpoint = {value} is not possible: {what}"
            sentences.setdefault(sentence, Problem("sweep.checkpoint", sentence, value))
    return list(sentences.values())


def _base_problems(base: SampleRequest, axes: Sequence[SweepAxis], limits: ModelLimits) -> list[Problem]:
    """What is wrong with the settings that are the same everywhere."""
    swept = {axis.name for axis in axes}
    fixed = [("steps", str(base.steps)), ("sampler", base.sampler), ("cfg", str(base.cfg))]
    fixed += [("class", str(label)) for label in base.classes]
    problems: list[Problem] = []
    for name, value in fixed:
        if name not in swept:
            _change(name, value, "", limits, problems, section="request")
    return problems


def _change(
    axis: str, value: str, model: str, limits: ModelLimits, problems: list[Problem], *, section: str = "sweep"
) -> _Change:
    """What a value of an axis changes in a request; what is wrong with it is added to `problems`."""
    try:
        return _CHANGES[axis](value, model, limits) if axis in _CHANGES else _number(axis, value, limits)
    except _UnfitError as error:
        problem = Problem(f"{section}.{axis}", f"{axis} = {value} is not possible: it takes {error}.", value)
    if problem not in problems:
        problems.append(problem)
    return _Change("", {})


class _UnfitError(Exception):
    """What a value should have been."""


def unknown_axis(name: str) -> str:
    near = difflib.get_close_matches(name, AXES, n=1)
    hint = f"Did you mean {near[0]}?" if near else f"It takes {', '.join(AXES)}."
    return f'"{name}" cannot be swept. {hint}'


def _number(name: str, text: str, limits: ModelLimits) -> _Change:
    """CFG, steps or seed."""
    longest = f"a whole number from 1 to {limits.timesteps}, the length of the model's noise schedule"
    try:
        value = check_value(_FIELDS[name], text)
    except ConfigError:
        raise _UnfitError(longest if name == "steps" else _FIELDS[name].range_text) from None
    if name == "steps" and value > limits.timesteps:
        raise _UnfitError(longest)
    if name == "cfg" and value != 1 and not limits.has_null_class:
        raise _UnfitError("1 only, as this model was trained without a null class")
    label = {"cfg": f"CFG {value:g}", "steps": f"{value} step{'s' * (value != 1)}", "seed": f"seed {value}"}[name]
    return _Change(label, {name: value})


def _sampler(text: str, _: str, limits: ModelLimits) -> _Change:
    if text not in limits.samplers:
        raise _UnfitError("one of " + ", ".join(limits.samplers))
    return _Change(text, {"sampler": text})


def _class(text: str, _: str, limits: ModelLimits) -> _Change:
    label = int(text) if text.isdecimal() and len(text) < 10 else -1
    if text in limits.class_names and not text.isdecimal():
        label = limits.class_names.index(text)
    if not 0 <= label < limits.num_classes:
        names = [name for name in limits.class_names if not name.isdecimal()]
        near = difflib.get_close_matches(text, names, n=1)
        numbers = f"a class from 0 to {limits.num_classes - 1}" if limits.num_classes > 1 else "0, the only class"
        raise _UnfitError(numbers + (f", or {near[0]}" if near else ", or a name" if names else ""))
    name = limits.class_names[label] if label < len(limits.class_names) else f"class {label}"
    return _Change(name, {"classes": (label,)})


def _checkpoint(text: str, model: str, _: ModelLimits) -> _Change:
    folder = Path(model) / "checkpoints"
    by_step = [folder / f"step-{int(text):07d}"] if text.isdecimal() and len(text) < 13 else []
    places = [*by_step, folder / text, Path(text)] if text else []
    try:
        found = next((place for place in places if is_checkpoint(place)), None)
    except (OSError, ValueError):  # a name that is too long, or has a null character
        found = None
    if found is None:
        raise _UnfitError("a checkpoint of the run, by its step or name, or the path of one or of a .safetensors file")
    step = found.name.removeprefix("step-").lstrip("0")
    return _Change(f"step {int(step):,}" if step.isdecimal() else found.stem, {"model": str(found)})


def _weights(text: str, _: str, __: ModelLimits) -> _Change:
    if text not in ("ema", "raw"):
        raise _UnfitError("ema or raw")
    return _Change({"ema": "EMA", "raw": "raw"}[text], {"weights": text})


def _interval(text: str, _: str, limits: ModelLimits) -> _Change:
    if not limits.has_null_class:
        raise _UnfitError("none, as this model was trained without a null class")
    if text == "all":
        return _Change("guided at every t", {"cfg_from": 0, "cfg_to": None})
    low, _, high = (part.strip() for part in text.partition("-"))
    if not (low.isdecimal() and high.isdecimal() and int(low) <= int(high) < limits.timesteps):
        raise _UnfitError(f"two timesteps from 0 to {limits.timesteps - 1}, like 100-700, or all")
    return _Change(f"guided at t {int(low)}–{int(high)}", {"cfg_from": int(low), "cfg_to": int(high)})


_CHANGES = {
    "sampler": _sampler,
    "class": _class,
    "checkpoint": _checkpoint,
    "weights": _weights,
    "interval": _interval,
}
