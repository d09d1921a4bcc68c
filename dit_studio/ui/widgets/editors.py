"""Editors for one setting each: text, number, choice, switch."""

import math
import re
from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QCheckBox, QLineEdit, QWidget

from dit_studio.errors import ConfigError
from dit_studio.fields import Field, check_value
from dit_studio.ui.widgets.basics import NoScrollComboBox

_THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+")
_SPACES = str.maketrans("", "", "_ \u00a0\u2009\u202f")


def read_number(text: str, kind: type) -> int | float | str:
    """The number that a person typed: 2e-4, 1_000, 20 000 and 0,5 are numbers; what is none stays text.

    20,000 is a whole number where one is asked for, as it is written in this window; elsewhere a comma may be a point.
    """
    plain = text.strip().translate(_SPACES)
    if kind is int and _THOUSANDS.fullmatch(plain):
        plain = plain.replace(",", "")
    if kind is float and "." not in plain and plain.count(",") == 1:
        plain = plain.replace(",", ".")
    try:
        number = float(plain)
    except ValueError:
        return text.strip()
    if kind is int and number.is_integer():
        return int(plain) if plain.lstrip("+-").isdigit() else int(number)
    return number


def format_value(value: Any) -> str:
    """A value as it is typed: 20000, 0.0002, 1e-05."""
    if value is None:
        return ""
    return f"{value:.12g}" if isinstance(value, float) else str(value)


class TextEditor(QLineEdit):
    """A line of text, or a number; Up and Down change the second digit of a number."""

    edited = Signal()

    def __init__(self, field: Field, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._field = field
        self.setMinimumWidth(64)
        self.setAcceptDrops(False)  # a folder that is dropped is for the window
        self.setPlaceholderText("from the size" if field.is_optional else "")
        self.textChanged.connect(self.edited)

    def raw(self) -> Any:
        """What is typed, before it is checked; None if nothing is and nothing need be."""
        if not self.text().strip() and self._field.is_optional:
            return None
        return self.text().strip() if self._field.type is str else read_number(self.text(), self._field.type)

    def put(self, value: Any) -> None:
        self.setText(format_value(value))

    def set_field(self, field: Field) -> None:
        """The same setting, with other limits."""
        self._field = field
        self.setToolTip(tooltip_of(field))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        directions = {int(Qt.Key.Key_Up): 1, int(Qt.Key.Key_Down): -1}
        if event.key() in directions and self._field.type in (int, float):
            self._step(directions[event.key()])
        else:
            super().keyPressEvent(event)

    def _step(self, direction: int) -> None:
        number = self.raw()
        if not isinstance(number, int | float) or not math.isfinite(number):
            return
        size = 10.0 ** (math.floor(math.log10(abs(number))) - 1) if number else 0.01
        stepped = round(number / size + direction) * size
        value = float(f"{stepped:.12g}")
        if self._field.type is int:
            value = number + direction if size < 1 else round(value)
        try:
            self.put(check_value(self._field, value))
        except ConfigError:
            return  # the limit is reached


class ChoiceEditor(NoScrollComboBox):
    """One of the values that the setting allows."""

    edited = Signal()

    def __init__(self, field: Field, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.addItems(field.choices)
        self.currentIndexChanged.connect(self.edited)

    def raw(self) -> str:
        return self.currentText()

    def put(self, value: Any) -> None:
        self.setCurrentText(str(value))

    def offer(self, choices: Sequence[str]) -> None:
        """Offer these values only; one that is gone gives way to the first."""
        chosen = self.currentText()
        if choices != [self.itemText(number) for number in range(self.count())]:
            self.clear()
            self.addItems(choices)
            self.setCurrentText(chosen)


class SwitchEditor(QCheckBox):
    """Yes or no."""

    edited = Signal()

    def __init__(self, field: Field, parent: QWidget | None = None) -> None:
        super().__init__(field.title, parent)
        self.toggled.connect(self.edited)

    def raw(self) -> bool:
        return self.isChecked()

    def put(self, value: Any) -> None:
        self.setChecked(bool(value))


class WideEditor(QWidget):
    """A setting's own widgets, which a page makes: they take the whole width, and name the setting themselves."""

    edited = Signal()

    def raw(self) -> Any:
        raise NotImplementedError

    def put(self, value: Any) -> None:
        raise NotImplementedError


Editor = TextEditor | ChoiceEditor | SwitchEditor | WideEditor


def editor_for(field: Field) -> Editor:
    """The editor that suits a setting, showing its default, with its words for hovering and for screen readers."""
    editor: Editor
    if field.choices:
        editor = ChoiceEditor(field)
    elif field.type is bool:
        editor = SwitchEditor(field)
    else:
        editor = TextEditor(field)
    editor.put(field.default)
    editor.setAccessibleName(field.title)
    editor.setAccessibleDescription(field.description)
    editor.setToolTip(tooltip_of(field))
    return editor


def tooltip_of(field: Field) -> str:
    """Meaning, unit, range and default of a setting."""
    lines = [field.description]
    if field.unit:
        lines.append(f"Unit: {field.unit}")
    if field.type is not bool and not (field.type is str and not field.choices):
        lines.append(f"Takes {field.range_text}")
    lines.append(f"Default: {_default_text(field)}")
    return "\n".join(lines)


def _default_text(field: Field) -> str:
    if field.type is bool:
        return "on" if field.default else "off"
    if field.default is None:
        return "from the preset"
    return format_value(field.default) or "none"
