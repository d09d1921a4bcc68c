"""Reading the list of runs off the window's thread."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dit_studio.events import Event
from dit_studio.jobs.run_list import RunSummary, lister_of
from dit_studio.ui.train.resuming import why_not_resume

_FIRST = 24  # rows: a screenful
_PAUSE_SECONDS = 0.002  # between batches: the window's thread comes to its turn
_HAND_OVER_SECONDS = 0.25  # between what is handed over: the table is arranged anew each time
_PAINTING_SECONDS = 0.05  # that the window's thread is given to paint what was handed over
_Known = dict[Path, tuple[int, "RunRow"]]  # a row, and when its checkpoints changed


@dataclass(frozen=True, kw_only=True)
class RunRow:
    """A line of the table."""

    summary: RunSummary
    why_not_resume: str = ""  # "" if the run can go on
    preview: Path | None = None  # the newest picture

    @property
    def path(self) -> Path:
        return self.summary.folder.path

    @property
    def title(self) -> str:
        return self.summary.title


class RunsListed(Event, frozen=True, kw_only=True, tag="runs listed"):
    """The runs that are known so far; `is_all` once no more come."""

    rows: tuple[RunRow, ...]
    is_all: bool


class ListRuns:
    """A job that lists the runs below a folder once. `known` keeps the rows that have not changed for the next."""

    def __init__(self, root: Path, known: _Known) -> None:
        self._root, self._known = root, known
        self._is_cancelled = False

    def events(self) -> Iterator[Event | None]:
        rows: dict[Path, RunRow] = {}
        handed_over = 0.0
        for piece in self._pieces():
            if self._is_cancelled:
                return
            rows |= {row.path: row for row in piece}
            if rows and time.monotonic() - handed_over > _HAND_OVER_SECONDS:
                yield RunsListed(rows=tuple(rows.values()), is_all=False)
                time.sleep(_PAINTING_SECONDS)
                handed_over = time.monotonic()
            time.sleep(_PAUSE_SECONDS)
        for gone in self._known.keys() - rows.keys():
            del self._known[gone]
        yield RunsListed(rows=tuple(rows.values()), is_all=True)

    def cancel(self) -> None:
        self._is_cancelled = True

    def _pieces(self) -> Iterator[list[RunRow]]:
        """The first time, a screenful comes before anything that takes long, and once more when its turn comes."""
        lister = lister_of(self._root)
        if not self._known:
            yield [_glanced(summary) for summary in lister.glance(_FIRST)]
        for batch in lister.batches():
            yield list(map(self._row, batch))

    def _row(self, summary: RunSummary) -> RunRow:
        """The row that is known, if neither the run nor its checkpoints have changed since."""
        path, changed = summary.folder.path, 0
        if summary.status.state.can_resume:
            changed = _changed(f"{path}/checkpoints")
        known = self._known.get(path)
        if known is not None and known[0] == changed and known[1].summary is summary:
            return known[1]
        why_not = why_not_resume(summary.folder, summary.status.state, summary.recipe)
        row = RunRow(summary=summary, why_not_resume=why_not, preview=_preview(summary))
        self._known[path] = (changed, row)
        return row


def _glanced(summary: RunSummary) -> RunRow:
    """The row of a run of which not all is read yet."""
    return RunRow(summary=summary, why_not_resume="This run is still being read.", preview=_preview(summary))


def _preview(summary: RunSummary) -> Path | None:
    """None if there is none, or if it is said to lie outside of the run."""
    name = Path(summary.status.preview)
    is_inside = bool(name.parts) and not name.is_absolute() and ".." not in name.parts
    return summary.folder.path / name if is_inside else None


def _changed(folder: str) -> int:
    try:
        return os.stat(folder).st_mtime_ns  # noqa: PTH116  a Path costs more than the question
    except OSError:
        return 0
