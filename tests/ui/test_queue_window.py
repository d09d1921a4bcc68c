"""The list of the queue: what it shows, and what is done there."""

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt
from PySide6.QtGui import QDropEvent
from PySide6.QtWidgets import QAbstractItemView, QLabel, QPushButton, QTreeWidgetItem
from pytestqt.qtbot import QtBot
from quiet_queue import Keeper, add_waiting, begin

from dit_studio.jobs.queue import Queue
from dit_studio.jobs.queue_order import QueueEntry
from dit_studio.jobs.run_folder import RunFolder
from dit_studio.places import runs_dir
from dit_studio.ui.queue.status import QueueStatus
from dit_studio.ui.queue.window import QueueWindow
from dit_studio.ui.queue.words import device_words, ordinal, place_of, place_words
from dit_studio.ui.run_watch import RunWatch

Open = Callable[[], QueueWindow]


@pytest.fixture
def keeper() -> Keeper:
    return Keeper()


@pytest.fixture
def open_queue(qtbot: QtBot, keeper: Keeper) -> Iterator[Open]:
    watches: list[RunWatch] = []

    def open_it() -> QueueWindow:
        watches.append(RunWatch(keeper.queue))
        window = QueueWindow(watches[-1])
        qtbot.addWidget(window)
        with qtbot.waitSignal(watches[-1].seen):
            watches[-1].look()
        with qtbot.waitExposed(window):
            window.show()
        return window

    yield open_it
    for watch in watches:
        watch.close()
        qtbot.waitUntil(lambda watch=watch: not watch._job._dropped)  # type: ignore[misc]


def lines(window: QueueWindow) -> list[list[str]]:
    """Every line: the devices, and the columns of the runs under them."""
    result = []
    for number in range(window.tree.topLevelItemCount()):
        branch = window.tree.topLevelItem(number)
        assert branch is not None
        result.append([branch.text(0)])
        result += [_texts(branch.child(place)) for place in range(branch.childCount())]
    return result


def _texts(item: QTreeWidgetItem | None) -> list[str]:
    assert item is not None
    return [item.text(column) for column in range(4)]


def order() -> list[str]:
    return [entry.run[16:] for entry in Queue(runs_dir()).entries()]


def choose(window: QueueWindow, folder: RunFolder) -> None:
    window.tree.select(folder.name)


def test_by_device_what_is_at_work_and_what_waits(open_queue: Open) -> None:
    working, _first = add_waiting("landscapes-B4", device="cuda:0", steps=20_000), add_waiting("one", device="cuda:0")
    add_waiting("both", device="cuda:0,cuda:1", data="flowers")
    last = add_waiting("two", device="cuda:0")
    Queue(runs_dir()).hold(last.name, is_held=True)
    with working.lock():
        begin(working, step=1240, seconds=400.0)
        window = open_queue()
        assert lines(window) == [
            ["cuda:0"],
            ["landscapes-B4", "Running, 1 h 40 min left", "digits", "1,240 / 20,000"],
            ["one", "1", "digits", "100"],
            ["two", "3, held", "digits", "100"],
            ["cuda:0 and cuda:1"],
            ["both", "2", "flowers", "100"],
        ]
        assert window.note.text() == "1 at work, 3 wait."


def test_what_takes_the_best_device_stands_together(open_queue: Open) -> None:
    working = add_waiting("now", device="auto")
    add_waiting("then", device="auto")
    with working.lock():
        begin(working)
        working.write_status(msgspec.structs.replace(working.read_status(), devices=("cpu",)))
        assert [line[0] for line in lines(open_queue())] == ["Best device: cpu", "now", "then"]


def test_an_empty_queue_says_what_to_do(open_queue: Open, qtbot: QtBot) -> None:
    window = open_queue()
    (press,) = [button for button in window.findChildren(QPushButton) if button.text() == "Set up a run"]
    assert press.isVisible()
    with qtbot.waitSignal(window.add_asked):
        press.click()
    assert not window.hold_all.isEnabled()


def test_runs_are_moved_within_their_devices(open_queue: Open, qtbot: QtBot) -> None:
    a, _b, c = add_waiting("a"), add_waiting("b", device="cuda:0"), add_waiting("c")
    window = open_queue()
    choose(window, c)
    assert not window.buttons["down"].isEnabled()
    qtbot.keyClick(window.tree, Qt.Key.Key_Up, Qt.KeyboardModifier.AltModifier)
    assert order() == ["c", "a", "b"]
    qtbot.waitUntil(lambda: not window.buttons["up"].isEnabled())
    assert window.tree.selected().run == c.name, "the selection follows the run"  # type: ignore[union-attr]
    qtbot.keyClick(window.tree, Qt.Key.Key_Down, Qt.KeyboardModifier.AltModifier)
    assert order().index("a") < order().index("c")
    assert a.name != c.name


@pytest.mark.parametrize(("run", "target", "below", "result"), [(3, 1, False, "adbc"), (0, 2, True, "bcad")])
def test_a_run_is_dropped_where_it_should_stand(
    open_queue: Open, monkeypatch: pytest.MonkeyPatch, run: int, target: int, below: bool, result: str
) -> None:
    folders = [add_waiting(name) for name in "abcd"]
    window = open_queue()
    choose(window, folders[run])
    positions = QAbstractItemView.DropIndicatorPosition
    monkeypatch.setattr(
        window.tree, "dropIndicatorPosition", lambda: positions.BelowItem if below else positions.AboveItem
    )
    branch = window.tree.topLevelItem(0)
    assert branch is not None
    window.tree.dropEvent(_drop_at(window.tree.visualItemRect(branch.child(target)).center()))
    assert order() == list(result)


def _drop_at(point: QPoint) -> QDropEvent:
    return QDropEvent(
        QPointF(point), Qt.DropAction.MoveAction, QMimeData(), Qt.MouseButton.LeftButton, Qt.KeyboardModifier(0)
    )


def test_a_drop_beside_the_runs_changes_nothing(open_queue: Open) -> None:
    a = add_waiting("a")
    add_waiting("b")
    window = open_queue()
    choose(window, a)
    window.tree.dropEvent(_drop_at(QPoint(50, 400)))
    assert order() == ["a", "b"]


def test_a_run_is_held_and_released(open_queue: Open, qtbot: QtBot, keeper: Keeper) -> None:
    a = add_waiting("a")
    window = open_queue()
    choose(window, a)
    qtbot.keyClick(window.tree, Qt.Key.Key_H)
    qtbot.waitUntil(lambda: window.buttons["hold"].text() == "Release")
    assert Queue(runs_dir()).entries()[0].is_held
    assert keeper.asked == 0
    window.buttons["hold"].click()
    qtbot.waitUntil(lambda: window.buttons["hold"].text() == "Hold")
    assert not Queue(runs_dir()).entries()[0].is_held
    assert keeper.asked == 1, "what may start again needs the process that starts it"


def test_all_are_held_and_released(open_queue: Open, qtbot: QtBot) -> None:
    add_waiting("a")
    add_waiting("b", device="cuda:0")
    window = open_queue()
    window.hold_all.click()
    qtbot.waitUntil(lambda: window.hold_all.text() == "Release all")
    assert all(entry.is_held for entry in Queue(runs_dir()).entries())
    window.hold_all.click()
    qtbot.waitUntil(lambda: window.hold_all.text() == "Hold all")
    assert not any(entry.is_held for entry in Queue(runs_dir()).entries())


def test_a_run_is_removed_and_its_folder_stays(open_queue: Open, qtbot: QtBot) -> None:
    a = add_waiting("a")
    add_waiting("b")
    window = open_queue()
    choose(window, a)
    qtbot.keyClick(window.tree, Qt.Key.Key_Delete)
    qtbot.waitUntil(lambda: [line[0] for line in lines(window)] == ["cpu", "b"])
    assert a.is_run()
    assert order() == ["b"]


def test_the_keys_pass_over_the_headings(open_queue: Open, qtbot: QtBot) -> None:
    a, b = add_waiting("a"), add_waiting("b", device="cuda:0")
    window = open_queue()
    choose(window, a)
    for key, folder in (
        (Qt.Key.Key_Up, a), (Qt.Key.Key_Down, b), (Qt.Key.Key_Down, b), (Qt.Key.Key_Home, a), (Qt.Key.Key_End, b),
        (Qt.Key.Key_Up, a),
    ):  # fmt: skip
        qtbot.keyClick(window.tree, key)
        line = window.tree.selected()
        assert line is not None
        assert line.run == folder.name
        assert window.buttons["remove"].isEnabled()
    heading = window.tree.topLevelItem(1)
    assert heading is not None
    place = window.tree.visualItemRect(heading).center()
    qtbot.mouseClick(window.tree.viewport(), Qt.MouseButton.LeftButton, pos=place)
    line = window.tree.selected()
    assert line is not None
    assert line.run == a.name


def test_after_a_removal_the_next_is_selected(open_queue: Open, qtbot: QtBot) -> None:
    folders = [add_waiting(name) for name in "abc"]
    window = open_queue()
    window.activateWindow()
    choose(window, folders[1])
    for left, selected in ((["a", "c"], folders[2]), (["a"], folders[0])):
        window.buttons["remove"].setFocus()
        window.buttons["remove"].click()
        qtbot.waitUntil(lambda left=left: [line[0] for line in lines(window)] == ["cpu", *left])  # type: ignore[misc]
        line = window.tree.selected()
        assert line is not None
        assert line.run == selected.name
        assert window.focusWidget() is window.tree


def test_the_selection_follows_a_run_that_begins(open_queue: Open, qtbot: QtBot) -> None:
    folders = [add_waiting(name) for name in "abc"]
    window = open_queue()
    choose(window, folders[2])
    with folders[2].lock():
        begin(folders[2])
        window._watch.look()
        qtbot.waitUntil(lambda: "Running" in lines(window)[1][1])
        line = window.tree.selected()
        assert line is not None
        assert line.run == folders[2].name


def test_another_window_changes_the_list(open_queue: Open, qtbot: QtBot) -> None:
    a, b = add_waiting("a"), add_waiting("b")
    window = open_queue()
    choose(window, b)
    Queue(runs_dir()).remove(a.name)
    window._watch.look()
    qtbot.waitUntil(lambda: [line[0] for line in lines(window)] == ["cpu", "b"])
    Queue(runs_dir()).remove(b.name)
    window.buttons["remove"].click()
    qtbot.waitUntil(lambda: lines(window) == [])
    assert not window.buttons["remove"].isEnabled()


def test_a_run_is_opened_or_started(open_queue: Open, qtbot: QtBot) -> None:
    a = add_waiting("a")
    window = open_queue()
    choose(window, a)
    opened: list[Path] = []
    window.open_asked.connect(opened.append)
    window.start_asked.connect(opened.append)
    qtbot.keyClick(window.tree, Qt.Key.Key_Return)
    window.buttons["start"].click()
    assert opened == [a.path, a.path]


def test_what_is_at_work_is_only_opened(open_queue: Open) -> None:
    a = add_waiting("a")
    with a.lock():
        begin(a)
        window = open_queue()
        assert [key for key, press in window.buttons.items() if press.isEnabled()] == ["open"]


def test_a_process_that_is_gone_is_said_and_started_again(open_queue: Open, qtbot: QtBot, keeper: Keeper) -> None:
    add_waiting("a")
    keeper.is_alive = False
    window = open_queue()
    said = "\n".join(label.text() for label in window.findChildren(QLabel) if label.isVisible())
    assert "Nothing starts what waits" in said
    (go,) = [button for button in window.findChildren(QPushButton) if button.text() == "Go on" and button.isVisible()]
    go.click()
    qtbot.waitUntil(window._problem.isHidden)
    assert keeper.asked == 1


def test_the_status_bar_says_how_many_wait(qtbot: QtBot, open_queue: Open, keeper: Keeper) -> None:
    status = QueueStatus()
    qtbot.addWidget(status)
    add_waiting("a")
    add_waiting("b")
    window = open_queue()
    status.show_seen(window._seen, is_given_up=False)
    assert (status.text(), status.property("level")) == ("queue 2", "")
    keeper.is_alive = False
    with qtbot.waitSignal(window._watch.seen):
        window._watch.look()
    status.show_seen(window._seen, is_given_up=False)
    assert status.property("level") == "", "it is tried again"
    status.show_seen(window._seen, is_given_up=True)
    assert status.property("level") == "error"
    assert "Nothing starts what waits." in status.toolTip()


def test_places_and_devices_in_words() -> None:
    assert [ordinal(place) for place in (1, 2, 10, 11, 12, 21, 22, 101, 111)] == [
        "first", "second", "tenth", "11th", "12th", "21st", "22nd", "101st", "111th",
    ]  # fmt: skip
    assert device_words(("cuda:0", "cuda:1", "cuda:2")) == "cuda:0, cuda:1 and cuda:2"
    assert device_words(("auto",)) == "the best device"
    entries = [
        QueueEntry(run="a", devices=("cuda:0",)),
        QueueEntry(run="b", devices=("cuda:1",)),
        QueueEntry(run="c", devices=("cuda:0", "cuda:1"), is_held=True),
    ]
    assert [place_of(run, entries) for run in "abcd"] == [1, 1, 3, 0]
    assert place_of("b", [QueueEntry(run="a", devices=("auto",)), QueueEntry(run="b", devices=("cuda:0",))]) == 2
    assert place_words("b", entries) == "first in the queue for cuda:1"
    assert place_words("c", entries) == "third in the queue for cuda:0 and cuda:1, held"
    assert place_words("d", entries) == ""
