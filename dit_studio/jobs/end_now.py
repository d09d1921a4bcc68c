"""Killing a run: every process of it on this machine."""

import os
import signal
from contextlib import suppress

from dit_studio.jobs.run_folder import RunFolder


def why_not_end_now(folder: RunFolder) -> str:
    """The sentence that says why a run cannot be killed from here; "" if it can."""
    status = folder.read_status()
    if not status.state.is_active:
        return "The run has ended already."
    if status.is_of_another_machine:
        return (
            f"The run is at work on another machine, {status.host}: it can be stopped from here, but ended at once "
            f"only there (process {status.launcher or status.pid})."
        )
    if not status.pid or not folder.is_locked():
        return "The run's process has just ended, or has not yet begun. Try again in a moment."
    return ""


def end_now(folder: RunFolder) -> bool:
    """Kill the run's processes; False if there are none here. Those of further ranks see it and end by themselves."""
    if why_not_end_now(folder):
        return False
    status = folder.read_status()
    if status.launcher > 1:  # first, or it would start the others anew
        with suppress(OSError):
            os.kill(status.launcher, _KILL)
    try:
        _kill_group(status.pid)
    except ProcessLookupError:
        return False
    return True


def _kill_group(pid: int) -> None:
    """The process with its own children, if it leads a group of them."""
    if hasattr(os, "killpg") and os.getpgid(pid) == pid:
        os.killpg(pid, _KILL)
    else:
        os.kill(pid, _KILL)


_KILL = getattr(signal, "SIGKILL", signal.SIGTERM)
