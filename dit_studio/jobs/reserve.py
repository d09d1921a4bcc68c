"""A file that keeps room on a run's disk for its last words, for when the disk is full."""

import os
from contextlib import suppress
from pathlib import Path

_BYTES = 65_536


class Reserve:
    def __init__(self, folder: Path) -> None:
        self._file = folder / ".reserve"

    def make(self) -> None:
        """If there is room. Not of zeros, which some disks do not store."""
        with suppress(OSError):
            if not self._file.exists() or self._file.stat().st_size < _BYTES:
                self._file.write_bytes(os.urandom(_BYTES))

    def release(self) -> None:
        with suppress(OSError):
            self._file.unlink(missing_ok=True)
