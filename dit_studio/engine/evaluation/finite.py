"""Figures that can be written into a result: JSON knows neither NaN nor infinity."""

import math
from collections.abc import Iterator
from typing import Any

import msgspec

from dit_studio.errors import DataError


def check_finite(found: msgspec.Struct) -> None:
    """Raises: DataError if a number in it, however deep, is NaN or infinite."""
    for name, value in msgspec.to_builtins(found).items():
        for number in _numbers(value):
            if not math.isfinite(number):
                raise DataError(
                    f"Its {name} came out as {number}.",
                    remedy="Look for images that are all alike, or for features that are far too large.",
                )


def _numbers(value: Any) -> Iterator[float]:
    match value:
        case float():
            yield value
        case dict():
            for each in value.values():
                yield from _numbers(each)
        case list() | tuple():
            for each in value:
                yield from _numbers(each)
