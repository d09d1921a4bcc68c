"""The processes that train, draw or measure together: who this one is, and how it speaks with the others.

torchrun starts them and says in the environment who each one is; alone, a process is a world of one.
"""

import hashlib
import os
import re
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, TypeVar

import psutil
import torch
import torch.distributed as dist
from torch import Tensor

from dit_studio import launch_environment
from dit_studio.engine import device as devices
from dit_studio.errors import (
    CheckpointError,
    DataError,
    DeviceMemoryError,
    DiskFullError,
    NotFiniteError,
    ProcessLostError,
    RunError,
    StudioError,
    UnwritableError,
)
from dit_studio.events import Command

LIMIT_VARIABLE = "DIT_STUDIO_RENDEZVOUS_SECONDS"
_RENDEZVOUS_SECONDS = 300.0
_WORDS_LIMIT = timedelta(days=7)  # one process may encode a data set, draw or measure while the others wait
_TENSORS_LIMIT = timedelta(minutes=30)
_POLL_SECONDS = 0.05
_DEATH_SECONDS = 1.0  # for a process that let go of us to end
_CONNECT_SECONDS = 5.0  # for one try to reach the meeting place
_STOPPED = 1 << 40  # more than processes ever come: the first one says that it does not wait any more
_PAUSE_POLL_SECONDS = 0.2  # in which rank 0 speaks to those that wait with it
_LOST_WORDS = re.compile(
    r"gloo/|closed by peer|reset by peer|broken pipe|socket|nccl|connection was|timed out waiting", re.IGNORECASE
)
_COMMANDS = tuple(Command)
_PASSED_ON = (CheckpointError, DataError, DeviceMemoryError, DiskFullError, NotFiniteError, RunError, UnwritableError)

distributed: Any = dist  # it does not export all of its names to type checkers

Word = TypeVar("Word")


@dataclass(frozen=True)
class World:
    """Who this process is among those that work together."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0  # on this machine
    local_size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))  # of this process
    hosts: tuple[str, ...] = ()  # of all processes, in the order of their ranks
    pids: tuple[int, ...] = ()
    control: "dist.ProcessGroup | None" = None  # Gloo, for words between the processes, whatever the device

    @property
    def is_main(self) -> bool:
        """This process speaks for all: it alone writes the run folder."""
        return self.rank == 0

    @property
    def host_count(self) -> int:
        return max(1, len(set(self.hosts)))

    # --------------------------------------------------------------------------------------------- shares

    def share(self, count: int) -> slice:
        """This process's part of `count` things: contiguous, and as large as the others' or one more or less."""
        small, rest = divmod(count, self.size)
        start = self.rank * small + min(self.rank, rest)
        return slice(start, start + small + (self.rank < rest))

    # --------------------------------------------------------------------------------------------- words

    def broadcast(self, word: Word) -> Word:
        """What rank 0 says, for all; the others' own word is of no account."""
        if self.size == 1:
            return word
        words: list[Any] = [word]
        dist.broadcast_object_list(words, src=0, group=self.control)
        said: Word = words[0]
        return said

    def gather(self, word: Word) -> list[Word]:
        """What every process says, for all, in the order of their ranks."""
        if self.size == 1:
            return [word]
        words: list[Any] = [None] * self.size
        dist.all_gather_object(words, word, group=self.control)
        return words

    def barrier(self) -> None:
        """Wait, however long, until every process is here."""
        self.gather(None)

    def sum(self, numbers: Tensor) -> Tensor:
        """The sum over all processes of a tensor on the CPU, in place and given back."""
        if self.size > 1:
            dist.all_reduce(numbers, group=self.control)
        return numbers

    def agree(self, error: Exception | None) -> None:
        """Go on together, or fail together: what went wrong in one process ends all of them.

        Raises: the process's own error; in the others, one of the same kind with its sentence, or ProcessLostError if
        nobody foresaw it.
        """
        if self.size == 1:
            if error is not None:
                raise error
            return
        said = self.gather(_Said.of(error))
        if error is not None:
            raise error
        for rank, one in enumerate(said):
            if one is not None:
                raise one.error(self.name_of(rank)) from ProcessLostError(self.name_of(rank))

    @contextmanager
    def together(self) -> Iterator[None]:
        """Do something in one process or in all, and agree at the end whether it went well. Raises: as `agree`."""
        error = None
        try:
            yield
        except Exception as raised:  # it is raised again, once the others know
            if self.size == 1 or is_loss(raised):
                raise
            error = raised
        self.agree(error)

    def name_of(self, rank: int) -> str:
        """As a person knows a process: "Process 2 of 8 on HOST"."""
        return f"Process {rank + 1} of {self.size} on {self.hosts[rank]}"

    def check_equal(self, facts: dict[str, str], *, remedies: dict[str, str]) -> None:
        """Raises: StudioError in every process if one has other facts than rank 0; it names the process and the first
        such fact."""
        said = self.gather(facts)
        for rank, theirs in enumerate(said):
            for name, wanted in said[0].items():
                if theirs.get(name) != wanted:
                    raise StudioError(
                        f"{self.name_of(rank)} has another {name} than process 1 on {self.hosts[0]}: "
                        f"{theirs.get(name)}, not {wanted}.",
                        remedy=remedies.get(name, "Start all processes alike."),
                    )

    # --------------------------------------------------------------------------------------------- commands

    def obeying(self, next_command: Callable[[bool], Command | None]) -> Callable[[bool], Command | None]:
        """What asks for the next command in every process at the same step boundary: rank 0 takes it, all obey it.

        While rank 0 waits for one, it speaks to the others all the time, so that no pause runs into a limit.
        """
        if self.size == 1:
            return next_command

        def take(wait: bool) -> Command | None:
            while True:
                command = self._tell(next_command(False) if self.is_main else None)  # noqa: FBT003
                if command is not None or not wait:
                    return command
                if self.is_main:
                    time.sleep(_PAUSE_POLL_SECONDS)

        return take

    def _tell(self, command: Command | None) -> Command | None:
        number = torch.tensor([-1 if command is None else _COMMANDS.index(command)])
        dist.broadcast(number, src=0, group=self.control)
        return None if number.item() < 0 else _COMMANDS[int(number.item())]


@dataclass(frozen=True)
class _Said:
    """What a process says of its failure."""

    kind: str
    message: str
    remedy: str
    numbers: dict[str, float]

    @classmethod
    def of(cls, error: Exception | None) -> "_Said | None":
        if error is None:
            return None
        if isinstance(error, StudioError):
            return cls(type(error).__name__, error.message, error.remedy, error.numbers)
        return cls("", f"{type(error).__name__}: {error}", "Its own log tells where.", {})

    def error(self, process: str) -> StudioError:
        kind = {one.__name__: one for one in _PASSED_ON}.get(self.kind, ProcessLostError)
        return kind(f"{process}: {self.message}", remedy=self.remedy, numbers=self.numbers)


# ------------------------------------------------------------------------------------------------- joining


class StoppedBeforeJoiningError(StudioError):
    """The first process was told to stop while it waited for the others."""


def _never() -> bool:
    return False


@contextmanager
def joined(device: str = "auto", *, is_stop_asked: Callable[[], bool] = _never) -> Iterator[World]:
    """The world that this process belongs to, left properly at the end. `device`: as in train.device.

    `is_stop_asked` is asked in the first process while it waits for the others. In the world, what a back end throws
    because another process is gone is a ProcessLostError.
    Raises: ConfigError if there are more processes than devices; StudioError if not all processes come in time;
    StoppedBeforeJoiningError, in all that came, if the first one is to stop meanwhile.
    """
    world = join(device, is_stop_asked=is_stop_asked)
    try:
        yield world
    except (RuntimeError, OSError) as error:
        if world.size == 1 or not is_loss(error):
            raise
        raise ProcessLostError(_who_is_lost(world), remedy="The log may tell why.") from error
    finally:
        if world.size > 1:
            with suppress(RuntimeError):  # where another process is gone, there is nobody to say goodbye to
                dist.destroy_process_group()


def _who_is_lost(world: World) -> str:
    """The sentence that names the process, where it was one of this machine."""
    deadline = time.monotonic() + _DEATH_SECONDS
    while time.monotonic() < deadline:
        for rank, pid in enumerate(world.pids):
            if world.hosts[rank] == world.hosts[world.rank] and not _is_alive(pid):
                return f"{world.name_of(rank)} is gone: it failed, or was killed, often for want of memory."
        time.sleep(_POLL_SECONDS)
    return f"Another of the {world.size} processes is gone: it failed, was killed, or its machine went down."


def _is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def is_loss(error: BaseException) -> bool:
    """A back end of torch.distributed threw it because another process is gone or does not answer."""
    if isinstance(error, ProcessLostError):
        return True
    known = tuple(getattr(dist, name) for name in ("DistBackendError", "DistNetworkError") if hasattr(dist, name))
    return isinstance(error, known) or (isinstance(error, RuntimeError) and bool(_LOST_WORDS.search(str(error))))


def join(device: str = "auto", *, is_stop_asked: Callable[[], bool] = _never) -> World:
    """The world that this process belongs to; `joined` leaves it again. Raises: as `joined`."""
    rank, size = launch_environment.rank(), launch_environment.size()
    if size == 1:
        return World(device=devices.pick_device(device), hosts=(socket.gethostname(),))
    if not dist.is_available():
        raise StudioError(
            f"{size} processes were started, and this torch ({torch.__version__}) cannot let them work together.",
            remedy="Start one process, or install a torch with torch.distributed.",
        )
    local_rank = launch_environment.whole_number("LOCAL_RANK", rank)
    local_size = launch_environment.whole_number("LOCAL_WORLD_SIZE", size, least=1)
    own = devices.pick_device_of_rank(device, local_rank=local_rank, local_size=local_size)
    devices.take_device(own)
    limit_seconds = launch_environment.seconds(
        LIMIT_VARIABLE, _RENDEZVOUS_SECONDS, longest=_WORDS_LIMIT.total_seconds()
    )
    store = _meet(rank, size, limit_seconds, is_stop_asked)
    dist.init_process_group(
        devices.collective_back_end(own), store=store, rank=rank, world_size=size, timeout=_TENSORS_LIMIT,
        device_id=own if own.type != "cpu" else None,
    )  # fmt: skip
    control = dist.new_group(backend="gloo", timeout=_WORDS_LIMIT)
    alone = World(rank, size, local_rank, local_size, own, control=control)
    said = alone.gather((socket.gethostname(), os.getpid()))
    return replace(alone, hosts=tuple(host for host, _ in said), pids=tuple(pid for _, pid in said))


def _meet(rank: int, size: int, limit_seconds: float, is_stop_asked: Callable[[], bool]) -> Any:
    """The store that all processes write into, once all have come.

    Raises: StudioError if they do not in time; StoppedBeforeJoiningError.
    """
    host, port = os.environ.get("MASTER_ADDR", ""), launch_environment.whole_number("MASTER_PORT", 0)
    if not host or not port:
        raise StudioError(
            f"{size} processes were started, and MASTER_ADDR and MASTER_PORT do not say where they meet.",
            remedy="Start them with torchrun.",
        )
    deadline = time.monotonic() + limit_seconds
    is_hosted = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"  # by torchrun itself
    is_host = rank == 0 and not is_hosted
    if not is_host and not _is_reached(host, port, deadline):
        raise _unreached(rank, size, host, port, limit_seconds)
    left = max(1.0, deadline - time.monotonic())
    try:
        store = distributed.TCPStore(
            host, port, size, is_master=is_host, timeout=timedelta(seconds=left / 2),  # it tries twice
            wait_for_workers=False, multi_tenant=True,
        )  # fmt: skip
    except (RuntimeError, ValueError) as error:
        raise _unreached(rank, size, host, port, limit_seconds) from error
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    own_store = distributed.PrefixStore(f"dit-studio/{attempt}/{size}", store)
    try:
        _await_all(own_store, rank, size, deadline, is_stop_asked)
    except _TooFewError as few:
        raise StudioError(
            f"{few.came} of {size} processes came to {host}:{port} within {limit_seconds:g} s.",
            remedy="Start the others too, on every machine, with the same address, port and number of processes.",
        ) from None
    except RuntimeError as error:
        raise StudioError(
            f"The meeting place {host}:{port} went away before all {size} processes had come.",
            remedy="The log of the first process tells why.",
        ) from error
    return own_store


def _is_reached(host: str, port: int, deadline: float) -> bool:
    """Somebody answers there before the deadline, a monotonic time. torch's own tries cannot be interrupted."""
    while (left := deadline - time.monotonic()) > 0:
        try:
            socket.create_connection((host, port), timeout=min(left, _CONNECT_SECONDS)).close()
        except OSError:
            time.sleep(_POLL_SECONDS)
        else:
            return True
    return False


def _unreached(rank: int, size: int, host: str, port: int, limit_seconds: float) -> StudioError:
    return StudioError(
        f"This process, {rank + 1} of {size}, did not reach the meeting place {host}:{port} within "
        f"{limit_seconds:g} s.",
        remedy="Start the first process too, and see that this machine reaches that address and port.",
    )


class _TooFewError(Exception):
    def __init__(self, came: int) -> None:
        super().__init__()
        self.came = came


def _await_all(store: Any, rank: int, size: int, deadline: float, is_stop_asked: Callable[[], bool]) -> None:
    """Raises: _TooFewError at the deadline; StoppedBeforeJoiningError if the first process is to stop."""
    came = store.add("came", 1)
    while not size <= came < _STOPPED:
        if came >= _STOPPED:
            raise StoppedBeforeJoiningError("The run was stopped before all of its processes had come.")
        if time.monotonic() > deadline:
            raise _TooFewError(came)
        time.sleep(_POLL_SECONDS)
        came = store.add("came", _STOPPED if rank == 0 and is_stop_asked() else 0)


def digest_of(words: Sequence[str]) -> str:
    """A short mark of some words, the same for the same words."""
    return hashlib.blake2b("\n".join(words).encode(), digest_size=8).hexdigest()
