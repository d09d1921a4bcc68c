"""The rows of the history: entries, the newest first, each branch below what it goes on from."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from dit_studio.jobs.sample_history import HistoryEntry
from dit_studio.ui.sample.history_words import amount_text, branch_text, state_text, time_in_words, title_of, tooltip_of
from dit_studio.ui.train.amounts import counted


@dataclass(frozen=True)
class HistoryRow:
    """An entry as a row: `depth` counts the branchings that are shown above it."""

    item: HistoryEntry
    depth: int
    title: str
    branch: str

    @property
    def name(self) -> str:
        return self.item.name

    def tooltip(self) -> str:
        return tooltip_of(self.item, self.branch)

    def spoken(self) -> str:
        item = self.item
        favourites = counted(len(item.favourites), "favourite") if item.favourites else ""
        when = time_in_words(item.time, time.time())
        return ", ".join(
            part for part in (self.title, self.branch, when, amount_text(item), state_text(item), favourites) if part
        )


def arrange(entries: Sequence[HistoryEntry], matches: Callable[[HistoryEntry], bool]) -> list[HistoryRow]:
    """The rows of all entries that match. A tree of branches stands where its newest entry would."""
    by_name = {item.name: item for item in entries}
    shown = {item.name for item in entries if matches(item)}
    children: dict[str, list[HistoryEntry]] = {}
    for item in entries:  # the newest first, and so the children, too
        if item.name in shown:
            above = next((other.name for other in _ancestors(item, by_name) if other.name in shown), "")
            children.setdefault(above, []).append(item)
    newest: dict[str, float] = {}  # time of the newest entry of the tree below each
    for item in entries:
        for other in (item, *_ancestors(item, by_name)):
            newest.setdefault(other.name, item.time)
    roots = sorted(children.get("", []), key=lambda item: newest[item.name], reverse=True)
    return _rows(roots, children, by_name)


def _parent(item: HistoryEntry, by_name: dict[str, HistoryEntry]) -> HistoryEntry | None:
    """What an entry goes on from, if it is there and older: damaged folders may point to themselves."""
    parent = by_name.get(item.parent)
    return parent if parent is not None and (parent.time, parent.name) < (item.time, item.name) else None


def _ancestors(item: HistoryEntry, by_name: dict[str, HistoryEntry]) -> Iterator[HistoryEntry]:
    """The entries above one, the nearest first."""
    parent = _parent(item, by_name)
    while parent is not None:
        yield parent
        parent = _parent(parent, by_name)


def _rows(
    roots: list[HistoryEntry], children: dict[str, list[HistoryEntry]], by_name: dict[str, HistoryEntry]
) -> list[HistoryRow]:
    rows, waiting = [], [(item, 0) for item in reversed(roots)]
    while waiting:  # without recursion: a chain of branches may be long
        item, depth = waiting.pop()
        parent = by_name.get(item.parent)
        rows.append(_row(item, depth, parent, _shared_steps(parent, by_name) if parent else 0))
        waiting.extend((child, depth + 1) for child in reversed(children.get(item.name, [])))
    return rows


def _shared_steps(item: HistoryEntry, by_name: dict[str, HistoryEntry]) -> int:
    """How many steps of what it goes on from, and of what that goes on from, the slider shows before an entry's own."""
    steps = 0
    for other in _ancestors(item, by_name):
        branch = item.entry.record.branch
        if branch is None or not (item.has_trajectory and other.has_trajectory):
            break
        steps += branch.step - 1
        item = other
    return steps


@lru_cache(maxsize=20_000)
def _row(item: HistoryEntry, depth: int, parent: HistoryEntry | None, shared: int) -> HistoryRow:
    """Kept, as an entry stays the same object until it changes."""
    title = title_of(item, with_model=depth == 0)  # a branch has the model of what it goes on from
    return HistoryRow(item, depth, title, branch_text(item, parent, shared))
