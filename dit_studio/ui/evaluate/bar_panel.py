"""Bars of one metric under one protocol: a bar with its interval for each result, and the floor across them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QBrush, QColor, QFont, QFontMetrics, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QFrame, QSizePolicy, QVBoxLayout, QWidget

from dit_studio.evaluation_request import EvaluationResult, Metric
from dit_studio.figures import figure_text, interval_of
from dit_studio.ui import theme
from dit_studio.ui.evaluate.comparable import differences, figure_of
from dit_studio.ui.evaluate.line_marks import UNLIKE, mark_of
from dit_studio.ui.evaluate.plot_lines import Floor, Range, floors, metric_title
from dit_studio.ui.evaluate.short_labels import listed
from dit_studio.ui.widgets.basics import Caption, ElidedLabel, WholeText, set_property

_BAR, _GAP = 12, 10  # pixels at a font scale of 100 %: the height of a bar, and what is free below it
_EDGE = 3.5  # pixels, the width of an interval's line with its edge
_BAND = 60  # opacity of a floor's band, of 255
_WIDTH = 220  # pixels at a font scale of 100 %, at least


@dataclass(frozen=True, kw_only=True)
class Member:
    """A result of a panel; `number` gives its colour, the same for the same images."""

    number: int
    label: str  # what tells it from the others
    whole_label: str
    result: EvaluationResult


@dataclass(frozen=True, kw_only=True)
class Bar:
    """How a member is drawn."""

    label: str
    whole_label: str
    number: int
    value: float
    interval: Range | None
    text: str  # "0.325 [0.311, 0.340]"
    differs: tuple[str, ...] = ()  # what keeps it from being compared with the panel's first


@dataclass(frozen=True, kw_only=True)
class BarGroup:
    """What a panel shows."""

    title: str
    subtitle: str
    bars: tuple[Bar, ...]
    floors: tuple[Floor, ...]

    @property
    def sentences(self) -> list[str]:
        """What keeps bars from being compared with the first, in words."""
        reasons: dict[str, list[str]] = {}
        for bar in self.bars:
            if bar.differs:
                reasons.setdefault("; ".join(bar.differs), []).append(bar.label)
        first = self.bars[0].label
        return [f"{UNLIKE} {listed(labels)}: {why}. Not comparable with {first}." for why, labels in reasons.items()]


def group_of(metric: Metric, members: Sequence[Member]) -> BarGroup:
    """The bars of results of one extractor and protocol."""
    first = members[0].result
    bars = []
    for member in members:
        found = figure_of(member.result, metric)
        if found is None or found.value is None:
            continue
        around = interval_of(found)
        bars.append(
            Bar(
                label=member.label,
                whole_label=member.whole_label,
                number=member.number,
                value=found.value,
                interval=(around.low, around.high) if around else None,
                text=figure_text(found),
                differs=tuple(differences(first, member.result, metric)),
            )
        )
    results = {place: member.result for place, member in enumerate(members)}
    made, reference = first.protocol, Path(first.real.path).name
    words = f"{made.extractor_name}, resized as {made.resize}; reference {reference} ({made.real_hash[:8]})"
    return BarGroup(
        title=metric_title(results, metric),
        subtitle=words,
        bars=tuple(bars),
        floors=tuple(floors(results, metric, what="the bars")),
    )


class BarPanel(QFrame):
    """A card with the bars of a group."""

    def __init__(self, group: BarGroup, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.group = group
        set_property(self, "panel", "card")
        self.setAccessibleName(f"{group.title}: {'; '.join(f'{bar.label} {bar.text}' for bar in group.bars)}")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 8, 12, 12)
        layout.setSpacing(4)
        layout.addWidget(ElidedLabel(group.title, role="title"))
        layout.addWidget(Caption(group.subtitle))
        layout.addWidget(_Bars(group))
        for floor in group.floors:
            layout.addWidget(Caption(f"┆ {floor.text}"))
        for sentence in group.sentences:
            words = WholeText(sentence, role="caption")
            words.setTextFormat(Qt.TextFormat.PlainText)
            layout.addWidget(words)
        layout.addStretch(1)


class _Bars(QWidget):
    """Draws the bars below one another, each under its label and its figure."""

    def __init__(self, group: BarGroup) -> None:
        super().__init__()
        self._group = group
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setToolTip("\n".join(f"{bar.whole_label}: {bar.text}" for bar in group.bars))

    def sizeHint(self) -> QSize:
        return self.minimumSizeHint()

    def minimumSizeHint(self) -> QSize:
        return QSize(theme.scaled(_WIDTH), len(self._group.bars) * self._row_height() + 4)

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setFont(self._font())
        for place, bar in enumerate(self._group.bars):
            self._paint_words(painter, bar, place * self._row_height())
            self._paint_bar(painter, bar, place * self._row_height() + self._text_height())
            if not bar.differs:
                self._paint_floors(painter, place * self._row_height() + self._text_height())

    def _paint_words(self, painter: QPainter, bar: Bar, top: int) -> None:
        palette, metrics = theme.current(), painter.fontMetrics()
        text = f"{UNLIKE} {bar.text}" if bar.differs else bar.text
        width = metrics.horizontalAdvance(text)
        line = QRectF(0, top, self.width(), self._text_height())
        right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        painter.setPen(QColor(palette.text))
        painter.drawText(line, right, text)
        painter.setPen(QColor(palette.muted))
        label = metrics.elidedText(bar.label, Qt.TextElideMode.ElideMiddle, max(self.width() - width - 8, 0))
        painter.drawText(line, Qt.AlignmentFlag.AlignVCenter, label)

    def _paint_bar(self, painter: QPainter, bar: Bar, top: int) -> None:
        height, zero, end = theme.scaled(_BAR), self._x(0.0), self._x(bar.value)
        colour = QColor(mark_of(bar.number).colour)
        area = QRectF(min(zero, end), top, max(abs(end - zero), 1.0), height)
        painter.setPen(QPen(colour, 1))
        painter.setBrush(QBrush(colour, Qt.BrushStyle.BDiagPattern) if bar.differs else colour)
        painter.drawRect(area)
        if bar.interval is not None:
            self._paint_interval(painter, bar.interval, area.center().y())

    def _paint_interval(self, painter: QPainter, interval: Range, middle: float) -> None:
        """With an edge, so that it is seen on a bar of any colour; a short one would be hidden by it, bar and all."""
        low, high = (self._x(value) for value in interval)
        arm, palette = theme.scaled(_BAR) / 4, theme.current()
        edge = [(palette.surface, _EDGE)] if high - low > 4 * _EDGE else []
        for colour, width in (*edge, (palette.text, 1.5)):
            painter.setPen(QPen(QColor(colour), width))
            painter.drawLine(QPointF(low, middle), QPointF(high, middle))
            for x in (low, high):
                painter.drawLine(QPointF(x, middle - arm), QPointF(x, middle + arm))

    def _paint_floors(self, painter: QPainter, top: int) -> None:
        """Across a bar that they belong to and a little further, so that the words stay clear."""
        muted, height = QColor(theme.current().muted), theme.scaled(_BAR)
        painter.setPen(QPen(muted, 1.5, Qt.PenStyle.DashLine))
        muted.setAlpha(_BAND)
        for floor in self._group.floors:
            low, high = self._x(floor.low), self._x(floor.high)
            painter.fillRect(QRectF(low, top - 2, high - low, height + 4), muted)
            for x in {low, high}:
                painter.drawLine(QPointF(x, top - 2), QPointF(x, top + height + 3))

    def _x(self, value: float) -> float:
        """Where a value stands: bars begin at 0."""
        bars = self._group.bars
        values: list[float] = [end for bar in bars for end in (bar.value, *(bar.interval or ()))]
        values += [end for floor in self._group.floors for end in (floor.low, floor.high)]
        low, high = min(0.0, *values), max(0.0, *values)
        return 1.0 + (value - low) / ((high - low) or 1.0) * (self.width() - 3)

    def _text_height(self) -> int:
        return QFontMetrics(self._font()).height() + 2

    def _row_height(self) -> int:
        return self._text_height() + theme.scaled(_BAR + _GAP)

    def _font(self) -> QFont:
        font = QFont(self.font())
        font.setPixelSize(theme.text_size(0))
        return font
