"""The checks of this folder's conftest catch what they are there to catch."""

from leaks import running_objects
from PySide6.QtCore import QThread, QTimer
from pytestqt.qtbot import QtBot
from scripted import ScriptedJob

from dit_studio.events import Failure, Notice
from dit_studio.ui.bridge import JobThread


def test_an_active_timer_is_seen() -> None:
    timer = QTimer()
    timer.start(100_000)
    assert timer in running_objects()
    timer.stop()
    assert timer not in running_objects()


def test_a_running_thread_is_seen(qtbot: QtBot) -> None:
    thread = QThread()
    thread.start()
    assert thread in running_objects()
    with qtbot.waitSignal(thread.finished):
        thread.quit()
    thread.wait()
    assert thread not in running_objects()


def test_an_exception_in_a_script_becomes_a_failure(qtbot: QtBot) -> None:
    thread = JobThread(ScriptedJob([Notice(message="one"), ValueError("two")]))
    received: list[object] = []
    thread.received.connect(received.extend)
    with qtbot.waitSignal(thread.ended):
        thread.start()
    assert [type(event) for event in received] == [Notice, Failure]
