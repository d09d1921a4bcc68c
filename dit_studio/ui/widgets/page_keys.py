"""Keys that press the buttons of a page, whichever of its columns and tabs is shown."""

from collections.abc import Mapping, Sequence
from functools import partial

from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QAbstractButton, QWidget


def press_by_keys(page: QWidget, buttons: Mapping[str, Sequence[QAbstractButton]]) -> None:
    """Let keys, "Ctrl+P" for instance, press buttons while the page is shown: of several the one that is there. A
    button's own shortcut would be dead while the tab that it stands in is behind another."""
    for keys, each in buttons.items():
        QShortcut(QKeySequence(keys), page, partial(_press, each))


def _press(buttons: Sequence[QAbstractButton]) -> None:
    """As if clicked: not if it is off, or the state has no such button."""
    for button in buttons:
        if not button.isHidden():
            button.click()
            return
