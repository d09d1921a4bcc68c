"""The dialogs that find a batch size and a learning rate, driven as a user drives them."""

import threading
from collections.abc import Callable, Iterator

import pytest
from finder_scenes import BATCH_FOUND, BATCHES, DATA, RATES, tried
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLineEdit, QScrollArea
from pytestqt.qtbot import QtBot
from scripted import Script, ScriptedLauncher

from dit_studio.config import Recipe
from dit_studio.errors import DeviceMemoryError
from dit_studio.events import DataSummary, Failure, JobState, Progress
from dit_studio.findings import batch_found, rate_found
from dit_studio.jobs.run_folder import RunFolder, Status
from dit_studio.jobs.run_label import change_label
from dit_studio.places import runs_dir
from dit_studio.ui.train import find_batch_dialog, find_rate_dialog
from dit_studio.ui.train.dialogs import Dialogs
from dit_studio.ui.train.finders import Finders
from dit_studio.ui.train.training_card import TrainingCard

_FOUND = rate_found(RATES)
_FULL = Failure(message="Training does not fit into the memory of Test GPU.", code=DeviceMemoryError.code)


class Opened:
    """The finders of a training card, and what was chosen in them."""

    def __init__(self, qtbot: QtBot, data: DataSummary | None, **answers: Script) -> None:
        self.launcher = ScriptedLauncher(answers=answers)
        self.recipe: Recipe | None = Recipe()
        self.card = TrainingCard(self.launcher, Dialogs())  # type: ignore[arg-type]
        qtbot.addWidget(self.card)
        self.chosen: list[dict[str, float]] = []
        self.finders.serve(recipe=lambda: self.recipe, data=lambda: data)
        self.finders.chosen.connect(self.chosen.append)
        self.card.show()

    @property
    def finders(self) -> Finders:
        return self.card.finders

    def close(self) -> None:
        self.finders.close_jobs()
        self.card.start.close_job()
        self.card.devices.close_job()


Make = Callable[..., Opened]


@pytest.fixture
def make(qtbot: QtBot) -> Iterator[Make]:
    made: list[Opened] = []

    def open_card(data: DataSummary | None = DATA, **answers: Script) -> Opened:
        made.append(Opened(qtbot, data, **answers))
        return made[-1]

    yield open_card
    for one in made:
        one.close()


def press(qtbot: QtBot, dialog: find_batch_dialog.FindBatchDialog | find_rate_dialog.FindRateDialog) -> None:
    qtbot.mouseClick(dialog.bar.start, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not dialog.bar.is_running)


def calls(opened: Opened, job: str) -> list[dict[str, object]]:
    return [params for name, params in opened.launcher.calls if name == job]


# ------------------------------------------------------------------------------------------------- batch


def test_the_largest_batch_is_found_and_used(make: Make, qtbot: QtBot) -> None:
    opened = make(find_batch_size=[*BATCHES, BATCH_FOUND])
    qtbot.mouseClick(opened.finders.batch_button, Qt.MouseButton.LeftButton)
    dialog = opened.finders.find_batch()
    assert dialog.isVisible()
    assert not dialog.largest.isVisible()
    press(qtbot, dialog)
    (params,) = calls(opened, "find_batch_size")
    assert (params["num_classes"], params["images"]) == (10, 1797)
    assert [row.batch_size for row in dialog.model.rows] == [one.batch_size for one in BATCHES]
    assert dialog.verdict.text() == (
        "The largest batch that fits is 96, and takes 26.0 GB. Larger ones than 64 are hardly faster: 758 images/s. "
        "A batch of 97 does not fit into the memory of Test GPU."
    )
    assert (dialog.largest.text(), dialog.fastest.text()) == ("Use 96", "Use fastest 64")
    qtbot.mouseClick(dialog.fastest, Qt.MouseButton.LeftButton)
    assert opened.chosen == [{"batch_size": 64}]
    assert not dialog.isVisible()
    opened.finders.find_batch()
    qtbot.keyClick(dialog.largest, Qt.Key.Key_Space)
    assert opened.chosen[-1] == {"batch_size": 96}


def test_a_cancelled_search_keeps_what_it_found(make: Make, qtbot: QtBot) -> None:
    opened = make(find_batch_size=[*BATCHES[:4], threading.Event()])
    dialog = opened.finders.find_batch()
    qtbot.mouseClick(dialog.bar.start, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: len(dialog.model.rows) == 4)
    assert dialog.bar.halt.isEnabled()
    qtbot.mouseClick(dialog.bar.halt, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not dialog.bar.is_running)
    assert dialog.largest.text() == "Use 8"
    assert dialog.verdict.text().endswith("The search was ended early; a larger batch may fit.")


def test_a_search_cancelled_at_its_start_says_so(make: Make, qtbot: QtBot) -> None:
    dialog = make(find_batch_size=[threading.Event()]).finders.find_batch()
    qtbot.mouseClick(dialog.bar.start, Qt.MouseButton.LeftButton)
    qtbot.mouseClick(dialog.bar.halt, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not dialog.bar.is_running)
    assert dialog.bar.message.text() == "Cancelled before anything was tried."


def test_not_even_one_image_fits(make: Make, qtbot: QtBot) -> None:
    none = [tried(1, limit=0)]
    dialog = make(find_batch_size=[*none, batch_found(none, limit="Take a smaller model.")]).finders.find_batch()
    press(qtbot, dialog)
    assert dialog.verdict.text() == "Not even the smallest batch fits. Take a smaller model."
    assert not dialog.largest.isVisible()
    assert not dialog.fastest.isVisible()


def test_closing_the_dialog_ends_the_search(make: Make, qtbot: QtBot) -> None:
    opened = make(find_batch_size=[Progress(stage="Trying a batch of 1", done=0), threading.Event()])
    dialog = opened.finders.find_batch()
    qtbot.mouseClick(dialog.bar.start, Qt.MouseButton.LeftButton)
    assert opened.finders.find_rate().bar.said.words.startswith("The batch size is being looked for")
    dialog.close()
    assert not dialog.bar.is_running
    assert opened.launcher.jobs[-1].is_cancelled


# ------------------------------------------------------------------------------------------------- rate


def test_a_rate_is_suggested_drawn_elsewhere_and_used(make: Make, qtbot: QtBot) -> None:
    opened = make(find_learning_rate=[*RATES, _FOUND])
    qtbot.mouseClick(opened.finders.rate_button, Qt.MouseButton.LeftButton)
    dialog = opened.finders.find_rate()
    press(qtbot, dialog)
    assert dialog.rate == _FOUND.learning_rate
    assert dialog.use.text() == f"Use {_FOUND.learning_rate:g}"
    assert f"falls fastest at {_FOUND.learning_rate:g}" in dialog.verdict.text()
    assert "it ran away" in dialog.verdict.text()
    for _ in range(20):  # of a twentieth of a decade
        qtbot.keyClick(dialog.plot, Qt.Key.Key_Left)
    assert dialog.rate == pytest.approx((_FOUND.learning_rate or 0) / 10, rel=0.05)
    qtbot.mouseClick(dialog.use, Qt.MouseButton.LeftButton)
    assert opened.chosen == [{"learning_rate": dialog.rate}]


def test_a_cancelled_test_suggests_what_it_saw(make: Make, qtbot: QtBot) -> None:
    dialog = make(find_learning_rate=[*RATES[:100], threading.Event()]).finders.find_rate()
    qtbot.mouseClick(dialog.bar.start, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: len(dialog.tried) == 100)
    qtbot.mouseClick(dialog.bar.halt, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not dialog.bar.is_running)
    assert dialog.rate is not None
    assert "before the loss ran away" in dialog.verdict.text()


def test_a_failure_is_shown_with_what_to_do(make: Make, qtbot: QtBot) -> None:
    dialog = make(find_learning_rate=[_FULL]).finders.find_rate()
    press(qtbot, dialog)
    assert dialog.bar.message.text() == _FULL.message
    assert not dialog.use.isVisible()


def test_a_loss_that_never_fell_still_lets_a_rate_be_chosen(make: Make, qtbot: QtBot) -> None:
    flat = RATES[:30]
    found = rate_found(flat)
    dialog = make(find_learning_rate=[*flat, found]).finders.find_rate()
    press(qtbot, dialog)
    assert dialog.verdict.text().startswith("No learning rate is suggested.")
    assert dialog.use.isVisible()


# ------------------------------------------------------------------------------------------------- why not


def test_without_images_only_the_batch_can_be_found(make: Make) -> None:
    opened = make(data=None)
    rate, batch = opened.finders.find_rate(), opened.finders.find_batch()
    assert rate.bar.said.words.startswith("There are no images yet")
    assert not rate.bar.start.isEnabled()
    assert batch.bar.start.isEnabled()


def test_impossible_settings_are_mended_first(make: Make) -> None:
    opened = make()
    opened.recipe = None
    assert "cannot be used" in opened.finders.find_batch().bar.said.words


def test_beside_a_run_nothing_starts(make: Make) -> None:
    folder = RunFolder.create(runs_dir() / "night", Recipe())
    folder.write_status(Status(state=JobState.PAUSED, devices=("cpu",)))
    opened = make()
    with folder.lock():
        dialog = opened.finders.find_batch()
        change_label(folder, title="Good night")
        dialog.bar.look()
        assert dialog.bar.said.words.startswith("Good night is at work on this device.")
        assert not dialog.bar.start.isEnabled()


def test_at_its_usual_size_a_dialog_shows_its_result_whole(make: Make, qtbot: QtBot) -> None:
    opened = make(find_batch_size=[*BATCHES, BATCH_FOUND], find_learning_rate=[*RATES, _FOUND])
    for dialog in (opened.finders.find_batch(), opened.finders.find_rate()):
        press(qtbot, dialog)
        (content,) = dialog.findChildren(QScrollArea)
        qtbot.waitUntil(dialog.plot.isVisible)
        qtbot.waitUntil(lambda content=content: content.verticalScrollBar().maximum() == 0)  # type: ignore[misc]


def test_the_buttons_have_names_and_stand_behind_their_settings(make: Make) -> None:
    opened = make()
    for name, pressed in (("batch_size", opened.finders.batch_button), ("learning_rate", opened.finders.rate_button)):
        editor = opened.card.form.editor(name)
        assert isinstance(editor, QLineEdit)
        assert editor.nextInFocusChain() is pressed
        assert pressed.accessibleName().startswith("Find")
        assert pressed.toolTip()
