"""One line of a list of checks: a mark, a sentence, and what to do about it."""

from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from dit_studio.events import Check, CheckStatus
from dit_studio.ui import theme
from dit_studio.ui.widgets.basics import Caption

_COLOURS = {CheckStatus.OK: "good", CheckStatus.WARNING: "warning", CheckStatus.FAILED: "error"}
_WORDS = {CheckStatus.OK: "OK", CheckStatus.WARNING: "Warning", CheckStatus.FAILED: "Failed"}


class _Mark(QWidget):
    """A tick, an exclamation mark or a cross: told apart by shape as well as by colour."""

    def __init__(self, status: CheckStatus) -> None:
        super().__init__()
        self._status = status
        self.setFixedSize(16, 16)
        self.setAccessibleName(_WORDS[status])

    def paintEvent(self, _event: QPaintEvent) -> None:
        pen = QPen(QColor(getattr(theme.current(), _COLOURS[self._status])), 2.0)
        pen.setCapStyle(Qt.PenCapStyle.RoundCap)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(pen)
        if self._status is CheckStatus.OK:
            painter.drawPolyline([QPointF(3, 9), QPointF(7, 13), QPointF(13, 4)])
        elif self._status is CheckStatus.WARNING:
            painter.drawLine(QPointF(8, 3), QPointF(8, 9))
            painter.drawPoint(QPointF(8, 13))
        else:
            painter.drawLine(QPointF(4, 4), QPointF(12, 12))
            painter.drawLine(QPointF(12, 4), QPointF(4, 12))


class CheckLine(QWidget):
    """A check as it came out."""

    def __init__(self, check: Check, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.check = check
        self.text = f"{check.name}: {check.message}" if check.name else check.message
        self.setAccessibleName(f"{_WORDS[check.status]}, {self.text} {check.remedy}".strip())
        message = QLabel(self.text, wordWrap=True, textFormat=Qt.TextFormat.PlainText)
        words = QVBoxLayout()
        words.setSpacing(0)
        words.addWidget(message)
        if check.remedy and check.status is not CheckStatus.OK:
            words.addWidget(Caption(check.remedy))
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(_Mark(check.status), alignment=Qt.AlignmentFlag.AlignTop)
        layout.addLayout(words, 1)


class CheckLines(QWidget):
    """The lines one below another."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Minimum)
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(4)
        self.lines: list[CheckLine] = []

    def show_checks(self, checks: tuple[Check, ...]) -> None:
        for line in self.lines:
            self._layout.removeWidget(line)
            line.hide()
            line.deleteLater()
        self.lines = [CheckLine(check, self) for check in checks]
        for line in self.lines:
            self._layout.addWidget(line)
        self.setVisible(bool(checks))
