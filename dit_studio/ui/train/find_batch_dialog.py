"""Finds the largest batch that fits: what was tried as a table and a plot, and the sentence that comes of it."""

from PySide6.QtCore import QSize, QTimer, Signal
from PySide6.QtWidgets import QDialog, QWidget

from dit_studio.events import Event
from dit_studio.findings import batch_found
from dit_studio.jobs.launch import Launcher
from dit_studio.machine_events import BatchFound, BatchTried
from dit_studio.ui.speed.bars import BarModel, BarTable, Column
from dit_studio.ui.train.amounts import count, memory, rate
from dit_studio.ui.train.finder_bar import FinderBar, Params, WhyNot
from dit_studio.ui.train.finder_frame import fill, usual_size
from dit_studio.ui.train.finder_plot import FinderPlot
from dit_studio.ui.widgets.basics import WholeText, button

_ABOUT = (
    "Real training steps of this model with its optimiser and averaged weights, at 1, 2, 4 … images, then in between. "
    "No run is written, and no image is read."
)
_CANCELLED = "The search was ended early; a larger batch may fit."
_COLUMNS = (
    Column(title="Batch", tooltip="Images in one optimiser step.", text=lambda row: count(row.batch_size)),
    Column(title="Fits", tooltip="Whether a step fits into memory.", text=lambda row: "yes" if row.fits else "no"),
    Column(
        title="Memory",
        tooltip="The most that the process held on the device, in bytes.",
        text=lambda row: "" if row.peak_bytes is None else memory(row.peak_bytes),
        value=lambda row: row.peak_bytes,
    ),
    Column(
        title="Speed",
        tooltip="Images a second, the median of the timed steps; more is faster.",
        text=lambda row: "" if row.images_per_second is None else f"{rate(row.images_per_second)} images/s",
        value=lambda row: row.images_per_second,
    ),
    Column(title="Note", tooltip="Why it does not fit, or why it is the last.", text=lambda row: row.reason),
)


class FindBatchDialog(QDialog):
    """Stays open beside the form. `chosen` carries the batch to train with."""

    chosen = Signal(int)

    def __init__(self, launcher: Launcher, *, why_not: WhyNot, params: Params, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Find the batch size")
        self.bar = FinderBar(launcher, "find_batch_size", why_not=why_not, params=params)
        self.model = BarModel(_COLUMNS, key=lambda row: row.batch_size, group=lambda _: 0)
        self.table = BarTable(self.model, "Batches that were tried")
        self.plot = FinderPlot("Speed by batch", "Images a second by batch.", left="images/s", bottom="Batch, images")
        self.verdict = WholeText()
        self.largest = button("Use the largest", "Train with the largest batch that fits.", kind="primary")
        self.fastest = button("Use the fastest", "Train with the smallest of the batches that are fastest.")
        self._found: BatchFound | None = None
        fill(self, WholeText(_ABOUT, role="muted"), self.bar, self.verdict, self.table, self.plot,
             buttons=(self.largest, self.fastest))  # fmt: skip
        self.bar.started.connect(self._on_started)
        self.bar.received.connect(self._on_received)
        self.bar.ended.connect(self._on_ended)
        self.largest.clicked.connect(lambda: self._choose(self._found.batch_size if self._found else None))
        self.fastest.clicked.connect(lambda: self._choose(self._found.fastest if self._found else None))
        self._show()

    def sizeHint(self) -> QSize:
        return usual_size(self)

    def done(self, result: int) -> None:
        self.bar.end()
        super().done(result)

    def _choose(self, batch: int | None) -> None:
        if batch is not None:
            self.chosen.emit(batch)
            self.accept()

    def _on_started(self) -> None:
        self.model.clear()
        self._found = None
        self._show()

    def _on_received(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, BatchTried):
                self.model.put(event)
            elif isinstance(event, BatchFound):
                self._found = event
        self._show()
        QTimer.singleShot(0, self.table, self.table.scrollToBottom)  # once its new rows are laid out

    def _on_ended(self) -> None:
        if self._found is None and self.model.rows:
            self._found = batch_found(self.model.rows, limit=_CANCELLED)
        self._show()
        if self.largest.isVisible():
            self.largest.setFocus()

    def _show(self) -> None:
        timed = [(one.batch_size, one.images_per_second) for one in self.model.rows if one.images_per_second]
        self.table.setVisible(bool(self.model.rows))
        self.plot.setVisible(len(timed) > 1)
        self.plot.show_points(timed)
        found = self._found
        self.plot.show_suggestion(found.fastest if found else None)
        self.verdict.setText(verdict(found, self.model.rows) if found else "")
        self.verdict.setVisible(found is not None)
        largest, fastest = (found.batch_size, found.fastest) if found else (None, None)
        self.largest.setVisible(largest is not None)
        self.fastest.setVisible(fastest is not None and fastest != largest)
        if largest is not None:
            _name(self.largest, f"Use {count(largest)}")
        if fastest is not None:
            _name(self.fastest, f"Use fastest {count(fastest)}")


def verdict(found: BatchFound, tried: list[BatchTried]) -> str:
    """What was found, and what ended the search."""
    if found.batch_size is None:
        return f"Not even the smallest batch fits. {found.limit}"
    held = next((one.peak_bytes for one in tried if one.batch_size == found.batch_size), None)
    with_memory = f", and takes {memory(held)}" if held else ""
    words = [f"The largest batch that fits is {count(found.batch_size)}{with_memory}."]
    if found.images_per_second is not None and found.fastest is not None:
        speed = rate(found.images_per_second)
        is_both = found.fastest == found.batch_size
        words.append(
            f"It is the fastest, too: {speed} images/s."
            if is_both
            else f"Larger ones than {count(found.fastest)} are hardly faster: {speed} images/s."
        )
    return " ".join([*words, found.limit]).strip()


def _name(pressed: QWidget, text: str) -> None:
    pressed.setProperty("text", text)
    pressed.setAccessibleName(text)
