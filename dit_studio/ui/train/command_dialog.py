"""The line, or the SLURM script, that starts a recipe on many devices and hosts, to be copied where they are."""

import socket
from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import (
    QDialog,
    QGridLayout,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QSpinBox,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from dit_studio.config import Recipe, dump_recipe
from dit_studio.device_names import PROCESSOR, kind_of, named
from dit_studio.errors import StudioError
from dit_studio.events import CheckStatus
from dit_studio.files import write_atomically
from dit_studio.jobs.command_checks import command_checks
from dit_studio.jobs.slurm import Turn, slurm_script
from dit_studio.jobs.torchrun import MOST_DEVICES, MOST_HOSTS, PORT, Cluster, command_line
from dit_studio.ui.icons import icon
from dit_studio.ui.settings import Settings
from dit_studio.ui.train.check_line import CheckLines
from dit_studio.ui.train.dialogs import Dialogs
from dit_studio.ui.widgets.basics import Said, button, describe, row, set_property
from dit_studio.ui.widgets.scrolling import Scrolling

_CORES = 8  # of the processor, for each device
_FORM = "command"  # where the choices are remembered
_SIZE = (720, 640)


class CommandDialog(QDialog):
    """Stays open beside the forms; `show_for` says of which recipe it speaks."""

    def __init__(self, settings: Settings, dialogs: Dialogs, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Train on many devices")
        self._settings, self._dialogs = settings, dialogs
        self._current: Callable[[], Recipe | None] = lambda: None
        self._make_fields()
        self.checks, self._said = CheckLines(), Said()
        self.line, self.script = _text("The line", "torchrun"), _text("The script", "sbatch")
        self.copy_line = _copy_button("Copy command", "Copy the line; run it on every host.", self.line)
        self.copy_script = _copy_button("Copy script", "Copy the script, for a file that sbatch takes.", self.script)
        self.save_script = button("Save script…", "Save the script as a file for sbatch.", icon=icon("save"))
        self._presses = {press: press.toolTip() for press in (self.copy_line, self.copy_script, self.save_script)}
        self._build()
        self._restore()
        self._connect()
        self.resize(*_SIZE)

    def show_for(self, current: Callable[[], Recipe | None], *, file: str = "", out: str = "") -> None:
        """`current` gives the settings, or None while they are not possible; `file` and `out` are proposed."""
        self._current = current
        for edit, path in ((self.file, file), (self.out, out)):
            if path:
                edit.setText(path)
        self._take_devices_of(current())
        self.refresh()
        self.show()
        self.raise_()
        self.activateWindow()

    @property
    def said(self) -> str:
        """What came of the last press."""
        return self._said.words

    def refresh(self) -> None:
        """Look again at the settings, and say what the command is."""
        recipe, cluster = self._current(), self._cluster()
        is_alone = cluster.hosts == 1
        for widget in (self.head, self.port, self.least):
            widget.setEnabled(not is_alone)
        checks = command_checks(recipe, self.file.text().strip(), self.out.text().strip(), cluster)
        self.checks.show_checks(tuple(checks))
        file, out = Path(self.file.text().strip() or "RECIPE.toml"), Path(self.out.text().strip() or "RUN")
        _show(self.line, command_line(file, out, cluster))
        _show(self.script, slurm_script(file, out, cluster, self._turn(recipe)))
        failed = [check.message for check in checks if check.status is CheckStatus.FAILED]
        for press, tooltip in self._presses.items():
            press.setEnabled(not failed)
            press.setToolTip(f"{tooltip}\nOff: {failed[0]}" if failed else tooltip)
        self.save_recipe.setEnabled(recipe is not None)

    def changeEvent(self, event: QEvent) -> None:
        """Settings may have changed while another window was at work."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.ActivationChange and self.isActiveWindow():
            self.refresh()

    # --------------------------------------------------------------------------------------------- how

    def _take_devices_of(self, recipe: Recipe | None) -> None:
        """A recipe that names several devices is meant for so many on each host."""
        if recipe is not None and (count := len(named(recipe.train.device))) > 1:
            self.devices.setValue(count)

    def _cluster(self) -> Cluster:
        return Cluster(
            hosts=self.hosts.value(),
            least_hosts=self.least.value(),
            devices=self.devices.value(),
            head=self.head.text().strip(),
            port=self.port.value(),
            restarts=self.restarts.value(),
        )

    def _turn(self, recipe: Recipe | None) -> Turn:
        names = named(recipe.train.device) if recipe else ()
        is_processor = bool(names) and kind_of(names[0]) == PROCESSOR
        return Turn(
            hours=self.hours.value(),
            cores=self.cores.value() or _CORES * self.devices.value(),
            has_gpus=not is_processor,
        )

    def _on_changed(self) -> None:
        self._said.say("")
        self._settings.save_form(_FORM, {name: box.value() for name, box in self._boxes.items()} | self._typed())
        self.refresh()

    def _typed(self) -> dict[str, str]:
        return {"head": self.head.text(), "file": self.file.text(), "out": self.out.text()}

    def _choose_file(self) -> None:
        if path := self._dialogs.recipe_to_save(self.file.text() or str(Path.home() / "recipe.toml")):
            self.file.setText(str(Path(path).with_suffix(".toml")))

    def _choose_out(self) -> None:
        if path := self._dialogs.run_folder(str(Path(self.out.text() or Path.home()).parent)):
            self.out.setText(str(Path(path) / (Path(self.out.text()).name or "run")))

    def _save_recipe(self) -> None:
        recipe = self._current()
        if not self.file.text().strip():
            self._choose_file()
        if recipe is not None and (path := self.file.text().strip()):
            self._write(Path(path), dump_recipe(recipe))
            self.refresh()

    def _save_script(self) -> None:
        start = Path(self.file.text().strip()).with_suffix(".sh")
        if path := self._dialogs.script_to_save(str(start)):
            self._write(Path(path).with_suffix(".sh"), self.script.toPlainText())

    def _write(self, path: Path, text: str) -> None:
        try:
            write_atomically(path, text.encode())
        except StudioError as error:
            self._said.say(str(error), is_problem=True)
        else:
            self._said.say(f"Saved as {path}.")

    # --------------------------------------------------------------------------------------------- how it is made

    def _make_fields(self) -> None:
        self.hosts = _spin(1, MOST_HOSTS, 1, "Hosts", "Machines that train together.", "hosts")
        self.devices = _spin(1, MOST_DEVICES, 1, "Devices of each host", "A process takes one.", "devices")
        self.least = _spin(
            0, MOST_HOSTS, 0, "Least hosts",
            "When hosts are lost, go on with so many from the last checkpoint; 0: with all only.", "hosts",
        )  # fmt: skip
        self.least.setSpecialValueText("all")
        self.restarts = _spin(
            0, 1000, 3, "Restarts",
            "After a failure all processes start again so often, from the last checkpoint.", "restarts",
        )  # fmt: skip
        self.port = _spin(1, 65_535, PORT, "Port", "Of the first host, where the others find it.", "TCP port")
        self.hours = _spin(1, 24 * 365, 24, "Hours", "Of a turn in SLURM; then the run is queued again.", "hours")
        self.cores = _spin(
            0, 1024, 0, "Cores of each host", f"Of its processor, for SLURM; 0: {_CORES} a device.", "cores"
        )
        self.cores.setSpecialValueText(f"{_CORES} a device")
        self._boxes = {
            "hosts": self.hosts, "devices": self.devices, "least": self.least, "restarts": self.restarts,
            "port": self.port, "hours": self.hours, "cores": self.cores,
        }  # fmt: skip
        self.head = _edit("First host", "Where the hosts meet: the name or address of one of them.")
        self.file = _edit("Recipe", "Where the recipe is saved: a path that every host can read.")
        self.out = _edit("Run folder", "On a disk that every host sees; this window follows the run there.")
        self.save_recipe = button("Save recipe", "Write the settings to this file.", icon=icon("save"))

    def _build(self) -> None:
        choose_file = button("Choose…", "Choose where the recipe is saved.", icon=icon("folder"))
        choose_file.setAccessibleName("Choose where the recipe is saved")
        choose_out = button("Choose…", "Choose the folder in which the run's folder is made.", icon=icon("folder"))
        choose_out.setAccessibleName("Choose where the run is kept")
        choose_file.clicked.connect(self._choose_file)
        choose_out.clicked.connect(self._choose_out)
        grid = QGridLayout()
        grid.setHorizontalSpacing(8)
        grid.setVerticalSpacing(8)
        pairs: list[tuple[tuple[QWidget, ...], ...]] = [
            ((self.hosts,), (self.devices,)),
            ((self.head,), (self.port,)),
            ((self.least,), (self.restarts,)),
        ]
        for line, fields in enumerate(pairs):
            for column, (field,) in enumerate(fields):
                grid.addWidget(_label(field), line, 2 * column)
                grid.addWidget(field, line, 2 * column + 1)
        for line, (field, *presses) in enumerate(
            ((self.file, choose_file, self.save_recipe), (self.out, choose_out)), len(pairs)
        ):
            grid.addWidget(_label(field), line, 0)
            grid.addLayout(row(field, *presses), line, 1, 1, 3)
        grid.setColumnStretch(1, 1)
        grid.setColumnStretch(3, 1)
        self.tabs = self._make_tabs()
        inside = QWidget()
        column_ = QVBoxLayout(inside)
        column_.addLayout(grid)
        column_.addWidget(self.checks)
        column_.addWidget(self._said)
        column_.addWidget(self.tabs, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(Scrolling(inside))

    def _make_tabs(self) -> QTabWidget:
        result = QTabWidget(documentMode=True)
        result.tabBar().setDrawBase(False)
        result.tabBar().setAccessibleName("Ways to start")
        of_slurm = row(_label(self.hours), self.hours, _label(self.cores), self.cores, None)
        pages = (
            ("Command", "The line for a shell on each host.", self.line, None, (self.copy_line,)),
            ("SLURM script", "A file for sbatch.", self.script, of_slurm, (self.copy_script, self.save_script)),
        )
        for title, tooltip, text, above, presses in pages:
            page = QWidget()
            layout = QVBoxLayout(page)
            layout.setContentsMargins(0, 8, 0, 0)
            if above is not None:
                layout.addLayout(above)
            layout.addWidget(text, 1)
            layout.addLayout(row(*presses, None))
            result.setTabToolTip(result.addTab(page, title), tooltip)
        return result

    def _connect(self) -> None:
        for box in self._boxes.values():
            box.valueChanged.connect(self._on_changed)
        for edit in (self.head, self.file, self.out):
            edit.textChanged.connect(self._on_changed)
        self.save_recipe.clicked.connect(self._save_recipe)
        self.save_script.clicked.connect(self._save_script)
        for press in (self.copy_line, self.copy_script):
            press.clicked.connect(lambda: self._said.say("Copied."))

    def _restore(self) -> None:
        kept = self._settings.form(_FORM)
        self.head.setText(str(kept.get("head", socket.gethostname())))
        self.file.setText(str(kept.get("file", "")))
        self.out.setText(str(kept.get("out", "")))
        for name, box in self._boxes.items():
            value = kept.get(name, box.value())
            if isinstance(value, int):
                box.setValue(value)


def _label(field: QWidget) -> QLabel:
    result = QLabel(field.accessibleName())
    result.setBuddy(field)
    return result


def _spin(low: int, high: int, value: int, name: str, meaning: str, unit: str) -> QSpinBox:
    result = QSpinBox(minimum=low, maximum=high, value=value)
    result.lineEdit().setTextMargins(8, 0, 0, 0)  # as in other editors
    describe(result, name, f"{meaning}\nUnit: {unit}\nTakes {low:,} to {high:,}")
    return result


def _edit(name: str, meaning: str) -> QLineEdit:
    result = QLineEdit()
    result.setMinimumWidth(96)
    describe(result, name, meaning)
    return result


def _text(name: str, program: str) -> QPlainTextEdit:
    result = QPlainTextEdit(readOnly=True)
    result.setTabChangesFocus(True)
    result.setMinimumHeight(96)
    result.setTextInteractionFlags(
        Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
    )
    set_property(result, "kind", "log")
    describe(result, name, f"What {program} is given.")
    return result


def _show(text: QPlainTextEdit, content: str) -> None:
    if text.toPlainText() != content:
        text.setPlainText(content)


def _copy_button(title: str, tooltip: str, text: QPlainTextEdit) -> QPushButton:
    result = button(title, tooltip, kind="primary", icon=icon("copy", "on_accent"))
    result.clicked.connect(lambda: QGuiApplication.clipboard().setText(text.toPlainText()))
    return result
