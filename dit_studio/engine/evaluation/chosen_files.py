"""The folders and files that the user chose for extractors, in place of the usual places'; kept from one start to the
next."""

import contextlib
from pathlib import Path

import msgspec

from dit_studio.engine.evaluation.model_files import models_dir
from dit_studio.files import write_atomically


def chosen_path(extractor: str) -> Path | None:
    """What was chosen for an extractor, whether or not it is still there."""
    path = _read().get(extractor)
    return Path(path) if path else None


def choose(extractor: str, path: Path) -> None:
    """Remember a folder or file. Raises: DiskFullError or RunError."""
    _write({**_read(), extractor: str(path.absolute())})


def forget(extractor: str) -> None:
    """Take the usual places' again; what was chosen stays where it is. Raises: DiskFullError or RunError."""
    _write({name: path for name, path in _read().items() if name != extractor})


def _read() -> dict[str, str]:
    with contextlib.suppress(OSError, msgspec.DecodeError):
        return msgspec.json.decode((models_dir() / "chosen.json").read_bytes(), type=dict[str, str])
    return {}


def _write(chosen: dict[str, str]) -> None:
    models_dir().mkdir(parents=True, exist_ok=True)
    write_atomically(models_dir() / "chosen.json", msgspec.json.encode(chosen))
