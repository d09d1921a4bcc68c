"""The centre of the Sample page, driven as a user does: click, drag, keys, and a film that grows meanwhile."""

from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel, QLineEdit, QSplitter, QVBoxLayout, QWidget
from pytestqt.qtbot import QtBot
from sample_films import Drawing, film_of, gradients, started

from dit_studio.ui import theme
from dit_studio.ui.benchmark_scrubbing import measure_scrubbing
from dit_studio.ui.sample.film import JoinedFilm, KeptFilm
from dit_studio.ui.sample.frames import Frames
from dit_studio.ui.sample.stage import Stage
from dit_studio.ui.shortcuts import ShortcutSheet

STEPS, IMAGES = 20, 6


@pytest.fixture
def stage(qtbot: QtBot) -> Stage:
    result = Stage()
    qtbot.addWidget(result)
    result.resize(720, 720)
    result.show_film(film_of(gradients(IMAGES, 8), STEPS), class_names=("zero", "one", "two"))
    result.show()
    result.scrubber.setFocus()
    return result


def _keys(qtbot: QtBot, stage: Stage, *keys: Qt.Key, shift: bool = False) -> None:
    modifier = Qt.KeyboardModifier.ShiftModifier if shift else Qt.KeyboardModifier.NoModifier
    for key in keys:
        qtbot.keyClick(stage.scrubber, key, modifier)


def _press_track(qtbot: QtBot, stage: Stage, step: int) -> None:
    place = QPoint(round(stage.scrubber.x_of(step)), stage.scrubber.height() - 40)
    qtbot.mouseClick(stage.scrubber, Qt.MouseButton.LeftButton, pos=place)


def _tick(stage: Stage, times: int = 1) -> None:
    timer = stage.playback.findChild(QTimer)
    assert timer is not None
    for _ in range(times):
        timer.timeout.emit()


def _texts(stage: Stage) -> list[str]:
    return [str(label.property("text")) for label in stage.findChildren(QWidget) if label.property("text")]


# ------------------------------------------------------------------------------------------------- steps


def test_a_film_opens_at_its_end(stage: Stage) -> None:
    assert (stage.current_image, stage.current_step) == (0, STEPS)
    assert stage.scrubber.text in _texts(stage)
    assert "zero · seed 100" in _texts(stage)


def test_keys_go_through_the_steps(qtbot: QtBot, stage: Stage) -> None:
    _keys(qtbot, stage, Qt.Key.Key_Left, Qt.Key.Key_Left)
    assert stage.current_step == STEPS - 2
    _keys(qtbot, stage, Qt.Key.Key_Left, shift=True)
    assert stage.current_step == STEPS - 7
    _keys(qtbot, stage, Qt.Key.Key_Home, Qt.Key.Key_Left)
    assert stage.current_step == 1
    _keys(qtbot, stage, Qt.Key.Key_Right, shift=True)
    assert stage.current_step == 6
    _keys(qtbot, stage, Qt.Key.Key_End, Qt.Key.Key_Right)
    assert stage.current_step == STEPS


def test_dragging_the_track_shows_that_step_everywhere(qtbot: QtBot, stage: Stage) -> None:
    _press_track(qtbot, stage, 7)
    assert stage.current_step == 7
    film = stage.film
    assert film is not None
    np.testing.assert_array_equal(stage.viewer.tiles["x_t"].pixels, film.picture("x_t", 0, 7))
    before = stage.grid.grab().toImage()
    _press_track(qtbot, stage, 3)
    assert stage.grid.grab().toImage() != before
    stage.every.click()  # each as far as it is, whatever the step
    before = stage.grid.grab().toImage()
    _press_track(qtbot, stage, 9)
    assert stage.grid.grab().toImage() == before


def test_digits_and_clicks_pick_an_image_at_the_same_step(qtbot: QtBot, stage: Stage) -> None:
    _press_track(qtbot, stage, 7)
    with qtbot.waitSignal(stage.image_picked) as picked:
        _keys(qtbot, stage, Qt.Key.Key_3)
    assert picked.args == [2]
    assert (stage.current_image, stage.current_step) == (2, 7)
    place = stage.grid.rect_of(4).center()
    qtbot.mouseClick(stage.grid.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert (stage.current_image, stage.current_step) == (4, 7)
    assert "one · seed 104" in _texts(stage)
    _keys(qtbot, stage, Qt.Key.Key_9)  # there is none
    assert stage.current_image == 4


def test_d_shows_one_of_the_two(qtbot: QtBot, stage: Stage) -> None:
    _press_track(qtbot, stage, 7)
    clean = stage.grid.grab().toImage()
    _keys(qtbot, stage, Qt.Key.Key_D, Qt.Key.Key_D)
    assert stage.viewer.focus == "x_t"
    assert stage.grid.grab().toImage() != clean  # the grid follows: it is the noise that goes


def test_g_gives_all_room_to_the_grid_then_to_one_image_and_back(qtbot: QtBot, stage: Stage) -> None:
    height = stage.grid.height()
    _keys(qtbot, stage, Qt.Key.Key_G)
    assert (stage.grid.isVisible(), stage.viewer.isVisible()) == (True, False)
    assert stage.grid.height() > 2 * height
    _keys(qtbot, stage, Qt.Key.Key_G)
    assert (stage.grid.isVisible(), stage.viewer.isVisible()) == (False, True)
    _keys(qtbot, stage, Qt.Key.Key_G)
    assert (stage.grid.isVisible(), stage.viewer.isVisible(), stage.grid.height()) == (True, True, height)


def test_the_grid_has_the_room_it_needs_until_it_is_pulled_at(qtbot: QtBot, stage: Stage) -> None:
    stage.show_film(film_of(gradients(30, 8), 4))
    wide = stage.grid.height()
    stage.resize(464, 560)
    qtbot.waitUntil(lambda: stage.grid.width() == 464)
    assert stage.grid.height() != wide
    split = stage.findChild(QSplitter)
    assert split is not None
    handle = split.handle(1)
    qtbot.mousePress(handle, Qt.MouseButton.LeftButton, pos=QPoint(5, 1))
    qtbot.mouseMove(handle, QPoint(5, 31))
    qtbot.mouseRelease(handle, Qt.MouseButton.LeftButton, pos=QPoint(5, 31))
    pulled = stage.grid.height()
    stage.resize(470, 580)
    qtbot.waitUntil(lambda: stage.grid.width() == 470)
    assert stage.grid.height() == pulled


def test_a_double_click_shows_an_image_alone(qtbot: QtBot, stage: Stage) -> None:
    place = stage.grid.rect_of(4).center()
    qtbot.mouseDClick(stage.grid.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert (stage.current_image, stage.grid.isVisible(), stage.viewer.isVisible()) == (4, False, True)
    _keys(qtbot, stage, Qt.Key.Key_G)
    assert stage.grid.isVisible()


def test_another_film_may_open_at_the_same_step(stage: Stage) -> None:
    stage.show_film(film_of(gradients(3, 8), 10), image=2, step=4)
    assert (stage.current_image, stage.current_step) == (2, 4)
    stage.show_film(film_of(gradients(1, 8), 3), image=2, step=4)
    assert (stage.current_image, stage.current_step) == (0, 3)


# ------------------------------------------------------------------------------------------------- playing


def test_space_plays_and_scrubbing_pauses(qtbot: QtBot, stage: Stage) -> None:
    _keys(qtbot, stage, Qt.Key.Key_Space)  # at the end: it begins anew
    assert (stage.current_step, stage.playback.is_playing) == (1, True)
    _tick(stage, 3)
    assert stage.current_step == 4
    _press_track(qtbot, stage, 9)
    assert (stage.current_step, stage.playback.is_playing) == (9, False)
    _keys(qtbot, stage, Qt.Key.Key_Space)
    _tick(stage)
    assert stage.current_step == 10
    _keys(qtbot, stage, Qt.Key.Key_Left)
    assert (stage.current_step, stage.playback.is_playing) == (9, False)


def test_keys_for_loop_and_speed(qtbot: QtBot, stage: Stage) -> None:
    speed = stage.playback.frames_per_second
    _keys(qtbot, stage, Qt.Key.Key_L, Qt.Key.Key_BracketRight)
    assert stage.playback.loops
    assert stage.playback.frames_per_second > speed
    _keys(qtbot, stage, Qt.Key.Key_L, Qt.Key.Key_BracketLeft)
    assert (stage.playback.loops, stage.playback.frames_per_second) == (False, speed)


def test_a_hidden_stage_does_not_play(qtbot: QtBot, stage: Stage) -> None:
    _keys(qtbot, stage, Qt.Key.Key_Space)
    stage.hide()
    assert not stage.playback.is_playing


# ------------------------------------------------------------------------------------------------- live


class _Live:
    """A film that grows by a step at a time, shown by a stage."""

    def __init__(self, stage: Stage) -> None:
        clean = gradients(IMAGES, 8)
        start = started(clean, STEPS)
        self._drawing, self._stage = Drawing(clean, start), stage
        self.film = Frames(start, budget_bytes=10**9)
        stage.show_film(self.film, live=True, memory=self.film.memory_text)

    def grow(self, to: int) -> None:
        for step in range(self.film.steps_done(0) + 1, to + 1):
            self.film.add(self._drawing.frame(step))
        self._stage.film_grew()

    def finish(self) -> None:
        self.grow(STEPS)
        self.film.finish(self._drawing.drawn())
        self._stage.film_ended()


def test_the_newest_step_is_followed_until_the_user_scrubs(qtbot: QtBot, stage: Stage) -> None:
    live = _Live(stage)
    assert stage.live.isVisible()
    live.grow(5)
    qtbot.waitUntil(lambda: stage.current_step == 5)
    _press_track(qtbot, stage, 2)
    assert not stage.live.isChecked()
    live.grow(8)
    qtbot.waitUntil(lambda: stage.scrubber.isVisible() and stage.playback.last == 8)
    assert stage.current_step == 2
    qtbot.mouseClick(stage.live, Qt.MouseButton.LeftButton)
    assert (stage.current_step, stage.live.isChecked()) == (8, True)
    live.finish()
    assert stage.current_step == STEPS
    assert not stage.live.isVisible()


def test_one_cannot_go_beyond_what_is_drawn(qtbot: QtBot, stage: Stage) -> None:
    _Live(stage).grow(5)
    _press_track(qtbot, stage, 15)
    assert stage.current_step == 5


def test_a_film_that_grew_unseen_is_shown_when_it_is_seen(stage: Stage) -> None:
    live = _Live(stage)
    stage.hide()
    live.grow(6)
    stage.show()
    assert stage.current_step == 6


def test_many_frames_at_once_are_painted_once(qtbot: QtBot, stage: Stage) -> None:
    live = _Live(stage)
    live.grow(1)
    live.grow(2)
    assert stage.current_step == 1  # the second waits for the screen
    qtbot.waitUntil(lambda: stage.current_step == 2)


def test_a_branch_is_asked_for_only_when_all_is_drawn(qtbot: QtBot, stage: Stage) -> None:
    live = _Live(stage)
    live.grow(3)
    asked: list[tuple[int, int]] = []
    stage.branch_asked.connect(lambda image, step: asked.append((image, step)))
    _keys(qtbot, stage, Qt.Key.Key_B)
    assert not stage.branch.isEnabled()
    assert "still being drawn" in stage.branch.toolTip()
    live.finish()
    _keys(qtbot, stage, Qt.Key.Key_2)
    _press_track(qtbot, stage, 12)
    qtbot.mouseClick(stage.branch, Qt.MouseButton.LeftButton)
    _keys(qtbot, stage, Qt.Key.Key_B)
    assert asked == [(1, 12), (1, 12)]


# ------------------------------------------------------------------------------------------------- around it


def test_stars_follow_the_favourites(qtbot: QtBot, stage: Stage) -> None:
    toggled: list[int] = []
    stage.star_toggled.connect(toggled.append)
    _keys(qtbot, stage, Qt.Key.Key_S)
    assert toggled == [0]
    assert not stage.star.isChecked()  # not before the favourites say so
    stage.set_stars({0, 3})
    assert stage.star.isChecked()
    _keys(qtbot, stage, Qt.Key.Key_2)
    assert not stage.star.isChecked()


def test_c_asks_for_a_comparison(qtbot: QtBot, stage: Stage) -> None:
    with qtbot.waitSignal(stage.compare_asked) as asked:
        _keys(qtbot, stage, Qt.Key.Key_C)
    assert asked.args == [0]


def test_guidance_is_offered_where_there_was_any(qtbot: QtBot, stage: Stage) -> None:
    qtbot.mouseClick(stage.guidance, Qt.MouseButton.LeftButton)
    assert stage.viewer.tiles["conditional"].isVisible()
    stage.show_film(film_of(gradients(1, 8), 4, guided=False))
    assert not stage.guidance.isVisible()
    assert not stage.viewer.tiles["conditional"].isVisible()


def test_the_axis_can_be_log_snr(stage: Stage) -> None:
    stage.axis.buttons["log-SNR"].click()
    assert stage.scrubber.axis == "log-SNR"


def test_an_empty_stage_says_what_to_do(qtbot: QtBot, stage: Stage) -> None:
    stage.show_film(None)
    assert any("press Generate" in text for text in _texts(stage))
    assert not stage.scrubber.isVisible()
    qtbot.keyClick(stage, Qt.Key.Key_Right)
    assert stage.current_step == 1


def test_one_image_needs_no_grid(stage: Stage) -> None:
    stage.show_film(film_of(gradients(1, 8), 4))
    assert not stage.grid.isVisible()


def test_without_a_trajectory_the_finished_image_is_shown(stage: Stage, tmp_path: Path) -> None:
    from test_sample_film import _entry, _picture

    _entry(tmp_path)
    _picture(tmp_path, 0, 50)
    stage.show_film(KeptFilm(tmp_path))
    assert not stage.scrubber.isVisible()
    assert not stage.branch.isVisible()
    pixels = stage.viewer.tiles["x_start"].pixels
    assert pixels is not None
    assert int(pixels.max()) == 50


def test_a_branch_is_one_film_with_its_past(qtbot: QtBot, stage: Stage) -> None:
    clean = gradients(2, 8)
    stage.show_film(JoinedFilm(film_of(clean, 10), 1, 5, film_of(-clean, 10, skip=4)))
    _press_track(qtbot, stage, 3)
    assert stage.current_step == 3
    assert not stage.grab().isNull()


@pytest.mark.parametrize(("font_scale", "size"), [(100, (464, 560)), (200, (464, 560)), (200, (720, 720))])
def test_it_fits_small_windows_and_large_texts(qtbot: QtBot, font_scale: int, size: tuple[int, int]) -> None:
    app = QApplication.instance()
    assert isinstance(app, QApplication)
    theme.apply_theme(app, "dark", font_scale)
    try:
        stage = Stage()
        qtbot.addWidget(stage)
        stage.show_film(
            film_of(gradients(IMAGES, 8), STEPS), class_names=("a name that is long",) * 3, memory="39 MB in memory"
        )
        stage.resize(*size)
        stage.show()
        hint = stage.minimumSizeHint()
        assert (hint.width() <= size[0], hint.height() <= size[1]) == (True, True), hint
    finally:
        theme.apply_theme(app, "dark")


def test_every_control_has_a_name_and_a_tooltip(stage: Stage) -> None:
    controls = [
        stage.branch,
        stage.guidance,
        stage.every,
        stage.star,
        stage.compare,
        stage.live,
        stage.scrubber,
        stage.grid,
    ]
    controls += [
        stage.playback_bar.play,
        stage.playback_bar.loop,
        stage.playback_bar.speed,
        *stage.axis.buttons.values(),
    ]
    for control in controls:
        assert control.accessibleName()
        assert control.toolTip()
        assert control.focusPolicy() & Qt.FocusPolicy.TabFocus


def test_tab_goes_through_the_stage_from_top_to_bottom(qtbot: QtBot) -> None:
    window, before, stage = QWidget(), QLineEdit(), Stage()
    for widget in (before, stage):
        (window.layout() or QVBoxLayout(window)).addWidget(widget)
    qtbot.addWidget(window)
    window.resize(720, 720)
    stage.show_film(film_of(gradients(IMAGES, 8), STEPS, done=9), live=True)
    stage.film_ended()
    with qtbot.waitActive(window):
        window.show()
    before.setFocus()
    reached: list[QWidget | None] = []
    while not reached or reached[-1] is not before:
        QTest.keyClick(window.windowHandle(), Qt.Key.Key_Tab)
        reached.append(QApplication.focusWidget())
    bar = stage.playback_bar
    above = [stage.grid, stage.guidance, stage.heads, stage.every, stage.layout_button, stage.star, stage.compare]
    below = [*stage.axis.buttons.values(), stage.scrubber, bar.play, bar.loop, bar.speed, stage.branch]
    assert reached == [*above, *below, before]


def test_the_stage_gives_the_focus_to_its_slider(stage: Stage) -> None:
    stage.grid.setFocus()
    stage.setFocus()
    assert QApplication.focusWidget() is stage.scrubber


@pytest.mark.parametrize("name", ["play", "loop", "speed"])
def test_arrows_step_on_every_control_below_the_images(qtbot: QtBot, stage: Stage, name: str) -> None:
    fps = stage.playback.frames_per_second
    for control in (getattr(stage.playback_bar, name), stage.star, stage.axis.buttons["log-SNR"], stage.branch):
        stage.seek(10)
        control.setFocus()
        qtbot.keyClick(control, Qt.Key.Key_Right)
        qtbot.keyClick(control, Qt.Key.Key_Left)
        qtbot.keyClick(control, Qt.Key.Key_Left, Qt.KeyboardModifier.ShiftModifier)
        assert (stage.current_step, control.hasFocus()) == (5, True)
        qtbot.keyClick(control, Qt.Key.Key_Home)
        assert stage.current_step == 1
        qtbot.keyClick(control, Qt.Key.Key_End)
        assert stage.current_step == STEPS
    assert stage.playback.frames_per_second == fps


def test_arrows_choose_in_the_open_list_of_speeds(qtbot: QtBot, stage: Stage) -> None:
    stage.seek(10)
    speed = stage.playback_bar.speed
    speed.showPopup()
    qtbot.keyClick(speed.view(), Qt.Key.Key_Home)
    qtbot.keyClick(speed.view(), Qt.Key.Key_Return)
    assert (stage.current_step, speed.currentIndex()) == (10, 0)


def test_keys_for_guidance_and_axis(qtbot: QtBot, stage: Stage) -> None:
    _keys(qtbot, stage, Qt.Key.Key_U)
    assert (stage.guidance.isChecked(), "difference" in stage.viewer.shown) == (True, True)
    _keys(qtbot, stage, Qt.Key.Key_U, Qt.Key.Key_A)
    assert (stage.guidance.isChecked(), stage.scrubber.axis) == (False, "log-SNR")
    assert [one.isChecked() for one in stage.axis.buttons.values()] == [False, True]
    _keys(qtbot, stage, Qt.Key.Key_A)
    assert stage.scrubber.axis == "t"
    stage.show_film(film_of(gradients(2, 8), STEPS, guided=False))
    _keys(qtbot, stage, Qt.Key.Key_U)
    assert not stage.guidance.isChecked()
    sheet = ShortcutSheet([], stage)
    assert {"U", "A"} <= {label.text() for label in sheet.findChildren(QLabel)}


def test_scrubbing_is_measured() -> None:
    figures = measure_scrubbing(steps=4, images=3, side=8, rounds=2)
    assert figures.values["repaints"] == 8
    assert 0 < figures.values["p50_ms"] <= figures.values["p95_ms"] <= figures.values["max_ms"]
    assert "4 steps × 3 images of 8×8" in figures.lines[0]
