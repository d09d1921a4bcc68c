"""An evolution sheet laid out: rows are images, columns are timesteps, with their names at the sides.

All lengths are pixels of the PNG; the PDF takes 0.75 points for each.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

from PIL import ImageFont

from dit_studio.engine.export.film import Film
from dit_studio.engine.export.options import SheetOptions
from dit_studio.events import StepPoint
from dit_studio.places import resources_dir
from dit_studio.trajectory import labelled_columns

_SMALLEST_FONT, _LARGEST_FONT = 7, 26
_FONT_TO_CELL = 0.16
_SMALLEST_CONTACT = 64  # pixels: a cell of a contact sheet
_WIDEST_NAME = 1.8  # cells, and at least so many letters:
_NAME_LETTERS = 8
_LINE = 1.3  # of the font's size


@dataclass(frozen=True)
class Text:
    """A line of text: `x`, `y` is the middle of its height, and its left end, middle or right end."""

    x: float
    y: float
    words: str
    size: float
    align: str  # "left", "middle" or "right"
    is_muted: bool = False


@dataclass(frozen=True)
class Cell:
    x: int
    y: int
    image: int
    step: int  # of the film; one more than its last is the finished image


@dataclass(frozen=True)
class SheetLayout:
    width: int
    height: int
    cell: int
    cells: tuple[Cell, ...]
    texts: tuple[Text, ...]


def font_file() -> str:
    return str(resources_dir() / "fonts" / "DejaVuSans.ttf")


@cache
def font(size: float) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(font_file(), size)


def columns_of(points: Sequence[StepPoint], columns: int, spacing: str) -> list[int]:
    """The steps shown, evenly spaced in t or in log-SNR: the first step first, the finished image (one step more than
    there are) last. Where steps are few, there are fewer columns; a step at t = 0 is left to the finished image."""
    steps = [step for step, point in enumerate(points, start=1) if point.t > 0] or [1]
    places = [-points[step - 1].t if spacing == "t" else points[step - 1].log_snr for step in steps]
    wanted = min(columns - 1, len(steps))
    end = 0.0 if spacing == "t" else places[-1]
    parts = wanted if spacing == "t" else max(1, wanted - 1)
    chosen: list[int] = []
    for k in range(wanted):
        target = places[0] + (end - places[0]) * k / parts
        nearest = min(range(len(steps)), key=lambda index: abs(places[index] - target))
        lowest, highest = (chosen[-1] + 1 if chosen else 0), len(steps) - (wanted - k)
        chosen.append(min(max(nearest, lowest), highest))
    return [*(steps[index] for index in chosen), len(points) + 1]


def lay_out(film: Film, images: Sequence[int], options: SheetOptions) -> SheetLayout:
    """Where everything goes."""
    cell = options.cell
    steps = columns_of(film.points, options.columns, options.spacing)
    gap, margin = max(1, round(cell / 32)), max(4, round(cell / 8))
    size = min(max(cell * _FONT_TO_CELL, _SMALLEST_FONT), _LARGEST_FONT)
    left = top = margin
    if options.labels:
        left += math.ceil(_names_width(film, images, cell, size) + size * 0.7)
        top += math.ceil(size * (_LINE + 0.4))
    cells = [
        Cell(left + column * (cell + gap), top + row * (cell + gap), image, step)
        for row, image in enumerate(images)
        for column, step in enumerate(steps)
    ]
    texts = []
    if options.labels:
        texts = [
            *_heads(film.points, steps, left, top, cell, gap, size),
            *_names(film, images, left, top, cell, gap, size),
        ]
    return SheetLayout(
        width=cells[-1].x + cell + margin,
        height=cells[-1].y + cell + margin,
        cell=cell,
        cells=tuple(cells),
        texts=tuple(texts),
    )


def lay_out_contact(film: Film, image: int, columns: int, side: int) -> SheetLayout:
    """Every step of an image and the image itself, line by line, each with its t below.

    Images are made larger by a whole number where their labels would not fit.
    """
    steps = range(1, len(film.points) + 2)
    cell = side * math.ceil(_SMALLEST_CONTACT / side)
    columns, size = min(columns, len(steps)), min(max(cell * _FONT_TO_CELL, _SMALLEST_FONT), _LARGEST_FONT)
    heads = [f"t = {time_text(film.points, step)}" for step in steps]
    if _widest(heads, size) > cell:
        heads = [head.removeprefix("t = ") for head in heads]
    gap, margin, line = max(2, round(cell / 32)), max(4, round(cell / 8)), math.ceil(size * (_LINE + 0.4))
    places = [divmod(number, columns) for number in range(len(steps))]
    cells = tuple(
        Cell(margin + column * (cell + gap), margin + row * (cell + line), image, step)
        for step, (row, column) in zip(steps, places, strict=True)
    )
    texts = (
        Text(place.x + cell / 2, place.y + cell + line / 2, head, size, "middle")
        for place, head in zip(cells, heads, strict=True)
    )
    return SheetLayout(
        width=2 * margin + columns * (cell + gap) - gap,
        height=cells[-1].y + cell + line + margin // 2,
        cell=cell,
        cells=cells,
        texts=tuple(texts),
    )


def time_text(points: Sequence[StepPoint], step: int) -> str:
    """The timestep of a step, "999"; of the finished image "0"."""
    if step > len(points):
        return "0"
    t = points[step - 1].t
    return f"{t:.0f}" if float(t).is_integer() or t >= 10 else f"{t:.3g}"


def _heads(
    points: Sequence[StepPoint], steps: Sequence[int], left: int, top: int, cell: int, gap: int, size: float
) -> list[Text]:
    """ "t = 999" above each column; where that is too wide the number alone, and where that is, above every other."""
    numbers = [time_text(points, step) for step in steps]
    heads = [f"t = {number}" for number in numbers]
    if _widest(heads, size) > cell + gap - size / 2:
        heads = numbers
    every = math.ceil((_widest(heads, size) + size / 2) / (cell + gap))
    y = top - size * 0.4 - size * _LINE / 2
    return [
        Text(left + column * (cell + gap) + cell / 2, y, heads[column], size, "middle")
        for column in labelled_columns(len(heads), every)
    ]


def _names(film: Film, images: Sequence[int], left: int, top: int, cell: int, gap: int, size: float) -> list[Text]:
    """Class and seed beside each row: in two lines, in one where rows are low, beside some where they are lower."""
    x, texts = left - size * 0.7, []
    every = math.ceil(size / (cell + gap))
    for row, image in enumerate(images):
        middle = top + row * (cell + gap) + cell / 2
        name, seed = _name(film, image, cell, size), _seed(film, image)
        if cell >= 2 * size * _LINE:
            half = size * _LINE / 2
            texts += [Text(x, middle - half, name, size, "right"), Text(x, middle + half, seed, size, "right", True)]  # noqa: FBT003
        elif row % every == 0:
            texts.append(Text(x, middle, f"{name} · {seed}", size, "right"))
    return texts


def _names_width(film: Film, images: Sequence[int], cell: int, size: float) -> float:
    names, seeds = [_name(film, image, cell, size) for image in images], [_seed(film, image) for image in images]
    if cell >= 2 * size * _LINE:
        return _widest([*names, *seeds], size)
    return _widest([f"{name} · {seed}" for name, seed in zip(names, seeds, strict=True)], size)


def _name(film: Film, image: int, cell: int, size: float) -> str:
    return elide(
        film.images.record.class_of(image), max(cell * _WIDEST_NAME, size * _NAME_LETTERS), font(size).getlength
    )


def _seed(film: Film, image: int) -> str:
    return f"seed {film.images.record.request.seed + image}"


def _widest(words: Sequence[str], size: float) -> float:
    return max(font(size).getlength(word) for word in words)


def elide(text: str, width: float, measure: Callable[[str], float]) -> str:
    """The text, cut in its middle to this width where it is longer."""
    if measure(text) <= width:
        return text
    kept = len(text) - 1
    while kept > 2 and measure(_cut(text, kept)) > width:
        kept -= 1
    return _cut(text, kept)


def _cut(text: str, kept: int) -> str:
    head = math.ceil(kept * 0.6)
    return f"{text[:head].rstrip()}…{text[len(text) - (kept - head) :].lstrip()}"
