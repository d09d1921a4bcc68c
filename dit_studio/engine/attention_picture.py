"""The maps of all heads of a block over the image, as one PNG."""

import dataclasses
import io
import math
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from dit_studio.engine.attention_maps import HeadMaps, Moment, Place, look
from dit_studio.engine.export.png import png_info
from dit_studio.engine.export.sheet import resized
from dit_studio.engine.export.sheet_layout import elide, font
from dit_studio.engine.sample_checks import parse_request
from dit_studio.engine.sampling import Frame, StartPoint, to_uint8
from dit_studio.engine.warm_model import WarmModel, load_warm
from dit_studio.errors import ConfigError, Problem
from dit_studio.events import Event, SettingsRefused, Written
from dit_studio.files import naming_disk_errors, write_atomically

Pixels = NDArray[np.uint8]
_CELL = 192  # pixels on a side, at least
_GAP, _LINE, _FONT = 8, 22, 13.0
_DIMMED = 0.35  # what is left of the image's light where a head does not look
_LOOKED = (255, 214, 92)  # light against any dimmed image, and seen by the colour-blind
_MARK = (86, 180, 233)


def export_attention(
    model: str,
    weights: str,
    request: dict[str, Any],
    image: int,
    step: int,
    block: int,
    patch: int,
    path: str,
    folder: str = "",
    device: str = "auto",
    precision: str = "auto",
) -> Generator[Event]:
    """Progress…, Written: the image with the patch marked, then the mean of the heads and each head over it.

    A map is brightest where it is its own most.
    Raises: CheckpointError, DataError, DeviceMemoryError, NotFiniteError, DiskFullError or RunError.
    """
    place = Place(image=image, step=step, block=block, patch=patch)
    try:
        file = _file(path)
        warm = yield from load_warm(model, weights, device=device, precision=precision)
        moment, maps = yield from look(warm, request, place, folder)
        moment = _decoded(warm, request, moment)
    except ConfigError as error:
        yield SettingsRefused(problems=tuple((problem.field, problem.message) for problem in error.problems))
        return
    row, column = divmod(patch, maps.weights.shape[-1])
    heads = (
        f"{warm.reference.name} · image {image + 1} · seed {int(request.get('seed', 0)) + image}",
        f"block {block + 1} · step {step}, t = {moment.t:g} · from row {row + 1}, column {column + 1}",
    )
    data = encode_maps(moment, maps, patch=patch, heads=heads)
    with naming_disk_errors(file):
        file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, data)
    yield Written(file=str(file), size_bytes=len(data), images=len(maps.weights))


def _decoded(warm: WarmModel, request: dict[str, Any], moment: Moment) -> Moment:
    """With x̂₀ of a model in latents as the image that its VAE makes of it: one pass of the model and one of the VAE."""
    if warm.decoder is None:
        return moment
    alone = replace(parse_request(request), classes=(moment.label,), count=1, batch_size=1, steps=1)
    drawing = warm.draw(alone, StartPoint(x_t=moment.x_t, t=moment.t))
    frame = next(done for done in drawing if isinstance(done, Frame))
    image = to_uint8(warm.decoder(frame.x_start))[0]
    return dataclasses.replace(moment, shown=image.permute(1, 2, 0).numpy())


def encode_maps(moment: Moment, maps: HeadMaps, *, patch: int, heads: Sequence[str]) -> bytes:
    """A PNG with a cell for the image, one for the mean of the heads and one for each, what they are below.

    `heads`: the lines above them.
    """
    grid = maps.weights.shape[-1]
    cell = grid * math.ceil(_CELL / grid)  # so that patches are even squares
    shown = np.asarray(resized(_in_colour(moment.shown), cell), np.float32)
    cells = [shown.astype(np.uint8), *(_over(shown, weights) for weights in (maps.weights.mean(axis=0), *maps.weights))]
    columns = math.ceil(math.sqrt(len(cells)))
    rows = math.ceil(len(cells) / columns)
    width = _GAP + columns * (cell + _GAP)
    top, below = _GAP + len(heads) * _LINE, _LINE * (2 if any(maps.elsewhere) else 1)
    picture = Image.new("RGB", (width, top + rows * (cell + below) + _GAP), "white")
    pen = ImageDraw.Draw(picture)
    for line, head in enumerate(heads):
        shortened = elide(head, width - 2 * _GAP, font(_FONT).getlength)
        pen.text((_GAP, _GAP + (line + 0.5) * _LINE), shortened, fill="black", font=font(_FONT), anchor="lm")
    for number, (pixels, words) in enumerate(zip(cells, _words(maps), strict=True)):
        x, y = _GAP + number % columns * (cell + _GAP), top + number // columns * (cell + below)
        picture.paste(Image.fromarray(pixels), (x, y))
        _mark(pen, (x, y), patch=patch, grid=grid, side=cell // grid)
        for line, text in enumerate(words):
            place = x + cell / 2, y + cell + (line + 0.5) * _LINE
            pen.text(place, text, fill="black", font=font(_FONT), anchor="mm")
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", pnginfo=png_info(None), dpi=(96, 96))
    return buffer.getvalue()


def _words(maps: HeadMaps) -> list[list[str]]:
    """The lines below each cell: the head and its most, and how much of it goes to tokens that are no patches."""
    words = [["x̂₀ at this step"], [f"mean of {len(maps.weights)}: most {maps.weights.mean(axis=0).max():.1%}"]]
    for number, (weights, share) in enumerate(zip(maps.weights, maps.elsewhere, strict=True), start=1):
        elsewhere = [f"{share:.0%} elsewhere"] if share > 0 else []
        words.append([f"head {number}: most {weights.max():.1%}", *elsewhere])
    return words


def _over(shown: NDArray[np.float32], weights: NDArray[np.float32]) -> Pixels:
    """The image dimmed, and coloured where a head looks. Shapes: (S, S, 3), (grid, grid) -> (S, S, 3)."""
    side = shown.shape[0] // weights.shape[0]
    strength = (weights / weights.max()).repeat(side, axis=0).repeat(side, axis=1)[..., None]
    light = shown.mean(axis=-1, keepdims=True) / 255  # the image stays visible in the coloured patches
    coloured = np.array(_LOOKED, np.float32) * (0.55 + 0.45 * light)
    pixels: Pixels = (shown * _DIMMED * (1 - strength) + coloured * strength).clip(0, 255).astype(np.uint8)
    return pixels


def _mark(pen: ImageDraw.ImageDraw, corner: tuple[int, int], *, patch: int, grid: int, side: int) -> None:
    row, column = divmod(patch, grid)
    x, y = corner[0] + column * side, corner[1] + row * side
    pen.rectangle((x, y, x + side - 1, y + side - 1), outline=_MARK, width=2)


def _in_colour(pixels: Pixels) -> Pixels:
    return pixels.repeat(3, axis=-1) if pixels.shape[-1] == 1 else pixels


def _file(path: str) -> Path:
    if Path(path).suffix.lower() != ".png" or Path(path).is_dir():
        message = f'The maps cannot be written to "{path}": the name of a file that ends in .png is needed.'
        raise ConfigError([Problem("export", message)])
    return Path(path)
