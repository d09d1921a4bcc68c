"""Training on the command line: in this process, or in several that torchrun starts and this one follows."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress

from dit_studio.device_names import named
from dit_studio.errors import StudioError
from dit_studio.events import CaughtUp, Command, Event
from dit_studio.jobs import end_now, training
from dit_studio.jobs.run_folder import RunFolder
from dit_studio.launch_environment import is_under_torchrun


def training_events(folder: RunFolder, *, resume: bool, is_stop_asked: Callable[[], bool]) -> Iterator[Event]:
    """The events of a run, from now on, until it ends. A recipe that names several devices takes a process on each.

    `is_stop_asked`: by a signal. Raises: RunError if another process works on the run.
    """
    if len(named(folder.recipe().train.device)) > 1 and not is_under_torchrun():
        return _followed(folder, resume=resume, is_stop_asked=is_stop_asked)
    return training.run(folder, resume=resume, is_stop_asked=is_stop_asked)


def _followed(folder: RunFolder, *, resume: bool, is_stop_asked: Callable[[], bool]) -> Iterator[Event]:
    folder.is_alive_elsewhere()  # what a last look at another machine's heartbeat has to tell
    process = training.start_worker(folder, resume=resume)
    is_new = is_stop_sent = False
    try:
        for event in training.follow(folder, process=process):
            if event is not None and is_new:
                yield event
            is_new = is_new or isinstance(event, CaughtUp)
            if is_stop_asked() and not is_stop_sent and _is_of(process, folder):
                with suppress(StudioError):  # a disk that is gone: at the next look
                    folder.send(Command.STOP)
                    is_stop_sent = True
    finally:
        if process.poll() is None:  # whoever pressed Ctrl-C twice wants an end
            if _is_of(process, folder):
                end_now.end_now(folder)
            process.terminate()
        process.wait()


def _is_of(process: "subprocess.Popen[bytes]", folder: RunFolder) -> bool:
    """The run is this process's, which has taken the lock; not one that it was started beside."""
    return folder.read_status().launcher == process.pid
