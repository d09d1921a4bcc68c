"""The Settings page: where things live, how they look, and where training runs."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import (
    QApplication,
    QCheckBox,
    QFileDialog,
    QGridLayout,
    QLabel,
    QLineEdit,
    QScrollArea,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from dit_studio import __version__
from dit_studio.files import free_bytes
from dit_studio.jobs.launch import Launcher
from dit_studio.places import cache_dir, runs_dir
from dit_studio.ui import theme
from dit_studio.ui.places import choose_place, problem_with
from dit_studio.ui.settings import Settings
from dit_studio.ui.train.devices_row import DevicesRow, DeviceWords
from dit_studio.ui.widgets.basics import Caption, Heading, Muted, NoScrollComboBox, button, describe, row, set_property
from dit_studio.ui.widgets.card import Card

_MAX_WIDTH = 720  # pixels
_FONT_STEP = 10  # percent
_APPLY_DELAY_MS = 150  # restyling the window takes a moment, so not for every pixel of a drag
_DRAWING = DeviceWords(
    tooltip="Ticked devices draw and measure at once, each whole batches. None ticked: the best one is taken.",
    sharing="at a time draw and measure.",
    processes="Batches that the processor works on at once; one is usually fastest.",
)
_THEMES = {"system": "As the system", "dark": "Dark", "light": "Light"}


def ask_folder(parent: QWidget, start: str) -> str:
    return QFileDialog.getExistingDirectory(parent, "Choose a folder", start)


class SettingsPage(QWidget):
    """Everything is used and saved as it changes. `ask` gives a folder, or "" if none was chosen."""

    def __init__(
        self,
        settings: Settings,
        launcher: Launcher,
        *,
        ask: Callable[[QWidget, str], str] = ask_folder,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._settings, self._launcher = settings, launcher
        column = QWidget()
        column.setMaximumWidth(_MAX_WIDTH)
        cards = QVBoxLayout(column)
        cards.setContentsMargins(16, 16, 16, 16)
        cards.setSpacing(16)
        cards.addWidget(Heading("Settings"))
        cards.addWidget(self._places_card(ask))
        cards.addWidget(self._look_card())
        cards.addWidget(self._training_card())
        cards.addWidget(self._drawing_card())
        cards.addWidget(Caption(f"DiT Studio {__version__} · these settings are kept in {settings.path}"))
        cards.addStretch(1)
        area = QScrollArea(widgetResizable=True)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        area.setWidget(column)
        area.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(area)

    def close_page(self) -> None:
        self._devices.close_job()
        if self._look_timer.isActive():
            self._look_timer.stop()
            self._apply_look()

    def _places_card(self, ask: Callable[[QWidget, str], str]) -> Card:
        card = Card("Folders")
        runs = PlaceEditor(self._settings, "runs_dir", "Runs", runs_dir, ask=ask)
        caches = PlaceEditor(self._settings, "cache_dir", "Prepared data", cache_dir, ask=ask)
        card.body.addWidget(runs)
        card.body.addWidget(caches)
        return card

    def _look_card(self) -> Card:
        card = Card("Look")
        self._theme = NoScrollComboBox()
        for mode, text in _THEMES.items():
            self._theme.addItem(text, mode)
        self._theme.setCurrentIndex(list(_THEMES).index(self._settings.now.theme))
        describe(self._theme, "Theme", "Dark, light, or whatever the system uses.")
        self._theme.currentIndexChanged.connect(self._on_look)
        self._scale = _Slider(Qt.Orientation.Horizontal)
        self._scale.setRange(theme.FONT_SCALES[0] // _FONT_STEP, theme.FONT_SCALES[1] // _FONT_STEP)
        self._scale.setPageStep(2)
        self._scale.setValue(self._settings.now.font_scale // _FONT_STEP)
        describe(self._scale, "Text size", "Size of all text, from 80 to 200 %.")
        self._scale_text = QLabel()
        self._scale_text.setMinimumWidth(48)
        self._scale.valueChanged.connect(self._on_look)
        self._look_timer = QTimer(self, singleShot=True, interval=_APPLY_DELAY_MS)
        self._look_timer.timeout.connect(self._apply_look)
        grid = QGridLayout()
        grid.setHorizontalSpacing(16)
        grid.setVerticalSpacing(8)
        grid.setColumnStretch(1, 1)
        grid.addWidget(QLabel("Theme"), 0, 0)
        grid.addWidget(self._theme, 0, 1, 1, 2)
        grid.addWidget(QLabel("Text size"), 1, 0)
        grid.addWidget(self._scale, 1, 1)
        grid.addWidget(self._scale_text, 1, 2)
        card.body.addLayout(grid)
        self._show_scale()
        return card

    def _training_card(self) -> Card:
        card = Card("Training")
        self._in_process = QCheckBox("Train inside the window's process")
        describe(
            self._in_process,
            "Train inside the window's process",
            "For debugging: no second process, but the run ends with the window, and a crash takes both.",
        )
        self._in_process.setChecked(self._settings.now.in_process)
        self._in_process.toggled.connect(self._on_in_process)
        card.body.addWidget(self._tells_ends_box())
        card.body.addWidget(self._in_process)
        card.body.addWidget(
            Muted(
                "Leave this off unless you debug: a run in a process of its own outlives the window, "
                "and gives all its memory back when it ends. A change counts from the next run on."
            )
        )
        return card

    def _drawing_card(self) -> Card:
        card = Card("Drawing and measuring many images")
        self._devices = DevicesRow(self._launcher, words=_DRAWING)
        self._devices.put(self._settings.now.drawing_devices)
        self._devices.edited.connect(self._on_devices)
        card.body.addWidget(self._devices)
        card.body.addWidget(
            Muted(
                "Evaluations, sweeps and NPZ files are shared out over the ticked devices, a batch at a time; "
                "every image is drawn once, and is the same as on one device of the kind."
            )
        )
        return card

    def _tells_ends_box(self) -> QCheckBox:
        result = QCheckBox("Tell when a run ends")
        describe(
            result,
            "Tell when a run ends",
            "A notification of the system with the run's name, how it ended and its last loss. "
            "Of the run in view a failure alone is told.",
        )
        result.setChecked(self._settings.now.tells_ends)
        result.toggled.connect(lambda is_on: self._settings.put(tells_ends=is_on))
        return result

    def _on_look(self) -> None:
        self._show_scale()
        self._settings.put(theme=self._theme.currentData(), font_scale=self._scale.value() * _FONT_STEP)
        self._look_timer.start()

    def _apply_look(self) -> None:
        app = QApplication.instance()
        assert isinstance(app, QApplication)
        theme.apply_theme(app, self._settings.now.theme, self._settings.now.font_scale)

    def _show_scale(self) -> None:
        self._scale_text.setText(f"{self._scale.value() * _FONT_STEP} %")

    def _on_devices(self) -> None:
        self._settings.put(drawing_devices=self._devices.raw())
        self._launcher.drawing_devices = self._devices.raw()

    def _on_in_process(self, is_on: bool) -> None:
        self._settings.put(in_process=is_on)
        self._launcher.in_process = is_on


class PlaceEditor(QWidget):
    """A folder that is checked before it is used; empty stands for the default place."""

    def __init__(
        self,
        settings: Settings,
        name: str,
        title: str,
        current: Callable[[], Path],
        *,
        ask: Callable[[QWidget, str], str],
    ) -> None:
        super().__init__()
        self._settings, self._name, self._current, self._ask = settings, name, current, ask
        self.edit = QLineEdit(str(current()))
        self.edit.setAcceptDrops(False)  # what is dropped is for the window
        describe(self.edit, f"{title} folder", "A folder that you may write to; empty: the default place.")
        self.edit.editingFinished.connect(self._on_edited)
        self.choose = button("Choose…", f"Choose the folder for {title.lower()}.")
        self.choose.setAccessibleName(f"Choose the {title.lower()} folder")
        self.choose.clicked.connect(self._on_choose)
        self.reset = button("Default", f"Use the default folder for {title.lower()}.")
        self.reset.setAccessibleName(f"Default {title.lower()} folder")
        self.reset.clicked.connect(partial(self._use, ""))
        self.note = Caption()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(QLabel(title))
        layout.addLayout(row(self.edit, self.choose, self.reset))
        layout.addWidget(self.note)
        self._show("")

    def _on_choose(self) -> None:
        if chosen := self._ask(self, str(self._current())):
            self._use(chosen)

    def _on_edited(self) -> None:
        text = self.edit.text().strip()
        if text != str(self._current()):
            self._use(text)

    def _use(self, text: str, _checked: bool = False) -> None:
        problem = problem_with(Path(text)) if text else ""
        if not problem:
            choose_place(self._settings, self._name, text)
        self.edit.setText(text if problem else str(self._current()))
        self._show(problem)

    def _show(self, problem: str) -> None:
        set_property(self.edit, "invalid", bool(problem))
        set_property(self.note, "role", "problem" if problem else "caption")
        self.note.setText(problem or f"{free_bytes(self._current()) / 1e9:.0f} GB are free there.")


class _Slider(QSlider):
    """A slider that the wheel leaves alone."""

    def wheelEvent(self, event: QWheelEvent) -> None:
        event.ignore()
