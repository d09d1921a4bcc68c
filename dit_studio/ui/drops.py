"""What may be dropped on the window, or given to it at its start, and the sheet that says so while it hovers."""

from pathlib import Path
from typing import Literal

from PySide6.QtCore import QEvent, QMimeData, QObject, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QDragEnterEvent, QDropEvent, QFont, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QWidget

from dit_studio.jobs.run_folder import RunFolder
from dit_studio.ui import theme

Kind = Literal["run", "data", "recipe", "model", "picture", "arrays", "nothing"]
_ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
_WEIGHTS = (".safetensors", ".pt", ".pth", ".ckpt")
_IN_A_MODEL = ("ema.safetensors", "model.safetensors", "model_index.json")
_POSSIBLE = (
    "Choose a folder, zip or tar of images, a run, a recipe, a checkpoint, an .npz, or a PNG that was drawn here."
)


def kind_of(path: Path) -> Kind:
    """What the window can do with a path."""
    if path.is_dir():
        if RunFolder(path).is_run():
            return "run"
        return "model" if any((path / name).is_file() for name in _IN_A_MODEL) else "data"
    if not path.is_file():
        return "nothing"
    if path.name == "run.toml":
        return "run"
    suffix = path.suffix.lower()
    by_suffix: dict[str, Kind] = {
        ".toml": "recipe",
        ".png": "picture",
        ".npz": "arrays",
        **dict.fromkeys(_WEIGHTS, "model"),
    }
    return by_suffix.get(suffix, "data" if path.name.lower().endswith(_ARCHIVES) else "nothing")


def refusal(path: Path) -> str:
    """Why a path of kind "nothing" cannot be opened, and what can."""
    return f"{path} does not exist. {_POSSIBLE}" if not path.exists() else f"{path.name} cannot be opened. {_POSSIBLE}"


class DropSheet(QWidget):
    """Covers a window while something hovers over it; `dropped` carries the path that was let go."""

    dropped = Signal(object)

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self._window, self._text = window, ""
        self.hide()
        window.setAcceptDrops(True)
        window.installEventFilter(self)

    def eventFilter(self, window: QObject, event: QEvent) -> bool:
        if isinstance(event, QDragEnterEvent):  # QDragMoveEvent's child, so asked before QDropEvent
            return self._enter(event)
        if event.type() == QEvent.Type.DragLeave:
            self.hide()
        elif event.type() == QEvent.Type.Drop and isinstance(event, QDropEvent):
            self._drop(event)
            return True
        return super().eventFilter(window, event)

    def paintEvent(self, _event: QPaintEvent) -> None:
        palette, painter = theme.current(), QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        ground = QColor(palette.ground)
        ground.setAlpha(230)
        painter.fillRect(self.rect(), ground)
        painter.setPen(QPen(QColor(palette.accent), 2, Qt.PenStyle.DashLine))
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(24, 24, -24, -24), theme.RADIUS, theme.RADIUS)
        font = QFont(self.font())
        font.setPixelSize(theme.text_size(2))
        painter.setFont(font)
        painter.setPen(QColor(palette.text))
        painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, self._text)

    def _enter(self, event: QDragEnterEvent) -> bool:
        path = _path_in(event.mimeData())
        if path is None:
            return False
        texts = {
            "run": "Drop to open the run",
            "data": "Drop to use as data set",
            "recipe": "Drop to use the recipe",
            "model": "Drop to sample from the model",
            "picture": "Drop to take the settings of the picture",
            "arrays": "Drop to measure, or to measure against",
            "nothing": "This cannot be opened",
        }
        self._text = texts[kind_of(path)]
        event.acceptProposedAction()
        self.setGeometry(self._window.rect())
        self.raise_()
        self.show()
        return True

    def _drop(self, event: QDropEvent) -> None:
        self.hide()
        path = _path_in(event.mimeData())
        if path is not None:
            event.acceptProposedAction()
            self.dropped.emit(path)


def _path_in(data: QMimeData) -> Path | None:
    """The first local file or folder of what is dragged."""
    paths = [Path(url.toLocalFile()) for url in data.urls() if url.isLocalFile()]
    return paths[0] if paths else None
