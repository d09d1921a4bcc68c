"""The settings of the run that is shown, to look at and to start from."""

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QPlainTextEdit, QVBoxLayout, QWidget

from dit_studio.errors import StudioError
from dit_studio.events import Event, Started
from dit_studio.jobs.run_folder import RunFolder
from dit_studio.ui.train.run_log import facts_line
from dit_studio.ui.widgets.basics import Caption, button, describe, row, set_property


class RunFacts(QWidget):
    """`wanted` carries the run's recipe when its settings are to be used again."""

    wanted = Signal(object)  # Recipe
    command_asked = Signal(object)  # RunFolder
    refused = Signal(str)  # why they cannot be used

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._folder: RunFolder | None = None
        self.facts = Caption()
        self.text = QPlainTextEdit(readOnly=True)
        self.text.setTabChangesFocus(True)
        self.text.setPlaceholderText("The settings of the run appear here.")
        set_property(self.text, "kind", "log")
        describe(self.text, "Settings of the run", "run.toml: every setting of this run, in force from its start.")
        self.use = button("Use these settings", "Copy the settings of this run into the cards on the left.")
        self.use.clicked.connect(self._on_use)
        self.command = button("Copy command…", "The torchrun line, or a SLURM script, that goes on with this run.")
        self.command.clicked.connect(lambda: self.command_asked.emit(self._folder))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 8, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(self.facts)
        layout.addWidget(self.text, 1)
        layout.addLayout(row(self.use, self.command, None))
        self.show_run(None)

    def show_run(self, folder: RunFolder | None) -> None:
        self._folder = folder
        self.use.setEnabled(folder is not None)
        self.command.setEnabled(folder is not None)
        self.facts.setText("")
        self.facts.hide()
        self.text.setPlainText(_settings_of(folder) if folder else "")

    def add_events(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Started):
                self.facts.setText(facts_line(event))
                self.facts.show()

    def _on_use(self) -> None:
        if self._folder is None:
            return
        try:
            self.wanted.emit(self._folder.recipe())
        except StudioError as error:
            self.refused.emit(str(error))


def _settings_of(folder: RunFolder) -> str:
    try:
        return (folder.path / "run.toml").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        return f"run.toml cannot be read: {error}"
