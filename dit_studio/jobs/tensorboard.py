"""A run's history as TensorBoard's event files: of finished or running runs as an export, and live beside a run.

The files are written in this thread: no queue can block a run, and no error is lost in another thread.
"""

import logging
import math
import os
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import msgspec

from dit_studio.config import Recipe, dump_recipe, recipe_to_tables
from dit_studio.errors import StudioError
from dit_studio.events import (
    Event,
    Measured,
    Metrics,
    Notice,
    PreviewSaved,
    Progress,
    Resumed,
    Started,
    Validation,
    Written,
    decode,
)
from dit_studio.files import naming_disk_errors, new_folder_atomically
from dit_studio.jobs.run_folder import RunFolder

_log = logging.getLogger(__name__)
_FLUSH_SECONDS = 5.0
_LINES_BETWEEN = 20_000  # two events of progress
_PNG_SIZE_AT = 16  # bytes before width and height in a PNG file


def export_tensorboard(folders: Sequence[str], path: str) -> Generator[Event]:
    """Write the runs in `folders` below `path`, a folder each, in place of an earlier export of the same run.

    Raises: StudioError if a folder is no run, or nothing can be written.
    """
    _check_installed()
    size = 0
    for folder in [RunFolder.open(Path(one)) for one in folders]:
        place = _place_for(Path(path), folder.name)
        with new_folder_atomically(place) as temporary:
            yield from _export(folder, temporary)
            size += sum(file.stat().st_size for file in temporary.iterdir())
    yield Written(file=path, size_bytes=size)


def with_tensorboard(events: Iterator[Event], folder: RunFolder) -> Iterator[Event]:
    """The same events, also written to the run's "tensorboard" folder if its settings say so; what goes wrong with that
    is one notice among them."""
    try:
        recipe = folder.recipe()
    except StudioError:  # whoever gives the events says so
        yield from events
        return
    live = _Live(folder, recipe) if recipe.train.tensorboard else None
    try:
        for event in events:
            event = event if event.time else msgspec.structs.replace(event, time=time.time())
            yield event
            if live is not None and (notice := live.add(event)) is not None:
                yield notice
    finally:
        if live is not None:
            live.close()
        with suppress(AttributeError):  # a plain iterator has nothing to close
            events.close()  # type: ignore[attr-defined]


# ------------------------------------------------------------------------------------------------- export


def _export(folder: RunFolder, place: Path) -> Iterator[Progress]:
    file = folder.path / "events.jsonl"
    total = file.stat().st_size if file.exists() else 0
    stage, overwritten = f"Exporting {folder.name}", _Overwritten(file)
    with naming_disk_errors(place), closing(_Board(place, folder)) as board:
        with suppress(StudioError):  # settings that cannot be read are left out
            board.add_settings(folder.recipe(), time.time())
        for number, (line, done) in enumerate(_lines(file)):
            if number % _LINES_BETWEEN == 0:
                yield Progress(stage=stage, done=done, total=total, unit="bytes")
            event = _decoded(line)
            if event is not None and not overwritten.holds(number, event):
                board.add(event)
    yield Progress(stage=stage, done=total, total=total, unit="bytes")


class _Overwritten:
    """Which lines a resumed run has said anew; it holds the resumes alone, however long the history."""

    def __init__(self, file: Path) -> None:
        lines = ((number, line) for number, (line, _) in enumerate(_lines(file)) if b'"resumed"' in line)
        found = ((number, _decoded(line)) for number, line in lines)
        self._resumes = [(number, event.step) for number, event in found if isinstance(event, Resumed)]

    def holds(self, number: int, event: Event) -> bool:
        while self._resumes and self._resumes[0][0] <= number:
            self._resumes.pop(0)
        step = getattr(event, "step", 0)
        return any(step > resumed for _, resumed in self._resumes)


def _lines(file: Path) -> Iterator[tuple[bytes, int]]:
    """The whole lines of a file, and where each ends."""
    done = 0
    with suppress(FileNotFoundError), file.open("rb") as opened:
        for line in opened:
            done += len(line)
            if line.endswith(b"\n"):
                yield line, done


def _decoded(line: bytes) -> Event | None:
    try:
        return decode(line)
    except msgspec.DecodeError:
        return None


def _place_for(root: Path, name: str) -> Path:
    """A new folder, or one that holds an earlier export and nothing else."""
    place, count = root / name, 1
    while place.exists() and not _is_export(place):
        count += 1
        place = root / f"{name}-{count}"
    return place


def _is_export(place: Path) -> bool:
    return place.is_dir() and all(file.name.startswith("events.out.tfevents.") for file in place.iterdir())


def _check_installed() -> None:
    try:
        import tensorboardX  # noqa: F401
    except ImportError as error:
        message = f"TensorBoard files cannot be written: {error}."
        raise StudioError(message, remedy="Install it: pip install tensorboardX.") from error


# ------------------------------------------------------------------------------------------------- live


class _Live:
    """Files beside a run that is at work."""

    def __init__(self, folder: RunFolder, recipe: Recipe) -> None:
        self._folder, self._recipe = folder, recipe
        self._board: _Board | None = None
        self._has_failed, self._flushed_at = False, 0.0

    def add(self, event: Event) -> Notice | None:
        """Write it down. A notice the first time that it does not work; from then on nothing is tried."""
        if self._has_failed:
            return None
        try:
            self._write(event)
        except Exception as error:  # noqa: BLE001  whatever it is, the run goes on
            _log.info("TensorBoard files failed", exc_info=error)
            self._has_failed = True
            self.close()
            message = f"TensorBoard files are no longer written: {error}. The run goes on; export them later."
            return Notice(message=message, level="warning", time=time.time())
        return None

    def close(self) -> None:
        board, self._board = self._board, None
        if board is not None:
            with suppress(Exception):
                board.close()

    def _write(self, event: Event) -> None:
        if self._board is None:
            _check_installed()
            place = self._folder.path / "tensorboard"
            place.mkdir(exist_ok=True)
            self._board = _Board(place, self._folder)
        if isinstance(event, Started):
            self._board.add_settings(self._recipe, event.time)
        self._board.add(event)
        if not isinstance(event, Metrics | Progress) or time.monotonic() - self._flushed_at > _FLUSH_SECONDS:
            self._board.flush()
            self._flushed_at = time.monotonic()


# ------------------------------------------------------------------------------------------------- the files


class _Board:
    """One event file. It is written at once, in this thread. Raises: OSError."""

    def __init__(self, place: Path, folder: RunFolder) -> None:
        from tensorboardX.event_file_writer import EventsWriter

        self._folder = folder
        self._writer: Any = EventsWriter(str(place / "events"), f".{os.getpid()}.{time.time_ns()}")

    def add(self, event: Event) -> None:
        match event:
            case Metrics() | Validation() | Measured():
                self._add_figures(event)
            case PreviewSaved():
                self._add_preview(event)
            case Resumed():
                self._restart(event)

    def add_settings(self, recipe: Recipe, wall_time: float) -> None:
        """As text, and as hyperparameters to compare runs by."""
        from tensorboardX import summary

        toml = "".join(f"    {line}\n" for line in dump_recipe(recipe).splitlines())  # as Markdown has code
        self._put(summary.text("settings", toml), 0, wall_time)
        tables = {name: table for name, table in recipe_to_tables(recipe).items() if isinstance(table, dict)}
        flat = {f"{name}.{key}": value for name, table in tables.items() for key, value in table.items()}
        told = {key: value for key, value in flat.items() if isinstance(value, bool | int | float | str)}
        for part in summary.hparams(told, {"loss/train": 0.0}):
            self._put(part, 0, wall_time)

    def flush(self) -> None:
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()

    def _add_figures(self, event: Metrics | Validation | Measured) -> None:
        from tensorboardX.proto.summary_pb2 import Summary

        values = [Summary.Value(tag=tag, simple_value=value) for tag, value in _scalars(event)]
        self._put(Summary(value=values), event.step, event.time)

    def _add_preview(self, event: PreviewSaved) -> None:
        from tensorboardX.proto.summary_pb2 import Summary

        try:
            png = (self._folder.path / event.file).read_bytes()
        except OSError:  # previews may be thrown away
            return
        width, height = (int.from_bytes(png[at : at + 4]) for at in (_PNG_SIZE_AT, _PNG_SIZE_AT + 4))
        image = Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=png)
        self._put(Summary(value=[Summary.Value(tag="previews", image=image)]), event.step, event.time)

    def _restart(self, event: Resumed) -> None:
        """What was said of later steps is no longer true: TensorBoard forgets it."""
        from tensorboardX.proto.event_pb2 import Event as Record
        from tensorboardX.proto.event_pb2 import SessionLog

        log = SessionLog(status=SessionLog.START)
        self._writer.write_event(Record(wall_time=event.time, step=event.step + 1, session_log=log))

    def _put(self, summary: Any, step: int, wall_time: float) -> None:
        from tensorboardX.proto.event_pb2 import Event as Record

        self._writer.write_event(Record(wall_time=wall_time, step=step, summary=summary))


def _scalars(event: Metrics | Validation | Measured) -> Iterator[tuple[str, float]]:
    """What a step has in figures; a loss that is not a number is one that is not a number there too."""
    figures: list[tuple[str, float | None]] = []
    match event:
        case Metrics():
            yield "loss/train", math.nan if event.loss is None else event.loss
            figures = [
                ("learning_rate", event.learning_rate), ("gradient_norm", event.grad_norm),
                ("images_per_second", event.images_per_second), ("memory_bytes", event.memory_bytes or None),
                ("images_seen", event.images_seen or None), *_bands("train", event.bands),
            ]  # fmt: skip
        case Validation():
            yield "loss/validation", math.nan if event.loss is None else event.loss
            figures = _bands("validation", event.bands)
        case Measured():
            figures = [(f"metrics/{event.name}", event.value)]
    yield from ((tag, value) for tag, value in figures if value is not None)


def _bands(of: str, bands: tuple[float | None, ...]) -> list[tuple[str, float | None]]:
    """The mean loss in each band of the timestep, clean to noisy."""
    return [(f"loss_by_band/{of}_{number + 1}_of_{len(bands)}", value) for number, value in enumerate(bands)]
