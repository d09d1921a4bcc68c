"""Whether a device is taken: which run of this machine is at work on it."""

import socket
from pathlib import Path

from dit_studio.device_names import AUTO, named
from dit_studio.jobs.run_folder import Status
from dit_studio.jobs.run_list import list_runs


def why_device_is_taken(device: str, root: Path) -> str:
    """The sentence that names a run at work on the devices of a setting; "" if none is. Also a paused one holds them.

    `root` is the folder of runs; "auto", and a run that does not say where it is, may be any.
    """
    for run in list_runs(root):
        if run.status.state.is_active and _is_here(run.status) and _may_be_same(named(device), run.status.devices):
            return (
                f"{run.folder.name} is at work on this device. What is measured beside it would be wrong, and could "
                "take the memory that it needs: stop it first, or wait for its end."
            )
    return ""


def _is_here(status: Status) -> bool:
    return status.host in ("", socket.gethostname())


def _may_be_same(wanted: tuple[str, ...], used: tuple[str, ...]) -> bool:
    if not used or AUTO in wanted:
        return True
    return any(a == b or a.partition(":")[0] == b or b.partition(":")[0] == a for a in wanted for b in used)
