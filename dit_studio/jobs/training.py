"""A training job: run here or in a worker process, and followed, in either case, through its run folder."""

import argparse
import logging
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import msgspec

from dit_studio import launch_environment
from dit_studio.config import TrainConfig, recipe_to_tables
from dit_studio.device_names import AUTO
from dit_studio.errors import DiskFullError, RunError, StudioError, UnwritableError
from dit_studio.events import Command, Event, Failure, JobState, Metrics, StateChanged
from dit_studio.files import naming_disk_errors, remove_leftovers
from dit_studio.jobs import liveness, orphans, rank_failures, ranks, table
from dit_studio.jobs.awake import awake_through
from dit_studio.jobs.death import DISK_FULL_STATUS, UNWRITABLE_STATUS
from dit_studio.jobs.following import follow as follow
from dit_studio.jobs.journal import Journal
from dit_studio.jobs.run_folder import RunFolder, Status
from dit_studio.jobs.tensorboard import with_tensorboard
from dit_studio.jobs.torchrun import local_command, local_environment
from dit_studio.jobs.worker import failure_of
from dit_studio.locks import locked

_log = logging.getLogger(__name__)
_POLL_SECONDS = 0.1
_BEGAN = time.time()
_STARTING_SECONDS = 60.0  # in which a process that was started takes the lock
NextCommand = Callable[[bool], Command | None]
_EXIT_STATUS = {DiskFullError.code: DISK_FULL_STATUS, UnwritableError.code: UNWRITABLE_STATUS}


def _never() -> bool:
    return False


def run(folder: RunFolder, *, resume: bool = False, is_stop_asked: Callable[[], bool] = _never) -> Iterator[Event]:
    """Train in this process and thread; yields each event after it has been written to the run folder.

    Failures become events. `is_stop_asked` says whether a signal has asked this process to stop.
    Raises: RunError if another process works on the run.
    """
    with folder.lock(), Journal(folder) as journal:
        for place in (folder.path, folder.path / "checkpoints", folder.path / "previews"):
            remove_leftovers(place)
        folder.forget_commands()
        rank_failures.forget(folder, before=_BEGAN)
        orphans.end_when_orphaned(folder)
        next_command = _command_source(folder, journal, is_stop_asked)
        for event in with_tensorboard(awake_through(_events_of(folder, journal, next_command, resume=resume)), folder):
            event = _stamped(event)
            try:
                journal.say(event)
            except StudioError as error:  # the disk is full or stays away: say so to whoever listens, and end
                _log.error("%s", error)
                journal.end(error)
                yield failure_of(error)
                yield StateChanged(state=JobState.FAILED, message=error.message)
                return
            yield event


def _events_of(folder: RunFolder, journal: Journal, next_command: NextCommand, *, resume: bool) -> Iterator[Event]:
    """The engine's events, and after a failure what it was."""
    yield StateChanged(state=JobState.PREPARING)
    try:
        train, recipe = table.resolve("train"), folder.recipe()
        with closing(train(
            recipe=recipe_to_tables(recipe),
            folder=str(folder.path),
            next_command=next_command,
            resume=resume,
        )) as events:  # fmt: skip
            yield from _written_before_a_save(events, journal, recipe.train)
    except Exception as error:  # noqa: BLE001  a job's every failure becomes an event
        is_foreseen = isinstance(error, StudioError)
        _log.error("training failed: %s", error, exc_info=None if is_foreseen else error)
        failure = ranks.with_reason(failure_of(error), folder)
        yield failure
        yield StateChanged(state=JobState.FAILED, message=failure.message)


def _written_before_a_save(events: Iterator[Event], journal: Journal, settings: TrainConfig) -> Iterator[Event]:
    """The events; those before a checkpoint are on the disk before it is, or a kill between would leave a gap."""
    every = settings.checkpoint_every or settings.steps
    for event in events:
        yield event
        if isinstance(event, Metrics) and (event.step % every == 0 or event.step == settings.steps):
            journal.flush()


def _command_source(folder: RunFolder, journal: Journal, is_stop_asked: Callable[[], bool]) -> NextCommand:
    """What the engine asks at each step: the next command; when told to wait, it waits for one."""

    def take() -> Command | None:
        return Command.STOP if is_stop_asked() else folder.take_command()

    def next_command(wait: bool) -> Command | None:
        command = take()
        while wait and command is None:
            journal.check()
            time.sleep(_POLL_SECONDS / 2)
            command = take()
        if command is not None:
            journal.flush()  # it may be to save
        return command

    return next_command


def _stamped(event: Event) -> Event:
    return event if event.time else msgspec.structs.replace(event, time=time.time())


# ------------------------------------------------------------------------------------------------- the worker process


def start_worker(folder: RunFolder, *, resume: bool = False) -> "subprocess.Popen[bytes]":
    """Start a process that trains and that outlives this one. It is heard through the run folder.

    Raises: RunError if another process works on the run, or was started a moment ago, or if there can be no process.
    """
    before = _announce(folder)
    device = _device_of(folder)
    try:
        with folder.log_file.open("ab") as log:
            return subprocess.Popen(
                local_command(folder.path, device=device, resume=resume),
                env=local_environment(device),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
    except OSError as error:
        folder.write_status(before)
        why = error.strerror or error
        raise RunError(
            f"The training process cannot be started: {why}.", remedy="Close some programs, or free some space."
        ) from error


def _announce(folder: RunFolder) -> Status:
    """Say that a process starts, under the lock, so that of two that want to start one only one does.

    Gives the status before.
    """
    with naming_disk_errors(folder.path), locked(folder.path / "run.lock") as is_free:
        status = folder.read_status()
        if not is_free or _is_starting(status) or _is_at_work_elsewhere(folder, status):
            raise folder.in_use(status)
        rank_failures.forget(folder)
        folder.write_status(
            Status(state=JobState.PREPARING, step=status.step, steps=status.steps, heartbeat=time.time(),
                   host=socket.gethostname(), started=status.started, seconds=status.seconds, preview=status.preview)
        )  # fmt: skip
        return status


def _is_starting(status: Status) -> bool:
    """A process was started here that has not taken the lock yet."""
    is_announced = status.state is JobState.PREPARING and not status.pid and not status.is_of_another_machine
    return is_announced and abs(time.time() - status.heartbeat) < _STARTING_SECONDS


def _is_at_work_elsewhere(folder: RunFolder, status: Status) -> bool:
    is_claimed = status.state.is_active and status.is_of_another_machine
    return is_claimed and liveness.is_beating(folder.path, status.heartbeat)


def _device_of(folder: RunFolder) -> str:
    """As the recipe has it; one that cannot be read is the worker's to tell of."""
    try:
        return folder.recipe().train.device
    except StudioError:
        return AUTO


def main() -> int:
    """The worker process, or one of several: train, and say everything through the run folder."""
    parser = argparse.ArgumentParser(prog="dit_studio.jobs.training")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--resume", action="store_true")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        folder = RunFolder.open(arguments.folder)
        if launch_environment.rank() > 0:
            return ranks.assist(folder, folder.recipe())
        return _train(folder, resume=arguments.resume)
    except StudioError as error:  # of this start: the run itself may be another's, and well
        _log.error("%s", error)
        return 1


def _train(folder: RunFolder, *, resume: bool) -> int:
    signals: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: signals.append(number))
    state, code = JobState.FAILED, ""
    for event in run(folder, resume=resume, is_stop_asked=lambda: bool(signals)):
        if isinstance(event, Failure):
            code = event.code
        if isinstance(event, StateChanged):
            state = event.state
            _log.info("%s at step %d %s", state, event.step, event.message)
    return _EXIT_STATUS.get(code, 1) if state is JobState.FAILED else 0


if __name__ == "__main__":
    sys.exit(main())
