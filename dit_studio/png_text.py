"""The texts inside a PNG, read without looking at its pixels. The file may come from anybody: every size is capped."""

import re
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from dit_studio.errors import DataError

MOST_TEXT_BYTES = 64 * 1024  # of one text, once decompressed
_MOST_CHUNKS = 100_000
_MOST_TEXTS = 64
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHUNK_NAME = re.compile(rb"[A-Za-z]{4}")


class PngTextError(DataError):
    """The file is no PNG, or cannot be read."""


def read_texts(path: Path) -> dict[str, str]:
    """The texts of a PNG by their keys, of those with one key the first; what is damaged or too long is left out.

    Raises: PngTextError if the file cannot be read, or is no PNG.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise PngTextError(f"{path} is not a file.", remedy="Choose a PNG that DiT Studio wrote.")
        with path.open("rb") as file:
            if file.read(len(_SIGNATURE)) != _SIGNATURE:
                raise PngTextError(f"{path} is not a PNG.", remedy="Settings are kept in PNG files alone.")
            texts: dict[str, str] = {}
            for kind, data in _text_chunks(file):
                if (entry := _decode(kind, data)) is not None:
                    texts.setdefault(*entry)
            return texts
    except (OSError, ValueError) as error:  # ValueError: a path with a null character
        raise PngTextError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.") from error


def _text_chunks(file: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """The text chunks up to the end of the picture, or to where the file stops making sense."""
    found = 0
    for _ in range(_MOST_CHUNKS):
        head = file.read(8)
        kind, length = head[4:], int.from_bytes(head[:4])
        if len(head) < 8 or kind == b"IEND" or not _CHUNK_NAME.fullmatch(kind) or length >= 2**31:
            return
        if kind in (b"tEXt", b"zTXt", b"iTXt") and length <= 2 * MOST_TEXT_BYTES:
            data = file.read(length)
            if len(data) < length or found == _MOST_TEXTS:
                return
            found += 1
            yield kind, data
            length = 0
        file.seek(length + 4, 1)  # what is left of it, and its checksum


def _decode(kind: bytes, data: bytes) -> tuple[str, str] | None:
    """Key and text of a chunk (PNG specification, 11.3.3); None if it is damaged or too long."""
    key, _, rest = data.partition(b"\0")
    try:
        if kind == b"tEXt":
            text = rest
        elif kind == b"zTXt":
            text = _inflate(rest[1:])
        else:
            is_compressed = rest[:1] == b"\1"
            text = rest[2:].split(b"\0", 2)[2]
            text = _inflate(text) if is_compressed else text
        if len(text) > MOST_TEXT_BYTES:
            return None
        return key.decode("latin-1"), text.decode("utf-8" if kind == b"iTXt" else "latin-1")
    except (IndexError, UnicodeDecodeError, zlib.error):
        return None


def _inflate(data: bytes) -> bytes:
    """At most one byte more than is allowed, however much more it would be."""
    return zlib.decompressobj().decompress(data, MOST_TEXT_BYTES + 1)
