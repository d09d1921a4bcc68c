"""The mark of a branch: where it leaves its parent, and the parent's image beside it."""

from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QColor, QPainter, QPainterPath, QPen

from dit_studio.ui import theme


def fork_colour() -> str:
    return theme.current().curves[4]


def paint_fork(painter: QPainter, centre: QPointF) -> None:
    """A disc of 14 pixels with one way that becomes two."""
    painter.setPen(QPen(QColor(theme.current().surface), 1))
    painter.setBrush(QColor(fork_colour()))
    painter.drawEllipse(centre, 7, 7)
    path = QPainterPath(centre + QPointF(-4, 0))
    path.lineTo(centre)
    path.lineTo(centre + QPointF(4, -3))
    path.moveTo(centre)
    path.lineTo(centre + QPointF(4, 3))
    painter.setPen(QPen(QColor("#14161A"), 1.5))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.drawPath(path)
