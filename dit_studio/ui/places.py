"""Where runs and caches live: the environment says it to this process and to every worker it starts."""

import os
import tempfile
from pathlib import Path

from dit_studio.ui.settings import Settings

VARIABLES = {"runs_dir": "DIT_STUDIO_RUNS", "cache_dir": "DIT_STUDIO_CACHE"}


def apply_places(settings: Settings) -> None:
    """Use the folders of the settings, unless the environment names others."""
    for name, variable in VARIABLES.items():
        chosen = getattr(settings.now, name)
        if chosen and not os.environ.get(variable):
            os.environ[variable] = chosen


def choose_place(settings: Settings, name: str, path: str) -> None:
    """Use and remember a folder; an empty path stands for the default place."""
    if path:
        os.environ[VARIABLES[name]] = path
    else:
        os.environ.pop(VARIABLES[name], None)
    settings.put(**{name: path})


def problem_with(path: Path) -> str:
    """Why a folder cannot be used, as a sentence; "" if it can. It is made if it does not exist."""
    if not path.is_absolute():
        return f"{path} is not a whole path: write it from the root on."
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            return ""
    except OSError as error:
        return f"{path} cannot be written: {error.strerror or error}. Choose a folder that you may write to."
