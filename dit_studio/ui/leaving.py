"""Whether the window may close: asks while runs go on or wait, and waits for those that are to save first."""

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QObject, QTimer, Signal
from PySide6.QtWidgets import QWidget

from dit_studio.errors import StudioError
from dit_studio.events import Command, Failure
from dit_studio.jobs.busy_devices import is_here
from dit_studio.jobs.launch import Launcher
from dit_studio.jobs.run_folder import RunFolder
from dit_studio.ui.closing import CloseChoice, GoingOn
from dit_studio.ui.page_needs import TrainPageLike
from dit_studio.ui.queue.words import progress_words
from dit_studio.ui.run_watch import RunWatch

_END_CHECK_MS = 100

Ask = Callable[[QWidget, GoingOn], CloseChoice]


class Leaving(QObject):
    """`page` gives the Train page, None while there is none yet; `status` the line that tells of its run."""

    ended = Signal()  # what was to save first: the window may close
    refused = Signal(object)  # Failure: a run could not be told to stop

    def __init__(
        self,
        window: QWidget,
        launcher: Launcher,
        watch: RunWatch,
        *,
        ask: Ask,
        page: Callable[[], TrainPageLike | None],
        status: Callable[[], str],
    ) -> None:
        super().__init__(window)
        self._window, self._launcher, self._watch = window, launcher, watch
        self._ask, self._page, self._status = ask, page, status
        self._stopping: list[RunFolder] = []  # beside the run of the page
        self._end_check = QTimer(self, interval=_END_CHECK_MS)
        self._end_check.timeout.connect(self._look)

    @property
    def is_waiting(self) -> bool:
        return self._end_check.isActive()

    def wait_no_longer(self) -> None:
        """Let the runs save by themselves."""
        self._end_check.stop()

    def may_close(self) -> bool:
        """What the user answers; "stop and save" closes later, when the runs have ended."""
        others, going_on = self._at_work_here(), self._going_on()
        choice = self._ask(self._window, going_on) if going_on else CloseChoice.KEEP_RUNNING
        if choice is CloseChoice.STOP:
            self._stop([] if going_on.shown else list(others))
        return choice is CloseChoice.KEEP_RUNNING

    def _stop(self, others: list[Path]) -> None:
        page = self._running_page()
        if page is not None:
            page.stop_and_save()
        self._stopping = [folder for folder in map(RunFolder, others) if self._told_to_stop(folder)]
        if page is not None or self._stopping:
            self._end_check.start()

    def _told_to_stop(self, folder: RunFolder) -> bool:
        try:
            folder.send(Command.STOP)
        except StudioError as error:
            self.refused.emit(Failure(message=error.message, remedy=error.remedy, code=error.code))
            return False
        return True

    def _going_on(self) -> GoingOn:
        """What a person should know of before the window closes."""
        page, words = self._running_page(), self._at_work_here()
        shown = page.shown_run() if page else None
        return GoingOn(
            shown=(words.pop(shown, "") if shown else "") or (self._status() if page else ""),
            others=tuple(words.values()),
            waiting=sum(not entry.is_held for entry in self._watch.newest.entries),
            can_keep_running=not self._launcher.in_process,
        )

    def _at_work_here(self) -> dict[Path, str]:
        """The runs of this machine, each in words."""
        return {
            run.path: progress_words(run.title, run.status)
            for run in self._watch.newest.at_work
            if is_here(RunFolder(run.path), run.status)
        }

    def _running_page(self) -> TrainPageLike | None:
        page = self._page()
        return page if page is not None and page.is_running() else None

    def _look(self) -> None:
        self._stopping = [folder for folder in self._stopping if folder.observed_status().state.is_active]
        if not self._stopping and self._running_page() is None:
            self._end_check.stop()
            self.ended.emit()
