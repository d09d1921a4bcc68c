"""Cautions one below another, as a card of the set-up shows them."""

from collections.abc import Sequence

from PySide6.QtWidgets import QVBoxLayout, QWidget

from dit_studio.evaluation_request import CautionRecord
from dit_studio.ui.evaluate.cautions import CautionLine


class CautionLines(QWidget):
    """Hidden while there is none."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.shown: tuple[CautionRecord, ...] = ()
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(4)
        self.hide()

    def show_cautions(self, cautions: Sequence[CautionRecord]) -> None:
        """These, none of those before."""
        if self.shown == tuple(cautions):
            return
        self.shown = tuple(cautions)
        while item := self._layout.takeAt(0):
            if line := item.widget():
                line.hide()
                line.deleteLater()
        for caution in self.shown:
            self._layout.addWidget(CautionLine(caution))
        self.setVisible(bool(self.shown))
