"""The Train page, driven as a user drives it, with scripted jobs where processes would stand."""

import os
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
import pytest
from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QAbstractButton, QComboBox, QLineEdit, QPlainTextEdit, QPushButton, QTableView, QWidget
from pytestqt.qtbot import QtBot
from scripted import Script, ScriptedLauncher
from test_session import make_run
from test_set_up import FULL, line_edit, make_launcher, type_into

from dit_studio.config import parse_recipe
from dit_studio.events import (
    CaughtUp,
    CheckpointSaved,
    Command,
    Event,
    Failure,
    JobState,
    Metrics,
    Notice,
    Started,
    StateChanged,
)
from dit_studio.jobs.run_folder import RunFolder, Status
from dit_studio.places import runs_dir
from dit_studio.ui.settings import Settings
from dit_studio.ui.train import set_up
from dit_studio.ui.train.dialogs import Dialogs
from dit_studio.ui.train.dialogs import _confirm_while as confirm_while
from dit_studio.ui.train.page import TrainPage
from dit_studio.ui.train.run_bar import BUTTONS

RUNNING = StateChanged(state=JobState.RUNNING)
STARTED = Started(
    steps=2000, parameters=1_000_000, device="cpu", precision="fp32", images=1707, validation_images=90, batch_size=64
)
OUT_OF_MEMORY = Failure(
    message="A step does not fit into memory.", code="out_of_memory", numbers={"needed_bytes": 12e9, "total_bytes": 8e9}
)
FAILED = StateChanged(state=JobState.FAILED)
MakePage = Callable[..., TrainPage]


class Answers:
    """Answers the dialogs, and notes the questions."""

    def __init__(self) -> None:
        self.says_yes = True
        self.questions: list[str] = []
        self.paths: list[Path] = []
        self.chosen = ""  # of several answers
        self.dialogs = Dialogs(
            confirm=self._confirm, confirm_while=self._confirm_while, choose=self._choose, show_path=self.paths.append
        )

    def _confirm(self, question: str, _action: str) -> bool:
        self.questions.append(question)
        return self.says_yes

    def _confirm_while(self, question: str, action: str, holds: Callable[[], bool]) -> bool:
        assert holds()
        return self._confirm(question, action)

    def _choose(self, question: str, answers: Sequence[str]) -> str:
        self.questions.append(question)
        assert self.chosen in ("", *answers)
        return self.chosen


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
def make_page(
    qtbot: QtBot, settings: Settings, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> Iterator[MakePage]:
    monkeypatch.setattr(set_up, "PREFLIGHT_DELAY_MS", 0)
    pages: list[TrainPage] = []

    def make(launcher: ScriptedLauncher | None = None, *, size: tuple[int, int] = (1216, 740)) -> TrainPage:
        page = TrainPage(settings, launcher or make_launcher(), dialogs=answers.dialogs)
        qtbot.addWidget(page)
        page.resize(*size)
        pages.append(page)
        return page

    yield make
    for page in pages:
        page.close_page()


def metrics(first: int, last: int) -> list[Event]:
    return [Metrics(step=n, loss=1 / n, learning_rate=1e-4, seconds=n * 0.5) for n in range(first, last + 1)]


def press(page: TrainPage, key: str) -> None:
    button = page.run_bar.buttons[key]
    assert button.isVisibleTo(page), f"{key} is hidden"
    assert button.isEnabled(), f"{key} is off"
    button.click()


def card_button(page: TrainPage, label: str) -> QPushButton:
    buttons = page.failure_card.findChildren(QPushButton)
    return next(button for button in buttons if button.text() == label and not button.isHidden())


def card_labels(page: TrainPage) -> list[str]:
    return [button.text() for button in page.failure_card.findChildren(QPushButton) if not button.isHidden()]


def started_page(make_page: MakePage, qtbot: QtBot, path: Path, script: Script, **options: object) -> TrainPage:
    """A page with images, on which Start was pressed."""
    launcher = make_launcher()
    launcher.training = [script]
    page = make_page(launcher, **options)
    page.open_data(path)
    qtbot.waitUntil(page.run_bar.buttons["start"].isEnabled)
    press(page, "start")
    return page


def launcher_of(page: TrainPage) -> ScriptedLauncher:
    launcher = page.session._launcher
    assert isinstance(launcher, ScriptedLauncher)
    return launcher


# ------------------------------------------------------------------------------------------------- a run


def test_a_run_from_a_folder_to_its_end(make_page: MakePage, qtbot: QtBot, tmp_path: Path) -> None:
    page = make_page()
    begun: list[RunFolder] = []
    said: list[str] = []
    page.run_started.connect(begun.append)
    page.status_changed.connect(said.append)
    launcher_of(page).training = [
        [STARTED, RUNNING, *metrics(1, 40), CheckpointSaved(step=40, file="checkpoints/step-0000040"),
         StateChanged(state=JobState.FINISHED, step=40)],
    ]  # fmt: skip
    (tmp_path / "digits").mkdir()
    page.open_data(tmp_path / "digits")
    qtbot.waitUntil(page.run_bar.buttons["start"].isEnabled)
    press(page, "start")
    assert page.is_running()
    assert begun[0].path.parent == runs_dir()
    assert begun[0].name.endswith("-digits")
    assert begun[0].recipe().data.path == str(tmp_path / "digits")
    qtbot.waitUntil(lambda: page.session.state is JobState.FINISHED)
    assert not page.is_running()
    assert said[-1] == "digits  finished · step 40 / 2,000"
    assert "saved checkpoints/step-0000040" in page.log.view.toPlainText()
    assert "1.0 M parameters · cpu · fp32 · 1,707 images, 90 held out" in page.facts.facts.text()


@pytest.mark.parametrize("state", [state for state in JobState if state is not JobState.IDLE])
def test_every_state_shows_its_buttons(make_page: MakePage, qtbot: QtBot, tmp_path: Path, state: JobState) -> None:
    gate = threading.Event()
    page = started_page(make_page, qtbot, tmp_path, [StateChanged(state=state), gate])
    qtbot.waitUntil(lambda: page.session.state is state)
    shown = {key for key, button in page.run_bar.buttons.items() if button.isVisibleTo(page)}
    assert shown == {key for key, text in BUTTONS[state]._asdict().items() if text}
    assert page.is_running() is state.is_active
    gate.set()


def test_pause_continue_save_preview_reach_the_run(make_page: MakePage, qtbot: QtBot, tmp_path: Path) -> None:
    gate = threading.Event()
    script = [RUNNING, gate, StateChanged(state=JobState.PAUSED), threading.Event()]
    page = started_page(make_page, qtbot, tmp_path, script)
    qtbot.waitUntil(lambda: page.session.state is JobState.RUNNING)
    folder = page.session.folder
    assert folder is not None
    for key, command in (("save", Command.SAVE), ("preview", Command.PREVIEW), ("pause", Command.PAUSE)):
        press(page, key)
        assert folder.take_command() is command
        assert page.run_bar.note.startswith("Asked:")
    gate.set()
    qtbot.waitUntil(lambda: page.run_bar.buttons["pause"].text() == "Continue")
    press(page, "pause")
    assert folder.take_command() is Command.RESUME


def test_stop_pressed_twice_offers_to_end_it_at_once(
    make_page: MakePage, qtbot: QtBot, tmp_path: Path, answers: Answers
) -> None:
    page = started_page(make_page, qtbot, tmp_path, [RUNNING, threading.Event()])
    qtbot.waitUntil(lambda: page.session.state is JobState.RUNNING)
    press(page, "stop")
    assert page.session.state is JobState.STOPPING
    assert page.run_bar.buttons["stop"].text() == "End at once"
    folder = page.session.folder
    assert folder is not None
    with folder.lock():
        folder.write_status(Status(state=JobState.STOPPING, pid=os.getpid()))
        answers.says_yes = False
        press(page, "stop")
        assert "its last checkpoint is lost" in answers.questions[0]
        assert page.notice.isHidden()
        answers.says_yes = True
        press(page, "stop")
    assert page.session.state is JobState.INTERRUPTED


def test_what_cannot_be_ended_from_here_is_said_without_a_question(
    make_page: MakePage, qtbot: QtBot, tmp_path: Path, answers: Answers
) -> None:
    stopped = threading.Event()
    script: Script = [RUNNING, stopped, StateChanged(state=JobState.STOPPED, step=3)]
    page = started_page(make_page, qtbot, tmp_path, script)
    qtbot.waitUntil(lambda: page.session.state is JobState.RUNNING)
    folder = page.session.folder
    assert folder is not None
    folder.write_status(Status(state=JobState.RUNNING, host=f"not-{socket.gethostname()}", pid=7))
    press(page, "stop")
    press(page, "stop")
    assert "at work on another machine" in page.notice.text()
    assert answers.questions == []
    stopped.set()
    qtbot.waitUntil(lambda: page.session.state is JobState.STOPPED)
    assert page.notice.isHidden(), "what could not be ended has ended"


@pytest.mark.usefixtures("qtbot")
def test_the_question_closes_once_it_is_void() -> None:
    holds = [True]
    QTimer.singleShot(0, holds.clear)
    assert not confirm_while("End the run at once?", "End at once", lambda: bool(holds))


def test_the_place_of_the_plots_says_what_is_awaited(make_page: MakePage, qtbot: QtBot, tmp_path: Path) -> None:
    page, gate = make_page(), threading.Event()
    assert "Press Start" in page.plots._empty._text.text()
    launcher_of(page).following = [[gate, CaughtUp(), RUNNING, threading.Event()]]
    folder = RunFolder(make_run(tmp_path / "run"))
    folder.write_status(Status(state=JobState.QUEUED))
    page.open_run(folder.path)
    assert page.plots._empty._title.text() == "Queued"
    folder.write_status(Status(state=JobState.STOPPED))
    launcher_of(page).following = [[gate, CaughtUp(), RUNNING, threading.Event()]]
    page.open_run(folder.path)
    assert page.plots._empty._title.text() == "Reading the history…"
    gate.set()
    qtbot.waitUntil(lambda: page.session.state is JobState.RUNNING)
    assert page.plots._empty._title.text() == "No step yet"


def test_stop_and_save_from_outside(make_page: MakePage, qtbot: QtBot, tmp_path: Path) -> None:
    page = started_page(make_page, qtbot, tmp_path, [RUNNING, threading.Event()])
    page.stop_and_save()
    page.stop_and_save()
    assert page.session.state is JobState.STOPPING
    assert page.session.folder is not None
    assert page.session.folder.take_command() is Command.STOP


def test_the_keyboard_steers(make_page: MakePage, qtbot: QtBot, tmp_path: Path) -> None:
    page = started_page(make_page, qtbot, tmp_path, [RUNNING, threading.Event()])
    qtbot.waitUntil(lambda: page.session.state is JobState.RUNNING)
    shortcuts = {key: button.shortcut().toString() for key, button in page.run_bar.buttons.items()}
    assert (shortcuts["start"], shortcuts["pause"], shortcuts["stop"]) == ("Ctrl+Return", "Ctrl+P", "Ctrl+.")


# ------------------------------------------------------------------------------------------------- failures


def test_out_of_memory_offers_three_remedies_that_change_the_forms(
    make_page: MakePage, qtbot: QtBot, tmp_path: Path
) -> None:
    gate = threading.Event()
    page = started_page(make_page, qtbot, tmp_path, [RUNNING, gate, OUT_OF_MEMORY, FAILED])
    page.set_up.change({"model": {"preset": "S/2"}})
    gate.set()
    qtbot.waitUntil(lambda: not page.failure_card.isHidden())
    assert card_labels(page) == ["Smaller batch", "Gradient checkpointing", "Smaller model", "Dismiss"]
    assert "needed: 12.00 GB · total: 8.00 GB" in page.failure_card._remedy.text()
    kinds = [page.run_bar.buttons[key].property("kind") for key in ("start", "resume")]
    assert kinds == ["primary", ""], "there is no checkpoint"
    card_button(page, "Smaller batch").click()
    assert line_edit(page.set_up, "train", "batch_size").text() == "32"
    assert "Batch size is now 32 (it was 64)" in page.run_bar.note
    card_button(page, "Gradient checkpointing").click()
    card_button(page, "Smaller model").click()
    recipe = page.set_up.recipe()
    assert recipe is not None
    assert recipe.train.gradient_checkpointing
    assert recipe.model.preset == "XS/2"


def test_a_loss_that_is_no_number_offers_a_lower_rate(make_page: MakePage, qtbot: QtBot, tmp_path: Path) -> None:
    failure = Failure(message="The loss became NaN.", code="not_finite")
    page = started_page(make_page, qtbot, tmp_path, [RUNNING, failure, FAILED])
    qtbot.waitUntil(lambda: not page.failure_card.isHidden())
    card_button(page, "Lower the learning rate").click()
    card_button(page, "Use fp32").click()
    recipe = page.set_up.recipe()
    assert recipe is not None
    assert (recipe.train.learning_rate, recipe.train.precision) == (9e-4, "fp32")


def test_a_full_disk_offers_the_folder(make_page: MakePage, qtbot: QtBot, tmp_path: Path, answers: Answers) -> None:
    page = started_page(make_page, qtbot, tmp_path, [RUNNING, Failure(message="Full.", code="disk_full"), FAILED])
    qtbot.waitUntil(lambda: not page.failure_card.isHidden())
    card_button(page, "Open the folder").click()
    assert page.session.folder is not None
    assert answers.paths == [page.session.folder.path]


def test_a_process_that_was_killed_is_told_at_once_and_can_be_resumed(
    make_page: MakePage, qtbot: QtBot, tmp_path: Path
) -> None:
    gate = threading.Event()
    killed = Failure(message="The training process was killed (signal 9).", code="killed")
    script = [RUNNING, gate, killed, StateChanged(state=JobState.INTERRUPTED)]
    page = started_page(make_page, qtbot, tmp_path, script)
    qtbot.waitUntil(lambda: page.session.state is JobState.RUNNING)
    assert page.session.folder is not None
    (page.session.folder.path / "checkpoints" / "step-0000100").mkdir()
    gate.set()
    qtbot.waitUntil(lambda: not page.failure_card.isHidden())
    assert page.failure_card.text() == "The training process was killed (signal 9)."
    launcher_of(page).training = [[RUNNING, threading.Event()]]
    card_button(page, "Resume").click()
    qtbot.waitUntil(lambda: page.session.state is JobState.RUNNING)
    assert [resumed for _, resumed in launcher_of(page).trained] == [False, True]
    assert page.failure_card.isHidden()


def test_a_death_without_a_word_is_told_too(make_page: MakePage, qtbot: QtBot, tmp_path: Path) -> None:
    page = started_page(make_page, qtbot, tmp_path, [RUNNING, *metrics(1, 3)])
    qtbot.waitUntil(lambda: not page.failure_card.isHidden())
    assert page.failure_card.text() == "The training process is gone."
    assert page.failure_card._remedy.text() == "It left no checkpoint to go on from: start a new run."
    assert card_labels(page) == ["Dismiss"]


def test_a_dismissed_failure_stays_away(make_page: MakePage, qtbot: QtBot, tmp_path: Path) -> None:
    gate = threading.Event()
    page = started_page(make_page, qtbot, tmp_path, [RUNNING, OUT_OF_MEMORY, FAILED, gate, Notice(message="late")])
    qtbot.waitUntil(lambda: not page.failure_card.isHidden())
    card_button(page, "Dismiss").click()
    gate.set()
    qtbot.waitUntil(lambda: "late" in page.log.view.toPlainText())
    assert page.failure_card.isHidden()


def test_a_run_that_cannot_be_made_is_told(
    make_page: MakePage, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = make_page()
    page.open_data(tmp_path)
    qtbot.waitUntil(page.run_bar.buttons["start"].isEnabled)
    (tmp_path / "a file").touch()
    monkeypatch.setenv("DIT_STUDIO_RUNS", str(tmp_path / "a file"))
    press(page, "start")
    assert "a file" in page.notice.text()
    assert page.session.state is JobState.IDLE


# ------------------------------------------------------------------------------------------------- runs that are there


def test_a_reopened_page_finds_the_run_that_is_alive(make_page: MakePage, qtbot: QtBot) -> None:
    make_run(runs_dir() / "20260101-000000-ended", STARTED)
    path = make_run(runs_dir() / "20260102-000000-alive", STARTED, RUNNING, *metrics(1, 50))
    folder = RunFolder(path)
    with folder.lock():
        folder.write_status(Status(state=JobState.RUNNING, step=50, steps=2000))
        launcher = make_launcher()
        launcher.following = [[*folder.read_events(), threading.Event()]]
        page = make_page(launcher)
        qtbot.waitUntil(lambda: page.run_bar._metrics.step == 50)
        assert page.session.state is JobState.RUNNING
        assert page.run_bar.summary.startswith("alive  running · step 50 / 2,000")


def test_a_reopened_page_shows_the_run_that_was_shown_last(make_page: MakePage, qtbot: QtBot) -> None:
    make_run(runs_dir() / "20260101-000000-one", STARTED)
    two = make_run(runs_dir() / "20260102-000000-two", STARTED)
    first = make_page()
    first.open_run(two)
    second = make_page()
    qtbot.waitUntil(lambda: second.session.folder is not None)
    assert second.session.folder is not None
    assert second.session.folder.path == two
    assert second.session.state is JobState.STOPPED


def test_a_run_asked_for_at_once_is_not_replaced_by_a_remembered_one(make_page: MakePage, qtbot: QtBot) -> None:
    one, two = (make_run(runs_dir() / name, STARTED) for name in ("one", "two"))
    make_page().open_run(two)
    page = make_page()
    page.open_run(one / "run.toml")
    qtbot.waitUntil(lambda: "1.0 M parameters" in page.facts.facts.text())
    assert page.session.folder is not None
    assert page.session.folder.path == one


def test_a_run_is_opened_and_resumed_in_one_go(make_page: MakePage, qtbot: QtBot, tmp_path: Path) -> None:
    path = make_run(tmp_path / "run", STARTED, checkpoints=(100,))
    page = make_page()
    launcher_of(page).training = [[RUNNING, threading.Event()]]
    page.open_run(path)
    page.resume()
    qtbot.waitUntil(lambda: page.session.state is JobState.RUNNING)
    page.resume()
    assert [resumed for _, resumed in launcher_of(page).trained] == [True], "what runs is not resumed again"


def test_a_run_without_a_checkpoint_is_not_resumed(make_page: MakePage, tmp_path: Path) -> None:
    page = make_page()
    page.open_run(make_run(tmp_path / "run", STARTED))
    resume = page.run_bar.buttons["resume"]
    assert resume.isVisibleTo(page)
    assert not resume.isEnabled()
    assert "before its first checkpoint" in resume.toolTip()
    page.resume()
    assert page.notice.text() == "run has no checkpoint to go on from."


def test_another_run_in_the_same_state_has_its_own_reason(make_page: MakePage, tmp_path: Path) -> None:
    page = make_page()
    page.open_run(make_run(tmp_path / "without", STARTED, state=JobState.FAILED))
    assert not page.run_bar.buttons["resume"].isEnabled()
    page.open_run(make_run(tmp_path / "with", STARTED, state=JobState.FAILED, checkpoints=(100,)))
    assert page.run_bar.buttons["resume"].isEnabled()


def test_the_last_checkpoint_of_a_run_that_has_done_all_is_not_resumed(
    make_page: MakePage, qtbot: QtBot, tmp_path: Path
) -> None:
    path = make_run(tmp_path / "run", STARTED, state=JobState.FINISHED, checkpoints=(100, 20_000))
    page = make_page()
    page.open_run(path)
    page.starting.resume(RunFolder(path).checkpoints()[-1])
    assert page.notice.text().startswith("This run has done all of its steps; start a new run")
    assert "--set train.steps=N" in page.notice.text(), "what is typed is not a title"
    assert launcher_of(page).trained == []
    launcher_of(page).training = [[RUNNING, threading.Event()]]
    page.starting.resume(RunFolder(path).checkpoints()[0])
    qtbot.waitUntil(lambda: page.session.state is JobState.RUNNING)


def test_a_run_that_had_no_step_left_says_so(make_page: MakePage, qtbot: QtBot, tmp_path: Path) -> None:
    path = make_run(tmp_path / "run", STARTED, checkpoints=(100,))
    page = make_page()
    page.open_run(path)
    failure = Failure(message="This run has done all of its 100 steps.", code="finished")
    launcher_of(page).training = [[failure, StateChanged(state=JobState.FINISHED, step=100)]]
    press(page, "resume")
    qtbot.waitUntil(lambda: page.session.state is JobState.FINISHED)
    assert page.notice.text().startswith("This run has done all of its steps")
    assert page.failure_card.isHidden()


def test_a_resume_in_vain_leaves_the_earlier_failure_and_its_remedies(
    make_page: MakePage, qtbot: QtBot, tmp_path: Path
) -> None:
    history = [RUNNING, *metrics(1, 3), Failure(message="The loss became NaN.", code="not_finite"), FAILED]
    path = make_run(tmp_path / "run", *history, state=JobState.FAILED, checkpoints=(1,))
    page = make_page()
    page.open_run(path)
    qtbot.waitUntil(lambda: page.failure_card.text() == "The loss became NaN.")
    preparing = StateChanged(state=JobState.PREPARING)
    launcher_of(page).training = [[preparing, Failure(message="It has other classes.", code="run"), FAILED]]
    press(page, "resume")
    qtbot.waitUntil(lambda: page.session.state is JobState.FAILED)
    assert page.notice.text() == "It has other classes."
    assert page.failure_card.text() == "The loss became NaN."
    page.notice.clear()
    card_button(page, "Lower the learning rate").click()
    assert page.run_bar.buttons["start"].property("kind") == "primary"
    assert page.run_bar.buttons["resume"].property("kind") == ""


def test_what_is_no_run_is_told(make_page: MakePage, tmp_path: Path) -> None:
    page = make_page()
    page.open_run(tmp_path / "nothing")
    assert "is not a run" in page.notice.text()


def test_a_run_dropped_as_data_is_opened_as_a_run(make_page: MakePage, tmp_path: Path) -> None:
    page = make_page()
    page.open_data(make_run(tmp_path / "run", STARTED))
    assert page.session.folder is not None
    assert page.set_up.data.path == ""


def test_the_settings_of_a_run_can_be_used_again(make_page: MakePage, tmp_path: Path) -> None:
    recipe = parse_recipe({"train": {"steps": 77}, "model": {"preset": "XS/4"}})
    folder = RunFolder.create(tmp_path / "run", recipe)
    page = make_page()
    page.open_run(folder.path)
    assert "steps = 77" in page.facts.text.toPlainText()
    page.facts.use.click()
    used = page.set_up.recipe()
    assert used is not None
    assert used.train.steps == 77
    assert used.model.preset == "XS/4"
    assert line_edit(page.set_up, "model", "depth").text() == ""


def test_resuming_from_an_older_checkpoint_asks_first(
    make_page: MakePage, qtbot: QtBot, tmp_path: Path, answers: Answers
) -> None:
    path = make_run(tmp_path / "run", STARTED, checkpoints=(100, 200))
    page = make_page()
    page.open_run(path)
    answers.says_yes = False
    oldest = RunFolder(path).checkpoints()[0]
    page.starting.resume(oldest)
    assert answers.questions[0].startswith("Go on from step-0000100? 1 newer checkpoint will be moved")
    assert launcher_of(page).trained == []
    answers.says_yes = True
    launcher_of(page).training = [[RUNNING, threading.Event()]]
    page.starting.resume(oldest)
    assert [checkpoint.name for checkpoint in RunFolder(path).checkpoints()] == ["step-0000100"]
    qtbot.waitUntil(lambda: page.session.state is JobState.RUNNING)


def test_a_run_beside_another_is_asked_about(
    make_page: MakePage, qtbot: QtBot, tmp_path: Path, answers: Answers
) -> None:
    shown = make_run(tmp_path / "shown", STARTED)
    page = make_page()
    page.open_run(shown)
    page.open_data(tmp_path)
    qtbot.waitUntil(page.run_bar.buttons["start"].isEnabled)
    other = RunFolder(make_run(runs_dir() / "other"))
    with other.lock():
        other.write_status(msgspec.structs.replace(other.read_status(), state=JobState.RUNNING))
        press(page, "start")
    assert answers.questions[0].startswith("other is training already on the best device. Two runs on one device")
    assert launcher_of(page).trained == []


def test_a_page_that_closes_leaves_the_run_alone(make_page: MakePage, qtbot: QtBot, tmp_path: Path) -> None:
    page = started_page(make_page, qtbot, tmp_path, [RUNNING, threading.Event()])
    qtbot.waitUntil(lambda: page.session.state is JobState.RUNNING)
    folder = page.session.folder
    assert folder is not None
    page.close_page()
    assert folder.take_command() is None
    assert launcher_of(page).jobs[-1].is_cancelled


# ------------------------------------------------------------------------------------------------- the page itself


def test_typing_is_remembered_by_the_page(make_page: MakePage, qtbot: QtBot) -> None:
    page = make_page()
    type_into(qtbot, line_edit(page.set_up, "train", "steps"), "321")
    again = make_page()
    assert line_edit(again.set_up, "train", "steps").text() == "321"


def test_a_narrow_page_shows_the_right_side_as_a_tab(make_page: MakePage) -> None:
    page = make_page(size=(960, 600))
    page.grab()
    assert [page._tabs.tabText(n) for n in range(page._tabs.count())] == [
        "Curves",
        "Samples and checkpoints",
        "Log",
        "Settings of the run",
    ]
    page.resize(1300, 800)
    page.grab()
    assert page._tabs.count() == 3
    assert page._columns.count == 3
    page.resize(960, 600)
    page.grab()
    assert page._columns.count == 2


def test_the_page_fits_a_small_window(make_page: MakePage) -> None:
    page = make_page(size=(960, 600))
    page.grab()
    needed = page._columns.minimumSizeHint()
    assert needed.width() <= 960 - 16
    assert needed.height() <= 600 - 16
    assert page.minimumSizeHint().width() <= needed.width(), "narrower still, the left column becomes a tab"


def test_warnings_are_counted_in_the_log(make_page: MakePage, qtbot: QtBot, tmp_path: Path, answers: Answers) -> None:
    notices = [Notice(message="Slow.", level="warning", step=9), Notice(message="Fine.")]
    page = started_page(make_page, qtbot, tmp_path, [RUNNING, *notices, threading.Event()])
    qtbot.waitUntil(lambda: "Fine." in page.log.view.toPlainText())
    assert "step 9: warning: Slow." in page.log.view.toPlainText()
    assert "Log (1)" in [page._tabs.tabText(n) for n in range(page._tabs.count())]
    page.log._file.click()
    assert answers.paths[0].name == "log.txt"


def test_every_control_has_a_name_a_tooltip_and_can_be_reached(
    make_page: MakePage, qtbot: QtBot, tmp_path: Path
) -> None:
    page = started_page(make_page, qtbot, tmp_path, [RUNNING, OUT_OF_MEMORY, FAILED])
    qtbot.waitUntil(lambda: not page.failure_card.isHidden())
    controls = [control for control in page.findChildren(QWidget) if _is_control(control)]
    assert len(controls) > 40
    nameless = [control for control in controls if not (control.accessibleName() and control.toolTip())]
    assert nameless == []
    unreachable = [control for control in controls if not control.focusPolicy() & Qt.FocusPolicy.TabFocus]
    assert unreachable == []


def _is_control(widget: QWidget) -> bool:
    kinds = (QAbstractButton, QComboBox, QLineEdit, QPlainTextEdit, QTableView)
    return isinstance(widget, kinds) and not widget.objectName().startswith("qt_") and not _is_internal(widget)


def _is_internal(widget: QWidget) -> bool:
    """A part that Qt makes by itself: a corner, a clear button, a scroller of tabs."""
    names = ("QTableCornerButton", "QLineEditIconButton", "ScrollRight", "ScrollLeft", "QComboBoxPrivateContainer")
    return any(name in (widget.metaObject().className(), widget.objectName()) for name in names) or any(
        name in widget.objectName() for name in ("ScrollLeftButton", "ScrollRightButton")
    )


def test_ctrl_return_makes_failed_checks_again_whatever_tab_is_shown(
    make_page: MakePage, qtbot: QtBot, tmp_path: Path
) -> None:
    launcher = make_launcher()
    passed = launcher.answers["preflight"]
    launcher.answers["preflight"] = [FULL]
    page = make_page(launcher, size=(480, 740))
    with qtbot.waitActive(page):
        page.show()
    page.open_data(tmp_path)
    qtbot.waitUntil(lambda: page.set_up.preflight.has_failed)
    page._tabs.setCurrentWidget(page.log)
    assert not page.set_up.isVisible(), "it is behind another tab"
    launcher.answers["preflight"] = passed
    qtbot.keyClick(page, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(page.run_bar.buttons["start"].isEnabled)
