"""The images of a point in a window of their own: of a folder, of an archive, and when they are gone."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from evaluate_right_scenes import REAL, image_of, read_pictures
from PIL import Image
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QAbstractButton, QLabel
from pytestqt.qtbot import QtBot
from scripted import Script, ScriptedLauncher

from dit_studio.events import Failure
from dit_studio.ui.evaluate.samples_dialog import SamplesDialog
from dit_studio.ui.evaluate.samples_film import SamplesFilm, image_files
from dit_studio.ui.evaluate.source_pictures import SourcePictures


class Opened:
    """Opens windows of samples, and closes them after the test."""

    def __init__(self, qtbot: QtBot) -> None:
        self.launcher = ScriptedLauncher(answers={"pictures": lambda **asked: read_pictures(**asked, missing=(4,))})
        self.shown: list[Path] = []
        self._qtbot = qtbot
        self._dialogs: list[SamplesDialog] = []

    def __call__(self, path: Path | str, count: int = 12) -> SamplesDialog:
        dialog = SamplesDialog(
            "step 1,000, CFG 2",
            str(path),
            count,
            launcher=self.launcher,
            show_path=self.shown.append,  # type: ignore[arg-type]
        )
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose, on=False)
        self._qtbot.addWidget(dialog)
        self._dialogs.append(dialog)
        with self._qtbot.waitExposed(dialog):
            dialog.show()
        return dialog

    def close(self) -> None:
        for dialog in self._dialogs:
            dialog.reject()


@pytest.fixture
def opened(qtbot: QtBot) -> Iterator[Opened]:
    result = Opened(qtbot)
    yield result
    result.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """12 images as a model draws them, with what lies beside them."""
    folder = tmp_path / "drawn"
    folder.mkdir()
    for number in range(12):
        Image.fromarray(image_of(REAL, number, 16)).save(folder / f"{number:06d}.png")
    (folder / "labels.csv").write_text("000000.png,3\n")
    (folder / "drawn.json").write_text("{}")
    return folder


def texts(dialog: SamplesDialog) -> str:
    return "\n".join(label.text() for label in dialog.findChildren(QLabel) if label.isVisible())


def click(qtbot: QtBot, dialog: SamplesDialog, name: str) -> None:
    (found,) = [item for item in dialog.findChildren(QAbstractButton) if item.accessibleName() == name]
    qtbot.mouseClick(found, Qt.MouseButton.LeftButton)


def middle(dialog: SamplesDialog, image: int) -> QColor:
    return dialog.grid.viewport().grab().toImage().pixelColor(dialog.grid.rect_of(image).center())


def test_the_images_of_a_folder_without_a_job(opened: Opened, folder: Path) -> None:
    dialog = opened(folder)
    assert dialog.windowTitle() == "Samples of step 1,000, CFG 2"
    assert f"12 images in {folder}" in texts(dialog)
    assert dialog.text == "Image 1 of 12 · 000000.png"
    for image in (0, 7, 11):
        expected = image_of(REAL, image, 16)[7:9, 7:9].reshape(-1, 3)
        assert np.abs(expected - np.array(middle(dialog, image).getRgb()[:3])).min() < 3
    assert opened.launcher.calls == []


def test_keys_go_through_the_images_and_show_one_alone(qtbot: QtBot, opened: Opened, folder: Path) -> None:
    dialog = opened(folder)
    qtbot.keyClick(dialog.grid, Qt.Key.Key_Right)
    assert dialog.text == "Image 2 of 12 · 000001.png"
    qtbot.keyClick(dialog.grid, Qt.Key.Key_Return)
    assert dialog.pages.currentWidget() is dialog.alone
    qtbot.keyClick(dialog.alone, Qt.Key.Key_Right)
    assert dialog.alone.accessibleName() == "000002.png"
    assert dialog.text == "Image 3 of 12 · 000002.png"
    qtbot.keyClick(dialog.alone, Qt.Key.Key_Left)
    qtbot.keyClick(dialog.alone, Qt.Key.Key_Escape)
    assert dialog.isVisible()
    assert dialog.pages.currentWidget() is dialog.grid
    assert dialog.grid.current == 1
    qtbot.keyClick(dialog.grid, Qt.Key.Key_Escape)
    assert not dialog.isVisible()


def test_a_double_click_shows_one_alone(qtbot: QtBot, opened: Opened, folder: Path) -> None:
    dialog = opened(folder)
    qtbot.mouseDClick(dialog.grid.viewport(), Qt.MouseButton.LeftButton, pos=dialog.grid.rect_of(5).center())
    assert dialog.alone.accessibleName() == "000005.png"


def test_a_damaged_image_says_so(qtbot: QtBot, opened: Opened, folder: Path) -> None:
    (folder / "000003.png").write_bytes(b"no picture")
    dialog = opened(folder)
    dialog.grid.mark(2)
    qtbot.keyClick(dialog.grid, Qt.Key.Key_Right)
    assert dialog.text == "Image 4 of 12 · 000003.png · It is gone, or cannot be read."
    qtbot.keyClick(dialog.grid, Qt.Key.Key_Return)


def test_the_folder_is_shown_on_demand(qtbot: QtBot, opened: Opened, folder: Path) -> None:
    click(qtbot, opened(folder), "Open folder")
    assert opened.shown == [folder]


def test_images_of_classes_are_called_by_their_folders(opened: Opened, folder: Path) -> None:
    for name in ("sea", "beach"):
        (folder / name).mkdir()
        (folder / "000000.png").rename(folder / name / "a.PNG") if name == "sea" else None
    (folder / ".hidden").mkdir()
    (folder / "000001.png").rename(folder / ".hidden" / "b.png")
    dialog = opened(folder)
    dialog.grid.mark(10)
    assert dialog.grid.caption(10) == "sea/a.PNG"
    assert len(image_files(folder)) == 11


def test_images_of_other_shapes_are_not_stretched(folder: Path) -> None:
    Image.fromarray(np.full((8, 16, 3), 255, np.uint8)).save(folder / "000001.png")
    film = SamplesFilm(str(folder), 12, SourcePictures(ScriptedLauncher(), size=8))  # type: ignore[arg-type]
    pixels = film.final(1)
    assert pixels is not None
    assert pixels.shape == (16, 16, 3)
    assert pixels[:, 0, 0].tolist() == [0] * 4 + [255] * 8 + [0] * 4


def test_the_images_of_an_archive_come_through_a_job(qtbot: QtBot, opened: Opened, tmp_path: Path) -> None:
    archive = tmp_path / "drawn.npz"
    archive.write_bytes(b"read by the job")
    dialog = opened(archive, 40)
    dialog.grid.viewport().repaint()
    qtbot.waitUntil(lambda: not (dialog._pictures._wanted or dialog._pictures._asked))
    (job, params) = opened.launcher.calls[0]
    assert (job, params["path"], params["size"]) == ("pictures", str(archive), 256)
    expected = image_of(str(archive), 3, 256)[128, 128]
    assert np.abs(expected - np.array(middle(dialog, 3).getRgb()[:3])).max() < 30
    assert dialog.text == "Image 1 of 40 · #0"
    dialog.grid.mark(3)
    qtbot.keyClick(dialog.grid, Qt.Key.Key_Right)
    assert dialog.text == "Image 5 of 40 · #4 · It cannot be read."
    click(qtbot, dialog, "Open folder")
    assert opened.shown == [tmp_path]


def test_why_an_archive_cannot_be_read_is_said(qtbot: QtBot, opened: Opened, tmp_path: Path) -> None:
    def refuse(**_: Any) -> Script:
        return [Failure(message="drawn.npz holds Python objects, which are not read.")]

    opened.launcher.answers["pictures"] = refuse
    archive = tmp_path / "drawn.npz"
    archive.write_bytes(b"pickles")
    dialog = opened(archive, 3)
    with qtbot.waitSignal(dialog._pictures.loaded):
        dialog.grid.viewport().repaint()
    assert "drawn.npz holds Python objects" in dialog.text


def test_more_images_than_are_listed(opened: Opened, tmp_path: Path) -> None:
    archive = tmp_path / "drawn.npz"
    archive.write_bytes(b"read by the job")
    dialog = opened(archive, 50_000)
    assert "The first 10,000 of 50,000 images in" in texts(dialog)
    assert dialog.grid.cells.count == 10_000


def test_some_images_of_a_folder_are_gone(opened: Opened, folder: Path) -> None:
    assert f"12 of 20 images in {folder}" in texts(opened(folder, 20))


def test_images_that_are_gone(opened: Opened, tmp_path: Path) -> None:
    dialog = opened(tmp_path / "drawn" / "8f3a", 40)
    assert "is no longer there. Evaluate again to draw the images anew." in texts(dialog)
    assert opened.launcher.calls == []


def test_a_folder_without_images(opened: Opened, tmp_path: Path) -> None:
    dialog = opened(tmp_path, 0)
    assert f"There are no images in {tmp_path}." in texts(dialog)
