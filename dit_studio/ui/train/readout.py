"""The legend of a plot that also reads out values: a swatch, a name and a number for each line."""

from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRect, Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics, QPainter, QPaintEvent, QPen, QResizeEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from dit_studio.ui import theme

_SWATCH, _GAP = 14, 6  # pixels
_SPACE = 16  # pixels between entries
_USUAL_VALUE = "0.00000"


@dataclass(frozen=True)
class Entry:
    name: str
    value: str
    colour: str = ""  # empty: no swatch
    has_points: bool = False
    is_faint: bool = False
    is_dashed: bool = False


class Readout(QWidget):
    """Entries from left to right, on as many lines as they need."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._entries: list[Entry] = []
        self._places: list[QRect] = []
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._arrange()

    def show_entries(self, entries: list[Entry]) -> None:
        if entries != self._entries:
            self._entries = entries
            self.setAccessibleName(self.text())
            self._arrange()
            self.update()

    def set_indent(self, pixels: int) -> None:
        """Leave so much free at the left; the size of the text is looked up again."""
        self.setContentsMargins(pixels, 0, 0, 0)
        self._arrange()
        self.update()

    def text(self) -> str:
        """What is shown, as one line."""
        return ", ".join(f"{entry.name} {entry.value}".strip() for entry in self._entries)

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setFont(self._caption_font())
        for entry, place in zip(self._entries, self._places, strict=True):
            self._paint_entry(painter, entry, place)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._arrange()

    def _paint_entry(self, painter: QPainter, entry: Entry, place: QRect) -> None:
        palette = theme.current()
        text = QRect(place)
        if entry.colour:
            middle = QPointF(place.left() + _SWATCH / 2, place.center().y() + 1)
            style = Qt.PenStyle.DotLine if entry.is_dashed else Qt.PenStyle.SolidLine
            painter.setPen(QPen(QColor(entry.colour), 1 if entry.is_faint else 3, style))
            painter.drawLine(middle - QPointF(_SWATCH / 2 - 2, 0), middle + QPointF(_SWATCH / 2 - 2, 0))
            if entry.has_points:
                painter.setBrush(QColor(entry.colour))
                painter.drawEllipse(middle, 2.5, 2.5)
            text.setLeft(text.left() + _SWATCH + _GAP)
        left = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        painter.setPen(QColor(palette.muted))
        painter.drawText(text, left, entry.name)
        text.setLeft(text.left() + painter.fontMetrics().horizontalAdvance(entry.name + " "))
        painter.setPen(QColor(palette.text))
        painter.drawText(text, left, entry.value)

    def _arrange(self) -> None:
        """Place every entry, and take the height that they need."""
        metrics = QFontMetrics(self._caption_font())
        height = metrics.height() + 4
        self._places = []
        left = self.contentsRect().left()
        x, y = left, 0
        for entry in self._entries:
            width = _width(entry, metrics)
            if x > left and x + width > self.width():
                x, y = left, y + height
            self._places.append(QRect(x, y, width, height))
            x += width + _SPACE
        if self.height() != y + height:
            self.setFixedHeight(y + height)

    def _caption_font(self) -> QFont:
        font = QFont(self.font())
        font.setPixelSize(theme.text_size(0))
        return font


def _width(entry: Entry, metrics: QFontMetrics) -> int:
    """Room for the entry, the same while its number changes a little."""
    swatch = _SWATCH + _GAP if entry.colour else 0
    value = max(metrics.horizontalAdvance(entry.value), metrics.horizontalAdvance(_USUAL_VALUE) if entry.colour else 0)
    return swatch + metrics.horizontalAdvance(entry.name + " ") + value
