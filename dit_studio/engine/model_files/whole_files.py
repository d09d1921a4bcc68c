"""Whether a file of weights is whole, told from its outside: no tensor is read and no pickle opened."""

import json
import zipfile
import zlib
from pathlib import Path

_LENGTH_BYTES = 8
_MOST_HEAD_BYTES = 100 * 2**20
_BEFORE_ZIP = b"\x80\x02\x8a\x0a"  # how torch's files began until 2020; where they end cannot be told


def why_not_whole(path: Path) -> str:
    """What is said of a file that was cut short: "is cut short: …"; empty if it is whole, as far as can be seen."""
    try:
        return _safetensors(path) if path.suffix == ".safetensors" else _zip(path)
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"


def why_damaged(path: Path) -> str:
    """As `why_not_whole`, of a file that torch wrote, with every checksum inside it."""
    if why := _zip(path):
        return why
    try:
        with zipfile.ZipFile(path) as archive:
            wrong = archive.testzip()
    except (zipfile.BadZipFile, zlib.error, OSError) as error:
        return f"is damaged: {error}"
    return f"is damaged: the checksum of {wrong} is wrong" if wrong else ""


def _zip(path: Path) -> str:
    """torch writes zip archives, whose directory stands at their end."""
    with path.open("rb") as file:
        is_old = file.read(len(_BEFORE_ZIP)) == _BEFORE_ZIP
    return "" if is_old or zipfile.is_zipfile(path) else "is cut short, or no file that torch wrote"


def _safetensors(path: Path) -> str:
    size_bytes = path.stat().st_size
    with path.open("rb") as file:
        head_bytes = int.from_bytes(file.read(_LENGTH_BYTES), "little")
        head = file.read(head_bytes) if head_bytes <= min(_MOST_HEAD_BYTES, size_bytes) else b""
    try:
        ends = [about["data_offsets"][1] for name, about in json.loads(head).items() if name != "__metadata__"]
        needed = _LENGTH_BYTES + head_bytes + max(ends, default=0)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        return "is cut short, or no safetensors file"
    return "" if size_bytes >= needed else f"is cut short: {size_bytes:,} of {needed:,} bytes"
