"""The job that shows single images of a source: those that are too close to others, for instance."""

from collections.abc import Generator
from pathlib import Path

import numpy as np

from dit_studio.engine.evaluation.image_sources import ImageSource, data_set_source, open_source
from dit_studio.engine.evaluation.run_data import is_run, open_run_data
from dit_studio.engine.evaluation.samples_picture import fitted, missing_cell, read_images
from dit_studio.errors import ConfigError, DataError, Problem
from dit_studio.events import Event, Pictures, SettingsRefused

_MOST_PICTURES, _MOST_PIXELS = 4096, 2**28
_LARGEST = 1024  # pixels a side
_OPEN = 2  # sources that are remembered: a reference, and what was measured against it

_opened: dict[tuple[str, int], ImageSource] = {}  # by path and time of change, the one used last at the end


def pictures(path: str, numbers: list[int], size: int) -> Generator[Event, None, None]:
    """Images by their numbers in the source's order, each fitted into a square of `size` pixels.

    What cannot be read is grey and among the missing. Raises: DataError if the source cannot be opened.
    """
    problems = _problems(numbers, size)
    if problems:
        yield SettingsRefused(problems=tuple((problem.field, problem.message) for problem in problems))
        return
    source = yield from _open(path)
    found = read_images(source, numbers)
    cells = [fitted(found[number], size) if number in found else missing_cell(size) for number in numbers]
    yield Pictures(
        path=path,
        numbers=tuple(numbers),
        size=size,
        missing=tuple(number for number in numbers if number not in found),
        data=np.stack(cells).tobytes() if cells else b"",
    )


def _problems(numbers: list[int], size: int) -> list[Problem]:
    problems = []
    if not 1 <= size <= _LARGEST:
        problems.append(Problem("size", f"A picture of {size} pixels is not possible: from 1 to {_LARGEST}.", size))
    most = min(_MOST_PICTURES, _MOST_PIXELS // max(1, size) ** 2)
    if len(numbers) > most:
        sentence = f"{len(numbers):,} pictures of {size} pixels at once are too many: ask for up to {most:,}."
        problems.append(Problem("numbers", sentence, len(numbers)))
    return problems


def _open(path: str) -> Generator[Event, None, ImageSource]:
    """The source, listed once however often it is asked for. Raises: DataError."""
    file = Path(path).expanduser()
    try:
        key = (path, file.stat().st_mtime_ns)
    except OSError as error:
        raise DataError(
            f"{path} cannot be read: {error.strerror or error}.", remedy="Put it back where it was, or evaluate again."
        ) from error
    source = _opened.pop(key, None) or (yield from _open_now(path, file))
    _opened[key] = source
    for old in list(_opened)[:-_OPEN]:
        del _opened[old]
    return source


def _open_now(path: str, file: Path) -> Generator[Event, None, ImageSource]:
    if not is_run(file):
        return (yield from open_source(path))
    try:
        images, _ = yield from open_run_data(file)
    except ConfigError as error:
        raise DataError(str(error), remedy="Repair the recipe of the run, or evaluate again.") from error
    return data_set_source(images)
