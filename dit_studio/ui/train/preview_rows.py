"""The grid of the preview wall: a row for each step, a column for each class."""

from PySide6.QtCore import QEvent, QPoint, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFont,
    QFontMetrics,
    QHelpEvent,
    QImage,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QResizeEvent,
)
from PySide6.QtWidgets import QAbstractScrollArea, QToolTip, QWidget

from dit_studio.events import PreviewSaved
from dit_studio.ui import theme
from dit_studio.ui.train.amounts import count
from dit_studio.ui.train.preview_files import PreviewFiles
from dit_studio.ui.widgets.basics import describe

_GAP = 2  # pixels between cells
_CELLS = (24, 128)  # pixels, smallest and largest
_MARGIN = 8  # pixels beside the step
_BACK = {Qt.Key.Key_Up: -1, Qt.Key.Key_Left: -1, Qt.Key.Key_Down: 1, Qt.Key.Key_Right: 1}


class PreviewRows(QAbstractScrollArea):
    """Paints only the rows in sight, and asks only for their pictures."""

    chosen = Signal(int)  # a row, by the mouse or the keys
    opened = Signal(int, int)  # a row, and a cell in it (row-major)
    scrolled = Signal(bool)  # by the user; whether the newest row is in sight

    def __init__(self, files: PreviewFiles, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._files = files
        self._previews: list[PreviewSaved] = []
        self._current = -1
        self._columns = 1
        self._is_placing = False  # the scroll bar is moved by us
        files.loaded.connect(self.viewport().update)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMinimumHeight(80)
        self.verticalScrollBar().valueChanged.connect(self._on_scrolled)
        describe(
            self, "Samples by step", "Rows: steps; columns: classes; the same seeds throughout. Click to see one large."
        )

    # ------------------------------------------------------------------------------------------------- contents

    def show_previews(self, previews: list[PreviewSaved], current: int, *, is_live: bool) -> None:
        """Show the rows, with one marked; live keeps the newest in sight."""
        self._previews, self._current = previews, current
        self._columns = max((preview.columns for preview in previews), default=1)
        self._place_scroll_bars()
        if is_live:
            self._scroll_to(self.verticalScrollBar().maximum())
        self.viewport().update()

    def mark(self, row: int) -> None:
        """Mark a row and bring it into sight."""
        self._current = row
        top, height = row * self._row_height(), self._row_height()
        seen = self.verticalScrollBar().value()
        room = self.viewport().height() - self._header_height()
        self._scroll_to(min(max(seen, top + height - room), top))
        self.viewport().update()

    def _scroll_to(self, value: int) -> None:
        self._is_placing = True
        self.verticalScrollBar().setValue(value)
        self._is_placing = False

    def _on_scrolled(self, value: int) -> None:
        if not self._is_placing:
            self.scrolled.emit(value >= self.verticalScrollBar().maximum())

    # ------------------------------------------------------------------------------------------------- geometry

    def _font(self) -> QFont:
        font = QFont(self.font())
        font.setPixelSize(theme.text_size(0))
        return font

    def _gutter(self) -> int:
        steps = [preview.step for preview in self._previews[-1:]]
        metrics = QFontMetrics(self._font())
        return max((metrics.horizontalAdvance(count(step)) for step in steps), default=0) + 2 * _MARGIN

    def _cell(self) -> int:
        """Side of a cell with its gap, in pixels."""
        room = self.viewport().width() - self._gutter()
        return min(max(room // self._columns, _CELLS[0]), _CELLS[1])

    def _row_height(self) -> int:
        return max((preview.rows for preview in self._previews[-1:]), default=1) * self._cell() + 2 * _GAP

    def _header_height(self) -> int:
        has_labels = any(preview.labels for preview in self._previews[-1:])
        return QFontMetrics(self._font()).height() + 6 if has_labels else 0

    def _place_scroll_bars(self) -> None:
        self._is_placing = True
        room = self.viewport().size() - QSize(self._gutter(), self._header_height())
        vertical, horizontal = self.verticalScrollBar(), self.horizontalScrollBar()
        vertical.setRange(0, max(0, len(self._previews) * self._row_height() - room.height()))
        vertical.setPageStep(max(room.height(), 1))
        vertical.setSingleStep(self._row_height())
        horizontal.setRange(0, max(0, self._columns * self._cell() - room.width()))
        horizontal.setPageStep(max(room.width(), 1))
        horizontal.setSingleStep(self._cell())
        self._is_placing = False

    def _row_at(self, y: int) -> int:
        row = (y - self._header_height() + self.verticalScrollBar().value()) // self._row_height()
        return int(row) if y >= self._header_height() and 0 <= row < len(self._previews) else -1

    def cell_at(self, position: QPoint) -> tuple[int, int] | None:
        """Row and cell (row-major in the picture) at a place of the viewport."""
        row = self._row_at(position.y())
        column = (position.x() - self._gutter() + self.horizontalScrollBar().value()) // self._cell()
        if row < 0 or position.x() < self._gutter() or column >= self._previews[row].columns:
            return None
        preview = self._previews[row]
        inside = (position.y() - self._header_height() + self.verticalScrollBar().value()) % self._row_height()
        return row, min(inside // self._cell(), preview.rows - 1) * preview.columns + column

    # ------------------------------------------------------------------------------------------------- the user

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        was_at_end = self.verticalScrollBar().value() >= self.verticalScrollBar().maximum()
        self._place_scroll_bars()
        if was_at_end:
            self._scroll_to(self.verticalScrollBar().maximum())

    def mousePressEvent(self, event: QMouseEvent) -> None:
        place = self.cell_at(event.position().toPoint())
        if event.button() == Qt.MouseButton.LeftButton and place is not None:
            self.chosen.emit(place[0])
            self.opened.emit(*place)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key, last = Qt.Key(event.key()), len(self._previews) - 1
        if last < 0:
            event.ignore()
        elif key in _BACK:
            self.chosen.emit(min(max(self._current + _BACK[key], 0), last))
        elif key in (Qt.Key.Key_Home, Qt.Key.Key_End):
            self.chosen.emit(0 if key == Qt.Key.Key_Home else last)
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space):
            self.opened.emit(self._current, 0)
        else:
            event.ignore()

    def viewportEvent(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            place = self.cell_at(event.pos())
            QToolTip.showText(event.globalPos(), self._text_of(*place) if place else self.toolTip(), self)
            return True
        return super().viewportEvent(event)

    def _text_of(self, row: int, cell: int) -> str:
        return cell_text(self._previews[row], cell)

    # ------------------------------------------------------------------------------------------------- painting

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self.viewport())
        painter.setFont(self._font())
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        rows = self._rows_in_sight()
        cell_pixels = round((self._cell() - _GAP) * self.devicePixelRatioF())
        self._files.want_only([self._previews[row] for row in rows], cell_pixels)
        for row in rows:
            self._paint_row(painter, row, cell_pixels)
        self._paint_header(painter)

    def _rows_in_sight(self) -> range:
        top = self.verticalScrollBar().value()
        room = self.viewport().height() - self._header_height()
        first, last = top // self._row_height(), (top + room) // self._row_height()
        return range(first, min(last + 1, len(self._previews)))

    def _paint_row(self, painter: QPainter, row: int, cell_pixels: int) -> None:
        palette, preview = theme.current(), self._previews[row]
        top = self._header_height() + row * self._row_height() - self.verticalScrollBar().value()
        line = QRect(0, top, self.viewport().width(), self._row_height())
        gutter = self._gutter()
        if row == self._current:
            painter.fillRect(line, QColor(palette.selection))
            painter.fillRect(QRect(0, top, 3, line.height()), QColor(palette.accent))
        painter.save()
        painter.setClipRect(QRect(gutter, self._header_height(), line.width() - gutter, self.viewport().height()))
        self._paint_cells(painter, preview, top + _GAP, cell_pixels)
        painter.restore()
        painter.setPen(QColor(palette.text if row == self._current else palette.muted))
        text = QRect(0, top, gutter - _MARGIN, line.height())
        painter.drawText(text, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, count(preview.step))

    def _paint_cells(self, painter: QPainter, preview: PreviewSaved, top: int, cell_pixels: int) -> None:
        image = self._files.get(preview, cell_pixels)
        palette = theme.current()
        side = self._cell() - _GAP
        for cell in range(preview.rows * preview.columns):
            row, column = divmod(cell, preview.columns)
            x = self._gutter() + column * self._cell() - self.horizontalScrollBar().value()
            target = QRect(x, top + row * self._cell(), side, side)
            if x + side < 0 or x > self.viewport().width():
                continue
            if image is None or image.isNull():
                painter.fillRect(target, QColor(palette.raised))
            else:
                painter.drawImage(QRectF(target), image, _source(image, preview, row, column))
        if image is not None and image.isNull():
            painter.setPen(QColor(palette.muted))
            painter.drawText(self._gutter() + 4, top + side // 2 + 4, "The picture cannot be read.")

    def _paint_header(self, painter: QPainter) -> None:
        height = self._header_height()
        if not height:
            return
        palette, labels = theme.current(), self._previews[-1].labels
        painter.fillRect(QRect(0, 0, self.viewport().width(), height), QColor(palette.surface))
        painter.setPen(QColor(palette.muted))
        painter.drawText(QRect(0, 0, self._gutter() - _MARGIN, height), Qt.AlignmentFlag.AlignRight, "step")
        painter.setClipRect(QRect(self._gutter(), 0, self.viewport().width(), height))
        for column, label in enumerate(labels):
            x = self._gutter() + column * self._cell() - self.horizontalScrollBar().value()
            place = QRect(x, 0, self._cell() - _GAP, height)
            text = painter.fontMetrics().elidedText(label, Qt.TextElideMode.ElideRight, place.width())
            painter.drawText(place, Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignTop, text)


def cell_text(preview: PreviewSaved, cell: int) -> str:
    """What a cell of the picture shows, in words."""
    column = cell % preview.columns
    label = preview.labels[column] if column < len(preview.labels) else f"sample {cell + 1}"
    return f"{label} · step {count(preview.step)} · seed {preview.seed + cell}"


def _source(image: QImage, preview: PreviewSaved, row: int, column: int) -> QRectF:
    width, height = image.width() / preview.columns, image.height() / preview.rows
    return QRectF(column * width, row * height, width, height)
