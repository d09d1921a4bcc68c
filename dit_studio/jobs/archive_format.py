"""What a .dit-run file is: a zip of one run's files, and a manifest with the size and SHA-256 of each.

Weights and pictures are stored as they are, text is deflated. Every name is checked on both sides.
"""

import unicodedata
from collections.abc import Iterable
from pathlib import PurePosixPath

import msgspec

SUFFIX = ".dit-run"
MANIFEST = "manifest.json"
FILES = "run/"  # what the names of the run's files begin with
FORMAT, VERSION = "dit-studio run", 1
_IMPOSSIBLE_LETTERS = set('\\:*?"<>|')  # on some system or other
_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10))}
_FOLDERS_OF_A_RUN = ("checkpoints", "previews", "commands")
_FILES_OF_A_RUN = ("run.toml", "status.json", "events.jsonl", "label.json", "environment.json", "run.lock")
_MOST_IN_A_PART, _MOST_IN_A_NAME = 200, 1000  # bytes


class ArchivedFile(msgspec.Struct, frozen=True, kw_only=True):
    path: str  # below the run folder, with slashes
    size_bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The contents of manifest.json."""

    format: str
    version: int
    name: str = ""  # of the run's folder
    program: str = ""  # that wrote it, with its version
    files: tuple[ArchivedFile, ...] = ()

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)


def why_not_name(name: str) -> str:
    """Why a file of this name cannot be put below a run folder, on whichever system; "" if it can."""
    if name.startswith("/"):
        return "it is an absolute path"
    parts = name.split("/")
    if ".." in parts:
        return "it leads out of the run folder"
    if "" in parts or "." in parts:
        return "it has an empty part"
    if not name.isprintable() or any(letter in _IMPOSSIBLE_LETTERS for letter in name):
        return "it has a letter that no file may have on some systems"
    if any(part[-1] in " ." or PurePosixPath(part).stem.casefold() in _RESERVED for part in parts):
        return "it is a name that Windows keeps for itself"
    try:
        sizes = [len(part.encode()) for part in parts]
    except UnicodeEncodeError:
        return "it is not UTF-8"
    return "it is too long" if max(sizes) > _MOST_IN_A_PART or len(name) > _MOST_IN_A_NAME else ""


def folded(name: str) -> str:
    """The same for two names that some system takes for one."""
    return unicodedata.normalize("NFC", name).casefold()


def why_not_together(names: Iterable[str]) -> str:
    """Why these files cannot lie in one folder: two of one name, or a file where another needs a folder; "" if so."""
    seen: set[str] = set()
    for name in names:
        if folded(name) in seen:
            return f"it holds {name} twice"
        seen.add(folded(name))
    for name in seen:
        if any(str(parent) in seen for parent in PurePosixPath(name).parents):
            return f"{name} lies in what is a file"
    return ""


def why_not_run(names: Iterable[str]) -> str:
    """Why these files are not those of a run: a file where it has a folder, or the other way round; "" if they are."""
    for name in names:
        top, slash, _ = folded(name).partition("/")
        if top in _FOLDERS_OF_A_RUN and not slash:
            return f"{name} is a file, and in a run it is a folder"
        if top in _FILES_OF_A_RUN and slash:
            return f"{top} is a folder, and in a run it is a file"
    return ""
