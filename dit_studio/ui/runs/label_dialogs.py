"""Where a run gets a name and a note, and several runs their tags."""

from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QCompleter,
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QLineEdit,
    QPlainTextEdit,
    QVBoxLayout,
    QWidget,
)

from dit_studio.errors import RunError
from dit_studio.jobs.run_label import Label, checked, tags_in
from dit_studio.ui.runs.listing import RunRow
from dit_studio.ui.widgets.basics import Caption, Said, describe

_WIDTH = 420  # pixels
_NOTE_LINES = 4


class NameDialog(QDialog):
    """The name and the note of a run; an empty name gives back that of the folder."""

    def __init__(self, row: RunRow, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Rename")
        self._label = row.summary.label
        self.name = QLineEdit(row.title)
        self.name.setPlaceholderText(row.path.name)
        describe(self.name, "Name", "What the run is called; its folder keeps its name. Empty: as the folder.")
        self.note = QPlainTextEdit(self._label.note)
        self.note.setTabChangesFocus(True)
        self.note.setFixedHeight(self.note.fontMetrics().lineSpacing() * (_NOTE_LINES + 1))
        describe(self.note, "Note", "Anything worth remembering of the run; the filter finds it.")
        form = QFormLayout()
        form.addRow("Name", self.name)
        form.addRow("Note", self.note)
        self._said = _finish(self, form, self._on_accepted)
        self.name.selectAll()

    def label(self) -> Label:
        """What was typed. Raises: RunError."""
        title = self.name.text()
        if title == self.name.placeholderText():
            title = ""
        return checked(Label(title=title, note=self.note.toPlainText()))

    def _on_accepted(self) -> None:
        try:
            self.label()
        except RunError as error:
            self._said.say(str(error), is_problem=True)
        else:
            self.accept()


class TagsDialog(QDialog):
    """The tags that these runs have in common, to be changed; others, that some of them have, stay."""

    def __init__(self, rows: Sequence[RunRow], known: Sequence[str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Tags")
        each = [row.summary.label.tags for row in rows]
        self._common = tuple(tag for tag in each[0] if all(tag in tags for tags in each))
        self.tags = QLineEdit(", ".join(self._common))
        describe(self.tags, "Tags", "Words with commas between them; those that other runs have are proposed.")
        self.tags.setCompleter(LastWordCompleter(known, self.tags))
        form = QFormLayout()
        form.addRow("Tags", self.tags)
        if others := sorted({tag for tags in each for tag in tags} - set(self._common)):
            form.addRow("", Caption(f"Some of these runs also have {', '.join(others)}; that stays."))
        self._said = _finish(self, form, self._on_accepted)

    def changes(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The tags to give, and those to take away. Raises: RunError."""
        wanted = tags_in([self.tags.text()])
        return wanted, tuple(tag for tag in self._common if tag not in wanted)

    def _on_accepted(self) -> None:
        try:
            self.changes()
        except RunError as error:
            self._said.say(str(error), is_problem=True)
        else:
            self.accept()


class LastWordCompleter(QCompleter):
    """Completes the last of several words with commas between them."""

    def __init__(self, words: Sequence[str], edit: QLineEdit) -> None:
        super().__init__(list(words), edit)
        self._edit = edit
        self.setCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)

    def splitPath(self, path: str) -> list[str]:
        return [path.rpartition(",")[2].strip()]

    def pathFromIndex(self, index: object) -> str:
        before, comma, _ = self._edit.text().rpartition(",")
        return f"{before}{comma}{' ' if comma else ''}{super().pathFromIndex(index)}"  # type: ignore[arg-type]


def _finish(dialog: QDialog, form: QFormLayout, on_accepted: object) -> Said:
    """The rest of a dialog: what is wrong, and the buttons."""
    said = Said()
    buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Save | QDialogButtonBox.StandardButton.Cancel)
    buttons.accepted.connect(on_accepted)
    buttons.rejected.connect(dialog.reject)
    form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    layout = QVBoxLayout(dialog)
    layout.setContentsMargins(16, 16, 16, 16)
    layout.setSpacing(8)
    layout.addLayout(form)
    layout.addWidget(said)
    layout.addWidget(buttons)
    dialog.setMinimumWidth(_WIDTH)
    return said
