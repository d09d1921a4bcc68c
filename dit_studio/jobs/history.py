"""What blocks of a long history come to: a few figures for some hundred lines of metrics."""

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from dit_studio.events import (
    AnyEvent,
    CheckpointSaved,
    Event,
    Measured,
    Metrics,
    PreviewSaved,
    Progress,
    Validation,
)

BLOCK_LINES = 256  # of metrics, at most
NUMBERS = ("loss", "learning_rate", "grad_norm", "images_per_second", "memory_bytes", "images_seen", "seconds")
BANDS = 4
_COLUMNS = len(NUMBERS) + BANDS
_OPEN_BYTES = 2**18  # a block ends after so many, whatever its lines are
_TAIL_BYTES = 64
_NEVER = np.iinfo(np.int64).max

# A number's finite values in a block. Without any of them mean, low and high are NaN; `last` is the last line's.
STATISTICS = np.dtype(
    [("count", "<u4"), ("nonpositive", "<u4"), ("mean", "<f8"), ("low", "<f8"), ("high", "<f8"), ("last", "<f8")]
)
# Blocks lie end to end: what the first `end` bytes of events.jsonl say is said by the records up to this one, and by
# the first `rare_end` bytes of events.rare, where every line is copied that is neither metrics nor progress.
RECORD = np.dtype(
    [
        ("start", "<u8"),
        ("end", "<u8"),
        ("rare_end", "<u8"),
        ("first_step", "<i8"),
        ("last_step", "<i8"),
        ("first_not_finite", "<i8"),  # step of the first loss that is none
        ("lines", "<u4"),  # of metrics
        ("not_finite", "<u4"),  # losses
        ("tail_bytes", "<u4"),
        ("tail_crc", "<u4"),  # of so many bytes before `end`: tells whether events.jsonl is still the same
        ("numbers", STATISTICS, (_COLUMNS,)),  # NUMBERS, then the bands
        ("rare_crc", "<u4"),  # of the block's bytes in events.rare
        ("check", "<u4"),  # makes the sum of all words 0
    ]
)
Records = npt.NDArray[np.void]


class MetricsBlocks(Event, frozen=True, kw_only=True, eq=False, tag="metrics blocks"):
    """A stretch of a run's metrics as blocks, in rising steps; said by whoever reads a history, never by the run."""

    records: Any  # an array of RECORD


class BlockBuilder:
    """Makes records of lines. Where a block ends depends on the lines alone, not on who reads them or when."""

    def __init__(self, *, end: int = 0, rare_end: int = 0) -> None:
        self.end = end  # of the lines taken in
        self._start, self._rare_end = end, rare_end
        self._metrics: list[Metrics] = []
        self._tail = b""
        self._records: list[Records] = []
        self._rare: list[bytes] = []
        self._open_rare: list[bytes] = []

    def add(self, line: bytes, event: AnyEvent | Event | None) -> None:
        """Take in the next line, with its end; None: it cannot be read."""
        if isinstance(event, Metrics):
            if self._metrics and event.step <= self._metrics[-1].step:
                self._close()
            self._metrics.append(event)
        elif event is not None and not isinstance(event, Progress):
            if self._metrics and not may_stand_inside(event):
                self._close()
            self._open_rare.append(line)
        self.end += len(line)
        self._tail = line
        if len(self._metrics) == BLOCK_LINES or self.end - self._start >= _OPEN_BYTES:
            self._close()

    def take(self) -> tuple[Records, bytes]:
        """The blocks that are whole, and their rare lines; each is given once."""
        records = np.concatenate(self._records) if self._records else np.empty(0, RECORD)
        rare = b"".join(self._rare)
        self._records, self._rare = [], []
        return records, rare

    def _close(self) -> None:
        rare = b"".join(self._open_rare)
        self._rare_end += len(rare)
        record = _record(self._metrics)
        record["start"], record["end"], record["rare_end"] = self._start, self.end, self._rare_end
        tail = self._tail[-_TAIL_BYTES:]
        record["tail_bytes"], record["tail_crc"] = len(tail), zlib.crc32(tail)
        record["rare_crc"] = zlib.crc32(rare)
        record["check"] = -sums(record) % 2**32
        self._records.append(record)
        self._rare.append(rare)
        self._start, self._metrics, self._open_rare = self.end, [], []


def may_stand_inside(event: Event) -> bool:
    """Whether it may be told before the metrics around it: it has its own step and changes nothing about them."""
    return isinstance(event, Validation | PreviewSaved | CheckpointSaved | Measured)


def sums(records: Records) -> npt.NDArray[np.int64]:
    """The sum of each record's 32-bit words."""
    words = np.ascontiguousarray(records).view("<u4").reshape(len(records), RECORD.itemsize // 4)
    totals: npt.NDArray[np.int64] = words.sum(axis=1, dtype=np.int64)
    return totals


def valid(records: Records) -> Records:
    """The records up to the first that is damaged or does not follow the one before it."""
    starts = np.append(np.zeros(1, np.uint64), records["end"])[: len(records)]
    is_sound = (
        (sums(records) % 2**32 == 0)
        & (records["start"] == starts)
        & (records["end"] > records["start"])
        & (np.diff(records["rare_end"].astype(np.int64), prepend=0) >= 0)
    )
    return records if is_sound.all() else records[: int(np.argmin(is_sound))]


def valid_with(rare: bytes, records: Records) -> Records:
    """The records up to the first whose rare lines are lost or damaged."""
    ends = records["rare_end"].astype(np.int64)
    starts = np.append(0, ends)[:-1]
    lines = memoryview(rare)
    for number in np.flatnonzero((ends > starts) | (records["rare_crc"] != 0)).tolist():
        if ends[number] > len(rare) or zlib.crc32(lines[starts[number] : ends[number]]) != records["rare_crc"][number]:
            return records[:number]
    return records


def bounds(records: Records, resumed: dict[int, int], *, cut: int) -> npt.NDArray[np.int64]:
    """The last step of each block that nothing later overwrites.

    `resumed`: the step that the run went on from where a block begins; `cut`: the last that the lines after all blocks
    leave.
    """
    firsts = np.where(records["lines"] > 0, records["first_step"] - 1, _NEVER)
    for number, step in resumed.items():
        firsts[number] = min(firsts[number], step)
    later = np.minimum.accumulate(np.append(firsts[1:], cut)[::-1])[::-1]
    lasts: npt.NDArray[np.int64] = np.minimum(later, records["last_step"])
    return lasts


def _record(metrics: Sequence[Metrics]) -> Records:
    record = np.zeros(1, RECORD)
    if not metrics:
        return record
    values = np.array([_row(event) for event in metrics], float)
    values[~np.isfinite(values)] = np.nan
    is_bad = np.isnan(values[:, 0])
    record["first_step"], record["last_step"] = metrics[0].step, metrics[-1].step
    record["lines"], record["not_finite"] = len(metrics), int(is_bad.sum())
    record["first_not_finite"] = metrics[int(np.argmax(is_bad))].step if is_bad.any() else 0
    numbers = record["numbers"][0]
    numbers["count"] = np.isfinite(values).sum(axis=0)
    numbers["nonpositive"] = (values <= 0).sum(axis=0)
    with np.errstate(invalid="ignore"):
        numbers["mean"] = np.nansum(values, axis=0) / numbers["count"]
    numbers["low"], numbers["high"] = np.fmin.reduce(values), np.fmax.reduce(values)
    numbers["last"] = values[-1]
    return record


def _row(event: Metrics) -> tuple[float | None, ...]:
    bands = event.bands[:BANDS]
    return (
        event.loss, event.learning_rate, event.grad_norm, event.images_per_second, event.memory_bytes,
        event.images_seen, event.seconds, *bands, *(None,) * (BANDS - len(bands)),
    )  # fmt: skip
