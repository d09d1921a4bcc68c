"""The whole program in a process of its own: Ctrl+C, a second start, an exception that nobody caught."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

LIMIT_SECONDS = 60
_WINDOW = """
import sys
from pathlib import Path
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication
from dit_studio.ui import app
from dit_studio.ui.main_window import MainWindow

def window():
    return next(widget for widget in QApplication.topLevelWidgets() if isinstance(widget, MainWindow))

opened = MainWindow.open_path
def open_path(self, path):
    opened(self, path)
    print("opened", path, flush=True)
MainWindow.open_path = open_path

def begin():
    print("ready", flush=True)
    for action in sys.argv[1:]:
        exec(action)

app.make_app()
QTimer.singleShot(0, begin)
sys.exit(app.run_window())
"""
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts the program with actions to do once the window stands; kills it if it outlives the test or its time."""
    processes: list[subprocess.Popen[str]] = []
    timers: list[threading.Timer] = []

    def start_it(*actions: str) -> "subprocess.Popen[str]":
        environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
        command = [sys.executable, "-c", _WINDOW, *actions]
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8"
        )
        processes.append(process)
        timers.append(threading.Timer(LIMIT_SECONDS, process.kill))
        timers[-1].start()
        return process

    yield start_it
    for timer in timers:
        timer.cancel()
        timer.join()
    for process in processes:
        process.terminate() if os.name == "nt" else process.send_signal(signal.SIGINT)  # so that it ends its worker
        process.communicate()


def _line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for another process")
def test_ctrl_c_closes_the_window(start: Start) -> None:
    process = start()
    assert _line(process) == "ready"
    process.send_signal(signal.SIGINT)
    assert process.wait() == 130


def test_a_second_start_opens_its_path_in_the_first(start: Start, tmp_path: Path) -> None:
    first = start()
    assert _line(first) == "ready"
    folder = tmp_path / "images mit ünï"
    folder.mkdir()
    code = (
        "import sys; from pathlib import Path; from dit_studio.ui.app import run_window as run; run(Path(sys.argv[1]))"
    )
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    second = subprocess.run(
        [sys.executable, "-c", code, str(folder)], env=environment, timeout=LIMIT_SECONDS, check=False
    )
    assert second.returncode == 0
    assert _line(first) == f"opened {folder}"


def test_an_exception_is_shown_and_the_window_goes_on(start: Start) -> None:
    process = start(
        "QTimer.singleShot(0, lambda: 1 / 0)",
        "QTimer.singleShot(50, lambda: print(window()._message.text(), flush=True))",
        "QTimer.singleShot(100, lambda: window().leave())",
    )
    assert _line(process) == "ready"
    assert _line(process) == "An error that nobody foresaw: ZeroDivisionError: division by zero"
    assert process.wait() == 0


def test_size_and_page_are_saved_as_the_window_closes(start: Start, tmp_path: Path) -> None:
    process = start("window().show_page('settings')", "QTimer.singleShot(0, lambda: window().leave())")
    assert process.wait() == 0
    assert '"page": "settings"' in (tmp_path / "settings.json").read_text()
