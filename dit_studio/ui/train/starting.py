"""How runs begin on the Train page: at once, in the queue, or again, with a question where a device is taken."""

from collections.abc import Callable, Sequence
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from dit_studio.config import Recipe
from dit_studio.device_names import named
from dit_studio.errors import StudioError
from dit_studio.events import JobState
from dit_studio.jobs.run_folder import RunFolder
from dit_studio.jobs.run_list import list_runs
from dit_studio.places import runs_dir
from dit_studio.ui.train.dialogs import Dialogs
from dit_studio.ui.train.queueing import BESIDE, TO_QUEUE, Queueing, busy_words, finder_words, takes
from dit_studio.ui.train.resuming import ALL_STEPS_DONE, is_at_the_end
from dit_studio.ui.train.session import RunSession, newer_checkpoints
from dit_studio.ui.train.set_up import SetUp


class Starting(QObject):
    """Each method is what a button asks for; what is refused, or was done, is said by a signal."""

    started = Signal(object)  # RunFolder of a new run
    queued = Signal(str)  # what became of the queue, in a line
    queue_changed = Signal()
    shown = Signal(object)  # Path of a run that is to be shown anew
    refused = Signal(object)  # StudioError
    warned = Signal(str)

    def __init__(
        self, session: RunSession, queueing: Queueing, set_up: SetUp, dialogs: Dialogs, parent: QObject
    ) -> None:
        super().__init__(parent)
        self._session, self._queueing = session, queueing
        self._set_up, self._dialogs = set_up, dialogs

    def start(self) -> None:
        """A new run of the settings on the left."""
        recipe = self._recipe_to_start()
        if recipe is None:
            return
        choice = self._ask_beside_others(named(recipe.train.device), (TO_QUEUE, BESIDE))
        if choice == TO_QUEUE:
            self._add(recipe)
        elif choice == BESIDE and self._may_disturb_finder(recipe, BESIDE):
            self._obey(lambda: self.started.emit(self._session.start(recipe, self._set_up.preflight.run_name())))

    def add_to_queue(self) -> None:
        if recipe := self._recipe_to_start():
            self._add(recipe)

    def resume_later(self) -> None:
        """Put the run that is shown at the queue's end."""
        folder = self._session.folder
        if folder is not None and self._may_disturb_finder(self._session.recipe(), TO_QUEUE):
            self._change_queue(lambda: self._queueing.add_again(folder))
            self.shown.emit(folder.path)

    def remove_from_queue(self) -> None:
        folder = self._session.folder
        if folder is not None:
            self._change_queue(lambda: self._queueing.remove(folder))
            self.shown.emit(folder.path)

    def start_now(self) -> None:
        """The queued run that is shown."""
        folder, recipe = self._session.folder, self._session.recipe()
        if folder is None or self._session.state is not JobState.QUEUED:
            return
        is_wanted = self._ask_beside_others(named(recipe.train.device) if recipe else (), (BESIDE,))
        if is_wanted and self._may_disturb_finder(recipe, BESIDE):
            self._obey(lambda: self._session.begin(folder, resume=self._queueing.take(folder)))
            self.queue_changed.emit()

    def resume(self, checkpoint: Path | None = None) -> None:
        """Go on with the run that is shown, from its newest checkpoint or from this one."""
        folder = self._session.folder
        if folder is None:
            return
        if checkpoint is not None and is_at_the_end(checkpoint, self._session.recipe()):
            self.warned.emit(ALL_STEPS_DONE)
            return
        self._obey(lambda: self._resume(folder, checkpoint))

    # --------------------------------------------------------------------------------------------- how

    def _resume(self, folder: RunFolder, checkpoint: Path | None) -> None:
        if checkpoint is not None and not self._may_set_aside(newer_checkpoints(folder, checkpoint), checkpoint):
            return
        if self._may_disturb_finder(self._session.recipe(), BESIDE):
            self._session.resume(folder.path, checkpoint=checkpoint)

    def _add(self, recipe: Recipe) -> None:
        if self._may_disturb_finder(recipe, TO_QUEUE):
            self._change_queue(lambda: self._queueing.add(recipe, self._set_up.preflight.run_name()))

    def _recipe_to_start(self) -> Recipe | None:
        return None if self._set_up.why_not_start() else self._set_up.recipe()

    def _ask_beside_others(self, devices: Sequence[str], answers: Sequence[str]) -> str:
        """One of the answers, BESIDE without a question where nothing is at work on these devices; "" for neither."""
        others = [run for run in list_runs(runs_dir()) if run.status.state.is_active and takes(run, devices)]
        return self._dialogs.choose(busy_words(others[0]), answers) if others else BESIDE

    def _may_disturb_finder(self, recipe: Recipe | None, answer: str) -> bool:
        """Without a question unless a finder is at work where the run would be."""
        at_work = self._set_up.training.finders.at_work_on(named(recipe.train.device) if recipe else ())
        return not at_work or self._dialogs.choose(finder_words(at_work), (answer,)) == answer

    def _may_set_aside(self, newer: list[Path], checkpoint: Path) -> bool:
        return not newer or self._dialogs.confirm(
            f"Go on from {checkpoint.name}? {len(newer)} newer checkpoint{'s' * (len(newer) > 1)} will be moved to "
            "checkpoints/set-aside, and the curves after it are overwritten.",
            "Resume from here",
        )

    def _change_queue(self, change: Callable[[], str]) -> None:
        """Do it, and say in a line what came of it."""
        if self._obey(lambda: self.queued.emit(change())):
            self.queue_changed.emit()

    def _obey(self, action: Callable[[], None]) -> bool:
        try:
            action()
        except StudioError as error:
            self.refused.emit(error)
            return False
        return True
