"""What all tests share: nothing of the user's is touched, no display is needed, long tests are asked for."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("PYQTGRAPH_QT_LIB", "PySide6")


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
    """Runs, caches and settings of a test, and of the processes that it starts, live in its own folder."""
    monkeypatch.setenv("DIT_STUDIO_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("DIT_STUDIO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("DIT_STUDIO_SETTINGS", str(tmp_path / "settings.json"))
