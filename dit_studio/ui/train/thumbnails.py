"""Some images of the data set, each with its class."""

from PySide6.QtCore import QRect, QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics, QPainter, QPaintEvent, QPixmap, QResizeEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from dit_studio.events import DataSummary
from dit_studio.ui import theme

_CELL, _GAP, _ROWS = 64, 8, 2  # pixels, pixels, rows at most


class Thumbnails(QWidget):
    """Square pictures in rows, as many as fit, with the class name below each."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._picture, self._size = QPixmap(), 1
        self._labels: tuple[str, ...] = ()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        theme.theme_changed.connect(self.update)
        self.hide()

    def show_summary(self, summary: DataSummary | None) -> None:
        self._picture = QPixmap(summary.thumbnails) if summary and summary.thumbnails else QPixmap()
        self._size = max(1, summary.thumbnail_size) if summary else 1
        self._labels = summary.thumbnail_labels if summary else ()
        self.setAccessibleName("Some of the images, with their classes: " + ", ".join(dict.fromkeys(self._labels)))
        self.setToolTip("Some of the images, with their classes.")
        self.setVisible(not self._picture.isNull())
        self._fit_height()

    @property
    def count(self) -> int:
        return self._picture.width() // self._size

    def sizeHint(self) -> QSize:
        return QSize(4 * _CELL + 3 * _GAP, _CELL)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit_height()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, self._size >= _CELL)
        painter.setPen(QColor(theme.current().muted))
        painter.setFont(self._small_font())
        for number in range(min(self.count, self._columns() * _ROWS)):
            self._paint_cell(painter, number)

    def _paint_cell(self, painter: QPainter, number: int) -> None:
        line, column = divmod(number, self._columns())
        metrics = painter.fontMetrics()
        left, top = column * (_CELL + _GAP), line * self._row_height(metrics)
        source = QRect(number * self._size, 0, self._size, self._size)
        painter.drawPixmap(QRect(left, top, _CELL, _CELL), self._picture, source)
        if number < len(self._labels):
            text = metrics.elidedText(self._labels[number], Qt.TextElideMode.ElideRight, _CELL)
            box = QRect(left, top + _CELL + 2, _CELL, metrics.height())
            painter.drawText(box, Qt.AlignmentFlag.AlignHCenter, text)

    def _columns(self) -> int:
        return max(1, (self.width() + _GAP) // (_CELL + _GAP))

    def _row_height(self, metrics: QFontMetrics) -> int:
        return _CELL + _GAP + (metrics.height() if self._labels else 0)

    def _small_font(self) -> QFont:
        font = self.font()
        font.setPixelSize(theme.text_size(0))
        return font

    def _fit_height(self) -> None:
        rows = min(_ROWS, -(-self.count // self._columns()))
        self.setFixedHeight(max(1, rows * self._row_height(QFontMetrics(self._small_font())) - _GAP + 4))
