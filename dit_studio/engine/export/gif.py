"""A film as a GIF: every frame has a palette of its own, the best that 256 colours give."""

import io
from collections.abc import Iterator
from itertools import chain

from PIL import Image

from dit_studio.engine.export.film import Pixels

_TICK_MS = 10  # a GIF counts in hundredths of a second


def encode_gif(frames: Iterator[Pixels], *, count: int, fps: float, hold_seconds: float) -> bytes:
    """A GIF that loops for ever, and holds its last frame. `count` is the number of frames."""
    pause = max(2, round(1000 / fps / _TICK_MS)) * _TICK_MS  # browsers take less than 20 ms for 100
    held = pause + round(hold_seconds * 1000 / _TICK_MS) * _TICK_MS
    pictures = (Image.fromarray(frame).quantize(256, dither=Image.Dither.NONE) for frame in frames)
    first = next(pictures)
    buffer = io.BytesIO()
    first.save(
        buffer,
        "GIF",
        save_all=True,
        append_images=chain(pictures),
        duration=[pause] * (count - 1) + [held],
        loop=0,
        optimize=False,
    )
    return buffer.getvalue()
