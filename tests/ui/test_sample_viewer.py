"""The picked image as x_t and x̂₀: what the tiles show, and how they zoom together."""

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, QSize, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot
from sample_films import film_of, forked_film, gradients

from dit_studio.ui import theme
from dit_studio.ui.sample.film import Film
from dit_studio.ui.sample.pixels import Pixels
from dit_studio.ui.sample.tile import Tile
from dit_studio.ui.sample.viewer import Viewer


def _viewer(qtbot: QtBot, film: Film | None = None, *, width: int = 500, height: int = 240) -> Viewer:
    viewer = Viewer()
    qtbot.addWidget(viewer)
    viewer.resize(width, height)
    viewer.show_film(film or film_of(gradients(2, 16), 5))
    viewer.show_step(1, 3)
    viewer.show()
    return viewer


def _visible(viewer: Viewer) -> list[str]:
    return [name for name, tile in viewer.tiles.items() if tile.isVisible()]


def _wheel(tile: Tile, place: QPointF, turned: int) -> None:
    event = QWheelEvent(
        place,
        place,
        QPoint(),
        QPoint(0, turned),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,  # noqa: FBT003
    )
    QApplication.sendEvent(tile, event)


def test_both_tiles_show_the_step(qtbot: QtBot) -> None:
    film = film_of(gradients(2, 16), 5)
    viewer = _viewer(qtbot, film)
    assert _visible(viewer) == ["x_t", "x_start"]
    for name in ("x_t", "x_start"):
        tile = viewer.tiles[name]
        np.testing.assert_array_equal(tile.pixels, film.picture(name, 1, 3))
        target = tile.target().toRect()
        shown = tile.grab(target.adjusted(0, 0, 0, 0)).toImage()
        pixels = film.picture(name, 1, 3)
        assert pixels is not None
        scale = target.width() // 16
        middle = shown.pixelColor(5 * scale + scale // 2, 9 * scale + scale // 2).getRgb()[:3]
        assert middle == tuple(pixels[9, 5])


def test_pixels_are_whole_pixels_of_the_screen(qtbot: QtBot) -> None:
    viewer = _viewer(qtbot)
    target = viewer.tiles["x_t"].target()
    assert target.width() % 16 == 0
    assert target.width() >= 160
    assert target.x() == int(target.x())


def test_one_tile_at_a_time(qtbot: QtBot) -> None:
    viewer = _viewer(qtbot, height=500)
    side = viewer.tiles["x_start"].width()
    assert viewer.next_focus() == "x_start"
    assert _visible(viewer) == ["x_start"]
    assert viewer.tiles["x_start"].width() > side
    viewer.next_focus()
    assert _visible(viewer) == ["x_t"]
    viewer.next_focus()
    assert _visible(viewer) == ["x_t", "x_start"]


def test_guidance_is_shown_apart(qtbot: QtBot) -> None:
    film = film_of(gradients(2, 16), 5)
    viewer = _viewer(qtbot, film)
    viewer.show_guidance(shows=True)
    assert _visible(viewer) == ["x_t", "x_start", "unconditional", "conditional", "difference"]
    with_class, without = (film.picture(plane, 1, 3) for plane in ("conditional", "unconditional"))
    assert with_class is not None
    assert without is not None
    np.testing.assert_array_equal(
        viewer.tiles["difference"].pixels, (4 * np.abs(with_class.astype(int) - without.astype(int))).clip(max=255)
    )
    boxes = [viewer.tiles[name].geometry() for name in _visible(viewer)]
    assert all(viewer.rect().contains(box) for box in boxes)
    assert not any(one.intersects(other) for one in boxes for other in boxes if one is not other)


@pytest.mark.parametrize(("percent", "size"), [(100, (500, 240)), (150, (530, 115)), (150, (503, 245))])
def test_titles_are_whole_above_small_pictures(
    qtbot: QtBot, qapp: QApplication, percent: int, size: tuple[int, int]
) -> None:
    theme.apply_theme(qapp, "dark", percent)
    try:
        viewer = _viewer(qtbot, film_of(gradients(2, 32), 5), width=size[0], height=size[1])
        viewer.show_guidance(shows=True)
        titles = [viewer.tiles[name].shown_title for name in _visible(viewer)]
        assert titles == ["xₜ", "x̂₀", "No class", "Class", "Difference"]
        boxes = [viewer.tiles[name].geometry() for name in _visible(viewer)]
        assert all(viewer.rect().contains(box) for box in boxes)
        assert not any(one.intersects(other) for one in boxes for other in boxes if one is not other)
    finally:
        theme.apply_theme(qapp, "dark")


def test_without_guidance_there_is_nothing_to_show_apart(qtbot: QtBot) -> None:
    viewer = _viewer(qtbot, film_of(gradients(2, 16), 5, guided=False))
    viewer.show_guidance(shows=True)
    assert not viewer.has_guidance
    assert _visible(viewer) == ["x_t", "x_start"]


def test_outside_the_guidance_interval_the_class_alone_is_shown(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    film = film_of(gradients(2, 16), 5)
    kept = film.picture

    def picture(plane: str, image: int, step: int) -> Pixels | None:
        pixels = kept(plane, image, step)
        return np.zeros_like(pixels) if plane == "unconditional" and pixels is not None else pixels

    monkeypatch.setattr(film, "picture", picture)
    viewer = _viewer(qtbot, film)
    viewer.show_guidance(shows=True)
    np.testing.assert_array_equal(viewer.tiles["conditional"].pixels, kept("conditional", 1, 3))
    assert [viewer.tiles[name].pixels for name in ("unconditional", "difference")] == [None, None]


def test_tiles_zoom_together_around_the_mouse(qtbot: QtBot) -> None:
    viewer = _viewer(qtbot)
    first, second = viewer.tiles["x_t"], viewer.tiles["x_start"]
    corner = QPointF(first.area().topLeft()) + QPointF(40, 40)
    before = (corner.x() - first.target().x()) / first.target().width()
    _wheel(first, corner, 480)
    assert viewer.view.zoom == pytest.approx(1.25**4)
    assert (corner.x() - first.target().x()) / first.target().width() == pytest.approx(before, abs=0.01)
    assert first.target().size() == second.target().size()
    assert first.target().topLeft() == second.target().topLeft()


def test_dragging_moves_both_and_a_double_click_shows_all(qtbot: QtBot) -> None:
    viewer = _viewer(qtbot)
    first, second = viewer.tiles["x_t"], viewer.tiles["x_start"]
    middle = first.area().center()
    _wheel(first, QPointF(middle), 960)
    before = second.target().topLeft()
    qtbot.mousePress(first, Qt.MouseButton.LeftButton, pos=middle)
    qtbot.mouseMove(first, middle + QPoint(20, 10))
    qtbot.mouseRelease(first, Qt.MouseButton.LeftButton, pos=middle + QPoint(20, 10))
    moved = second.target().topLeft() - before
    assert (moved.x(), moved.y()) == (pytest.approx(20, abs=1.5), pytest.approx(10, abs=1.5))
    qtbot.mouseDClick(second, Qt.MouseButton.LeftButton, pos=middle)
    assert viewer.view.zoom == 1


def test_a_picture_cannot_be_dragged_away(qtbot: QtBot) -> None:
    viewer = _viewer(qtbot)
    viewer.view.set_zoom(4, QPointF(-3, 7))
    tile = viewer.tiles["x_t"]
    assert tile.target().left() == pytest.approx(tile.area().left(), abs=1)
    assert tile.target().bottom() == pytest.approx(tile.area().bottom() + 1, abs=1.5)


def test_what_is_not_there_yet_is_said(qtbot: QtBot) -> None:
    viewer = _viewer(qtbot, film_of(gradients(2, 16), 5, done=2))
    assert viewer.tiles["x_t"].pixels is None
    assert not viewer.tiles["x_t"].grab().isNull()


def test_a_parent_that_ended_before_a_step_says_so(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    viewer = _viewer(qtbot, forked_film(parent_done=6))
    said: list[str] = []
    monkeypatch.setattr(viewer.tiles["x_start"], "show_pixels", lambda *_, missing: said.append(missing))
    viewer.show_step(1, 9)
    assert said == ["the parent ended before this step"]


def test_every_tile_says_what_it_is(qtbot: QtBot) -> None:
    viewer = _viewer(qtbot)
    for tile in viewer.tiles.values():
        assert tile.accessibleName()
        assert "zoom" in tile.toolTip()
    assert "−3 is black" in viewer.tiles["x_t"].toolTip()


def test_latents_that_are_not_decoded_are_called_so(qtbot: QtBot) -> None:
    viewer = _viewer(qtbot)
    tile = viewer.tiles["x_start"]
    assert tile.subtitle == "what the model sees in it"
    tile.show_pixels(np.zeros((4, 4, 3), np.uint8), QSize(16, 16))
    assert "latents" in tile.subtitle
    tile.show_pixels(np.zeros((16, 16, 3), np.uint8), QSize(16, 16))
    assert tile.subtitle == "what the model sees in it"
