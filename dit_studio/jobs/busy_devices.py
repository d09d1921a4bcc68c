"""Whether a device is taken: which run of this machine is at work on it."""

import socket
from pathlib import Path

from dit_studio.device_names import AUTO, named
from dit_studio.jobs.queue_order import do_share
from dit_studio.jobs.run_folder import RunFolder, Status
from dit_studio.jobs.run_label import title_of
from dit_studio.jobs.run_list import list_runs


def why_device_is_taken(device: str, root: Path) -> str:
    """The sentence that names a run at work on the devices of a setting; "" if none is. Also a paused one holds them.

    `root` is the folder of runs; "auto", and a run that does not say where it is, may be any.
    """
    for run in list_runs(root):
        if (
            run.status.state.is_active
            and is_here(run.folder, run.status)
            and _may_be_same(named(device), run.status.devices)
        ):
            return (
                f"{title_of(run.folder)} is at work on this device. What is measured beside it would be wrong, and "
                "could take the memory that it needs: stop it first, or wait for its end."
            )
    return ""


def is_here(folder: RunFolder, status: Status) -> bool:
    """Whether a run that is at work is so on this machine: where it does not say, by its lock."""
    return status.host == socket.gethostname() or (not status.host and folder.is_locked())


def _may_be_same(wanted: tuple[str, ...], used: tuple[str, ...]) -> bool:
    if not used or AUTO in wanted:
        return True
    return do_share(wanted, used)
