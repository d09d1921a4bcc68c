"""What has to be known with a figure: a mark in its colour, its level as a word, and a sentence."""

from collections.abc import Iterable

from PySide6.QtCore import QEvent, QSize, Qt
from PySide6.QtWidgets import QHBoxLayout, QLabel, QWidget

from dit_studio.evaluation_request import CautionRecord
from dit_studio.ui import theme
from dit_studio.ui.icons import icon
from dit_studio.ui.widgets.basics import WholeText

LEVELS = ("red", "amber", "note")  # the worst first
MARKS = {"red": "error", "amber": "warning", "note": "info"}  # icons, and roles of the palette
_WORDS = {"red": "Red", "amber": "Amber", "note": "Note"}
_MARK = 16  # pixels at a font scale of 100 %


def worst(cautions: Iterable[CautionRecord]) -> str:
    """The worst level of some cautions; "" for none."""
    found = {caution.level for caution in cautions}
    return next((level for level in LEVELS if level in found), "")


def caution_text(caution: CautionRecord, *, of: str = "") -> str:
    """`of`: which results it is about, where that is not known from its place."""
    return f"{', '.join(word for word in (_WORDS[caution.level], of) if word)}: {caution.message}"


class CautionLine(QWidget):
    """One caution, as many lines as it needs."""

    def __init__(self, caution: CautionRecord, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._mark, self._level = QLabel(), caution.level
        self.setAccessibleName(caution_text(caution))
        text = WholeText(caution_text(caution))
        text.setTextFormat(Qt.TextFormat.PlainText)
        text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(self._mark, alignment=Qt.AlignmentFlag.AlignTop)
        layout.addWidget(text, 1)
        self._draw_mark()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.StyleChange:
            self._draw_mark()

    def _draw_mark(self) -> None:
        name, side = MARKS[self._level], theme.scaled(_MARK)
        self._mark.setPixmap(icon(name, name).pixmap(QSize(side, side), self.devicePixelRatio()))
