"""A disk that is gone for a while, as shared ones are: what could not be written is tried again."""

import time
from collections.abc import Callable, Iterator

from dit_studio.errors import UnwritableError
from dit_studio.events import Event, Notice

PATIENCE_SECONDS = 120.0  # without the disk, then a run ends
_WAITS = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0)  # about as long, together; numbers, so that all ranks wait alike


def written_patiently(write: Callable[[], Event], *, step: int) -> Iterator[Event]:
    """What `write` gives, tried again after longer and longer waits, of which notices tell.

    Raises: UnwritableError when the last try failed; DiskFullError at once.
    """
    for seconds in _WAITS:
        try:
            event = write()
        except UnwritableError as error:
            message = f"{error.message} It is tried again in {seconds:g} s."
            yield Notice(message=message, level="warning", step=step)
            time.sleep(seconds)
        else:
            yield event
            return
    yield write()
