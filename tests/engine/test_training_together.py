"""How several processes prepare their images: in turns, and together when it is stopped or fails. Threads stand for the
processes."""

import threading
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest

from dit_studio import patience
from dit_studio.engine.distributed import World
from dit_studio.engine.training_together import prepare
from dit_studio.errors import DataError, DiskFullError, StudioError, UnwritableError
from dit_studio.events import CheckpointSaved, Command, Event, Notice
from dit_studio.patience import written_patiently

HOSTS = ("alpha", "alpha", "beta", "beta")
LIMIT_SECONDS = 30


class Room:
    """Where the threads meet: each lays its word down, waits for the others, and takes all words along."""

    def __init__(self, size: int) -> None:
        self._words: list[Any] = [None] * size
        self._barrier = threading.Barrier(size, timeout=LIMIT_SECONDS)

    def gather(self, rank: int, word: Any) -> list[Any]:
        self._words[rank] = word
        self._barrier.wait()
        words = list(self._words)
        self._barrier.wait()
        return words


@dataclass(frozen=True)
class Talking(World):
    room: Room = field(default_factory=lambda: Room(1))

    def gather(self, word: Any) -> list[Any]:
        return self.room.gather(self.rank, word)


Load = Callable[[int], Generator[str, None, str]]


def prepared_by_all(load: Load, commands: dict[int, Command] | None = None) -> list[Any]:
    """What each of four processes on two hosts gets, or what it raises; `commands`: by how often rank 0 asked."""
    room, asked = Room(len(HOSTS)), list[Command]()
    count = iter(range(1_000_000))

    def one(rank: int) -> Any:
        world = Talking(rank=rank, size=len(HOSTS), local_rank=rank % 2, local_size=2, hosts=HOSTS, room=room)

        def next_command(_: bool) -> Command | None:
            assert rank == 0
            return (commands or {}).get(next(count))

        said = prepare(world, lambda: load(rank), next_command, asked)
        try:
            while True:
                next(said)
        except StopIteration as end:
            return end.value
        except DataError as error:
            return error

    with ThreadPoolExecutor(len(HOSTS)) as pool:
        return list(pool.map(one, range(len(HOSTS))))


def test_one_process_fills_the_cache_then_one_on_each_other_host_then_the_rest() -> None:
    story = list[tuple[str, int]]()

    def load(rank: int) -> Generator[str, None, str]:
        story.append(("begins", rank))
        yield "a"
        yield "b"
        story.append(("ends", rank))
        return f"images of {rank}"

    assert prepared_by_all(load) == [f"images of {rank}" for rank in range(4)]
    assert story[:4] == [("begins", 0), ("ends", 0), ("begins", 2), ("ends", 2)]
    assert sorted(story[4:]) == [("begins", 1), ("begins", 3), ("ends", 1), ("ends", 3)]


@pytest.mark.parametrize("when", [1, 6])
def test_stop_ends_all_of_them(when: int) -> None:
    closed = list[int]()

    def load(rank: int) -> Generator[str, None, str]:
        try:
            for _ in range(4):
                yield "a"
        except GeneratorExit:
            closed.append(rank)
            raise
        return "images"

    assert prepared_by_all(load, {when: Command.STOP}) == [None] * 4
    assert closed == [0 if when == 1 else 2]


def test_what_fails_in_one_fails_in_all() -> None:
    def load(rank: int) -> Generator[str, None, str]:
        yield "a"
        if rank == 2:
            raise DataError("There are no images.", remedy="Choose a folder of images.")
        return "images"

    errors = prepared_by_all(load)
    assert all(isinstance(error, DataError) for error in errors)
    expected = "Process 3 of 4 on beta: There are no images."
    assert [error.message for error in errors] == [expected, expected, "There are no images.", expected]


@pytest.mark.parametrize(
    ("failures", "tries", "end"),
    [([UnwritableError("Gone.")] * 2, 3, CheckpointSaved), ([UnwritableError("Gone.")] * 9, 9, UnwritableError),
     ([UnwritableError("Gone."), DiskFullError("Full.")], 2, DiskFullError)],
)  # fmt: skip
def test_a_save_that_fails_in_the_first_is_tried_again_by_all_alike(
    monkeypatch: pytest.MonkeyPatch, failures: list[StudioError], tries: int, end: type
) -> None:
    monkeypatch.setattr(patience, "_WAITS", (0.01,) * 8)
    room, left = Room(len(HOSTS)), list(failures)

    def one(rank: int) -> list[type]:
        world = Talking(rank=rank, size=len(HOSTS), hosts=HOSTS, room=room)

        def save() -> CheckpointSaved:
            with world.together():
                if world.is_main and left:
                    raise left.pop(0)
            return CheckpointSaved(step=1, file="", size_bytes=0)

        said: list[Event] = []
        try:
            said.extend(written_patiently(save, step=1))
        except StudioError as error:
            return [type(error)]
        return [type(event) for event in said]

    with ThreadPoolExecutor(len(HOSTS)) as pool:
        stories = list(pool.map(one, range(len(HOSTS))))
    expected = [Notice] * (tries - 1) + [end] if end is CheckpointSaved else [end]
    assert stories == [expected] * len(HOSTS)
    assert not left
