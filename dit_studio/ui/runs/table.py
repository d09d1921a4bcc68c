"""The table of runs: its model, how it sorts and filters, and how state and progress are drawn."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, QRectF, QSortFilterProxyModel, Qt
from PySide6.QtGui import QColor, QIcon, QImage, QPainter, QPixmap
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem

from dit_studio.events import JobState
from dit_studio.ui import theme
from dit_studio.ui.runs.listing import THUMBNAIL_SIZE, RunRow
from dit_studio.ui.train.amounts import count, duration
from dit_studio.ui.train.model_words import changes_line, model_name
from dit_studio.ui.train.state_pill import STATE_COLOURS, STATE_TEXTS

SORT_ROLE = Qt.ItemDataRole.UserRole
ROW_ROLE = Qt.ItemDataRole.UserRole + 1
_Index = QModelIndex | QPersistentModelIndex


@dataclass(frozen=True)
class Column:
    title: str
    text: Callable[[RunRow], str]
    key: Callable[[RunRow], Any]  # what it sorts by
    tooltip: str
    is_number: bool = False


def _optional(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def _data_name(row: RunRow) -> str:
    recipe = row.summary.recipe
    return Path(recipe.data.path).name if recipe else ""


def _model_name(row: RunRow) -> str:
    recipe = row.summary.recipe
    return model_name(recipe.model) if recipe else ""


def _started(row: RunRow) -> str:
    started = row.summary.status.started
    if not started:
        return ""
    moment, now = datetime.fromtimestamp(started), datetime.now()
    return f"{moment:%d %b %H:%M}" if moment.year == now.year else f"{moment:%d %b %Y}"


def _share(row: RunRow) -> float:
    status = row.summary.status
    return min(1.0, status.step / status.steps) if status.steps else 0.0


def _endless(value: float | None) -> float:
    return float("inf") if value is None else value


COLUMNS = (
    Column("Name", lambda row: row.title, lambda row: row.title.lower(), "What the run was called."),
    Column(
        "State",
        lambda row: STATE_TEXTS[row.summary.status.state],
        lambda row: list(JobState).index(row.summary.status.state),
        "What the run does now, or how it ended.",
    ),
    Column("Progress", lambda row: progress_text(row), _share, "Optimiser steps done, of those planned."),
    Column(
        "Loss",
        lambda row: _optional(row.summary.status.loss),
        lambda row: _endless(row.summary.status.loss),
        "Training loss of the last step.",
        is_number=True,
    ),
    Column(
        "Val. loss",
        lambda row: _optional(row.summary.status.validation_loss),
        lambda row: _endless(row.summary.status.validation_loss),
        "Loss of the averaged weights on held-out images, at noise that never changes.",
        is_number=True,
    ),
    Column("Data", _data_name, lambda row: _data_name(row).lower(), "Folder or archive of the images."),
    Column("Model", _model_name, _model_name, "Size and patch of the model."),
    Column("Started", _started, lambda row: row.summary.status.started, "When the run was started."),
    Column(
        "Trained",
        lambda row: duration(row.summary.status.seconds) if row.summary.status.seconds else "",
        lambda row: row.summary.status.seconds,
        "Time spent training, pauses left out.",
        is_number=True,
    ),
)
STATE, PROGRESS, MODEL, STARTED = 1, 2, 6, 7  # places in COLUMNS


def progress_text(row: RunRow) -> str:
    status = row.summary.status
    return f"{count(status.step)} / {count(status.steps)}"


class RunsModel(QAbstractTableModel):
    """The runs as rows; an update changes rows in place, so that a selection survives it."""

    def __init__(self) -> None:
        super().__init__()
        self._rows: list[RunRow] = []

    def show_rows(self, rows: Sequence[RunRow]) -> None:
        """Replace what is shown: gone runs are removed, known ones updated, new ones added."""
        by_path = {row.path: row for row in rows}
        for line in reversed(range(len(self._rows))):
            if self._rows[line].path not in by_path:
                self.beginRemoveRows(QModelIndex(), line, line)
                del self._rows[line]
                self.endRemoveRows()
        for line, old in enumerate(self._rows):
            new = by_path.pop(old.path)
            if new != old:
                self._rows[line] = new
                self.dataChanged.emit(self.index(line, 0), self.index(line, len(COLUMNS) - 1))
        if by_path:
            self.beginInsertRows(QModelIndex(), len(self._rows), len(self._rows) + len(by_path) - 1)
            self._rows += by_path.values()
            self.endInsertRows()

    def rowCount(self, parent: _Index | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self._rows)

    def columnCount(self, parent: _Index | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(COLUMNS)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return COLUMNS[section].title
        if role == Qt.ItemDataRole.TextAlignmentRole and COLUMNS[section].is_number:
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        return COLUMNS[section].tooltip if role == Qt.ItemDataRole.ToolTipRole else None

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        row, column = self._rows[index.row()], COLUMNS[index.column()]
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return column.text(row)
            case Qt.ItemDataRole.ToolTipRole:
                return _tooltip(row)
            case Qt.ItemDataRole.DecorationRole if index.column() == 0:
                return _thumbnail_icon(row.thumbnail)
            case Qt.ItemDataRole.TextAlignmentRole if column.is_number:
                return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
            case _ if role == SORT_ROLE:
                return column.key(row)
            case _ if role == ROW_ROLE:
                return row
        return None


def _thumbnail_icon(image: QImage | None) -> QIcon:
    """Not tinted where the row is selected; an empty square without an image, so that the names line up."""
    result, pixmap = QIcon(), QPixmap(THUMBNAIL_SIZE, THUMBNAIL_SIZE)
    if image is None:
        pixmap.fill(Qt.GlobalColor.transparent)
    else:
        pixmap = QPixmap.fromImage(image)
    result.addPixmap(pixmap, QIcon.Mode.Normal)
    result.addPixmap(pixmap, QIcon.Mode.Selected)
    return result


def _tooltip(row: RunRow) -> str:
    recipe = row.summary.recipe
    lines = [
        str(row.path),
        changes_line(recipe.model) if recipe else "",
        row.summary.status.message,
        row.summary.problem,
    ]
    return "\n".join(line for line in lines if line)


class RunsProxy(QSortFilterProxyModel):
    """Sorts by value, and keeps the runs in which every word of the filter occurs somewhere."""

    def __init__(self, model: RunsModel) -> None:
        super().__init__()
        self._words: list[str] = []
        self.setSourceModel(model)
        self.setSortRole(SORT_ROLE)
        self.setDynamicSortFilter(True)

    def show_only(self, text: str) -> None:
        self._words = text.lower().split()
        self.invalidate()

    def filterAcceptsRow(self, line: int, _parent: _Index) -> bool:
        row: RunRow = self.sourceModel().index(line, 0).data(ROW_ROLE)
        text = " ".join([*(column.text(row) for column in COLUMNS), row.summary.problem]).lower()
        return all(word in text for word in self._words)

    def lessThan(self, left: _Index, right: _Index) -> bool:
        return bool(left.data(SORT_ROLE) < right.data(SORT_ROLE))


class StateDelegate(QStyledItemDelegate):
    """Draws the state as a pill in its colour."""

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: _Index) -> None:
        _draw_ground(painter, option)
        row: RunRow = index.data(ROW_ROLE)
        colour = QColor(getattr(theme.current(), STATE_COLOURS.get(row.summary.status.state, "muted")))
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
        painter.drawText(box.adjusted(0, 0, 0, -8), Qt.AlignmentFlag.AlignVCenter, index.data())
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(palette.line))
        painter.drawRoundedRect(bar, 2, 2)
        painter.setBrush(QColor(palette.accent))
        painter.drawRoundedRect(QRectF(bar.x(), bar.y(), bar.width() * _share(row), bar.height()), 2, 2)
        painter.restore()


def _draw_ground(painter: QPainter, option: QStyleOptionViewItem) -> None:
    palette = theme.current()
    if option.state & QStyle.StateFlag.State_Selected:
        painter.fillRect(option.rect, QColor(palette.selection))
    elif option.state & QStyle.StateFlag.State_MouseOver:
        painter.fillRect(option.rect, QColor(palette.raised))
