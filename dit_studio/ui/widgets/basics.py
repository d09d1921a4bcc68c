"""Small widgets: labels by role, a combo box that ignores the wheel, a busy bar, an empty state."""

import re

from PySide6.QtCore import QEvent, QSize, Qt, Signal
from PySide6.QtGui import QIcon, QPainter, QPaintEvent, QResizeEvent, QWheelEvent
from PySide6.QtWidgets import (
    QAbstractButton,
    QComboBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

_MOST_OF_A_BAR = 2**31 - 1  # of 32 bits; some downloads have more bytes


_BREAK = "\u200b"  # where a line may end, and nothing is seen


def _breakable(text: str) -> str:
    """The same words; a long one, as a path or the name of a tensor, may end a line after its dots and dashes."""
    return re.sub(r"\S{20,}", lambda word: re.sub(r"(?<=[./\\_-])(?=\w)", _BREAK, word[0]), text)


def set_property(widget: QWidget, name: str, value: object) -> None:
    """Set a property that the style sheet selects by, and restyle the widget."""
    if widget.property(name) != value:
        widget.setProperty(name, value)
        widget.style().unpolish(widget)
        widget.style().polish(widget)


def describe(widget: QWidget, name: str, tooltip: str = "") -> None:
    """What a screen reader says of a control, and what hovering shows."""
    widget.setAccessibleName(name)
    widget.setToolTip(tooltip or name)


class _RoleLabel(QLabel):
    def __init__(self, text: str, role: str, *, wraps: bool, parent: QWidget | None) -> None:
        super().__init__(text, parent)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setProperty("role", role)
        self.setWordWrap(wraps)


class Heading(_RoleLabel):
    """A page's title."""

    def __init__(self, text: str = "", parent: QWidget | None = None) -> None:
        super().__init__(text, "heading", wraps=False, parent=parent)


class Title(_RoleLabel):
    """A card's title."""

    def __init__(self, text: str = "", parent: QWidget | None = None) -> None:
        super().__init__(text, "title", wraps=False, parent=parent)


class Muted(_RoleLabel):
    """Text of the second rank."""

    def __init__(self, text: str = "", parent: QWidget | None = None, *, wraps: bool = True) -> None:
        super().__init__(text, "muted", wraps=wraps, parent=parent)


class Caption(_RoleLabel):
    """Small text: a unit, a note."""

    def __init__(self, text: str = "", parent: QWidget | None = None, *, wraps: bool = True) -> None:
        super().__init__(text, "caption", wraps=wraps, parent=parent)


class WholeText(QLabel):
    """Text of as many lines as it needs, which is never cut: its least height is all of them."""

    def __init__(self, text: str = "", parent: QWidget | None = None, *, role: str = "") -> None:
        super().__init__(text, parent)
        self.setWordWrap(True)
        if role:
            self.setProperty("role", role)

    def setText(self, text: str) -> None:
        super().setText(text)
        self._keep_whole()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._keep_whole()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange):
            self._keep_whole()

    def _keep_whole(self) -> None:
        self.setMinimumHeight(0)  # which `heightForWidth` would never go below
        self.setMinimumHeight(max(self.heightForWidth(self.width()), 0))


class Said(WholeText):
    """An answer in small letters, or in red what is wrong; hidden while it says nothing."""

    def __init__(self, words: str = "", parent: QWidget | None = None) -> None:
        super().__init__("", parent)
        self.say(words)

    @property
    def words(self) -> str:
        return self.text().replace(_BREAK, "")

    def say(self, words: str, *, is_problem: bool = False) -> None:
        self.setText(_breakable(words))
        set_property(self, "role", "problem" if is_problem else "caption")
        self.setVisible(bool(words))


class ElidedLabel(QLabel):
    """One line that ends in … where it does not fit; the tooltip then has all of it."""

    def __init__(
        self,
        text: str = "",
        parent: QWidget | None = None,
        *,
        mode: Qt.TextElideMode = Qt.TextElideMode.ElideRight,
        role: str = "",
    ) -> None:
        super().__init__(parent)
        self._mode = mode
        self._has_own_tooltip = False
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        if role:
            self.setProperty("role", role)
        self.setText(text)

    def setText(self, text: str) -> None:
        super().setText(text)
        self._update_tooltip()

    def minimumSizeHint(self) -> QSize:
        return QSize(self.fontMetrics().horizontalAdvance("…") * 3, super().sizeHint().height())

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        text = self.fontMetrics().elidedText(self.text(), self._mode, self.contentsRect().width())
        self.style().drawItemText(
            painter,
            self.contentsRect(),
            self.alignment(),
            self.palette(),
            self.isEnabled(),
            text,
            self.foregroundRole(),
        )

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._update_tooltip()

    def _update_tooltip(self) -> None:
        is_cut = self.fontMetrics().horizontalAdvance(self.text()) > self.contentsRect().width()
        self.setToolTip(self.text() if is_cut else "")


class NoScrollComboBox(QComboBox):
    """A combo box whose value the wheel never changes: scrolling goes to the panel behind it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        """With the room at the arrow that Qt forgets under a style sheet, and would take from the text."""
        return super().sizeHint() + QSize(self.fontMetrics().averageCharWidth(), 0)

    def wheelEvent(self, event: QWheelEvent) -> None:
        event.ignore()


class Rule(QFrame):
    """A thin horizontal line."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("panel", "rule")
        self.setFixedHeight(1)


def spacer() -> QWidget:
    """Takes what room is left in a row."""
    widget = QWidget()
    widget.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
    return widget


def row(*widgets: QWidget | None, space: int = 8) -> QHBoxLayout:
    """Widgets beside one another; None takes what room is left."""
    layout = QHBoxLayout()
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(space)
    for widget in widgets:
        if widget is None:
            layout.addStretch(1)
        else:
            layout.addWidget(widget)
    return layout


def button(text: str, tooltip: str, *, kind: str = "", icon: QIcon | None = None) -> QPushButton:
    """A push button with an accessible name and a tooltip; `kind` is "", "primary" or "danger"."""
    result = QPushButton(text)
    describe(result, text, tooltip)
    result.setAutoDefault(False)
    if kind:
        result.setProperty("kind", kind)
    if icon is not None:
        result.setIcon(icon)
    return result


class BusyBar(QWidget):
    """How far something is: a bar and a line of words. Hidden while nothing goes on."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._bar = QProgressBar(textVisible=False)
        self._label = Caption()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self._bar)
        layout.addWidget(self._label)
        self.hide()

    def show_progress(self, text: str, done: int = 0, total: int | None = None) -> None:
        """Show so much of `total`; while the total is not known, that something goes on."""
        unit = 1 + (total or 0) // _MOST_OF_A_BAR
        self._bar.setRange(0, (total or 0) // unit)
        self._bar.setValue(done // unit if total else 0)
        self._bar.setAccessibleName(text)
        self._label.setText(text)
        self.show()

    def finish(self) -> None:
        self._bar.setRange(0, 1)
        self.hide()


class EmptyState(QWidget):
    """What an empty page says: what it is for, and what to do next."""

    clicked = Signal()

    def __init__(
        self, icon: QIcon, title: str, text: str, button_text: str = "", *, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._icon = icon
        self._picture = QLabel(alignment=Qt.AlignmentFlag.AlignCenter)
        self._title = Title(title)
        self._text = WholeText(text, role="muted")
        self._text.setTextFormat(Qt.TextFormat.PlainText)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(24, 24, 24, 24)
        layout.setSpacing(8)
        layout.addStretch(1)
        for label in (self._picture, self._title, self._text):
            label.setAlignment(Qt.AlignmentFlag.AlignCenter)
            layout.addWidget(label)
        if button_text:
            layout.addSpacing(8)
            layout.addWidget(self._button(button_text, text), alignment=Qt.AlignmentFlag.AlignCenter)
        layout.addStretch(1)
        self._draw_icon()

    def set_text(self, title: str, text: str) -> None:
        self._title.setText(title)
        self._text.setText(text)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.StyleChange:
            self._draw_icon()

    def _button(self, text: str, tooltip: str) -> QAbstractButton:
        result = button(text, tooltip, kind="primary")
        result.clicked.connect(self.clicked)
        return result

    def _draw_icon(self) -> None:
        self._picture.setPixmap(self._icon.pixmap(QSize(48, 48), self.devicePixelRatio()))
        self._picture.setVisible(not self._icon.isNull())
