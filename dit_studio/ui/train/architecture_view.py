"""The architecture as a drawing: the whole at the left, one block in the middle, what conditions it at the right."""

from collections.abc import Sequence

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics, QImage, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QWidget

from dit_studio.ui import theme
from dit_studio.ui.train.architecture_parts import Architecture, Part

# Pixels at a font scale of 100 %.
_WIDTH, _HEIGHT, _GAP = 232, 40, 18  # of a box; between two
_COLUMN_GAP = 72
_MARGIN = 16
_HEAD = 26  # of a column's title
_SKIP = 14  # how far the line that goes around a part stands out
_ARROW = 4


class ArchitectureView(QWidget):
    """Boxes with an accent are what the published DiT has otherwise."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._shown: Architecture | None = None
        self.setAccessibleName("Architecture")
        theme.theme_changed.connect(self._on_theme)

    def show_architecture(self, shown: Architecture) -> None:
        self._shown = shown
        self.setAccessibleDescription(description(shown))
        self.setToolTip("Boxes with an accent are what the published DiT has otherwise.")
        self._on_theme()

    def sizeHint(self) -> QSize:
        if self._shown is None:
            return QSize(0, 0)
        rows = max(len(self._shown.before) + 1 + len(self._shown.after), len(self._shown.block))
        height = 2 * _MARGIN + _HEAD + rows * (_HEIGHT + _GAP)
        width = 2 * _MARGIN + 3 * _WIDTH + 2 * _COLUMN_GAP
        return QSize(theme.scaled(width), theme.scaled(height))

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def to_image(self) -> QImage:
        """The drawing on the theme's own ground, twice as fine as on the screen."""
        image = QImage(self.sizeHint() * 2, QImage.Format.Format_RGB32)
        image.fill(QColor(theme.current().surface))
        painter = QPainter(image)
        painter.scale(2, 2)
        self._draw(painter)
        painter.end()
        return image

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        self._draw(painter)
        painter.end()

    # --------------------------------------------------------------------------------------------- how

    def _draw(self, painter: QPainter) -> None:
        if self._shown is None:
            return
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        shown, left = self._shown, float(theme.scaled(_MARGIN))
        step = theme.scaled(_WIDTH + _COLUMN_GAP)
        the_block = Part(title=shown.block_title, detail="shown in the middle")
        whole = [*shown.before, the_block, *shown.after]
        boxes = self._draw_column(painter, "The whole", whole, left)
        block = self._draw_column(painter, shown.block_title, shown.block, left + step)
        conditioning = self._draw_column(painter, "Time and class", shown.conditioning, left + 2 * step)
        self._draw_joins(painter, shown.block, block)
        self._draw_conditioning(painter, conditioning[-1], [block[number] for number in shown.reaches])
        self._draw_opening(painter, boxes[len(shown.before)], block)

    def _draw_column(self, painter: QPainter, title: str, parts: Sequence[Part], left: float) -> list[QRectF]:
        """Boxes one below another with arrows between them, under a title."""
        palette, width, height, gap = theme.current(), *map(theme.scaled, (_WIDTH, _HEIGHT, _GAP))
        top = float(theme.scaled(_MARGIN))
        head = QRectF(left, top, width, theme.scaled(_HEAD))
        painter.setFont(self._font(1, is_bold=True))
        painter.setPen(QColor(palette.muted))
        painter.drawText(head, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop, title)
        boxes = [QRectF(left, head.bottom() + number * (height + gap), width, height) for number in range(len(parts))]
        for number, (part, box) in enumerate(zip(parts, boxes, strict=True)):
            self._draw_part(painter, part, box)
            if number:
                above = boxes[number - 1]
                self._draw_arrow(
                    painter, [QPointF(above.center().x(), above.bottom()), QPointF(box.center().x(), box.top())]
                )
        return boxes

    def _draw_part(self, painter: QPainter, part: Part, box: QRectF) -> None:
        palette = theme.current()
        painter.setPen(QPen(QColor(palette.accent if part.is_other else palette.line), 2 if part.is_other else 1))
        painter.setBrush(QColor(palette.selection if part.is_other else palette.raised))
        painter.drawRoundedRect(box, theme.RADIUS / 2, theme.RADIUS / 2)
        inside = box.adjusted(8, 3, -8, -3)
        self._draw_text(painter, part.title, inside, 1, palette.text, is_above=bool(part.detail))
        if part.detail:
            self._draw_text(painter, part.detail, inside, 0, palette.muted, is_above=False)

    def _draw_text(self, painter: QPainter, text: str, box: QRectF, size: int, colour: str, *, is_above: bool) -> None:
        font = self._font(size, is_bold=size == 1)
        painter.setFont(font)
        painter.setPen(QColor(colour))
        elided = QFontMetrics(font).elidedText(text, Qt.TextElideMode.ElideRight, int(box.width()))
        vertical = Qt.AlignmentFlag.AlignTop if is_above else Qt.AlignmentFlag.AlignBottom
        if size == 1 and not is_above:
            vertical = Qt.AlignmentFlag.AlignVCenter
        painter.drawText(box, Qt.AlignmentFlag.AlignHCenter | vertical, elided)

    def _draw_joins(self, painter: QPainter, parts: Sequence[Part], boxes: Sequence[QRectF]) -> None:
        """The lines that go around from where a sublayer begins to where its result is added."""
        out, begin = theme.scaled(_SKIP), 0
        for number, part in enumerate(parts):
            if part.is_joined:
                above, below = (
                    boxes[begin].top() - theme.scaled(_GAP) / 2,
                    boxes[number].bottom() + theme.scaled(_GAP) / 2,
                )
                centre, edge = boxes[number].center().x(), boxes[number].left() - out
                self._draw_arrow(
                    painter,
                    [QPointF(centre, above), QPointF(edge, above), QPointF(edge, below), QPointF(centre - 6, below)],
                )
                self._draw_plus(painter, QPointF(centre, below))
                begin = number + 1

    def _draw_conditioning(self, painter: QPainter, source: QRectF, targets: Sequence[QRectF]) -> None:
        """From what time and class come to, to every part that they go into."""
        if not targets:
            return
        line = targets[0].right() + theme.scaled(_COLUMN_GAP) / 2
        for target in targets:
            start = QPointF(source.left(), source.center().y())
            y = target.center().y()
            points = [start, QPointF(line, start.y()), QPointF(line, y), QPointF(target.right(), y)]
            self._draw_arrow(painter, points, theme.current().info)

    def _draw_opening(self, painter: QPainter, box: QRectF, block: Sequence[QRectF]) -> None:
        """The block that is shown larger in the middle."""
        painter.setPen(QPen(QColor(theme.current().line), 1, Qt.PenStyle.DashLine))
        left = block[0].left() - theme.scaled(_SKIP) - 6
        painter.drawLine(box.topRight(), QPointF(left, block[0].top()))
        painter.drawLine(box.bottomRight(), QPointF(left, block[-1].bottom()))

    def _draw_arrow(self, painter: QPainter, points: Sequence[QPointF], colour: str = "") -> None:
        painter.setPen(QPen(QColor(colour or theme.current().muted), 1.2))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawPolyline(QPolygonF(list(points)))
        before, tip = points[-2], points[-1]
        along = tip - before
        length = max(abs(along.x()), abs(along.y())) or 1.0
        back, side = along / length * _ARROW, QPointF(-along.y(), along.x()) / length * _ARROW * 0.7
        painter.setBrush(QColor(colour or theme.current().muted))
        painter.drawPolygon(QPolygonF([tip, tip - back + side, tip - back - side]))

    def _draw_plus(self, painter: QPainter, centre: QPointF) -> None:
        painter.setPen(QPen(QColor(theme.current().muted), 1.2))
        painter.setBrush(QColor(theme.current().surface))
        painter.drawEllipse(centre, 5, 5)
        painter.drawLine(centre - QPointF(3, 0), centre + QPointF(3, 0))
        painter.drawLine(centre - QPointF(0, 3), centre + QPointF(0, 3))

    def _font(self, size: int, *, is_bold: bool) -> QFont:
        font = QFont(self.font())
        font.setPixelSize(theme.text_size(size))
        font.setBold(is_bold)
        return font

    def _on_theme(self) -> None:
        self.updateGeometry()
        self.update()


def description(shown: Architecture) -> str:
    """The drawing in words, for who hears it."""
    columns = (
        ("The whole", (*shown.before, Part(title=shown.block_title), *shown.after)),
        (shown.block_title, shown.block),
        ("Time and class", shown.conditioning),
    )
    return " ".join(f"{title}: {'; '.join(_words(part) for part in parts)}." for title, parts in columns)


def _words(part: Part) -> str:
    words = f"{part.title} ({part.detail})" if part.detail else part.title
    return f"{words}, not as published" if part.is_other else words
