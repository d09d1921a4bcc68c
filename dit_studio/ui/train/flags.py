"""The strip below the loss: what happened at which step, to point at and to click."""

from dataclasses import dataclass

import numpy as np
from PySide6.QtCore import QEvent, QPointF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFocusEvent, QHelpEvent, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from dit_studio.ui import theme
from dit_studio.ui.train.curves import Flag, FlagKind
from dit_studio.ui.widgets.basics import describe

_HEIGHT = 24  # pixels
FLAG_SIZE = 8  # pixels
_REACH = 8  # pixels; a click this far from a flag still hits it
_LANES: dict[FlagKind, float] = {"checkpoint": 7, "preview": 17}  # pixels from the top; the others in the middle


@dataclass(frozen=True)
class _Placed:
    flag: Flag
    x: float  # pixels
    y: float


class FlagStrip(QWidget):
    """Squares are checkpoints, dots previews, triangles resumes, crosses what went wrong."""

    chosen = Signal(object)  # a Flag: clicked, or Enter
    pointed = Signal(object)  # the step below the mouse or under the keys, None where they left

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._placed: list[_Placed] = []
        self._current: Flag | None = None
        self.setFixedHeight(_HEIGHT)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        describe(self, "Checkpoints, previews and incidents", "")

    def sizeHint(self) -> QSize:
        return QSize(200, _HEIGHT)

    def show_flags(self, flags: list[Flag], xs: np.ndarray[tuple[int], np.dtype[np.float64]]) -> None:
        """Show flags at pixels; of those of a kind that would overlap, the newest."""
        nearest: dict[tuple[FlagKind, int], _Placed] = {}
        for flag, x in zip(flags, xs, strict=True):
            nearest[flag.kind, int(x / FLAG_SIZE)] = _Placed(flag, float(x), _LANES.get(flag.kind, _HEIGHT / 2))
        placed = sorted(nearest.values(), key=lambda one: (one.x, one.y))
        if placed != self._placed:
            self._placed = placed
            self.update()

    def place_of(self, flag: Flag) -> QPointF | None:
        """Where a flag stands, in pixels; None while it is out of sight."""
        return next((QPointF(one.x, one.y) for one in self._placed if one.flag == flag), None)

    # ------------------------------------------------------------------------------------------------- the user

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._point_at(self._flag_at(event.position()))
        hits = self._current is not None
        self.setCursor(Qt.CursorShape.PointingHandCursor if hits else Qt.CursorShape.ArrowCursor)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self._point_at(self._flag_at(event.position()))
        if self._current and event.button() == Qt.MouseButton.LeftButton:
            self.chosen.emit(self._current)

    def leaveEvent(self, _event: QEvent) -> None:
        self._point_at(None)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self._point_at(None)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Left, Qt.Key.Key_Right) and self._placed:
            self._move(-1 if event.key() == Qt.Key.Key_Left else 1)
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space) and self._current:
            self.chosen.emit(self._current)
        else:
            event.ignore()

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            flag = self._flag_at(QPointF(event.pos()))
            text = f"{flag.text}\n{_hint(flag)}".strip() if flag else _LEGEND
            QToolTip.showText(event.globalPos(), text, self)
            return True
        return super().event(event)

    def _flag_at(self, position: QPointF) -> Flag | None:
        near = [one for one in self._placed if abs(one.x - position.x()) <= _REACH]
        best = min(near, default=None, key=lambda one: abs(one.y - position.y()) + abs(one.x - position.x()) / 4)
        return best.flag if best else None

    def _move(self, by: int) -> None:
        flags = [one.flag for one in self._placed]
        if self._current in flags:
            index = min(max(flags.index(self._current) + by, 0), len(flags) - 1)
        else:
            index = len(flags) - 1
        self._point_at(flags[index])

    def _point_at(self, flag: Flag | None) -> None:
        if flag != self._current:
            self._current = flag
            self.setAccessibleDescription(flag.text if flag else "")
            self.pointed.emit(flag.step if flag else None)
            self.update()

    # ------------------------------------------------------------------------------------------------- painting

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for one in self._placed:
            _paint_flag(painter, one, is_current=one.flag == self._current)
        if self.hasFocus():
            painter.setPen(QColor(theme.current().accent))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(self.rect().adjusted(0, 0, -1, -1), 4, 4)


_LEGEND = "■ checkpoint   ● preview   ▶ resumed   ✕ not finite or failed   ▲ warning\n← → choose, Enter opens."


def _hint(flag: Flag) -> str:
    hints: dict[FlagKind, str] = {"checkpoint": "Click to find it in the list.", "preview": "Click to see it."}
    return hints.get(flag.kind, "")


def flag_colour(kind: FlagKind) -> str:
    palette = theme.current()
    colours: dict[FlagKind, str] = {
        "checkpoint": palette.accent,
        "preview": palette.good,
        "resume": palette.muted,
        "warning": palette.warning,
        "not finite": palette.error,
        "failure": palette.error,
    }
    return colours[kind]


def _paint_flag(painter: QPainter, one: _Placed, *, is_current: bool) -> None:
    colour = QColor(flag_colour(one.flag.kind))
    half = FLAG_SIZE / 2 + (2 if is_current else 0)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(colour)
    x, y = one.x, one.y
    match one.flag.kind:
        case "checkpoint":
            painter.drawRect(round(x - half), round(y - half), round(2 * half), round(2 * half))
        case "preview":
            painter.drawEllipse(QPointF(x, y), half, half)
        case "resume":
            painter.drawPolygon(
                QPolygonF([QPointF(x - half, y - half), QPointF(x + half, y), QPointF(x - half, y + half)])
            )
        case "warning":
            painter.drawPolygon(
                QPolygonF([QPointF(x - half, y + half), QPointF(x, y - half), QPointF(x + half, y + half)])
            )
        case _:
            painter.setPen(colour)
            pen = painter.pen()
            pen.setWidthF(2.5)
            painter.setPen(pen)
            painter.drawLine(QPointF(x - half, y - half), QPointF(x + half, y + half))
            painter.drawLine(QPointF(x - half, y + half), QPointF(x + half, y - half))
