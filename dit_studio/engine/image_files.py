"""One image file: whether it can be used, and its pixels as a square."""

import hashlib
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import (  # noqa: F401  a format is known once its plug-in is imported
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

Pixels = NDArray[np.uint8]

MAX_PIXELS = 178_956_970  # half a gigabyte as RGB; Pillow itself refuses more
SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".webp", ".bmp", ".dib", ".tif", ".tiff", ".gif"}
)
NOT_AN_IMAGE = "not an image (JPEG, PNG, WebP, BMP, TIFF or GIF)"

_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
_ENDS = {"JPEG": b"\xff\xd9", "MPO": b"\xff\xd9", "PNG": b"IEND\xae\x42\x60\x82"}
_EDGE_BYTES = 4096
_ORIENTATION = 0x0112
_UPRIGHT = {  # what undoes each EXIF orientation
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_FULL_SCALES = (255, 65535, 2**31 - 1)

_log = logging.getLogger(__name__)


class UnusableImageError(Exception):
    """The file is left out; the text is the reason, without a subject."""


class Header(NamedTuple):
    """What a file says of itself; `signature` is equal for equal files."""

    width: int
    height: int
    signature: bytes


def check(file: BinaryIO) -> Header:
    """Size in pixels of a file that seems whole, as it is seen (EXIF rotation applied).

    A JPEG or PNG file, if it ends as it should, is not decoded, so damage in its middle shows only in `decode`.
    Raises: UnusableImageError.
    """
    with _naming_problems(), _open(file) as image:
        width, height = image.size
        if "exif" in image.info and _orientation(image) >= 5:
            width, height = height, width
        _check_whole(image, file)
        return Header(width, height, _signature(file, edges_only=image.format not in ("BMP", "TIFF")))


def decode(file: BinaryIO, *, image_size: int, color: str) -> Pixels:
    """The picture as `fit` cuts it: (C, image_size, image_size). Of an animation it is the first frame.

    Raises: UnusableImageError.
    """
    with _naming_problems(), _open(file) as image:
        drafted = image.draft("L" if color == "grey" else "RGB", (image_size, image_size))  # JPEG: 1/2, 1/4 or 1/8
        extent = None if drafted is None else drafted[1][2:]
        return fit(image, image_size=image_size, color=color, extent=extent)


def decode_whole(file: BinaryIO) -> tuple[Pixels, str]:
    """The whole picture, upright, in RGB and in its own size: (3, H, W), and the format of its file.

    Raises: UnusableImageError.
    """
    with _naming_problems(), _open(file) as image:
        image.load()
        turn = _UPRIGHT.get(_orientation(image))
        picture = _in_mode(image, "RGB")
        pixels = np.asarray(picture if turn is None else picture.transpose(turn), dtype=np.uint8)
        return np.ascontiguousarray(pixels.transpose(2, 0, 1)), image.format or ""


def fit(image: Image.Image, *, image_size: int, color: str, extent: tuple[float, float] | None = None) -> Pixels:
    """The middle square of an image, upright and scaled: (C, image_size, image_size), C = 1 for "grey", 3 for "rgb".

    `extent`: the width and height that the picture really fills, where a last pixel is only in part of it.
    What is transparent lies on white. Colour profiles are left alone. 16-bit grey keeps its upper eight bits.
    Scaling as in ADM: halve by a box filter while that leaves enough, then bicubic; smaller images are enlarged.
    Source: Dhariwal & Nichol 2021, arXiv:2105.05233, guided_diffusion/image_datasets.py, `center_crop_arr`.
    """
    image.load()
    turn = _UPRIGHT.get(_orientation(image))
    image = _in_mode(image, "L" if color == "grey" else "RGB")
    width, height = extent or image.size
    if (side := int(min(width, height))) >= 2 * image_size:
        halvings = (side // image_size).bit_length() - 1
        halved = int(width) >> halvings, int(height) >> halvings
        image = image.resize(halved, Image.Resampling.BOX, box=(0, 0, width, height))
        width, height = halved
    square = _middle(image, width, height, image_size)
    if turn is not None:
        square = square.transpose(turn)
    pixels = np.asarray(square, dtype=np.uint8)
    return pixels[None] if pixels.ndim == 2 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _middle(image: Image.Image, width: float, height: float, image_size: int) -> Image.Image:
    """Scale so that the shorter side has `image_size` pixels and keep the middle, without making the rest."""
    scale = image_size / int(min(width, height))
    edges: list[float] = []
    for side in (width, height):
        scaled = round(int(side) * scale)
        start = (scaled - image_size) // 2
        edges += [start * side / scaled, min((start + image_size) * side / scaled, side)]
    left, right, top, bottom = edges
    return image.resize((image_size, image_size), Image.Resampling.BICUBIC, box=(left, top, right, bottom))


def _in_mode(image: Image.Image, mode: str) -> Image.Image:
    if image.mode.startswith(("I", "F")):
        image = Image.fromarray(_to_bytes(np.asarray(image)))
    elif image.has_transparency_data:
        picture = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
    elif image.mode not in ("1", "L", "P"):
        image = image.convert("RGB")  # of CMYK, Lab and others only this conversion exists
    return image if image.mode == mode else image.convert(mode)


def _to_bytes(values: NDArray[Any]) -> Pixels:
    """Grey values of more than eight bits, scaled to 0…255; Pillow's own conversion would clip them.

    The full scale is that of the type for 16 bits, else the least of 1 (floats), 255 (floats), 65535 and 2³¹ - 1
    that holds every value.
    """
    if values.dtype.itemsize == 2:
        scale = 65535
    else:
        values = np.nan_to_num(values.astype(np.float64))
        scales = _FULL_SCALES[1:] if values.dtype.kind == "i" else (1, *_FULL_SCALES)
        scale = next((limit for limit in scales if values.max() <= limit), int(values.max()))
    return np.clip(np.rint(values.astype(np.float64) * (255 / scale)), 0, 255).astype(np.uint8)


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception as error:  # noqa: BLE001  damaged metadata raises whatever it likes; the pixels may be fine
        _log.debug("unreadable EXIF data: %s", error)
        return 1


@contextmanager
def _open(file: BinaryIO) -> Iterator[Image.Image]:
    if not file.read(1):
        raise UnusableImageError("empty: it has 0 bytes")
    file.seek(0)
    with Image.open(file, formats=_FORMATS) as image:
        if image.width * image.height > MAX_PIXELS:
            raise UnusableImageError(_too_large(image.width * image.height))
        yield image


def _check_whole(image: Image.Image, file: BinaryIO) -> None:
    end = _ENDS.get(image.format or "")
    if end is None or not _edge(file).rstrip(b"\0").endswith(end):
        image.load()
    elif image.format == "PNG":
        image.verify()


def _edge(file: BinaryIO) -> bytes:
    file.seek(max(0, file.seek(0, 2) - _EDGE_BYTES))
    return file.read(_EDGE_BYTES)


def _signature(file: BinaryIO, *, edges_only: bool) -> bytes:
    """A hash of size, start and end, which tells compressed files apart; without `edges_only` of every byte."""
    size = file.seek(0, 2)
    file.seek(0)
    content = file.read(_EDGE_BYTES) + _edge(file) if edges_only else file.read()
    return hashlib.blake2b(content, digest_size=16, salt=size.to_bytes(16, "little")).digest()


@contextmanager
def _naming_problems() -> Iterator[None]:
    try:
        yield
    except UnusableImageError:
        raise
    except UnidentifiedImageError:
        raise UnusableImageError(NOT_AN_IMAGE) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        claimed = re.search(r"\(([0-9]+) pixels\)", str(error))
        raise UnusableImageError(_too_large(int(claimed[1]) if claimed else 2 * MAX_PIXELS)) from error
    except Exception as error:  # a damaged file makes a decoder raise whatever it likes
        raise UnusableImageError(reason(error)) from error


_NO_PERMISSION = "no permission to read it"
_GONE = "it is gone since the folder was read"
_TOO_LARGE = "it does not fit into memory"
PASSING_REASONS = {_NO_PERMISSION, _GONE, _TOO_LARGE}  # they say nothing about the file itself


def reason(error: Exception) -> str:
    """Why a file cannot be used, in words, from what a decoder or the system raised."""
    text = str(error)
    if isinstance(error, PermissionError):
        return _NO_PERMISSION
    if isinstance(error, FileNotFoundError):
        return _GONE
    if isinstance(error, MemoryError):
        return _TOO_LARGE
    if isinstance(error, EOFError) or any(word in text.lower() for word in ("truncated", "incomplete", "broken data")):
        return "truncated: the end of the file is missing"
    return f"damaged: {text or type(error).__name__}"


def _too_large(pixels: int) -> str:
    return f"too large: {pixels / 1e6:,.0f} million pixels, the limit is {MAX_PIXELS / 1e6:.0f} million"
