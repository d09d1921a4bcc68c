"""The slider whose track is the schedule: where its steps lie, and what a mouse does to it."""

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot
from sample_films import film_of, gradients, points_of

from dit_studio.events import StepPoint
from dit_studio.ui import theme
from dit_studio.ui.sample.film import JoinedFilm
from dit_studio.ui.sample.move_curves import commit_step
from dit_studio.ui.sample.scrubber import Scrubber
from dit_studio.ui.sample.track import number_text, places_of, point_text, signal_share


def _point(t: float, log_snr: float = 0.0, sigma: float = 1.0) -> StepPoint:
    return StepPoint(t=t, sigma=sigma, log_snr=log_snr)


def _scrubber(qtbot: QtBot, *, steps: int = 10, done: int | None = None) -> Scrubber:
    scrubber = Scrubber()
    qtbot.addWidget(scrubber)
    scrubber.resize(500, scrubber.sizeHint().height())
    scrubber.show_film(film_of(gradients(2, 8), steps, done=done), 0)
    scrubber.sought.connect(scrubber.setValue)
    scrubber.show()
    return scrubber


# ------------------------------------------------------------------------------------------------- places


def test_steps_lie_at_their_true_places() -> None:
    points = [_point(1000, -9), _point(400, 1), _point(0, 11)]
    np.testing.assert_allclose(places_of(points, "t").places, [0, 0.6, 1])
    np.testing.assert_allclose(places_of(points, "log-SNR").places, [0, 0.5, 1])


def test_infinite_schedules_end_somewhere() -> None:
    places = places_of([_point(1, -60), _point(0.5, 0), _point(0, 60)], "log-SNR")
    np.testing.assert_allclose(places.places, [0, 0.5, 1])
    np.testing.assert_allclose(places.values, [-14, 0, 14])


@pytest.mark.parametrize("points", [[_point(500)], [_point(3), _point(3)]])
def test_steps_at_one_time_are_spread(points: list[StepPoint]) -> None:
    places = places_of(points, "t").places
    assert ((places > 0) & (places < 1)).all()
    assert (np.diff(places) > 0).all()


def test_half_the_variance_is_signal_where_log_snr_is_zero() -> None:
    np.testing.assert_allclose(signal_share(np.array([-700.0, 0.0, 700.0])), [0, 0.5, 1], atol=1e-12)


def test_texts_of_a_step() -> None:
    assert point_text(_point(640, sigma=2.314), 17, 50) == "step 17/50 · t = 640 · σ = 2.31"
    assert point_text(_point(0.64, sigma=157.4), 1, 2) == "step 1/2 · t = 0.64 · σ = 157"
    assert number_text(-10.13) == "−10.1"


# ------------------------------------------------------------------------------------------------- commitment


def test_an_image_commits_when_less_than_a_tenth_of_its_way_is_left() -> None:
    assert commit_step(np.array([0, 5, 4, 0.6, 0.4], np.float32)) == 4  # 0.4 of 10 is left
    assert commit_step(np.array([0, 1, 0, 0], np.float32)) == 2


@pytest.mark.parametrize("moves", [[], [0, 0, 0], [0, 1, np.nan]])
def test_without_a_whole_way_nothing_commits(moves: list[float]) -> None:
    assert commit_step(np.array(moves, np.float32)) is None


# ------------------------------------------------------------------------------------------------- the widget


def test_pressing_and_dragging_seek_to_the_nearest_step(qtbot: QtBot) -> None:
    scrubber = _scrubber(qtbot)
    y = scrubber.height() - 40
    qtbot.mousePress(scrubber, Qt.MouseButton.LeftButton, pos=QPoint(round(scrubber.x_of(4)) + 3, y))
    assert scrubber.value() == 4
    qtbot.mouseMove(scrubber, QPoint(round(scrubber.x_of(8)) - 3, y))
    assert scrubber.value() == 8
    qtbot.mouseMove(scrubber, QPoint(5000, y))
    assert scrubber.value() == 10
    qtbot.mouseRelease(scrubber, Qt.MouseButton.LeftButton, pos=QPoint(0, y))
    qtbot.mouseMove(scrubber, QPoint(round(scrubber.x_of(2)), y))
    assert scrubber.value() == 10


def _wheel(scrubber: Scrubber, turned: int) -> None:
    here = QPointF(100, 10)
    event = QWheelEvent(
        here,
        here,
        QPoint(),
        QPoint(0, turned),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,  # noqa: FBT003
    )
    QApplication.sendEvent(scrubber, event)


def test_the_wheel_goes_by_one_step(qtbot: QtBot) -> None:
    scrubber = _scrubber(qtbot)
    _wheel(scrubber, -120)
    assert scrubber.value() == 2
    _wheel(scrubber, 120)
    _wheel(scrubber, 120)
    assert scrubber.value() == 1
    for _ in range(4):
        _wheel(scrubber, -40)  # a touchpad
    assert scrubber.value() == 2


def test_the_axis_moves_the_steps(qtbot: QtBot) -> None:
    scrubber = _scrubber(qtbot)
    evenly = np.diff([scrubber.x_of(step) for step in range(1, 11)])
    assert np.ptp(evenly) < 1  # these steps are even in t
    scrubber.set_axis("log-SNR")
    assert np.ptp(np.diff([scrubber.x_of(step) for step in range(1, 11)])) > 10


def test_it_reads_the_step(qtbot: QtBot) -> None:
    scrubber = _scrubber(qtbot)
    scrubber.setValue(3)
    point = points_of(10)[2]
    assert scrubber.text == f"step 3/10 · t = {point.t:.0f} · σ = {point.sigma:.3g}"
    assert scrubber.accessibleDescription() == scrubber.text


def test_tooltips_say_what_is_seen(qtbot: QtBot) -> None:
    scrubber = _scrubber(qtbot)
    commit = scrubber.commits_at
    assert commit is not None
    assert "commits" in scrubber.text_at(QPoint(round(scrubber.x_of(commit)), 60))
    far = round(scrubber.x_of(1 if commit > 5 else 10))
    assert "‖xₜ‖" in scrubber.text_at(QPoint(far, 10))
    assert "x̂₀ moved" in scrubber.text_at(QPoint(far, 50))
    assert "noise schedule" in scrubber.text_at(QPoint(far, scrubber.height() - 30))


def test_a_branch_shows_its_parents_past(qtbot: QtBot) -> None:
    clean = gradients(1, 8)
    scrubber = _scrubber(qtbot)
    plain = scrubber.grab().toImage()
    scrubber.show_film(JoinedFilm(film_of(clean, 10), 0, 5, film_of(clean, 10, skip=4)), 0)
    assert "Up to step 4" in scrubber.text_at(QPoint(round(scrubber.x_of(1)), scrubber.height() - 30))
    tinted = scrubber.grab().toImage()
    before, after = (round((scrubber.x_of(step) + scrubber.x_of(step + 1)) / 2) for step in (2, 8))
    y = round(scrubber.height() * 0.27)  # between the lanes
    assert tinted.pixelColor(before, y) != plain.pixelColor(before, y)
    assert tinted.pixelColor(after, y) == plain.pixelColor(after, y)


def test_the_handle_is_where_the_step_is(qtbot: QtBot) -> None:
    scrubber = _scrubber(qtbot)
    scrubber.setValue(6)
    shown, y = scrubber.grab().toImage(), scrubber.height() - 40
    assert shown.pixelColor(round(scrubber.x_of(6)), y).name() == theme.current().text.lower()
    assert shown.pixelColor(round(scrubber.x_of(4)), y).name() != theme.current().text.lower()


def test_a_film_that_has_hardly_begun_is_painted(qtbot: QtBot) -> None:
    for done in (0, 1):
        scrubber = _scrubber(qtbot, done=done)
        assert not scrubber.grab().isNull()
        assert scrubber.commits_at is None


def test_nothing_is_shown_and_nothing_sought_without_a_film(qtbot: QtBot) -> None:
    scrubber = Scrubber()
    qtbot.addWidget(scrubber)
    scrubber.show()
    _wheel(scrubber, -120)
    assert (scrubber.text, scrubber.value(), scrubber.commits_at) == ("", 1, None)
