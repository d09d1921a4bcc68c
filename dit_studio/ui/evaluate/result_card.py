"""The card of one point: its figures, its first images, whether it copies, and how all of it was made."""

from pathlib import Path

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QIcon, QImage, QPixmap
from PySide6.QtWidgets import QFrame, QToolButton, QVBoxLayout, QWidget

from dit_studio.evaluation_request import CautionRecord, Copying, EvaluationResult
from dit_studio.ui import theme
from dit_studio.ui.evaluate.cautions import LEVELS, CautionLine, worst
from dit_studio.ui.evaluate.copying_headline import verdict
from dit_studio.ui.evaluate.metric_tile import TILE_WIDTH, MetricTile
from dit_studio.ui.evaluate.protocol_line import ProtocolLine
from dit_studio.ui.evaluate.result_text import copy_results
from dit_studio.ui.evaluate.tile_grid import TileGrid
from dit_studio.ui.widgets.basics import BusyBar, Muted, Rule, WholeText, button, describe, set_property
from dit_studio.ui.widgets.flow import FlowLayout

_IMAGES = 8  # in a row of the picture of samples
_STRIP = 48  # pixels at a font scale of 100 %, the height of an image


class ResultCard(QFrame):
    """What is known of a point: its result, how far it is, or why it failed."""

    samples_asked = Signal()
    copying_asked = Signal()
    retry_asked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        set_property(self, "panel", "card")
        self._title = WholeText(role="title")
        self._title.setTextFormat(Qt.TextFormat.PlainText)
        self._busy = BusyBar()
        self._content = QWidget()
        self._result: tuple[str, EvaluationResult] | None = None
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(16, 12, 16, 16)
        self._layout.setSpacing(8)
        self._layout.addWidget(self._title)
        self._layout.addWidget(self._busy)
        self._layout.addWidget(self._content)
        self._layout.addStretch(1)

    def show_result(self, title: str, result: EvaluationResult, picture: Path | None) -> None:
        """Show everything that came of a point; `picture` has its first images."""
        content, layout = _column()
        self._add_actions(layout, result)
        general = _general(result)
        for caution in sorted(general, key=lambda each: LEVELS.index(each.level)):
            if caution.level != "note":
                layout.addWidget(CautionLine(caution))
        if picture is not None and (strip := self._strip(picture)) is not None:
            layout.addWidget(strip)
        layout.addWidget(TileGrid(_tiles(result), width=TILE_WIDTH))
        if result.why_no_floor:
            layout.addWidget(_whole(f"No floor: {result.why_no_floor}"))
        for caution in general:
            if caution.level == "note":
                layout.addWidget(CautionLine(caution))
        self._add_copying(layout, result)
        layout.addWidget(Rule())
        layout.addWidget(ProtocolLine(result))
        self._show(title, content)
        self._result = (title, result)

    def show_waiting(self, title: str) -> None:
        self._show(title, Muted("Waiting to be measured."))

    def show_progress(self, title: str, text: str, done: int, total: int | None) -> None:
        if not self._busy.isVisibleTo(self) or title != self._title.text():
            self._show(title, QWidget())
        self._busy.show_progress(text, done, total)

    def show_failed(self, title: str, message: str, remedy: str) -> None:
        content, layout = _column()
        layout.addWidget(_whole(f"It could not be measured. {message}", role=""))
        layout.addWidget(_whole(remedy))
        again = button("Try again", "Measure the points that failed, and those that are not measured yet.")
        again.clicked.connect(self.retry_asked)
        actions = FlowLayout()
        actions.addWidget(again)
        layout.addLayout(actions)
        self._show(title, content)

    def copy(self) -> bool:
        """Put the result on the clipboard; False if there is none."""
        if self._result is not None:
            copy_results([self._result])
        return self._result is not None

    # ------------------------------------------------------------------------------------------------- building

    def _show(self, title: str, content: QWidget) -> None:
        """Take away what was shown, and show this."""
        self._result = None
        self._title.setText(title)
        self.setAccessibleName(f"Result: {title}")
        self._busy.finish()
        old, self._content = self._content, content
        self._layout.replaceWidget(old, content)
        old.hide()
        old.setParent(None)
        old.deleteLater()
        content.show()

    def _add_actions(self, layout: QVBoxLayout, result: EvaluationResult) -> None:
        actions = FlowLayout()
        samples = button("Samples", "Show the images that were measured.")
        samples.clicked.connect(self.samples_asked)
        actions.addWidget(samples)
        if result.copying is not None:
            nearest = button("Nearest training images", "Show the training images nearest to each generated one.")
            nearest.clicked.connect(self.copying_asked)
            actions.addWidget(nearest)
        copy = button("Copy", "Copy all figures, as text and as a table for a spreadsheet (Ctrl+C).")
        copy.clicked.connect(self.copy)
        actions.addWidget(copy)
        layout.addLayout(actions)

    def _add_copying(self, layout: QVBoxLayout, result: EvaluationResult) -> None:
        if result.copying is None and not result.why_no_copying:
            return
        layout.addWidget(Rule())
        said = [caution for caution in result.cautions if caution.metric == "copying"]
        for caution in said:
            if caution.level == "note":
                layout.addWidget(CautionLine(caution))
        words = copying_text(result.copying, has_verdict=worst(said) not in LEVELS[:2])
        layout.addWidget(_whole(words or f"No look for copies: {result.why_no_copying}"))

    def _strip(self, picture: Path) -> QToolButton | None:
        """The first row of the picture, which opens the samples; None if it cannot be read."""
        image = QImage(str(picture))
        if image.isNull():
            return None
        image = image.copy(0, 0, image.width(), min(image.height(), max(image.width() // _IMAGES, 1)))
        height = theme.scaled(_STRIP)
        is_larger = height > image.height()
        way = Qt.TransformationMode.FastTransformation if is_larger else Qt.TransformationMode.SmoothTransformation
        pixmap = QPixmap.fromImage(image.scaledToHeight(height, way))
        strip = QToolButton()
        strip.setIcon(QIcon(pixmap))
        strip.setIconSize(QSize(pixmap.width(), pixmap.height()))
        strip.setMinimumWidth(height)
        strip.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        describe(strip, "First samples", "The first images that were measured. Press to see more of them.")
        strip.clicked.connect(self.samples_asked)
        return strip


def _column() -> tuple[QWidget, QVBoxLayout]:
    content = QWidget()
    layout = QVBoxLayout(content)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(12)
    return content, layout


def _tiles(result: EvaluationResult) -> list[MetricTile]:
    floors = {floor.metric: floor for floor in result.floor}
    cautions = result.cautions
    return [
        MetricTile(found, floors.get(found.metric), [each for each in cautions if each.metric == found.metric])
        for found in result.results
    ]


def _general(result: EvaluationResult) -> list[CautionRecord]:
    """What is said of the result as a whole. That a model copies is, too: every figure rewards it."""
    at_figures = {found.metric for found in result.results}
    return [
        caution
        for caution in result.cautions
        if caution.metric not in at_figures and (caution.metric != "copying" or caution.level != "note")
    ]


def copying_text(copying: Copying | None, *, has_verdict: bool = True) -> str:
    """How close the images are to the training images, as one sentence; with the verdict, if nothing else gives it."""
    if copying is None:
        return ""
    floor = "" if copying.floor is None else f", and {copying.floor:.1%} of one half of them to the other"
    exact = f"{copying.exact:,} are one to the last byte" if copying.exact else "none is one to the last byte"
    judged = f"{verdict(copying)}: " if has_verdict else ""
    return (
        f"{judged}{copying.share_closer:.1%} of the images are closer to a training image than "
        f"{copying.expected:.0%} of those are to each other{floor}; {exact}."
    )


def _whole(text: str, role: str = "muted") -> WholeText:
    result = WholeText(text, role=role)
    result.setTextFormat(Qt.TextFormat.PlainText)
    result.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return result
