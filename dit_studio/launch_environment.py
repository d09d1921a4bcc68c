"""What torchrun says in the environment of each process that it starts."""

import os

from dit_studio.errors import StudioError


def rank() -> int:
    """Which of the processes this one is, counted from 0. Raises: StudioError if the environment makes no sense."""
    number = whole_number("RANK", 0)
    if number >= size():
        raise StudioError(
            f"RANK={number} is not possible with WORLD_SIZE={size()}: it takes 0 to {size() - 1}.", remedy=_REMEDY
        )
    return number


def size() -> int:
    """How many processes there are; 1 without torchrun. Raises: as `rank`."""
    return whole_number("WORLD_SIZE", 1, least=1)


def is_under_torchrun() -> bool:
    return "TORCHELASTIC_RUN_ID" in os.environ or size() > 1


def whole_number(variable: str, default: int, *, least: int = 0) -> int:
    """A variable's number, `default` where it is not set. Raises: StudioError if it is none."""
    text = os.environ.get(variable, "")
    if not text:
        return default
    if not text.isdecimal() or int(text) < least:
        raise StudioError(
            f"{variable}={text} is not possible: it takes a whole number from {least} on.", remedy=_REMEDY
        )
    return int(text)


def seconds(variable: str, default: float, *, longest: float) -> float:
    """A variable's seconds, `default` where it is not set. Raises: StudioError if it is no number above 0."""
    text = os.environ.get(variable, "")
    try:
        value = float(text) if text else default
    except ValueError:
        value = 0.0
    if not 0 < value <= longest:
        raise StudioError(
            f"{variable}={text} is not possible: it takes seconds above 0, up to {longest:g}.",
            remedy="Put it right in the environment, or leave it out.",
        )
    return value


_REMEDY = "torchrun sets it: start with torchrun, or take it out of the environment."
