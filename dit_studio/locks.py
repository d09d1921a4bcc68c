"""Who writes: a lock on a file, which the system lets go of when its process ends, however it ends."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

_TRIES, _WAIT_SECONDS = 5, 0.02


def try_lock(file: IO[bytes]) -> bool:
    """Lock the file for as long as it stays open; False if somebody else has it."""
    try:
        if os.name == "nt":
            import msvcrt

            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def is_locked(path: Path) -> bool:
    """Whether somebody, in this process or another, holds a lock on the file. Those who look do not see each other."""
    try:
        with path.open("rb") as file:
            return not (_try_shared_lock(file) if os.name != "nt" else try_lock(file))
    except OSError:
        return False


def _try_shared_lock(file: IO[bytes]) -> bool:
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


@contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Hold the lock on a file, which stays; gives False if somebody else has it. Raises: OSError."""
    with path.open("a+b") as file:
        for _ in range(_TRIES):  # somebody who only looks holds it for microseconds
            if has_lock := try_lock(file):
                break
            time.sleep(_WAIT_SECONDS)
        yield has_lock
