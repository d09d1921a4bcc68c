"""A process among several that torchrun started: which one it is, and what those do that are not the first."""

import logging
import signal
import socket
import time
from contextlib import suppress

import msgspec

from dit_studio.config import Recipe, recipe_to_tables
from dit_studio.errors import ProcessLostError, StudioError
from dit_studio.events import Command, Failure
from dit_studio.files import write_atomically
from dit_studio.jobs import orphans, rank_failures, table
from dit_studio.jobs.rank_failures import RankFailure
from dit_studio.jobs.run_folder import RunFolder
from dit_studio.jobs.worker import failure_of
from dit_studio.launch_environment import rank, size

_log = logging.getLogger(__name__)
_REASON_SECONDS = 2.0  # for a process that fails to write down why
_POLL_SECONDS = 0.05
_SIGNALS = (signal.SIGTERM, signal.SIGINT)  # torchrun passes on which one it was sent


def assist(folder: RunFolder, recipe: Recipe) -> int:
    """Train with the first process, and leave all writing to it. Gives the exit status.

    A failure of this one is left beside the run, for the first to tell. A signal ends this process at once until it has
    joined the first one: before that the run in the folder may be another's, which refuses this start.
    """
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_DFL)  # the system's own, which also ends what waits inside torch

    def on_joined() -> None:  # the first one holds the run's lock, then
        for number in _SIGNALS:
            signal.signal(number, lambda *_: _ask_to_stop(folder))
        orphans.end_when_orphaned(folder)

    try:
        train = table.resolve("train")
        for _ in train(
            recipe=recipe_to_tables(recipe), folder=str(folder.path), next_command=_nothing, on_joined=on_joined
        ):
            pass
    except Exception as error:  # noqa: BLE001  whatever it is, somebody has to read of it
        _log.error("process %d failed: %s", rank() + 1, error, exc_info=not isinstance(error, StudioError))
        if not any(isinstance(one, ProcessLostError) for one in (error, error.__cause__)):  # else it is another's
            _leave(folder, failure_of(error))
        return 1
    return 0


def _ask_to_stop(folder: RunFolder) -> None:
    """What a signal asks for: the first process reads it at the next step."""
    with suppress(StudioError):
        folder.send(Command.STOP)


def _nothing(_: bool) -> None:
    return None


def _leave(folder: RunFolder, failure: Failure) -> None:
    left = RankFailure(
        rank=rank(), message=failure.message, host=socket.gethostname(), remedy=failure.remedy, code=failure.code,
        details=failure.details,
    )  # fmt: skip
    with suppress(StudioError):
        write_atomically(folder.path / f"rank-{rank()}.failure.json", msgspec.json.encode(left))


def with_reason(failure: Failure, folder: RunFolder) -> Failure:
    """The first process's failure; where another one was the reason, with its sentence, which is waited for."""
    if failure.code != ProcessLostError.code:
        return failure
    deadline = time.monotonic() + _REASON_SECONDS
    while not (found := rank_failures.read(folder)) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    if not found:
        return failure
    first = found[0]
    message = f"Process {first.rank + 1} of {size()} on {first.host} ended: {first.message}"
    return msgspec.structs.replace(
        failure, message=message, remedy=first.remedy, code=first.code, details=first.details
    )
