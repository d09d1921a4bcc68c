"""A card that says what happened and what to do about it."""

import re
from collections.abc import Sequence
from functools import partial

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QLayout, QPlainTextEdit, QPushButton, QVBoxLayout, QWidget

from dit_studio.events import Failure
from dit_studio.ui.icons import icon
from dit_studio.ui.titles import with_titles
from dit_studio.ui.widgets.basics import Muted, Title, button, describe, set_property
from dit_studio.ui.widgets.flow import FlowLayout

_DETAILS_HEIGHT = 160  # pixels
_BREAK = "\u200b"  # a space of no width


class MessageCard(QFrame):
    """A sentence, what to do, and buttons; hidden while there is nothing to say.

    `action` carries the key of a button that was pressed; "dismiss" also clears the card.
    """

    action = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("panel", "message")
        self._message = Title()
        self._message.setWordWrap(True)
        self._remedy = Muted()
        for label in (self._message, self._remedy):
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._last: QWidget = self._remedy  # of those that Tab leads through
        self._picture = QLabel()
        self._buttons = FlowLayout()
        self._corner = QVBoxLayout()
        self._details = _details_view()
        self._build()
        self.hide()

    def show_failure(self, failure: Failure, actions: Sequence[tuple[str, str]] = ()) -> None:
        """Show why a job failed, its settings called by their titles; `actions` are the keys and labels of buttons."""
        self._show("error", with_titles(failure.message), with_titles(failure.remedy))
        for key, label in actions:
            self._add_button(key, label)
        if failure.details:
            self._details.setPlainText(failure.details)
            self._add_details_buttons()
        self._put(self._dismiss_button(), self._buttons)

    def show_notice(self, message: str, *, level: str = "info") -> None:
        """Show a sentence; `level` is "info", "warning" or "error"."""
        self._show(level, with_titles(message), "")
        self._put(self._dismiss_button(), self._corner)

    def clear(self) -> None:
        self.hide()
        self._empty()

    def text(self) -> str:
        """The sentence shown."""
        return self._message.text().replace(_BREAK, "")

    def _show(self, level: str, message: str, remedy: str) -> None:
        self._empty()
        set_property(self, "level", level)
        self.setAccessibleName(f"{level.capitalize()}: {message}")
        name = {"info": "info", "warning": "warning"}.get(level, "error")
        self._picture.setPixmap(icon(name, name).pixmap(QSize(20, 20), self.devicePixelRatio()))
        self._picture.setHidden(self._picture.pixmap().isNull())
        self._message.setText(_breakable(message))
        self._remedy.setText(_breakable(remedy))
        self._remedy.setVisible(bool(remedy))
        self.show()

    def _empty(self) -> None:
        for layout in (self._buttons, self._corner):
            while item := layout.takeAt(0):
                if widget := item.widget():
                    widget.hide()
                    widget.deleteLater()
        self._last = self._remedy
        self._details.clear()
        self._details.hide()

    def _add_button(self, key: str, label: str) -> None:
        result = button(label, label)
        result.clicked.connect(partial(self._on_pressed, key))
        self._put(result, self._buttons)

    def _put(self, press: QPushButton, layout: QLayout) -> None:
        """Where Tab finds it: with the card, and not after all that was there before."""
        layout.addWidget(press)
        QWidget.setTabOrder(self._last, press)
        self._last = press

    def _dismiss_button(self) -> QPushButton:
        result = button("Dismiss", "Hide this message.")
        result.clicked.connect(partial(self._on_pressed, "dismiss"))
        return result

    def _add_details_buttons(self) -> None:
        details = button("Details", "Show or hide the technical details.")
        details.setCheckable(True)
        details.toggled.connect(self._details.setVisible)
        copy = button("Copy", "Copy the message and its details to the clipboard.")
        copy.clicked.connect(self._copy)
        self._put(details, self._buttons)
        self._put(copy, self._buttons)

    def _copy(self) -> None:
        parts = (self._message.text(), self._remedy.text(), self._details.toPlainText())
        QGuiApplication.clipboard().setText("\n".join(part for part in parts if part).replace(_BREAK, ""))

    def _on_pressed(self, key: str, _checked: bool = False) -> None:
        if key == "dismiss":
            self.clear()
        self.action.emit(key)

    def _build(self) -> None:
        words = QVBoxLayout()
        words.setSpacing(4)
        words.addWidget(self._message)
        words.addWidget(self._remedy)
        top = QHBoxLayout()
        top.setSpacing(8)
        top.addWidget(self._picture, alignment=Qt.AlignmentFlag.AlignTop)
        top.addLayout(words, 1)
        top.addLayout(self._corner)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 12, 12, 12)
        layout.setSpacing(8)
        layout.addLayout(top)
        layout.addLayout(self._buttons)
        layout.addWidget(self._details)


def _breakable(text: str) -> str:
    """A long path may go on in the next line after each of its parts; otherwise a column would be as wide as it is."""
    return re.sub(r"\S{20,}", lambda word: re.sub(r"(?<=[/\\_.])(?=\w)", _BREAK, word[0]), text)


def _details_view() -> QPlainTextEdit:
    view = QPlainTextEdit(readOnly=True)
    view.hide()
    view.setProperty("kind", "log")
    view.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
    view.setFixedHeight(_DETAILS_HEIGHT)
    view.setTabChangesFocus(True)
    describe(view, "Details of the message", "Where and why it failed, for a bug report.")
    return view
