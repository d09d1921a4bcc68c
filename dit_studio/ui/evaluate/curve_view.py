"""The plot of the Curves tab: points that can be pointed at, selected and opened, by mouse and by keys."""

import math
from collections.abc import Sequence

import pyqtgraph as pg
from PySide6.QtCore import QEvent, QPointF, QRectF, QSizeF, Qt, Signal
from PySide6.QtGui import QColor, QFont, QFontMetrics, QKeyEvent, QMouseEvent, QResizeEvent
from PySide6.QtWidgets import QSizePolicy

from dit_studio.ui import theme
from dit_studio.ui.evaluate.curve_items import (
    LineItems,
    PointText,
    floor_items,
    floor_label,
    floor_mark,
    line_items,
    reach,
    ring_item,
)
from dit_studio.ui.evaluate.label_places import Anchor, Covered, corners, free_anchor, rect_at, sides, slid
from dit_studio.ui.evaluate.line_marks import mark_of
from dit_studio.ui.evaluate.plot_lines import Picture, PlotPoint
from dit_studio.ui.train.axes import NumberAxis
from dit_studio.ui.train.decimation import padded
from dit_studio.ui.train.plot_view import AXIS_WIDTH
from dit_studio.ui.widgets.basics import describe

_REACH = 24  # pixels from a point at which it is pointed at
_LABEL_MARGIN = 12  # pixels around a floor's label
_CLICK = 4  # pixels that a click may move
_MIN_HEIGHT = 140  # pixels
_GRID = 50  # opacity of the grid, of 255
_STEPS = {Qt.Key.Key_Left: (-1, 0), Qt.Key.Key_Right: (1, 0), Qt.Key.Key_Up: (0, -1), Qt.Key.Key_Down: (0, 1)}
_ZOOMS = {Qt.Key.Key_Plus: 0.8, Qt.Key.Key_Equal: 0.8, Qt.Key.Key_Minus: 1.25}
_KEYS = "← →: along a line; ↑ ↓: another line; Return: samples; drag or + −: zoom; Home: fit."


class CurveView(pg.GraphicsView):
    """Draws a Picture."""

    pointed = Signal(object)  # the PlotPoint at the mouse, None where there is none
    chosen = Signal(int)  # a point of the plan
    opened = Signal(int)

    def __init__(self) -> None:
        super().__init__(background=None)
        self.lines: list[LineItems] = []
        self.floors: list[pg.GraphicsObject] = []
        self.labels: list[pg.TextItem] = []
        self.floor_name: PointText | None = None  # at the point where both axes have a floor
        self._picture = Picture(lines=(), x_title="", y_title="")
        self._is_log, self._selected, self._pressed = False, -1, QPointF()
        self._is_following = True  # the range, the points; until it is zoomed by hand
        self._ring = ring_item()
        self.box = pg.ViewBox(enableMenu=False, defaultPadding=0)
        self.left, self.bottom = NumberAxis("left"), NumberAxis("bottom")
        self._layout = pg.GraphicsLayout()
        self._build()
        self.restyle()

    # ------------------------------------------------------------------------------------------------- drawing

    def draw(self, picture: Picture, *, is_log: bool, fits: bool) -> None:
        """Show a picture; x is logarithmic if `is_log`. `fits`: the range is that of the points, even after a zoom."""
        self._picture, self._is_log = picture, is_log
        self._empty()
        for number, line in enumerate(picture.lines):
            place = self._place
            items = line_items(line, mark_of(number), place, is_connected=picture.is_connected, font=self._font())
            self.lines.append(items)
            for item in items.all:
                self.box.addItem(item, ignoreBounds=True)
        self._draw_floors()
        self.left.setLabel(picture.y_title)
        self.bottom.setLabel(picture.x_title)
        self.bottom.set_log(is_log)
        if fits or self._is_following:
            self.fit()
        self._name_ticks()
        self.select(self._selected)

    def select(self, index: int) -> None:
        """Put the ring around a point of the plan, if it is shown."""
        self._selected = index
        found = [point for point in self._picture.points if point.index == index]
        self._ring.setData([self._place(point.x) for point in found], [point.y for point in found])

    def fit(self) -> None:
        """Show all points with their intervals, and the floor."""
        self._is_following = True
        xs, ys = self._extent()
        self.box.setXRange(*padded(min(xs), max(xs)), padding=0)
        self.box.setYRange(*padded(min(ys), max(ys)), padding=0)
        self._place_labels()

    def follow(self) -> None:
        """Let the range be that of the points from the next draw on."""
        self._is_following = True

    def restyle(self) -> None:
        """Take the colours of the theme in use; the next draw makes the items anew."""
        palette, font = theme.current(), self._font()
        self.setBackground(palette.ground)
        for axis in (self.left, self.bottom):
            axis.setPen(pg.mkPen(palette.edge))
            axis.setTextPen(pg.mkPen(palette.muted))
            axis.setTickFont(font)
            axis.label.setFont(font)
            axis.setGrid(_GRID)
            axis.resizeEvent()  # puts the label where its new size wants it
        self.left.setWidth(theme.scaled(AXIS_WIDTH))
        self.bottom.setHeight(round(2.6 * theme.text_size(0)) + 4)
        self._layout.setContentsMargins(0, 4, theme.scaled(14), 0)
        self.setMinimumHeight(_MIN_HEIGHT + round(2.6 * theme.text_size(0)))
        fill = QColor(palette.accent)
        fill.setAlphaF(0.15)
        self.box.rbScaleBox.setPen(pg.mkPen(palette.accent))
        self.box.rbScaleBox.setBrush(fill)
        self.box.removeItem(self._ring)
        self._ring = ring_item()
        self.box.addItem(self._ring, ignoreBounds=True)

    def pixel(self, point: PlotPoint) -> QPointF:
        """Where a point is, in the widget."""
        return QPointF(self.box.mapViewToScene(QPointF(self._place(point.x), point.y)))

    def _place(self, x: float) -> float:
        return math.log10(x) if self._is_log else x

    def _empty(self) -> None:
        for item in [each for line in self.lines for each in line.all] + self.floors + self.labels:
            self.box.removeItem(item)
        self.lines, self.floors, self.labels, self.floor_name = [], [], [], None

    def _draw_floors(self) -> None:
        picture, font = self._picture, self._font()
        for floor in picture.floors:
            self.floors += floor_items(floor)
            self.labels.append(floor_label(floor, 0.0, font))
        if picture.floor_point is not None:
            cross, self.floor_name = floor_mark(picture.floor_point, self._place, font)
            self.floors += [cross, self.floor_name.item]
        for item in [*self.floors, *self.labels]:
            self.box.addItem(item, ignoreBounds=True)
        self._place_labels()

    def _place_labels(self) -> None:
        """Put every text where nothing else stands; the names of points that find no place are hidden."""
        texts, dots = Covered(self._place_floor_labels()), Covered(map(self._dot, self._spots))
        for mark in (mark for line in self.lines for mark in line.marks):
            self._put(mark, sides(mark.size, reach()), texts, dots)
        for name in (name for line in self.lines for name in line.names):
            name.item.setVisible(self._put_if_free(name, texts, dots))
        if (floor := self.floor_name) is not None:
            floor.item.setText(self._elided(floor.point.text))
            self._put(floor, slid(self.pixel(floor.point), floor.size, 2 * reach(), self._room()), texts, dots)

    def _place_floor_labels(self) -> list[QRectF]:
        """Floors are labelled at the left edge, wherever that is, in the room that there is; what that covers."""
        covered = []
        for floor, label in zip(self._picture.floors, self.labels, strict=False):
            label.setText(self._elided(floor.text))
            label.setPos(self.box.viewRange()[0][0], floor.high)
            size = QSizeF(label.textItem.boundingRect().size())
            covered.append(rect_at(self.box.mapViewToScene(label.pos()), size, (0.0, 1.0)))
        return covered

    def _put(self, text: PointText, anchors: Sequence[Anchor], texts: Covered, dots: Covered) -> None:
        """Put a text where nothing else stands, or else where it may stand first."""
        place, size = self.pixel(text.point), text.size

        def is_taken(rect: QRectF) -> bool:
            return texts.meets(rect) or dots.meets(rect)

        anchor = free_anchor(place, size, anchors, room=self._room(), is_taken=is_taken) or anchors[0]
        text.item.setAnchor(anchor)
        texts.add(rect_at(place, size, anchor))

    def _put_if_free(self, name: PointText, texts: Covered, dots: Covered) -> bool:
        """Put a name at a corner of its point, if there is one where nothing else stands."""
        place, size, own = self.pixel(name.point), name.size, self._dot(name.point)

        def is_taken(rect: QRectF) -> bool:
            return texts.meets(rect) or dots.meets(rect, but_for=own)

        anchor = free_anchor(place, size, corners(), room=self._room(), is_taken=is_taken)
        if anchor is not None:
            name.item.setAnchor(anchor)
            texts.add(rect_at(place, size, anchor))
        return anchor is not None

    def _dot(self, point: PlotPoint) -> QRectF:
        """What a point covers."""
        place, far = self.pixel(point), reach()
        return QRectF(place.x() - far, place.y() - far, 2 * far, 2 * far)

    def _room(self) -> QRectF:
        return QRectF(self.box.sceneBoundingRect())

    def _elided(self, text: str) -> str:
        room = round(self.box.width()) - _LABEL_MARGIN
        return QFontMetrics(self._font()).elidedText(text, Qt.TextElideMode.ElideRight, room)

    def _name_ticks(self) -> None:
        """The names of an axis of names, each cut to the room that it has."""
        names = self._picture.x_names
        if not names:
            self.bottom.setTicks(None)
            return
        metrics, room = QFontMetrics(self._font()), max(self.box.width() / len(names) - 8, 24)
        cut = [(x, metrics.elidedText(name, Qt.TextElideMode.ElideRight, int(room))) for x, name in names]
        self.bottom.setTicks([cut])

    @property
    def _spots(self) -> list[PlotPoint]:
        """All points, and that of the floor."""
        floor = self._picture.floor_point
        return [*self._picture.points, *([floor] if floor else [])]

    def _extent(self) -> tuple[list[float], list[float]]:
        picture, points = self._picture, self._spots
        xs = [self._place(x) for point in points for x in (point.x_range or (point.x,))]
        xs += [self._place(x) for line in picture.lines for x in line.gaps] + [x for x, _ in picture.x_names]
        ys = [y for point in points for y in (point.y_range or (point.y,))]
        ys += [y for floor in picture.floors for y in (floor.low, floor.high)]
        return xs or [0.0, 1.0], ys or [0.0, 1.0]

    def _font(self) -> QFont:
        font = self.font()
        font.setPixelSize(theme.text_size(0))
        return font

    # ------------------------------------------------------------------------------------------------- the user

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self._pressed = event.position()
        super().mousePressEvent(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        super().mouseReleaseEvent(event)
        has_moved = (event.position() - self._pressed).manhattanLength() > _CLICK
        if not has_moved and (point := self._at(event.position())) is not None:
            self.chosen.emit(point.index)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        super().mouseDoubleClickEvent(event)
        point = self._at(event.position())
        if point is not None:
            self.opened.emit(point.index)
        else:
            self.fit()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        super().mouseMoveEvent(event)
        self.pointed.emit(self._at(event.position()))

    def leaveEvent(self, event: QEvent) -> None:
        super().leaveEvent(event)
        self.pointed.emit(None)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key = Qt.Key(event.key())
        if key in _STEPS and self._picture.points:
            self.chosen.emit(self._next(*_STEPS[key]))
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self._selected >= 0:
            self.opened.emit(self._selected)
        elif key == Qt.Key.Key_Home:
            self.fit()
        elif key in _ZOOMS:
            self.box.scaleBy(x=_ZOOMS[key])
            self._on_zoomed()
        else:
            event.ignore()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if hasattr(self, "box"):  # the base class resizes itself while it is made
            self._name_ticks()
            self._place_labels()

    def _on_zoomed(self) -> None:
        self._is_following = False

    def _at(self, position: QPointF) -> PlotPoint | None:
        """The point nearest to a place in the widget, within reach."""
        if not self._picture.points:
            return None
        found = {point.index: self.pixel(point) - position for point in self._picture.points}
        nearest = min(self._picture.points, key=lambda point: math.hypot(*found[point.index].toTuple()))
        return nearest if math.hypot(*found[nearest.index].toTuple()) <= _REACH else None

    def _next(self, across: int, down: int) -> int:
        """The point beside the selected one on its line, or the one nearest in x on the line after or before."""
        lines = self._picture.lines
        here = [(at, place) for at, line in enumerate(lines) for place, point in enumerate(line.points)
                if point.index == self._selected]  # fmt: skip
        if not here:
            return self._picture.points[0].index
        at, place = here[0]
        if across:
            return lines[at].points[min(max(place + across, 0), len(lines[at].points) - 1)].index
        x = lines[at].points[place].x
        other = lines[min(max(at + down, 0), len(lines) - 1)]
        return min(other.points, key=lambda point: abs(point.x - x)).index

    # ------------------------------------------------------------------------------------------------- building

    def _build(self) -> None:
        layout = self._layout
        layout.setSpacing(0)
        layout.addItem(self.left, 0, 0)
        layout.addItem(self.box, 0, 1)
        layout.addItem(self.bottom, 1, 1)
        self.setCentralItem(layout)
        for axis in (self.left, self.bottom):
            axis.linkToView(self.box)
            axis.setZValue(-1)
        self.box.disableAutoRange()
        self.box.setMouseMode(pg.ViewBox.RectMode)
        self.box.setMouseEnabled(x=True, y=True)
        self.box.sigRangeChangedManually.connect(self._on_zoomed)
        self.box.sigRangeChanged.connect(self._place_labels)
        self.box.addItem(self._ring, ignoreBounds=True)
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Ignored)
        describe(
            self, "Plot of the evaluation", f"Figures over a setting, with their intervals and the floor.\n{_KEYS}"
        )
