"""A long history told through its index: blocks for the older metrics, everything else one by one."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from dit_studio.events import Event, Metrics, Progress, Resumed
from dit_studio.jobs.history import MetricsBlocks, Records, bounds, may_stand_inside
from dit_studio.jobs.history_index import HistoryIndex, event_of, scan

SHORT_BYTES = 2**22  # some 16,000 lines; what is shorter needs no index
_TAIL_LINES = 2000  # of metrics, at least, that are told one by one


class LongHistory:
    """What `events.jsonl` says up to one of its bytes. Metrics that a later line overwrites are left out."""

    def __init__(self, events_file: Path, size: int) -> None:
        self._file = events_file
        self._size = size
        self.end = 0  # of the whole lines
        self._tail: list[Event] = []

    def read(self) -> Iterator[Progress]:
        """Get ready; says how far it is, as it takes long where there is no index. Raises: OSError."""
        index = HistoryIndex(self._file)
        if self._size - index.end > SHORT_BYTES:
            yield from index.read_on(self._size)
            index.save()
        whole = _tail_begin(index.records)
        tail_begin = int(index.records["start"][whole]) if whole < len(index.records) else index.end
        self._records = index.records[:whole]
        self._read_tail(tail_begin)
        self._told = _rare_events(self._records, index.rare)
        resumed = {number: _cut(events) for number, events in self._told.items()}
        self._lasts = bounds(self._records, resumed, cut=_cut(self._tail))

    def events(self) -> Iterator[Event]:
        """Everything, in order as far as it matters: validations and files may come before the metrics around them."""
        is_told = (self._records["lines"] > 0) & (self._lasts == self._records["last_step"])
        begin = 0
        for number in sorted({*self._told, *self._partly_overwritten()}):
            events = self._told.get(number, [])
            is_partial = not is_told[number] and self._lasts[number] >= self._records["first_step"][number]
            if is_partial or not all(may_stand_inside(event) for event in events):
                yield from _blocks(self._records[begin:number][is_told[begin:number]])
                begin = number
            yield from events
            if is_partial:
                yield from self._metrics_of(number, self._records["first_step"][number], self._lasts[number])
                begin = number + 1
        yield from _blocks(self._records[begin:][is_told[begin:]])
        yield from self._tail

    def metrics(self, first: float, last: float) -> Iterator[Metrics]:
        """Every line of metrics between two steps, read from the file. Raises: OSError."""
        is_wanted = (self._records["first_step"] <= last) & (self._lasts >= first) & (self._records["lines"] > 0)
        for number in np.flatnonzero(is_wanted & (self._lasts >= self._records["first_step"])):
            yield from self._metrics_of(int(number), first, min(last, self._lasts[number]))
        yield from (event for event in _kept(self._tail) if first <= event.step <= last)

    def around(self, first: float, last: float, *, before: int) -> tuple[Records, Records]:
        """Blocks that end before one step, `before` at most, and the first that begins after another."""
        is_told = (self._records["lines"] > 0) & (self._lasts == self._records["last_step"])
        records = self._records[is_told]
        return records[records["last_step"] < first][-before:], records[records["first_step"] > last][:1]

    def rare(self) -> Iterator[Event]:
        """Everything but metrics and progress."""
        for events in self._told.values():
            yield from events
        yield from (event for event in self._tail if not isinstance(event, Metrics))

    def _partly_overwritten(self) -> list[int]:
        is_partial = (self._lasts >= self._records["first_step"]) & (self._lasts < self._records["last_step"])
        return np.flatnonzero(is_partial & (self._records["lines"] > 0)).tolist()

    def _metrics_of(self, number: int, first: float, last: float) -> Iterator[Metrics]:
        record = self._records[number]
        with self._file.open("rb") as file:
            file.seek(int(record["start"]))
            lines = file.read(int(record["end"]) - int(record["start"])).splitlines()
        events = (event_of(line) for line in lines)
        yield from (event for event in events if isinstance(event, Metrics) and first <= event.step <= last)

    def _read_tail(self, begin: int) -> None:
        self.end = begin
        with self._file.open("rb") as file:
            for lines in scan(file, begin, self._size):
                self.end += sum(len(line) for line, _ in lines)
                self._tail += [event for _, event in lines if event is not None]


def _tail_begin(records: Records) -> int:
    """The first record of those that are told line by line."""
    lines = np.cumsum(records["lines"][::-1])
    return max(0, len(records) - 1 - int(np.searchsorted(lines, _TAIL_LINES)))


def _rare_events(records: Records, rare: bytes) -> dict[int, list[Event]]:
    """By the number of the block at whose beginning, or inside which, they stand."""
    ends = records["rare_end"].astype(np.int64)
    starts = np.append(0, ends)[:-1]
    found: dict[int, list[Event]] = {}
    for number in np.flatnonzero(ends > starts).tolist():
        events = (event_of(line) for line in rare[starts[number] : ends[number]].splitlines())
        found[number] = [event for event in events if event is not None]
    return found


def _cut(events: Iterable[Event]) -> int:
    """The last step of what came before that these events leave."""
    lasts = (event.step - isinstance(event, Metrics) for event in events if isinstance(event, Metrics | Resumed))
    return min(lasts, default=np.iinfo(np.int64).max)


def _kept(events: Sequence[Event]) -> list[Metrics]:
    """The metrics of these events that no later one overwrites."""
    kept: list[Metrics] = []
    last = np.inf
    for event in reversed(events):
        if isinstance(event, Metrics) and event.step <= last:
            kept.append(event)
            last = event.step - 1
        elif isinstance(event, Resumed):
            last = min(last, event.step)
    return kept[::-1]


def _blocks(records: Records) -> Iterator[MetricsBlocks]:
    if len(records):
        yield MetricsBlocks(records=records)
