"""Icons that take the colour of the theme in use, and follow it when it changes."""

from functools import cache

from PySide6.QtCore import QByteArray, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QIcon, QIconEngine, QPainter, QPixmap

from dit_studio.places import resources_dir
from dit_studio.ui import theme


def icon(name: str, colour: str | None = None) -> QIcon:
    """The icon of resources/icons, in a colour ("#rrggbb" or a role of the palette); empty if there is none."""
    source = _source(name)
    return QIcon(_Engine(source, colour)) if source else QIcon()


@cache
def _source(name: str) -> str:
    path = resources_dir() / "icons" / f"{name}.svg"
    return path.read_text(encoding="utf-8") if path.is_file() else ""


class _Engine(QIconEngine):
    """Draws an SVG whose strokes and fills are "currentColor"."""

    def __init__(self, source: str, colour: str | None) -> None:
        super().__init__()
        self._source, self._colour = source, colour

    def clone(self) -> "_Engine":
        return _Engine(self._source, self._colour)

    def paint(self, painter: QPainter, rect: QRect, mode: QIcon.Mode, _state: QIcon.State) -> None:
        from PySide6.QtSvg import QSvgRenderer  # costs some milliseconds, so not before the first icon is painted

        text = self._source.replace("currentColor", self._tint(mode))
        QSvgRenderer(QByteArray(text.encode())).render(painter, QRectF(rect))

    def pixmap(self, size: QSize, mode: QIcon.Mode, state: QIcon.State) -> QPixmap:
        pixmap = QPixmap(size)
        pixmap.fill(Qt.GlobalColor.transparent)
        painter = QPainter(pixmap)
        self.paint(painter, QRect(0, 0, size.width(), size.height()), mode, state)
        painter.end()
        return pixmap

    def _tint(self, mode: QIcon.Mode) -> str:
        palette = theme.current()
        if mode == QIcon.Mode.Disabled:
            return palette.disabled
        return str(getattr(palette, self._colour, self._colour)) if self._colour else palette.text
