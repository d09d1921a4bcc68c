"""What can be chosen for each kind of export, and within which limits."""

from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta

from dit_studio.errors import ConfigError, Problem

Plane = Literal["x_start", "x_t"]
Columns = Annotated[int, Meta(ge=1, le=1000)]
ImageNumber = Annotated[int, Meta(ge=0, le=10**7)]


class _Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    entry: str  # folder of an entry of the history


class PngOptions(_Options, frozen=True, kw_only=True):
    image: ImageNumber = 0


class GridOptions(_Options, frozen=True, kw_only=True):
    columns: Columns | None = None  # None: as square as it gets


class ContactOptions(_Options, frozen=True, kw_only=True):
    image: ImageNumber = 0
    columns: Columns = 10
    plane: Plane = "x_start"


class SheetOptions(_Options, frozen=True, kw_only=True):
    images: tuple[ImageNumber, ...] | None = None  # None: the first ten
    columns: Annotated[int, Meta(ge=2, le=100)] = 10
    spacing: Literal["t", "log-snr"] = "t"
    plane: Plane = "x_start"
    cell: Annotated[int, Meta(ge=4, le=2048)] = 96  # pixels; in a PDF 1/96 inch each
    labels: bool = True


class FilmOptions(_Options, frozen=True, kw_only=True):
    images: tuple[ImageNumber, ...] | None = None  # None: the first sixteen
    plane: Literal["x_start", "x_t", "both"] = "x_start"
    fps: Annotated[float, Meta(ge=1, le=50)] = 15.0
    scale: Annotated[int, Meta(ge=1, le=64)] | None = None  # None: about 512 pixels high
    hold_seconds: Annotated[float, Meta(ge=0, le=60)] = 1.5


class NpzOptions(_Options, frozen=True, kw_only=True):
    pass


_Chosen = TypeVar("_Chosen", bound=_Options)


def checked(kind: type[_Chosen], options: dict[str, Any]) -> _Chosen:
    """The options in their type. Raises: ConfigError."""
    try:
        return msgspec.convert(options, kind)
    except msgspec.ValidationError as error:
        raise ConfigError([Problem("export", f"The export cannot be made as asked: {error}.")]) from error
