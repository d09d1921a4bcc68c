"""`events.jsonl`, what a run has said: written by one, followed by any number."""

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from io import FileIO
from typing import IO, TYPE_CHECKING

import msgspec

from dit_studio.errors import StudioError
from dit_studio.events import AnyEvent, Event, Metrics, decode, encode
from dit_studio.files import naming_disk_errors
from dit_studio.jobs.history_index import IndexWriter, Line
from dit_studio.jobs.long_history import SHORT_BYTES, LongHistory

if TYPE_CHECKING:
    from dit_studio.jobs.run_folder import RunFolder

_FLUSH_SECONDS = 0.1
_LAST_BYTES = 64


class EventWriter:
    """Appends to `events.jsonl`, at most ten writes a second while metrics pour in."""

    def __init__(self, folder: "RunFolder") -> None:
        self._path = folder.path / "events.jsonl"
        self._pending: list[Line] = []
        self._flushed_at = 0.0
        self._has_failed = False

    def __enter__(self) -> "EventWriter":
        with naming_disk_errors(self._path):
            self._open()
        self._index = IndexWriter(self._path)
        return self

    def _open(self) -> None:
        self._file = self._path.open("a+b", buffering=0)
        self._drop_half_line()

    def __exit__(self, *_: object) -> None:
        with suppress(StudioError):
            self.flush()
        self._index.close()
        self._file.close()

    def append(self, event: Event) -> None:
        if not event.time:
            event = msgspec.structs.replace(event, time=time.time())
        self._pending.append((encode(event) + b"\n", event))
        if not isinstance(event, Metrics) or time.monotonic() - self._flushed_at > _FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Raises: DiskFullError or RunError; what could not be written is tried again next time."""
        if not self._pending:
            return
        with naming_disk_errors(self._path):
            had_failed, self._has_failed = self._has_failed, True
            if had_failed or os.fstat(self._file.fileno()).st_nlink == 0:  # or somebody has removed it
                with suppress(OSError):
                    self._file.close()
                self._open()
            size = self._file.seek(0, os.SEEK_END)
            try:
                _write_whole(self._file, b"".join(line for line, _ in self._pending))
            except OSError:
                with suppress(OSError):  # a device that is full may refuse this too; readers pass over half a line
                    self._file.truncate(size)
                raise
        self._has_failed = False
        self._index.add(self._pending, at=size)
        self._pending.clear()
        self._flushed_at = time.monotonic()

    def _drop_half_line(self) -> None:
        """What a process that was killed left behind after the last line's end."""
        if (end := end_of_last_line(self._file)) < self._file.seek(0, os.SEEK_END):
            self._file.truncate(end)


def end_of_last_line(file: IO[bytes]) -> int:
    """The byte after the last line that is whole; 0 if none is."""
    end = file.seek(0, os.SEEK_END)
    while end > 0:
        start = max(0, end - 65_536)
        file.seek(start)
        newline = file.read(end - start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0


def _write_whole(file: FileIO, data: bytes) -> None:
    while data:
        data = data[file.write(data) :]


class EventReader:
    """Follows `events.jsonl` from its beginning; a half-written last line waits until it is whole."""

    def __init__(self, folder: "RunFolder") -> None:
        self._path = folder.path / "events.jsonl"
        self._offset = 0
        self._last = b""  # the end of what was read: another file that has grown past the offset has something else
        self.unreadable_lines = 0

    def history(self) -> Iterator[Event | None]:
        """What was said until now; what comes later is for `poll` and `drain`. How far it is, if it takes long.

        Of a long history the older metrics come as MetricsBlocks, those that were overwritten after a resume not at
        all, and the newest some thousand one by one, as everything else does.
        """
        try:
            size = self._path.stat().st_size
            if size > SHORT_BYTES:
                long = LongHistory(self._path, size)
                yield from long.read()
                self._offset, self._last = long.end, b""
                yield from long.events()
        except OSError:
            return
        while self._offset < size and (events := self.poll(limit_bytes=size - self._offset)):
            yield from events

    def poll(self, *, limit_bytes: int = 2**22) -> list[AnyEvent]:
        """The events written since the last call, or of the first so many bytes of them."""
        block = self._read(limit_bytes)
        whole = block[: block.rfind(b"\n") + 1]
        if not whole and len(block) == limit_bytes:  # a line that is longer
            return self.poll(limit_bytes=2 * limit_bytes)
        self._offset += len(whole)
        self._last = (self._last + whole)[-_LAST_BYTES:]
        return list(self._decode(whole))

    def _read(self, size: int) -> bytes:
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset - len(self._last))
                if os.fstat(file.fileno()).st_size < self._offset or file.read(len(self._last)) != self._last:
                    self._offset, self._last = 0, b""  # another file by now
                    file.seek(0)
                return file.read(size)
        except OSError:
            return b""

    def drain(self) -> Iterator[AnyEvent]:
        """Everything that is there, however long the history."""
        while events := self.poll():
            yield from events

    def _decode(self, block: bytes) -> Iterator[AnyEvent]:
        for line in block.splitlines():
            try:
                yield decode(line)
            except msgspec.DecodeError:
                self.unreadable_lines += 1


def last_events(folder: "RunFolder", *, limit_bytes: int = 2**20) -> list[AnyEvent]:
    """The newest events, those of the last `limit_bytes`; unreadable ones are passed over."""
    try:
        with (folder.path / "events.jsonl").open("rb") as file:
            start = max(0, file.seek(0, os.SEEK_END) - limit_bytes)
            file.seek(start)
            lines = file.read().split(b"\n")
    except OSError:
        return []
    events = []
    for line in lines[1 if start else 0 : -1]:  # only whole ones
        with suppress(msgspec.DecodeError):
            events.append(decode(line))
    return events
