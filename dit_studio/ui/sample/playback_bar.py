"""Play, loop, speed and the chip that follows a film while it is drawn."""

from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QAbstractButton, QComboBox, QToolButton, QWidget

from dit_studio.ui import theme
from dit_studio.ui.icons import icon
from dit_studio.ui.sample.playback import SPEEDS, Playback
from dit_studio.ui.widgets.basics import NoScrollComboBox, describe, row


def tool(icon_name: str, name: str, tooltip: str, *, checkable: bool = False) -> QToolButton:
    """A small button that leaves the keyboard's focus where it is when it is clicked."""
    result = QToolButton()
    result.setCheckable(checkable)
    result.setIcon(icon(icon_name))
    result.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    describe(result, name, tooltip)
    return result


class PlaybackBar(QWidget):
    """Shows a Playback and steers it."""

    def __init__(self, playback: Playback, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._playback = playback
        self.play = tool("play", "Play", "")
        self.loop = tool("loop", "Loop", "At the end, wait a moment and begin anew (L).", checkable=True)
        self.speed: QComboBox = NoScrollComboBox()
        for frames_per_second in SPEEDS:
            self.speed.addItem(f"{frames_per_second} fps", frames_per_second)
        self.speed.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        describe(self.speed, "Speed", "Steps shown in a second; [ slower, ] faster.")
        self.controls = (self.play, self.loop, self.speed)
        self.setLayout(row(*self.controls, space=4))
        self.play.clicked.connect(playback.toggle)
        self.loop.clicked.connect(playback.set_loops)
        self.speed.activated.connect(self._on_speed_chosen)
        playback.changed.connect(self._show)
        self._show()

    def _on_speed_chosen(self, index: int) -> None:
        self._playback.set_speed(SPEEDS[index])

    def _show(self) -> None:
        is_playing = self._playback.is_playing
        self.play.setIcon(icon("pause" if is_playing else "play"))
        name = "Pause" if is_playing else "Play"
        describe(self.play, name, f"{name} the steps one after another (Space).")
        self.loop.setChecked(self._playback.loops)
        self.speed.setCurrentIndex(SPEEDS.index(self._playback.frames_per_second))


class LiveChip(QAbstractButton):
    """A dot and "Live": lit while the newest step is followed."""

    asked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setText("Live")
        self.setCheckable(True)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        describe(
            self, "Live", "Follow the newest step while it is drawn. Scrubbing lets go of it; click to follow again."
        )
        self.clicked.connect(self._on_clicked)
        theme.theme_changed.connect(self.update)

    def _on_clicked(self) -> None:
        self.setChecked(True)
        self.asked.emit()

    def sizeHint(self) -> QSize:
        metrics = self.fontMetrics()
        return QSize(metrics.horizontalAdvance("Live") + 34, metrics.height() + 6)

    def paintEvent(self, _event: QPaintEvent) -> None:
        palette = theme.current()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colour = QColor(palette.good if self.isChecked() else palette.muted)
        box = self.rect().toRectF().adjusted(1, 1, -1, -1)
        painter.setPen(QColor(palette.accent) if self.hasFocus() else colour)
        painter.drawRoundedRect(box, box.height() / 2, box.height() / 2)
        painter.setPen(colour)
        painter.setBrush(colour if self.isChecked() else Qt.BrushStyle.NoBrush)
        painter.drawEllipse(QRectF(box.left() + 10, box.center().y() - 3.5, 7, 7))
        painter.drawText(box.adjusted(22, 0, 0, 0), Qt.AlignmentFlag.AlignVCenter, self.text())
