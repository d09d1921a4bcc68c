"""What was measured before: the entries of `evaluation_plan`, the newest first, and what was drawn for them."""

import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from dit_studio.errors import DataError, RunError
from dit_studio.evaluation_plan import (
    DRAWN,
    INDEX,
    LOCK,
    EvaluationPoint,
    EvaluationRecord,
    open_evaluation,
    read_result,
)
from dit_studio.evaluation_request import EvaluationResult, MetricResult, Protocol
from dit_studio.jobs.entry_folders import Deletion, EntryFolders
from dit_studio.locks import is_locked

State = Literal["running", "stopped", "finished"]

_LARGEST = 64 * 2**20  # bytes of a file of JSON
_LATEST = 32_503_680_000.0  # the year 3000, which every system has words for


class _Figures(msgspec.Struct, frozen=True):
    """Of an EvaluationResult what a row of the history shows."""

    results: tuple[MetricResult, ...] = ()
    protocol: Protocol | None = None

    def beside(self, metric: str | None) -> tuple[object, ...]:
        """Equal for results whose figures of the metric may be compared."""
        found = self.figure(metric)
        numbers = (found.n_real, found.n_fake) if found is not None else ()
        return (*numbers, self.protocol.key if self.protocol is not None else ())

    def figure(self, metric: str | None) -> MetricResult | None:
        return next((result for result in self.results if metric in (result.metric, None)), None)


@dataclass(frozen=True, kw_only=True, eq=False)
class EvaluationEntry:
    """A folder of the history as it was last read: the same object as long as nothing in it changes."""

    name: str
    path: Path
    record: EvaluationRecord
    figures: tuple[MetricResult | None, ...]  # the same metric of each point; None of one that has no result
    comparable: frozenset[int]  # the points whose figures may stand beside the first one

    @property
    def time(self) -> float:
        """When it was begun, in seconds since 1970."""
        return self.record.time

    @property
    def title(self) -> str:
        return self.record.plan.title

    @property
    def first(self) -> EvaluationPoint:
        """The point that tells of all how they are measured."""
        return self.record.plan.points[0]

    @property
    def done(self) -> int:
        return sum(state.state == "done" for state in self.record.states)

    @property
    def failed(self) -> int:
        return sum(state.state == "failed" for state in self.record.states)

    @property
    def best(self) -> int:
        """The index of the point with the best first figure, of those that may be compared; -1 if none has one, or none
        is better than another."""
        values = {
            index: figure.value
            for index, figure in enumerate(self.figures)
            if index in self.comparable and figure is not None and figure.value is not None and figure.better
        }
        if len(values) < min(2, len(self.figures)):  # one alone is no better than what it cannot be compared with
            return -1
        is_lower_better = next(figure.better for figure in self.figures if figure is not None) == "lower"
        return min(values, key=lambda index: values[index] if is_lower_better else -values[index])


class EvaluationHistory:
    """The entries below a folder. Reading keeps what has not changed since, so that asking often is cheap."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._folders = EntryFolders(
            root, _read_entry, indices=(INDEX,), again="Evaluate again.", no_entries=frozenset({DRAWN})
        )

    def new_folder(self) -> Path:
        """A new, empty folder for an entry: YYYYMMDD-HHMMSS-xxxx. Raises: RunError or DiskFullError."""
        return self._folders.new()

    def entries(self) -> list[EvaluationEntry]:
        """All entries, the newest first. Damaged and foreign folders are passed over, and counted."""
        return sorted(self._folders.read_all(), key=lambda entry: (entry.time, entry.name), reverse=True)

    @property
    def passed_over(self) -> int:
        """Folders that `entries` could not read, the last time it was asked."""
        return self._folders.passed_over

    def entry(self, name: str) -> EvaluationEntry | None:
        """One entry; None if it is gone or cannot be read."""
        return self._folders.read(name)

    def results(self, name: str) -> list[tuple[str, EvaluationResult]]:
        """What was measured for an entry, under names that tell it from other entries' results. Raises: DataError."""
        entry = self.entry(name)
        if entry is None:
            raise DataError(f"{name} is gone, or cannot be read.", remedy="Evaluate again.")
        has_namesake = any(other.title == entry.title and other is not entry for other in self.entries())
        begun = time.strftime("%d %b %H:%M:%S", time.localtime(entry.time)) if has_namesake else ""
        return [
            (" · ".join(part for part in (*_names(entry, point), begun) if part), read_result(entry.path, point))
            for point, state in zip(entry.record.plan.points, entry.record.states, strict=True)
            if state.state == "done"
        ]

    def is_being_measured(self, name: str) -> bool:
        """Whether a process, of this window or another, measures it now."""
        return is_locked(self.root / name / LOCK)

    def state_of(self, entry: EvaluationEntry) -> State:
        """What became of it; a record that says "running" and that nobody measures was killed."""
        if self.is_being_measured(entry.name):
            return "running"
        return "stopped" if entry.record.state == "running" else entry.record.state

    def size_bytes(self, name: str) -> int:
        """What an entry takes on the disk, without the images that a model drew for it: others may share them."""
        return self._folders.size_bytes(name)

    def delete(self, name: str) -> Deletion:
        """Move an entry into the trash. Raises: RunError if it is being measured or cannot be moved."""
        self._folders.there(name)
        if self.is_being_measured(name):
            raise RunError(f"{name} is still being measured.", remedy="Stop it, and delete it then.")
        return self._folders.delete(name)

    def undo(self, deletion: Deletion) -> None:
        """Bring a deleted entry back. Raises: RunError if it is no longer in the trash."""
        self._folders.undo(deletion)

    def empty_trash(self, *, older_than_days: float = 7) -> None:
        """Remove for good what was deleted so long ago, and drawn images of that age that no entry is about."""
        self._folders.empty_trash(older_than_days=older_than_days)
        drawn = self._folders_drawn()
        limit = time.time() - older_than_days * 86_400
        old = [folder for folder in drawn if _newest(folder) <= limit]
        if old and (kept := self._folders_needed()) is not None:
            for folder in set(old) - kept:
                _remove_drawn(folder)

    def _folders_drawn(self) -> list[Path]:
        with suppress(OSError):
            return [folder for folder in (self.root / DRAWN).iterdir() if folder.is_dir()]
        return []

    def _folders_needed(self) -> set[Path] | None:
        """The folders of drawn images that an entry, or one that may be brought back, is about; None if that cannot
        be told now: one is being measured, or was written by a later version."""
        needed: set[Path] = set()
        for folder in (*self.root.glob(f"*/{INDEX}"), *(trashed / INDEX for trashed in self._folders.trashed())):
            if is_locked(folder.parent / LOCK):
                return None
            try:
                record = open_evaluation(folder.parent)
            except DataError:
                return None
            needed.update(_drawn_folder(self.root / DRAWN, state.samples) for state in record.states if state.samples)
        return needed


def _remove_drawn(folder: Path) -> None:
    """Remove images, what they were drawn with and their lock, unless they are being drawn."""
    lock = folder.with_suffix(".lock")
    if not is_locked(lock):
        folder.with_suffix(".json").unlink(missing_ok=True)  # first: what is half-removed is no longer whole
        shutil.rmtree(folder, ignore_errors=True)
        lock.unlink(missing_ok=True)


def _names(entry: EvaluationEntry, point: EvaluationPoint) -> tuple[str, ...]:
    is_alone = len(entry.record.plan.points) == 1
    return (entry.title or point.label,) if is_alone else (entry.title, point.label)


def _drawn_folder(drawn: Path, samples: str) -> Path:
    """The folder of `drawn` that a path leads into; the path itself if it leads elsewhere."""
    path = Path(samples)
    with suppress(OSError, ValueError, IndexError):
        return drawn / path.resolve().relative_to(drawn.resolve()).parts[0]
    return path


def _newest(folder: Path) -> float:
    """When a folder was written to, in seconds since 1970."""
    try:
        return max(path.stat().st_mtime for path in (folder, *folder.glob("*.json")))
    except OSError:
        return time.time()


def _read_entry(folder: Path) -> EvaluationEntry | None:
    try:
        if (folder / INDEX).stat().st_size > _LARGEST:
            return None
        record = open_evaluation(folder)
    except (OSError, DataError, RecursionError):
        return None
    if not 0 <= record.time <= _LATEST:
        return None
    figures, comparable = _figures(folder, record)
    return EvaluationEntry(name=folder.name, path=folder, record=record, figures=figures, comparable=comparable)


def _figures(folder: Path, record: EvaluationRecord) -> tuple[tuple[MetricResult | None, ...], frozenset[int]]:
    """Of each point the first metric that any of them has a value of; and which of these may be compared."""
    points = zip(record.plan.points, record.states, strict=True)
    found = [
        _read_figures(folder / point.result_file) if state.state == "done" else _Figures() for point, state in points
    ]
    metric = next((result.metric for each in found for result in each.results if result.value is not None), None)
    figures = tuple(each.figure(metric) for each in found)
    measured = [index for index, figure in enumerate(figures) if figure is not None and figure.value is not None]
    comparable = (index for index in measured if found[index].beside(metric) == found[measured[0]].beside(metric))
    return figures, frozenset(comparable)


def _read_figures(file: Path) -> _Figures:
    """Empty of a result that cannot be read."""
    try:
        if file.stat().st_size <= _LARGEST:
            return msgspec.json.decode(file.read_bytes(), type=_Figures)
    except (OSError, ValueError, RecursionError):
        return _Figures()
    return _Figures()
