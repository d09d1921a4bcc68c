"""What the window remembers, and the page that changes it."""

import json
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QCheckBox
from pytestqt.qtbot import QtBot
from scripted import ScriptedLauncher

from dit_studio.machine_events import DeviceDescribed, DevicesListed
from dit_studio.places import runs_dir
from dit_studio.ui import theme
from dit_studio.ui.settings import Settings
from dit_studio.ui.settings_page import PlaceEditor, SettingsPage


def test_what_was_typed_is_back(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    settings = Settings(path)
    settings.save_form("train", {"steps": 100, "learning_rate": 2e-4})
    settings.put(theme="light", font_scale=120)
    settings.flush()
    again = Settings(path)
    assert again.form("train") == {"steps": 100, "learning_rate": 2e-4}
    assert (again.now.theme, again.now.font_scale) == ("light", 120)
    assert again.form("none") == {}


def test_a_change_is_written_by_itself(qtbot: QtBot, tmp_path: Path) -> None:
    settings = Settings(tmp_path / "s.json")
    settings.put(page="runs")
    qtbot.waitUntil(lambda: settings.path.exists() and json.loads(settings.path.read_text())["page"] == "runs")


def test_unknown_keys_survive(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    path.write_text('{"theme": "dark", "of_a_later_version": [1, 2]}')
    settings = Settings(path)
    settings.put(theme="light")
    settings.flush()
    assert json.loads(path.read_text())["of_a_later_version"] == [1, 2]


@pytest.mark.provokes_log
@pytest.mark.parametrize("text", ["{", '{"font_scale": "large"}', "[]", '{"theme": "pink"}', "\x00"])
def test_a_damaged_file_is_set_aside(tmp_path: Path, text: str) -> None:
    path = tmp_path / "s.json"
    path.write_text(text)
    settings = Settings(path)
    assert settings.now.theme == "system"
    assert (tmp_path / "s.json.broken").read_text() == text
    assert "s.json.broken" in settings.problem


def test_recent_paths_come_newest_first_and_once(settings: Settings) -> None:
    for name in ("/a", "/b", "/a"):
        settings.add_recent(Path(name))
    assert settings.now.recent == ["/a", "/b"]


def _page(qtbot: QtBot, settings: Settings, launcher: ScriptedLauncher, answer: str = "") -> SettingsPage:
    page = SettingsPage(settings, launcher, ask=lambda _parent, _start: answer)  # type: ignore[arg-type]
    qtbot.addWidget(page)
    page.show()
    return page


def test_choosing_a_folder_for_runs(
    qtbot: QtBot, settings: Settings, launcher: ScriptedLauncher, tmp_path: Path
) -> None:
    chosen = tmp_path / "big disk"
    page = _page(qtbot, settings, launcher, str(chosen))
    editor = page.findChildren(PlaceEditor)[0]
    qtbot.mouseClick(editor.choose, Qt.MouseButton.LeftButton)
    assert runs_dir() == chosen
    assert settings.now.runs_dir == str(chosen)
    qtbot.mouseClick(editor.reset, Qt.MouseButton.LeftButton)
    assert settings.now.runs_dir == ""
    assert editor.edit.text() == str(runs_dir())


def test_a_folder_that_cannot_be_written_is_refused(
    qtbot: QtBot, settings: Settings, launcher: ScriptedLauncher, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    before = runs_dir()
    page = _page(qtbot, settings, launcher)
    editor = page.findChildren(PlaceEditor)[0]
    editor.edit.setText(str(tmp_path / "file" / "x"))
    qtbot.keyClick(editor.edit, Qt.Key.Key_Return)
    assert "cannot be written" in editor.note.text()
    assert runs_dir() == before


def test_the_look_changes_at_once(
    qtbot: QtBot, qapp: QApplication, settings: Settings, launcher: ScriptedLauncher
) -> None:
    page = _page(qtbot, settings, launcher)
    with qtbot.waitSignal(theme.theme_changed):
        page._theme.setCurrentIndex(2)
        page._scale.setValue(15)
    assert theme.current() is theme.LIGHT
    assert theme.text_size(1) == round(13 * 1.5)
    assert (settings.now.theme, settings.now.font_scale) == ("light", 150)
    theme.apply_theme(qapp, "dark")


def test_training_in_process_counts_for_the_next_run(
    qtbot: QtBot, settings: Settings, launcher: ScriptedLauncher
) -> None:
    page = _page(qtbot, settings, launcher)
    page._in_process.click()
    assert launcher.in_process
    assert settings.now.in_process


def test_devices_for_drawing_count_from_the_next_drawing_on(qtbot: QtBot, settings: Settings) -> None:
    gpus = tuple(DeviceDescribed(name=f"cuda:{number}", title="NVIDIA H200") for number in range(2))
    launcher = ScriptedLauncher(answers={"list_devices": [DevicesListed(devices=gpus)]})
    page = SettingsPage(settings, launcher)
    qtbot.addWidget(page)
    page.show()
    qtbot.waitUntil(lambda: any(box.text() == "cuda:1" for box in page.findChildren(QCheckBox)))
    for name in ("cuda:0", "cuda:1"):
        next(box for box in page.findChildren(QCheckBox) if box.text() == name).click()
    assert settings.now.drawing_devices == launcher.drawing_devices == "cuda:0,cuda:1"
    page.close_page()
