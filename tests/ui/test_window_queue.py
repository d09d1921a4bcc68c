"""The window, its runs and their queue: the status bar, the badge, notifications, closing."""

import socket
import time
from collections.abc import Callable

import msgspec
import pytest
from placeholder import PlaceholderPage
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QCheckBox, QMessageBox, QPushButton, QSystemTrayIcon, QToolButton, QWidget
from pytestqt.qtbot import QtBot
from quiet_queue import Keeper, NotedNotifications, add_waiting, begin, end
from scripted import ScriptedLauncher

from dit_studio.events import Command, Failure, JobState
from dit_studio.jobs.queue import WINDOW_LOCK
from dit_studio.jobs.run_folder import RunFolder, Status
from dit_studio.locks import is_locked
from dit_studio.places import runs_dir
from dit_studio.ui.closing import CloseChoice, GoingOn, ask_about_runs, explanation, headline
from dit_studio.ui.main_window import MainWindow
from dit_studio.ui.notifications import Notifications
from dit_studio.ui.queue.keeping import QueueKeeping
from dit_studio.ui.run_watch import RunMemory, RunsSeen
from dit_studio.ui.settings import Settings


class Person:
    """Answers the question that closing asks, and notes what it was about."""

    def __init__(self) -> None:
        self.answer = CloseChoice.CANCEL
        self.asked: list[GoingOn] = []

    def ask(self, _window: QWidget, going_on: GoingOn) -> CloseChoice:
        self.asked.append(going_on)
        return self.answer


@pytest.fixture
def person() -> Person:
    return Person()


@pytest.fixture
def keeper() -> Keeper:
    return Keeper()


@pytest.fixture
def said() -> NotedNotifications:
    return NotedNotifications()


@pytest.fixture
def page() -> PlaceholderPage:
    return PlaceholderPage()


Open = Callable[[], MainWindow]


@pytest.fixture
def open_window(
    qtbot: QtBot, settings: Settings, person: Person, keeper: Keeper, said: NotedNotifications, page: PlaceholderPage
) -> Open:
    def open_it() -> MainWindow:
        window = MainWindow(
            settings,
            ScriptedLauncher(),  # type: ignore[arg-type]
            make_train_page=lambda *_: page,
            ask=person.ask,
            make_queue=keeper.queue,
            notifications=said,
        )
        qtbot.addWidget(window, before_close_func=lambda _window: setattr(person, "answer", CloseChoice.KEEP_RUNNING))
        with qtbot.waitSignal(window._watch.seen), qtbot.waitExposed(window):
            window.show()
        return window

    return open_it


def look(window: MainWindow, qtbot: QtBot) -> None:
    with qtbot.waitSignal(window._watch.seen):
        window._watch.look()


def press_named(window: QWidget, name: str) -> QToolButton:
    return next(button for button in window.findChildren(QToolButton) if button.accessibleName() == name)


def working_run(name: str, *, step: int = 1240, seconds: float = 400.0) -> RunFolder:
    folder = add_waiting(name, steps=20_000)
    begin(folder, step=step, seconds=seconds)
    return folder


# ------------------------------------------------------------------------------------------------- the queue


def test_the_status_bar_leads_to_the_queue(open_window: Open, qtbot: QtBot, page: PlaceholderPage) -> None:
    folder = add_waiting("a")
    add_waiting("b")
    window = open_window()
    press = press_named(window, "Queue")
    assert press.text() == "queue 2"
    press.click()
    queue = window._queue.window
    assert queue is not None
    assert queue.isVisible()
    queue.tree.select(folder.name)
    queue.buttons["open"].click()
    assert (page.calls, queue.isVisible()) == ([("open_run", folder.path)], False)
    qtbot.keyClick(window, Qt.Key.Key_J, Qt.KeyboardModifier.ControlModifier)
    assert queue.isVisible()
    queue.buttons["start"].click()
    assert page.calls[-1] == ("start_queued", folder.path)


def test_the_runs_page_leads_to_the_queue(open_window: Open) -> None:
    window = open_window()
    window.show_page("runs")
    (press,) = [button for button in window.page("runs").findChildren(QPushButton) if button.text() == "Queue"]
    press.click()
    assert window._queue.window is not None
    assert window._queue.window.isVisible()


def test_what_starts_the_runs_is_started_again_a_few_times_before_the_alarm() -> None:
    root, keeper, now = runs_dir(), Keeper(), [1000.0]
    add_waiting("a")
    keeping = QueueKeeping(lambda: keeper.queue(root), clock=lambda: now[0])
    refusals: list[Failure] = []
    keeping.refused.connect(refusals.append)
    gone = RunsSeen(waiting=RunMemory(root, keeper.queue(root)).look().waiting, is_kept=False)
    asked = []
    for _ in range(200):
        keeping.note(gone)
        asked.append(keeper.asked)
        now[0] += 1.0
    assert [asked.index(tries) for tries in (1, 2, 3, 4)] == [0, 5, 20, 65]
    assert (asked[-1], keeping.has_given_up) == (4, True)
    keeping.note(RunsSeen(is_kept=True))
    assert not keeping.has_given_up, "somebody started it, and it has lived for minutes"
    keeping.note(gone)
    assert keeper.asked == 5


@pytest.mark.parametrize("is_held", [False, True])
def test_what_waits_when_the_window_opens_is_kept_going(open_window: Open, keeper: Keeper, *, is_held: bool) -> None:
    keeper.is_alive = False
    folder = add_waiting("a")
    keeper.queue(runs_dir()).hold(folder.name, is_held=is_held)
    open_window()
    assert keeper.asked == (0 if is_held else 1)


def test_the_lock_is_let_go_when_the_window_closes(open_window: Open, said: NotedNotifications) -> None:
    runs_dir().mkdir()
    window = open_window()
    assert is_locked(runs_dir() / WINDOW_LOCK)
    assert window.close()
    assert not is_locked(runs_dir() / WINDOW_LOCK)
    assert said.is_closed


# ------------------------------------------------------------------------------------------------- ends


def test_a_failure_is_told_and_counted_until_the_runs_are_seen(
    open_window: Open, qtbot: QtBot, said: NotedNotifications
) -> None:
    folder = working_run("flowers")
    with folder.lock():
        window = open_window()
        end(folder, JobState.FAILED, "The loss is NaN.")
        look(window, qtbot)
    assert said.told == [("flowers has failed", "The loss is NaN. Step 1,240 of 20,000, last loss 0.2500.", True)]
    runs = press_named(window, "Runs")
    assert runs.accessibleDescription() == "1 ended since you looked, not all of them well."
    window.show_page("runs")
    assert runs.accessibleDescription() == ""
    assert said.counts == [1, 0]


def test_unseen_ends_outlive_the_window(open_window: Open, qtbot: QtBot) -> None:
    folder = working_run("flowers")
    with folder.lock():
        window = open_window()
        end(folder, JobState.FAILED)
        look(window, qtbot)
    assert window.close()
    again = open_window()
    assert press_named(again, "Runs").accessibleDescription() == "1 ended since you looked, not all of them well."
    again.show_page("runs")
    assert again.close()
    assert press_named(open_window(), "Runs").accessibleDescription() == ""


def test_the_status_bar_tells_of_a_run_that_is_not_shown(
    open_window: Open, qtbot: QtBot, page: PlaceholderPage
) -> None:
    folder = working_run("landscapes")
    with folder.lock():
        window = open_window()
        assert window._run_status.text() == "landscapes  running · step 1,240 / 20,000"
        page.runs = True
        page.status_changed.emit("other  running")
        assert window._run_status.text() == "other  running"
        page.runs = False
    end(folder, JobState.STOPPED)
    page.status_changed.emit("")
    look(window, qtbot)
    assert window._run_status.text() == "no run in progress"


def test_of_the_run_in_view_its_finish_is_not_told(
    open_window: Open, qtbot: QtBot, said: NotedNotifications, page: PlaceholderPage
) -> None:
    folder = working_run("flowers")
    page.run = folder.path
    with folder.lock():
        window = open_window()
        window.activateWindow()
        qtbot.waitUntil(window.isActiveWindow)
        end(folder, JobState.FINISHED)
        look(window, qtbot)
    assert (said.told, said.counts) == ([], [])


def test_the_setting_turns_notifications_off(open_window: Open, settings: Settings) -> None:
    window = open_window()
    (box,) = [box for box in window.page("settings").findChildren(QCheckBox) if box.text() == "Tell when a run ends"]
    assert box.isChecked()
    box.click()
    assert not settings.now.tells_ends


def test_a_notification_goes_through_the_tray_where_there_is_one(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[tuple[object, ...]] = []
    monkeypatch.setattr(QSystemTrayIcon, "isSystemTrayAvailable", lambda: True)
    monkeypatch.setattr(QSystemTrayIcon, "supportsMessages", lambda: True)
    monkeypatch.setattr(QSystemTrayIcon, "show", lambda _tray: None)  # there is none
    monkeypatch.setattr(QSystemTrayIcon, "hide", lambda _tray: None)
    monkeypatch.setattr(QSystemTrayIcon, "showMessage", lambda _tray, *words: shown.append(words))
    window = QWidget()
    qtbot.addWidget(window)
    notifications = Notifications(window)
    notifications.tell("a has failed", "No memory.", is_failure=True)
    assert [words[:3] for words in shown] == [("a has failed", "No memory.", QSystemTrayIcon.MessageIcon.Critical)]
    notifications.close()


def test_without_a_tray_the_window_asks_for_attention(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    alerted: list[QWidget] = []
    monkeypatch.setattr(QSystemTrayIcon, "isSystemTrayAvailable", lambda: False)
    monkeypatch.setattr(QApplication, "alert", alerted.append)
    window = QWidget()
    qtbot.addWidget(window)
    notifications = Notifications(window)
    notifications.tell("a has finished", "", is_failure=False)
    assert alerted == [window]
    notifications.close()


# ------------------------------------------------------------------------------------------------- closing


def test_closing_names_every_run_that_goes_on(open_window: Open, person: Person, page: PlaceholderPage) -> None:
    shown, other = working_run("landscapes-B4"), working_run("flowers", step=3, seconds=0.0)
    add_waiting("next")
    held = add_waiting("held")
    Keeper().queue(runs_dir()).hold(held.name, is_held=True)
    page.runs, page.run = True, shown.path
    with shown.lock(), other.lock():
        window = open_window()
        assert not window.close()
        assert person.asked == [
            GoingOn(
                shown="landscapes-B4 (step 1,240 of 20,000, 1 h 40 min left)",
                others=("flowers (step 3 of 20,000)",),
                waiting=1,
            )
        ]
        page.runs, person.answer = False, CloseChoice.KEEP_RUNNING
        assert window.close()
        assert person.asked[1].shown == ""
        assert len(person.asked[1].others) == 2, "a run that the queue started and nobody shows is counted too"


def test_a_run_that_is_not_shown_is_stopped_before_the_window_closes(
    open_window: Open, person: Person, page: PlaceholderPage, qtbot: QtBot
) -> None:
    folder = working_run("queued")
    page.run, person.answer = RunFolder(runs_dir() / "ended").path, CloseChoice.STOP
    with folder.lock():
        window = open_window()
        assert not window.close()
        assert folder.take_command() is Command.STOP
        assert page.calls == []
        with qtbot.waitSignal(window.closed):
            end(folder, JobState.STOPPED)


def test_a_run_that_another_machine_begins_is_not_asked_about(open_window: Open, person: Person) -> None:
    folder = add_waiting("far")
    folder.write_status(Status(state=JobState.PREPARING, heartbeat=time.time(), steps=9))
    window = open_window()
    assert [run.title for run in window._watch.newest.at_work] == ["far"]
    assert window.close()
    assert person.asked == []


def test_a_run_of_another_machine_is_not_asked_about(open_window: Open, person: Person) -> None:
    folder = working_run("far")
    status = folder.read_status()
    folder.write_status(msgspec.structs.replace(status, host=f"not-{socket.gethostname()}", heartbeat=status.started))
    window = open_window()
    assert [run.title for run in window._watch.newest.at_work] == ["far"]
    assert window.close()
    assert person.asked == []


def test_the_question_in_words() -> None:
    shown = GoingOn(shown="a (step 1 of 9)", others=("b (step 2 of 9)",), waiting=2)
    assert headline(shown) == "A training run goes on: a (step 1 of 9)."
    assert explanation(shown) == (
        "It can go on without the window; you will find it under Runs. Whatever you choose, b (step 2 of 9) will go on "
        "without the window. 2 runs wait in the queue. They start without the window, too."
    )
    assert headline(GoingOn(others=tuple("abcde"))) == "a, b, c and 2 more go on."
    assert explanation(GoingOn(others=("a",))) == "It can go on without the window; you will find it under Runs."
    assert headline(GoingOn(waiting=1)) == "1 run waits in the queue."
    assert explanation(GoingOn(waiting=1)) == "It starts without the window, too."
    assert explanation(GoingOn(shown="a", can_keep_running=False)).startswith("It trains inside this window's process")
    assert not GoingOn()


@pytest.mark.parametrize(
    ("going_on", "answers"),
    [
        (GoingOn(shown="a", waiting=1), ["Keep running", "Stop and save", "Cancel"]),
        (GoingOn(shown="a", can_keep_running=False), ["Stop and save", "Cancel"]),
        (GoingOn(others=("a",)), ["Keep running", "Stop and save", "Cancel"]),
        (GoingOn(others=("a", "b")), ["Keep running", "Stop and save all", "Cancel"]),
        (GoingOn(waiting=2, can_keep_running=False), ["Close", "Cancel"]),
    ],
)
def test_the_answers_are_those_that_are_possible(
    qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, going_on: GoingOn, answers: list[str]
) -> None:
    seen: list[str] = []
    monkeypatch.setattr(QMessageBox, "exec", lambda box: seen.extend(button.text() for button in box.buttons()))
    parent = QWidget()
    qtbot.addWidget(parent)
    assert ask_about_runs(parent, going_on) is CloseChoice.CANCEL
    assert sorted(seen) == sorted(answers)
