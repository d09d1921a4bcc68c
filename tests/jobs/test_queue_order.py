"""What starts, as a function of what waits and of the devices at work."""

import itertools

import pytest

from dit_studio.jobs.queue_order import QueueEntry, due


def waiting(*lines: str) -> list[QueueEntry]:
    """Entries from lines such as "a: cuda:0 cuda:1" or "b: cpu held"."""
    entries = []
    for line in lines:
        run, _, rest = line.partition(": ")
        words = rest.split()
        devices = tuple(word for word in words if word != "held")
        entries.append(QueueEntry(run=run, devices=devices, is_held="held" in words))
    return entries


@pytest.mark.parametrize(
    ("lines", "busy", "starts"),
    [
        ((), "", ""),
        (("a: cpu",), "", "a"),
        (("a: cpu",), "cpu", ""),
        (("a: cpu", "b: cpu"), "", "a"),
        (("a: cuda:0", "b: cuda:1"), "", "ab"),
        (("a: cuda:0", "b: cuda:1"), "cuda:0", "b"),
        (("a: cuda:0", "b: cuda:0", "c: cuda:1"), "", "ac"),
        (("a: cpu held", "b: cpu"), "", "b"),
        (("a: cuda:0 cuda:1", "b: cuda:2"), "", "ab"),
        (("a: cuda:0 cuda:1",), "cuda:1", ""),
        # an entry of several devices does not starve: who is behind it leaves it what it waits for
        (("a: cuda:0 cuda:1", "b: cuda:0"), "cuda:1", ""),
        (("a: cuda:0 cuda:1", "b: cuda:0", "c: cuda:2"), "cuda:1", "c"),
        (("a: cuda:0 cuda:1 held", "b: cuda:0"), "cuda:1", "b"),
        (("b: cuda:0", "a: cuda:0 cuda:1", "c: cuda:1"), "", "b"),
        # two processes on one processor are one lane
        (("a: cpu cpu", "b: cpu"), "", "a"),
        (("a: cpu cpu",), "cpu", ""),
        # the first device has two names
        (("a: cuda", "b: cuda:0", "c: cuda:1"), "", "ac"),
        (("a: cuda:0",), "cuda", ""),
        (("a: mps", "b: cpu"), "mps:0", "b"),
        # "auto" that nobody has resolved may be the first of any kind
        (("a: auto", "b: auto"), "", "a"),
        (("a: auto", "b: cuda:0", "c: cuda:1"), "", "ac"),
        (("a: auto",), "cuda:0", ""),
        (("a: auto",), "cuda:3", "a"),
        (("a: cpu",), "auto", ""),
    ],
)
def test_what_is_due(lines: tuple[str, ...], busy: str, starts: str) -> None:
    assert "".join(entry.run for entry in due(waiting(*lines), busy.split())) == starts


def test_no_device_is_given_twice_and_no_turn_is_lost() -> None:
    """Every queue of three entries on two devices, each drained: one run at a time on a device, and all are run."""
    kinds = ["cuda:0", "cuda:1", "cuda:0 cuda:1"]
    for devices in itertools.product(kinds, repeat=3):
        queue = waiting(*(f"{run}: {names}" for run, names in zip("abc", devices, strict=True)))
        begun: list[str] = []
        while queue:
            started = due(queue, [])
            taken = [device for entry in started for device in entry.devices]
            assert started
            assert len(taken) == len(set(taken))
            begun += [entry.run for entry in started]
            queue = [entry for entry in queue if entry not in started]
        assert sorted(begun) == ["a", "b", "c"]
        same_device = [run for run, names in zip("abc", devices, strict=True) if names == devices[0]]
        assert [run for run in begun if run in same_device] == same_device
