"""The folders and files that the user chose, in place of the usual places'; kept from one start to the next.

Each is remembered by its key: the extractor that it is for, or the name of the model.
"""

import contextlib
from pathlib import Path

import msgspec

from dit_studio.engine.model_files.folders import files_dir
from dit_studio.files import write_atomically


def chosen_path(key: str) -> Path | None:
    """What was chosen, whether or not it is still there."""
    path = _read().get(key)
    return Path(path) if path else None


def choose(key: str, path: Path) -> None:
    """Remember a folder or file. Raises: DiskFullError or RunError."""
    _write({**_read(), key: str(path.absolute())})


def forget(key: str) -> None:
    """Take the usual places' again; what was chosen stays where it is. Raises: DiskFullError or RunError."""
    _write({name: path for name, path in _read().items() if name != key})


def _read() -> dict[str, str]:
    with contextlib.suppress(OSError, msgspec.DecodeError):
        return msgspec.json.decode((files_dir() / "chosen.json").read_bytes(), type=dict[str, str])
    return {}


def _write(chosen: dict[str, str]) -> None:
    files_dir().mkdir(parents=True, exist_ok=True)
    write_atomically(files_dir() / "chosen.json", msgspec.json.encode(chosen))
