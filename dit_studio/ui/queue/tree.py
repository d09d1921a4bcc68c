"""The queue as a tree: a branch for each set of devices, in it what is at work there and what waits, in order."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QEvent, QItemSelectionModel, QModelIndex, QPersistentModelIndex, Qt, Signal
from PySide6.QtGui import QBrush, QColor, QDropEvent
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTreeWidget, QTreeWidgetItem

from dit_studio.device_names import AUTO
from dit_studio.ui import theme
from dit_studio.ui.queue.words import device_words, place_of, seconds_left, steps_words
from dit_studio.ui.run_watch import RunsSeen, SeenRun, WaitingRun
from dit_studio.ui.train import amounts
from dit_studio.ui.train.state_pill import STATE_COLOURS, STATE_TEXTS
from dit_studio.ui.widgets.basics import describe

_COLUMNS = ("Run", "Place", "Images", "Steps")
_STEPS = 3  # the column
_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
_INDENTATION = 12  # pixels
_LINE = Qt.ItemDataRole.UserRole
_ACTIONS = QAbstractItemView.CursorAction
_UPWARDS = (_ACTIONS.MoveUp, _ACTIONS.MovePageUp, _ACTIONS.MovePrevious, _ACTIONS.MoveLeft)


@dataclass(frozen=True)
class Line:
    """A run as the tree shows it."""

    path: Path
    texts: tuple[str, ...]  # by column
    colour: str  # of the place, a role of the palette
    tooltip: str
    is_waiting: bool
    is_held: bool = False

    @property
    def run(self) -> str:
        return self.path.name


class QueueTree(QTreeWidget):
    """`moved`: a run was dropped so many places further, among all that wait. `opened`: Return, or a double click."""

    moved = Signal(str, int)  # the run; below 0 to the front
    opened = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setHeaderLabels(_COLUMNS)
        self.setRootIsDecorated(False)
        self.setItemsExpandable(False)
        self.setIndentation(_INDENTATION)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setDragDropMode(QAbstractItemView.DragDropMode.InternalMove)
        self.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.setAllColumnsShowFocus(True)
        self.setAlternatingRowColors(False)
        describe(self, "Queue", "What is at work and what waits, by device. Drag a run that waits to another place.")
        self.headerItem().setTextAlignment(_STEPS, _RIGHT)
        header = self.header()
        header.setStretchLastSection(False)
        header.setMinimumSectionSize(24)
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        header.setSectionsMovable(False)
        self._groups: list[tuple[str, list[Line]]] = []
        self._order: list[str] = []  # of all that wait
        self.itemActivated.connect(lambda _item, _column: self.opened.emit())
        theme.theme_changed.connect(self._fill)

    def show_runs(self, seen: RunsSeen) -> None:
        """Show them; the run that is selected stays so while it is there."""
        groups = list(_groups_of(seen))
        self._order = [entry.run for entry in seen.entries]
        if groups == self._groups:
            return
        is_same_shape = [(title, [line.path for line in lines]) for title, lines in groups] == [
            (title, [line.path for line in lines]) for title, lines in self._groups
        ]
        self._groups = groups
        if is_same_shape:
            self._refresh()
        else:
            self._fill()

    def selected(self) -> Line | None:
        items = self.selectedItems()
        return items[0].data(0, _LINE) if items else None

    def select(self, run: str) -> None:
        for item in self._items():
            if item.data(0, _LINE).run == run:
                self.setCurrentItem(item)

    def select_one(self) -> None:
        """Unless one is selected, the first that waits, or else the first, so that the keys have something to do."""
        items = list(self._items())
        if items and not self.selectedItems():
            self.setCurrentItem(next((item for item in items if item.data(0, _LINE).is_waiting), items[0]))

    def moveCursor(self, action: QAbstractItemView.CursorAction, modifiers: Qt.KeyboardModifier) -> QModelIndex:
        """The keys pass over the headings."""
        index = super().moveCursor(action, modifiers)
        if not index.isValid() or index.parent().isValid():
            return index
        beyond = self.indexAbove(index) if action in _UPWARDS else self.indexBelow(index)
        return beyond if beyond.isValid() else self.currentIndex()

    def selectionCommand(
        self, index: QModelIndex | QPersistentModelIndex, event: QEvent | None = None
    ) -> QItemSelectionModel.SelectionFlag:
        """A press on a heading leaves the selection as it is."""
        if index.isValid() and not index.parent().isValid():
            return QItemSelectionModel.SelectionFlag.NoUpdate
        return super().selectionCommand(index, event)

    def steps_to_neighbour(self, run: str, direction: int) -> int:
        """How many places among all that wait lie between the run and its neighbour in its branch; 0 without one."""
        lines = next((lines for _, lines in self._groups if run in [line.run for line in lines]), [])
        waiting = [line.run for line in lines if line.is_waiting]
        if run not in waiting:
            return 0
        place = waiting.index(run) + direction
        return self._order.index(waiting[place]) - self._order.index(run) if 0 <= place < len(waiting) else 0

    def dropEvent(self, event: QDropEvent) -> None:
        """Say where it was dropped; what the files then say is shown."""
        line, target = self.selected(), self.itemAt(event.position().toPoint())
        event.setDropAction(Qt.DropAction.IgnoreAction)
        event.accept()
        if line is None or not line.is_waiting or target is None or target.data(0, _LINE) is None:
            return
        is_below = self.dropIndicatorPosition() == QAbstractItemView.DropIndicatorPosition.BelowItem
        by = self._places_to(line.run, target.data(0, _LINE), is_below=is_below)
        if by:
            self.moved.emit(line.run, by)

    def _places_to(self, run: str, target: Line, *, is_below: bool) -> int:
        """A run that is at work stands before all that wait."""
        here = self._order.index(run)
        there = self._order.index(target.run) if target.is_waiting else 0
        if target.is_waiting and is_below:
            there += 1
        return there - here - (1 if there > here else 0)

    def _fill(self) -> None:
        """Anew; in the place of a selected run that has left, the one that came after it is selected."""
        items = list(self._items())
        place = next((place for place, item in enumerate(items) if item.isSelected()), None)
        selected = self.selected()
        self.clear()
        for title, lines in self._groups:
            branch = QTreeWidgetItem([title])
            branch.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsDropEnabled)  # between its lines
            branch.setForeground(0, QBrush(QColor(theme.current().muted)))
            self.addTopLevelItem(branch)
            branch.setFirstColumnSpanned(True)
            branch.addChildren([_item(line) for line in lines])
        self.expandAll()
        if selected is not None:
            self.select(selected.run)
        if place is not None and not self.selectedItems() and (left := list(self._items())):
            self.setCurrentItem(left[min(place, len(left) - 1)])

    def _refresh(self) -> None:
        lines = [line for _, group in self._groups for line in group]
        for item, line in zip(self._items(), lines, strict=True):
            _put(item, line)

    def _items(self) -> Iterator[QTreeWidgetItem]:
        for number in range(self.topLevelItemCount()):
            branch = self.topLevelItem(number)
            assert branch is not None
            for place in range(branch.childCount()):
                item = branch.child(place)
                assert item is not None
                yield item

    def drawBranches(self, *_: object) -> None:
        """No lines: the indentation says it."""


def _item(line: Line) -> QTreeWidgetItem:
    item = QTreeWidgetItem()
    flags = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable
    item.setFlags(flags | Qt.ItemFlag.ItemIsDragEnabled if line.is_waiting else flags)
    item.setTextAlignment(_STEPS, _RIGHT)
    _put(item, line)
    return item


def _put(item: QTreeWidgetItem, line: Line) -> None:
    item.setData(0, _LINE, line)
    spoken = ", ".join(f"{name} {text}" for name, text in zip(_COLUMNS, line.texts, strict=True) if text)
    item.setData(0, Qt.ItemDataRole.AccessibleTextRole, spoken)
    item.setForeground(1, QBrush(QColor(getattr(theme.current(), line.colour))))
    for column, text in enumerate(line.texts):
        item.setText(column, text)
        item.setToolTip(column, line.tooltip)


def _groups_of(seen: RunsSeen) -> Iterator[tuple[str, list[Line]]]:
    """By set of devices as the settings name them, those at work first."""
    groups: dict[tuple[str, ...], list[Line]] = {}
    in_use: dict[tuple[str, ...], tuple[str, ...]] = {}
    for run in seen.at_work:
        groups.setdefault(run.devices, []).append(_working_line(run))
        in_use[run.devices] = run.status.devices
    for waiting in seen.waiting:
        groups.setdefault(waiting.entry.devices, []).append(_waiting_line(waiting, seen))
    for devices, lines in sorted(groups.items()):
        yield _title_of(devices, in_use.get(devices, ())), lines


def _title_of(devices: tuple[str, ...], in_use: tuple[str, ...]) -> str:
    """ "cuda:0 and cuda:1"; of "auto" which one it is, once that is known."""
    if AUTO not in devices:
        return device_words(devices)
    return f"Best device: {device_words(in_use)}" if in_use else "Best device"


def _working_line(run: SeenRun) -> Line:
    state = run.status.state
    remaining = seconds_left(run.status)
    left = f", {amounts.duration(remaining)} left" if remaining is not None else ""
    texts = (run.title, f"{STATE_TEXTS[state]}{left}", run.data, steps_words(run.status))
    return Line(run.path, texts, STATE_COLOURS.get(state, "muted"), str(run.path), is_waiting=False)


def _waiting_line(waiting: WaitingRun, seen: RunsSeen) -> Line:
    entry, run = waiting.entry, waiting.run
    notes = [
        "held" if entry.is_held else "",
        "goes on" if entry.resume else "",
        "could not be started yet" if entry.tries else "",
    ]
    words = ", ".join([str(place_of(entry.run, seen.entries)), *filter(None, notes)])
    message = f"\n{run.status.message}" if run.status.message else ""
    colour = "warning" if entry.is_held or entry.tries else "text"
    texts = (run.title, words, run.data, steps_words(run.status))
    return Line(run.path, texts, colour, f"{run.path}{message}", is_waiting=True, is_held=entry.is_held)
