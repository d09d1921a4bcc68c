"""Measures a plan point by point into an entry of the history: what is finished stays, what fails is marked."""

import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

import msgspec

from dit_studio.engine.device import pick_device
from dit_studio.engine.evaluation.comparison import beside
from dit_studio.engine.evaluation.drawing import is_model, run_of
from dit_studio.engine.evaluation.one_evaluation import Evaluated, Shared, check_request, evaluate_one
from dit_studio.engine.evaluation.samples_picture import samples_picture
from dit_studio.errors import ConfigError, DataError, DiskFullError, Problem, RunError, StudioError, in_a_line
from dit_studio.evaluation_plan import (
    INDEX,
    LOCK,
    RESULTS,
    CopyList,
    EvaluationPlan,
    EvaluationPoint,
    EvaluationRecord,
    PointState,
    open_evaluation,
    read_result,
)
from dit_studio.evaluation_request import EvaluationResult, encode_result
from dit_studio.events import Event, PointDone, PointFailed, PointStarted, SettingsRefused
from dit_studio.files import naming_disk_errors, remove_leftovers, write_atomically
from dit_studio.locks import locked

_TRY_AGAIN = "Go on with the evaluation: the points that are finished stay, and this one is tried again."
_OF_RUN = "evaluations"  # the folder of a run that keeps what was measured of it


def evaluate_plan(plan: dict[str, Any], folder: str, device: str = "auto") -> Generator[Event, None, None]:
    """Measure every point of `plan`, an EvaluationPlan, that is not measured yet; {} goes on with what `folder` holds.

    Of each point PointStarted, Progress…, and PointDone or PointFailed; those that are finished are said again. Closed
    at any event it keeps everything. A request that cannot be served is answered with SettingsRefused before anything
    is drawn. Raises: DataError, DiskFullError or RunError if the folder cannot take it.
    """
    entry = Path(folder)
    try:
        asked = _plan(plan, entry)
        pick_device(device, setting="evaluate.device")
        _check(asked)
    except ConfigError as error:
        yield SettingsRefused(problems=tuple((problem.field, problem.message) for problem in error.problems))
        return
    with _only_writer(entry):
        yield from _Evaluating.begin(entry, asked, Shared(device=device)).run()


def _plan(values: dict[str, Any], entry: Path) -> EvaluationPlan:
    """Raises: ConfigError if it cannot be read; DataError if there is none to go on with."""
    if not values:
        return open_evaluation(entry).plan
    try:
        plan = msgspec.convert(values, EvaluationPlan)
    except msgspec.ValidationError as error:
        raise ConfigError([Problem("evaluate", f"The plan cannot be read: {error}.")]) from error
    if not plan.points:
        raise ConfigError([Problem("evaluate", "The plan has no point: choose what is measured.")])
    return plan


def _check(plan: EvaluationPlan) -> None:
    """Raises: ConfigError with everything that cannot be served; what cannot be read is for its point to tell."""
    problems: dict[str, Problem] = {}
    for point in plan.points:
        try:
            check_request(point.request)
        except ConfigError as error:
            problems |= {problem.message: problem for problem in error.problems}
        except StudioError:
            continue
    if problems:
        raise ConfigError(list(problems.values()))


@contextmanager
def _only_writer(entry: Path) -> Iterator[None]:
    """Raises: RunError if somebody measures there already, or nothing can be written there."""
    with naming_disk_errors(entry):
        (entry / RESULTS).mkdir(parents=True, exist_ok=True)
        (entry / LOCK).touch()
    with locked(entry / LOCK) as is_ours:
        if not is_ours:
            raise RunError(f"{entry} is being measured already.", remedy="Wait until it has ended, or stop it.")
        yield


class _Evaluating:
    """An entry of the history, and where it stands."""

    def __init__(self, entry: Path, record: EvaluationRecord, shared: Shared) -> None:
        self._entry, self._plan, self._time, self._shared = entry, record.plan, record.time, shared
        self._states = list(record.states)
        self._results: dict[int, EvaluationResult] = {}

    @classmethod
    def begin(cls, entry: Path, plan: EvaluationPlan, shared: Shared) -> "_Evaluating":
        """A new evaluation, or the same one gone on with. Raises: RunError if the folder holds another."""
        record = EvaluationRecord(plan=plan, states=tuple(PointState() for _ in plan.points), time=time.time())
        if (entry / INDEX).exists():
            record = open_evaluation(entry)
            if record.plan != plan:
                raise RunError(f"{entry} holds another evaluation.", remedy="Choose another folder.")
        for place in (entry, entry / RESULTS):
            remove_leftovers(place)
        return cls(entry, record, shared)

    def run(self) -> Generator[Event, None, None]:
        """Every point. However it ends, `evaluation.json` says how."""
        self._find_results()
        self._write("running")
        try:
            for point in self._plan.points:
                yield PointStarted(index=point.index)
                yield from self._one(point)
        except BaseException:
            with suppress(StudioError):  # a full disk has been said already
                self._write("stopped")
            raise
        self._write("finished")

    def _find_results(self) -> None:
        """What is measured already, as far as it can be read; the others wait, those that failed, too."""
        for point, state in zip(self._plan.points, self._states, strict=True):
            self._states[point.index] = PointState()
            if state.state == "done":
                with suppress(DataError):
                    self._results[point.index] = read_result(self._entry, point)
                    self._states[point.index] = state

    def _one(self, point: EvaluationPoint) -> Generator[Event, None, None]:
        """A point that is there, or is measured now, or is marked as one that failed."""
        try:
            if self._states[point.index].state == "done":
                yield self._done(point)
            else:
                yield from self._measure(point)
        except (MemoryError, DiskFullError):
            raise
        except StudioError as error:
            yield self._failed(point, error.message, error.remedy)
        except Exception as error:  # noqa: BLE001  whatever a driver or a library raises, the other points go on
            yield self._failed(point, f"It could not be measured: {in_a_line(error)}.", _TRY_AGAIN)

    def _measure(self, point: EvaluationPoint) -> Generator[Event, None, None]:
        """Raises: StudioError."""
        started = time.monotonic()
        evaluated = yield from evaluate_one(point.request, self._shared)
        self._keep(point, evaluated)
        samples = evaluated.generated.path
        self._states[point.index] = PointState(
            state="done", seconds=round(time.monotonic() - started, 3), samples=samples
        )
        self._results[point.index] = evaluated.result
        others = self._mark_unequal_numbers()
        self._write("running")
        yield self._done(point)
        for other in others:
            if other is not point:
                yield self._done(other)

    def _keep(self, point: EvaluationPoint, evaluated: Evaluated) -> None:
        """The files of a point, the result last."""
        copies = CopyList(
            real_path=evaluated.result.request.real, fake_path=evaluated.generated.path, copies=evaluated.copies
        )
        write_atomically(self._entry / point.copies_file, msgspec.json.encode(copies))
        if picture := samples_picture(evaluated.generated.source):
            write_atomically(self._entry / point.samples_file, picture)
        self._write_result(point, evaluated.result)

    def _write_result(self, point: EvaluationPoint, result: EvaluationResult) -> None:
        text = encode_result(result)
        write_atomically(self._entry / point.result_file, text)
        model = Path(point.request.fake).expanduser().absolute()
        run = run_of(model) if is_model(model) else None
        if run is not None:
            with suppress(RunError):  # of a run that cannot be written to, the history has it
                with naming_disk_errors(run):
                    (run / _OF_RUN).mkdir(exist_ok=True)
                write_atomically(run / _OF_RUN / f"{self._entry.name}-{point.index:03d}.json", text)

    def _mark_unequal_numbers(self) -> list[EvaluationPoint]:
        """Have every result say of how many images the others are; gives those that changed."""
        numbers = {result.protocol.n_fake for result in self._results.values()}
        changed = []
        for index, result in self._results.items() if len(numbers) > 1 else ():
            if (marked := beside(result, numbers)) != result:
                self._results[index] = marked
                self._write_result(self._plan.points[index], marked)
                changed.append(self._plan.points[index])
        return changed

    def _done(self, point: EvaluationPoint) -> PointDone:
        state = self._states[point.index]
        text = encode_result(self._results[point.index]).decode()
        return PointDone(index=point.index, result=text, samples=state.samples, seconds=state.seconds)

    def _failed(self, point: EvaluationPoint, message: str, remedy: str) -> PointFailed:
        self._states[point.index] = PointState(state="failed", message=message, remedy=remedy)
        self._write("running")
        return PointFailed(index=point.index, message=message, remedy=remedy)

    def _write(self, state: Literal["running", "stopped", "finished"]) -> None:
        record = EvaluationRecord(plan=self._plan, states=tuple(self._states), state=state, time=self._time)
        write_atomically(self._entry / INDEX, msgspec.json.encode(record))
