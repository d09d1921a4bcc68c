"""Over which settings of the model a curve goes: none, or one to three, each added with one click."""

from collections.abc import Sequence

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from dit_studio.errors import Problem
from dit_studio.sweep import MOST_AXES, ModelLimits, SweepAxis
from dit_studio.ui.evaluate.axis_row import AxisRow
from dit_studio.ui.sample.sweep_values import fillings, in_titles
from dit_studio.ui.widgets.basics import Caption, WholeText, button
from dit_studio.ui.widgets.card import Card
from dit_studio.ui.widgets.flow import FlowLayout

_BUTTONS = {
    "checkpoint": ("All checkpoints", "A curve over training: every checkpoint of the run is measured."),
    "cfg": ("CFG scale", "A curve over the guidance scale: 1, 1.5, 2, 4 and 7 at first."),
    "steps": ("Steps", "A curve over the number of denoising steps."),
    "sampler": ("Sampler", "The samplers that serve the model, side by side."),
}
_FIRST = {"cfg": "1, 1.5, 2, 4, 7", "steps": "10, 20, 50, 100"}


class AxesCard(Card):
    """`changed` follows every axis that comes or goes, and every edit of values."""

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Curve over", parent=parent)
        self.rows: list[AxisRow] = []
        self._limits: ModelLimits | None = None
        self._path, self._checkpoints = "", 0
        self.buttons = {name: button(text, tooltip) for name, (text, tooltip) in _BUTTONS.items()}
        self._hint = Caption("Nothing: one point. Add a setting, and it is measured at each of its values.")
        self._count, self._problem = Caption(), WholeText(role="problem")
        self._list = QVBoxLayout()
        self._list.setSpacing(8)
        flow = FlowLayout(space=4)
        for name, press in self.buttons.items():
            press.clicked.connect(lambda _checked=False, name=name: self.add(name))
            flow.addWidget(press)
        self.body.addWidget(self._hint)
        self.body.addLayout(flow)
        self.body.addLayout(self._list)
        self.body.addWidget(self._problem)
        self.body.addWidget(self._count)
        self._problem.hide()
        self._show_buttons()

    def axes(self) -> list[SweepAxis]:
        return [one.axis() for one in self.rows]

    def put(self, axes: Sequence[SweepAxis]) -> None:
        """Show these, none of those before; a setting that has no button is passed over."""
        while self.rows:
            self._take(self.rows[-1])
        for axis in axes:
            if axis.name in _BUTTONS:
                self._add_row(axis.name).put(", ".join(axis.values))
        self._show_buttons()

    def add(self, name: str) -> None:
        """A further axis with its likely values, as the user asks for it."""
        new = self._add_row(name)
        self._fill(new)
        self._show_buttons()
        new.values.setFocus()
        self.changed.emit()

    def show_model(self, limits: ModelLimits | None, path: str, *, checkpoints: int = 0) -> None:
        """What the model can do, and how many checkpoints its run has."""
        self._limits, self._path, self._checkpoints = limits, path, checkpoints
        for one in self.rows:
            one.show_model(limits, path)
            self._fill(one)
        self._show_buttons()

    def renew_checkpoints(self) -> None:
        """Of another run: those that it has, in place of those that were chosen of the former; or no such axis."""
        for one in [one for one in self.rows if one.name == "checkpoint" and one.values.text()]:
            one.put("")
            self._fill(one)
            if self._checkpoints < 2:
                self._take(one)
        self._show_buttons()

    def drop_checkpoints(self) -> None:
        """One checkpoint is meant, whatever was chosen before."""
        for one in [one for one in self.rows if one.name == "checkpoint"]:
            self._take(one)
        self._show_buttons()

    def show_count(self, text: str) -> None:
        """What the curve comes to: "20 points · 20,000 images to draw"."""
        self._count.setText(text)
        self._count.setVisible(bool(text))

    @property
    def count_text(self) -> str:
        return self._count.text()

    def mark(self, problems: Sequence[Problem]) -> None:
        """Each at the axis that it speaks of, those of none below all."""
        left = list(problems)
        for one in self.rows:
            own = [problem for problem in left if problem.field == f"sweep.{one.name}"]
            left = [problem for problem in left if problem not in own]
            one.mark("\n".join(in_titles(problem.message, one.name) for problem in own))
        self._problem.setText("\n".join(in_titles(one.message, one.field.rpartition(".")[2]) for one in left))
        self._problem.setVisible(bool(left))

    # --------------------------------------------------------------------------------------------- how

    def _fill(self, row: AxisRow) -> None:
        """Likely values where there are none; of checkpoints all, if they are not too many."""
        if not row.values.text():
            likely = [values for _, values in fillings(row.name, self._limits, self._path)]
            last = likely[-1:] if row.name == "checkpoint" else likely[:1]
            row.put(_FIRST.get(row.name, "") or "".join(last))

    def _add_row(self, name: str) -> AxisRow:
        new = AxisRow(name)
        new.show_model(self._limits, self._path)
        new.edited.connect(self.changed)
        new.removed.connect(lambda: self._on_removed(new))
        self.rows.append(new)
        self._list.addWidget(new)
        new.show()
        self._lead_tab()
        return new

    def _lead_tab(self) -> None:
        """From the buttons through the rows, as they stand."""
        last: QWidget = list(self.buttons.values())[-1]
        for one in self.rows:
            for control in (one.fill, one.remove, one.values):
                QWidget.setTabOrder(last, control)
                last = control

    def _on_removed(self, row: AxisRow) -> None:
        self._take(row)
        self._show_buttons()
        self.buttons[row.name].setFocus()
        self.changed.emit()

    def _take(self, row: AxisRow) -> None:
        self.rows.remove(row)
        self._list.removeWidget(row)
        row.hide()
        row.deleteLater()

    def _show_buttons(self) -> None:
        used = {one.name for one in self.rows}
        for name, press in self.buttons.items():
            press.setVisible(name not in used)
            why_not = self._why_not(name)
            press.setEnabled(not why_not)
            press.setToolTip(why_not or _BUTTONS[name][1])
        self._hint.setVisible(not self.rows)

    def _why_not(self, name: str) -> str:
        if len(self.rows) >= MOST_AXES:
            return f"Off: a curve goes over at most {MOST_AXES} settings."
        if name == "checkpoint" and self._limits is not None and self._checkpoints < 2:
            return "Off: only a run with two or more checkpoints has a curve over training."
        if name == "cfg" and self._limits is not None and not self._limits.has_null_class:
            return "Off: the model was trained without a null class, so there is no guidance."
        return ""
