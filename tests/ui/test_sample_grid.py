"""The grid of images: where cells lie, what is painted, and what a user does in it."""

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QRect, QSize, Qt
from PySide6.QtGui import QColor, QContextMenuEvent, QImage
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot
from sample_films import film_of, forked_film, gradients

from dit_studio.ui import theme
from dit_studio.ui.sample.cells import plan_cells
from dit_studio.ui.sample.film import Film
from dit_studio.ui.sample.image_grid import ImageGrid

NAMES = ("zero", "one", "two")


def _grid(qtbot: QtBot, film: Film, *, width: int = 300, height: int = 150) -> ImageGrid:
    grid = ImageGrid()
    qtbot.addWidget(grid)
    grid.resize(width, height)
    grid.show_film(film, NAMES, 0)
    grid.show()
    return grid


# ------------------------------------------------------------------------------------------------- cells


@pytest.mark.parametrize("ratio", [1.0, 2.0])
@pytest.mark.parametrize(("count", "side"), [(1, 8), (7, 32), (64, 32), (5, 28)])
def test_enlarged_pixels_are_whole_pixels_of_the_screen(count: int, side: int, ratio: float) -> None:
    cells = plan_cells(count, QSize(700, 400), QSize(side, side), caption=16, ratio=ratio)
    assert cells.picture.width() * ratio % side == 0
    assert cells.height <= 400


def test_the_largest_cells_that_fit_are_chosen() -> None:
    few = plan_cells(4, QSize(700, 200), QSize(32, 32), caption=16, ratio=1)
    many = plan_cells(40, QSize(700, 200), QSize(32, 32), caption=16, ratio=1)
    assert (few.picture.width(), many.picture.width()) == (160, 32)
    assert (few.caption, many.caption) == (16, 0)


def test_more_than_fits_is_scrolled_in_the_smallest_cells() -> None:
    cells = plan_cells(5000, QSize(700, 200), QSize(256, 128), caption=16, ratio=1)
    assert cells.picture == QSize(32, 16)
    assert cells.height > 200


def test_every_cell_is_found_at_its_place() -> None:
    cells = plan_cells(11, QSize(300, 150), QSize(16, 16), caption=16, ratio=1)
    assert [cells.at(cells.picture_of(index).center()) for index in range(11)] == list(range(11))
    assert cells.at(QPoint(0, 0)) is None
    assert cells.at(QPoint(150, 10_000)) is None
    assert list(cells.between(0, 10_000)) == list(range(11))


# ------------------------------------------------------------------------------------------------- painting


def _shown(grid: ImageGrid, image: int) -> QImage:
    return grid.viewport().grab(grid.rect_of(image)).toImage()


def _middle(grid: ImageGrid, image: int) -> tuple[int, int, int]:
    shown = _shown(grid, image)
    colour = shown.pixelColor(shown.width() // 2 + 1, shown.height() // 2 + 1)
    return colour.red(), colour.green(), colour.blue()


def test_a_cell_shows_its_pixels_as_they_are(qtbot: QtBot) -> None:
    film = film_of(gradients(3, 8), 4)
    grid = _grid(qtbot, film)
    grid.set_step(2, plane="x_start", is_at_step=True)
    pixels = film.picture("x_start", 2, 2)
    assert pixels is not None
    shown = _shown(grid, 2).scaled(8, 8)  # nearest neighbour
    colours = [[shown.pixelColor(x, y).getRgb()[:3] for x in range(8)] for y in range(8)]
    np.testing.assert_array_equal(np.array(colours), pixels)


def test_the_last_step_shows_the_finished_image(qtbot: QtBot) -> None:
    film = film_of(gradients(3, 8), 4)
    grid = _grid(qtbot, film)
    grid.set_step(4, plane="x_t", is_at_step=True)
    final = film.final(1)
    assert final is not None
    assert _middle(grid, 1) == tuple(final[4, 4])


def test_images_that_are_not_begun_are_empty_cells(qtbot: QtBot) -> None:
    grid = _grid(qtbot, film_of(gradients(3, 8), 4, done=0))
    red, green, blue = (int(theme.current().raised[index : index + 2], 16) for index in (1, 3, 5))
    assert _middle(grid, 1) == (red, green, blue)


def test_a_growing_image_has_a_bar(qtbot: QtBot) -> None:
    grid = _grid(qtbot, film_of(gradients(3, 8), 4, done=2))
    shown = _shown(grid, 2)
    bar = [shown.pixelColor(x, shown.height() - 2).name() for x in (2, shown.width() - 2)]
    assert bar == [theme.current().accent.lower(), theme.current().line.lower()]


def test_of_thousands_only_those_in_sight_are_painted(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    film = film_of(gradients(3, 4), 1)
    film.images, film.labels, film.seeds = 5000, [0] * 5000, list(range(5000))
    asked: set[int] = set()
    monkeypatch.setattr(film, "final", lambda image: asked.add(image))
    monkeypatch.setattr(film, "steps_done", lambda image: 0)  # noqa: ARG005
    grid = _grid(qtbot, film)
    asked.clear()
    grid.grab()
    assert 0 < len(asked) < 60
    grid.verticalScrollBar().setValue(grid.verticalScrollBar().maximum())
    grid.grab()
    assert 4999 in asked


def test_large_pictures_are_made_smaller(qtbot: QtBot) -> None:
    grid = _grid(qtbot, film_of(gradients(12, 128), 2), width=220, height=90)
    assert grid.cells.picture.width() < 128
    before = _shown(grid, 3)
    grid.set_step(2, plane="x_start", is_at_step=True)
    assert _shown(grid, 3) != before


# ------------------------------------------------------------------------------------------------- the user


def _click(qtbot: QtBot, grid: ImageGrid, image: int) -> None:
    qtbot.mouseClick(grid.viewport(), Qt.MouseButton.LeftButton, pos=grid.rect_of(image).center())


def test_a_click_picks(qtbot: QtBot) -> None:
    grid = _grid(qtbot, film_of(gradients(5, 8), 2))
    with qtbot.waitSignal(grid.picked) as picked:
        _click(qtbot, grid, 3)
    assert picked.args == [3]
    assert grid.current == 3
    assert grid.accessibleDescription() == "zero · seed 103"


def test_arrows_go_from_image_to_image_and_stay_inside(qtbot: QtBot) -> None:
    grid = _grid(qtbot, film_of(gradients(5, 8), 2))
    columns = grid.cells.columns
    for key in (
        Qt.Key.Key_Left,
        Qt.Key.Key_Right,
        Qt.Key.Key_Right,
        Qt.Key.Key_Down if columns < 3 else Qt.Key.Key_Left,
    ):
        qtbot.keyClick(grid, key)
    assert grid.current == (2 + columns if columns < 3 else 1)


def test_a_double_click_and_return_open(qtbot: QtBot) -> None:
    grid = _grid(qtbot, film_of(gradients(5, 8), 2))
    opened: list[int] = []
    grid.opened.connect(opened.append)
    qtbot.mouseDClick(grid.viewport(), Qt.MouseButton.LeftButton, pos=grid.rect_of(2).center())
    qtbot.keyClick(grid, Qt.Key.Key_Return)
    assert opened == [2, 0]


def test_the_menu_is_asked_for_where_the_mouse_is_and_by_the_keyboard(qtbot: QtBot) -> None:
    grid = _grid(qtbot, film_of(gradients(5, 8), 2))
    asked: list[int] = []
    grid.menu_asked.connect(lambda image, _place: asked.append(image))
    for reason, image in ((QContextMenuEvent.Reason.Mouse, 2), (QContextMenuEvent.Reason.Keyboard, 0)):
        place = grid.rect_of(image).center()
        event = QContextMenuEvent(reason, place, grid.viewport().mapToGlobal(place))
        QApplication.sendEvent(grid.viewport(), event)
    assert asked == [2, 2]  # the second is for the picked one


def test_a_star_is_painted_and_clicked_away(qtbot: QtBot) -> None:
    grid = _grid(qtbot, film_of(gradients(5, 8), 2))
    plain = _shown(grid, 1)
    grid.set_stars({1})
    assert _shown(grid, 1) != plain
    with qtbot.waitSignal(grid.star_toggled) as toggled:
        corner = grid.rect_of(1).topRight() + QPoint(-4, 4)
        qtbot.mouseClick(grid.viewport(), Qt.MouseButton.LeftButton, pos=corner)
    assert toggled.args == [1]


def test_names_are_numbers_where_a_class_has_none(qtbot: QtBot) -> None:
    grid = _grid(qtbot, film_of(gradients(5, 8), 2))
    grid.show_film(film_of(gradients(5, 8), 2), (), 0)
    assert grid.caption(1) == "class 1 · seed 101"


# ------------------------------------------------------------------------------------------------- a branch's parent


def test_a_parent_is_told_from_its_branch(qtbot: QtBot) -> None:
    grid = _grid(qtbot, forked_film())
    assert [grid.caption(image) for image in (0, 1)] == ["zero · seed 3", "parent · one · seed 3"]
    picture = grid.grab().toImage()
    colours = [
        {picture.pixelColor(x, y).name() for x in range(rect.left(), rect.center().x()) for y in _top_of(rect)}
        for rect in (grid.rect_of(0), grid.rect_of(1))
    ]
    assert [theme.current().curves[4].lower() in found for found in colours] == [False, True]


def _top_of(rect: QRect) -> range:
    return range(rect.top(), rect.center().y())


def test_a_parent_that_was_stopped_has_no_picture_of_later_steps(qtbot: QtBot) -> None:
    film = forked_film(parent_done=6)
    grid = _grid(qtbot, film, width=500, height=250)
    assert [film.lacks(image, step) for image in (0, 1) for step in (6, 7)] == [False, False, False, True]
    grid.set_step(9, plane="x_start", is_at_step=True)
    without_words = {QColor(theme.current().raised).name(), theme.current().curves[4].lower()}
    assert len(_colours_of(grid, 1) - without_words) > 10, "letters have soft edges"


def _colours_of(grid: ImageGrid, image: int) -> set[str]:
    rect, picture = grid.rect_of(image), grid.grab().toImage()
    return {
        picture.pixelColor(x, y).name()
        for x in range(rect.left(), rect.right())
        for y in range(rect.top(), rect.bottom())
    }
