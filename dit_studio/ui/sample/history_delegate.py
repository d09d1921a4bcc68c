"""How a row of the history looks: a strip of thumbnails, its settings, what it branched from, when it was drawn."""

import time
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QPoint, QPointF, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFontMetrics, QImage, QPainter, QPen, QPolygonF
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem

from dit_studio.ui import theme
from dit_studio.ui.sample.history_model import HistoryRow
from dit_studio.ui.sample.history_thumbnails import Thumbnails
from dit_studio.ui.sample.history_words import amount_text, state_text, time_in_words
from dit_studio.ui.widgets.row_painting import font_of, line_height, paint_ground, paint_text
from dit_studio.ui.widgets.rows_model import ROW

_PAD, _GAP = 8, 4  # pixels around a row, between its parts
_THUMBNAIL, _INDENT, _STAR = 40, 12, 16  # pixels at 100 % text
_LARGE_TEXT = 130  # percent
_DEEPEST = 4  # branchings that are still indented further
_STAR_POINTS = (  # of a five-pointed star in a square of side 1
    (0.50, 0.04), (0.62, 0.37), (0.97, 0.38), (0.69, 0.60), (0.79, 0.94),
    (0.50, 0.74), (0.21, 0.94), (0.31, 0.60), (0.03, 0.38), (0.38, 0.37),
)  # fmt: skip


@dataclass(frozen=True)
class RowPlaces:
    """Where the parts of a row are."""

    thumbnails: tuple[QRect, ...]
    more: QRect  # what says how many images have no thumbnail here; empty if all have
    lines: tuple[QRect, ...]  # title, branch if there is one, time
    star: QRect

    def image_at(self, place: QPoint) -> int:
        """The number of the thumbnail at a place; -1 if there is none."""
        return next((image for image, rect in enumerate(self.thumbnails) if rect.contains(place)), -1)


class HistoryDelegate(QStyledItemDelegate):
    """Paints rows. `picked` holds the image of an entry that keys and menus mean, `shown` the entry in the centre."""

    def __init__(self, thumbnails: Thumbnails) -> None:
        super().__init__()
        self.picked: dict[str, int] = {}
        self.shown = ""
        self._thumbnails = thumbnails

    def sizeHint(self, _option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:
        row: HistoryRow = index.data(ROW)
        return QSize(0, 2 * _PAD + theme.scaled(_THUMBNAIL) + _GAP + sum(_line_heights(row)))

    def places(self, rect: QRect, row: HistoryRow) -> RowPlaces:
        """The parts of a row that fills a rectangle."""
        left = rect.left() + _PAD + min(row.depth, _DEEPEST) * theme.scaled(_INDENT)
        room = rect.right() - _PAD - left
        thumbnails, more = _strip(left, rect.top() + _PAD, room, row.item.entry.images)
        star = theme.scaled(_STAR)
        lines, top = [], rect.top() + _PAD + theme.scaled(_THUMBNAIL) + _GAP
        for height in _line_heights(row):
            lines.append(QRect(left, top, room, height))
            top += height
        lines[-1].setWidth(room - star - _GAP)
        return RowPlaces(thumbnails, more, tuple(lines), QRect(rect.right() - _PAD - star, top - star, star, star))

    def picked_image(self, row: HistoryRow) -> int:
        """Until one is picked, the first favourite. Of a sweep always the first: it is marked as a whole."""
        if row.item.sweep:
            return 0
        picked = self.picked.get(row.name, min(row.item.favourites, default=0))
        return min(picked, max(row.item.entry.images - 1, 0))

    # ------------------------------------------------------------------------------------------------- painting

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        row: HistoryRow = index.data(ROW)
        rect, state = option.rect, option.state
        places = self.places(rect, row)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._paint_ground(painter, rect, row, state)
        self._paint_strip(painter, places, row, is_current=bool(state & QStyle.StateFlag.State_Selected))
        self._paint_words(painter, places, row)
        is_hovered = bool(state & (QStyle.StateFlag.State_MouseOver | QStyle.StateFlag.State_Selected))
        if row.item.favourites or is_hovered:
            paint_star(painter, QRectF(places.star), is_on=bool(row.item.favourites))
        painter.restore()

    def _paint_ground(self, painter: QPainter, rect: QRect, row: HistoryRow, state: QStyle.StateFlag) -> None:
        paint_ground(painter, rect, state, is_shown=row.name == self.shown)
        painter.setPen(QColor(theme.current().line))
        for level in range(min(row.depth, _DEEPEST)):  # a guide for each branching above
            x = rect.left() + _PAD + level * theme.scaled(_INDENT) + 3
            painter.drawLine(x, rect.top(), x, rect.bottom())

    def _paint_strip(self, painter: QPainter, places: RowPlaces, row: HistoryRow, *, is_current: bool) -> None:
        palette = theme.current()
        for image, rect in enumerate(places.thumbnails):
            self._paint_thumbnail(painter, rect, row.item.image_file(image))
            if is_current and image == self.picked_image(row):
                painter.setPen(QPen(QColor(palette.accent), 2))
                painter.drawRect(QRectF(rect).adjusted(-1, -1, 1, 1))
            if image in row.item.favourites:
                paint_star(painter, _corner(rect), is_on=True, has_ground=True)
        if not places.more.isEmpty():
            painter.setFont(font_of(0))
            painter.setPen(QColor(palette.muted))
            hidden = row.item.entry.images - len(places.thumbnails)
            painter.drawText(places.more, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, f"+{hidden}")
        if not places.thumbnails:
            painter.setFont(font_of(0))
            painter.setPen(QColor(palette.muted))
            strip = QRect(places.lines[0].left(), places.lines[0].top() - theme.scaled(_THUMBNAIL) - _GAP, 1, 1)
            strip.setSize(QSize(places.lines[0].width(), theme.scaled(_THUMBNAIL)))
            painter.drawText(strip, Qt.AlignmentFlag.AlignVCenter, "No finished image")

    def _paint_thumbnail(self, painter: QPainter, rect: QRect, file: Path) -> None:
        ratio = painter.device().devicePixelRatioF()
        picture = self._thumbnails.get(file, round(rect.width() * ratio))
        if picture is None or picture.isNull():
            painter.fillRect(rect, QColor(theme.current().raised))
            if picture is not None:
                painter.setPen(QColor(theme.current().muted))
                painter.drawText(rect, Qt.AlignmentFlag.AlignCenter, "?")
            return
        painter.drawImage(_centred(picture, rect, ratio), picture)

    def _paint_words(self, painter: QPainter, places: RowPlaces, row: HistoryRow) -> None:
        palette = theme.current()
        words = [(row.title, 1, palette.text)]
        if row.branch:
            words.append((row.branch, 0, palette.info))
        state = state_text(row.item)
        when = (state, amount_text(row.item), time_in_words(row.item.time, time.time()))
        words.append((" · ".join(part for part in when if part), 0, palette.warning if state else palette.muted))
        for (text, size, colour), rect in zip(words, places.lines, strict=True):
            paint_text(painter, rect, text, size=size, colour=colour)


def paint_star(painter: QPainter, rect: QRectF, *, is_on: bool, has_ground: bool = False) -> None:
    """A star: filled if it is on. With a ground it is readable on any picture."""
    palette = theme.current()
    if has_ground:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(0, 0, 0, 150))
        painter.drawEllipse(rect.adjusted(-2, -2, 2, 2))
    painter.setBrush(QColor("#FFD166" if has_ground else palette.warning) if is_on else Qt.BrushStyle.NoBrush)
    painter.setPen(Qt.PenStyle.NoPen if is_on else QPen(QColor(palette.muted), 1.2))
    points = [QPointF(rect.left() + x * rect.width(), rect.top() + y * rect.height()) for x, y in _STAR_POINTS]
    painter.drawPolygon(QPolygonF(points))
    painter.setBrush(Qt.BrushStyle.NoBrush)


def _strip(left: int, top: int, room: int, images: int) -> tuple[tuple[QRect, ...], QRect]:
    """Thumbnails side by side, as many as there is room for; the rest is a number behind them."""
    side = theme.scaled(_THUMBNAIL)
    fitting = max((room + _GAP) // (side + _GAP), 1)
    if images > fitting:
        number = QFontMetrics(font_of(0)).horizontalAdvance(f"+{images}")
        fitting = max((room - number) // (side + _GAP), 1)
    rects = tuple(QRect(left + place * (side + _GAP), top, side, side) for place in range(min(images, fitting)))
    if images <= fitting:
        return rects, QRect()
    end = left + fitting * (side + _GAP)
    return rects, QRect(end, top, max(left + room - end, 0), side)


def _corner(rect: QRect) -> QRectF:
    side = rect.width() * 0.3
    return QRectF(rect.right() - side - 1, rect.top() + 3, side, side)


def _centred(picture: QImage, rect: QRect, ratio: float) -> QRectF:
    width, height = picture.width() / ratio, picture.height() / ratio
    return QRectF(rect.left() + (rect.width() - width) / 2, rect.top() + (rect.height() - height) / 2, width, height)


def _line_heights(row: HistoryRow) -> list[int]:
    """Of the title, of what it branched from if it did, of its time. Large text takes two lines where it is cut."""
    times = 2 if theme.scaled(100) > _LARGE_TEXT else 1
    title, small = line_height(1), line_height(0)
    return [times * title, *([times * small] if row.branch else []), small]
