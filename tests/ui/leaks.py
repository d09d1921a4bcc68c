"""What a test has left running: threads, timers, child processes."""

import gc
import threading
from dataclasses import dataclass, field

import psutil
import shiboken6
from PySide6.QtCore import QObject, QThread, QTimer


@dataclass
class Before:
    """What ran when the test began."""

    threads: set[threading.Thread] = field(default_factory=lambda: set(threading.enumerate()))
    children: set[psutil.Process] = field(default_factory=lambda: set(psutil.Process().children()))

    def left(self) -> list[str]:
        """What runs now and did not then, in words."""
        threads = [thread for thread in set(threading.enumerate()) - self.threads if thread.name[:5] != "Dummy"]
        children = set(psutil.Process().children()) - self.children
        objects = [f"{thing!r} of {thing.parent()!r}" for thing in running_objects()]
        return [*objects, *map(repr, threads), *map(repr, children)]


def running_objects() -> list[QObject]:
    """Every QThread that runs and every QTimer that is active."""
    return [thing for thing in gc.get_objects() if _is_running(thing)]


def _is_running(thing: object) -> bool:
    if issubclass(type(thing), QThread):
        return bool(shiboken6.isValid(thing)) and thing.isRunning()
    return issubclass(type(thing), QTimer) and bool(shiboken6.isValid(thing)) and thing.isActive()
