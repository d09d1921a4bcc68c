"""Which classes are drawn: a searchable list, or every class."""

import numpy as np
from PySide6.QtCore import QEvent, QObject, QSignalBlocker, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QCheckBox, QLineEdit, QWidget

from dit_studio.events import SampleModel
from dit_studio.ui import theme
from dit_studio.ui.sample.class_list import ClassFilter, ClassModel, ClassView, row_height
from dit_studio.ui.train.amounts import count
from dit_studio.ui.widgets.basics import Caption, WholeText, button, describe, row
from dit_studio.ui.widgets.card import Card

_ROWS = 5  # shown at once
_ALL_AT_FIRST = 20  # a model with so many classes or fewer starts with all of them


class ClassPicker(Card):
    """Hidden for a model without classes. `changed` follows every tick of the user, and no call of `set_classes`."""

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Classes", parent=parent)
        self._names: tuple[str, ...] = ()
        self._model, self._filter, self.view = ClassModel(self), ClassFilter(self), ClassView()
        self._filter.setSourceModel(self._model)
        self.view.setModel(self._filter)
        self.search, self.every = QLineEdit(), QCheckBox("Every class")
        self.shown_button = button("All", "Tick every class in the list, as the search leaves it.")
        self.none_button = button("None", "Take every tick away.")
        self._count = Caption()
        self._none_found, self._problem = Caption("No class is called so."), WholeText(role="problem")
        self._build()
        self._connect()
        self.hide()

    # --------------------------------------------------------------------------------------------- what is chosen

    def classes(self) -> tuple[int, ...]:
        """The numbers of the classes that are ticked; (0,) for a model without classes."""
        return self._model.ticked_classes() if self._names else (0,)

    def set_classes(self, labels: tuple[int, ...]) -> None:
        """Tick these; a sentence names those that the model lacks."""
        known = {label for label in labels if 0 <= label < len(self._names)}
        lacking = sorted(set(labels) - known)
        with QSignalBlocker(self._model):
            self._model.tick(set(range(len(self._names))), is_on=False)
            self._model.tick(known)
        self.view.viewport().update()
        self._show_choice()
        if lacking and self._names:
            self.show_problem(_lacking(lacking, len(self._names), has_others=bool(known)))

    def problem(self) -> str:
        """Why nothing can be drawn with this choice; "" if it can."""
        return "" if self.classes() else "No class is ticked: tick one or more, or “Every class”."

    def show_problem(self, message: str) -> None:
        """A sentence below the list, until the next change."""
        self._problem.setText(message)
        self._problem.setVisible(bool(message))

    def show_model(self, model: SampleModel) -> None:
        """Offer the classes of a model; what was ticked stays ticked as far as the model has it, by its name."""
        ticked = {self._names[label] for label in self.classes()} if self._names else set()
        self._names = model.class_names or _numbers(model.num_classes)
        self._model.show_classes(self._names, _pictures(model))
        self.search.clear()
        kept = tuple(label for label, name in enumerate(self._names) if name in ticked)
        self.set_classes(kept or _at_first(len(self._names)))
        self.setVisible(bool(self._names))
        self._fit_height()

    # --------------------------------------------------------------------------------------------- how

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Down goes from the search to the list."""
        is_press = isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress
        if watched is self.search and is_press and event.key() == Qt.Key.Key_Down:  # type: ignore[attr-defined]
            self._go_to_list()
            return True
        return super().eventFilter(watched, event)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.StyleChange:
            self._fit_height()

    def _go_to_list(self) -> None:
        if not self._filter.rowCount():
            return
        if not self.view.currentIndex().isValid():
            self.view.setCurrentIndex(self._filter.index(0, 0))
        self.view.setFocus(Qt.FocusReason.TabFocusReason)

    def _on_typed(self, text: str) -> None:
        self.search.setFocus(Qt.FocusReason.OtherFocusReason)
        self.search.setText(text)

    def _on_searched(self, words: str) -> None:
        self._filter.search(words)
        self._fit_height()
        self._show_choice()

    def _on_ticked(self) -> None:
        self._show_choice()
        self.changed.emit()

    def _on_every(self, is_on: bool) -> None:
        self._model.tick(set(range(len(self._names))), is_on=is_on)

    def _tick_shown(self) -> None:
        rows = range(self._filter.rowCount())
        self._model.tick({self._filter.mapToSource(self._filter.index(number, 0)).row() for number in rows})

    def _show_choice(self) -> None:
        chosen, total = len(self.classes()), len(self._names)
        with QSignalBlocker(self.every):
            self.every.setChecked(chosen == total)
        shown = self._filter.rowCount()
        self._count.setText(f"{count(chosen)} of {count(total)} ticked")
        self._none_found.setVisible(shown == 0)
        self.shown_button.setEnabled(shown > 0)
        self.none_button.setEnabled(chosen > 0)
        self.show_problem(self.problem() if self._names else "")

    def _fit_height(self) -> None:
        rows = min(max(self._filter.rowCount(), min(len(self._names), 3)), _ROWS)
        self.view.setFixedHeight(rows * row_height() + 2 * self.view.frameWidth())

    def _connect(self) -> None:
        self.search.textChanged.connect(self._on_searched)
        self.search.returnPressed.connect(self._go_to_list)
        self.search.installEventFilter(self)
        self.every.clicked.connect(self._on_every)
        self.shown_button.clicked.connect(self._tick_shown)
        self.none_button.clicked.connect(lambda: self._on_every(False))  # noqa: FBT003
        self._model.ticked.connect(self._on_ticked)
        self.view.typed.connect(self._on_typed)
        theme.theme_changed.connect(self.view.viewport().update)

    def _build(self) -> None:
        self._problem.setTextFormat(Qt.TextFormat.PlainText)
        self._problem.hide()
        self.search.setPlaceholderText("Name or number")
        self.search.setClearButtonEnabled(True)
        self.search.setAcceptDrops(False)  # what is dropped is for the window
        describe(self.search, "Search the classes", "Show the classes whose name holds these words, or one number.")
        describe(self.every, "Every class", "Tick every class, or none.")
        describe(self.view, "Classes", "Space or a click ticks a class; typing searches. They are taken in turn.")
        self.add_action(self.every)
        line = row(self.search, self.shown_button, self.none_button)
        line.setStretch(0, 1)
        self.body.addLayout(line)
        for widget in (self.view, self._count, self._none_found, self._problem):
            self.body.addWidget(widget)


def _numbers(classes: int) -> tuple[str, ...]:
    """Names for the classes of a model that has none; a single class is no choice."""
    return tuple(f"class {label}" for label in range(classes)) if classes > 1 else ()


def _at_first(classes: int) -> tuple[int, ...]:
    return tuple(range(classes)) if classes <= _ALL_AT_FIRST else (0,)


def _pictures(model: SampleModel) -> "np.ndarray[tuple[int, ...], np.dtype[np.uint8]] | None":
    size = model.thumbnail_size
    if not size or len(model.data) % (size * size * 3) or not model.data:
        return None
    return np.frombuffer(model.data, np.uint8).reshape(-1, size, size, 3)


def _lacking(labels: list[int], classes: int, *, has_others: bool) -> str:
    names = ", ".join(map(str, labels[:5])) + (" …" if len(labels) > 5 else "")
    noun = "Class" if len(labels) == 1 else "Classes"
    verb = "is" if len(labels) == 1 else "are"
    remedy = "The others are ticked." if has_others else "Tick another."
    return f"{noun} {names} {verb} not in this model: it has 0 to {classes - 1}. {remedy}"
