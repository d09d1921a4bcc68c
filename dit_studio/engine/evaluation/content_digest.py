"""A digest of what files hold, remembered so that the second time nothing is read.

<cache>/digests/<folder or archive>.json   what its files looked like from outside, and the digest of their bytes
"""

import hashlib
import time
from collections.abc import Generator
from contextlib import closing
from pathlib import Path

import msgspec

from dit_studio.engine.file_list import PROGRESS_SECONDS, FileList
from dit_studio.engine.pictures import in_parallel
from dit_studio.events import Progress
from dit_studio.files import naming_disk_errors, write_atomically
from dit_studio.places import cache_dir

_STAGE = "Hashing"
_CHUNK_BYTES = 1 << 20
_SETTLED_SECONDS = 2.0  # a file that changed less long ago may change again without another time


class _Remembered(msgspec.Struct, frozen=True):
    looks: str
    digest: str


def digest_files(files: FileList) -> Generator[Progress, None, str]:
    """A digest of names, relative and in order, and bytes; of a zip, of the checksums in it; of texts, too.

    Where the file system tells when a file was last written to, a file that was replaced shows even if its size and
    time were put back; Windows does not tell. Raises: DiskFullError or RunError if the cache cannot be written.
    """
    if files.kind == "zip":
        return _combined(files, [f"{member.size_bytes} {member.stamp}" for member in files.members])
    looks, changed = yield from _looks(files)
    kept = cache_dir() / "digests" / f"{_short(str(files.path.absolute()))}.json"
    if (digest := _remembered(kept, looks)) is not None:
        return digest
    digests = yield from _read(files)
    digest = _combined(files, [digest or "" for digest in digests])
    if None not in digests and changed < time.time() - _SETTLED_SECONDS:
        with naming_disk_errors(kept):
            kept.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(kept, msgspec.json.encode(_Remembered(looks, digest)))
    return digest


def _remembered(kept: Path, looks: str) -> str | None:
    try:
        found = msgspec.json.decode(kept.read_bytes(), type=_Remembered)
    except (OSError, msgspec.DecodeError):
        return None
    return found.digest if found.looks == looks else None


def _combined(files: FileList, contents: list[str]) -> str:
    """A tar is one content: all its bytes, and so its names."""
    names = [files.kind] if files.kind == "tar" else [member.name for member in files.members]
    state = hashlib.blake2b(digest_size=16)
    for name, content in [*zip(names, contents, strict=True), *sorted(files.texts.items())]:
        for text in (name, content):
            encoded = text.encode("utf-8", "surrogateescape")
            state.update(f"{len(encoded)} ".encode() + encoded)
    return state.hexdigest()


def _looks(files: FileList) -> Generator[Progress, None, tuple[str, float]]:
    """A hash of everything that is known without reading, and when the last of the files changed, in seconds."""
    lines, newest, told = list[str](), 0, time.monotonic()
    paths = _paths(files)
    for done, path in enumerate(paths):
        try:
            about = path.stat()
        except OSError as error:
            lines.append(f"{path}\0{error.errno}")
            continue
        lines.append(f"{path}\0{about.st_size} {about.st_mtime_ns} {about.st_ctime_ns} {about.st_ino} {about.st_dev}")
        newest = max(newest, about.st_ctime_ns, about.st_mtime_ns)
        if time.monotonic() - told > PROGRESS_SECONDS:
            told = time.monotonic()
            yield Progress(stage=_STAGE, done=done, total=len(paths), unit="files")
    texts = [f"{name}\0{text}" for name, text in sorted(files.texts.items())]
    return _short("\0\0".join([*lines, "", *texts])), newest / 1e9


def _read(files: FileList) -> Generator[Progress, None, list[str | None]]:
    """The digest of each file, None if it cannot be read."""
    paths, digests, told = _paths(files), list[str | None](), time.monotonic()
    with closing(in_parallel(_digest, paths)) as read:
        for _, digest in read:
            digests.append(digest)
            if time.monotonic() - told > PROGRESS_SECONDS:
                told = time.monotonic()
                yield Progress(stage=_STAGE, done=len(digests), total=len(paths), unit="files")
    return digests


def _paths(files: FileList) -> list[Path]:
    if files.kind == "tar":
        return [files.path.absolute()]
    folder = files.path.absolute()
    return [folder / member.name for member in files.members]


def _digest(path: Path) -> str | None:
    state = hashlib.blake2b(digest_size=16)
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                state.update(chunk)
    except OSError:
        return None
    return state.hexdigest()


def _short(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()
