"""Where Tab goes through a part of a page that is built anew while the page is there."""

from collections.abc import Iterator

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QWidget


def lead_tab(before: QWidget, part: QWidget) -> None:
    """Let Tab go from a control through a part, in the order that it was built in: what is built later comes last."""
    last = before
    for control in list(_controls(before, part)):
        QWidget.setTabOrder(last, control)
        last = control


def _controls(start: QWidget, part: QWidget) -> Iterator[QWidget]:
    now = start.nextInFocusChain()
    while now is not None and now is not start:
        if part.isAncestorOf(now) and now.focusPolicy() & Qt.FocusPolicy.TabFocus:
            yield now
        now = now.nextInFocusChain()
