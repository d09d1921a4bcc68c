"""What all tests share: nothing of the user's is touched, no display is needed, long tests are asked for."""

import logging
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("PYQTGRAPH_QT_LIB", "PySide6")
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # of a shell that put us into the background
    signal.signal(signal.SIGINT, signal.default_int_handler)  # so that the processes of tests hear of Ctrl-C


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="run the tests that take minutes, too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--long"):
        return
    skip = pytest.mark.skip(reason="takes minutes; run with --long")
    for item in items:
        if "long" in item.keywords:
            item.add_marker(skip)


@pytest.fixture(autouse=True)
def _own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs, caches and settings of a test, and of the processes that it starts, live in its own folder; the machine's
    sleep is its own business."""
    monkeypatch.setenv("DIT_STUDIO_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("DIT_STUDIO_SAMPLES", str(tmp_path / "samples"))
    monkeypatch.setenv("DIT_STUDIO_EVALUATIONS", str(tmp_path / "evaluations"))
    monkeypatch.setenv("DIT_STUDIO_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("DIT_STUDIO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("DIT_STUDIO_SETTINGS", str(tmp_path / "settings.json"))
    monkeypatch.setenv("DIT_STUDIO_MAY_SLEEP", "1")


@pytest.fixture(autouse=True)
def _no_unexpected_log_lines(request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """A warning or an error in our log fails the test, unless it is marked as one that provokes them."""
    yield
    if "provokes_log" in request.keywords:
        return
    said = [
        record.getMessage()
        for record in caplog.get_records("call")
        if record.levelno >= logging.WARNING and record.name.startswith("dit_studio")
    ]
    assert not said, said
