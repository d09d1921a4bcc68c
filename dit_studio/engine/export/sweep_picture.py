"""The cells of a sweep side by side with their settings: a picture a page, made from what is on the disk."""

import io
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from dit_studio.engine.export.png import as_picture, grid
from dit_studio.engine.export.sheet_layout import elide, font
from dit_studio.errors import DataError
from dit_studio.events import Written
from dit_studio.files import write_atomically
from dit_studio.sweep import SweepCell, SweepRecord

_SMALLEST_CELL = 112  # pixels a side; small images are made larger by whole numbers
_MOST_PIXELS = 60_000_000  # of a page; larger cells are made smaller
_FONT_SIZE = 13
_INNER_GAP = 2  # pixels between the images of a cell
_MOST_SHOWN = 64  # images of a cell
_GROUND, _INK, _MUTED, _EMPTY = "#FFFFFF", "#000000", "#5A5A5A", "#ECECEC"


def write_pages(folder: Path, record: SweepRecord) -> Iterator[Written]:
    """sweep.png, and sweep-2.png … for further pages. Raises: RunError or DiskFullError."""
    for page in range(record.plan.pages):
        file = folder / ("sweep.png" if page == 0 else f"sweep-{page + 1}.png")
        data = _encode(folder, record, page)
        write_atomically(file, data)
        yield Written(file=str(file), size_bytes=len(data), images=record.plan.rows * record.plan.columns)


def read_images(folder: Path, count: int) -> NDArray[np.uint8]:
    """The first images of a cell. Shape: (count, H, W, 3 or 1). Raises: DataError."""
    images = []
    for image in range(count):
        try:
            with Image.open(folder / f"{image:06d}.png") as picture:
                images.append(np.atleast_3d(np.asarray(picture)))
        except (OSError, ValueError) as error:
            raise DataError(f"Image {image + 1} in {folder} cannot be read: {error}.") from error
    return np.stack(images)


def _encode(folder: Path, record: SweepRecord, page: int) -> bytes:
    plan = record.plan
    cells = [cell for cell in plan.cells if cell.page == page]
    side = _side(folder, record, cells)
    heads, names = plan.heads(0), plan.heads(1)
    letters, gap, margin = font(_FONT_SIZE), max(8, side // 16), 16
    caption = math.ceil(max(letters.getlength(name) for name in names)) + (10 if any(names) else 0)
    title = 2 * _FONT_SIZE if plan.pages > 1 else 0
    left, top = margin + caption, margin + title + 2 * _FONT_SIZE
    size = (left + plan.columns * (side + gap) - gap + margin, top + plan.rows * (side + gap) - gap + margin)
    sheet = Image.new("RGB", size, _GROUND)
    pen = ImageDraw.Draw(sheet)
    if title:
        pen.text((left, margin), plan.heads(2)[page], fill=_INK, font=letters, anchor="lt")
    for column, head in enumerate(heads):
        x = left + column * (side + gap) + side / 2
        words = elide(head, side + gap - 6, letters.getlength)
        pen.text((x, top - _FONT_SIZE), words, fill=_INK, font=letters, anchor="mm")
    for row, name in enumerate(names):
        y = top + row * (side + gap) + side / 2
        pen.text((left - 10, y), name, fill=_INK, font=letters, anchor="rm")
    for cell in cells:
        corner = (left + cell.column * (side + gap), top + cell.row * (side + gap))
        if record.states[cell.index].state == "drawn":
            sheet.paste(_picture(folder, record, cell, side), corner)
        else:
            pen.rectangle((*corner, corner[0] + side - 1, corner[1] + side - 1), fill=_EMPTY)
            centre = (corner[0] + side / 2, corner[1] + side / 2)
            words = {"failed": "failed", "waiting": "not drawn"}[record.states[cell.index].state]
            pen.text(centre, words, fill=_MUTED, font=letters, anchor="mm")
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    return buffer.getvalue()


def _side(folder: Path, record: SweepRecord, cells: list[SweepCell]) -> int:
    """Of every cell, in pixels: that of the first that is drawn, or less where the page would be too large."""
    drawn = [cell for cell in cells if record.states[cell.index].state == "drawn"]
    side = max(_of_cell(folder, record, drawn[0]).size) if drawn else _SMALLEST_CELL
    return max(1, min(side, math.isqrt(_MOST_PIXELS // (record.plan.columns * record.plan.rows))))


def _of_cell(folder: Path, record: SweepRecord, cell: SweepCell) -> Image.Image:
    """A cell's images side by side, small ones made larger by a whole number."""
    images = read_images(folder / cell.folder, min(record.states[cell.index].images, _MOST_SHOWN))
    columns = math.ceil(math.sqrt(len(images)))
    scale = math.ceil(_SMALLEST_CELL / (columns * images.shape[2]))
    pixels = grid(images.repeat(scale, axis=1).repeat(scale, axis=2), columns=columns, gap=_INNER_GAP)
    return as_picture(pixels).convert("RGB")


def _picture(folder: Path, record: SweepRecord, cell: SweepCell, side: int) -> Image.Image:
    """A cell in a square, on white."""
    picture = _of_cell(folder, record, cell)
    if (longest := max(picture.size)) > side:
        size = (max(1, picture.width * side // longest), max(1, picture.height * side // longest))
        picture = picture.resize(size, Image.Resampling.BOX)
    square = Image.new("RGB", (side, side), _GROUND)
    square.paste(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
    return square
