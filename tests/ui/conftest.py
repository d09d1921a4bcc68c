"""What the window's tests share: settings of their own, scripted jobs, and a look at what a test leaves running."""

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
from leaks import Before
from PySide6.QtCore import QCoreApplication, QEvent
from PySide6.QtWidgets import QApplication
from scripted import ScriptedLauncher

from dit_studio.ui import theme
from dit_studio.ui.settings import Settings


@pytest.fixture(scope="session", autouse=True)
def _garbage_in_one_thread() -> Iterator[None]:
    """As the window does: Qt objects that are garbage never die in the thread of a job."""
    gc.freeze()
    gc.disable()
    yield
    gc.enable()
    gc.unfreeze()


@pytest.fixture(scope="session", autouse=True)
def _themed(qapp: QApplication) -> None:
    theme.apply_theme(qapp, "dark")


@pytest.fixture(autouse=True)
def _nothing_left_running(_themed: None) -> Iterator[None]:
    """Fail a test that leaves a thread, an active timer or a child process behind."""
    before = Before()
    yield
    gc.collect()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    left = before.left()
    assert not left, "left running:\n" + "\n".join(left)


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    result = Settings(tmp_path / "settings.json")
    yield result
    result.flush()


@pytest.fixture
def launcher() -> ScriptedLauncher:
    return ScriptedLauncher()
