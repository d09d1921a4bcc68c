"""The index of a long history, beside it: blocks in events.index, copies of the rare lines in events.rare.

Both are derived from events.jsonl and may be missing, behind or damaged: what cannot be trusted is made anew. An index
is taken to be of an events.jsonl that says what it said at the end of the last block; somebody who edits earlier lines
by hand, and keeps their lengths, has to remove events.index.
"""

import logging
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import msgspec
import numpy as np

from dit_studio.errors import StudioError
from dit_studio.events import AnyEvent, Event, Progress, decode
from dit_studio.files import write_atomically
from dit_studio.jobs.history import RECORD, BlockBuilder, Records, valid, valid_with
from dit_studio.locks import is_locked

_log = logging.getLogger(__name__)
_HEAD = b"DiT Studio events 2".ljust(RECORD.itemsize - 1) + b"\n"  # another version has another one
_SCAN_BYTES = 2**22
READING = "Reading the history"
_TRY_AGAIN_SECONDS = 60.0
Line = tuple[bytes, AnyEvent | Event | None]  # with its end; None: it cannot be read


class HistoryIndex:
    """What the index of an events.jsonl tells of it: nothing, if it is of another file or was never written."""

    def __init__(self, events_file: Path) -> None:
        self.events_file = events_file
        self.records, self.rare = _load(events_file)

    @property
    def end(self) -> int:
        """The bytes of events.jsonl that the blocks tell of."""
        return int(self.records["end"][-1]) if len(self.records) else 0

    def read_on(self, until: int) -> Iterator[Progress]:
        """Take in the whole blocks up to a byte of events.jsonl; says how far it is, as it may take long."""
        builder = BlockBuilder(end=self.end, rare_end=len(self.rare))
        parts, rare = [self.records], [self.rare]
        with self.events_file.open("rb") as file:
            for chunk in scan(file, self.end, until):
                for line, event in chunk:
                    builder.add(line, event)
                records, lines = builder.take()
                parts.append(records)
                rare.append(lines)
                yield Progress(stage=READING, done=builder.end // 2**20, total=until // 2**20, unit="MB")
        self.records, self.rare = np.concatenate(parts), b"".join(rare)

    def save(self) -> None:
        """Keep it for the next reader, unless a process works on the run: that one writes it."""
        if not is_locked(
            self.events_file.parent / "run.lock"
        ):  # should one begin now, this one is soon behind; no more
            with suppress(StudioError):
                write_atomically(_rare_file(self.events_file), self.rare)
                write_atomically(_index_file(self.events_file), _HEAD + self.records.tobytes())


class IndexWriter:
    """Keeps the index up with the lines that are written; where it cannot be written, the run goes on without."""

    def __init__(self, events_file: Path) -> None:
        self._events_file = events_file
        self._files: tuple[BinaryIO, BinaryIO] | None = None
        self._builder = BlockBuilder()
        self._try_again_at = 0.0
        self.add([], at=0)

    def add(self, lines: list[Line], *, at: int) -> None:
        """Take in lines that stand in events.jsonl from a byte on."""
        if self._files is None and time.monotonic() < self._try_again_at:
            return
        try:
            if self._files is None or at != self._builder.end:  # something else was written, or half of something
                self._begin()
                return
            for line, event in lines:
                self._builder.add(line, event)
            self._write()
        except OSError as error:
            _log.warning("the index of %s is not kept up: %s", self._events_file, error)
            self._try_again_at = time.monotonic() + _TRY_AGAIN_SECONDS
            self.close()

    def close(self) -> None:
        for file in self._files or ():
            with suppress(OSError):
                file.close()
        self._files = None

    def _begin(self) -> None:
        self.close()
        index = HistoryIndex(self._events_file)
        self._builder = BlockBuilder(end=index.end, rare_end=len(index.rare))
        blocks = _opened(_index_file(self._events_file), _HEAD, len(_HEAD) + index.records.nbytes)
        rare = _opened(_rare_file(self._events_file), b"", len(index.rare))
        self._files = (blocks, rare)
        with self._events_file.open("rb") as file:
            for chunk in scan(file, index.end, self._events_file.stat().st_size):
                for line, event in chunk:
                    self._builder.add(line, event)
                self._write()

    def _write(self) -> None:
        records, rare = self._builder.take()
        if len(records) and self._files is not None:
            blocks, copies = self._files
            copies.write(rare)  # first: a record vouches for them
            blocks.write(records.tobytes())


def scan(file: BinaryIO, start: int, stop: int) -> Iterator[list[Line]]:
    """The whole lines between two bytes, some thousand at a time; the first must begin at `start`."""
    file.seek(start)
    rest = b""
    while start < stop and (block := file.read(min(_SCAN_BYTES, stop - start))):
        start += len(block)
        *lines, rest = (rest + block).split(b"\n")
        yield [(line + b"\n", event_of(line)) for line in lines]


def event_of(line: bytes) -> AnyEvent | None:
    """What a line says; None if it cannot be read."""
    try:
        return decode(line)
    except msgspec.DecodeError:
        return None


def _load(events_file: Path) -> tuple[Records, bytes]:
    """The blocks that can be trusted, and the rare lines that they tell of."""
    nothing = np.empty(0, RECORD), b""
    try:
        data = _index_file(events_file).read_bytes()
        rare = _rare_file(events_file).read_bytes()
        if data[: len(_HEAD)] != _HEAD:
            return nothing
        count = (len(data) - len(_HEAD)) // RECORD.itemsize
        records = valid(np.frombuffer(data, RECORD, count, len(_HEAD)))
        records = valid_with(rare, records)
        if not len(records) or not _stands_in(events_file, records[-1]):
            return nothing
    except OSError:
        return nothing
    return records, rare[: int(records["rare_end"][-1])]


def _stands_in(events_file: Path, record: np.void) -> bool:
    """Whether events.jsonl still says, at the end of a block, what it said when the block was made."""
    end, tail_bytes = int(record["end"]), int(record["tail_bytes"])
    with events_file.open("rb") as file:
        file.seek(end - tail_bytes)
        tail = file.read(tail_bytes)
    return len(tail) == tail_bytes and zlib.crc32(tail) == int(record["tail_crc"])


def _opened(path: Path, head: bytes, size: int) -> BinaryIO:
    """The file, with its first `size` bytes, to be added to."""
    file = path.open("a+b", buffering=0)
    if size <= len(head):
        file.truncate(0)
        file.write(head)
    else:
        file.truncate(size)
    return file


def _index_file(events_file: Path) -> Path:
    return events_file.with_suffix(".index")


def _rare_file(events_file: Path) -> Path:
    return events_file.with_suffix(".rare")
