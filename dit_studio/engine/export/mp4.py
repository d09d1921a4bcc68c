"""A film as an MP4 that every player shows: H.264, 4:2:0, sides of even length."""

import io
from collections.abc import Iterator
from fractions import Fraction
from itertools import chain, repeat

import numpy as np

from dit_studio.engine.export.film import Pixels


def encode_mp4(frames: Iterator[Pixels], *, fps: float, hold_seconds: float) -> bytes:
    """An MP4 that holds its last frame."""
    import av

    buffer = io.BytesIO()
    rate = Fraction(fps).limit_denominator(1000)
    with av.open(buffer, "w", format="mp4") as container:
        first = even(next(frames))
        stream = container.add_stream("libx264", rate=rate, options={"crf": "12", "preset": "medium"})
        stream.height, stream.width = first.shape[:2]
        stream.pix_fmt = "yuv420p"
        last = first
        for last in chain([first], (even(frame) for frame in frames)):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(last, format="rgb24")))
        for frame in repeat(last, round(hold_seconds * fps)):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return buffer.getvalue()


def even(pixels: Pixels) -> Pixels:
    """With sides of even length: a last row or column is doubled where it must be."""
    height, width = pixels.shape[:2]
    return np.ascontiguousarray(np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge"))
