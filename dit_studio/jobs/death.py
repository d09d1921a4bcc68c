"""What can be said of a training process that ended without a word: by its exit status, torchrun's log and the disk."""

import functools
import signal
import subprocess

from dit_studio.errors import DiskFullError, UnwritableError
from dit_studio.events import Failure
from dit_studio.files import free_bytes
from dit_studio.jobs import rank_failures, torchrun_log
from dit_studio.jobs.event_log import last_events
from dit_studio.jobs.run_folder import RunFolder, Status, advance
from dit_studio.patience import PATIENCE_SECONDS

DISK_FULL_STATUS, UNWRITABLE_STATUS = 28, 74  # of a worker that could not write down why it ends
_LEAST_FREE_BYTES = 2**20
_LOG_BYTES, _SHOWN_LINES = 65_536, 40
_NO_CHECKPOINT = "No checkpoint had been saved yet: start again. Images that were prepared or encoded are kept."


def death(folder: RunFolder, process: "subprocess.Popen[bytes] | None", status: Status) -> Failure:
    """The reason, as far as it is known, and the remedy."""
    status = functools.reduce(advance, last_events(folder), status)  # which is written every two seconds
    code = process.poll() if process is not None else None
    log = _log_end(folder)
    reason, kind = _reason_under_torchrun(folder, code, log) if status.launcher else _reason(folder, code)
    last = folder.checkpoints()
    remedy = f"Resume goes on from {last[-1].name}." if last else _NO_CHECKPOINT
    details = "\n".join(log.splitlines()[-_SHOWN_LINES:])
    if failed := rank_failures.read(folder):
        reason = f"{reason} {rank_failures.sentence(failed)}"
        details = "\n\n".join([*(failure.details for failure in failed if failure.details), details])
    return Failure(message=reason, remedy=remedy, code=kind, details=details, step=status.step)


def _reason_under_torchrun(folder: RunFolder, code: int | None, log: str) -> tuple[str, str]:
    """`code` is torchrun's, which says nothing of the process that failed first; its log does, where it got there."""
    first = torchrun_log.first_failure(log)
    is_by_signal = first is not None and first.exit_code < 0
    if not is_by_signal and code != 0 and _is_disk_full(folder):
        return _reason(folder, DISK_FULL_STATUS)
    if first is None:
        return _reason(folder, code, who="The launcher of the training processes")
    return _reason(folder, first.exit_code, who=f"Training process {first.rank + 1} on {first.host}")


def _is_disk_full(folder: RunFolder) -> bool:
    """Less is free than the next checkpoint would take."""
    newest = folder.checkpoints()[-1:]
    needed = sum(file.stat().st_size for path in newest for file in path.rglob("*") if file.is_file())
    return free_bytes(folder.path) < max(needed, _LEAST_FREE_BYTES)


def _reason(folder: RunFolder, code: int | None, *, who: str = "The training process") -> tuple[str, str]:
    """The sentence and its kind for the exit code of a process, None if that is not known."""
    if code == DISK_FULL_STATUS:
        free = free_bytes(folder.path) / 2**20
        return f"The run stopped because its disk is full: {free:.0f} MB are free.", DiskFullError.code
    if code == UNWRITABLE_STATUS:
        reason = f"The run stopped because its folder could not be written for {PATIENCE_SECONDS:g} s."
        return reason, UnwritableError.code
    if code is None or code == 0:
        return f"{who} is gone: it was killed, or the machine went down.", "killed"
    if -code == getattr(signal, "SIGKILL", 9):
        return f"{who} was killed (signal 9), often because the machine ran out of memory.", "killed"
    if code < 0:
        return f"{who} died from signal {-code} ({_name_of(-code)}).", "killed"
    return f"{who} ended with exit code {code} and said nothing.", "killed"


def _name_of(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal has none
        return "no name"


def _log_end(folder: RunFolder) -> str:
    try:
        with folder.log_file.open("rb") as file:
            file.seek(max(0, folder.log_file.stat().st_size - _LOG_BYTES))
            return file.read().decode(errors="replace")
    except OSError:
        return ""
