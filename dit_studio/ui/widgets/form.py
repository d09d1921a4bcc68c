"""A form made from the schema: one labelled editor a setting, the advanced ones behind a button."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import QGridLayout, QLabel, QToolButton, QVBoxLayout, QWidget

from dit_studio.config import fields_of
from dit_studio.errors import ConfigError, Problem
from dit_studio.fields import Field, check_value
from dit_studio.ui.titles import with_titles
from dit_studio.ui.widgets.basics import Caption, describe, set_property
from dit_studio.ui.widgets.editors import ChoiceEditor, Editor, SwitchEditor, TextEditor, WideEditor, editor_for

_LABEL_WIDTH = 104  # pixels; forms below one another then line up


class Form(QWidget):
    """The settings of a section of the recipe, or those of them in `names`.

    `changed` follows every edit, valid or not, and no call of `set_values`.
    """

    changed = Signal()

    def __init__(
        self,
        section: str,
        *,
        names: Sequence[str] | None = None,
        editors: Mapping[str, WideEditor] | None = None,
        parent: QWidget | None = None,
    ) -> None:
        """`editors`: of the settings that have widgets of their own."""
        super().__init__(parent)
        own = editors or {}
        fields = [field for field in fields_of(section) if names is None or field.name in names]
        self._rows = {field.name: _Row(field, own.get(field.name) or editor_for(field), self) for field in fields}
        self._is_filling = False
        basic = [row for row in self._rows.values() if not row.field.is_advanced]
        advanced = [row for row in self._rows.values() if row.field.is_advanced]
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        if basic:
            layout.addWidget(_grid(basic))
        self._advanced = _grid(advanced)
        self._more = _more_button(section)
        if advanced:
            layout.addWidget(self._more)
        layout.addWidget(self._advanced)
        self._show_advanced(not basic)
        self._more.setVisible(bool(basic and advanced))
        self._more.toggled.connect(self._show_advanced)
        for row in self._rows.values():
            row.editor.edited.connect(self._on_edited)
        self._mark_all()

    def values(self) -> dict[str, Any]:
        """The valid values; optional settings that are empty are left out."""
        checked = {name: row.check() for name, row in self._rows.items()}
        return {name: value for name, value in checked.items() if value is not None and not isinstance(value, Problem)}

    def set_values(self, values: Mapping[str, Any]) -> None:
        """Show these values; None empties an optional setting, a name that the form lacks is passed over."""
        self._is_filling = True
        for name in self._rows.keys() & values.keys():
            self._rows[name].editor.put(values[name])
        self._is_filling = False
        self._mark_all()

    def problems(self) -> list[Problem]:
        """One for each setting that cannot be used as it is typed."""
        return [found for row in self._rows.values() if isinstance(found := row.check(), Problem)]

    def show_problem(self, problem: Problem) -> None:
        """Mark a setting with a problem found elsewhere, until the next edit."""
        row = self._rows.get(problem.field.rpartition(".")[2])
        if row is not None:
            row.mark(problem.message)
            if row.field.is_advanced:
                self._more.setChecked(True)

    def editor(self, name: str) -> QWidget:
        return self._rows[name].editor

    def set_shown(self, name: str, is_shown: bool) -> None:
        """A setting that is not shown has neither a value nor a problem."""
        if self._rows[name].is_shown != is_shown:
            self._rows[name].show_all(is_shown)
            self._mark_all()

    def offer(self, name: str, choices: Sequence[str]) -> None:
        """Offer these values of a choice only; one that is gone gives way to the first."""
        editor = self._rows[name].editor
        assert isinstance(editor, ChoiceEditor)
        self._is_filling = True
        editor.offer(choices)
        self._is_filling = False
        self._mark_all()

    def limit(self, name: str, maximum: float) -> None:
        """Take no more than this of a number, which is less than its schema allows."""
        self._rows[name].limit(maximum)
        self._mark_all()

    def add_beside(self, name: str, widget: QWidget) -> None:
        """Put a widget at the right of a setting, in the place of its unit, which the tooltip has."""
        self._rows[name].add_beside(widget)

    def add_below(self, name: str, widget: QWidget) -> None:
        """Put a widget below a setting; it stays when the setting is not shown."""
        self._rows[name].add_below(widget)

    def _on_edited(self) -> None:
        if not self._is_filling:
            self._mark_all()
            self.changed.emit()

    def _mark_all(self) -> None:
        for row in self._rows.values():
            found = row.check()
            row.mark(found.message if isinstance(found, Problem) else "")

    def _show_advanced(self, is_open: bool) -> None:
        self._advanced.setVisible(is_open)
        self._more.setArrowType(Qt.ArrowType.DownArrow if is_open else Qt.ArrowType.RightArrow)


class _Row:
    """The widgets of one setting."""

    def __init__(self, field: Field, editor: Editor, form: Form) -> None:
        self.field, self.editor = field, editor
        self.editor.setParent(form)
        self._last: QWidget = self.editor  # of those that belong to the setting, in the order of Tab
        self.label = QLabel(field.title, form)
        self.label.setBuddy(self.editor)
        self.label.setToolTip(field.description)
        self.label.setWordWrap(True)
        self.label.setMinimumWidth(_LABEL_WIDTH)
        self.unit = Caption(field.unit, form, wraps=False)
        self.problem = QLabel(form, wordWrap=True)
        self.problem.setProperty("role", "problem")
        self.problem.hide()
        self.problem.setTextFormat(Qt.TextFormat.PlainText)
        self.is_shown = True

    def check(self) -> Any:
        """The value, None if there is none, or the Problem with it."""
        raw = self.editor.raw() if self.is_shown else None
        if raw is None:
            return None
        try:
            return check_value(self.field, raw)
        except ConfigError as error:
            return error.problems[0]

    def mark(self, message: str) -> None:
        message = with_titles(message)
        set_property(self.editor, "invalid", bool(message))
        self.editor.setAccessibleDescription(message or self.field.description)
        self.problem.setText(message)
        self.problem.setVisible(bool(message))

    def show_all(self, is_shown: bool) -> None:
        self.is_shown = is_shown
        self.label.setVisible(is_shown and not isinstance(self.editor, SwitchEditor | WideEditor))
        self.editor.setVisible(is_shown)
        self.unit.setVisible(is_shown and bool(self.field.unit))

    def limit(self, maximum: float) -> None:
        assert isinstance(self.editor, TextEditor)
        self.field = dataclasses.replace(self.field, maximum=maximum)
        self.editor.set_field(self.field)

    def add_beside(self, widget: QWidget) -> None:
        self._grid.addWidget(self.editor, self._line, 1, 1, 1)
        self.unit.hide()
        self._grid.addWidget(widget, self._line, 2, Qt.AlignmentFlag.AlignVCenter)
        self._lead_tab_to(widget)

    def add_below(self, widget: QWidget) -> None:
        self._grid.addWidget(widget, self._line + 2, 0, 1, 3)
        self._lead_tab_to(widget)

    def _lead_tab_to(self, widget: QWidget) -> None:
        QWidget.setTabOrder(self._last, widget)
        self._last = widget

    def place(self, grid: QGridLayout, line: int) -> None:
        self._grid, self._line = grid, line
        top = Qt.AlignmentFlag.AlignVCenter
        if isinstance(self.editor, SwitchEditor | WideEditor):
            self.label.hide()
            grid.addWidget(self.editor, line, 0, 1, 3)
        else:
            grid.addWidget(self.label, line, 0, top)
            grid.addWidget(self.editor, line, 1, 1, 1 if self.field.unit else 2)
            grid.addWidget(self.unit, line, 2, top)
        self.unit.setVisible(bool(self.field.unit))
        grid.addWidget(self.problem, line + 1, 0, 1, 3)


def _grid(rows: Sequence[_Row]) -> QWidget:
    widget = QWidget()
    grid = QGridLayout(widget)
    grid.setContentsMargins(0, 0, 0, 0)
    grid.setHorizontalSpacing(8)
    grid.setVerticalSpacing(4)
    grid.setColumnStretch(1, 1)
    for number, row in enumerate(rows):
        row.place(grid, 3 * number)
    return widget


def _more_button(section: str) -> QToolButton:
    result = QToolButton()
    result.setText("More settings")
    result.setCheckable(True)
    result.setProperty("kind", "disclosure")
    result.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
    result.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    result.setIconSize(QSize(12, 12))
    describe(result, f"More {section} settings", "Show or hide the settings that seldom need a change.")
    return result
