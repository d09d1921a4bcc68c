"""What the Train page does with the queue, each with a sentence of what came of it."""

from collections.abc import Callable, Sequence
from pathlib import Path

from dit_studio.config import Recipe
from dit_studio.device_names import named
from dit_studio.errors import RunError
from dit_studio.jobs.queue import Queue
from dit_studio.jobs.queue_order import do_share
from dit_studio.jobs.run_folder import RunFolder
from dit_studio.jobs.run_label import title_of
from dit_studio.jobs.run_list import RunSummary
from dit_studio.places import runs_dir
from dit_studio.ui.queue.words import device_words, place_words

TO_QUEUE = "Add to the queue"
BESIDE = "Start beside it"


class Queueing:
    """Raises: RunError or DiskFullError where a change cannot be made."""

    def __init__(self, make_queue: Callable[[Path], Queue]) -> None:
        self._make_queue = make_queue

    def add(self, recipe: Recipe, name: str) -> str:
        """Freeze the settings as a run that waits."""
        queue = self._make_queue(runs_dir())
        folder = queue.add(recipe, name, devices=named(recipe.train.device))
        return self._added(queue, folder)

    def add_again(self, folder: RunFolder) -> str:
        """Let a run that ended early go on when its turn comes."""
        queue = self._make_queue(folder.path.parent)
        queue.add_again(folder, devices=named(folder.recipe().train.device))
        return self._added(queue, folder)

    def remove(self, folder: RunFolder) -> str:
        self._make_queue(folder.path.parent).remove(folder.name)
        return f"{title_of(folder)} is out of the queue; its folder and settings stay."

    def take(self, folder: RunFolder) -> bool:
        """Take a run out, to be started by us; whether it goes on from a checkpoint. Raises: RunError if it is gone."""
        queue = self._make_queue(folder.path.parent)
        entry = next((entry for entry in queue.entries() if entry.run == folder.name), None)
        if entry is None:
            raise RunError(f"{title_of(folder)} waits no longer.", remedy="It has been started, or removed.")
        queue.remove(folder.name)
        return entry.resume

    def _added(self, queue: Queue, folder: RunFolder) -> str:
        queue.keep_going()
        place = place_words(folder.name, queue.entries())
        return f"{title_of(folder)} is {place}." if place else f"{title_of(folder)} starts."


def takes(run: RunSummary, devices: Sequence[str]) -> bool:
    """Whether a run that is at work keeps these devices busy."""
    taken = run.status.devices or (named(run.recipe.train.device) if run.recipe else ())
    return do_share(taken, devices) if taken and devices else True


def finder_words(at_work: str) -> str:
    """Why to think twice before a run is started, or queued, beside a finder."""
    return (
        f"{at_work} is being looked for on this device. A run beside it falsifies what is measured there, and may not "
        "find enough memory. Also a run in the queue starts at once if no other is at work."
    )


def busy_words(run: RunSummary) -> str:
    """Why to think twice before another run is started there."""
    taken = run.status.devices or (named(run.recipe.train.device) if run.recipe else ())
    return (
        f"{title_of(run.folder)} is training already on {device_words(taken)}. Two runs on one device slow each other "
        "down, and may not fit into its memory. In the queue the new one starts by itself when the device is free."
    )
