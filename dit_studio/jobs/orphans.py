"""What a process under torchrun does when its torchrun is gone: it does not train on unseen."""

import logging
import os
import threading
import time
from contextlib import suppress

from dit_studio.errors import StudioError
from dit_studio.events import Command
from dit_studio.jobs.run_folder import RunFolder
from dit_studio.launch_environment import rank

_log = logging.getLogger(__name__)
_LOOK_SECONDS = 0.5
_GRACE_SECONDS = 10.0  # for a process to end by itself after the first one has
_PARENT = os.getppid()  # at the beginning: it may end before it is watched


def end_when_orphaned(folder: RunFolder) -> None:
    """From now on, under torchrun, watch for its end. Rank 0, which holds the run's lock, then stops and saves; the
    others follow it, or end when it is gone."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return
    threading.Thread(target=_watch, args=(folder, rank()), name="parent watch", daemon=True).start()


def _watch(folder: RunFolder, own_rank: int) -> None:
    while os.getppid() == _PARENT:
        time.sleep(_LOOK_SECONDS)
    _log.info("torchrun is gone")
    if own_rank == 0:
        with suppress(StudioError):
            folder.send(Command.STOP)
        return
    was_at_work = folder.is_locked()
    while folder.is_locked():
        time.sleep(_LOOK_SECONDS)
    if was_at_work:
        time.sleep(_GRACE_SECONDS)
    _log.info("the first process is gone, too: this one ends")
    os._exit(1)
