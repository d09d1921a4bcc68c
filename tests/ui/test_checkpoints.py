"""The list of checkpoints, used as a person would."""

from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QPushButton, QTableWidget
from pytestqt.qtbot import QtBot
from scripted import ScriptedLauncher

from dit_studio.config import Recipe
from dit_studio.events import CheckpointSaved, Validation
from dit_studio.jobs.run_folder import RunFolder
from dit_studio.model_events import ExportChecked
from dit_studio.ui import theme
from dit_studio.ui.train.checkpoints import CheckpointList

WEIGHTS = b"averaged weights" * 1000


@pytest.fixture
def run(tmp_path: Path) -> Path:
    RunFolder.create(tmp_path / "run", Recipe())
    for step in (500, 1000, 1500):
        save_checkpoint(tmp_path / "run", step)
    return tmp_path / "run"


def save_checkpoint(run: Path, step: int) -> CheckpointSaved:
    folder = run / f"checkpoints/step-{step:07d}"
    folder.mkdir()
    (folder / "ema.safetensors").write_bytes(WEIGHTS)
    (folder / "model.safetensors").write_bytes(WEIGHTS)
    return CheckpointSaved(step=step, file=f"checkpoints/{folder.name}", size_bytes=2 * len(WEIGHTS))


class Answers:
    """What a person would say in a dialog, and what was asked."""

    def __init__(self) -> None:
        self.questions: list[str] = []
        self.says_yes = True
        self.shown: list[Path] = []

    def confirm(self, question: str, _action: str) -> bool:
        self.questions.append(question)
        return self.says_yes


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
def checkpoints(qtbot: QtBot, run: Path, answers: Answers, launcher: ScriptedLauncher) -> CheckpointList:
    widget = CheckpointList(
        launcher,  # type: ignore[arg-type]
        confirm=answers.confirm,
        show_path=lambda path: answers.shown.append(path),
    )
    qtbot.addWidget(widget)
    widget.set_run(run)
    widget.show()
    return widget


def cells(checkpoints: CheckpointList, column: int) -> list[str]:
    table = checkpoints.findChild(QTableWidget)
    items = [table.item(row, column) for row in range(table.rowCount())]
    return [item.text() for item in items if item]


def press(checkpoints: CheckpointList, name: str) -> None:
    next(button for button in checkpoints.findChildren(QPushButton) if button.text() == name).click()


def says(checkpoints: CheckpointList) -> str:
    return " ".join(label.text() for label in checkpoints.findChildren(QLabel) if label.isVisible())


def test_the_newest_is_first_with_its_loss_and_size(checkpoints: CheckpointList, qtbot: QtBot) -> None:
    checkpoints.add_validation(Validation(step=900, loss=0.5))
    checkpoints.add_validation(Validation(step=1500, loss=0.25))
    qtbot.waitUntil(lambda: cells(checkpoints, 1) == ["0.2500", "0.5000", "–"])
    assert cells(checkpoints, 0) == ["1,500", "1,000", "500"]
    assert cells(checkpoints, 2) == ["32 kB"] * 3


def test_a_loss_that_was_measured_earlier_says_so(checkpoints: CheckpointList, qtbot: QtBot) -> None:
    checkpoints.add_validation(Validation(step=900, loss=0.5))
    checkpoints.add_validation(Validation(step=1500, loss=0.25))
    qtbot.waitUntil(lambda: cells(checkpoints, 1) == ["0.2500", "0.5000", "–"])
    table = checkpoints.findChild(QTableWidget)
    measured_then, measured_before, _ = (table.item(row, 1) for row in range(3))
    assert "at step 900" in measured_before.toolTip()
    assert measured_before.foreground().color().name().upper() == theme.current().muted
    assert "at step" not in measured_then.toolTip()
    assert measured_then.foreground().style() is Qt.BrushStyle.NoBrush


def test_a_selection_leaves_the_header_as_it_is(checkpoints: CheckpointList) -> None:
    assert not checkpoints.findChild(QTableWidget).horizontalHeader().highlightSections(), "bold would not fit"


def test_a_new_one_appears_and_vanished_ones_go(checkpoints: CheckpointList, run: Path, qtbot: QtBot) -> None:
    checkpoints.show_step(1000)
    (run / "checkpoints/step-0000500").rename(run / "checkpoints/.gone")
    checkpoints.add_checkpoint(save_checkpoint(run, 2000))
    qtbot.waitUntil(lambda: cells(checkpoints, 0) == ["2,000", "1,500", "1,000"])
    rows = checkpoints.findChild(QTableWidget).selectionModel().selectedRows()
    assert [row.row() for row in rows] == [2]  # the same one as before


def test_nothing_can_be_done_without_a_choice(checkpoints: CheckpointList) -> None:
    assert not any(button.isEnabled() for button in checkpoints.findChildren(QPushButton))
    checkpoints.show_step(500)
    assert all(button.isEnabled() for button in checkpoints.findChildren(QPushButton))


def test_resume_is_asked_of_the_page(checkpoints: CheckpointList, run: Path, qtbot: QtBot) -> None:
    checkpoints.show_step(1000)
    with qtbot.waitSignal(checkpoints.resume_requested) as asked:
        press(checkpoints, "Resume from here")
    assert asked.args == [run / "checkpoints/step-0001000"]


def test_sampling_is_asked_of_the_page(checkpoints: CheckpointList, run: Path, qtbot: QtBot) -> None:
    checkpoints.show_step(1000)
    with qtbot.waitSignal(checkpoints.sample_requested) as asked:
        press(checkpoints, "Sample")
    assert asked.args == [run / "checkpoints/step-0001000"]


def test_the_folder_is_opened(checkpoints: CheckpointList, run: Path, answers: Answers) -> None:
    checkpoints.show_step(1000)
    press(checkpoints, "Open folder")
    assert answers.shown == [run / "checkpoints/step-0001000"]


def test_deleting_asks_first(checkpoints: CheckpointList, run: Path, answers: Answers) -> None:
    checkpoints.show_step(1000)
    answers.says_yes = False
    press(checkpoints, "Delete…")
    assert (run / "checkpoints/step-0001000").is_dir()
    answers.says_yes = True
    press(checkpoints, "Delete…")
    assert answers.questions == ["Delete the checkpoint of step 1,000 (32 kB)?"] * 2
    assert sorted(path.name for path in (run / "checkpoints").iterdir()) == ["step-0000500", "step-0001500"]
    assert cells(checkpoints, 0) == ["1,500", "500"]


def test_the_only_one_is_said_to_be(checkpoints: CheckpointList, answers: Answers) -> None:
    for step in (500, 1000, 1500):
        checkpoints.show_step(step)
        press(checkpoints, "Delete…")
    assert "the only one" in answers.questions[-1]
    assert "No checkpoints yet" in says(checkpoints)


def test_a_run_at_work_keeps_its_newest(checkpoints: CheckpointList, run: Path, answers: Answers) -> None:
    with RunFolder(run).lock():
        checkpoints.show_step(1500)
        press(checkpoints, "Delete…")
        assert not answers.questions
        assert "Stop it first" in says(checkpoints)
        checkpoints.show_step(500)
        press(checkpoints, "Delete…")
    assert cells(checkpoints, 0) == ["1,500", "1,000"]


def test_a_checkpoint_is_exported_in_a_dialog(
    checkpoints: CheckpointList, launcher: ScriptedLauncher, run: Path, qtbot: QtBot
) -> None:
    launcher.answers["check_export"] = [ExportChecked(format="facebook")]
    checkpoints.show_step(1000)
    press(checkpoints, "Export…")
    assert checkpoints.export is not None
    qtbot.waitUntil(checkpoints.export.export.isEnabled)  # type: ignore[union-attr]
    params = {"model": str(run / "checkpoints/step-0001000"), "weights": "ema", "format": "facebook"}
    assert launcher.calls[-1] == ("check_export", params)
    assert Path(checkpoints.export.path.text()).name == "run-step-0001000-ema.pt"
    checkpoints.close_export()
    assert checkpoints.export is None


def test_every_control_can_be_named_and_reached(checkpoints: CheckpointList) -> None:
    for kind in (QPushButton, QTableWidget):
        for control in checkpoints.findChildren(kind):
            assert control.accessibleName()
            assert control.toolTip()
            assert control.focusPolicy() & Qt.FocusPolicy.TabFocus
    assert checkpoints.minimumSizeHint().width() <= 320
