"""Reading run folders off the window's thread: the list, the thumbnails, the losses."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QRect, QSize, Qt
from PySide6.QtGui import QImage, QImageReader

from dit_studio.events import Event
from dit_studio.jobs.run_folder import RunFolder
from dit_studio.jobs.run_label import title_of
from dit_studio.jobs.run_list import RunSummary, list_runs
from dit_studio.ui.train.curves import RunHistory
from dit_studio.ui.train.resuming import why_not_resume

THUMBNAIL_SIZE = 40  # pixels


@dataclass(frozen=True, kw_only=True)
class RunRow:
    """A line of the table."""

    summary: RunSummary
    thumbnail: QImage | None = None
    why_not_resume: str = ""  # "" if the run can go on

    @property
    def path(self) -> Path:
        return self.summary.folder.path

    @property
    def title(self) -> str:
        return title_of(self.summary.folder)


class RunsListed(Event, frozen=True, kw_only=True, tag="runs listed"):
    rows: tuple[RunRow, ...]


class LossesRead(Event, frozen=True, kw_only=True, tag="losses read"):
    histories: dict[Path, RunHistory]


class ListRuns:
    """A job that lists the runs below a folder once. It keeps the thumbnails that it has read."""

    def __init__(self, root: Path, known: dict[Path, tuple[float, QImage]]) -> None:
        self._root, self._known = root, known
        self._is_cancelled = False

    def events(self) -> Iterator[Event | None]:
        rows = []
        for summary in list_runs(self._root):
            if self._is_cancelled:
                return
            rows.append(self._row(summary))
        yield RunsListed(rows=tuple(rows))

    def cancel(self) -> None:
        self._is_cancelled = True

    def _row(self, summary: RunSummary) -> RunRow:
        why_not = why_not_resume(summary.folder, summary.status.state, summary.recipe)
        return RunRow(summary=summary, thumbnail=self._thumbnail(summary), why_not_resume=why_not)

    def _thumbnail(self, summary: RunSummary) -> QImage | None:
        if not summary.status.preview:
            return None
        path = summary.folder.path / summary.status.preview
        try:
            modified = path.stat().st_mtime
        except OSError:
            return None
        if self._known.get(path, (0.0,))[0] != modified:
            self._known[path] = (modified, _first_cell(path))
        image = self._known[path][1]
        return None if image.isNull() else image


def _first_cell(path: Path) -> QImage:
    """The left square of a picture, which is the first sample."""
    reader = QImageReader(str(path))
    size = reader.size()
    side = min(size.width(), size.height())
    if side > 0:
        reader.setClipRect(QRect(0, 0, side, side))
    image = reader.read()
    bound = QSize(2 * THUMBNAIL_SIZE, 2 * THUMBNAIL_SIZE)  # sharp at 200 %, too
    mode = (
        Qt.TransformationMode.FastTransformation if side < bound.width() else Qt.TransformationMode.SmoothTransformation
    )
    return image if image.isNull() else image.scaled(bound, Qt.AspectRatioMode.KeepAspectRatio, mode)


class ReadLosses:
    """A job that reads what some runs have said so far."""

    def __init__(self, folders: Sequence[RunFolder]) -> None:
        self._folders = folders
        self._is_cancelled = False

    def events(self) -> Iterator[Event | None]:
        histories = {}
        for folder in self._folders:
            if self._is_cancelled:
                return
            histories[folder.path] = RunHistory()
            histories[folder.path].add(folder.read_events())
        yield LossesRead(histories=histories)

    def cancel(self) -> None:
        self._is_cancelled = True
