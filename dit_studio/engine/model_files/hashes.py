"""The SHA-256 of files, each computed once."""

import contextlib
import hashlib
from pathlib import Path

import msgspec

from dit_studio.engine.model_files.folders import files_dir
from dit_studio.errors import StudioError
from dit_studio.files import write_atomically

_BLOCK_BYTES = 2**20
_Hashes = dict[str, tuple[str, str]]  # by path: what the file looked like from outside, SHA-256


def sha256_of(path: Path) -> str:
    """The hash of a file's content, remembered while the file stays the same one, and nobody writes to it.

    Where the file system tells when a file was last written to, one that was replaced shows even if its size and time
    were put back; Windows does not tell.
    """
    looks, key = _looks(path), str(path.resolve())
    hashes = _read_hashes()
    looked, known = hashes.get(key, ("", ""))
    if looked == looks:
        return known
    state = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            state.update(block)
    _write_hashes({**hashes, key: (looks, state.hexdigest())})
    return state.hexdigest()


def _looks(path: Path) -> str:
    about = path.stat()
    return f"{about.st_size} {about.st_mtime_ns} {about.st_ctime_ns} {about.st_ino} {about.st_dev}"


def _read_hashes() -> _Hashes:
    try:
        return msgspec.json.decode((files_dir() / "hashes.json").read_bytes(), type=_Hashes)
    except (OSError, msgspec.DecodeError):
        return {}


def _write_hashes(hashes: _Hashes) -> None:
    """Without those of files that are gone; a hash that cannot be remembered is computed again."""
    kept = {path: entry for path, entry in hashes.items() if Path(path).exists()}
    with contextlib.suppress(OSError, StudioError):
        files_dir().mkdir(parents=True, exist_ok=True)
        write_atomically(files_dir() / "hashes.json", msgspec.json.encode(kept))
