"""A walk over every page in every state: names, tooltips, keyboard, and that it all fits the smallest window."""

from collections.abc import Callable, Iterator

import pytest
from leaks import running_objects
from PySide6.QtCore import QPoint, QRect, QThread
from PySide6.QtGui import QAccessible
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QGraphicsView,
    QHeaderView,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QScrollArea,
    QScrollBar,
    QTabBar,
    QTabWidget,
    QTextEdit,
    QWidget,
)
from pytestqt.qtbot import QtBot
from screenshots import PARTS, SCENES, places

from dit_studio.ui import theme
from dit_studio.ui.main_window import DEFAULT_SIZE, MINIMUM_SIZE, MainWindow
from dit_studio.ui.widgets.basics import ElidedLabel

CONTROLS = (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSlider,
    QAbstractSpinBox,
    QComboBox,
    QLineEdit,
    QPlainTextEdit,
    QTabBar,
    QTextEdit,
)
INSIDE = (QLineEdit, QComboBox, QAbstractSpinBox, QAbstractItemView, QTabBar)  # their parts are their own affair
WINDOWS = [name for name in SCENES if name not in {"shortcuts", *PARTS}]
AT_WORK = ("evaluate-busy",)  # its job goes on as long as it is shown


@pytest.fixture(params=WINDOWS)
def window(request: pytest.FixtureRequest, qtbot: QtBot) -> Iterator[MainWindow]:
    with places() as folder:
        result = SCENES[request.param](folder)
        assert isinstance(result, MainWindow)
        qtbot.addWidget(result)
        result.resize(*MINIMUM_SIZE)
        with qtbot.waitActive(result):
            result.show()
        if request.param not in AT_WORK:
            qtbot.waitUntil(lambda: not any(isinstance(thing, QThread) for thing in running_objects()))
        yield result
        result.leave()


def _controls(window: MainWindow) -> list[QWidget]:
    return [
        widget
        for widget in window.findChildren(QWidget)
        if isinstance(widget, CONTROLS)
        and not isinstance(widget, QScrollBar | QHeaderView)
        and not isinstance(widget.parent(), INSIDE)
        and widget.isVisible()
        and widget.isEnabled()
    ]


def _words(widget: QWidget) -> str:
    text = getattr(widget, "text", str)
    return f"{type(widget).__name__} {widget.accessibleName() or (text() if callable(text) else '')!r}"


def _spoken_name(widget: QWidget) -> str:
    return QAccessible.queryAccessibleInterface(widget).text(QAccessible.Text.Name).strip()


def _has_tooltip(widget: QWidget) -> bool:
    if isinstance(widget, QTabBar):
        return all(widget.tabToolTip(index) for index in range(widget.count()))
    return bool(widget.toolTip())


def _reached_by_tab() -> set[QWidget]:
    """Every widget that has the keyboard at some time while Tab is pressed once around."""
    reached: set[QWidget] = set()
    while (focused := QApplication.focusWidget()) is not None and focused not in reached:
        reached.add(focused)
        QTest.keyClick(focused, "\t")
    assert focused is not None, "nothing has the keyboard"
    return reached


def _group_of(widget: QWidget) -> list[QAbstractButton]:
    """The buttons between which arrow keys move, of which Tab reaches the one that is down."""
    group = widget.group() if isinstance(widget, QAbstractButton) else None
    return group.buttons() if group is not None and group.exclusive() else []


def test_every_control_has_a_name_and_a_tooltip(window: MainWindow) -> None:
    controls = _controls(window)
    assert controls
    assert [_words(widget) for widget in controls if not _spoken_name(widget)] == []
    assert [_words(widget) for widget in controls if not _has_tooltip(widget)] == []


def test_the_keyboard_reaches_every_control(window: MainWindow) -> None:
    reached = _reached_by_tab()
    missed = [widget for widget in _controls(window) if not reached & {widget, widget.focusProxy(), *_group_of(widget)}]
    assert [_words(widget) for widget in missed] == []


def test_every_page_fits_the_smallest_window(window: MainWindow) -> None:
    page, room = window._stack.currentWidget(), window._stack.size()
    least = page.minimumSizeHint()
    assert (window.width(), window.height()) == MINIMUM_SIZE
    assert least.width() <= room.width(), "too wide"
    assert least.height() <= room.height(), "too high"


@pytest.fixture
def _look_restored(qapp: QApplication) -> Iterator[None]:
    yield
    theme.apply_theme(qapp, "dark")


@pytest.mark.usefixtures("_look_restored")
@pytest.mark.parametrize("mode", ["dark", "light"])
def test_no_text_is_clipped(window: MainWindow, qapp: QApplication, qtbot: QtBot, mode: str) -> None:
    theme.apply_theme(qapp, mode)
    _wait_until_nothing(qtbot, lambda: _clipped(window))


@pytest.mark.usefixtures("_look_restored")
@pytest.mark.parametrize("size", [MINIMUM_SIZE, DEFAULT_SIZE])
def test_all_can_be_read_and_reached_at_the_largest_text(
    window: MainWindow, qapp: QApplication, qtbot: QtBot, size: tuple[int, int]
) -> None:
    window.resize(*size)
    theme.apply_theme(qapp, "dark", theme.FONT_SCALES[1])
    for tabs in [*window.findChildren(QTabWidget), None]:
        for index in range(tabs.count() if tabs else 1):
            if tabs:
                tabs.setCurrentIndex(index)
            _wait_until_nothing(qtbot, lambda: _clipped(window))
            _wait_until_nothing(qtbot, lambda: [_words(one) for one in _controls(window) if _is_outside(one)])
    assert all(plot.height() >= 160 for plot in window.findChildren(QGraphicsView) if plot.isVisible())


def _wait_until_nothing(qtbot: QtBot, found: Callable[[], list[str]]) -> None:
    """Wait for layouts that follow from one another: a new look, an answer that arrives."""

    def nothing_is_found() -> None:
        assert found() == []

    qtbot.waitUntil(nothing_is_found)


def _clipped(window: MainWindow) -> list[str]:
    return [_words(widget) for widget in window.findChildren(QWidget) if widget.isVisible() and _is_clipped(widget)]


def _is_outside(widget: QWidget) -> bool:
    """A part of it cannot be seen, and scrolling up and down does not bring it into sight."""
    parent = widget.parentWidget()
    while parent is not None and not widget.isWindow():
        place = QRect(widget.mapTo(parent, QPoint()), widget.size())
        if place.left() < 0 or place.right() > parent.width():
            return True
        scrolls = isinstance(parent.parent(), QScrollArea)
        if not scrolls and (place.top() < 0 or place.bottom() > parent.height()):
            return True
        widget, parent = parent, parent.parentWidget()
    return False


def _is_clipped(widget: QWidget) -> bool:
    """The text of a label or button does not fit into it."""
    if isinstance(widget, ElidedLabel) or isinstance(widget.parent(), INSIDE):
        return False
    if isinstance(widget, QLabel) and widget.text():
        if widget.wordWrap():
            return widget.heightForWidth(widget.width()) > widget.height()
        return widget.sizeHint().width() > widget.width() or widget.sizeHint().height() > widget.height()
    if isinstance(widget, QAbstractButton) and widget.text():
        return widget.sizeHint().width() > widget.width() or widget.sizeHint().height() > widget.height()
    return False
