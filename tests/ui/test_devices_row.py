"""The ticks of devices: what a person chooses becomes train.device, and what a recipe names is shown, here or not."""

from collections.abc import Callable, Iterator

import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QApplication, QCheckBox, QPushButton, QSpinBox
from pytestqt.qtbot import QtBot
from scripted import ScriptedLauncher

from dit_studio.config import fields_of
from dit_studio.events import Failure
from dit_studio.fields import check_value
from dit_studio.machine_events import DeviceDescribed, DevicesListed
from dit_studio.ui.train.devices_row import DevicesRow

PROCESSOR = DeviceDescribed(name="cpu", title="Test CPU", memory_used=3 * 10**9, memory_total=8 * 10**9)
MakeRow = Callable[..., DevicesRow]


def gpus(count: int) -> list[DeviceDescribed]:
    return [
        DeviceDescribed(name=f"cuda:{number}", title="NVIDIA H200", memory_used=12 * 10**9, memory_total=150 * 10**9)
        for number in range(count)
    ]


@pytest.fixture
def make_row(qtbot: QtBot) -> Iterator[MakeRow]:
    made: list[DevicesRow] = []

    def make(*devices: DeviceDescribed, cores: int = 4, value: str = "auto") -> DevicesRow:
        listed = DevicesListed(devices=devices, cores=cores)
        result = DevicesRow(ScriptedLauncher(answers={"list_devices": [listed]}))
        qtbot.addWidget(result)
        made.append(result)
        result.put(value)
        result.show()
        qtbot.waitUntil(lambda: any("Test" in b.accessibleName() for b in result.findChildren(QCheckBox)))
        return result

    yield make
    for row in made:
        row.close_job()


def tick(row: DevicesRow, name: str) -> QCheckBox:
    (found,) = [box for box in row.findChildren(QCheckBox) if box.text() == name and not box.isHidden()]
    return found


def ticked(row: DevicesRow) -> list[str]:
    return [box.text() for box in row.findChildren(QCheckBox) if box.isChecked() and not box.isHidden()]


def processes(row: DevicesRow) -> QSpinBox:
    (found,) = row.findChildren(QSpinBox)
    return found


@pytest.mark.parametrize("count", [2, 8])
def test_ticked_gpus_are_named_in_their_order(make_row: MakeRow, qtbot: QtBot, count: int) -> None:
    row = make_row(*gpus(count), PROCESSOR)
    assert (row.raw(), ticked(row)) == ("auto", [])
    assert row.said == "None is ticked: the best one is taken, cuda:0."
    edits: list[str] = []
    row.edited.connect(lambda: edits.append(row.raw()))
    for name in ("cuda:1", "cuda:0"):
        qtbot.mouseClick(tick(row, name), Qt.MouseButton.LeftButton, pos=QPoint(8, tick(row, name).height() // 2))
    assert edits == ["cuda:1", "cuda:0,cuda:1"]
    assert row.said == "2 processes share every batch."
    every = next(button for button in row.findChildren(QPushButton) if button.text() == "All GPUs")
    every.click()
    assert row.raw() == ",".join(f"cuda:{number}" for number in range(count))
    for name in ticked(row):
        tick(row, name).click()
    assert row.raw() == "auto"


def test_the_keyboard_reaches_every_device(make_row: MakeRow, qtbot: QtBot) -> None:
    row = make_row(*gpus(2), PROCESSOR)
    tick(row, "cuda:0").setFocus()
    qtbot.keyClick(tick(row, "cuda:0"), Qt.Key.Key_Space)
    row.focusNextChild()
    assert QApplication.focusWidget() is tick(row, "cuda:1")
    qtbot.keyClick(tick(row, "cuda:1"), Qt.Key.Key_Space)
    assert row.raw() == "cuda:0,cuda:1"
    assert tick(row, "cuda:1").accessibleName() == "cuda:1, NVIDIA H200, 12.0 GB of 150.0 GB in use"
    assert "150.0 GB" in tick(row, "cuda:1").toolTip()


def test_the_processor_takes_several_processes(make_row: MakeRow) -> None:
    row = make_row(PROCESSOR, cores=4)
    assert not processes(row).isVisible()
    tick(row, "cpu").click()
    assert row.raw() == "cpu"
    processes(row).setValue(3)
    assert row.raw() == "cpu,cpu,cpu"
    assert (processes(row).minimum(), processes(row).maximum()) == (1, 4)
    assert "Takes 1 to 4 (cores)" in processes(row).toolTip()
    assert not any(button.isVisible() for button in row.findChildren(QPushButton))


def test_the_wheel_changes_no_number_of_processes(make_row: MakeRow) -> None:
    row = make_row(PROCESSOR, value="cpu,cpu")
    turned = QWheelEvent(
        QPointF(5, 5), QPointF(5, 5), QPoint(), QPoint(0, 120), Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,  # noqa: FBT003
    )  # fmt: skip
    QApplication.sendEvent(processes(row), turned)
    assert (processes(row).value(), row.raw()) == (2, "cpu,cpu")


def test_devices_of_another_kind_give_way(make_row: MakeRow) -> None:
    row = make_row(*gpus(2), PROCESSOR, value="cuda:0,cuda:1")
    tick(row, "cpu").click()
    assert (row.raw(), ticked(row)) == ("cpu", ["cpu"])
    tick(row, "cuda:1").click()
    assert (row.raw(), ticked(row)) == ("cuda:1", ["cuda:1"])


def test_what_a_recipe_names_and_is_not_here_is_ticked_with_a_warning(make_row: MakeRow) -> None:
    row = make_row(*gpus(2), PROCESSOR, value="cuda:1,cuda:6,cuda:7")
    assert ticked(row) == ["cuda:1", "cuda:6", "cuda:7"]
    assert "cuda:6, cuda:7 are not on this machine." in row.said
    assert tick(row, "cuda:7").accessibleName() == "cuda:7, not on this machine"
    assert row.raw() == "cuda:1,cuda:6,cuda:7"  # as the recipe says, until somebody changes it
    tick(row, "cuda:7").click()
    assert row.raw() == "cuda:1,cuda:6"
    assert "cuda:6 is not on this machine." in row.said
    tick(row, "cuda:6").click()
    assert (row.raw(), "not on this machine" in row.said) == ("cuda:1", False)


def test_the_first_of_a_kind_may_be_named_without_its_number(make_row: MakeRow) -> None:
    row = make_row(*gpus(2), PROCESSOR, value="cuda")
    assert (row.raw(), ticked(row)) == ("cuda", ["cuda:0"])


def test_more_processes_than_cores_stay_as_the_recipe_says(make_row: MakeRow) -> None:
    row = make_row(PROCESSOR, cores=2, value="cpu,cpu,cpu,cpu")
    assert (row.raw(), processes(row).value()) == ("cpu,cpu,cpu,cpu", 4)


def test_every_choice_is_a_setting_that_a_recipe_takes(make_row: MakeRow) -> None:
    row = make_row(*gpus(8), PROCESSOR)
    field = next(field for field in fields_of("train") if field.name == "device")
    next(button for button in row.findChildren(QPushButton)).click()
    assert check_value(field, row.raw()) == row.raw()


def test_a_machine_that_does_not_tell_its_devices_keeps_the_setting(qtbot: QtBot) -> None:
    row = DevicesRow(ScriptedLauncher(answers={"list_devices": [Failure(message="torch is not installed.")]}))
    qtbot.addWidget(row)
    row.put("cuda:3")
    row.show()
    qtbot.waitUntil(lambda: "torch is not installed." in row.said)
    assert (row.raw(), ticked(row)) == ("cuda:3", ["cuda:3"])
    row.close_job()
