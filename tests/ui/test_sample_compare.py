"""Two images or trajectories held against each other, as a user does it."""

import math
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import (
    QApplication,
    QComboBox,
    QLabel,
    QPushButton,
    QStyle,
    QStyleOptionComboBox,
    QToolButton,
    QWidget,
)
from pytestqt.qtbot import QtBot
from sample_history_scenes import make_entry, record_of, two_pins

from dit_studio.events import StepPoint
from dit_studio.ui import theme
from dit_studio.ui.sample.compare import ComparePanel, Pin
from dit_studio.ui.sample.compare_measures import (
    amplified_difference,
    distance,
    fitted,
    linked_times,
    nearest_step,
)
from dit_studio.ui.sample.compare_view import CompareView
from dit_studio.ui.sample.film import KeptFilm

Pixels = NDArray[np.uint8]


@pytest.fixture
def pins(tmp_path: Path) -> tuple[Pin, Pin]:
    return two_pins(tmp_path)


@pytest.fixture
def view(qtbot: QtBot, pins: tuple[Pin, Pin]) -> CompareView:
    view = CompareView()
    qtbot.addWidget(view)
    view.resize(560, 560)
    view.show_pins(*pins)
    with qtbot.waitExposed(view):
        view.show()
    return view


def noise(*shape: int, seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def click(qtbot: QtBot, widget: QWidget, text: str) -> None:
    (found,) = [item for item in widget.findChildren(QPushButton) if item.text() == text and item.isVisible()]
    qtbot.mouseClick(found, Qt.MouseButton.LeftButton)


def choose(view: CompareView, name: str, text: str) -> None:
    (found,) = [box for box in view.findChildren(QComboBox) if box.accessibleName() == name]
    found.setCurrentText(text)


def texts(widget: QWidget) -> str:
    return "\n".join(label.text() for label in widget.findChildren(QLabel) if label.isVisible())


def colour_at(view: CompareView, x: float, y: float) -> QColor:
    """The colour on the canvas at a part of its width and height."""
    image = view.canvas.grab().toImage()
    return image.pixelColor(int(x * image.width()), int(y * image.height()))


# ------------------------------------------------------------------------------------------------- measures


def test_a_known_distance() -> None:
    first, second = np.zeros((2, 2, 1), np.uint8), np.full((2, 2, 1), 51, np.uint8)
    found = distance(first, second)
    assert found.mean_absolute == 51
    assert found.psnr == pytest.approx(20 * math.log10(255 / 51))
    assert str(found) == "mean |A − B| 51.00 / 255 · PSNR 14.0 dB"
    assert str(distance(first, first)) == "identical"


def test_a_difference_has_no_sign_and_is_cut_off_at_white() -> None:
    first, second = np.array([[[10, 200, 0]]], np.uint8), np.array([[[20, 190, 255]]], np.uint8)
    assert amplified_difference(first, second, 1).tolist() == [[[10, 10, 255]]]
    assert amplified_difference(second, first, 16).tolist() == [[[160, 160, 255]]]


def test_the_smaller_image_grows_by_repeating_pixels() -> None:
    small, large = noise(2, 2, 1), noise(4, 4, 3, seed=1)
    grown, same = fitted(small, large)
    assert np.array_equal(same, large)
    assert np.array_equal(grown, np.repeat(np.kron(small[..., 0], np.ones((2, 2), np.uint8))[..., None], 3, axis=2))


def test_sizes_that_are_no_multiples_fit_too() -> None:
    first, second = fitted(noise(5, 7, 3), noise(8, 3, 1))
    assert first.shape == second.shape == (8, 7, 3)


def test_the_step_nearest_in_t() -> None:
    points = [StepPoint(t=t, sigma=1, log_snr=0) for t in (900, 600, 300, 0)]
    assert [nearest_step(points, t) for t in (1000, 750, 740, 451, 449, 0)] == [1, 2, 2, 2, 3, 4]
    assert nearest_step([], 3) == 0


def test_linked_times_are_those_of_both(pins: tuple[Pin, Pin]) -> None:
    times = linked_times(pins[0].film, pins[1].film)
    both = {point.t for pin in pins for point in pin.film.points}
    assert times == sorted(both, reverse=True)
    assert len(times) == 68  # 50 and 20 steps, of which the first and the last are at the same t


# ------------------------------------------------------------------------------------------------- pins


def test_pins_fill_a_then_b_and_then_change_b(qtbot: QtBot, pins: tuple[Pin, Pin]) -> None:
    panel = ComparePanel()
    qtbot.addWidget(panel)
    with qtbot.waitExposed(panel):
        panel.show()
    assert "Pin two images" in texts(panel)
    for pin, title in ((pins[0], "first"), (pins[1], "second"), (pins[1], "third")):
        panel.pin(pin.film, pin.image, title)
    assert [pin.title for pin in panel.pins if pin] == ["first", "third"]
    with qtbot.waitSignal(panel.open_asked):
        click(qtbot, panel, "Compare")
    click(qtbot, panel, "Swap")
    assert [pin.title for pin in panel.pins if pin] == ["third", "first"]
    assert "20 steps" in texts(panel)
    first = next(item for item in panel.findChildren(QToolButton) if item.accessibleName() == "Unpin A")
    with qtbot.waitSignal(panel.changed):
        qtbot.mouseClick(first, Qt.MouseButton.LeftButton)
    assert panel.pins[0] is None
    assert not panel.open_button.isEnabled()
    assert "Pin one more image." in texts(panel)
    click(qtbot, panel, "Clear")
    assert panel.pins == (None, None)


# ------------------------------------------------------------------------------------------------- the view


def test_it_begins_with_the_final_images(view: CompareView, pins: tuple[Pin, Pin]) -> None:
    finals = [pin.film.final(0) for pin in pins]
    assert view.place_text() == "final images"
    assert finals[0] is not None
    assert finals[1] is not None
    assert view.number_text() == str(distance(*fitted(finals[0], finals[1])))
    assert view.note_text() == "A and B are 16 × 16 and 32 × 32 pixels: the smaller one is scaled up to the larger."


def test_both_films_are_led_through_their_times(qtbot: QtBot, view: CompareView, pins: tuple[Pin, Pin]) -> None:
    qtbot.keyClick(view, Qt.Key.Key_Home)
    assert view.place_text() == "t = 999 · A: step 1/50, t = 999 · B: step 1/20, t = 999"
    shown = [pin.film.picture("x_start", 0, 1) for pin in pins]
    assert shown[0] is not None
    assert shown[1] is not None
    assert view.number_text() == str(distance(*fitted(shown[0], shown[1])))
    qtbot.keyClick(view, Qt.Key.Key_Right)
    assert view.place_text() == "t = 979 · A: step 2/50, t = 979 · B: step 1/20, t = 999"
    qtbot.keyClick(view, Qt.Key.Key_Right)
    assert view.place_text() == "t = 958 · A: step 3/50, t = 958 · B: step 2/20, t = 946"
    qtbot.keyClick(view, Qt.Key.Key_Left)
    assert view.place_text().startswith("t = 979")
    qtbot.keyClick(view, Qt.Key.Key_End)
    assert view.place_text() == "final images"
    qtbot.keyClick(view.slider, Qt.Key.Key_Left)
    assert view.place_text() == "t = 0 · A: step 50/50, t = 0 · B: step 20/20, t = 0"


def test_swapping_stays_at_the_timestep_and_the_zoom(qtbot: QtBot, view: CompareView, pins: tuple[Pin, Pin]) -> None:
    qtbot.keyClick(view, Qt.Key.Key_Home)
    choose(view, "Plane", "Noisy image xₜ")
    qtbot.keyClick(view.canvas, Qt.Key.Key_Plus)
    number = view.number_text()
    view.show_pins(pins[1], pins[0])
    assert view.place_text() == "t = 999 · A: step 1/20, t = 999 · B: step 1/50, t = 999"
    assert (view.number_text(), view.canvas.zoom) == (number, 1.25)
    view.show_pins(pins[1], pins[1])
    assert (view.place_text(), view.number_text(), view.canvas.zoom) == ("final images", "identical", 1.0)


def test_the_noisy_plane_can_be_chosen(qtbot: QtBot, view: CompareView, pins: tuple[Pin, Pin]) -> None:
    qtbot.keyClick(view, Qt.Key.Key_Home)
    choose(view, "Plane", "Noisy image xₜ")
    shown = [pin.film.picture("x_t", 0, 1) for pin in pins]
    assert shown[0] is not None
    assert shown[1] is not None
    assert view.number_text() == str(distance(*fitted(shown[0], shown[1])))


def test_swiping_shows_a_left_and_b_right(qtbot: QtBot, view: CompareView) -> None:
    solid(view, 200, 40)
    assert (colour_at(view, 0.3, 0.5).red(), colour_at(view, 0.7, 0.5).red()) == (200, 40)
    canvas = view.canvas
    middle = canvas.rect().center()
    qtbot.mousePress(canvas, Qt.MouseButton.LeftButton, pos=middle)
    qtbot.mouseMove(canvas, QPoint(canvas.width() * 85 // 100, middle.y()))
    qtbot.mouseRelease(canvas, Qt.MouseButton.LeftButton)
    assert colour_at(view, 0.7, 0.5).red() == 200
    for _ in range(45):
        qtbot.keyClick(canvas, Qt.Key.Key_Left, Qt.KeyboardModifier.ShiftModifier)
    assert canvas.divider < 0.1
    assert colour_at(view, 0.3, 0.5).red() == 40


def test_side_by_side_and_difference(qtbot: QtBot, view: CompareView) -> None:
    solid(view, 50, 43)
    click(qtbot, view, "Side by side")
    assert (colour_at(view, 0.3, 0.5).red(), colour_at(view, 0.7, 0.5).red()) == (50, 43)
    click(qtbot, view, "Difference")
    assert colour_at(view, 0.5, 0.5).red() == 4 * 7
    choose(view, "Gain of the difference", "× 16")
    assert colour_at(view, 0.5, 0.5).red() == 16 * 7
    click(qtbot, view, "Swipe")
    assert colour_at(view, 0.3, 0.5).red() == 50


@pytest.mark.parametrize("percent", [100, 150])
def test_the_gain_is_whole_after_a_change_of_layout(
    qtbot: QtBot, qapp: QApplication, view: CompareView, percent: int
) -> None:
    theme.apply_theme(qapp, "dark", 150 if percent == 100 else 100)
    theme.apply_theme(qapp, "dark", percent)
    click(qtbot, view, "Difference")
    try:
        for width in (560, 420, 700):
            view.resize(width, 560)
            choose(view, "Gain of the difference", "× 16")
            qapp.processEvents()
            (gain,) = [box for box in view.findChildren(QComboBox) if box.accessibleName() == "Gain of the difference"]
            option = QStyleOptionComboBox()
            gain.initStyleOption(option)
            part = QStyle.SubControl.SC_ComboBoxEditField
            field = gain.style().subControlRect(QStyle.ComplexControl.CC_ComboBox, option, part, gain)
            assert field.width() >= gain.fontMetrics().horizontalAdvance("× 16"), (width, field)
    finally:
        theme.apply_theme(qapp, "dark")


def test_zoom_and_pan_are_one_for_both(qtbot: QtBot, view: CompareView) -> None:
    click(qtbot, view, "Side by side")
    halves = np.zeros((8, 8, 3), np.uint8)
    halves[:, 4:] = 250
    view.canvas.show_pixels(halves, halves)
    assert (colour_at(view, 0.1, 0.5).red(), colour_at(view, 0.6, 0.5).red()) == (0, 0)
    assert (colour_at(view, 0.4, 0.5).red(), colour_at(view, 0.9, 0.5).red()) == (250, 250)
    for _ in range(4):
        qtbot.keyClick(view.canvas, Qt.Key.Key_Plus)
    assert view.canvas.zoom == pytest.approx(1.25**4)
    press = QPoint(view.canvas.width() // 4, view.canvas.height() // 2)
    qtbot.mousePress(view.canvas, Qt.MouseButton.LeftButton, pos=press)
    qtbot.mouseMove(view.canvas, press - QPoint(400, 0))
    qtbot.mouseRelease(view.canvas, Qt.MouseButton.LeftButton)
    assert view.canvas.centre.x() == pytest.approx(1 - 0.5 / 1.25**4)  # at the image's right edge, no further
    assert (colour_at(view, 0.25, 0.5).red(), colour_at(view, 0.75, 0.5).red()) == (250, 250)
    qtbot.keyClick(view.canvas, Qt.Key.Key_0)
    assert (view.canvas.zoom, view.canvas.centre) == (1.0, QPointF(0.5, 0.5))


def test_zooming_keeps_the_place_below_the_pointer(view: CompareView) -> None:
    canvas = view.canvas
    place = QPointF(canvas.width() * 0.4, canvas.height() * 0.4)
    before = canvas._image_place(canvas._panels()[0], place)
    canvas.zoom_by(8, place)
    after = canvas._image_place(canvas._panels()[0], place)
    assert (after.x(), after.y()) == (pytest.approx(before.x()), pytest.approx(before.y()))


def test_escape_and_close_leave_and_swap_asks(qtbot: QtBot, view: CompareView) -> None:
    with qtbot.waitSignal(view.closed):
        qtbot.keyClick(view.canvas, Qt.Key.Key_Escape)
    with qtbot.waitSignal(view.closed):
        click(qtbot, view, "Close")
    with qtbot.waitSignal(view.swap_asked):
        click(qtbot, view, "Swap")


def test_an_image_without_steps_is_held_against_every_step(qtbot: QtBot, tmp_path: Path, pins: tuple[Pin, Pin]) -> None:
    folder = make_entry(tmp_path, "still", record_of(seed=3), with_trajectory=False)
    view = CompareView()
    qtbot.addWidget(view)
    view.show_pins(Pin(KeptFilm(folder), 0, "still"), pins[0])
    qtbot.keyClick(view, Qt.Key.Key_Home)
    assert view.place_text() == "t = 999 · A: final image · B: step 1/50, t = 999"
    view.show_pins(Pin(KeptFilm(folder), 0, "still"), Pin(KeptFilm(folder), 0, "still"))
    assert not view.slider.isEnabled()
    assert view.number_text() == "identical"


def test_a_step_that_is_not_there_is_said(view: CompareView) -> None:
    view.canvas.show_pixels(None, noise(4, 4, 3))
    assert view.canvas._why_nothing() == "A has no picture at this step."
    view.canvas.show_pixels(None, None)
    assert view.canvas._why_nothing() == "A and B have no picture at this step."
    assert not view.canvas.grab().isNull()


def solid(view: CompareView, first: int, second: int) -> None:
    view.canvas.show_pixels(np.full((8, 8, 3), first, np.uint8), np.full((8, 8, 3), second, np.uint8))
