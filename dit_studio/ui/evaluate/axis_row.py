"""A setting that a curve goes over, with its values."""

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QGridLayout, QLabel, QLineEdit, QMenu, QToolButton, QWidget

from dit_studio.sweep import ModelLimits, SweepAxis
from dit_studio.ui.icons import icon
from dit_studio.ui.sample.sweep_values import EXAMPLES, TITLES, fillings, read_values
from dit_studio.ui.widgets.basics import WholeText, button, describe, set_property


class AxisRow(QWidget):
    """`edited` follows every change of the values; `removed` asks to leave the axis out."""

    edited = Signal()
    removed = Signal()

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.name = name
        self._limits: ModelLimits | None = None
        self._path = ""
        self.values, self.remove = QLineEdit(), QToolButton()
        self.fill = button("Values", f"Likely values of {TITLES[name]}.")
        self._menu = QMenu(self.fill)
        self._problem = WholeText(role="problem")
        self._build()
        self.values.textEdited.connect(self.edited)
        self.remove.clicked.connect(self.removed)
        self._menu.aboutToShow.connect(self._fill_menu)

    def axis(self) -> SweepAxis:
        return SweepAxis(name=self.name, values=read_values(self.values.text()))

    def show_model(self, limits: ModelLimits | None, path: str) -> None:
        self._limits, self._path = limits, path

    def put(self, values: str) -> None:
        self.values.setText(values)
        self.values.setCursorPosition(0)  # else a long text shows its end

    def mark(self, message: str) -> None:
        """A sentence below the values, or none."""
        set_property(self.values, "invalid", bool(message))
        self.values.setAccessibleDescription(message or f"For example {EXAMPLES[self.name]}")
        self._problem.setText(message)
        self._problem.setVisible(bool(message))

    def _fill_menu(self) -> None:
        self._menu.clear()
        for text, values in fillings(self.name, self._limits, self._path):
            self._menu.addAction(text).triggered.connect(lambda _=False, values=values: self._put_chosen(values))
        if self._menu.isEmpty():
            self._menu.addAction("Nothing to propose for this model").setEnabled(False)

    def _put_chosen(self, values: str) -> None:
        self.put(values)
        self.edited.emit()

    def _build(self) -> None:
        title = TITLES[self.name]
        label = QLabel(title)
        label.setBuddy(self.values)
        describe(self.values, f"{title}: values", f"The values of {title}, with commas between them.")
        self.values.setPlaceholderText(f"for example {EXAMPLES[self.name]}")
        self.values.setAcceptDrops(False)  # what is dropped is for the column
        self.fill.setAccessibleName(f"{title}: likely values")
        self.fill.setMenu(self._menu)
        self.remove.setIcon(icon("close"))
        self.remove.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        describe(self.remove, f"Leave out {title}", f"No curve over {title}.")
        self._problem.setTextFormat(Qt.TextFormat.PlainText)
        self._problem.hide()
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(4)
        grid.setColumnStretch(0, 1)
        grid.addWidget(label, 0, 0)
        grid.addWidget(self.fill, 0, 1)
        grid.addWidget(self.remove, 0, 2)
        grid.addWidget(self.values, 1, 0, 1, 3)
        grid.addWidget(self._problem, 2, 0, 1, 3)
