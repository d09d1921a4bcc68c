"""The built-in data set: landscapes of seven kinds, drawn by code and written as an ordinary folder of PNG files."""

import difflib
import itertools
import json
import multiprocessing
import multiprocessing.connection
import os
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dit_studio.engine.landscapes import KINDS
from dit_studio.engine.landscapes.canvas import Canvas
from dit_studio.errors import DataError
from dit_studio.events import Progress
from dit_studio.files import naming_disk_errors, write_atomically

CLASS_NAMES: tuple[str, ...] = tuple(KINDS)

MARKER = ".landscapes.json"  # says which set a folder holds, and whether all of it is there
_EDITION = 1  # raised whenever a scene comes out differently
_MOST_PER_CLASS = 100_000
_IMAGES_WORTH_A_PROCESS = 100


def landscape(kind: str, *, seed: int, size: int) -> NDArray[np.uint8]:
    """A scene of that kind, (size, size, 3): the same scene at every size, another one for every seed.

    Raises: DataError if there is no such kind, or if a number is out of range.
    """
    if kind not in KINDS:
        near = difflib.get_close_matches(kind, CLASS_NAMES, n=1)
        hint = f'Did you mean "{near[0]}"?' if near else f"There are {', '.join(CLASS_NAMES)}."
        raise DataError(f'There is no kind of landscape called "{kind}".', remedy=hint)
    _check("size", size, 8, 1024)
    _check("seed", seed, 0, 2**63 - 1)
    canvas = Canvas(size * (3 if size <= 64 else 2))  # shrinking it smooths the edges
    KINDS[kind](canvas, np.random.default_rng([CLASS_NAMES.index(kind), seed]))
    return canvas.shrunk(size)


def write_landscapes(folder: Path, *, per_class: int, size: int, seed: int = 0) -> Iterator[Progress]:
    """Write `folder`/KIND/00000.png and so on; a set that is there already is kept, an unfinished one is finished.

    Image k of a kind depends on `seed`, the kind and k alone: a larger set begins with the smaller one.
    Raises: DataError if a number is out of range or the folder holds something else; DiskFullError, RunError.
    """
    _check("per_class", per_class, 1, _MOST_PER_CLASS)
    _check("size", size, 8, 1024)
    _check("seed", seed, 0, 2**31 - 1)
    wanted = {"edition": _EDITION, "per_class": per_class, "size": size, "seed": seed}
    total = per_class * len(KINDS)
    with naming_disk_errors(folder):
        missing = _prepare(folder, wanted)
        yield Progress(stage="Drawing landscapes", done=total - len(missing), total=total, unit="images")
        for done in _draw_all(missing, size=size, seed=seed):
            yield Progress(stage="Drawing landscapes", done=total - len(missing) + done, total=total, unit="images")
        _write_marker(folder, wanted, is_complete=True)


def _check(name: str, value: int, lowest: int, highest: int) -> None:
    if not lowest <= value <= highest:
        raise DataError(
            f"{name} = {value} is not possible.", remedy=f"It takes a whole number from {lowest} to {highest}."
        )


# ------------------------------------------------------------------------------------------------- the folder


def _prepare(folder: Path, wanted: dict[str, int]) -> list[Path]:
    """Make the folders, remove what does not belong to the wanted set, and say which images are missing."""
    found = _read_marker(folder)
    if found is None and folder.is_dir() and any(folder.iterdir()):
        raise DataError(
            f"{folder} holds something else than the built-in data set.", remedy="Choose an empty or a new folder."
        )
    files = [folder / kind / f"{index:05}.png" for kind in CLASS_NAMES for index in range(wanted["per_class"])]
    is_same_but_for_length = found is not None and {**found, "per_class": wanted["per_class"]} == wanted
    for kind in CLASS_NAMES:
        (folder / kind).mkdir(parents=True, exist_ok=True)
    present = {file for kind in CLASS_NAMES for file in (folder / kind).glob("[0-9]*.png")}
    unwanted = present - set(files) if is_same_but_for_length else present
    missing = [file for file in files if file not in present or file in unwanted]
    if unwanted or missing:
        _write_marker(folder, wanted, is_complete=False)
    for file in unwanted:
        file.unlink()
    return missing


def _read_marker(folder: Path) -> dict[str, int] | None:
    try:
        marker = json.loads((folder / MARKER).read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return {key: value for key, value in marker.items() if key != "is_complete"} if isinstance(marker, dict) else None


def _write_marker(folder: Path, wanted: dict[str, int], *, is_complete: bool) -> None:
    write_atomically(folder / MARKER, json.dumps({**wanted, "is_complete": is_complete}).encode())


# ------------------------------------------------------------------------------------------------- the images


def _draw_all(files: list[Path], *, size: int, seed: int) -> Iterator[int]:
    """Draw the files, on all cores where it is worth it. Yields: how many are done."""
    processes = min(os.cpu_count() or 1, len(files) // _IMAGES_WORTH_A_PROCESS)
    counts = (
        _draw_apart(files, processes, size=size, seed=seed) if processes > 1 else _draw(files, size=size, seed=seed)
    )
    yield from itertools.accumulate(counts)


def _draw(files: list[Path], *, size: int, seed: int) -> Iterator[int]:
    """Draw one file after the other. Yields: 1 after each."""
    for file in files:
        pixels = landscape(file.parent.name, seed=seed * _MOST_PER_CLASS + int(file.stem), size=size)
        temporary = file.with_suffix(".tmp")
        Image.fromarray(pixels).save(temporary, format="PNG")
        temporary.replace(file)
        yield 1


def _draw_apart(files: list[Path], count: int, *, size: int, seed: int) -> Iterator[int]:
    """Like `_draw`, by `count` processes, which end when this one does."""
    spawn = multiprocessing.get_context("spawn")
    processes, readers = [], []
    for index in range(count):
        reader, writer = spawn.Pipe(duplex=False)
        process = spawn.Process(target=_draw_and_tell, args=(writer, files[index::count], size, seed), daemon=True)
        process.start()
        writer.close()  # the child alone holds the other end, so both sides notice when the other is gone
        processes.append(process)
        readers.append(reader)
    try:
        yield from _received(readers)
    finally:
        for process in processes:
            process.terminate()
            process.join()


def _received(readers: list[Connection]) -> Iterator[int]:
    unfinished = set(readers)
    while unfinished:
        for reader in multiprocessing.connection.wait(unfinished):
            assert isinstance(reader, Connection)
            try:
                said = reader.recv()
            except EOFError:
                raise DataError(
                    "A process that draws landscapes was killed.", remedy="Start again: it goes on."
                ) from None
            if isinstance(said, Exception):
                raise said
            if said is None:
                unfinished.remove(reader)
            else:
                yield said


def _draw_and_tell(writer: Connection, files: list[Path], size: int, seed: int) -> None:
    try:
        for count in _draw(files, size=size, seed=seed):
            writer.send(count)
        writer.send(None)
    except BrokenPipeError:
        return  # nobody waits for the images any more
    except OSError as error:
        writer.send(error)
