"""The preview wall: how the samples of every class change while the model learns."""

from pathlib import Path

from PySide6.QtCore import QSignalBlocker, Qt
from PySide6.QtWidgets import QSlider, QStackedWidget, QVBoxLayout, QWidget

from dit_studio.events import PreviewSaved
from dit_studio.ui import theme
from dit_studio.ui.icons import icon
from dit_studio.ui.train.amounts import count
from dit_studio.ui.train.preview_files import PreviewFiles
from dit_studio.ui.train.preview_lens import PreviewLens
from dit_studio.ui.train.preview_rows import PreviewRows
from dit_studio.ui.widgets.basics import Caption, EmptyState, Title, button, describe, row


class PreviewWall(QWidget):
    """Rows are steps, columns are classes. Follows the newest until the user goes back."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._previews: list[PreviewSaved] = []
        self._current = -1
        self._files = PreviewFiles(self)
        self._rows = PreviewRows(self._files)
        self._live = button("Live", "Follow the newest samples. Scrolling back switches this off.")
        self._slider = QSlider(Qt.Orientation.Horizontal)
        self._place = Caption(wraps=False)
        self._pages = QStackedWidget()
        self._lens: PreviewLens | None = None
        self._build()
        self._connect()
        self.set_run(None)

    @property
    def is_live(self) -> bool:
        return self._live.isChecked()

    @property
    def current_step(self) -> int | None:
        """The step that is marked."""
        return self._previews[self._current].step if self._previews else None

    def set_run(self, folder: Path | None) -> None:
        """Show another run, which has not said anything yet; None: no run."""
        self._files.clear()
        self._files.folder = folder or Path()
        self._previews = []
        self._current = -1
        self._live.setChecked(True)
        if self._lens is not None:
            self._lens.hide()
        self._show()

    def add_preview(self, event: PreviewSaved) -> None:
        """Add a row. Those of the same step and later ones, from before the run was resumed, are dropped."""
        while self._previews and self._previews[-1].step >= event.step:
            self._files.forget(self._previews.pop())
        self._files.forget(event)
        self._previews.append(event)
        last = len(self._previews) - 1
        self._current = last if self.is_live else min(max(self._current, 0), last)
        self._show()

    def show_step(self, step: int) -> None:
        """Mark the preview nearest to a step."""
        if self._previews:
            steps = [abs(preview.step - step) for preview in self._previews]
            self._choose(steps.index(min(steps)))

    def _choose(self, index: int) -> None:
        self._current = index
        self._live.setChecked(index == len(self._previews) - 1)
        self._rows.mark(index)
        self._show_place()

    def _show(self) -> None:
        self._pages.setCurrentIndex(1 if self._previews else 0)
        self._rows.show_previews(self._previews, self._current, is_live=self.is_live)
        with QSignalBlocker(self._slider):
            self._slider.setRange(0, max(len(self._previews) - 1, 0))
        self._show_place()
        if self._lens is not None and self._lens.isVisible() and self._previews:
            self._lens.show_previews(self._previews, self._current)

    def _show_place(self) -> None:
        with QSignalBlocker(self._slider):
            self._slider.setValue(self._current)
        step = self.current_step
        self._place.setText("" if step is None else f"step {count(step)}")

    def _on_live_clicked(self) -> None:
        self._live.setChecked(True)
        if self._previews:
            self._choose(len(self._previews) - 1)

    def _on_scrolled(self, is_at_end: bool) -> None:
        self._live.setChecked(is_at_end)
        if is_at_end:
            self._choose(len(self._previews) - 1)

    def _on_opened(self, index: int, cell: int) -> None:
        if self._lens is None:
            self._lens = PreviewLens(self._files, self)
            self._lens.moved.connect(self._choose)
        self._lens.open_at(self._previews, index, cell)

    def _on_theme_changed(self) -> None:
        self._rows.viewport().update()

    def _connect(self) -> None:
        self._live.clicked.connect(self._on_live_clicked)
        self._slider.valueChanged.connect(self._choose)
        self._rows.chosen.connect(self._choose)
        self._rows.opened.connect(self._on_opened)
        self._rows.scrolled.connect(self._on_scrolled)
        theme.theme_changed.connect(self._on_theme_changed)

    def _build(self) -> None:
        self._live.setCheckable(True)
        describe(self._slider, "Training time", "Go through the steps that have samples. ← → move by one.")
        wall = QWidget()
        layout = QVBoxLayout(wall)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self._rows, 1)
        layout.addLayout(row(self._slider, self._place))
        text = "After every few hundred steps the model draws each class here, always from the same noise."
        self._pages.addWidget(EmptyState(icon("image", "muted"), "No samples yet", text))
        self._pages.addWidget(wall)
        page = QVBoxLayout(self)
        page.setContentsMargins(0, 0, 0, 0)
        page.setSpacing(4)
        page.addLayout(row(Title("Samples"), None, self._live))
        page.addWidget(self._pages, 1)
