"""Playing, looping and the speed, tick by tick."""

from collections.abc import Iterator

import pytest
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from dit_studio.ui.sample.playback import SPEEDS, Playback
from dit_studio.ui.sample.playback_bar import PlaybackBar


@pytest.fixture
def playback(qapp: QApplication) -> Iterator[Playback]:
    result = Playback(qapp)
    result.last = 4
    yield result
    result.pause()
    result.deleteLater()


def _tick(playback: Playback, times: int = 1) -> None:
    timer = playback.findChild(QTimer)
    assert timer is not None
    for _ in range(times):
        timer.timeout.emit()


def test_it_goes_to_the_end_and_stops(playback: Playback) -> None:
    playback.play()
    _tick(playback, 3)
    assert (playback.step, playback.is_playing) == (4, True)
    _tick(playback)
    assert (playback.step, playback.is_playing) == (4, False)


def test_at_the_end_it_plays_again_from_the_beginning(playback: Playback) -> None:
    playback.step = 4
    seen: list[int] = []
    playback.moved.connect(seen.append)
    playback.toggle()
    assert (seen, playback.is_playing) == ([1], True)
    playback.toggle()
    assert not playback.is_playing


def test_a_loop_holds_the_last_step_and_begins_anew(playback: Playback) -> None:
    playback.set_loops(True)
    playback.play()
    _tick(playback, 3 + 14)
    assert playback.step == 4
    _tick(playback)
    assert playback.step == 1
    playback.pause()


def test_speeds_stay_between_the_slowest_and_the_fastest(playback: Playback) -> None:
    for _ in range(20):
        playback.change_speed(1)
    assert playback.frames_per_second == SPEEDS[-1] == 60
    for _ in range(20):
        playback.change_speed(-1)
    assert playback.frames_per_second == SPEEDS[0] == 5


def test_one_step_is_not_played(playback: Playback) -> None:
    playback.last = 1
    playback.play()
    assert not playback.is_playing


def test_the_bar_says_what_it_does(qtbot: QtBot) -> None:
    playback = Playback()
    playback.last = 4
    bar = PlaybackBar(playback)
    qtbot.addWidget(bar)
    assert bar.play.accessibleName() == "Play"
    bar.play.click()
    assert (playback.is_playing, bar.play.accessibleName()) == (True, "Pause")
    bar.play.click()
    bar.loop.click()
    assert playback.loops
    bar.speed.setCurrentIndex(0)
    bar.speed.activated.emit(0)
    assert playback.frames_per_second == SPEEDS[0]
