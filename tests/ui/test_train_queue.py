"""The queue on the Train page: adding, starting beside others, a run that waits and then begins."""

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot
from quiet_queue import Keeper, add_waiting, begin, end
from scripted import ScriptedLauncher
from test_session import make_run
from test_set_up import line_edit, make_launcher, type_into

from dit_studio.events import CaughtUp, JobState, StateChanged
from dit_studio.jobs.queue import Queue
from dit_studio.jobs.run_folder import RunFolder
from dit_studio.places import runs_dir
from dit_studio.ui.run_watch import RunMemory
from dit_studio.ui.settings import Settings
from dit_studio.ui.train import set_up
from dit_studio.ui.train.dialogs import Dialogs
from dit_studio.ui.train.page import TrainPage
from dit_studio.ui.train.queueing import BESIDE, TO_QUEUE

RUNNING = StateChanged(state=JobState.RUNNING)
STOPPED = StateChanged(state=JobState.STOPPED, step=100)


class Person:
    """Answers what the page asks, and notes it."""

    def __init__(self) -> None:
        self.answer = ""
        self.asked: list[tuple[str, tuple[str, ...]]] = []

    def choose(self, question: str, answers: Sequence[str]) -> str:
        self.asked.append((question, tuple(answers)))
        return self.answer


@pytest.fixture
def person() -> Person:
    return Person()


@pytest.fixture
def keeper() -> Keeper:
    return Keeper()


MakePage = Callable[[], TrainPage]


@pytest.fixture
def make_page(
    qtbot: QtBot, settings: Settings, person: Person, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> Iterator[MakePage]:
    monkeypatch.setattr(set_up, "PREFLIGHT_DELAY_MS", 0)
    pages: list[TrainPage] = []

    def make() -> TrainPage:
        dialogs = Dialogs(choose=person.choose)
        pages.append(TrainPage(settings, make_launcher(), dialogs=dialogs, make_queue=keeper.queue))
        qtbot.addWidget(pages[-1])
        pages[-1].resize(1216, 740)
        return pages[-1]

    yield make
    for page in pages:
        page.close_page()


@pytest.fixture
def ready(make_page: MakePage, qtbot: QtBot, tmp_path: Path) -> TrainPage:
    """A page on which Start is possible."""
    page = make_page()
    images = tmp_path / "landscapes"
    images.mkdir()
    page.open_data(images)
    qtbot.waitUntil(page.run_bar.buttons["start"].isEnabled)
    return page


def launcher_of(page: TrainPage) -> ScriptedLauncher:
    launcher = page.session._launcher
    assert isinstance(launcher, ScriptedLauncher)
    return launcher


def press(page: TrainPage, key: str) -> None:
    button = page.run_bar.buttons[key]
    assert button.isVisibleTo(page), f"{key} is hidden"
    assert button.isEnabled(), f"{key} is off"
    button.click()


def waiting() -> list[str]:
    return [entry.run for entry in Queue(runs_dir()).entries()]


def look(page: TrainPage) -> None:
    """What the window's watch would tell the page now."""
    page.show_queue(RunMemory(runs_dir(), Keeper().queue(runs_dir())).look())


def test_the_settings_are_frozen_when_a_run_is_added(ready: TrainPage, keeper: Keeper, qtbot: QtBot) -> None:
    type_into(qtbot, line_edit(ready.set_up, "train", "steps"), "321")
    qtbot.waitUntil(ready.run_bar.buttons["queue"].isEnabled)
    press(ready, "queue")
    assert ready.run_bar.note == "landscapes is first in the queue for the best device."
    assert keeper.asked == 1
    type_into(qtbot, line_edit(ready.set_up, "train", "steps"), "7")
    qtbot.waitUntil(ready.run_bar.buttons["queue"].isEnabled)
    press(ready, "queue")
    assert ready.run_bar.note.endswith("is second in the queue for the best device.")
    assert [Queue(runs_dir()).folder(run).recipe().train.steps for run in waiting()] == [321, 7]
    assert launcher_of(ready).trained == [], "the queue's own process starts them"


def test_the_key_adds_too_and_the_window_hears_of_it(ready: TrainPage, qtbot: QtBot) -> None:
    with qtbot.waitExposed(ready):
        ready.show()
    ready.activateWindow()
    keys = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier
    with qtbot.waitSignal(ready.queue_changed):
        qtbot.keyClick(ready, Qt.Key.Key_Return, keys)
    assert len(waiting()) == 1


def test_adding_is_off_for_the_reason_that_start_is(make_page: MakePage) -> None:
    page = make_page()
    press_queue = page.run_bar.buttons["queue"]
    assert press_queue.isVisibleTo(page)
    assert not press_queue.isEnabled()
    assert "open a folder of images first" in press_queue.toolTip()


def test_a_run_is_added_while_another_is_at_work(ready: TrainPage, qtbot: QtBot) -> None:
    launcher_of(ready).training = [[RUNNING, threading.Event()]]
    press(ready, "start")
    qtbot.waitUntil(lambda: ready.session.state is JobState.RUNNING)
    press(ready, "queue")
    assert len(waiting()) == 1


@pytest.mark.parametrize("answer", [TO_QUEUE, BESIDE, ""])
def test_where_the_device_is_busy_start_asks(ready: TrainPage, person: Person, answer: str) -> None:
    other, person.answer = RunFolder(make_run(runs_dir() / "other")), answer
    launcher_of(ready).training = [[RUNNING, threading.Event()]]
    with other.lock():
        begin(other)
        press(ready, "start")
    ((question, answers),) = person.asked
    assert "other is training already" in question
    assert answers == (TO_QUEUE, BESIDE), "the first is the one that Return takes"
    assert len(waiting()) == (answer == TO_QUEUE)
    assert len(launcher_of(ready).trained) == (answer == BESIDE)


def test_a_run_on_another_device_is_no_reason_to_ask(ready: TrainPage, person: Person, qtbot: QtBot) -> None:
    other = add_waiting("other", device="cuda:1")
    ready.set_up.change({"train": {"device": "cpu"}})
    launcher_of(ready).training = [[RUNNING, threading.Event()]]
    with other.lock():
        begin(other)
        qtbot.waitUntil(ready.run_bar.buttons["start"].isEnabled)
        press(ready, "start")
    assert person.asked == []
    assert len(launcher_of(ready).trained) == 1


def test_a_run_that_waits_shows_its_place_and_is_followed_once_it_begins(make_page: MakePage, qtbot: QtBot) -> None:
    page = make_page()
    add_waiting("first")
    folder = add_waiting("second")
    page.open_run(folder.path)
    assert page.session.state is JobState.QUEUED
    assert page.run_bar._pill.text() == "Queued"
    look(page)
    assert page.run_bar._line.text() == "It is second in the queue for cpu."
    with folder.lock():
        begin(folder)
        launcher_of(page).following = [[RUNNING, threading.Event()]]
        look(page)
        qtbot.waitUntil(lambda: page.session.state is JobState.RUNNING)
    assert launcher_of(page).followed[-1].path == folder.path


def test_where_no_run_is_shown_the_one_that_begins_is(make_page: MakePage, qtbot: QtBot) -> None:
    page, folder = make_page(), add_waiting("night")
    look(page)
    assert page.shown_run() is None
    with folder.lock():
        begin(folder)
        launcher_of(page).following = [[RUNNING, threading.Event()]]
        look(page)
        assert page.shown_run() == folder.path
        qtbot.waitUntil(lambda: page.session.state is JobState.RUNNING)


@pytest.mark.parametrize(("key", "answer"), [("start", BESIDE), ("start", ""), ("queue", TO_QUEUE), ("queue", "")])
def test_beside_a_finder_a_run_is_asked_about(
    ready: TrainPage, person: Person, qtbot: QtBot, key: str, answer: str
) -> None:
    launcher_of(ready).answers["find_batch_size"] = [threading.Event()]
    launcher_of(ready).training = [[RUNNING, threading.Event()]]
    dialog = ready.set_up.training.finders.find_batch()
    dialog.bar.start.click()
    qtbot.waitUntil(lambda: dialog.bar.is_running)
    person.answer = answer
    press(ready, key)
    ((question, answers),) = person.asked
    assert question.startswith("The batch size is being looked for")
    assert answers == ((BESIDE,) if key == "start" else (TO_QUEUE,))
    assert len(launcher_of(ready).trained) == (answer == BESIDE)
    assert len(waiting()) == (answer == TO_QUEUE)
    dialog.close()


def test_a_finder_hears_of_a_run_that_has_begun_beside_it(ready: TrainPage) -> None:
    launcher_of(ready).answers["find_batch_size"] = [threading.Event()]
    dialog = ready.set_up.training.finders.find_batch()
    dialog.bar.start.click()
    folder = add_waiting("night")
    with folder.lock():
        begin(folder)
        look(ready)
    assert dialog.bar.message.text().startswith("night has begun beside this")
    dialog.close()


def test_a_run_leaves_the_queue_by_its_bar(make_page: MakePage) -> None:
    page, folder = make_page(), add_waiting("a")
    page.open_run(folder.path)
    press(page, "remove")
    assert waiting() == []
    assert page.session.state is JobState.IDLE
    assert page.run_bar.note.startswith("a is out of the queue; its folder and settings stay.")
    assert folder.is_run()


def test_a_run_that_waits_is_started_at_once(make_page: MakePage, qtbot: QtBot, person: Person) -> None:
    page, folder = make_page(), add_waiting("a")
    launcher_of(page).training = [[CaughtUp(), RUNNING, threading.Event()]]
    page.start_queued(folder.path)
    qtbot.waitUntil(lambda: page.session.state is JobState.RUNNING)
    assert (waiting(), person.asked) == ([], [])
    assert [(run.path, resume) for run, resume in launcher_of(page).trained] == [(folder.path, False)]


def test_starting_at_once_beside_another_is_asked_about(make_page: MakePage, person: Person) -> None:
    page, busy, folder = make_page(), add_waiting("busy"), add_waiting("a")
    with busy.lock():
        begin(busy)
        page.start_queued(folder.path)
    assert [answers for _, answers in person.asked] == [(BESIDE,)]
    assert waiting() == [folder.name]


def test_a_run_that_somebody_else_took_is_not_started_twice(make_page: MakePage) -> None:
    page, folder = make_page(), add_waiting("a")
    page.open_run(folder.path)
    Queue(runs_dir()).remove(folder.name)
    press(page, "now")
    assert page.notice.text() == "a waits no longer."
    assert launcher_of(page).trained == []


def test_a_run_that_ended_early_goes_on_in_the_queue(make_page: MakePage, qtbot: QtBot) -> None:
    path = make_run(runs_dir() / "a", RUNNING, STOPPED, checkpoints=(100,))
    page = make_page()
    page.open_run(path)
    qtbot.waitUntil(lambda: page.session.state is JobState.STOPPED)
    (later,) = page.run_bar.buttons["resume"].actions()
    later.trigger()
    assert waiting() == ["a"]
    assert Queue(runs_dir()).entries()[0].resume
    assert page.run_bar.note.startswith("a is first in the queue for the best device.")
    qtbot.waitUntil(lambda: not page.session._job.is_running)
    assert page.session.state is JobState.QUEUED, "what it said before is history"


def test_of_several_runs_at_work_the_newest_is_shown_and_the_others_are_counted(
    make_page: MakePage, qtbot: QtBot
) -> None:
    runs = [add_waiting(name, device=f"cuda:{number}") for number, name in enumerate(("old", "middle", "new"))]
    with runs[0].lock(), runs[1].lock(), runs[2].lock():
        for number, run in enumerate(runs):
            begin(run, age=10.0 - number)
        page = make_page()
        qtbot.waitUntil(lambda: page.shown_run() is not None)
        assert page.shown_run() == runs[2].path
        assert page.notice.text().startswith("2 more runs are at work")
    for run in runs:
        end(run, JobState.STOPPED)
