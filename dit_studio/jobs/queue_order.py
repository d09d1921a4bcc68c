"""Which runs of the queue start now, as a function of what waits and of the devices at work."""

import socket
from collections.abc import Collection, Sequence

import msgspec

from dit_studio.device_names import AUTO, is_same, kind_of
from dit_studio.events import JobState


class QueueEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A run that waits, or that was started from the queue."""

    run: str  # the folder's name, below the folder of runs
    devices: tuple[str, ...]  # that it takes; entries of other devices do not wait for it
    is_held: bool = False  # it keeps its place, and does not start
    resume: bool = False  # it goes on from its newest checkpoint
    added: float = 0.0  # wall clock, seconds since 1970
    before: JobState = JobState.IDLE  # what the run was before it was queued
    tries: int = 0  # starts of which no process came
    host: str = ""  # the machine that it was added on, whose devices are meant; empty: any

    @property
    def is_for_this_machine(self) -> bool:
        return self.host in ("", this_machine())


def this_machine() -> str:
    """Its name without the network's, which changes as it is carried about."""
    return socket.gethostname().partition(".")[0]


def due(entries: Sequence[QueueEntry], busy: Collection[str]) -> list[QueueEntry]:
    """The waiting entries to start now, in order; `busy`: the devices that runs are at work on.

    Entries of other devices do not wait for each other. An entry of several devices needs all of them, and those
    behind it leave them to it, so that its turn comes.
    """
    started, taken = [], list(busy)
    for entry in entries:
        if entry.is_held:
            continue
        if not do_share(entry.devices, taken):
            started.append(entry)
        taken += entry.devices
    return started


def do_share(some: Collection[str], others: Collection[str]) -> bool:
    """Whether the one has to wait for the other."""
    return any(_may_be_same(one, other) for one in some for other in others)


def _may_be_same(one: str, other: str) -> bool:
    """Which device "auto" is has not been asked: it may be the first of any kind."""
    return is_same(one, other) or (AUTO in (one, other) and all(is_same(name, kind_of(name)) for name in (one, other)))
