"""The queue as the main window has it: a button in the status bar, the list in a window of its own, and its keeping."""

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QWidget

from dit_studio.ui.queue.keeping import QueueKeeping
from dit_studio.ui.queue.status import QueueStatus
from dit_studio.ui.queue.window import QueueWindow
from dit_studio.ui.run_watch import RunsSeen, RunWatch


class QueueAccess(QObject):
    """`window` is there once it was first shown."""

    open_asked = Signal(object)  # Path of a run
    start_asked = Signal(object)  # Path of a run that waits, to be started at once
    add_asked = Signal()  # show where runs are added

    def __init__(self, watch: RunWatch, parent: QWidget) -> None:
        super().__init__(parent)
        self._watch, self._parent = watch, parent
        self.window: QueueWindow | None = None
        self.status = QueueStatus()
        self.keeping = QueueKeeping(lambda: watch.queue, self)
        watch.seen.connect(self._on_seen)
        self.status.clicked.connect(self.show)

    def show(self) -> None:
        """What is at work and what waits."""
        if self.window is None:
            self.window = QueueWindow(self._watch, self._parent)
            for asked, ours in (
                (self.window.open_asked, self.open_asked),
                (self.window.start_asked, self.start_asked),
                (self.window.add_asked, self.add_asked),
            ):
                asked.connect(self.window.close)
                asked.connect(ours)
        self.window.show()
        self.window.raise_()
        self.window.activateWindow()

    def _on_seen(self, seen: RunsSeen) -> None:
        self.keeping.note(seen)
        self.status.show_seen(seen, is_given_up=self.keeping.has_given_up)
