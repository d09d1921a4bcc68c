"""One figure: its value, its interval or the reason why there is none, of how many images, and its floor."""

from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QVBoxLayout, QWidget

from dit_studio.evaluation_request import CautionRecord, MetricResult
from dit_studio.figures import interval_of, number, short, value_and_interval
from dit_studio.ui.evaluate.cautions import CautionLine
from dit_studio.ui.evaluate.floor_words import beside
from dit_studio.ui.train.disclosure import Disclosure
from dit_studio.ui.widgets.basics import Caption, ElidedLabel, Heading, Muted, WholeText, row

TILE_WIDTH = 236  # pixels at a font scale of 100 %
_DIRECTIONS = {"lower": "↓ lower is better", "higher": "↑ higher is better", "": ""}


class MetricTile(QWidget):
    """A figure, large, and everything that belongs to it."""

    def __init__(
        self,
        found: MetricResult,
        floor: MetricResult | None,
        cautions: Sequence[CautionRecord],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setAccessibleName(found.name)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(ElidedLabel(found.name, role="title"))
        if found.value is None:
            layout.addWidget(Heading("none"))
            layout.addWidget(_whole(found.why_no_value))
        else:
            self._add_figure(layout, found, found.value, floor)
        for caution in cautions:
            layout.addWidget(CautionLine(caution))
        layout.addStretch(1)

    def _add_figure(self, layout: QVBoxLayout, found: MetricResult, value: float, floor: MetricResult | None) -> None:
        shown, interval = value_and_interval(value, interval_of(found))
        layout.addLayout(row(Heading(shown + found.unit), Muted(interval, wraps=False) if interval else None, None))
        words = [_DIRECTIONS[found.better], "95 % interval" if interval else "no interval"]
        layout.addWidget(Caption(" · ".join(word for word in words if word)))
        layout.addWidget(Caption(_numbers(found)))
        if floor is not None and floor.value is not None:
            layout.addWidget(_floor_line(floor, found))
        reasons = WholeText("\n".join(explanation(found)), role="caption")
        reasons.setTextFormat(Qt.TextFormat.PlainText)
        more = Disclosure(reasons, "Show or hide how this figure and its interval came about.")
        more.set_summary("How" if interval else "Why no interval")
        layout.addWidget(more)


def _floor_line(floor: MetricResult, found: MetricResult) -> Caption:
    reading = beside(floor, found.n_fake, "here")
    result = Caption(f"floor {short(floor.value)}, of {floor.n_real:,} against {floor.n_fake:,}{reading}")
    result.setToolTip("One half of the reference against the other: what an honest model comes down to.")
    return result


def _numbers(found: MetricResult) -> str:
    parts = [
        f"{found.n_real:,} reference" if found.n_real else "",
        f"{found.n_fake:,} generated" if found.n_fake else "",
    ]
    return " · ".join(part for part in parts if part)


def explanation(found: MetricResult) -> list[str]:
    """How a figure came about: its estimator, its interval or the reason for none, and what else is known."""
    around, lines = interval_of(found), []
    if found.estimator:
        lines.append(f"Estimator: {found.estimator}.")
    if around is not None:
        lines.append(f"Interval: {around.method}.")
    elif found.why_no_interval:
        lines.append(f"No interval: {found.why_no_interval}")
    elsewhere = [found.interval] if around is None else []
    for interval in [*elsewhere, found.smaller]:
        if interval is not None:
            low, high = number(interval.low), number(interval.high)
            lines.append(f"At {interval.n:,} images it lies in [{low}, {high}] ({interval.method}).")
    lines += [f"{name.replace('_', ' ')}: {number(value)}" for name, value in found.details.items()]
    return lines


def _whole(text: str) -> WholeText:
    result = WholeText(text, role="muted")
    result.setTextFormat(Qt.TextFormat.PlainText)
    return result
