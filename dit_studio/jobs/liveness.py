"""Whether a process on another machine is alive: by a heartbeat that changes, as seen over our own monotonic clock.

What was seen of each run folder is kept. Two machines' clocks are compared at the first look alone, as a guess.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HEARTBEAT_SECONDS = 2.0
STALE_SECONDS = 60.0  # a heartbeat that stands still so long is of a process that is gone; disks may be away for some
_SKEW_SECONDS = 300.0  # between two machines' clocks, at the first look
_FEW_BEATS_SECONDS = 3 * HEARTBEAT_SECONDS
_POLL_SECONDS = 0.1


@dataclass(frozen=True)
class _Seen:
    heartbeat: float
    since: float  # our monotonic clock
    is_fresh: bool  # it changed before our eyes, or is not old as clocks go


_seen: dict[Path, _Seen] = {}
_lock = threading.Lock()


def is_beating(path: Path, heartbeat: float) -> bool:
    """Whether the heartbeat of the run at `path` has changed lately; at the first look, whether it seems to be new."""
    seen = _look(path, heartbeat)
    return seen.is_fresh and time.monotonic() - seen.since < STALE_SECONDS


def is_surely_beating(path: Path, read: Callable[[], float | None]) -> bool:
    """The same without a guess: waits until the heartbeat changes or has stood still for long enough.

    That takes seconds, and up to `STALE_SECONDS` if it seems to be new. `read` gives None once nobody claims to live.
    """
    first = heartbeat = read()
    while heartbeat is not None and heartbeat == first:
        seen = _look(path, heartbeat)
        enough = STALE_SECONDS if seen.is_fresh else _FEW_BEATS_SECONDS
        if time.monotonic() - seen.since >= enough:
            return False
        time.sleep(_POLL_SECONDS)
        heartbeat = read()
    return heartbeat is not None


def forget(path: Path) -> None:
    """What was seen of a folder that could not be reached for a while says nothing: look as if for the first time."""
    with _lock:
        _seen.pop(path, None)


def _look(path: Path, heartbeat: float) -> _Seen:
    with _lock:
        seen = _seen.get(path)
        if seen is None:
            is_new = time.time() - heartbeat < STALE_SECONDS + _SKEW_SECONDS
            seen = _Seen(heartbeat, time.monotonic(), is_new)
        elif seen.heartbeat != heartbeat:
            seen = _Seen(heartbeat, time.monotonic(), is_fresh=True)
        _seen[path] = seen
        return seen
