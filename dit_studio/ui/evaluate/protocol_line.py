"""How a figure was made, in whole."""

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QVBoxLayout, QWidget

from dit_studio.evaluation_request import EvaluationResult
from dit_studio.ui.train.amounts import counted, duration
from dit_studio.ui.widgets.basics import Caption, WholeText, button, row


class ProtocolLine(QWidget):
    """The whole text, to be selected or copied."""

    def __init__(self, result: EvaluationResult, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._text = protocol_text(result)
        line = WholeText(self._text, role="caption")
        line.setTextFormat(Qt.TextFormat.PlainText)
        flags = Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
        line.setTextInteractionFlags(flags)
        line.setAccessibleName("Protocol")
        copy = button("Copy protocol", "Copy how these figures were made to the clipboard.")
        copy.clicked.connect(self._copy)
        title = Caption("Protocol: figures of another one are not comparable with these.")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(title)
        layout.addWidget(line)
        layout.addLayout(row(copy, None))

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self._text)


def protocol_text(result: EvaluationResult) -> str:
    """The protocol line, and what the two sides are."""
    lines = [result.protocol_line]
    for name, side in (("Reference", result.real), ("Generated", result.fake)):
        words = [f"{name}: {side.path}"]
        if side.images:
            words.append(f"{counted(side.images, 'image')}, {side.measured:,} measured")
        if side.formats:
            words.append("/".join(side.formats))
        if side.duplicates:
            words.append(f"{side.duplicates:,} there more than once")
        lines.append(", ".join(words) + "." + (f" {side.left_out}" if side.left_out else ""))
    if result.seconds:
        lines.append(f"Measured in {duration(result.seconds)}.")
    return "\n".join(lines)
