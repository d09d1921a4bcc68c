"""A job's story, where only its end is wanted."""

from collections.abc import Generator
from typing import Any, TypeVar

Value = TypeVar("Value")


def value_of(story: Generator[Any, Any, Value]) -> Value:
    """What a generator returns, whatever it says on the way. Raises: whatever it raises."""
    while True:
        try:
            next(story)
        except StopIteration as end:
            value: Value = end.value
            return value
