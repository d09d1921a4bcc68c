"""The job that takes something along: one file, whole or not at all."""

import math
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from dit_studio.engine.export.film import KeptImages, open_film, open_images
from dit_studio.engine.export.gif import encode_gif
from dit_studio.engine.export.motion import frames, picked, planes_of
from dit_studio.engine.export.mp4 import encode_mp4
from dit_studio.engine.export.npz import open_npz
from dit_studio.engine.export.options import (
    ContactOptions,
    FilmOptions,
    GridOptions,
    NpzOptions,
    PngOptions,
    SheetOptions,
    checked,
)
from dit_studio.engine.export.png import encode_png, grid
from dit_studio.engine.export.sheet import encode_sheet_pdf, encode_sheet_png
from dit_studio.engine.export.sheet_layout import lay_out, lay_out_contact
from dit_studio.errors import ConfigError, DataError, Problem
from dit_studio.events import Event, Progress, Written
from dit_studio.files import naming_disk_errors, write_atomically

SUFFIXES = {
    "png": (".png",),
    "grid": (".png",),
    "contact": (".png",),
    "sheet": (".png", ".pdf"),
    "gif": (".gif",),
    "mp4": (".mp4",),
    "npz": (".npz",),
}
_GAP = 2  # pixels between the images of a grid
_MOST_GRID_PIXELS = 200_000_000
_SHEET_IMAGES = 10
_NPZ_BATCH = 64


def export(kind: str, path: str, options: dict[str, Any]) -> Generator[Event, None, None]:
    """Write one file from an entry of the history. Kinds and their suffixes: SUFFIXES; options: export/options.py.

    Raises: ConfigError, DataError, DiskFullError, RunError.
    """
    file = _file(kind, path)
    with naming_disk_errors(file):
        file.parent.mkdir(parents=True, exist_ok=True)
    match kind:
        case "png":
            yield from _png(file, checked(PngOptions, options))
        case "grid":
            yield from _grid(file, checked(GridOptions, options))
        case "contact":
            yield from _contact(file, checked(ContactOptions, options))
        case "sheet":
            yield from _sheet(file, checked(SheetOptions, options))
        case "npz":
            yield from _npz(file, checked(NpzOptions, options))
        case _:
            yield from _film(kind, file, checked(FilmOptions, options))


def _file(kind: str, path: str) -> Path:
    suffixes = SUFFIXES.get(kind)
    if suffixes is None:
        raise _problem(f'"{kind}" cannot be exported: it takes one of {", ".join(SUFFIXES)}.')
    if not path or Path(path).suffix.lower() not in suffixes:
        raise _problem(f'A {kind} cannot be written to "{path}": its name has to end in {" or ".join(suffixes)}.')
    if Path(path).is_dir():
        raise _problem(f"{path} is a folder: choose another name for the file.")
    return Path(path)


def _problem(sentence: str) -> ConfigError:
    return ConfigError([Problem("export", sentence)])


def _write(file: Path, data: bytes, *, images: int, note: str = "") -> Written:
    write_atomically(file, data)
    return Written(file=str(file), size_bytes=len(data), images=images, note=note)


def _png(file: Path, options: PngOptions) -> Iterator[Event]:
    yield _write(file, open_images(Path(options.entry)).png(options.image), images=1)


def _grid(file: Path, options: GridOptions) -> Iterator[Event]:
    images = open_images(Path(options.entry))
    count = _some(images)
    columns = options.columns or math.ceil(math.sqrt(count))
    pixels = count * images.entry.height * images.entry.width
    if pixels > _MOST_GRID_PIXELS:
        raise DataError(
            f"The grid would have {pixels / 1e6:,.0f} million pixels: {_MOST_GRID_PIXELS / 1e6:.0f} million at most.",
            remedy="Export an NPZ, or draw fewer images.",
        )
    cells = []
    for image in range(count):
        cells.append(images.pixels(image))
        yield Progress(stage="Reading images", done=image + 1, total=count, unit="images")
    whole = grid(np.stack(cells), columns=min(columns, count), gap=_GAP)
    yield _write(file, encode_png(whole, images.record, None), images=count)


def _contact(file: Path, options: ContactOptions) -> Iterator[Event]:
    film = open_film(Path(options.entry), planes=(options.plane,))
    (image,) = picked(film, (options.image,), 1)
    side = film.images.pixels(image).shape[0]
    layout = lay_out_contact(film, image, options.columns, side)
    data = encode_sheet_png(film, layout, options.plane, image=image)
    yield _write(file, data, images=len(layout.cells), note=film.note)


def _sheet(file: Path, options: SheetOptions) -> Iterator[Event]:
    film = open_film(Path(options.entry), planes=(options.plane,))
    images = picked(film, options.images, _SHEET_IMAGES)
    layout = lay_out(film, images, options)
    yield Progress(stage="Drawing the sheet", done=0, total=len(layout.cells), unit="cells")
    encode = encode_sheet_pdf if file.suffix.lower() == ".pdf" else encode_sheet_png
    yield _write(file, encode(film, layout, options.plane), images=len(images), note=film.note)


def _film(kind: str, file: Path, options: FilmOptions) -> Iterator[Event]:
    film = open_film(Path(options.entry), planes=planes_of(options))
    count = len(film.points) + 1
    shown = frames(film, options)
    yield Progress(stage="Making the film", done=0, total=count, unit="frames")
    if kind == "gif":
        data = encode_gif(shown, count=count, fps=options.fps, hold_seconds=options.hold_seconds)
    else:
        data = encode_mp4(shown, fps=options.fps, hold_seconds=options.hold_seconds)
    yield _write(file, data, images=count, note=film.note)


def _npz(file: Path, options: NpzOptions) -> Iterator[Event]:
    images = open_images(Path(options.entry))
    count, labels = _some(images), images.record.label_of
    with open_npz(file, images=count, size=images.pixels(0).shape[:2]) as npz:
        for first in range(0, count, _NPZ_BATCH):
            batch = range(first, min(first + _NPZ_BATCH, count))
            npz.add(np.stack([images.pixels(image) for image in batch]), [labels(image) for image in batch])
            yield Progress(stage="Writing the NPZ", done=batch[-1] + 1, total=count, unit="images")
    yield Written(file=str(file), size_bytes=file.stat().st_size, images=count)


def _some(images: KeptImages) -> int:
    if not images.entry.images:
        raise DataError(f"No image of {images.folder.name} is finished.", remedy="Draw it again.")
    return images.entry.images
