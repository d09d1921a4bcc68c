"""What to make of the images that are closest to training images: a verdict, and the numbers that it rests on."""

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QVBoxLayout, QWidget

from dit_studio.evaluation_request import Copying
from dit_studio.ui.train.amounts import counted
from dit_studio.ui.widgets.basics import Caption, Heading, WholeText, describe, set_property
from dit_studio.ui.widgets.flow import FlowLayout


class CopyingHeadline(QWidget):
    """The verdict in a sentence; below it the shares."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._verdict, self._reason = WholeText(role="title"), WholeText(role="muted")
        self._reason.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._closer = _Figure("closer")
        self._expected = _Figure("expected")
        self._floor = _Figure("floor")
        self._exact = _Figure("exact copies")
        figures = FlowLayout(space=12)
        for figure in (self._closer, self._expected, self._floor, self._exact):
            figures.addWidget(figure)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self._verdict)
        layout.addWidget(self._reason)
        layout.addLayout(figures)

    @property
    def text(self) -> str:
        """The verdict, and what it rests on."""
        return f"{self._verdict.text()}. {self._reason.text()}"

    def show_copying(self, copying: Copying, *, images: int) -> None:
        """Of so many generated images."""
        is_bad = copying.is_suspicious or bool(copying.exact)
        set_property(self._verdict, "role", "alarm" if is_bad else "title")
        self._verdict.setText(verdict(copying))
        self._reason.setText(reason(copying))
        close = f"than {1 - copying.expected:.0%} of the training images are to their nearest neighbour"
        self._closer.show_value(
            share(copying.share_closer),
            f"{share(copying.share_closer)} of {counted(images, 'generated image')} are closer to a training image "
            f"{close}: at most {copying.threshold:.4g} in feature distance.",
        )
        self._expected.show_value(
            share(copying.expected),
            f"About {share(copying.expected)} of images that were never trained on are so close.",
        )
        floor = "" if copying.floor is None else share(copying.floor)
        about = "One half of the training images is measured against the other: "
        self._floor.show_value(
            floor or "–",
            about + (f"{floor} of it are so close." if floor else "this was not done, or is not possible."),
        )
        exact = (
            "are a training image to the last byte" if copying.exact != 1 else "is a training image to the last byte"
        )
        self._exact.show_value(f"{copying.exact:,}", f"{counted(copying.exact, 'generated image')} {exact}.")


class _Figure(QWidget):
    """A number and below it what it is."""

    def __init__(self, caption: str) -> None:
        super().__init__()
        self._caption, self._value = Caption(caption, wraps=False), Heading()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self._value)
        layout.addWidget(self._caption)

    def show_value(self, text: str, about: str) -> None:
        self._value.setText(text)
        describe(self, f"{self._caption.text()}: {text}", about)


def verdict(copying: Copying) -> str:
    """Whether a model copies, in a few words."""
    if copying.is_suspicious:
        return "It looks like copying"
    return "Some images are copies" if copying.exact else "No sign of copying"


def reason(copying: Copying) -> str:
    """What the verdict rests on."""
    found, usual = share(copying.share_closer), share(max(copying.expected, copying.floor or 0.0))
    exact = "One is" if copying.exact == 1 else f"{copying.exact:,} are"
    copies = f" {exact} one to the last byte." if copying.exact else ""
    return f"{found} are close to a training image; by chance about {usual} would be.{copies}"


def share(value: float) -> str:
    """0.051 as "5.1%"."""
    return f"{value:.1%}"
