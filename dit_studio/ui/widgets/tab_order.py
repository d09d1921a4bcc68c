"""Where Tab goes through a part of a page that is built anew while the page is there."""

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QWidget


def lead_tab(before: QWidget, part: QWidget) -> None:
    """Let Tab go from a control through a part, in the order that it was built in: what is built later comes last.

    QWidget.nextInFocusChain is not asked: PySide takes what it gives for a child of the widget asked, and what was so
    chained to a card goes with it, the layouts and menus of the whole page among it.
    """
    last = before
    for control in part.findChildren(QWidget):
        if control.focusPolicy() & Qt.FocusPolicy.TabFocus:
            QWidget.setTabOrder(last, control)
            last = control
