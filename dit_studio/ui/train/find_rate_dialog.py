"""Finds a learning rate: the loss of a range test as it comes, the suggestion, and a marker to choose another."""

from PySide6.QtCore import QSize, Signal
from PySide6.QtWidgets import QDialog, QWidget

from dit_studio.events import Event
from dit_studio.findings import HIGHEST_RATE, rate_found
from dit_studio.jobs.launch import Launcher
from dit_studio.machine_events import RateFound, RateTried
from dit_studio.ui.train.finder_bar import FinderBar, Params, WhyNot
from dit_studio.ui.train.finder_frame import fill, usual_size
from dit_studio.ui.train.finder_plot import FinderPlot
from dit_studio.ui.widgets.basics import Caption, WholeText, button

_ABOUT = (
    "Trains on your images from the first weights on, at a learning rate that rises with every step, until the loss "
    "runs away. The loss is that of the same images, timesteps and noise throughout. No run is written."
)
_KEYS = "Dotted: the suggestion. Draw the other line elsewhere, or move it by ← and →, to choose another rate."
_SEEN = 1.3  # times the first loss; what is higher has run away, and need not be seen


class FindRateDialog(QDialog):
    """Stays open beside the form. `chosen` carries the learning rate to train with."""

    chosen = Signal(float)

    def __init__(self, launcher: Launcher, *, why_not: WhyNot, params: Params, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Find the learning rate")
        self.bar = FinderBar(launcher, "find_learning_rate", why_not=why_not, params=params)
        self.plot = FinderPlot("Loss by learning rate", _KEYS, left="Loss", bottom="Learning rate")
        self.keys, self.verdict = Caption(_KEYS), WholeText()
        self.use = button("Use", "Train with the rate at the marker.", kind="primary")
        self.tried: list[RateTried] = []
        self._found: RateFound | None = None
        fill(self, WholeText(_ABOUT, role="muted"), self.bar, self.verdict, self.plot, self.keys, buttons=(self.use,))
        self.bar.started.connect(self._on_started)
        self.bar.received.connect(self._on_received)
        self.bar.ended.connect(self._on_ended)
        self.plot.moved.connect(self._show_use)
        self.use.clicked.connect(self._choose)
        self._show()
        self._show_found()

    @property
    def rate(self) -> float | None:
        """What the marker stands at, in two digits; None while there is none."""
        marker = self.plot.marker
        return None if marker is None else float(f"{marker:.1e}")

    def sizeHint(self) -> QSize:
        return usual_size(self)

    def done(self, result: int) -> None:
        self.bar.end()
        super().done(result)

    def _choose(self) -> None:
        if self.rate is not None:
            self.chosen.emit(self.rate)
            self.accept()

    def _on_started(self) -> None:
        self.tried, self._found = [], None
        self._show()
        self._show_found()

    def _on_received(self, events: list[Event]) -> None:
        self.tried += [event for event in events if isinstance(event, RateTried)]
        found = next((event for event in events if isinstance(event, RateFound)), None)
        self._show()
        if found is not None:
            self._found = found
            self._show_found()

    def _on_ended(self) -> None:
        if self._found is None and self.tried:
            self._found = rate_found(self.tried)
            self._show_found()
        if self.use.isVisible():
            self.use.setFocus()

    def _show(self) -> None:
        self.plot.setVisible(len(self.tried) > 1)
        raw = [(one.learning_rate, one.loss) for one in self.tried if one.loss is not None]
        smoothed = [(one.learning_rate, one.smoothed) for one in self.tried if one.smoothed is not None]
        if raw:
            most = _SEEN * raw[0][1]
            self.plot.show_points(
                [point for point in smoothed if point[1] <= most],
                faint=[point for point in raw if point[1] <= most],
                x_range=(raw[0][0], HIGHEST_RATE),
            )

    def _show_found(self) -> None:
        found = self._found
        suggested = found.learning_rate if found else None
        can_choose = found is not None and len(self.tried) > 1
        self.plot.show_suggestion(suggested)
        self.plot.show_marker((suggested or self.tried[len(self.tried) // 2].learning_rate) if can_choose else None)
        self.keys.setVisible(can_choose)
        self.verdict.setText(verdict(found) if found else "")
        self.verdict.setVisible(found is not None)
        self._show_use()

    def _show_use(self) -> None:
        rate = self.rate
        self.use.setVisible(rate is not None)
        if rate is not None:
            self.use.setText(f"Use {rate:g}")
            self.use.setAccessibleName(f"Use {rate:g}")


def verdict(found: RateFound) -> str:
    """What the test suggests, and what to check it by."""
    if found.learning_rate is None:
        return f"No learning rate is suggested. {found.reason}"
    words = [f"The loss falls fastest at {found.learning_rate:g}: that is the suggestion."]
    if found.lowest is not None:
        words.append(
            f"It is lowest at {found.lowest:.2g}; a tenth of that, {found.lowest / 10:.2g}, is the other usual choice."
        )
    if found.diverged is not None:
        words.append(f"At {found.diverged:.2g} it ran away.")
    return " ".join([*words, found.reason]).strip()
