"""How a row of the nearest images looks: the generated one, and beside it as many training images as there is room."""

from dataclasses import dataclass

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QPoint, QRect, QSize, Qt
from PySide6.QtGui import QColor, QFontMetrics, QImage, QPainter, QPen
from PySide6.QtWidgets import QListView, QStyledItemDelegate, QStyleOptionViewItem

from dit_studio.ui import theme
from dit_studio.ui.evaluate.copying_rows import CopyRow, distance_text, short_name
from dit_studio.ui.evaluate.source_pictures import SourcePictures
from dit_studio.ui.widgets.row_painting import font_of, line_height, paint_ground
from dit_studio.ui.widgets.rows_model import ROW

_PAD, _GAP, _BETWEEN = 8, 6, 14  # pixels around a row, between pictures, after the generated one
_SMALLEST, _LARGEST = 40, 96  # pixels, of a picture
_FITTING, _FITTING_LARGE = 3, 2  # training images that there is room for, whatever the width; beside large text
_LARGE_TEXT = 130  # percent


@dataclass(frozen=True)
class CopyPlaces:
    """Where the pictures of a row are: the generated one, then its neighbours."""

    pictures: tuple[QRect, ...]

    def at(self, place: QPoint) -> int:
        """The number of the picture at a place, 0 for the generated one; -1 if there is none."""
        return next((index for index, rect in enumerate(self.pictures) if rect.contains(place)), -1)


class CopyDelegate(QStyledItemDelegate):
    """Paints rows; pictures that are not read yet are grey."""

    def __init__(self, pictures: SourcePictures) -> None:
        super().__init__()
        self._pictures = pictures

    def sizeHint(self, option: QStyleOptionViewItem, _index: QModelIndex | QPersistentModelIndex) -> QSize:
        view = option.widget
        width = view.viewport().width() if isinstance(view, QListView) else 0
        return QSize(0, 2 * _PAD + _side(width) + 2 * line_height(0))

    def places(self, rect: QRect, row: CopyRow) -> CopyPlaces:
        """The pictures of a row that fills a rectangle."""
        side = _side(rect.width())
        left, top, right = rect.left() + _PAD, rect.top() + _PAD, rect.right() + 1 - _PAD
        found = [QRect(left, top, side, side)]
        left += side + _BETWEEN
        for _ in row.copy.nearest:
            if left + side > right:
                break
            found.append(QRect(left, top, side, side))
            left += side + _GAP
        return CopyPlaces(tuple(found))

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        row: CopyRow = index.data(ROW)
        palette = theme.current()
        painter.save()
        paint_ground(painter, option.rect, option.state, is_shown=False)
        drawn, *near = self.places(option.rect, row).pictures
        self._paint_picture(painter, drawn, self._pictures.get(row.fake_path, row.copy.number))
        if row.copy.is_closer:
            bar = QRect(option.rect.left(), option.rect.top(), 3, option.rect.height())
            painter.fillRect(bar, QColor(palette.error))
            painter.setPen(QPen(QColor(palette.error), 2))
            painter.drawRect(drawn.adjusted(-2, -2, 2, 2))
        colour = palette.error if row.copy.is_closer else palette.text
        _paint_words(painter, drawn, "closer" if row.copy.is_closer else f"{row.rank}.", short_name(row.copy), colour)
        for rect, other in zip(near, row.copy.nearest, strict=False):
            self._paint_picture(painter, rect, self._pictures.get(row.real_path, other.number))
            _paint_words(painter, rect, distance_text(other), short_name(other), palette.text)
        painter.restore()

    def _paint_picture(self, painter: QPainter, rect: QRect, found: QImage | str | None) -> None:
        if isinstance(found, QImage):
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
            painter.drawImage(rect, found)
            return
        painter.fillRect(rect, QColor(theme.current().raised))
        why = "cannot be read" if isinstance(found, str) else "reading…"
        painter.setFont(font_of(0))
        painter.setPen(QColor(theme.current().muted))
        painter.drawText(rect, Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap, why)


def _paint_words(painter: QPainter, rect: QRect, first: str, second: str, colour: str) -> None:
    """Two lines under a picture."""
    painter.setFont(font_of(0))
    height, metrics = line_height(0), QFontMetrics(font_of(0))
    modes = Qt.TextElideMode.ElideRight, Qt.TextElideMode.ElideLeft
    for line, (text, shade) in enumerate(((first, colour), (second, theme.current().muted))):
        place = QRect(rect.left(), rect.bottom() + 2 + line * height, rect.width(), height)
        painter.setPen(QColor(shade))
        cut = metrics.elidedText(text, modes[line], rect.width())
        painter.drawText(place, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, cut)


def _side(width: int) -> int:
    """Of the pictures of a row of some width, in pixels."""
    fitting = _FITTING_LARGE if theme.scaled(100) > _LARGE_TEXT else _FITTING
    room = width - 2 * _PAD - _BETWEEN - (fitting - 1) * _GAP
    return min(max(room // (fitting + 1), _SMALLEST), _LARGEST)
