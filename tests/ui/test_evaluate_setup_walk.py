"""A walk over the left column of the Evaluate page in every state: names, keyboard, order, room."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
import test_walk as walk
from evaluate_setup_scenes import SETUP_SCENES, WIDTH
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from dit_studio.ui import theme
from dit_studio.ui.evaluate.set_up import EvaluateSetUp


@pytest.fixture(params=SETUP_SCENES)
def scene(
    request: pytest.FixtureRequest, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[EvaluateSetUp]:
    monkeypatch.setenv("DIT_STUDIO_RUNS", str(tmp_path / "runs"))
    result = SETUP_SCENES[request.param](tmp_path)
    assert isinstance(result, EvaluateSetUp)
    result.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose, on=False)
    qtbot.addWidget(result)
    result.resize(WIDTH, 560)
    with qtbot.waitActive(result):
        result.show()
    qtbot.waitUntil(lambda: "looked at" not in result.bar.text)
    yield result
    result.close_jobs()


def test_every_control_has_a_name_and_a_tooltip(scene: EvaluateSetUp) -> None:
    controls = walk._controls(scene)  # type: ignore[arg-type]
    assert controls
    assert [walk._words(one) for one in controls if not (walk._spoken_name(one) and walk._has_tooltip(one))] == []


def test_the_keyboard_reaches_every_control(scene: EvaluateSetUp) -> None:
    controls = walk._controls(scene)  # type: ignore[arg-type]
    controls[0].setFocus()
    reached = walk._reached_by_tab()
    assert [walk._words(one) for one in controls if one not in reached] == []


def test_tab_goes_from_top_to_bottom(scene: EvaluateSetUp) -> None:
    order = _tab_order(next(one for one in scene.reference.findChildren(QPushButton) if one.isVisible()))
    heights = [_height(scene, one) for one in order]
    back = [walk._words(order[at + 1]) for at, (high, low) in enumerate(itertools.pairwise(heights)) if low < high - 8]
    assert back == []


def _tab_order(first: QWidget) -> list[QWidget]:
    """What has the focus one after another, until it is the first again."""
    first.setFocus()
    order: list[QWidget] = []
    while (now := QApplication.focusWidget()) is not None and now not in order:
        order.append(now)
        QTest.keyClick(now, Qt.Key.Key_Tab)
    return order


def _height(scene: EvaluateSetUp, widget: QWidget) -> int:
    """Where the middle of a control is, in pixels below the top of all cards; the bar is below them."""
    cards = scene.reference.parentWidget()
    assert cards is not None
    if scene.bar.isAncestorOf(widget):
        return cards.height() + widget.mapTo(scene.bar, widget.rect().center()).y()
    return widget.mapTo(cards, widget.rect().center()).y()


@pytest.fixture
def _look_restored(qapp: QApplication) -> Iterator[None]:
    yield
    theme.apply_theme(qapp, "dark")


@pytest.mark.usefixtures("_look_restored")
@pytest.mark.parametrize("percent", [100, 200])
def test_all_can_be_read_and_reached(scene: EvaluateSetUp, qapp: QApplication, qtbot: QtBot, percent: int) -> None:
    theme.apply_theme(qapp, "light", percent)
    scene.resize(max(WIDTH, scene.minimumSizeHint().width()), 560)
    walk._wait_until_nothing(qtbot, lambda: walk._clipped(scene))  # type: ignore[arg-type]
    controls = walk._controls(scene)  # type: ignore[arg-type]
    walk._wait_until_nothing(qtbot, lambda: [walk._words(one) for one in controls if walk._is_outside(one)])


def test_the_left_column_is_narrow(scene: EvaluateSetUp) -> None:
    assert scene.minimumSizeHint().width() <= WIDTH
