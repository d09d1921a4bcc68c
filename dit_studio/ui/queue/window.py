"""The queue in a window of its own: what is at work, what waits, and what can be done with it."""

from collections.abc import Callable
from functools import partial

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QKeySequence, QShortcut, QShowEvent
from PySide6.QtWidgets import QDialog, QPushButton, QStackedLayout, QVBoxLayout, QWidget

from dit_studio.errors import StudioError
from dit_studio.events import Failure
from dit_studio.jobs.queue import Queue
from dit_studio.ui import theme
from dit_studio.ui.icons import icon
from dit_studio.ui.queue.tree import QueueTree
from dit_studio.ui.run_watch import RunsSeen, RunWatch
from dit_studio.ui.widgets.basics import Caption, EmptyState, Heading, button, row
from dit_studio.ui.widgets.flow import FlowLayout
from dit_studio.ui.widgets.message import MessageCard

_SIZE = (720, 480)  # pixels at a font scale of 100 %
_NOT_KEPT = "Nothing starts what waits: the process that does so has ended."


class QueueWindow(QDialog):
    """Shows what the watch sees, and changes the files; the next look shows what came of it."""

    open_asked = Signal(object)  # Path of a run
    start_asked = Signal(object)  # Path of a run that waits, to be started at once
    add_asked = Signal()  # show where runs are added

    def __init__(self, watch: RunWatch, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._watch, self._seen = watch, watch.newest
        self.setWindowTitle("Queue")
        self._problem, self._message = MessageCard(), MessageCard()
        self._said = ""  # the problem that is shown
        self.tree = QueueTree()
        self.buttons = {
            "open": button("Open", "Show the run on the Train page (Return)."),
            "up": button("Up", "One place nearer to the front, on its devices (Alt+Up)."),
            "down": button("Down", "One place further back, on its devices (Alt+Down)."),
            "hold": button("Hold", "Keep the run from starting; it keeps its place (H)."),
            "start": button("Start now", "Start at once, beside what is at work on its devices.", icon=icon("play")),
            "remove": button("Remove", "Take the run out of the queue; its folder stays under Runs (Delete)."),
        }
        self.hold_all = button("Hold all", "Keep everything that waits from starting.")
        self.note = Caption()
        self._build()
        self._connect()
        self.resize(self.sizeHint())
        self.show_seen(self._seen)

    def sizeHint(self) -> QSize:
        return QSize(*map(theme.scaled, _SIZE)).boundedTo(self.screen().availableSize() * 0.9)

    def show_seen(self, seen: RunsSeen) -> None:
        self._seen = seen
        self.tree.show_runs(seen)
        if self._stack.currentIndex() != (index := 1 if seen.at_work or seen.waiting else 0):
            self._stack.setCurrentIndex(index)
            self._focus_list()
        self._show_problem(seen)
        self._update_buttons()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._focus_list()

    def _focus_list(self) -> None:
        self.tree.select_one()
        self.tree.setFocus()

    # --------------------------------------------------------------------------------------------- what is done

    def open_selected(self) -> None:
        if line := self.tree.selected():
            self.open_asked.emit(line.path)

    def start_selected(self) -> None:
        if (line := self.tree.selected()) and line.is_waiting:
            self.start_asked.emit(line.path)

    def move_selected(self, direction: int) -> None:
        if (line := self.tree.selected()) and (by := self.tree.steps_to_neighbour(line.run, direction)):
            self._move(line.run, by)

    def hold_selected(self) -> None:
        if (line := self.tree.selected()) and line.is_waiting:
            self._hold(line.run, is_held=not line.is_held)

    def remove_selected(self) -> None:
        if (line := self.tree.selected()) and line.is_waiting:
            self._do(lambda queue: queue.remove(line.run))
            self.tree.setFocus()  # the button is off until the next is selected

    def hold_or_release_all(self) -> None:
        """Hold everything, or let everything go if all is held."""
        is_held = self._seen.can_start
        for entry in self._seen.entries:
            self._hold(entry.run, is_held=is_held)

    def _move(self, run: str, by: int) -> None:
        self._do(lambda queue: queue.move(run, by=by))

    def _hold(self, run: str, *, is_held: bool) -> None:
        self._do(lambda queue: queue.hold(run, is_held=is_held))
        if not is_held:
            self._do(lambda queue: queue.keep_going())

    def _do(self, change: Callable[[Queue], None]) -> None:
        try:
            change(self._watch.queue)
        except StudioError as error:
            failure = Failure(message=error.message, remedy=error.remedy, code=error.code, numbers=error.numbers)
            self._message.show_failure(failure)
        self._watch.look()

    # --------------------------------------------------------------------------------------------- what it shows

    def _show_problem(self, seen: RunsSeen) -> None:
        problem = seen.problem or (_NOT_KEPT if seen.can_start and not seen.is_kept else "")
        if problem == self._said:
            return
        self._said = problem
        if not problem:
            self._problem.clear()
        else:
            self._problem.show_failure(Failure(message=problem), [] if seen.problem else [("go", "Go on")])

    def _on_problem_action(self, key: str) -> None:
        if key == "go":
            self._do(lambda queue: queue.keep_going())

    def _update_buttons(self) -> None:
        line = self.tree.selected()
        is_waiting = line is not None and line.is_waiting
        self.buttons["open"].setEnabled(line is not None)
        for key in ("hold", "start", "remove"):
            self.buttons[key].setEnabled(is_waiting)
        for key, direction in (("up", -1), ("down", 1)):
            self.buttons[key].setEnabled(line is not None and bool(self.tree.steps_to_neighbour(line.run, direction)))
        self._name(self.buttons["hold"], "Release" if line is not None and line.is_held else "Hold")
        self.hold_all.setEnabled(bool(self._seen.waiting))
        self._name(self.hold_all, "Hold all" if self._seen.can_start or not self._seen.waiting else "Release all")
        self.note.setText(_count_words(self._seen))

    def _name(self, press: QPushButton, text: str) -> None:
        press.setText(text)
        press.setAccessibleName(text)

    # --------------------------------------------------------------------------------------------- set-up

    def _build(self) -> None:
        self._empty = EmptyState(
            icon("queue", "muted"),
            "Nothing is at work, and nothing waits",
            "Add to queue, on the Train page, lets a run wait until its devices are free. "
            "What waits starts by itself, also after the window is closed.",
            "Set up a run",
        )
        full = QWidget()
        column = QVBoxLayout(full)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addWidget(self.tree, 1)
        actions = FlowLayout()
        for press in self.buttons.values():
            actions.addWidget(press)
        column.addLayout(actions)
        self._stack = QStackedLayout()
        self._stack.addWidget(self._empty)
        self._stack.addWidget(full)
        close = button("Close", "Close this list; what waits goes on waiting (Escape).")
        close.clicked.connect(self.close)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 16, 16, 16)
        layout.setSpacing(8)
        layout.addLayout(row(Heading("Queue"), None, self.hold_all))
        layout.addWidget(self._problem)
        layout.addWidget(self._message)
        layout.addLayout(self._stack, 1)
        layout.addLayout(row(self.note, None, close))

    def _connect(self) -> None:
        self._watch.seen.connect(self.show_seen)
        self._empty.clicked.connect(self.add_asked)
        self._problem.action.connect(self._on_problem_action)
        self.tree.itemSelectionChanged.connect(self._update_buttons)
        self.tree.moved.connect(self._move)
        self.tree.opened.connect(self.open_selected)
        slots: dict[str, Callable[[], None]] = {
            "open": self.open_selected,
            "up": partial(self.move_selected, -1),
            "down": partial(self.move_selected, 1),
            "hold": self.hold_selected,
            "start": self.start_selected,
            "remove": self.remove_selected,
        }
        for key, slot in slots.items():
            self.buttons[key].clicked.connect(lambda _checked=False, slot=slot: slot())
        self.hold_all.clicked.connect(lambda _checked=False: self.hold_or_release_all())
        here = Qt.ShortcutContext.WidgetShortcut
        for keys, key in (("Alt+Up", "up"), ("Alt+Down", "down"), ("H", "hold"), ("Delete", "remove")):
            QShortcut(QKeySequence(keys), self.tree, slots[key], context=here)


def _count_words(seen: RunsSeen) -> str:
    """For instance "2 at work, 3 wait."; nothing of an empty queue."""
    waiting = len(seen.waiting)
    if not seen.at_work and not waiting:
        return ""
    return f"{len(seen.at_work)} at work, {waiting} {'waits' if waiting == 1 else 'wait'}."
