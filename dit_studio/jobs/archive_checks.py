"""Whether a .dit-run file is what it should be; asked before anything of it is written."""

import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from dit_studio.errors import RunError
from dit_studio.jobs.archive_format import (
    FILES,
    FORMAT,
    MANIFEST,
    SUFFIX,
    VERSION,
    Manifest,
    why_not_name,
    why_not_run,
    why_not_together,
)

_MOST_MANIFEST_BYTES = 64 * 2**20
_MOST_TIMES_LARGER, _HARMLESS_BYTES = 200, 256 * 2**20  # unpacked, against the file
_ENCRYPTED = 0x1
_CHOOSE = f"Choose a {SUFFIX} file that Export… or dit-studio runs export wrote."
_COPY_AGAIN = "Copy or export it again; nothing was imported."


@contextmanager
def opened(path: Path) -> Iterator[tuple[zipfile.ZipFile, Manifest]]:
    """The archive and its manifest, checked as far as that goes without unpacking.

    Raises: RunError for a file that is missing, cut off, damaged, hostile, or of a later version.
    """
    with reading(path):
        if not path.is_file():
            raise RunError(f"{path} is not a file.", remedy=_CHOOSE)
        _need_readable(path)
        if not zipfile.is_zipfile(path):
            raise RunError(f"{path.name} is no exported run, or only the beginning of one.", remedy=_CHOOSE)
        with zipfile.ZipFile(path) as archive:
            manifest = _manifest(archive, path)
            _check_entries(archive, manifest, path)
            yield archive, manifest


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what a damaged file provokes inside the block into a sentence."""
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, UnicodeDecodeError) as error:
        raise RunError(f"{path.name} is damaged: {error}.", remedy=_COPY_AGAIN) from error


def _need_readable(path: Path) -> None:
    try:
        path.open("rb").close()
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror or error}.", remedy=_CHOOSE) from error


def damaged(path: Path, why: str) -> RunError:
    return RunError(f"{path.name} is damaged: {why}.", remedy=_COPY_AGAIN)


def _manifest(archive: zipfile.ZipFile, path: Path) -> Manifest:
    infos = [info for info in archive.infolist() if info.filename == MANIFEST]
    if len(infos) != 1 or infos[0].file_size > _MOST_MANIFEST_BYTES or infos[0].flag_bits & _ENCRYPTED:
        raise RunError(f"{path.name} is no exported run: it has no manifest that can be read.", remedy=_CHOOSE)
    try:
        manifest = msgspec.json.decode(archive.read(infos[0]), type=Manifest)
    except ValueError as error:  # msgspec's errors are ValueErrors
        raise damaged(path, f"its manifest cannot be read ({error})") from error
    if manifest.format != FORMAT:
        raise RunError(f"{path.name} is no exported run: it calls itself {manifest.format!r}.", remedy=_CHOOSE)
    if manifest.version != VERSION:
        raise RunError(
            f"{path.name} is of version {manifest.version}, and this program reads version {VERSION}.",
            remedy="Update DiT Studio, or export the run again with this version.",
        )
    return manifest


def _check_entries(archive: zipfile.ZipFile, manifest: Manifest, path: Path) -> None:
    """Raises: RunError unless the entries are those of the manifest, and each may be written where it belongs."""
    names = [info.filename for info in archive.infolist()]
    for info in archive.infolist():
        _check_entry(info, path)
    files = [file.path for file in manifest.files]
    if why_not := why_not_together(files) or why_not_together(names):
        raise damaged(path, why_not)
    if set(names) - {MANIFEST} != {FILES + file for file in files}:
        odd = next(iter(set(names) - {MANIFEST} ^ {FILES + file for file in files}), "")
        raise damaged(path, f"its manifest and its files differ, for instance in {odd.removeprefix(FILES)}")
    for file in manifest.files:
        if archive.getinfo(FILES + file.path).file_size != file.size_bytes:
            raise damaged(path, f"{file.path} has another size than its manifest says")
    if why_not := why_not_run(files):
        raise damaged(path, why_not)
    if "run.toml" not in files:
        raise RunError(f"{path.name} holds no run: it has no run.toml.", remedy=_CHOOSE)
    _check_sizes(archive, manifest, path)


def _check_entry(info: zipfile.ZipInfo, path: Path) -> None:
    name = info.filename.removeprefix(FILES)
    if why_not := why_not_name(name) or why_not_name(info.orig_filename):
        raise RunError(
            f"{path.name} holds a file that is called {name!r}, and {why_not}.",
            remedy="Do not trust it; ask whoever made it to export the run again.",
        )
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG) or info.is_dir():
        raise RunError(f"{path.name} holds {name}, which is a link or no plain file.", remedy="Do not trust it.")
    if info.flag_bits & _ENCRYPTED or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise RunError(f"{path.name} holds {name}, which is encrypted or packed in another way.", remedy=_CHOOSE)


def _check_sizes(archive: zipfile.ZipFile, manifest: Manifest, path: Path) -> None:
    """A bomb: entries that lie over one another, or that grow beyond measure."""
    size = path.stat().st_size
    if sum(info.compress_size for info in archive.infolist()) > size:
        raise damaged(path, "its files lie over one another")
    if manifest.size_bytes > max(_HARMLESS_BYTES, _MOST_TIMES_LARGER * size):
        raise RunError(
            f"{path.name} has {size / 1e6:,.1f} MB and would grow to {manifest.size_bytes / 1e6:,.0f} MB, more than "
            f"{_MOST_TIMES_LARGER} times as much.",
            remedy="Do not trust it; no run packs so well.",
        )
