"""The Train page: set-up on the left, what happens now in the centre, what came of it on the right."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtWidgets import QSplitter, QTabWidget, QVBoxLayout, QWidget

from dit_studio.config import Recipe
from dit_studio.errors import StudioError
from dit_studio.events import CheckpointSaved, Event, Failure, JobState, PreviewSaved, Validation
from dit_studio.jobs.launch import Launcher
from dit_studio.jobs.queue import Queue
from dit_studio.jobs.run_folder import RunFolder
from dit_studio.jobs.run_list import list_runs
from dit_studio.places import runs_dir
from dit_studio.ui.queue.words import place_words
from dit_studio.ui.run_watch import MakeQueue, RunsSeen
from dit_studio.ui.settings import Settings
from dit_studio.ui.train import remedies
from dit_studio.ui.train.checkpoints import CheckpointList
from dit_studio.ui.train.command_dialog import CommandDialog
from dit_studio.ui.train.dialogs import Dialogs
from dit_studio.ui.train.plots import TrainPlots
from dit_studio.ui.train.preview_wall import PreviewWall
from dit_studio.ui.train.queueing import Queueing
from dit_studio.ui.train.resuming import ALL_STEPS_DONE
from dit_studio.ui.train.run_bar import RunBar
from dit_studio.ui.train.run_facts import RunFacts
from dit_studio.ui.train.run_log import RunLog
from dit_studio.ui.train.session import RunSession
from dit_studio.ui.train.set_up import SetUp
from dit_studio.ui.train.starting import Starting
from dit_studio.ui.widgets.columns import Columns, Side
from dit_studio.ui.widgets.message import MessageCard
from dit_studio.ui.widgets.scrolling import Scrolling

_RIGHT_TOOLTIP = "The samples of every class at each step, and the checkpoints."
_DIED = Failure(message="The training process is gone.", remedy="Resume goes on from its last checkpoint.")
_DIED_EARLY = Failure(message=_DIED.message, remedy="It left no checkpoint to go on from: start a new run.")


class TrainPage(QWidget):
    """Trains a model on a folder of images, and shows the run."""

    status_changed = Signal(str)  # one line for the status bar
    run_started = Signal(object)  # RunFolder
    sample_asked = Signal(object)  # Path of a checkpoint
    evaluate_asked = Signal(object)  # Path of a checkpoint
    files_asked = Signal(str)  # the name of a VAE that is missing
    queue_changed = Signal()  # a run was put into the queue, or taken out

    def __init__(
        self,
        settings: Settings,
        launcher: Launcher,
        *,
        dialogs: Dialogs | None = None,
        make_queue: MakeQueue = Queue,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._settings, self._dialogs = settings, dialogs or Dialogs()
        self.session = RunSession(launcher, self)
        self.queueing = Queueing(make_queue)
        self.set_up = SetUp(settings, launcher, self._dialogs)
        self.starting = Starting(self.session, self.queueing, self.set_up, self._dialogs, self)
        self.run_bar, self.plots, self.log = RunBar(), TrainPlots(), RunLog(self._dialogs)
        self.facts, self.previews = RunFacts(), PreviewWall()
        self.command = CommandDialog(settings, self._dialogs, self)
        self.checkpoints = CheckpointList(launcher, confirm=self._dialogs.confirm, show_path=self._dialogs.show_path)
        self.failure_card, self.notice = MessageCard(), MessageCard()
        self._shown_failure: Failure | None = None
        self._why_not_ended = ""  # the newest one of why the run cannot be ended from here
        self._build()
        self._connect()
        self._on_readiness_changed()
        self.set_up.data.browse.setFocus()
        QTimer.singleShot(0, self, self._open_remembered)

    # --------------------------------------------------------------------------------------------- what others ask

    def open_data(self, path: Path) -> None:
        """Train on these images next; a run is opened as a run."""
        if RunFolder(path).is_run():
            self.open_run(path)
        else:
            self.set_up.data.open_path(path)

    def use_vae(self, name: str) -> None:
        """Train in the latents of this VAE."""
        self.set_up.latents.use_vae(name)

    def open_recipe(self, path: Path) -> None:
        """Put a recipe's settings into the forms."""
        self.set_up.recipe_card.load(path)

    def open_run(self, path: Path) -> None:
        """Show a run: its whole history, and what it does now."""
        try:
            self.session.attach(path.parent if path.name == "run.toml" else path)
        except StudioError as error:
            self._refuse(error)

    def resume(self) -> None:
        """Go on with the run that is shown, from its newest checkpoint."""
        if not self.is_running():
            self.starting.resume()

    def start_queued(self, path: Path) -> None:
        """Show a run that waits, and start it at once."""
        self.open_run(path)
        self.starting.start_now()

    def show_queue(self, seen: RunsSeen) -> None:
        """What is at work and waits now: the run that is shown is followed once it has been started; the first that
        begins where none is shown."""
        self.set_up.training.finders.show_runs(seen.at_work)
        folder = self.session.folder
        if folder is None and seen.at_work:
            self.open_run(seen.at_work[0].path)
        if folder is None or self.session.state is not JobState.QUEUED:
            return
        self.run_bar.set_place(place_words(folder.name, seen.entries))
        if folder.read_status().state is not JobState.QUEUED:
            self.open_run(folder.path)

    def shown_run(self) -> Path | None:
        """The folder of the run that is shown."""
        return self.session.folder.path if self.session.folder else None

    def is_running(self) -> bool:
        """The run that is shown is at work, or should be."""
        return self.session.state.is_active

    def stop_and_save(self) -> None:
        """Ask the run to save and end."""
        if self.is_running() and self.session.state is not JobState.STOPPING:
            self._obey(self.session.stop)

    def close_page(self) -> None:
        """End the page's threads, and wait for them; a run in a process of its own goes on."""
        self._remember()
        self.set_up.close_jobs()
        self.plots.close_jobs()
        self.checkpoints.close_export()
        self.session.close()

    # --------------------------------------------------------------------------------------------- the buttons

    def _on_pressed(self, key: str) -> None:
        self.notice.clear()
        self.run_bar.say("")
        if key in ("save", "preview"):
            self._ask_run(key)
        else:
            presses = {
                "start": self.starting.start,
                "resume": self.starting.resume,
                "pause": self._pause_or_continue,
                "queue": self.starting.add_to_queue,
                "command": self._show_command,
                "resume later": self.starting.resume_later,
                "now": self.starting.start_now,
                "remove": self.starting.remove_from_queue,
            }
            presses.get(key, self._stop)()

    def _pause_or_continue(self) -> None:
        self._ask_run("continue" if self.session.state is JobState.PAUSED else "pause")

    def _ask_run(self, key: str) -> None:
        asked = {
            "pause": self.session.pause,
            "continue": self.session.resume_running,
            "save": self.session.save_now,
            "preview": self.session.preview_now,
        }
        if self._obey(asked[key]):
            self.run_bar.note_asked(key)

    def _stop(self) -> None:
        if self.session.state is not JobState.STOPPING:
            self.stop_and_save()
        elif why_not := self.session.why_not_end_now:
            self._say_why_not_ended(why_not)
        elif self._dialogs.confirm_while(
            "End the run at once? What it learned since its last checkpoint is lost.", "End at once", self._is_stopping
        ):
            self._end_now()

    def _is_stopping(self) -> bool:
        return self.session.state is JobState.STOPPING

    def _end_now(self) -> None:
        if self._is_stopping() and not self.session.end_now():
            self._say_why_not_ended(self.session.why_not_end_now or "Its process has just ended.")

    def _say_why_not_ended(self, why_not: str) -> None:
        self._why_not_ended = f"The run cannot be ended from here. {why_not}"
        self.notice.show_notice(self._why_not_ended, level="warning")

    def _obey(self, action: Callable[[], None]) -> bool:
        try:
            action()
        except StudioError as error:
            self._refuse(error)
            return False
        return True

    def _refuse(self, error: StudioError) -> None:
        failure = Failure(message=error.message, remedy=error.remedy, code=error.code, numbers=error.numbers)
        self.notice.show_failure(failure)

    # --------------------------------------------------------------------------------------------- what the run says

    def _on_run_changed(self, folder: RunFolder) -> None:
        self._shown_failure = None
        self.failure_card.clear()
        self.notice.clear()
        self.plots.show_run(folder)
        self._show_empty()
        self.run_bar.show_run(folder)
        self._show_why_not_resume()
        self.log.show_run(folder)
        self.facts.show_run(folder)
        self.previews.set_run(folder.path)
        self.checkpoints.set_run(folder.path)
        self._settings.save_form("shown_run", {"path": str(folder.path)})

    def _on_received(self, events: list[Event]) -> None:
        self.plots.add_events(events)
        self._show_empty()
        self.run_bar.add_events(events)
        self.log.add_events(events)
        self.facts.add_events(events)
        self._show_results(events)
        warnings = f" ({self.log.warnings})" if self.log.warnings else ""
        self._tabs.setTabText(self._tabs.indexOf(self.log), f"Log{warnings}")
        self._show_why_not_resume()
        self._show_failure()
        self.status_changed.emit(self.run_bar.summary)

    def _show_empty(self) -> None:
        self.plots.show_state(self.session.state, is_reading=self.session.is_reading)

    def _show_why_not_resume(self) -> None:
        self.run_bar.set_why_not_resume(self.session.why_not_resume)

    def _show_results(self, events: list[Event]) -> None:
        """Pictures and checkpoints; the list of checkpoints looks at the disk once, however many were saved."""
        saved: CheckpointSaved | None = None
        for event in events:
            match event:
                case PreviewSaved():
                    self.previews.add_preview(event)
                case Validation():
                    self.checkpoints.add_validation(event)
                case CheckpointSaved():
                    saved = event
        if saved is not None:
            self.checkpoints.add_checkpoint(saved)

    def _on_state_changed(self, state: JobState) -> None:
        self.run_bar.show_state(state)
        self._show_empty()
        self._show_why_not_resume()
        self._show_failure()
        if not state.is_active and self.notice.text() == self._why_not_ended:
            self.notice.clear()
        if not state.is_active and state is not JobState.IDLE:
            self.set_up.check_again()
        self.status_changed.emit(self.run_bar.summary)

    def _show_failure(self) -> None:
        """The card of why the run ended, once; nothing while it is at work."""
        if self.session.state not in (JobState.FAILED, JobState.INTERRUPTED):
            self._show_no_failure()
            return
        can_resume = not self.session.why_not_resume
        died = _DIED if can_resume else _DIED_EARLY
        failure, earlier = self.session.failure or died, self.session.earlier_failure
        if failure is self._shown_failure:
            return
        self._shown_failure = failure
        if earlier is not None:
            self.notice.show_failure(remedies.with_numbers(failure))
            failure = earlier
        actions = remedies.actions_for(failure, self.set_up.full_tables(), can_resume=can_resume)
        self.failure_card.show_failure(remedies.with_numbers(failure), actions)

    def _show_no_failure(self) -> None:
        """The run is at work, or has ended as it should; one that had no step left says so."""
        if self.session.state.is_active and self._shown_failure is not None:
            self._shown_failure = None
            self.failure_card.clear()
        elif self.session.state is JobState.FINISHED and self.session.failure not in (None, self._shown_failure):
            self._shown_failure = self.session.failure
            self.notice.show_notice(ALL_STEPS_DONE, level="warning")

    def _on_remedy(self, key: str) -> None:
        change = remedies.change_for(key, self.set_up.full_tables())
        if change is not None:
            self.set_up.change(change.values)
            self.run_bar.say(change.message)
            self.run_bar.prefer_start()
        elif key == "resume":
            self.starting.resume()
        elif key == "open_folder" and self.session.folder is not None:
            self._dialogs.show_path(self.session.folder.path)

    # --------------------------------------------------------------------------------------------- how it is made

    def _on_readiness_changed(self) -> None:
        self.run_bar.set_why_not_start(self.set_up.why_not_start())

    def _open_remembered(self) -> None:
        """The run that is alive, or the one that was shown last; and the images that were open."""
        self.set_up.open_remembered()
        if self.session.folder is not None:
            return
        alive = [run.folder.path for run in list_runs(runs_dir()) if run.status.state.is_active]
        last = str(self._settings.form("shown_run").get("path", ""))
        if alive:
            self.open_run(alive[0])
            self._note_others(len(alive) - 1)
        elif last and RunFolder(Path(last)).is_run():
            self.open_run(Path(last))

    def _note_others(self, count: int) -> None:
        if count:
            words = "1 more run is" if count == 1 else f"{count} more runs are"
            self.notice.show_notice(f"{words} at work; the queue (Ctrl+J) and the Runs page show all.")

    def _remember(self) -> None:
        if self._columns.count == 3:
            self._settings.save_form("train_columns", {"sizes": self._columns.sizes()})

    def _connect(self) -> None:
        self.session.run_changed.connect(self._on_run_changed)
        self.session.received.connect(self._on_received)
        self.session.state_changed.connect(self._on_state_changed)
        self.starting.started.connect(self.run_started)
        self.starting.queued.connect(self.run_bar.say)
        self.starting.queue_changed.connect(self.queue_changed)
        self.starting.shown.connect(self.open_run)
        self.starting.refused.connect(self._refuse)
        self.starting.warned.connect(lambda words: self.notice.show_notice(words, level="warning"))
        self.set_up.readiness_changed.connect(self._on_readiness_changed)
        self.run_bar.pressed.connect(self._on_pressed)
        self.failure_card.action.connect(self._on_remedy)
        self.facts.wanted.connect(self._on_settings_wanted)
        self.facts.command_asked.connect(self._show_command_of_run)
        self.facts.refused.connect(lambda message: self.notice.show_notice(message, level="error"))
        self.plots.preview_clicked.connect(self.previews.show_step)
        self.plots.checkpoint_clicked.connect(self.checkpoints.show_step)
        self.checkpoints.resume_requested.connect(self.starting.resume)
        self.checkpoints.sample_requested.connect(self.sample_asked)
        self.checkpoints.evaluate_requested.connect(self.evaluate_asked)
        self.set_up.latents.files_asked.connect(self.files_asked)

    def _show_command(self) -> None:
        """Of the settings on the left."""
        self.command.show_for(self.set_up.recipe)

    def _show_command_of_run(self, folder: RunFolder) -> None:
        """Of the run that is shown, which goes on in its own folder."""
        self.command.show_for(partial(_recipe_of, folder), file=str(folder.path / "run.toml"), out=str(folder.path))

    def _on_settings_wanted(self, recipe: object) -> None:
        self.set_up.recipe_card.chosen.emit(recipe)
        self.notice.show_notice("The settings of this run are now in the cards on the left.")

    def _build(self) -> None:
        self._tabs = QTabWidget(documentMode=True)
        self._tabs.tabBar().setDrawBase(False)
        self._tabs.tabBar().setAccessibleName("Views of the run")
        self._add_tab(Scrolling(self.plots), "Curves", "Loss, learning rate, gradient norm, speed and memory, by step.")
        self._add_tab(self.log, "Log", "What the run said in words; in brackets, how many warnings.")
        self._add_tab(self.facts, "Settings of the run", "Every setting of the run that is shown.")
        self._centre = Scrolling(_column(self.run_bar, self.failure_card, self.notice, self._tabs))
        results = QSplitter(Qt.Orientation.Vertical, childrenCollapsible=False)
        results.addWidget(self.previews)
        results.addWidget(self.checkpoints)
        self._columns = Columns(
            Side(Scrolling(self.set_up), 336, "Set-up", "Images, model and training: what Start begins with."),
            self._centre,
            self._tabs,
            Side(Scrolling(results), 296, "Samples and checkpoints", _RIGHT_TOOLTIP),
        )
        if sizes := self._settings.form("train_columns").get("sizes"):
            self._columns.set_sizes(sizes)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._columns)
        self.set_up.take_keys_of(self)

    def _add_tab(self, widget: QWidget, title: str, tooltip: str) -> None:
        self._tabs.setTabToolTip(self._tabs.addTab(widget, title), tooltip)


def _recipe_of(folder: RunFolder) -> Recipe | None:
    try:
        return folder.recipe()
    except StudioError:
        return None


def _column(*widgets: QWidget) -> QWidget:
    result = QWidget()
    layout = QVBoxLayout(result)
    layout.setContentsMargins(8, 0, 8, 0)
    layout.setSpacing(8)
    for widget in widgets:
        layout.addWidget(widget)
    layout.setStretch(len(widgets) - 1, 1)
    return result
