"""What the window remembers: one JSON file, written soon after every change."""

import json
import logging
import os
from pathlib import Path
from typing import Any, Literal

import msgspec
import platformdirs
from PySide6.QtCore import QObject, QTimer, Signal

from dit_studio.errors import StudioError
from dit_studio.files import write_atomically

_log = logging.getLogger(__name__)
_SAVE_DELAY_MS = 300
_RECENT_LIMIT = 12


class Remembered(msgspec.Struct, kw_only=True):
    """The contents of the settings file; each name is a key there."""

    theme: Literal["system", "dark", "light"] = "system"
    font_scale: int = 100  # percent
    runs_dir: str = ""  # empty: the default place
    cache_dir: str = ""
    in_process: bool = False
    drawing_devices: str = "auto"  # of what draws or measures many images; as in train.device
    tells_ends: bool = True  # of runs, by a notification
    geometry: str = ""  # base64, as Qt saves it
    page: str = "train"
    forms: dict[str, dict[str, Any]] = {}  # what was typed, by the form's name
    recent: list[str] = []  # paths of data sets and runs, newest first


class Settings(QObject):
    """The remembered values as attributes of `now`; say `put` to change one.

    `changed` carries the name of what changed. Keys of the file that this version does not know survive.
    """

    changed = Signal(str)

    def __init__(self, path: Path | None = None, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.path = path or settings_path()
        self.problem = ""  # a sentence, if the file could not be read
        self._unknown: dict[str, Any] = {}
        self.now = self._load()
        self._timer = QTimer(self, singleShot=True, interval=_SAVE_DELAY_MS)
        self._timer.timeout.connect(self.flush)

    def put(self, **values: Any) -> None:
        """Change settings by name, and save them soon."""
        for name, value in values.items():
            if getattr(self.now, name) != value:
                setattr(self.now, name, value)
                self._timer.start()
                self.changed.emit(name)

    def form(self, name: str) -> dict[str, Any]:
        """What was typed into a form last."""
        return dict(self.now.forms.get(name, {}))

    def save_form(self, name: str, values: dict[str, Any]) -> None:
        self.put(forms=self.now.forms | {name: dict(values)})

    def add_recent(self, path: Path) -> None:
        others = [other for other in self.now.recent if other != str(path)]
        self.put(recent=[str(path), *others][:_RECENT_LIMIT])

    def flush(self) -> None:
        """Write now what has changed; a disk that refuses is logged, and what was there stays."""
        self._timer.stop()
        data = self._unknown | msgspec.to_builtins(self.now)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self.path, json.dumps(data, indent=2, ensure_ascii=False).encode())
        except (StudioError, OSError) as error:
            _log.warning("the settings were not saved: %s", error)

    def _load(self) -> Remembered:
        try:
            data = json.loads(self.path.read_bytes())
            now = msgspec.convert(data, Remembered)
        except FileNotFoundError:
            return Remembered()
        except (OSError, ValueError) as error:  # msgspec's errors are ValueErrors too
            self._set_aside(error)
            return Remembered()
        self._unknown = {key: value for key, value in data.items() if key not in Remembered.__struct_fields__}
        return now

    def _set_aside(self, error: Exception) -> None:
        broken = self.path.with_name(self.path.name + ".broken")
        self.problem = f"The settings could not be read ({error}); they are kept as {broken}, and defaults are used."
        _log.warning("%s", self.problem)
        try:
            self.path.replace(broken)
        except OSError as failure:
            _log.warning("%s cannot be renamed: %s", self.path, failure)


def settings_path() -> Path:
    """$DIT_STUDIO_SETTINGS, else a file of the user's configuration."""
    chosen = os.environ.get("DIT_STUDIO_SETTINGS")
    return Path(chosen) if chosen else platformdirs.user_config_path("dit-studio") / "settings.json"
