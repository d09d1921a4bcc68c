"""The files of a folder, a zip or a tar: which there are, and how each is opened. Nothing is ever unpacked to disk."""

import hashlib
import io
import lzma
import os
import re
import stat
import tarfile
import time
import zipfile
import zlib
from collections import deque
from collections.abc import Callable, Collection, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Literal, NamedTuple

from dit_studio.engine.image_files import SUFFIXES, UnusableImageError
from dit_studio.engine.left_out import LeftOut
from dit_studio.errors import DataError
from dit_studio.events import Progress

MAX_FILE_BYTES = 1 << 30
PROGRESS_SECONDS = 0.05

# Files that describe the images; they are read whole.
_TEXTS = frozenset(
    {"labels.csv", "metadata.csv", "metadata.jsonl"}  # classes
    | {"loc_synset_mapping.txt", "synset_words.txt", "words.txt", "classes.txt"}  # names of ImageNet's classes
    | {"batches.meta.txt", "fine_label_names.txt"}  # names of CIFAR's classes
)
_JUNK = frozenset({"thumbs.db", "desktop.ini", "__macosx", "@eadir"})
_ARCHIVE_ERRORS = (OSError, EOFError, zlib.error, lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile)

Opener = Callable[[], BinaryIO]


class Member(NamedTuple):
    name: str  # relative, with "/" between the parts
    size_bytes: int
    stamp: int  # when it was written, or its checksum


@dataclass
class FileList:
    """What may be images, in natural order, and the texts that describe them, by name."""

    path: Path
    kind: Literal["folder", "zip", "tar"]
    members: list[Member] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)
    left_out: LeftOut = field(default_factory=LeftOut)
    fingerprint: str = ""

    def too_few(self, usable: int) -> DataError:
        """What to raise when one image or none is left."""
        why = f" {self.left_out.sentence(self.left_out.count + usable)}" if self.left_out.count else ""
        count = "only one image" if usable else "no image"
        return DataError(
            f"{self.path} holds {count} that can be used; training needs at least two.{why}",
            remedy="Choose another folder, or add images.",
        )


def list_files(path: str) -> Generator[Progress, None, FileList]:
    """What a folder or an archive holds, junk and hidden files aside.

    Raises: DataError if it is missing, empty, not to be opened, or neither folder nor archive.
    """
    files = _open_list(path)
    told = time.monotonic()
    seen: set[str] = set()
    texts: list[Member] = []
    yield Progress(stage="Looking for images", done=0, unit="files")
    for member in _WALKS[files.kind](files):
        if member.name in seen:
            files.left_out.add(member.name, "a second file of the same name in the archive")
            continue
        seen.add(member.name)
        (texts if PurePosixPath(member.name).name.lower() in _TEXTS else files.members).append(member)
        if time.monotonic() - told > PROGRESS_SECONDS:
            told = time.monotonic()
            yield Progress(stage="Looking for images", done=len(seen), unit="files")
    if not files.members:
        raise _empty(files)
    files.members.sort(key=lambda member: natural_key(member.name))
    files.fingerprint = _fingerprint(files, texts)
    _read_texts(files, texts)
    return files


@contextmanager
def open_members(files: FileList, wanted: Collection[int]) -> Iterator[Iterator[tuple[int, Opener]]]:
    """The members of these numbers, and how to open each; a tar's come in its own order, read already.

    Inside the block an opener may be called in any thread; it may raise OSError or UnusableImageError.
    """
    if files.kind == "folder":
        yield ((index, partial(_open_file, files.path / files.members[index].name)) for index in sorted(wanted))
    elif files.kind == "zip":
        with zipfile.ZipFile(files.path) as archive:
            yield ((index, partial(_open_zipped, archive, files.members[index].name)) for index in sorted(wanted))
    else:
        with closing(_read_tar(files, wanted)) as members:
            yield members


def looks_like_image(name: str) -> bool:
    """By its name alone, a file may be an image."""
    suffix = PurePosixPath(name).suffix.lower()
    return suffix in SUFFIXES or not suffix


def natural_key(text: str) -> tuple[list[str | int], str]:
    """Sorts "img2" before "img10"."""
    parts: list[str | int] = list(re.split(r"([0-9]{1,99})", text.casefold()))
    parts[1::2] = map(int, parts[1::2])
    return parts, text


# ------------------------------------------------------------------------------------------------- opening


def _open_list(path: str) -> FileList:
    if not path.strip():
        raise DataError("No images are chosen.", remedy="Choose a folder, a zip or a tar of images.")
    place = Path(path).expanduser()
    with _naming_access(place):
        mode = place.stat().st_mode
        if stat.S_ISDIR(mode):
            return FileList(place, "folder")
        if stat.S_ISREG(mode):
            if zipfile.is_zipfile(place):
                return FileList(place, "zip")
            if _is_tar(place):
                return FileList(place, "tar")
    if place.suffix.lower() in SUFFIXES:
        raise DataError(f"{place} is a single file.", remedy="Choose the folder that holds the images.")
    raise DataError(
        f"{place} is neither a folder nor a zip or tar archive.",
        remedy="Choose a folder, a zip or a tar of images; if this is an archive, it is damaged.",
    )


def _is_tar(path: Path) -> bool:
    try:
        return tarfile.is_tarfile(path)
    except (EOFError, zlib.error, lzma.LZMAError):
        return False


@contextmanager
def _naming_access(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist.", remedy="Check the path, or choose another folder.") from error
    except PermissionError as error:
        raise DataError(
            f"There is no permission to read {path}.", remedy="Change its permissions, or choose another folder."
        ) from error
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be opened: {error}.", remedy="Choose another folder.") from error


def _empty(files: FileList) -> DataError:
    why = f" {files.left_out.sentence(files.left_out.count)}" if files.left_out.count else ""
    return DataError(f"{files.path} holds no files.{why}", remedy="Choose a folder, a zip or a tar of images.")


def _fingerprint(files: FileList, texts: list[Member]) -> str:
    """A hash of every name, size and time (in a zip: checksum); a data set that is moved keeps it."""
    state = hashlib.blake2b(digest_size=16)
    if files.kind != "folder":
        about = files.path.stat()
        state.update(f"{about.st_size} {about.st_mtime_ns}".encode())
    for member in sorted([*files.members, *texts]):
        state.update(f"\0{member.name}\0{member.size_bytes} {member.stamp}".encode("utf-8", "surrogateescape"))
    return state.hexdigest()


def _read_texts(files: FileList, texts: list[Member]) -> None:
    described = FileList(files.path, files.kind, members=texts)
    with open_members(described, range(len(texts))) as members:
        for index, opener in members:
            name = texts[index].name
            try:
                with opener() as file:
                    files.texts[name] = file.read().decode("utf-8-sig")
            except UnicodeDecodeError:
                files.left_out.add(name, "not read: its text is not UTF-8")
            except (OSError, UnusableImageError) as error:
                files.left_out.add(name, f"not read: {error}")


# ------------------------------------------------------------------------------------------------- folders


def _walk_folder(files: FileList) -> Iterator[Member]:
    """Every regular file below; each folder once, links to folders after all real ones."""
    visited: set[tuple[int, int]] = set()
    waiting = deque([""])
    while waiting:
        folder = waiting.popleft()
        for entry in _entries(files, folder, visited):
            name = f"{folder}/{entry.name}" if folder else entry.name
            try:
                if entry.is_dir():
                    (waiting.append if entry.is_symlink() else waiting.appendleft)(name)
                elif stat.S_ISREG((about := entry.stat()).st_mode):
                    yield Member(name, about.st_size, about.st_mtime_ns)
                else:
                    files.left_out.add(name, "not a regular file")
            except OSError as error:
                dangling = isinstance(error, FileNotFoundError) and entry.is_symlink()
                files.left_out.add(name, "a link that leads nowhere" if dangling else _access(error))


def _entries(files: FileList, folder: str, visited: set[tuple[int, int]]) -> list[os.DirEntry[str]]:
    """What lies in a folder, unless it was visited before or lies above the whole data set."""
    path = files.path / folder
    try:
        about = path.stat()
        place = (about.st_dev, about.st_ino)
        if place in visited or (path.is_symlink() and folder and files.path.resolve().is_relative_to(path.resolve())):
            files.left_out.add(folder, "a link to a folder that is read already, or to one around it")
            return []
        visited.add(place)
        with os.scandir(path) as entries:
            return [entry for entry in entries if not _is_junk(entry.name)]
    except OSError as error:
        if not folder:
            with _naming_access(files.path):
                raise
        files.left_out.add(folder, f"a folder that cannot be opened: {_access(error)}")
        return []


def _open_file(path: Path) -> BinaryIO:
    return path.open("rb")


def _is_junk(name: str) -> bool:
    return name.startswith(".") or name.lower() in _JUNK


def _access(error: OSError) -> str:
    return "no permission" if isinstance(error, PermissionError) else error.strerror or str(error)


# ------------------------------------------------------------------------------------------------- archives


def _walk_zip(files: FileList) -> Iterator[Member]:
    with _naming_access(files.path):
        try:
            with zipfile.ZipFile(files.path) as archive:
                infos = archive.infolist()
        except zipfile.BadZipFile as error:
            raise DataError(
                f"{files.path} is a damaged zip archive: {error}.", remedy="Download or pack it again."
            ) from error
    for info in infos:
        if info.is_dir() or not _is_wanted(files, info.filename, info.file_size):
            continue
        if info.flag_bits & 1:
            files.left_out.add(info.filename, "encrypted")
        else:
            yield Member(info.filename, info.file_size, info.CRC)


def _open_zipped(archive: zipfile.ZipFile, name: str) -> BinaryIO:
    try:
        return io.BytesIO(archive.read(name))
    except (*_ARCHIVE_ERRORS, NotImplementedError) as error:
        raise UnusableImageError(f"damaged in the archive: {error}") from error


def _read_tar(files: FileList, wanted: Collection[int]) -> Generator[tuple[int, Opener], None, None]:
    numbers = {files.members[index].name: index for index in wanted}
    with closing(_tar_members(files)) as members:
        for archive, info in members:
            if info.isfile() and (number := numbers.pop(info.name, None)) is not None:
                yield number, partial(_open_packed, *_read_packed(archive, info))
            if not numbers:
                return


def _read_packed(archive: tarfile.TarFile, info: tarfile.TarInfo) -> tuple[bytes, str]:
    """Content and what is wrong with it."""
    try:
        file = archive.extractfile(info)
        assert file is not None
        return file.read(), ""
    except _ARCHIVE_ERRORS as error:
        return b"", f"damaged in the archive: {error}"


def _open_packed(content: bytes, problem: str) -> BinaryIO:
    if problem:
        raise UnusableImageError(problem)
    return io.BytesIO(content)


def _walk_tar(files: FileList) -> Iterator[Member]:
    found = False
    try:
        for _, info in _tar_members(files):
            if info.isdir():
                continue
            if not info.isfile():
                files.left_out.add(info.name, "a link or a device in the archive")
            elif _is_wanted(files, info.name, info.size):
                found = True
                yield Member(info.name, info.size, int(info.mtime))
    except DataError as error:
        if not found:
            raise
        files.left_out.add(files.path.name, error.message)


def _tar_members(files: FileList) -> Generator[tuple[tarfile.TarFile, tarfile.TarInfo], None, None]:
    """Raises: DataError where the archive breaks off."""
    name = ""
    with _naming_access(files.path):
        file = files.path.open("rb")
    try:
        with file, tarfile.open(fileobj=file) as archive:
            while (info := archive.next()) is not None:
                name = info.name
                yield archive, info
                archive.members.clear()  # type: ignore[attr-defined]  # else a million members stay in memory
    except _ARCHIVE_ERRORS as error:
        raise DataError(
            f'{files.path} is a damaged tar archive: it breaks off after "{name}" ({error}).',
            remedy="Download or pack it again.",
        ) from error


def _is_wanted(files: FileList, name: str, size_bytes: int) -> bool:
    path = PurePosixPath(name)
    if any(_is_junk(part) for part in path.parts if part not in (".", "..")):
        return False
    if path.is_absolute() or ".." in path.parts:
        files.left_out.add(name, "its name leads out of the archive")
    elif size_bytes > MAX_FILE_BYTES:
        files.left_out.add(name, f"too large: {size_bytes:,} bytes, the limit is {MAX_FILE_BYTES:,}")
    else:
        return True
    return False


_WALKS: dict[str, Callable[[FileList], Iterator[Member]]] = {
    "folder": _walk_folder,
    "zip": _walk_zip,
    "tar": _walk_tar,
}
