"""A plot as a file: a picture in points or in lines, or the numbers behind it."""

import csv
import io

from PySide6.QtCore import QBuffer, QIODevice, QPoint, QRect, QSize
from PySide6.QtGui import QPainter, QPixmap
from PySide6.QtWidgets import QWidget

from dit_studio.ui.evaluate.plot_lines import Picture

_SCALE = 2  # pixels of a picture for each of the window's


def to_png(widget: QWidget) -> bytes:
    """What a widget shows, at twice its size, on the ground of the theme."""
    pixmap = QPixmap(widget.size() * _SCALE)
    pixmap.setDevicePixelRatio(_SCALE)
    pixmap.fill(widget.palette().window().color())
    widget.render(pixmap)
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    pixmap.save(buffer, "PNG")
    return bytes(buffer.data().data())


def to_svg(widget: QWidget, title: str) -> bytes:
    """What a widget shows, as lines and text that any size suits."""
    from PySide6.QtSvg import QSvgGenerator  # not before the first drawing is saved

    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    generator = QSvgGenerator()
    generator.setOutputDevice(buffer)
    generator.setSize(QSize(widget.width(), widget.height()))
    generator.setViewBox(QRect(0, 0, widget.width(), widget.height()))
    generator.setTitle(title)
    painter = QPainter(generator)
    painter.fillRect(widget.rect(), widget.palette().window())
    widget.render(painter, QPoint())
    painter.end()
    return bytes(buffer.data().data())


def to_csv(picture: Picture) -> bytes:
    """A line for each point."""
    text = io.StringIO()
    writer = csv.writer(text)
    columns = ("x low", "x high", "y low", "y high", "not comparable")
    writer.writerow(("point", "line", picture.x_title, picture.y_title, *columns))
    for line in picture.lines:
        for point in line.points:
            ranges = [*(point.x_range or ("", "")), *(point.y_range or ("", ""))]
            writer.writerow((point.index + 1, line.name, point.x, point.y, *ranges, "; ".join(point.differs)))
    return text.getvalue().encode()
