"""Starting the window, and everything around it that belongs to the process: signals, crashes, a second start."""

import faulthandler
import locale
import logging
import os
import signal
import socket
import sys
import threading
import traceback
from pathlib import Path
from types import FrameType, TracebackType

from PySide6.QtCore import QObject, QSocketNotifier, Signal
from PySide6.QtGui import QIcon
from PySide6.QtWidgets import QApplication

from dit_studio.errors import StudioError
from dit_studio.events import Failure
from dit_studio.jobs.launch import Launcher
from dit_studio.places import resources_dir
from dit_studio.ui import theme
from dit_studio.ui.garbage import GarbageCollector, leave_to_the_end
from dit_studio.ui.main_window import MainWindow
from dit_studio.ui.places import apply_places
from dit_studio.ui.settings import Settings
from dit_studio.ui.single_instance import Doorbell, hand_over, server_name

_log = logging.getLogger(__name__)
_INTERRUPTED_STATUS = 130


def run_window(path: Path | None = None, *, in_process: bool = False) -> int:
    """Open the window, on `path` if there is one, and give the exit status when it is closed.

    If a window of this user is open already, it comes to the front and opens `path`.
    Raises: StudioError if there is no display.
    """
    if problem := display_problem():
        raise StudioError(problem, remedy="Every job runs without a window, too: see dit-studio --help.")
    app = make_app()
    settings = Settings()
    name = server_name(settings.path)
    if hand_over(name, path):
        return 0
    doorbell = Doorbell(name, app)
    crash_log = settings.path.with_name("crash.log")
    crash = _crash_of_last_time(crash_log)
    _record_crashes(crash_log)
    apply_places(settings)
    theme.apply_theme(app, settings.now.theme, settings.now.font_scale)
    launcher = Launcher(in_process=in_process or settings.now.in_process, drawing_devices=settings.now.drawing_devices)
    window = MainWindow(settings, launcher)
    doorbell.rang.connect(window.come_to_front)
    errors = _Errors(window)
    interrupt = _Interrupt(window)
    garbage = GarbageCollector(app)
    window.show()
    if crash is not None:
        window.show_failure(crash)
    if path is not None:
        window.open_path(path)
    try:
        status = app.exec()
    finally:
        garbage.close()
        interrupt.close()
        errors.close()
        doorbell.close()
        launcher.close()
        leave_to_the_end()
    return _INTERRUPTED_STATUS if interrupt.was_heard else status


def make_app() -> QApplication:
    """The application object, made once; numbers are written with a point whatever the user's language."""
    os.environ.setdefault("PYQTGRAPH_QT_LIB", "PySide6")
    app = QApplication.instance() or QApplication(sys.argv[:1])
    assert isinstance(app, QApplication)
    locale.setlocale(locale.LC_NUMERIC, "C")
    app.setApplicationName("DiT Studio")
    app.setDesktopFileName("dit-studio")
    app.setWindowIcon(QIcon(str(resources_dir() / "icons" / "dit-studio.svg")))
    return app


def display_problem() -> str:
    """Why no window can be shown here, as a sentence; "" if one can."""
    variables = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    if sys.platform.startswith("linux") and not any(os.environ.get(name) for name in variables):
        return "There is no display: neither DISPLAY nor WAYLAND_DISPLAY is set."
    return ""


def _crash_of_last_time(path: Path) -> Failure | None:
    """What the process wrote there as it crashed, if it did."""
    try:
        text = path.read_text(errors="replace") if path.exists() else ""
    except OSError as error:
        text = f"{path} cannot be read: {error}"
    if not text.strip():
        return None
    return Failure(
        message="The window crashed last time.", remedy="The details belong into a bug report.", details=text
    )


def _record_crashes(path: Path) -> None:
    """Have a crash of this process written to `path`, in place of what was there."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        faulthandler.enable(path.open("w"))  # open as long as the process lives
    except OSError as error:
        _log.warning("crashes will not be recorded: %s", error)


class _Errors(QObject):
    """Shows an exception that nobody caught in the window, from whichever thread it comes."""

    raised = Signal(object)

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self.raised.connect(window.show_failure)
        sys.excepthook = self._on_exception
        threading.excepthook = self._on_thread_exception

    def close(self) -> None:
        sys.excepthook = sys.__excepthook__
        threading.excepthook = threading.__excepthook__

    def _on_thread_exception(self, arguments: threading.ExceptHookArgs) -> None:
        if arguments.exc_value is not None:
            self._on_exception(arguments.exc_type, arguments.exc_value, arguments.exc_traceback)

    def _on_exception(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        _log.error("not caught", exc_info=(kind, error, trace))
        details = "".join(traceback.format_exception(kind, error, trace))
        message = f"An error that nobody foresaw: {kind.__name__}: {error}"
        self.raised.emit(
            Failure(message=message, remedy="The window goes on; the details tell where.", details=details)
        )


class _Interrupt(QObject):
    """Ctrl+C in the terminal closes the window; Qt alone would not let Python hear of it."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self.was_heard = False
        self._window = window
        self._ear, self._mouth = socket.socketpair()
        for end in (self._ear, self._mouth):
            end.settimeout(0)
        self._notifier = QSocketNotifier(self._ear.fileno(), QSocketNotifier.Type.Read, self)
        self._notifier.activated.connect(self._on_woken)
        self._old_fd = signal.set_wakeup_fd(self._mouth.fileno())
        self._old_handler = signal.signal(signal.SIGINT, self._on_signal)

    def close(self) -> None:
        self._notifier.setEnabled(False)
        signal.set_wakeup_fd(self._old_fd)
        signal.signal(signal.SIGINT, self._old_handler)
        self._ear.close()
        self._mouth.close()

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.was_heard = True

    def _on_woken(self) -> None:
        self._ear.recv(64)
        if self.was_heard:
            self._window.leave()
