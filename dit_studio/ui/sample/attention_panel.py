"""Attention at a step of the picked image: which block, which patch, and what its heads look at."""

import numpy as np
from PySide6.QtCore import QSignalBlocker, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QLabel, QSlider, QVBoxLayout, QWidget

from dit_studio.model_events import AttentionSeen
from dit_studio.ui.sample.attention_view import AttentionView
from dit_studio.ui.sample.export_choices import spin
from dit_studio.ui.sample.pixels import Pixels
from dit_studio.ui.sample.playback_bar import tool
from dit_studio.ui.widgets.basics import ElidedLabel, WholeText, button, describe, row
from dit_studio.ui.widgets.scrolling import Scrolling

_LEAST_HEIGHT = 60  # pixels of the maps, which scroll
_DELAY_MS = 80  # steps that are scrubbed over are not computed


class _Room(Scrolling):
    """Scrolls by the wheel and by page keys; all other keys are for what is around it."""

    def minimumSizeHint(self) -> QSize:
        return QSize(super().minimumSizeHint().width(), _LEAST_HEIGHT)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_PageUp, Qt.Key.Key_PageDown):
            super().keyPressEvent(event)
        else:
            event.ignore()


class AttentionPanel(QWidget):
    """`wanted` follows every change of patch, block, image or step while the panel is shown: compute `block` and
    `patch`, and say `show_seen` or `show_problem`."""

    wanted = Signal()
    export_asked = Signal()
    model_asked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._depth, self._grid, self._patch = 0, 0, 0
        self._picture: Pixels | None = None
        self._moment: tuple[object, int, int] | None = None  # of which film, image and step
        self._soon = QTimer(self, singleShot=True, interval=_DELAY_MS)
        self.view = AttentionView()
        self._room = _Room(self.view)
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.block_number = spin(1, 1, 1, "Block", "The transformer block whose heads are shown, the first is 1.")
        self._name, self._of, self._status = QLabel("Block"), QLabel(), ElidedLabel(role="muted")
        self.export = tool("export", "Export the maps", "Save the maps of all heads as a PNG.")
        self._problem = WholeText(role="muted")
        self.open_model = button("Open its model", "Load the model that drew these images.")
        self.controls: tuple[QWidget, ...] = (
            self.slider, self.block_number, self.export, self.view, self.open_model,
        )  # fmt: skip
        self._build()
        self._connect()
        self.show_problem("")

    @property
    def block(self) -> int:
        """From 0."""
        return self.block_number.value() - 1

    @property
    def patch(self) -> int:
        """From 0, rows first."""
        return self._patch

    @property
    def text(self) -> str:
        """What is said of the maps, or why there are none."""
        return self._status.text() if self._problem.isHidden() else self._problem.text()

    def show_model(self, *, depth: int, grid: int) -> None:
        """The model whose blocks and patches are looked at; the middle of each at first."""
        if (depth, grid) == (self._depth, self._grid):
            return
        if depth != self._depth:
            self._limit_blocks(depth)
        self._depth, self._grid, self._patch = depth, grid, (grid // 2) * grid + grid // 2
        self.view.show_maps(None)
        self._show_picture()

    def show_moment(self, film: object, image: int, step: int, picture: Pixels | None) -> None:
        """The image and step that are picked, and the clean image predicted there."""
        self._picture = picture
        self._show_picture()
        if (film, image, step) != self._moment:
            self._moment = (film, image, step)
            self._want_soon()

    def show_seen(self, seen: AttentionSeen) -> None:
        """The maps; those of something else than is asked for now are passed over."""
        if (seen.block, seen.patch) != (self.block, self._patch) or self._soon.isActive():
            return
        weights = np.frombuffer(seen.data, np.float32).reshape(seen.heads, seen.grid, seen.grid)
        self.view.show_maps(weights, seen.elsewhere)
        line, column = divmod(seen.patch, seen.grid)
        text = f"From row {line + 1}, column {column + 1}"
        if any(share > 0 for share in seen.elsewhere):
            text += f" · {np.mean(seen.elsewhere):.0%} to other tokens"
        self._status.setText(text)
        self._show_page("")
        self.export.setEnabled(True)

    def show_busy(self, text: str) -> None:
        """What was seen is not what is asked for any more."""
        self._show_page("")
        self.view.set_stale()
        self._status.setText(text)

    def show_problem(self, text: str, *, needs_model: bool = False) -> None:
        """Why there are no maps; `needs_model`: another model than the one that is loaded would give them."""
        self.view.show_maps(None)
        self._show_page(text)
        self.open_model.setVisible(needs_model)
        self.export.setEnabled(False)

    def ask(self) -> None:
        """Have what is chosen computed, if the panel is seen."""
        self._soon.stop()
        if self.isVisible():
            self.wanted.emit()

    def _show_page(self, problem: str) -> None:
        self._problem.setText(problem)
        self._problem.setVisible(bool(problem))
        self.open_model.hide()
        for widget in (self._room, self._status, self._name, self.slider, self.block_number, self._of, self.export):
            widget.setVisible(not problem)

    def _show_picture(self) -> None:
        self.view.show_picture(self._picture, grid=max(self._grid, 1), patch=self._patch)

    def _limit_blocks(self, depth: int) -> None:
        with QSignalBlocker(self.slider), QSignalBlocker(self.block_number):
            for editor in (self.slider, self.block_number):
                editor.setRange(1, max(depth, 1))
                editor.setValue((depth + 1) // 2)
        self._of.setText(f"of {depth}")

    # --------------------------------------------------------------------------------------------- the user

    def _on_patch(self, patch: int) -> None:
        if patch != self._patch:
            self._patch = patch
            self._show_picture()
            self._room.ensureVisible(0, self.view.place_of(patch).y())
            self.view.set_stale()
            self.ask()

    def _on_block(self, number: int) -> None:
        with QSignalBlocker(self.slider), QSignalBlocker(self.block_number):
            self.slider.setValue(number)
            self.block_number.setValue(number)
        self._want_soon()

    def _want_soon(self) -> None:
        self.view.set_stale()
        self._soon.start()

    def _connect(self) -> None:
        self._soon.timeout.connect(self.ask)
        self.view.patch_chosen.connect(self._on_patch)
        self.slider.valueChanged.connect(self._on_block)
        self.block_number.valueChanged.connect(self._on_block)
        self.export.clicked.connect(self.export_asked)
        self.open_model.clicked.connect(self.model_asked)

    def _build(self) -> None:
        describe(self.slider, "Block, as a slider", "The transformer block whose heads are shown.")
        self.slider.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self._of.setProperty("role", "muted")
        self.slider.setMaximumWidth(160)
        self._name.setBuddy(self.block_number)
        line = row(self._name, self.slider, self.block_number, self._of, self.export, self._status)
        line.setStretch(1, 1)
        line.setStretch(5, 2)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(line)
        layout.addWidget(self._room, 1)
        layout.addWidget(self._problem)
        layout.addLayout(row(self.open_model, None))
        layout.addStretch(0)
