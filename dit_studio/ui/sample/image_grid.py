"""All images of a film beside one another; only those in sight are painted."""

from collections import OrderedDict

import numpy as np
from PySide6.QtCore import QEvent, QPoint, QPointF, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QContextMenuEvent,
    QFont,
    QFontMetrics,
    QHelpEvent,
    QImage,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPolygonF,
    QResizeEvent,
)
from PySide6.QtWidgets import QAbstractScrollArea, QFrame, QToolTip, QWidget

from dit_studio.ui import theme
from dit_studio.ui.sample.cells import Cells, plan_cells
from dit_studio.ui.sample.film import Film, is_parent, why_missing
from dit_studio.ui.sample.fork_mark import fork_colour, paint_fork
from dit_studio.ui.sample.pixels import Pixels, to_image
from dit_studio.ui.train.amounts import count
from dit_studio.ui.widgets.basics import describe

_ABOUT = (
    "Click an image to see how it came to be; double click or Enter opens it alone. "
    "Arrow keys or 1–9 go to another, S gives it a star."
)
_SMALLER_KEPT = 1024  # pictures made smaller that are kept
_STAR_COLOUR = "#F0E442"  # in any theme: it stands on pictures
_STAR = 20  # pixels, side of the corner that a star is clicked in


class ImageGrid(QAbstractScrollArea):
    """The images at a step, each as far as it is. The picked one is framed."""

    picked = Signal(int)
    opened = Signal(int)
    menu_asked = Signal(int, QPoint)  # an image, and where on the screen
    star_toggled = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._film: Film | None = None
        self._names: tuple[str, ...] = ()
        self._current, self._step, self._plane = 0, 1, "x_start"
        self._is_at_step = True
        self._stars: set[int] = set()
        self._smaller: OrderedDict[tuple[str, int, int, int], QImage] = OrderedDict()
        self._cells = self._plan(QSize())
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setMinimumHeight(56)
        self.viewport().setAutoFillBackground(False)
        self.viewport().setMouseTracking(True)
        describe(self, "Images", _ABOUT)
        theme.theme_changed.connect(self._on_theme_changed)

    # --------------------------------------------------------------------------------------------- what it shows

    @property
    def current(self) -> int:
        return self._current

    @property
    def cells(self) -> Cells:
        return self._cells

    def show_film(self, film: Film | None, names: tuple[str, ...], image: int) -> None:
        """Show the images of a film; `names` are those of the classes."""
        self._film, self._names, self._current = film, names, image
        self._smaller.clear()
        self._place()
        self.mark(image)

    def refresh(self) -> None:
        """The film has grown, or another step is shown."""
        self.viewport().update()

    def set_step(self, step: int, *, plane: str, is_at_step: bool) -> None:
        """Show every image at a step, as far as it is there; otherwise (not `is_at_step`) each as far as it is."""
        if (step, plane, is_at_step) != (self._step, self._plane, self._is_at_step):
            self._step, self._plane, self._is_at_step = step, plane, is_at_step
            self.viewport().update()

    def set_stars(self, stars: set[int]) -> None:
        self._stars = stars
        self.viewport().update()

    def mark(self, image: int) -> None:
        """Frame an image and bring it into sight."""
        self._current = image
        cell = self._cells.picture_of(image)
        bar = self.verticalScrollBar()
        room = self.viewport().height()
        bar.setValue(min(max(bar.value(), cell.top() + self._cells.row_height - room), cell.top() - 6))
        self.setAccessibleDescription(self.caption(image))
        self.viewport().update()

    def caption(self, image: int) -> str:
        """ "seven · seed 12"; "parent · seven · seed 12" for what a branch goes on from."""
        if self._film is None or image >= self._film.images:
            return ""
        label = self._film.labels[image]
        name = self._names[label] if label < len(self._names) else f"class {label}"
        parent = "parent · " if is_parent(self._film, image) else ""
        return f"{parent}{name} · seed {self._film.seeds[image]}"

    def preferred_height(self, width: int, most: int) -> int:
        """A height in which the images are seen well, `most` at the utmost."""
        return min(self._plan(QSize(width, most)).height, most)

    def _pixels_of(self, image: int) -> tuple[Pixels | None, int]:
        """What a cell shows, and at which step (0: the finished image)."""
        film = self._film
        assert film is not None
        done, steps = film.steps_done(image), len(film.points)
        step = min(self._step, done) if self._is_at_step else done
        final = film.final(image)
        if final is not None and (step >= steps or not done):
            return final, 0
        pixels = film.picture(self._plane, image, step)
        return (pixels, step) if pixels is not None else (film.picture("x_start", image, step), step)

    # --------------------------------------------------------------------------------------------- geometry

    def _font(self) -> QFont:
        font = QFont(self.font())
        font.setPixelSize(theme.text_size(0))
        return font

    def _plan(self, room: QSize) -> Cells:
        height, width, _ = self._film.size if self._film else (32, 32, 3)
        caption = QFontMetrics(self._font()).height() + 4
        return plan_cells(
            self._film.images if self._film else 0,
            room,
            QSize(width, height),
            caption=caption,
            ratio=self.devicePixelRatioF(),
        )

    def _place(self) -> None:
        policies = Qt.ScrollBarPolicy  # of Qt's own would a bar that comes and goes change the plan that it depends on
        is_too_high = self._plan(self.size()).height > self.height()
        self.setVerticalScrollBarPolicy(policies.ScrollBarAlwaysOn if is_too_high else policies.ScrollBarAlwaysOff)
        self._cells = self._plan(self.viewport().size())
        self._smaller.clear()
        bar = self.verticalScrollBar()
        bar.setRange(0, max(self._cells.height - self.viewport().height(), 0) if self._cells.count else 0)
        bar.setPageStep(max(self.viewport().height(), 1))
        bar.setSingleStep(self._cells.row_height)
        self.viewport().update()

    def _on_theme_changed(self) -> None:
        self._place()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._place()

    def image_at(self, position: QPoint) -> int | None:
        """The image at a place of the viewport."""
        return self._cells.at(position + QPoint(0, self.verticalScrollBar().value()))

    def rect_of(self, image: int) -> QRect:
        """Where an image's picture lies in the viewport."""
        return self._cells.picture_of(image).translated(0, -self.verticalScrollBar().value())

    def _star_of(self, image: int) -> QRect:
        rect = self.rect_of(image)
        side = min(theme.scaled(_STAR), rect.width() // 2)
        return QRect(rect.right() - side + 1, rect.top(), side, side)

    # --------------------------------------------------------------------------------------------- the user

    def mousePressEvent(self, event: QMouseEvent) -> None:
        image = self.image_at(event.position().toPoint())
        if event.button() != Qt.MouseButton.LeftButton or image is None:
            return
        if image in self._stars and self._star_of(image).contains(event.position().toPoint()):
            self.star_toggled.emit(image)
        else:
            self._pick(image)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        event.accept()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        image = self.image_at(event.position().toPoint())
        if event.button() == Qt.MouseButton.LeftButton and image is not None:
            self.opened.emit(image)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        is_by_keyboard = event.reason() == QContextMenuEvent.Reason.Keyboard
        image = self._current if is_by_keyboard else self.image_at(self.viewport().mapFromGlobal(event.globalPos()))
        if image is None or self._film is None or not self._film.images:
            return
        place = self.viewport().mapToGlobal(self.rect_of(image).center()) if is_by_keyboard else event.globalPos()
        self._pick(image)
        self.menu_asked.emit(image, place)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        steps = {
            Qt.Key.Key_Left: -1,
            Qt.Key.Key_Right: 1,
            Qt.Key.Key_Up: -self._cells.columns,
            Qt.Key.Key_Down: self._cells.columns,
        }
        key = Qt.Key(event.key())
        if self._film is None or event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
            event.ignore()
        elif key in steps:
            target = self._current + steps[key]
            if 0 <= target < self._film.images:
                self._pick(target)
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.opened.emit(self._current)
        else:
            event.ignore()

    def _pick(self, image: int) -> None:
        if image != self._current:
            self.mark(image)
            self.picked.emit(image)

    def viewportEvent(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            image = self.image_at(event.pos())
            QToolTip.showText(event.globalPos(), self.toolTip() if image is None else self._text_of(image), self)
            return True
        return super().viewportEvent(event)

    def _text_of(self, image: int) -> str:
        assert self._film is not None
        done, steps = self._film.steps_done(image), len(self._film.points)
        rest = "" if self._film.final(image) is not None or not steps else f"\nstep {done} of {steps}"
        return f"Image {count(image + 1)} of {count(self._film.images)} · {self.caption(image)}{rest}"

    # --------------------------------------------------------------------------------------------- painting

    def paintEvent(self, _event: QPaintEvent) -> None:
        if self._film is None or not self._film.images:
            return
        painter = QPainter(self.viewport())
        painter.setFont(self._font())
        top = self.verticalScrollBar().value()
        for image in self._cells.between(top, top + self.viewport().height()):
            self._paint_cell(painter, image)

    def _paint_cell(self, painter: QPainter, image: int) -> None:
        rect = self.rect_of(image)
        pixels, step = self._pixels_of(image)
        if pixels is None:
            self._paint_why_missing(painter, rect, image, step)
        else:
            self._paint_picture(painter, rect, image, step, pixels)
        self._paint_progress(painter, rect, image)
        if is_parent(self._film, image):
            self._paint_parent(painter, rect)
        if image == self._current:
            self._paint_frame(painter, rect)
        if image in self._stars:
            paint_star(painter, QRectF(self._star_of(image)))
        if self._cells.caption:
            self._paint_caption(painter, rect, image)

    def _paint_picture(self, painter: QPainter, rect: QRect, image: int, step: int, pixels: Pixels) -> None:
        ratio = self.devicePixelRatioF()
        if pixels.shape[1] <= rect.width() * ratio:
            painter.drawImage(rect, to_image(pixels))
            return
        key = (self._plane if step else "", image, step, rect.width())
        if key not in self._smaller:
            size = QSize(round(rect.width() * ratio), round(rect.height() * ratio))
            smooth = Qt.TransformationMode.SmoothTransformation
            self._smaller[key] = to_image(np.ascontiguousarray(pixels)).scaled(
                size, Qt.AspectRatioMode.IgnoreAspectRatio, smooth
            )
            if len(self._smaller) > _SMALLER_KEPT:
                self._smaller.popitem(last=False)
        painter.drawImage(rect, self._smaller[key])

    def _paint_why_missing(self, painter: QPainter, rect: QRect, image: int, step: int) -> None:
        assert self._film is not None
        palette = theme.current()
        painter.fillRect(rect, QColor(palette.raised))
        why = why_missing(self._film, image, step) if step else ""
        room = rect.adjusted(4, 4, -4, -4)
        flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
        if room.contains(painter.boundingRect(room, flags, why)):
            painter.setPen(QColor(palette.muted))
            painter.drawText(room, flags, why)

    def _paint_parent(self, painter: QPainter, rect: QRect) -> None:
        """A frame and a mark in the colour of the fork on the slider."""
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(QColor(fork_colour()), 2))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRect(QRectF(rect).adjusted(1, 1, -1, -1))
        paint_fork(painter, QPointF(rect.topLeft()) + QPointF(10, 10))
        painter.restore()

    def _paint_progress(self, painter: QPainter, rect: QRect, image: int) -> None:
        assert self._film is not None
        done, steps = self._film.steps_done(image), len(self._film.points)
        if not 0 < done < steps or self._film.final(image) is not None:
            return
        palette = theme.current()
        bar = QRectF(rect.left(), rect.bottom() - 3, rect.width(), 4)
        painter.fillRect(bar, QColor(palette.line))
        painter.fillRect(
            QRectF(bar.topLeft(), bar.bottomLeft() + QPointF(bar.width() * done / steps, 0)), QColor(palette.accent)
        )

    def _paint_frame(self, painter: QPainter, rect: QRect) -> None:
        palette = theme.current()
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(QColor(palette.accent), 3 if self.hasFocus() else 2))
        painter.drawRoundedRect(QRectF(rect).adjusted(-2, -2, 2, 2), 3, 3)
        painter.restore()

    def _paint_caption(self, painter: QPainter, rect: QRect, image: int) -> None:
        palette = theme.current()
        place = QRect(rect.left(), rect.bottom() + 3, rect.width(), self._cells.caption - 2)
        metrics, text = painter.fontMetrics(), self.caption(image)
        if metrics.horizontalAdvance(text) > place.width():
            text = text.replace(" · seed ", " · ")
        text = metrics.elidedText(text, Qt.TextElideMode.ElideMiddle, place.width())
        painter.setPen(QColor(palette.text if image == self._current else palette.muted))
        painter.drawText(place, Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignTop, text)


def paint_star(painter: QPainter, box: QRectF) -> None:
    """A star that is seen on any picture."""
    centre, radius = box.center(), box.width() * 0.4
    angles = np.pi * (np.arange(10) / 5 - 0.5)
    radii = np.where(np.arange(10) % 2, 0.45, 1.0) * radius
    points = [
        QPointF(centre.x() + r * np.cos(a), centre.y() + r * np.sin(a))
        for a, r in zip(angles.tolist(), radii.tolist(), strict=True)
    ]
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(QColor("#14161A"), 1.5))
    painter.setBrush(QColor(_STAR_COLOUR))
    painter.drawPolygon(QPolygonF(points))
    painter.restore()
