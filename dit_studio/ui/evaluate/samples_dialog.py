"""The images that a figure is of, in a window of their own."""

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QApplication, QDialog, QStackedWidget, QVBoxLayout, QWidget

from dit_studio.jobs.launch import Launcher
from dit_studio.ui.evaluate.samples_film import MOST, READ_SIZE, SamplesFilm
from dit_studio.ui.evaluate.source_pictures import SourcePictures
from dit_studio.ui.icons import icon
from dit_studio.ui.sample.image_grid import ImageGrid
from dit_studio.ui.sample.pixels import to_image
from dit_studio.ui.train.amounts import count as in_words
from dit_studio.ui.train.amounts import counted
from dit_studio.ui.train.dialogs import Dialogs
from dit_studio.ui.widgets.basics import ElidedLabel, EmptyState, Title, button, describe, row
from dit_studio.ui.widgets.picture import Picture

_SIDEWAYS = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}


class SamplesDialog(QDialog):
    """A grid of the images at a path, of which there are `count`; Enter shows one alone, Escape goes back."""

    def __init__(
        self,
        title: str,
        samples_path: str,
        count: int,
        *,
        launcher: Launcher,
        show_path: Callable[[Path], None] | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._path, self._show_path = Path(samples_path), show_path or Dialogs().show_path
        self._pictures = SourcePictures(launcher, size=READ_SIZE, parent=self)
        self._film = SamplesFilm(samples_path, count, self._pictures)
        self.grid, self.alone = SamplesGrid(self._film), Picture()
        self.pages = QStackedWidget()
        self._caption = ElidedLabel(mode=Qt.TextElideMode.ElideMiddle, role="caption")
        self._build(title, count)
        self._pictures.loaded.connect(self._on_loaded)
        self.grid.picked.connect(self._show_caption)
        self.grid.opened.connect(self._open)
        self.finished.connect(self.close_jobs)
        if app := QApplication.instance():
            app.aboutToQuit.connect(self.close_jobs)  # the window may be closed while this one is open

    @property
    def text(self) -> str:
        """What is said of the image that is picked."""
        return self._caption.text()

    def close_jobs(self) -> None:
        """End the job that reads pictures, and wait for its thread."""
        self._pictures.close()

    def sizeHint(self) -> QSize:
        return QSize(760, 640)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key = Qt.Key(event.key())
        is_alone = self.pages.currentWidget() is self.alone
        if is_alone and key in _SIDEWAYS:
            self._go(_SIDEWAYS[key])
        elif is_alone and key in (Qt.Key.Key_Escape, Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.pages.setCurrentWidget(self.grid)
            self.grid.setFocus()
        else:
            super().keyPressEvent(event)

    def _go(self, images: int) -> None:
        image = min(max(self.grid.current + images, 0), self._film.images - 1)
        self.grid.mark(image)
        self._open(image)

    def _open(self, image: int) -> None:
        pixels = self._film.final(image)
        name = self._film.name(image)
        missing = self._film.why_missing(image) or "Reading…"
        self.alone.show_image(None if pixels is None else to_image(pixels).copy(), name, missing=missing)
        self.pages.setCurrentWidget(self.alone)
        self.alone.setFocus()
        self._show_caption(image)

    def _on_loaded(self) -> None:
        self.grid.refresh()
        if self.pages.currentWidget() is self.alone:
            self._open(self.grid.current)
        self._show_caption(self.grid.current)

    def _show_caption(self, image: int) -> None:
        place = f"Image {in_words(image + 1)} of {in_words(self._film.images)}"
        self._caption.setText(
            " · ".join(part for part in (place, self._film.name(image), self._film.why_missing(image)) if part)
        )

    def _build(self, title: str, count: int) -> None:
        self.resize(self.sizeHint())  # Qt itself would take the least height
        self.setWindowTitle(f"Samples of {title}" if title else "Samples")
        self.alone.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        folder = button("Open folder", "Show where these images are.", icon=icon("folder"))
        folder.clicked.connect(self._open_folder)
        close = button("Close", "Close this window (Escape).")
        close.clicked.connect(self.reject)
        empty = EmptyState(icon("image", "muted"), "No images", _why_none(self._path))
        for page in (self.grid, self.alone, empty):
            self.pages.addWidget(page)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 16, 16, 16)
        layout.setSpacing(8)
        layout.addWidget(Title(title))
        layout.addWidget(ElidedLabel(self._amount(count), mode=Qt.TextElideMode.ElideMiddle, role="caption"))
        layout.addWidget(self.pages, 1)
        bottom = row(self._caption, folder, close)
        bottom.setStretch(0, 1)
        layout.addLayout(bottom)
        if self._is_there:
            self._show_caption(0)
            self.grid.setFocus()
        else:
            self.pages.setCurrentWidget(empty)
            folder.setEnabled(self._path.parent.is_dir())

    def _amount(self, count: int) -> str:
        if not self._is_there:
            return str(self._path)
        shown = self._film.images
        first = "The first " if shown == MOST else ""
        of = f"{first}{in_words(shown)} of {counted(count, 'image')}" if shown < count else counted(shown, "image")
        return f"{of} in {self._path}"

    @property
    def _is_there(self) -> bool:
        return bool(self._film.images) and self._path.exists()

    def _open_folder(self) -> None:
        self._show_path(self._path if self._path.is_dir() else self._path.parent)


class SamplesGrid(ImageGrid):
    """The grid of the Sample page with images that are called by their names."""

    def __init__(self, film: SamplesFilm, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._samples = film
        self.show_film(film, (), 0)
        describe(self, "Samples", "Arrow keys go through the images; double click or Enter shows one alone.")

    def caption(self, image: int) -> str:
        return self._samples.name(image) if image < self._samples.images else ""


def _why_none(path: Path) -> str:
    if not path.exists():
        return f"{path} is no longer there. Evaluate again to draw the images anew."
    return f"There are no images in {path}."
