"""Is it copying? The verdict, the nearest training images, and the large view, as a user goes through them."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import numpy as np
import pytest
from evaluate_right_scenes import FAKE, REAL, copy_list, honest, image_of, read_pictures
from evaluation_results import copying, result_of
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QColor, QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel
from pytestqt.qtbot import QtBot
from scripted import Script, ScriptedLauncher

from dit_studio.evaluation_plan import CopyList
from dit_studio.evaluation_request import Copying, EvaluationResult
from dit_studio.events import Failure
from dit_studio.ui import theme
from dit_studio.ui.evaluate.copying_headline import reason, verdict
from dit_studio.ui.evaluate.copying_view import CopyingView
from dit_studio.ui.evaluate.result_card import copying_text
from dit_studio.ui.evaluate.source_pictures import MISSING, SourcePictures
from dit_studio.ui.widgets.rows_model import ROW


def measured(found: Copying | None, *, why: str = "") -> EvaluationResult:
    return msgspec.structs.replace(result_of({"fid": 3.2}, fake=FAKE, copying=found), why_no_copying=why)


@pytest.fixture
def launcher() -> ScriptedLauncher:
    return ScriptedLauncher(answers={"pictures": lambda **asked: read_pictures(**asked, missing=(4,))})


@pytest.fixture
def view(qtbot: QtBot, launcher: ScriptedLauncher) -> Iterator[CopyingView]:
    view = CopyingView(launcher)  # type: ignore[arg-type]
    qtbot.addWidget(view)
    view.resize(284, 620)
    with qtbot.waitExposed(view):
        view.show()
    yield view
    view.lens.close()
    view.hide()
    view.close_jobs()


def texts(view: CopyingView) -> str:
    """Every label in sight."""
    return "\n".join(label.text() for label in view.findChildren(QLabel) if label.isVisible())


def show(qtbot: QtBot, view: CopyingView, found: Copying | None = None, listed: CopyList | None = None) -> None:
    """Show a point, and wait until the pictures in sight are there."""
    view.show_point(measured(found or copying()), listed or copy_list())
    settle(qtbot, view)


def settle(qtbot: QtBot, view: CopyingView) -> None:
    """Wait until every picture in sight is there."""
    view.list.viewport().repaint()
    qtbot.waitUntil(lambda: not (view._small._wanted or view._small._asked))


def place_of(view: CopyingView, row: int, picture: int) -> QPoint:
    index = view.list.rows.index(row)
    return view.list.paints.places(view.list.visualRect(index), index.data(ROW)).pictures[picture].center()


def colour_at(view: CopyingView, place: QPoint) -> QColor:
    return view.list.viewport().grab().toImage().pixelColor(place)


# ------------------------------------------------------------------------------------------------- the verdict


def test_a_copying_model_is_said_to_copy_in_red(qtbot: QtBot, view: CopyingView) -> None:
    show(qtbot, view)
    assert view.headline.text.startswith("It looks like copying. 50.0% are close to a training image;")
    assert "by chance about 5.0% would be. 2 are one to the last byte." in view.headline.text
    assert "50.0%" in texts(view)
    (said,) = [label for label in view.findChildren(QLabel) if label.text() == "It looks like copying"]
    assert said.palette().color(said.foregroundRole()) == QColor(theme.current().error)


def test_an_honest_model_is_not(qtbot: QtBot, view: CopyingView) -> None:
    show(qtbot, view, honest())
    assert view.headline.text.startswith("No sign of copying. 4.6% are close")
    (said,) = [label for label in view.findChildren(QLabel) if label.text() == "No sign of copying"]
    assert said.palette().color(said.foregroundRole()) == QColor(theme.current().text)


@pytest.mark.parametrize(
    ("suspicious", "exact", "floor", "words", "usual"),
    [
        (True, 0, None, "It looks like copying", "by chance about 5.0% would be."),
        (True, 1, 0.2, "It looks like copying", "by chance about 20.0% would be. One is one"),
        (False, 1, 0.02, "Some images are copies", "by chance about 5.0% would be. One is"),
        (False, 0, 0.02, "No sign of copying", "by chance about 5.0% would be."),
    ],
)
def test_the_verdict_weighs_share_floor_and_exact_copies(
    suspicious: bool, exact: int, floor: float | None, words: str, usual: str
) -> None:
    found = msgspec.structs.replace(copying(), is_suspicious=suspicious, exact=exact, floor=floor)
    assert verdict(found) == words
    assert usual in reason(found)


@pytest.mark.parametrize("found", [copying(), honest(), msgspec.structs.replace(honest(), exact=10)])
def test_the_card_gives_the_same_verdict(found: Copying) -> None:
    assert copying_text(found).startswith(f"{verdict(found)}: ")


def test_figures_say_what_they_are(qtbot: QtBot, view: CopyingView) -> None:
    show(qtbot, view, msgspec.structs.replace(copying(), floor=None))
    tooltips = {
        widget.accessibleName(): widget.toolTip() for widget in view.headline.children() if widget.isWidgetType()
    }  # type: ignore[attr-defined]
    assert "20 of" not in texts(view)
    assert "at most 3 in feature distance" in tooltips["closer: 50.0%"]
    assert "this was not done" in tooltips["floor: –"]
    assert "2 generated images are a training image to the last byte." in tooltips["exact copies: 2"]


@pytest.mark.parametrize(
    ("result", "title", "text"),
    [
        (None, "Nothing yet", "Evaluate, or open an evaluation"),
        (measured(None), "Not measured", "Choose the metric “copying”"),
        (
            measured(None, why="The reference is saved statistics without images."),
            "Not possible",
            "without images",
        ),
    ],
    ids=["no point", "not chosen", "statistics"],
)
def test_empty_states_say_why(view: CopyingView, result: EvaluationResult | None, title: str, text: str) -> None:
    view.show_point(measured(copying()), copy_list())
    view.show_point(result, None)
    assert title in texts(view)
    assert text in texts(view)
    assert not view.list.isVisible()


# ------------------------------------------------------------------------------------------------- the list


def test_rows_come_the_closest_first_and_say_what_is_near(qtbot: QtBot, view: CopyingView) -> None:
    show(qtbot, view)
    assert len(view.list.shown()) == 40
    assert [row.rank for row in view.list.shown()[:3]] == [1, 2, 3]
    index = view.list.rows.index(1)
    spoken = index.data(Qt.ItemDataRole.AccessibleTextRole)
    assert spoken == "2: 000001.png, nearest train/00001.png, distance 0.15, closer than real ones"
    assert "train/00002.png: 0.45" in index.data(Qt.ItemDataRole.ToolTipRole)


def test_pictures_are_those_of_their_numbers(qtbot: QtBot, view: CopyingView) -> None:
    show(qtbot, view)
    for path, picture, number in ((FAKE, 0, 1), (REAL, 1, 1), (REAL, 2, 2)):
        found = view._small.get(path, number)
        assert isinstance(found, QImage)
        place = place_of(view, 1, picture)
        expected = image_of(path, number, 128)[64, 64]
        shown = np.array(colour_at(view, place).getRgb()[:3])
        assert np.abs(shown - expected).max() < 40


def test_closer_ones_are_framed_in_red(qtbot: QtBot, view: CopyingView) -> None:
    show(qtbot, view, honest(), CopyList(real_path=REAL, fake_path=FAKE, copies=honest().copies))
    rows = [view.list.visualRect(view.list.rows.index(row)) for row in (1, 2)]
    is_red = [colour_at(view, rect.topLeft() + QPoint(1, 20)) == QColor(theme.current().error) for rect in rows]
    assert is_red == [True, False]


def test_what_cannot_be_read_is_grey(qtbot: QtBot, view: CopyingView) -> None:
    show(qtbot, view)
    assert view._small.get(REAL, 4) == MISSING
    corner = place_of(view, 2, 3) - QPoint(20, 20)
    assert colour_at(view, corner) == QColor(theme.current().raised)


def test_only_what_is_in_sight_is_read_a_page_at_a_time(
    qtbot: QtBot, view: CopyingView, launcher: ScriptedLauncher
) -> None:
    show(qtbot, view, listed=copy_list(400))
    asked = [number for job, params in launcher.calls if job == "pictures" for number in params["numbers"]]
    assert max(asked) < 20
    assert all(len(params["numbers"]) <= 128 for job, params in launcher.calls if job == "pictures")
    view.list.scrollToBottom()
    settle(qtbot, view)
    assert isinstance(view._small.get(FAKE, 399), QImage)
    assert view._small.get(FAKE, 200) is None


def test_the_filter_leaves_only_closer_ones(qtbot: QtBot, view: CopyingView) -> None:
    show(qtbot, view)
    QTest.mouseClick(view.only_closer, Qt.MouseButton.LeftButton, pos=QPoint(12, view.only_closer.height() // 2))
    assert len(view.list.shown()) == 20
    settle(qtbot, view)
    none = tuple(msgspec.structs.replace(copy, is_closer=False) for copy in copy_list(4).copies)
    view.show_point(measured(honest()), CopyList(real_path=REAL, fake_path=FAKE, copies=none))
    assert "None is closer." in texts(view)
    assert not view.list.isVisible()


def test_without_the_list_of_all_the_closest_are_shown(qtbot: QtBot, view: CopyingView) -> None:
    view.show_point(measured(honest()), None)
    settle(qtbot, view)
    assert len(view.list.shown()) == 16


def test_why_a_source_cannot_be_read_is_said(qtbot: QtBot, view: CopyingView, launcher: ScriptedLauncher) -> None:
    gone = Failure(message=f"{REAL} cannot be read: no such folder.", remedy="Put it back where it was.")

    def answer(path: str, **asked: Any) -> Script:
        return [gone] if path == REAL else read_pictures(path, **asked)

    launcher.answers["pictures"] = answer
    show(qtbot, view)
    assert "/data/digits cannot be read: no such folder. Put it back where it was." in texts(view)
    launcher.answers["pictures"] = read_pictures
    show(qtbot, view)  # the same point, once it is there again
    assert "no such folder" not in texts(view)
    assert isinstance(view._small.get(REAL, 0), QImage)


# ------------------------------------------------------------------------------------------------- in large


def wait_for_large(qtbot: QtBot, view: CopyingView) -> None:
    qtbot.waitUntil(lambda: not (view._large._wanted or view._large._asked))


def test_a_click_on_an_image_shows_it_in_large(qtbot: QtBot, view: CopyingView, launcher: ScriptedLauncher) -> None:
    show(qtbot, view)
    qtbot.mouseClick(view.list.viewport(), Qt.MouseButton.LeftButton, pos=place_of(view, 1, 2))
    wait_for_large(qtbot, view)
    assert "Generated: 000001.png" in view.lens.text
    assert "Training image: train/00002.png" in view.lens.text
    assert "Training image 2 by nearness, at a feature distance of 0.45." in view.lens.text
    assert {params["size"] for job, params in launcher.calls if job == "pictures"} == {128, 512}


def test_keys_go_through_rows_and_training_images(qtbot: QtBot, view: CopyingView) -> None:
    show(qtbot, view)
    view.list.select_only(view.list.rows.index(0))
    qtbot.keyClick(view.list, Qt.Key.Key_Down)
    qtbot.keyClick(view.list, Qt.Key.Key_Return)
    assert "Generated: 000001.png" in view.lens.text
    assert "It is closer than training images are to each other." in view.lens.text
    for key, drawn, trained in (
        (Qt.Key.Key_Right, "000001.png", "train/00002.png"),
        (Qt.Key.Key_Right, "000001.png", "train/00003.png"),
        (Qt.Key.Key_Right, "000001.png", "train/00003.png"),  # there are three
        (Qt.Key.Key_Down, "000002.png", "train/00002.png"),
        (Qt.Key.Key_Up, "000001.png", "train/00001.png"),
        (Qt.Key.Key_Left, "000001.png", "train/00001.png"),
    ):
        qtbot.keyClick(view.lens, key)
        assert f"Generated: {drawn}\nTraining image: {trained}" in view.lens.text
    wait_for_large(qtbot, view)
    qtbot.keyClick(view.lens, Qt.Key.Key_Escape)
    assert not view.lens.isVisible()


def test_another_point_closes_the_large_view(qtbot: QtBot, view: CopyingView) -> None:
    show(qtbot, view)
    view.list.opened.emit(0, 0)
    wait_for_large(qtbot, view)
    view.show_point(None, None)
    assert not view.lens.isVisible()


def test_large_text_leaves_room_for_distances(qtbot: QtBot, qapp: QApplication, view: CopyingView) -> None:
    show(qtbot, view)
    rows = view.list.rows
    before = len(view.list.paints.places(view.list.visualRect(rows.index(0)), rows.index(0).data(ROW)).pictures)
    theme.apply_theme(qapp, "light", 200)
    try:
        view.list.doItemsLayout()
        after = len(view.list.paints.places(view.list.visualRect(rows.index(0)), rows.index(0).data(ROW)).pictures)
        settle(qtbot, view)
    finally:
        theme.apply_theme(qapp, "dark", 100)
    assert (before, after) == (4, 3)


# ------------------------------------------------------------------------------------------------- reading


@pytest.fixture
def reading() -> Iterator[Callable[..., SourcePictures]]:
    made: list[SourcePictures] = []

    def make(answer: Callable[..., Script]) -> SourcePictures:
        launcher = ScriptedLauncher(answers={"pictures": answer})
        made.append(SourcePictures(launcher, size=8))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for pictures in made:
        pictures.close()


def test_what_was_asked_for_last_is_read_first(qtbot: QtBot, reading: Callable[..., SourcePictures]) -> None:
    asked: list[list[int]] = []

    def answer(path: str, numbers: list[int], size: int) -> Script:
        asked.append(numbers)
        return read_pictures(path, numbers, size)

    pictures = reading(answer)
    for number in range(300):
        assert pictures.get("/a", number) is None
    qtbot.waitUntil(lambda: len(asked) == 3 and isinstance(pictures.get("/a", 0), QImage))
    assert [(numbers[0], numbers[-1]) for numbers in asked] == [(172, 299), (44, 171), (0, 43)]


def test_a_job_that_dies_leaves_a_reason(qtbot: QtBot, reading: Callable[..., SourcePictures]) -> None:
    pictures = reading(lambda **_: [Failure(message="The worker process ended.")])
    pictures.get("/a", 1)
    with qtbot.waitSignal(pictures.loaded):
        pass
    assert pictures.get("/a", 1) == "The worker process ended."
    pictures.retry()
    assert pictures.get("/a", 1) is None
    with qtbot.waitSignal(pictures.loaded):
        pass


def test_an_answer_that_is_cut_short_is_missing(qtbot: QtBot, reading: Callable[..., SourcePictures]) -> None:
    def answer(path: str, numbers: list[int], size: int) -> Script:
        (whole,) = read_pictures(path, numbers, size)
        return [msgspec.structs.replace(whole, data=whole.data[:-1])]

    pictures = reading(answer)
    pictures.get("/a", 1)
    with qtbot.waitSignal(pictures.loaded):
        pass
    assert pictures.get("/a", 1) == MISSING


def test_closing_ends_the_job(reading: Callable[..., SourcePictures]) -> None:
    pictures = reading(lambda **_: [threading.Event()])
    pictures.get("/a", 1)
    pictures._read_some()
    pictures.close()
    assert not pictures._job.is_running
