"""torchrun's restarts: a failure after which it starts all processes again is no end, and is not told as one."""

import os

import psutil

from dit_studio.events import Event, Failure, JobState, Notice, StateChanged


def is_torchrun(pid: int) -> bool:
    """A torchrun is alive under this number."""
    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and any("torch" in word for word in process.cmdline())
    except psutil.AccessDenied:
        return True  # somebody else's: nobody can tell more
    except psutil.Error:
        return False


def as_it_goes_on(event: Event) -> Event:
    """What is written of an event that this process says: a failure is a notice while there are restarts left."""
    count, most = (_number(name) for name in ("TORCHELASTIC_RESTART_COUNT", "TORCHELASTIC_MAX_RESTARTS"))
    if count >= most:
        return event
    again = f"all start again from the last checkpoint (restart {count + 1} of {most})"
    if isinstance(event, Failure) and event.code != "finished":
        message = f"{event.message.rstrip('.')}: {again}."
        return Notice(message=message, level="warning", step=event.step, time=event.time)
    if isinstance(event, StateChanged) and event.state is JobState.FAILED:
        message = again[0].upper() + again[1:] + "."
        return StateChanged(state=JobState.PREPARING, step=event.step, message=message, time=event.time)
    return event


def _number(name: str) -> int:
    digits = os.environ.get(name, "")
    return int(digits) if digits.isdecimal() else 0
