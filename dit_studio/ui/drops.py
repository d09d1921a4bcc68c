"""What may be dropped on the window, or given to it at its start, and the sheet that says so while it hovers."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from PySide6.QtCore import QEvent, QMimeData, QObject, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QDragEnterEvent, QDropEvent, QFont, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QWidget

from dit_studio.jobs.archive_format import SUFFIX
from dit_studio.jobs.run_folder import RunFolder
from dit_studio.opened_models import foreign_kind
from dit_studio.ui import theme

Kind = Literal["run", "archive", "data", "recipe", "model", "picture", "arrays", "nothing"]
Page = Literal["train", "sample", "evaluate", "runs"]
_ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
_WEIGHTS = (".safetensors", ".pt", ".pth", ".ckpt", ".bin")
_IN_A_MODEL = ("ema.safetensors", "model.safetensors", "model_index.json")
_POSSIBLE = (
    "Choose a folder, zip or tar of images, a run or an exported one, a recipe, a checkpoint, an .npz, or a PNG that "
    "was drawn here."
)


def kind_of(path: Path) -> Kind:
    """What the window can do with a path."""
    if path.is_dir():
        if RunFolder(path).is_run():
            return "run"
        is_ours = any((path / name).is_file() for name in _IN_A_MODEL)
        return "model" if is_ours or foreign_kind(path) else "data"
    if not path.is_file():
        return "nothing"
    if path.name == "run.toml":
        return "run"
    suffix = path.suffix.lower()
    by_suffix: dict[str, Kind] = {
        ".toml": "recipe",
        ".png": "picture",
        ".npz": "arrays",
        SUFFIX: "archive",
        **dict.fromkeys(_WEIGHTS, "model"),
    }
    return by_suffix.get(suffix, "data" if path.name.lower().endswith(_ARCHIVES) else "nothing")


def refusal(path: Path) -> str:
    """Why a path of kind "nothing" cannot be opened, and what can."""
    return f"{path} does not exist. {_POSSIBLE}" if not path.exists() else f"{path.name} cannot be opened. {_POSSIBLE}"


def page_for(kind: Kind, shown: str) -> Page:
    """The page that takes it, by the one that is shown: Evaluate and Sample keep what they can use."""
    if kind == "archive":
        return "runs"
    if kind == "arrays" or (kind in ("run", "model", "data") and shown == "evaluate"):
        return "evaluate"
    if kind in ("model", "picture") or (kind == "run" and shown == "sample"):
        return "sample"
    return "train"


def taken_together(paths: Sequence[Path], shown: str) -> list[Path]:
    """Those of some paths that are opened: all images where they are measured, elsewhere the first of all."""
    usable = [path for path in paths if kind_of(path) != "nothing"]
    if usable and is_measured(kind := kind_of(usable[0])) and page_for(kind, shown) == "evaluate":
        return [path for path in usable if is_measured(kind_of(path))]
    return usable[:1]


def is_measured(kind: Kind) -> bool:
    """Images, of which the Evaluate page takes many."""
    return kind in ("data", "arrays")


def left_out_words(left: Sequence[Path]) -> str:
    """That some of what was dropped was not opened, and why."""
    names = ", ".join(path.name for path in left[:3]) + (f" and {len(left) - 3} more" if len(left) > 3 else "")
    why = "One is opened at a time." if all(kind_of(path) != "nothing" for path in left) else _POSSIBLE
    return f"Not opened: {names}. {why}"


def drop_words(kind: Kind, shown: str) -> str:
    """What the sheet says of a drop, by the page that is shown; that of images to be measured, the page knows."""
    if kind in ("run", "model") and shown == "evaluate":
        return f"Drop to measure what the {kind} draws"
    if kind == "run" and shown == "sample":
        return "Drop to sample from the run"
    return {
        "run": "Drop to open the run",
        "archive": "Drop to import the run",
        "data": "Drop to use as data set",
        "recipe": "Drop to use the recipe",
        "model": "Drop to sample from the model",
        "picture": "Drop to take the settings of the picture",
        "arrays": "Drop to measure, or to measure against",
        "nothing": "This cannot be opened",
    }[kind]


class DropSheet(QWidget):
    """Covers a window while something hovers over it; `dropped` carries the paths that were let go.

    `words` says what a drop of some paths will do.
    """

    dropped = Signal(object)

    def __init__(self, window: QWidget, words: Callable[[Sequence[Path]], str]) -> None:
        super().__init__(window)
        self._window, self._words, self._text = window, words, ""
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
        paths = paths_in(event.mimeData())
        if not paths:
            return False
        self._text = self._words(paths)
        event.acceptProposedAction()
        self.setGeometry(self._window.rect())
        self.raise_()
        self.show()
        return True

    def _drop(self, event: QDropEvent) -> None:
        self.hide()
        if paths := paths_in(event.mimeData()):
            event.acceptProposedAction()
            self.dropped.emit(paths)


def paths_in(data: QMimeData) -> list[Path]:
    """The local files and folders of what is dragged."""
    return [Path(url.toLocalFile()) for url in data.urls() if url.isLocalFile()]
