"""The data card: opening, scanning, cancelling, and what it shows of a data set."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QEvent, QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QColor, QDropEvent, QPixmap, QStandardItemModel
from PySide6.QtWidgets import QApplication, QComboBox
from pytestqt.qtbot import QtBot
from scripted import ScriptedLauncher

from dit_studio.events import ClassSummary, DataSummary, Failure, FileProblem, Progress
from dit_studio.ui.settings import Settings
from dit_studio.ui.train.data_card import DataCard, problem_lines, summary_line
from dit_studio.ui.train.dialogs import Dialogs

MakeCard = Callable[..., DataCard]


def summary(path: str = "/data/digits", **changes: object) -> DataSummary:
    values: dict[str, object] = {
        "path": path,
        "images": 1797,
        "source": "folders",
        "sources": ("suffix",),
        "classes": tuple(ClassSummary(name=str(digit), images=180 - digit) for digit in range(10)),
        "smallest": (8, 8),
        "largest": (8, 8),
        "size_bytes": 2_000_000,
    }
    return DataSummary(**(values | changes))  # type: ignore[arg-type]


@pytest.fixture
def make_card(qtbot: QtBot, settings: Settings) -> Iterator[MakeCard]:
    cards: list[DataCard] = []

    def make(launcher: ScriptedLauncher, **dialogs: Callable[[str], str]) -> DataCard:
        card = DataCard(settings, launcher, Dialogs(**dialogs))  # type: ignore[arg-type]
        qtbot.addWidget(card)
        cards.append(card)
        return card

    yield make
    for card in cards:
        card.close_jobs()


def drop(card: DataCard, path: Path) -> bool:
    """Drag a path over the card and let it go; whether the card took it."""
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(path))])
    copy, left, none = Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    enter = QDropEvent(QPointF(9, 9), copy, mime, left, none, QEvent.Type.DragEnter)
    QApplication.sendEvent(card, enter)
    if not enter.isAccepted():
        return False
    QApplication.sendEvent(card, QDropEvent(QPointF(9, 9), copy, mime, left, none))
    return True


def test_a_dropped_folder_is_scanned_and_summed_up(make_card: MakeCard, tmp_path: Path, qtbot: QtBot) -> None:
    launcher = ScriptedLauncher(answers={"scan_data": [Progress(stage="reading", done=5), summary()]})
    card = make_card(launcher)
    folder = tmp_path / "dïgits 数据"
    folder.mkdir()
    assert drop(card, folder)
    qtbot.waitUntil(lambda: card.summary is not None)
    assert launcher.calls == [("scan_data", {"path": str(folder), "classes": "auto"})]
    assert card._line.text() == "1,797 images · 10 classes · from folders · 8×8 pixels · 2 MB"
    assert card._class_list.button.text() == "10 classes"
    assert card._class_table.view.model().rowCount() == 10


def test_a_run_or_a_picture_is_left_to_the_window(make_card: MakeCard, tmp_path: Path) -> None:
    card = make_card(ScriptedLauncher())
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.toml").touch()
    (tmp_path / "one.png").touch()
    assert not drop(card, tmp_path / "run")
    assert not drop(card, tmp_path / "one.png")
    assert card.path == ""


def test_small_images_are_not_blown_up(make_card: MakeCard, tmp_path: Path, qtbot: QtBot) -> None:
    card = make_card(ScriptedLauncher(answers={"scan_data": [summary()]}))
    card.open_path(tmp_path)
    qtbot.waitUntil(lambda: card.summary is not None)
    assert card.form.values()["image_size"] == 8
    assert "8 pixels" in card._fitted.text()
    card.form.set_values({"image_size": 16})
    card.scan()
    qtbot.waitUntil(lambda: card.summary is not None)
    assert card.form.values()["image_size"] == 16, "a person's choice stays"


def test_a_scan_can_be_cancelled(make_card: MakeCard, tmp_path: Path, qtbot: QtBot) -> None:
    launcher = ScriptedLauncher(answers={"scan_data": [Progress(stage="reading", done=5, total=9), threading.Event()]})
    card = make_card(launcher)
    card.open_path(tmp_path)
    qtbot.waitUntil(lambda: card._busy._label.text() == "Reading: 5 / 9")
    assert card._cancel.isVisibleTo(card)
    card._cancel.click()
    assert launcher.jobs[0].is_cancelled
    assert not card.is_scanning
    assert card.summary is None
    assert card._message.text() == "The scan was cancelled."
    assert not card._cancel.isVisibleTo(card)


def test_a_failed_scan_says_why_and_can_be_repeated(make_card: MakeCard, tmp_path: Path, qtbot: QtBot) -> None:
    launcher = ScriptedLauncher(answers={"scan_data": [Failure(message=f"{tmp_path} holds no images.")]})
    card = make_card(launcher)
    card.open_path(tmp_path)
    qtbot.waitUntil(lambda: card._message.isVisibleTo(card))
    assert card._message.text() == f"{tmp_path} holds no images."
    launcher.answers["scan_data"] = [summary()]
    card._message.action.emit("scan")
    qtbot.waitUntil(lambda: card.summary is not None)
    assert not card._message.isVisibleTo(card)


def test_another_source_of_classes_scans_again(make_card: MakeCard, tmp_path: Path, qtbot: QtBot) -> None:
    launcher = ScriptedLauncher(answers={"scan_data": [summary()]})
    card = make_card(launcher)
    card.open_path(tmp_path)
    qtbot.waitUntil(lambda: card.summary is not None)
    editor = card.form.editor("classes")
    assert isinstance(editor, QComboBox)
    model = editor.model()
    assert isinstance(model, QStandardItemModel)
    items = {item.text(): item.isEnabled() for item in map(model.item, range(model.rowCount()))}
    assert items == {"auto": True, "folders": True, "suffix": True, "none": True, "labels": False}
    launcher.answers["scan_data"] = [summary(source="none", classes=())]
    editor.setCurrentText("none")
    qtbot.waitUntil(lambda: card.summary is not None and card.summary.source == "none")
    assert launcher.calls[-1] == ("scan_data", {"path": str(tmp_path), "classes": "none"})
    assert not card._class_list.isVisibleTo(card)


def test_files_left_out_are_listed_with_their_reasons(make_card: MakeCard, tmp_path: Path, qtbot: QtBot) -> None:
    problems = (FileProblem(file="a.png", reason="zero bytes"), FileProblem(file="b.jpg", reason="cut off"))
    found = summary(problem_count=5, problems=problems, warnings=("Class 3 has one image.",))
    card = make_card(ScriptedLauncher(answers={"scan_data": [found]}))
    card.open_path(tmp_path)
    qtbot.waitUntil(lambda: card.summary is not None)
    assert card._problem_list.button.text() == "5 files left out"
    assert not card._problems.isVisibleTo(card)
    card._problem_list.button.click()
    assert card._problems.isVisibleTo(card)
    assert card._problems.toPlainText() == "a.png: zero bytes\nb.jpg: cut off\nand 3 more"
    assert [line.check.message for line in card._warnings.lines] == ["Class 3 has one image."]


def test_many_classes_can_be_searched(make_card: MakeCard, tmp_path: Path, qtbot: QtBot) -> None:
    many = tuple(ClassSummary(name=f"class {n}", images=n) for n in range(100))
    card = make_card(ScriptedLauncher(answers={"scan_data": [summary(classes=many)]}))
    card.open_path(tmp_path)
    qtbot.waitUntil(lambda: card.summary is not None)
    table = card._class_table
    qtbot.keyClicks(table.search, "ss 4")
    model = table.view.model()
    assert [model.index(row, 0).data() for row in range(model.rowCount())] == [
        "class 4",
        *(f"class {n}" for n in range(40, 50)),
    ]
    table.view.sortByColumn(1, Qt.SortOrder.DescendingOrder)
    assert model.index(0, 0).data() == "class 49", "images are sorted as numbers"


def test_thumbnails_are_shown_with_their_classes(make_card: MakeCard, tmp_path: Path, qtbot: QtBot) -> None:
    strip = QPixmap(64 * 5, 64)
    strip.fill(QColor("red"))
    strip.save(str(tmp_path / "strip.png"))
    found = summary(thumbnails=str(tmp_path / "strip.png"), thumbnail_labels=("0", "1", "2", "3", "4"))
    card = make_card(ScriptedLauncher(answers={"scan_data": [found]}))
    card.open_path(tmp_path)
    qtbot.waitUntil(lambda: card.summary is not None)
    assert card._thumbnails.count == 5
    assert card._thumbnails.isVisibleTo(card)
    assert "0, 1, 2" in card._thumbnails.accessibleName()


def test_buttons_open_a_folder_an_archive_and_what_was_open_before(
    make_card: MakeCard, qtbot: QtBot, tmp_path: Path, settings: Settings
) -> None:
    archive = tmp_path / "images.zip"
    archive.touch()
    card = make_card(
        ScriptedLauncher(answers={"scan_data": [summary()]}),
        folder=lambda _start: str(tmp_path),
        archive=lambda _start: str(archive),
    )
    card._on_browse()
    assert card.path == str(tmp_path)
    qtbot.waitUntil(lambda: settings.now.recent == [str(tmp_path)])
    card._on_archive()
    assert card.path == str(archive)
    qtbot.waitUntil(lambda: settings.now.recent == [str(archive), str(tmp_path)])
    card._fill_recent()
    card._recent_menu.actions()[1].trigger()
    assert card.path == str(tmp_path)
    qtbot.waitUntil(lambda: not card.is_scanning)


def test_what_was_refused_is_not_remembered(
    make_card: MakeCard, qtbot: QtBot, tmp_path: Path, settings: Settings
) -> None:
    card = make_card(ScriptedLauncher(answers={"scan_data": [Failure(message="It holds no image.")]}))
    card.open_path(tmp_path)
    qtbot.waitUntil(lambda: not card.is_scanning)
    assert settings.now.recent == []


def test_a_choice_that_was_given_up_changes_nothing(make_card: MakeCard) -> None:
    launcher = ScriptedLauncher()
    card = make_card(launcher, folder=lambda _start: "")
    card._on_browse()
    assert launcher.calls == []


def test_the_line_of_a_data_set_without_classes() -> None:
    found = summary(images=1, source="none", classes=(), smallest=(8, 9), largest=(640, 480), size_bytes=12_300)
    assert summary_line(found) == "1 image · without classes · 8×9 to 640×480 pixels · 12 kB"
    assert problem_lines(found) == ""
