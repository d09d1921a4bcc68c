"""A walk over the left column, the sheet of a picture and the sweep in every state: names, keyboard, room."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import test_walk as walk
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot
from sample_setup_scenes import SETUP_SCENES, SIZES

from dit_studio.ui import theme
from dit_studio.ui.sample.set_up import SampleSetUp


@pytest.fixture(params=SETUP_SCENES)
def scene(request: pytest.FixtureRequest, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> QWidget:
    monkeypatch.setenv("DIT_STUDIO_RUNS", str(tmp_path / "runs"))
    result = SETUP_SCENES[request.param](tmp_path)
    result.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose, on=False)
    qtbot.addWidget(result)
    if size := SIZES.get(request.param.partition("-")[0]):
        result.resize(size[0], 560)
    with qtbot.waitActive(result):
        result.show()
    return result


def test_every_control_has_a_name_and_a_tooltip(scene: QWidget) -> None:
    controls = walk._controls(scene)  # type: ignore[arg-type]
    assert controls
    assert [walk._words(one) for one in controls if not (walk._spoken_name(one) and walk._has_tooltip(one))] == []


def test_the_keyboard_reaches_every_control(scene: QWidget) -> None:
    controls = walk._controls(scene)  # type: ignore[arg-type]
    controls[0].setFocus()
    reached = walk._reached_by_tab()
    assert [walk._words(one) for one in controls if one not in reached] == []


@pytest.fixture
def _look_restored(qapp: QApplication) -> Iterator[None]:
    yield
    theme.apply_theme(qapp, "dark")


@pytest.mark.usefixtures("_look_restored")
@pytest.mark.parametrize("percent", [100, 200])
def test_all_can_be_read_and_reached(scene: QWidget, qapp: QApplication, qtbot: QtBot, percent: int) -> None:
    theme.apply_theme(qapp, "light", percent)
    scene.resize(max(scene.width(), scene.minimumSizeHint().width()), 560)
    walk._wait_until_nothing(qtbot, lambda: walk._clipped(scene))  # type: ignore[arg-type]
    controls = walk._controls(scene)  # type: ignore[arg-type]
    walk._wait_until_nothing(qtbot, lambda: [walk._words(one) for one in controls if walk._is_outside(one)])


def test_the_left_column_is_narrow(scene: QWidget) -> None:
    assert scene.minimumSizeHint().width() <= (300 if isinstance(scene, SampleSetUp) else 400)
