"""The preview wall, used as a person would."""

from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QColor, QImage
from PySide6.QtWidgets import QCheckBox, QPushButton, QSlider
from pytestqt.qtbot import QtBot

from dit_studio.events import PreviewSaved
from dit_studio.ui.train.preview_files import PreviewFiles
from dit_studio.ui.train.preview_lens import PreviewLens
from dit_studio.ui.train.preview_rows import PreviewRows
from dit_studio.ui.train.preview_wall import PreviewWall

LABELS = ("sea", "beach", "island")
COLOURS = ("#ff0000", "#00ff00", "#0000ff")


def save_preview(run: Path, step: int, *, cell_size: int = 8) -> PreviewSaved:
    """Three cells, red, green and blue."""
    (run / "previews").mkdir(parents=True, exist_ok=True)
    image = QImage(3 * cell_size, cell_size, QImage.Format.Format_RGB888)
    for column, colour in enumerate(COLOURS):
        for x in range(column * cell_size, (column + 1) * cell_size):
            for y in range(cell_size):
                image.setPixelColor(x, y, QColor(colour))
    file = f"previews/step-{step:07d}.png"
    assert image.save(str(run / file))
    return PreviewSaved(step=step, file=file, columns=3, rows=1, cell_size=cell_size, labels=LABELS, seed=7)


@pytest.fixture
def wall(qtbot: QtBot, tmp_path: Path) -> PreviewWall:
    widget = PreviewWall()
    qtbot.addWidget(widget)
    widget.resize(320, 400)
    widget.set_run(tmp_path)
    widget.show()
    return widget


def fill(wall: PreviewWall, run: Path, count: int) -> list[PreviewSaved]:
    previews = [save_preview(run, 100 * number) for number in range(1, count + 1)]
    for preview in previews:
        wall.add_preview(preview)
    return previews


def rows_of(wall: PreviewWall) -> PreviewRows:
    return wall.findChild(PreviewRows)


def live_chip(wall: PreviewWall) -> QPushButton:
    return wall.findChild(QPushButton)


def place_of(rows: PreviewRows, row: int, cell: int) -> QPoint:
    """Somewhere inside a cell."""
    view = rows.viewport()
    places = (QPoint(x, y) for y in range(0, view.height(), 5) for x in range(0, view.width(), 5))
    return next(place for place in places if rows.cell_at(place) == (row, cell)) + QPoint(5, 5)


def test_the_newest_row_is_followed(wall: PreviewWall, tmp_path: Path) -> None:
    fill(wall, tmp_path, 30)
    bar = rows_of(wall).verticalScrollBar()
    assert wall.current_step == 3000
    assert bar.value() == bar.maximum() > 0


def test_each_cell_shows_its_class(wall: PreviewWall, tmp_path: Path, qtbot: QtBot) -> None:
    fill(wall, tmp_path, 2)
    rows = rows_of(wall)

    def colours() -> list[str]:
        picture = rows.viewport().grab().toImage()
        return [picture.pixelColor(place_of(rows, 1, cell)).name() for cell in range(3)]

    qtbot.waitUntil(lambda: colours() == list(COLOURS))


def test_sliding_back_stays_there_until_live_is_pressed(wall: PreviewWall, tmp_path: Path, qtbot: QtBot) -> None:
    fill(wall, tmp_path, 30)
    slider = wall.findChild(QSlider)
    slider.setValue(3)
    assert wall.current_step == 400
    assert not wall.is_live
    wall.add_preview(save_preview(tmp_path, 3100))
    assert wall.current_step == 400
    qtbot.mouseClick(live_chip(wall), Qt.MouseButton.LeftButton)
    assert wall.is_live
    assert wall.current_step == 3100


def test_scrolling_back_stops_following_and_the_end_starts_it(wall: PreviewWall, tmp_path: Path) -> None:
    fill(wall, tmp_path, 30)
    bar = rows_of(wall).verticalScrollBar()
    bar.setValue(0)
    assert not wall.is_live
    wall.add_preview(save_preview(tmp_path, 3100))
    assert bar.value() == 0
    bar.setValue(bar.maximum())
    assert wall.is_live
    assert wall.current_step == 3100


def test_arrow_keys_go_through_the_steps(wall: PreviewWall, tmp_path: Path, qtbot: QtBot) -> None:
    fill(wall, tmp_path, 5)
    rows = rows_of(wall)
    rows.setFocus()
    steps = []
    for key in (Qt.Key.Key_Left, Qt.Key.Key_Left, Qt.Key.Key_Right, Qt.Key.Key_Home, Qt.Key.Key_Left, Qt.Key.Key_End):
        qtbot.keyClick(rows, key)
        steps.append(wall.current_step)
    assert steps == [400, 300, 400, 100, 100, 500]
    assert wall.is_live


def test_the_nearest_step_is_shown(wall: PreviewWall, tmp_path: Path) -> None:
    wall.show_step(100)
    assert wall.current_step is None
    fill(wall, tmp_path, 5)
    wall.show_step(260)
    assert wall.current_step == 300


def test_a_resumed_run_drops_what_is_overwritten(wall: PreviewWall, tmp_path: Path) -> None:
    fill(wall, tmp_path, 5)
    wall.add_preview(save_preview(tmp_path, 300))
    assert wall.findChild(QSlider).maximum() == 2
    assert wall.current_step == 300


def test_a_click_shows_one_sample_large(wall: PreviewWall, tmp_path: Path, qtbot: QtBot) -> None:
    fill(wall, tmp_path, 5)
    rows = rows_of(wall)
    qtbot.mouseClick(rows.viewport(), Qt.MouseButton.LeftButton, pos=place_of(rows, 2, 1))
    lens = wall.findChild(PreviewLens)
    qtbot.waitUntil(lens.isVisible)
    assert lens.caption() == "beach · step 300 · seed 8"
    qtbot.keyClick(lens, Qt.Key.Key_Left)
    assert lens.caption() == "beach · step 200 · seed 8"
    assert wall.current_step == 200
    qtbot.keyClick(lens, Qt.Key.Key_Down)
    assert lens.caption() == "island · step 200 · seed 9"
    assert not lens.findChild(QCheckBox).isChecked()  # pixels of 8×8 stay squares
    centre = lens.rect().center() - QPoint(0, 40)
    assert lens.grab().toImage().pixelColor(centre).name() == "#0000ff"
    lens.close()


def test_a_picture_that_cannot_be_read_is_said(wall: PreviewWall, tmp_path: Path, qtbot: QtBot) -> None:
    previews = fill(wall, tmp_path, 2)
    (tmp_path / previews[0].file).write_bytes(b"not a picture")
    files = PreviewFiles(wall)
    files.folder = tmp_path
    files.want_only(previews, 8)
    qtbot.waitUntil(lambda: files.get(previews[1], 8) is not None)
    broken = files.get(previews[0], 8)
    assert broken is not None
    assert broken.isNull()


def test_memory_is_bounded_and_only_rows_in_sight_are_read(wall: PreviewWall, tmp_path: Path, qtbot: QtBot) -> None:
    previews = [save_preview(tmp_path, step, cell_size=16) for step in range(1, 21)]
    files = PreviewFiles(wall, limit_bytes=5 * 48 * 16 * 4)
    files.folder = tmp_path
    files.want_only(previews, 16)
    qtbot.waitUntil(lambda: files.get(previews[-1], 16) is not None)
    assert 0 < files.size_bytes <= 5 * 48 * 16 * 4
    assert files.get(previews[0], 16) is None


def test_large_pictures_are_kept_as_small_as_they_are_shown(wall: PreviewWall, tmp_path: Path, qtbot: QtBot) -> None:
    preview = save_preview(tmp_path, 1, cell_size=64)
    files = PreviewFiles(wall)
    files.folder = tmp_path
    files.want_only([preview], 20)
    qtbot.waitUntil(lambda: files.get(preview, 20) is not None)
    image = files.get(preview, 20)
    assert image is not None
    assert (image.width(), image.height()) == (60, 20)


def test_hundreds_of_classes_can_be_scrolled(wall: PreviewWall) -> None:
    wall.add_preview(PreviewSaved(step=1, file="none.png", columns=200, rows=1, cell_size=8))
    assert rows_of(wall).horizontalScrollBar().maximum() > 0


def test_another_run_starts_empty(wall: PreviewWall, tmp_path: Path) -> None:
    fill(wall, tmp_path, 3)
    wall.set_run(None)
    assert wall.current_step is None
    assert not rows_of(wall).isVisible()


def test_every_control_can_be_named_and_reached(wall: PreviewWall, tmp_path: Path) -> None:
    fill(wall, tmp_path, 1)
    for control in (rows_of(wall), live_chip(wall), wall.findChild(QSlider)):
        assert control.accessibleName()
        assert control.toolTip()
        assert control.focusPolicy() & Qt.FocusPolicy.TabFocus
