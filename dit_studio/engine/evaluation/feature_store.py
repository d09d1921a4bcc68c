"""Features kept on the disk: written batch by batch, found again by what they were made of and how.

Rows are appended to plain files; `state.json`, replaced atomically, says how many of them count. So a process that is
stopped or killed loses a few seconds of work, and the next one goes on behind the last row that counts.
"""

import contextlib
import hashlib
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import numpy as np
from numpy.typing import NDArray

from dit_studio.engine.evaluation.features import FeatureArray
from dit_studio.errors import RunError, ShapeError
from dit_studio.events import FileProblem
from dit_studio.files import naming_disk_errors, remove_folder, write_atomically
from dit_studio.locks import is_locked, locked
from dit_studio.places import cache_dir

VERSION = 4  # raise it when extraction changes what lands in the cache
_COMMIT_SECONDS = 2.0
MOST_KEPT_BYTES = 20 * 2**30  # in all; beyond it the features that were used longest ago go
_COLUMNS: dict[
    str, np.dtype[Any]
] = {  # of each image: its number, a hash of its pixels, which of the looks that were seen it has
    "numbers": np.dtype("<i8"),
    "hashes": np.dtype("<u8"),
    "looks": np.dtype("<u4"),
}
_FEATURES = np.dtype("<f4")


class Look(msgspec.Struct, frozen=True):
    """What the file of an image is like."""

    size: str  # "width×height"
    format: str
    is_grey: bool


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What extraction learned of the source's files."""

    sizes: dict[str, int] = {}  # "width×height"
    formats: dict[str, int] = {}
    grey: int = 0  # images
    looks: tuple[Look, ...] = ()  # each once
    left_out: int = 0
    problems: tuple[FileProblem, ...] = ()


class _State(msgspec.Struct, frozen=True, kw_only=True):
    version: int
    outputs: dict[str, int]
    rows: int
    is_complete: bool
    seen: Seen


class FeatureStore:
    """The features of one source by one extractor. `outputs`: the length of each kind of vector, by name."""

    def __init__(self, folder: Path, outputs: Mapping[str, int]) -> None:
        self._folder, self._outputs = folder, dict(outputs)
        self._files: dict[str, BinaryIO] = {}
        self._committed_at = time.monotonic()
        state = self._read_state()
        self.rows, self.is_complete, self.seen = state.rows, state.is_complete, state.seen

    def append(
        self,
        numbers: NDArray[np.int64],
        *,
        hashes: NDArray[np.uint64],
        looks: NDArray[np.uint32],
        features: Mapping[str, NDArray[Any]],
    ) -> None:
        """A batch of rows. Raises: ShapeError if the features are of another width; DiskFullError or RunError."""
        columns: dict[str, NDArray[Any]] = {"numbers": numbers, "hashes": hashes, "looks": looks, **features}
        for name, width in self._outputs.items():
            if columns[name].shape != (len(numbers), width):
                raise ShapeError(
                    f'The "{name}" of {len(numbers)} images have the shape {columns[name].shape} in place of '
                    f"{(len(numbers), width)}.",
                    remedy="The extractor's weights are of another model: choose those that it was published with.",
                )
        with naming_disk_errors(self._folder):
            for name, (dtype, width) in self._layout().items():
                rows = np.ascontiguousarray(columns[name], dtype)
                self._file(name, dtype.itemsize * width).write(rows.data)
        self.rows += len(numbers)

    def commit(self, seen: Seen, *, is_complete: bool = False, now: bool = False) -> None:
        """Make the rows so far count, if the last time was a while ago. Raises: DiskFullError or RunError."""
        if not (now or is_complete) and time.monotonic() - self._committed_at < _COMMIT_SECONDS:
            return
        with naming_disk_errors(self._folder):
            for file in self._files.values():
                file.flush()
                os.fsync(file.fileno())
        self.seen, self.is_complete = seen, is_complete
        state = _State(
            version=VERSION, outputs=self._outputs, rows=self.rows, is_complete=is_complete, seen=self.seen
        )  # fmt: skip
        write_atomically(self._folder / "state.json", msgspec.json.encode(state))
        self._committed_at = time.monotonic()

    def numbers(self) -> NDArray[np.int64]:
        """The images' numbers in their source, row by row. Shape: (n,)."""
        numbers: NDArray[np.int64] = np.array(self._column("numbers"))
        return numbers

    def hashes(self) -> NDArray[np.uint64]:
        """Equal for equal pixels. Shape: (n,)."""
        hashes: NDArray[np.uint64] = np.array(self._column("hashes"))
        return hashes

    def looks(self) -> NDArray[np.uint32]:
        """Places in `seen.looks`. Shape: (n,)."""
        looks: NDArray[np.uint32] = np.array(self._column("looks"))
        return looks

    def features(self) -> dict[str, FeatureArray]:
        """Each kind, memory-mapped. Shapes: (n, outputs[name]), float32."""
        return {name: self._column(name) for name in self._outputs}

    def close(self) -> None:
        for file in self._files.values():
            file.close()
        self._files.clear()

    def _layout(self) -> dict[str, tuple[np.dtype[Any], int]]:
        columns = {name: (dtype, 1) for name, dtype in _COLUMNS.items()}
        return columns | {name: (_FEATURES, width) for name, width in self._outputs.items()}

    def _column(self, name: str) -> NDArray[Any]:
        dtype, width = self._layout()[name]
        shape = (self.rows, width) if name in self._outputs else (self.rows,)
        if not self.rows:
            return np.empty(shape, dtype)
        return np.memmap(self._path(name), dtype, mode="r", shape=shape)

    def _file(self, name: str, row_bytes: int) -> BinaryIO:
        """Open behind the last row that counts; what a killed process wrote after it goes."""
        if name not in self._files:
            file = self._path(name).open("ab")
            file.truncate(self.rows * row_bytes)
            self._files[name] = file
        return self._files[name]

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.bin"

    def _read_state(self) -> _State:
        """As it was left; empty if it is damaged, of another layout, or its files are shorter than it says."""
        empty = _State(version=VERSION, outputs=self._outputs, rows=0, is_complete=False, seen=Seen())
        try:
            state = msgspec.json.decode((self._folder / "state.json").read_bytes(), type=_State)
            is_usable = state.version == VERSION and state.outputs == self._outputs
            for name, (dtype, width) in self._layout().items():
                is_usable &= not state.rows or self._path(name).stat().st_size >= state.rows * width * dtype.itemsize
        except (OSError, msgspec.DecodeError):
            return empty
        return state if is_usable else empty


def stored(key: Mapping[str, Any], outputs: Mapping[str, int]) -> FeatureStore:
    """What there is so far of what `key` says, to be read only."""
    return FeatureStore(_folder_of(_text_of(key)), outputs)


@contextmanager
def open_store(key: Mapping[str, Any], outputs: Mapping[str, int], *, path: str) -> Iterator[FeatureStore]:
    """The store of what `key` says: of which images, by which extractor. One process at a time may hold it.

    Raises: RunError that names the images' `path` if another one does, or the place is not writable.
    """
    text = _text_of(key)
    folder = _folder_of(text)
    with naming_disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "key.json").exists():
            write_atomically(folder / "key.json", text)
        os.utime(folder)  # it was used
    remove_oldest(folder.parent, keeping=folder)
    with locked(folder / "lock") as is_ours:
        if not is_ours:
            raise RunError(
                f"The features of {path} are being extracted by another process.",
                remedy="Wait until it has ended.",
            )
        with contextlib.closing(FeatureStore(folder, outputs)) as store:
            yield store


def _text_of(key: Mapping[str, Any]) -> bytes:
    return msgspec.json.encode(dict(sorted(key.items())))


def _folder_of(text: bytes) -> Path:
    return cache_dir() / "features" / hashlib.sha256(text).hexdigest()[:24]


def remove_oldest(parent: Path, *, keeping: Path, most_bytes: int = MOST_KEPT_BYTES) -> None:
    """Take away whole stores, unless somebody is writing them, until no more than `most_bytes` are left."""
    stores = [path for path in parent.iterdir() if path.is_dir() and not path.name.startswith(".")]
    sizes = {path: sum(file.stat().st_size for file in path.iterdir()) for path in stores}
    total = sum(sizes.values())
    for path in sorted(stores, key=lambda path: path.stat().st_mtime):
        if total <= most_bytes:
            return
        if path != keeping and not is_locked(path / "lock"):
            with naming_disk_errors(path):
                remove_folder(path)
            total -= sizes[path]
