"""Every value of a long history as a table, streamed from the run's file to the disk."""

import bisect
import itertools
from collections.abc import Iterator
from pathlib import Path

from dit_studio.errors import RunError, StudioError
from dit_studio.events import Event, Failure, Measured, Metrics, Progress, Resumed, Validation, Written
from dit_studio.files import open_atomically
from dit_studio.jobs.history import BANDS, NUMBERS
from dit_studio.jobs.long_history import LongHistory
from dit_studio.jobs.run_folder import RunFolder
from dit_studio.jobs.worker import failure_of
from dit_studio.ui.train.lines import band_name

_PIECE = 5000  # lines
_Cells = dict[str, float | None]


class WriteTable:
    """A job that writes one line a step; a cell is empty where nothing was measured."""

    def __init__(self, folder: RunFolder, path: Path) -> None:
        self._folder, self._path = folder, path
        self._is_cancelled = False

    def events(self) -> Iterator[Event | None]:
        try:
            with open_atomically(self._path) as file:
                lines, done = table_lines(self._folder), -1
                while piece := list(itertools.islice(lines, _PIECE)):
                    if self._is_cancelled:
                        raise RunError("The table was not written: it was stopped.", remedy="Save it again.")
                    file.writelines(line.encode() + b"\r\n" for line in piece)
                    done += len(piece)
                    yield Progress(stage=f"Writing {self._path.name}", done=done, unit="steps")
        except StudioError as error:
            yield failure_of(error)
        except OSError as error:
            yield Failure(message=f"{self._folder.path} cannot be read: {error}.", remedy="Try again.")
        else:
            yield Written(file=str(self._path))

    def cancel(self) -> None:
        self._is_cancelled = True


def table_lines(folder: RunFolder) -> Iterator[str]:
    """The lines of the table, its head first. Raises: OSError."""
    events_file = folder.path / "events.jsonl"
    long = LongHistory(events_file, events_file.stat().st_size)
    for _ in long.read():
        pass
    rare, names = _rare_cells(long)
    bands = [f"loss {band_name(band, BANDS)}" for band in range(BANDS)]
    columns = ["images_seen", "seconds", "loss", "validation_loss", *NUMBERS[1:5], *bands, *names]
    yield ",".join(["step", *columns])
    steps, begin = sorted(rare), 0
    for event in long.metrics(0, float("inf")):
        end = bisect.bisect_left(steps, event.step, begin)
        yield from (_line(step, rare[step], columns) for step in steps[begin:end])
        begin = end + (end < len(steps) and steps[end] == event.step)
        yield _line(event.step, _cells(event, bands) | rare.get(event.step, {}), columns)
    yield from (_line(step, rare[step], columns) for step in steps[begin:])


def _rare_cells(long: LongHistory) -> tuple[dict[int, _Cells], list[str]]:
    """What was measured now and then, by step, and the names of the metrics' columns."""
    cells: dict[int, _Cells] = {}
    names: dict[str, None] = {}
    for event in long.rare():
        if isinstance(event, Resumed):
            cells = {step: cell for step, cell in cells.items() if step <= event.step}
        elif isinstance(event, Validation):
            cells.setdefault(event.step, {})["validation_loss"] = event.loss
        elif isinstance(event, Measured):
            found: _Cells = {
                event.name: event.value,
                f"{event.name} low": event.low,
                f"{event.name} high": event.high,
                f"{event.name} floor": event.floor,
            }
            cells.setdefault(event.step, {}).update(found)
            names |= dict.fromkeys(found)
    return cells, list(names)


def _cells(event: Metrics, bands: list[str]) -> _Cells:
    cells: _Cells = {name: getattr(event, name) for name in NUMBERS}
    return cells | dict(zip(bands, event.bands, strict=False))


def _line(step: int, cells: _Cells, columns: list[str]) -> str:
    values = (cells.get(column) for column in columns)
    return ",".join([str(step), *("" if value is None else f"{value:.9g}" for value in values)])
