"""How the state and the progress of a run are drawn in the table."""

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRectF, Qt
from PySide6.QtGui import QColor, QPainter
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem

from dit_studio.ui import theme
from dit_studio.ui.runs.columns import share_done
from dit_studio.ui.runs.listing import RunRow
from dit_studio.ui.runs.model import ROW_ROLE
from dit_studio.ui.train.state_pill import STATE_COLOURS

_Index = QModelIndex | QPersistentModelIndex


class StateDelegate(QStyledItemDelegate):
    """Draws the state as a pill in its colour."""

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: _Index) -> None:
        _draw_ground(painter, option)
        row: RunRow = index.data(ROW_ROLE)
        kind = "error" if row.summary.is_unreadable else STATE_COLOURS.get(row.summary.status.state, "muted")
        colour = QColor(getattr(theme.current(), kind))
        text = index.data()
        metrics = option.fontMetrics
        box = QRectF(option.rect).adjusted(8, 0, -4, 0)
        height = metrics.height() + 6
        box = QRectF(box.x(), box.center().y() - height / 2, metrics.horizontalAdvance(text) + 32, height)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(colour)
        painter.drawRoundedRect(box, height / 2, height / 2)
        painter.setBrush(colour)
        painter.drawEllipse(QRectF(box.x() + 10, box.center().y() - 3, 6, 6))
        painter.drawText(box.adjusted(22, 0, 0, 0), Qt.AlignmentFlag.AlignVCenter, text)
        painter.restore()


class ProgressDelegate(QStyledItemDelegate):
    """Draws how far a run is as words above a thin bar."""

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: _Index) -> None:
        _draw_ground(painter, option)
        palette = theme.current()
        row: RunRow = index.data(ROW_ROLE)
        box = QRectF(option.rect).adjusted(8, 4, -8, -4)
        bar = QRectF(box.x(), box.center().y() + 10, box.width(), 4)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QColor(palette.text))
        words = box.adjusted(0, 0, 0, -8)
        text = option.fontMetrics.elidedText(index.data(), Qt.TextElideMode.ElideRight, int(words.width()))
        painter.drawText(words, Qt.AlignmentFlag.AlignVCenter, text)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(palette.line))
        painter.drawRoundedRect(bar, 2, 2)
        painter.setBrush(QColor(palette.accent))
        painter.drawRoundedRect(QRectF(bar.x(), bar.y(), bar.width() * share_done(row), bar.height()), 2, 2)
        painter.restore()


def _draw_ground(painter: QPainter, option: QStyleOptionViewItem) -> None:
    palette = theme.current()
    if option.state & QStyle.StateFlag.State_Selected:
        painter.fillRect(option.rect, QColor(palette.selection))
    elif option.state & QStyle.StateFlag.State_MouseOver:
        painter.fillRect(option.rect, QColor(palette.raised))
