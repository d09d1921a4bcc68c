"""What the rows of every list that paints its own look like: the ground, and text that is cut where it must be."""

from functools import cache

from PySide6.QtCore import QRect, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics, QPainter, QPen
from PySide6.QtWidgets import QStyle

from dit_studio.ui import theme


def paint_ground(painter: QPainter, rect: QRect, state: QStyle.StateFlag, *, is_shown: bool) -> None:
    """The ground of a row that is selected, hovered or neither; `is_shown`: what it stands for is seen elsewhere."""
    palette = theme.current()
    if state & QStyle.StateFlag.State_Selected:
        painter.fillRect(rect, QColor(palette.selection))
    elif state & QStyle.StateFlag.State_MouseOver:
        painter.fillRect(rect, QColor(palette.raised))
    if is_shown:
        painter.fillRect(QRect(rect.left(), rect.top(), 3, rect.height()), QColor(palette.accent))
    if state & QStyle.StateFlag.State_HasFocus:
        painter.setPen(QPen(QColor(palette.accent), 1))
        painter.drawRect(QRectF(rect).adjusted(0.5, 0.5, -1.5, -0.5))


def paint_text(painter: QPainter, rect: QRect, text: str, *, size: int, colour: str) -> None:
    """Text of theme.TEXT_SIZES, in as many lines as there is room for."""
    painter.setFont(font_of(size))
    painter.setPen(QColor(colour))
    lines = max(rect.height() // line_height(size), 1)
    cut = cut_to(text, font_of(size), rect.width(), lines)
    if lines > 1:
        painter.drawText(rect, Qt.AlignmentFlag.AlignTop | Qt.TextFlag.TextWordWrap, cut)
    else:
        painter.drawText(rect, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, cut)


def cut_to(text: str, font: QFont, width: int, lines: int) -> str:
    """A text as far as it fits into so many lines, broken between words; cut, it ends with dots."""
    metrics = QFontMetrics(font)
    if lines == 1:
        return metrics.elidedText(text, Qt.TextElideMode.ElideRight, width)
    words = text.split(" ")
    for kept in range(len(words), 0, -1):
        shown = " ".join(words[:kept]) + ("" if kept == len(words) else "…")
        room = metrics.boundingRect(0, 0, width, 9999, Qt.TextFlag.TextWordWrap, shown)
        if room.height() < (lines + 0.5) * metrics.lineSpacing() and room.width() <= width:  # "→" is a little higher
            return shown
    return metrics.elidedText(text, Qt.TextElideMode.ElideRight, width)


def lines_of(text: str, *, size: int, width: int, most: int) -> int:
    """How many lines a text takes where it may take `most`."""
    if most == 1:
        return 1
    metrics = QFontMetrics(font_of(size))
    room = metrics.boundingRect(0, 0, width, 9999, Qt.TextFlag.TextWordWrap, text)
    return min(max(round(room.height() / metrics.lineSpacing()), 1), most)


def font_of(size: int) -> QFont:
    """A font of theme.TEXT_SIZES."""
    font = QFont()
    font.setPixelSize(theme.text_size(size))
    return font


def line_height(size: int) -> int:
    """Of a line of text of such a size, in pixels."""
    return _height_of(theme.text_size(size))


@cache
def _height_of(pixels: int) -> int:
    """Of a line of text of this size; kept, as the list asks for every row."""
    font = QFont()
    font.setPixelSize(pixels)
    return QFontMetrics(font).height() + 2
