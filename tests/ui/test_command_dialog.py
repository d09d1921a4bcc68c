"""The command for many devices: what is chosen stands in the line and in the script, and what is in the way is said."""

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtGui import QGuiApplication
from pytestqt.qtbot import QtBot

from dit_studio.config import Recipe, load_recipe, parse_recipe, resolve
from dit_studio.jobs.slurm import Turn, slurm_script
from dit_studio.jobs.torchrun import Cluster, command_line
from dit_studio.ui.settings import Settings
from dit_studio.ui.train.command_dialog import CommandDialog
from dit_studio.ui.train.dialogs import Dialogs

RECIPE = parse_recipe({"train": {"batch_size": 64}})


@pytest.fixture
def dialog(qtbot: QtBot, settings: Settings, tmp_path: Path) -> Iterator[CommandDialog]:
    answers = Dialogs(script_to_save=lambda _: str(tmp_path / "job"), run_folder=lambda _: str(tmp_path / "shared"))
    result = CommandDialog(settings, answers)
    qtbot.addWidget(result)
    yield result
    result.close()


def failed(dialog: CommandDialog) -> list[str]:
    return [line.check.message for line in dialog.checks.lines if line.check.status == "failed"]


def test_the_choices_are_in_the_line_and_in_the_script(dialog: CommandDialog, tmp_path: Path) -> None:
    file, out = tmp_path / "it's a recipe.toml", tmp_path / "the run"
    dialog.show_for(lambda: RECIPE, file=str(file), out=str(out))
    dialog.hosts.setValue(4)
    dialog.devices.setValue(8)
    dialog.head.setText("node01")
    dialog.least.setValue(2)
    dialog.restarts.setValue(5)
    dialog.port.setValue(29_999)
    dialog.hours.setValue(12)
    dialog.cores.setValue(32)
    assert failed(dialog) == [f"{file} is not saved yet."]
    assert not dialog.copy_line.isEnabled()
    assert f"Off: {file} is not saved yet." in dialog.copy_line.toolTip()
    dialog.save_recipe.click()
    assert failed(dialog) == []
    assert resolve(load_recipe(file)) == resolve(RECIPE)
    cluster = Cluster(hosts=4, least_hosts=2, devices=8, head="node01", port=29_999, restarts=5)
    dialog.copy_line.click()
    assert QGuiApplication.clipboard().text() == command_line(file, out, cluster)
    assert shlex.split(QGuiApplication.clipboard().text())[-3:] == [str(file), "--out", str(out)]
    dialog.copy_script.click()
    script = slurm_script(file, out, cluster, Turn(hours=12, cores=32))
    assert QGuiApplication.clipboard().text() == script
    dialog.save_script.click()
    assert (tmp_path / "job.sh").read_text() == script


def test_one_host_meets_nobody(dialog: CommandDialog) -> None:
    dialog.show_for(lambda: RECIPE)
    assert "--standalone" in dialog.line.toPlainText()
    assert not any(field.isEnabled() for field in (dialog.head, dialog.port, dialog.least))
    dialog.hosts.setValue(2)
    assert all(field.isEnabled() for field in (dialog.head, dialog.port, dialog.least))


def test_settings_that_were_changed_after_saving_are_said(dialog: CommandDialog, tmp_path: Path) -> None:
    current: list[Recipe | None] = [RECIPE]
    dialog.show_for(lambda: current[0], file=str(tmp_path / "recipe.toml"), out=str(tmp_path / "run"))
    dialog.save_recipe.click()
    current[0] = parse_recipe({"train": {"batch_size": 32}})
    dialog.refresh()
    assert failed(dialog) == [f"{tmp_path / 'recipe.toml'} holds other settings than these."]
    current[0] = None
    dialog.refresh()
    assert failed(dialog) == ["The settings are not possible."]
    assert not dialog.save_recipe.isEnabled()


def test_more_devices_than_images_in_a_batch_are_refused(dialog: CommandDialog, tmp_path: Path) -> None:
    dialog.show_for(lambda: RECIPE, file=str(tmp_path / "recipe.toml"), out=str(tmp_path / "run"))
    dialog.save_recipe.click()
    dialog.hosts.setValue(9)
    dialog.devices.setValue(8)
    assert failed(dialog) == ["A batch of 64 is less than 72 devices: each takes at least one image."]


def test_a_recipe_that_cannot_be_written_is_said(dialog: CommandDialog, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    dialog.show_for(lambda: RECIPE, file=str(tmp_path / "file" / "recipe.toml"), out=str(tmp_path / "run"))
    dialog.save_recipe.click()
    assert "cannot be written" in dialog.said


def test_the_choices_are_remembered(dialog: CommandDialog, settings: Settings, qtbot: QtBot) -> None:
    dialog.show_for(lambda: RECIPE, file="/shared/recipe.toml", out="/shared/run")
    dialog.hosts.setValue(16)
    dialog.least.setValue(3)
    dialog.head.setText("node01")
    again = CommandDialog(settings, Dialogs())
    qtbot.addWidget(again)
    again.show_for(lambda: RECIPE)
    assert (again.hosts.value(), again.least.value(), again.head.text()) == (16, 3, "node01")
    assert (again.file.text(), again.out.text()) == ("/shared/recipe.toml", "/shared/run")
    again.close()


def test_the_devices_of_a_host_begin_with_those_of_the_recipe(dialog: CommandDialog, tmp_path: Path) -> None:
    recipe = parse_recipe({"train": {"batch_size": 64, "device": "cuda:0,cuda:1"}})
    dialog.show_for(lambda: recipe, file=str(tmp_path / "recipe.toml"), out=str(tmp_path / "run"))
    assert dialog.devices.value() == 2
    assert not [message for message in failed(dialog) if "each host is to take" in message]
    dialog.devices.setValue(4)
    dialog.show_for(lambda: RECIPE)
    assert dialog.devices.value() == 4, "one device says nothing of the hosts"
