"""Tab through a part that comes and goes, and what is left when it went."""

import shiboken6
from PySide6.QtCore import QEvent
from PySide6.QtWidgets import QApplication, QLineEdit, QMenu, QPushButton, QVBoxLayout, QWidget
from pytestqt.qtbot import QtBot

from dit_studio.ui.widgets.tab_order import lead_tab


def test_tab_goes_through_the_part_and_then_on(qtbot: QtBot) -> None:
    window, card = QWidget(), QWidget()
    qtbot.addWidget(window)
    first, last = QPushButton("first"), QPushButton("last")
    layout, inside = QVBoxLayout(window), QVBoxLayout(card)
    for widget in (first, last, card):  # the card is built last, and stands last in the chain
        layout.addWidget(widget)
    parts = [QLineEdit(), QPushButton("in the card")]
    for part in parts:
        inside.addWidget(part)
    lead_tab(first, card)
    with qtbot.waitActive(window):
        window.show()
    first.setFocus()
    seen = []
    for _ in range(3):
        window.focusNextChild()
        seen.append(QApplication.focusWidget())
    assert seen == [*parts, last]


def test_a_part_that_goes_takes_nothing_else_with_it(qtbot: QtBot) -> None:
    window, card = QWidget(), QWidget()
    qtbot.addWidget(window)
    layout, first, menu = QVBoxLayout(window), QPushButton("first"), QMenu(window)
    layout.addWidget(first)
    action, item = menu.addAction("of the menu"), layout.itemAt(0)
    inside, content = QVBoxLayout(card), QWidget()
    QVBoxLayout(content).addWidget(QPushButton("in the card"))
    inside.addWidget(content)
    layout.addWidget(card)
    layout.addWidget(QPushButton("last"))
    window.show()
    lead_tab(first, card)
    content.setParent(None)
    content.deleteLater()
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    assert shiboken6.isValid(action)
    assert shiboken6.isValid(item)
