"""How a row of the evaluations looks: title, figures, how and when they were made, what became of it."""

import time

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, QSize
from PySide6.QtGui import QPainter
from PySide6.QtWidgets import QAbstractItemView, QStyledItemDelegate, QStyleOptionViewItem

from dit_studio.ui import theme
from dit_studio.ui.evaluate.history_rows import EvaluationRow, figures_of, how_of, state_text
from dit_studio.ui.sample.history_words import time_in_words
from dit_studio.ui.widgets.row_painting import line_height, lines_of, paint_ground, paint_text
from dit_studio.ui.widgets.rows_model import ROW

_PAD, _GAP = 8, 2  # pixels around a row, between its lines
_LARGE_TEXT = 130  # percent
_Line = tuple[str, int, str, int]  # text, size, colour, lines that it may take


class EvaluationDelegate(QStyledItemDelegate):
    """Paints rows; `shown` is the entry in the centre."""

    def __init__(self) -> None:
        super().__init__()
        self.shown = ""

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:
        view = option.widget
        width = view.viewport().width() if isinstance(view, QAbstractItemView) else option.rect.width()
        lines = _lines(index.data(ROW), width - 2 * _PAD)
        heights = sum(line_height(size) * times for _, size, _, times in lines)
        return QSize(0, 2 * _PAD + heights + _GAP * (len(lines) - 1))

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        row: EvaluationRow = index.data(ROW)
        painter.save()
        paint_ground(painter, option.rect, option.state, is_shown=row.name == self.shown)
        room = option.rect.adjusted(_PAD, _PAD, -_PAD, -_PAD)
        top = room.top()
        for text, size, colour, times in _lines(row, room.width()):
            height = line_height(size) * times
            paint_text(painter, QRect(room.left(), top, room.width(), height), text, size=size, colour=colour)
            top += height + _GAP
        painter.restore()


def _lines(row: EvaluationRow, width: int) -> list[_Line]:
    """Each with as many lines as it takes in so many pixels, if it may."""
    return [
        (text, size, colour, lines_of(text, size=size, width=width, most=most))
        for text, size, colour, most in _texts(row)
    ]


def _texts(row: EvaluationRow) -> list[_Line]:
    palette = theme.current()
    times = 2 if theme.scaled(100) > _LARGE_TEXT else 1
    how = " · ".join(part for part in (how_of(row.item), time_in_words(row.item.time, time.time())) if part)
    lines: list[_Line] = [(row.title, 1, palette.text, times)]
    if figures := figures_of(row.item):
        lines.append((figures, 1, palette.info, times if len(row.item.figures) == 1 else times + 1))
    lines.append((how, 0, palette.muted, times))
    if state := state_text(row):
        is_going_on = row.state == "running" and not row.item.failed
        lines.append((state, 0, palette.good if is_going_on else palette.warning, times))
    return lines
