"""What the left column remembers from one start to the next, as the settings file holds it."""

from typing import Any

import msgspec


class RememberedModel(msgspec.Struct, frozen=True, kw_only=True):
    path: str = ""
    weights: str = "ema"
    drawing: dict[str, Any] = {}  # as typed
    axes: tuple[tuple[str, str], ...] = ()  # name and values, as typed


class RememberedImages(msgspec.Struct, frozen=True, kw_only=True):
    images: tuple[tuple[str, str], ...] = ()  # path and name
    sweep: str = ""


class RememberedSubject(msgspec.Struct, frozen=True, kw_only=True):
    mode: str = "model"  # or "images"
    model: RememberedModel = RememberedModel()
    images: RememberedImages = RememberedImages()


class Remembered(msgspec.Struct, frozen=True, kw_only=True):
    reference: str = ""
    subject: RememberedSubject = RememberedSubject()
    metrics: dict[str, Any] = {}  # as typed


def read_remembered(values: dict[str, Any]) -> Remembered:
    """What the settings file holds; nothing, if somebody made it unreadable."""
    try:
        return msgspec.convert(values, Remembered)
    except msgspec.ValidationError:
        return Remembered()
