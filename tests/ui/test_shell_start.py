"""Starting: one instance, places, crashes of last time."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from dit_studio.errors import StudioError
from dit_studio.places import cache_dir, runs_dir
from dit_studio.ui import app
from dit_studio.ui.places import apply_places, choose_place, problem_with
from dit_studio.ui.settings import Settings
from dit_studio.ui.single_instance import Doorbell, hand_over, server_name

_HAND_OVER = """
import sys
from pathlib import Path
from PySide6.QtCore import QCoreApplication
from dit_studio.ui.single_instance import hand_over
app = QCoreApplication([])
sys.exit(0 if hand_over(sys.argv[1], Path(sys.argv[2])) else 1)
"""


def test_a_second_start_hands_its_path_to_the_first(qtbot: QtBot, tmp_path: Path) -> None:
    name = server_name(tmp_path / "settings.json")
    doorbell = Doorbell(name)
    path = tmp_path / "images mit ünï"
    second = subprocess.Popen([sys.executable, "-c", _HAND_OVER, name, str(path)])
    with qtbot.waitSignal(doorbell.rang, timeout=20_000) as heard:
        pass
    assert heard.args == [path]
    assert second.wait(20) == 0
    doorbell.close()


def test_nobody_there(tmp_path: Path) -> None:
    assert not hand_over(server_name(tmp_path / "other.json"), None)


def test_the_socket_of_a_window_that_was_killed_is_taken_over(tmp_path: Path) -> None:
    name = server_name(tmp_path / "settings.json")
    code = (
        "import os, sys; from PySide6.QtCore import QCoreApplication; app = QCoreApplication([]);"
        "from dit_studio.ui.single_instance import Doorbell; bell = Doorbell(sys.argv[1]); os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", code, name], check=False).returncode == 9
    assert not hand_over(name, None)
    doorbell = Doorbell(name)
    assert doorbell._server.isListening()
    doorbell.close()


def test_names_differ_by_settings_file(tmp_path: Path) -> None:
    assert server_name(tmp_path / "a.json") != server_name(tmp_path / "b.json")


def test_without_a_display_the_start_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    with pytest.raises(StudioError, match="no display"):
        app.run_window()


def test_a_crash_is_shown_at_the_next_start(tmp_path: Path) -> None:
    log = tmp_path / "crash.log"
    assert app._crash_of_last_time(log) is None
    code = (
        "import faulthandler, resource, sys; from pathlib import Path; from dit_studio.ui import app;"
        "resource.setrlimit(resource.RLIMIT_CORE, (0, 0)); app._record_crashes(Path(sys.argv[1]));"
        "faulthandler._sigsegv()"
    )
    assert subprocess.run([sys.executable, "-c", code, str(log)], check=False).returncode != 0
    crash = app._crash_of_last_time(log)
    assert crash is not None
    assert "Segmentation fault" in crash.details


def test_chosen_folders_reach_this_process_and_its_workers(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    choose_place(settings, "runs_dir", str(tmp_path / "mine"))
    assert runs_dir() == tmp_path / "mine"
    monkeypatch.delenv("DIT_STUDIO_RUNS")
    apply_places(settings)
    assert os.environ["DIT_STUDIO_RUNS"] == str(tmp_path / "mine")


def test_the_environment_goes_before_the_settings(settings: Settings, tmp_path: Path) -> None:
    settings.put(cache_dir=str(tmp_path / "mine"))
    before = cache_dir()
    apply_places(settings)
    assert cache_dir() == before


def test_folders_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "cannot be written" in problem_with(tmp_path / "file" / "runs")
    assert "not a whole path" in problem_with(Path("runs"))
    assert problem_with(tmp_path / "new" / "runs") == ""
