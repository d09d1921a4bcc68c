"""One axis of a sweep: which setting, and its values."""

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QGridLayout, QLabel, QLineEdit, QMenu, QPushButton, QWidget

from dit_studio.events import SampleModel
from dit_studio.sweep import AXES, SweepAxis
from dit_studio.ui import theme
from dit_studio.ui.sample.sweep_values import EXAMPLES, TITLES, fillings, read_values
from dit_studio.ui.widgets.basics import NoScrollComboBox, WholeText, button, describe, set_property

_PLACES = ("Columns", "Rows", "Pages")


class SweepAxisRow(QWidget):
    """`edited` follows every change of the setting or its values, and no call of `put`."""

    edited = Signal()

    def __init__(self, number: int, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._place = _PLACES[number]
        self._model: SampleModel | None = None
        self._path = ""
        self.setting, self.values = NoScrollComboBox(), QLineEdit()
        self.fill: QPushButton = button("Fill", f"Likely values for the {self._place.lower()}.")
        self._menu = QMenu(self.fill)
        self._problem = WholeText(role="problem")
        self._build(is_optional=number > 0)
        self.setting.currentIndexChanged.connect(self._on_setting)
        self.values.textEdited.connect(self.edited)
        self._menu.aboutToShow.connect(self._fill_menu)
        self._on_setting()

    @property
    def name(self) -> str:
        """Of the setting that is swept; "" if this axis is not used."""
        return str(self.setting.currentData() or "")

    def axis(self) -> SweepAxis | None:
        return SweepAxis(name=self.name, values=read_values(self.values.text())) if self.name else None

    def put(self, name: str, text: str) -> None:
        """Show a setting and its values."""
        self.setting.blockSignals(True)  # noqa: FBT003
        self.setting.setCurrentIndex(max(self.setting.findData(name), 0))
        self.setting.blockSignals(False)  # noqa: FBT003
        self.values.setText(text)
        self._show_setting()

    def show_model(self, model: SampleModel | None, path: str) -> None:
        self._model, self._path = model, path

    def mark(self, message: str) -> None:
        """A sentence below the values, or none."""
        set_property(self.values, "invalid", bool(message))
        self.values.setAccessibleDescription(message or f"For example {EXAMPLES.get(self.name, '')}")
        self._problem.setText(message)
        self._problem.setVisible(bool(message))

    def problem(self) -> str:
        return self._problem.text()

    # --------------------------------------------------------------------------------------------- how

    def _on_setting(self) -> None:
        self.values.clear()
        self._show_setting()
        self.edited.emit()

    def _show_setting(self) -> None:
        is_used = bool(self.name)
        self.values.setVisible(is_used)
        self.fill.setVisible(is_used)
        self.values.setPlaceholderText(f"for example {EXAMPLES.get(self.name, '')}")
        self.values.setToolTip(f"The values of {TITLES.get(self.name, 'a setting')}, with commas between them.")

    def _fill_menu(self) -> None:
        self._menu.clear()
        for text, values in fillings(self.name, self._model, self._path):
            self._menu.addAction(text).triggered.connect(lambda _=False, values=values: self._put_values(values))
        if self._menu.isEmpty():
            self._menu.addAction("Nothing to propose for this model").setEnabled(False)

    def _put_values(self, text: str) -> None:
        self.values.setText(text)
        self.edited.emit()

    def _fit_label(self) -> None:
        """As wide in every row, so that the rows line up."""
        self._label.setMinimumWidth(theme.scaled(64))

    def _build(self, *, is_optional: bool) -> None:
        label = self._label = QLabel(self._place)
        label.setBuddy(self.setting)
        self._fit_label()
        theme.theme_changed.connect(self._fit_label)
        if is_optional:
            self.setting.addItem("–", "")
        for name in AXES:
            self.setting.addItem(TITLES[name], name)
        self.values.setAcceptDrops(False)  # what is dropped is for the window
        self._problem.setTextFormat(Qt.TextFormat.PlainText)
        self._problem.hide()
        self.fill.setMenu(self._menu)
        describe(
            self.setting, f"{self._place}: setting", f"What changes from one of the {self._place.lower()} to the next."
        )
        self.values.setAccessibleName(f"{self._place}: values")
        self.fill.setAccessibleName(f"{self._place}: likely values")
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(8)
        grid.setVerticalSpacing(4)
        grid.setColumnStretch(2, 1)
        for column, widget in enumerate((label, self.setting, self.values, self.fill)):
            grid.addWidget(widget, 0, column)
        grid.addWidget(self._problem, 1, 1, 1, 3)
