"""CIFAR-10 and CIFAR-100 as published: binary batches, or Python pickles read without running anything.

Source: Krizhevsky 2009, https://www.cs.toronto.edu/~kriz/cifar.html (both layouts are described there).
"""

import io
import pickle
import re
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dit_studio.engine.file_list import FileList, open_members
from dit_studio.engine.image_files import Pixels, UnusableImageError
from dit_studio.errors import DataError

SIDE = 32
_PIXEL_BYTES = 3 * SIDE * SIDE
_CIFAR10_NAMES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


class _Layout(NamedTuple):
    train: str  # what a batch of training images is called
    test: str
    names: str  # the file with the names of the classes
    label_bytes: int  # in the binary layout; 0 marks pickles
    classes: int


_LAYOUTS = (
    _Layout(r"data_batch_\d+\.bin", r"test_batch\.bin", "batches.meta.txt", 1, 10),
    _Layout(r"data_batch_\d+", r"test_batch", "batches.meta", 0, 10),
    _Layout(r"train\.bin", r"test\.bin", "fine_label_names.txt", 2, 100),
    _Layout(r"train", r"test", "meta", 0, 100),
)


@dataclass(frozen=True)
class Cifar:
    """The batches found in a list of files."""

    files: FileList
    layout: _Layout
    batches: tuple[int, ...]  # numbers of members
    has_unused_test: bool

    @property
    def total(self) -> int | None:
        """How many images there are; pickles tell only when they are read."""
        if not self.layout.label_bytes:
            return None
        width = self.layout.label_bytes + _PIXEL_BYTES
        return sum(self.files.members[index].size_bytes // width for index in self.batches)

    def class_names(self) -> tuple[str, ...]:
        """Raises: DataError if the file that names them is not what it should be."""
        if self.layout.label_bytes:
            texts = [text for name, text in self.files.texts.items() if PurePosixPath(name).name == self.layout.names]
            names = texts[0].split() if texts else []
        else:
            names = self._pickled_names()
        if len(names) == self.layout.classes:
            return tuple(names)
        return tuple(_CIFAR10_NAMES if self.layout.classes == 10 else map(str, range(self.layout.classes)))

    def _pickled_names(self) -> list[str]:
        wanted = [index for index, member in enumerate(self.files.members)
                  if PurePosixPath(member.name).name == self.layout.names]  # fmt: skip
        for name, content in _contents(self.files, wanted[:1]):
            table = _read_pickle(name, content)
            names = table.get("fine_label_names", table.get("label_names", []))
            if isinstance(names, list) and all(isinstance(item, str | bytes) for item in names):
                return [_text(item) for item in names]
        return []

    def records(self) -> Generator[tuple[str, int, Pixels], None, None]:
        """Name, label and pixels (3, 32, 32) of each image. Raises: DataError if a batch is damaged or unsafe."""
        with closing(_contents(self.files, self.batches)) as contents:
            for name, content in contents:
                read = self._read_binary if self.layout.label_bytes else self._read_pickled
                labels, pixels = read(name, content)
                if not ((labels >= 0) & (labels < self.layout.classes)).all():
                    raise _not_a_batch(name, f"a label lies outside 0…{self.layout.classes - 1}")
                for index in range(len(labels)):
                    yield f"{name} #{index}", int(labels[index]), pixels[index].reshape(3, SIDE, SIDE)

    def _read_binary(self, name: str, content: bytes) -> tuple[NDArray[np.int64], Pixels]:
        """Records of one or two label bytes (coarse, fine), then 3072 bytes of pixels."""
        width = self.layout.label_bytes + _PIXEL_BYTES
        if not content or len(content) % width:
            raise _not_a_batch(name, f"{len(content):,} bytes are no whole number of {width}-byte records")
        rows = np.frombuffer(content, np.uint8).reshape(-1, width)
        return rows[:, self.layout.label_bytes - 1].astype(np.int64), rows[:, self.layout.label_bytes :]

    def _read_pickled(self, name: str, content: bytes) -> tuple[NDArray[np.int64], Pixels]:
        batch = _read_pickle(name, content)
        labels = batch.get("fine_labels", batch.get("labels"))
        data = batch.get("data")
        if not isinstance(data, _Array) or not isinstance(labels, list) or not all(type(x) is int for x in labels):
            raise _not_a_batch(name, "it needs an array called data and a list of numbers called labels")
        pixels = data.as_bytes_array(name)
        if pixels.shape != (len(labels), _PIXEL_BYTES):
            raise _not_a_batch(name, f"its array has shape {pixels.shape}, and there are {len(labels)} labels")
        return np.array(labels, np.int64), pixels


def find_cifar(files: FileList) -> Cifar | None:
    """The batches among the files, if that is what they are; the test images only where no others are."""
    names = [PurePosixPath(member.name).name for member in files.members]
    described = {*names, *(PurePosixPath(name).name for name in files.texts)}
    for layout in _LAYOUTS:
        train = [index for index, name in enumerate(names) if re.fullmatch(layout.train, name)]
        test = [index for index, name in enumerate(names) if re.fullmatch(layout.test, name)]
        if (train or test) and (layout.names in described or (train and layout.classes == 10)):
            return Cifar(files, layout, tuple(train or test), has_unused_test=bool(train and test))
    return None


def _contents(files: FileList, wanted: Sequence[int]) -> Generator[tuple[str, bytes], None, None]:
    with open_members(files, wanted) as members:
        for index, opener in members:
            name = files.members[index].name
            try:
                with opener() as file:
                    content = file.read()
            except (OSError, UnusableImageError) as error:
                raise _not_a_batch(name, str(error)) from error
            yield name, content


def _not_a_batch(name: str, why: str) -> DataError:
    return DataError(f"{name} is not a batch of CIFAR images: {why}.", remedy="Download the data set again.")


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("utf-8", "replace")


# ------------------------------------------------------------------------------------------------- pickles


class _DataType:
    """Stands for numpy.dtype while a pickle is read."""

    def __init__(self, name: Any = "", *_options: Any) -> None:
        self.name = _text(name) if isinstance(name, str | bytes) else ""

    def __setstate__(self, state: Any) -> None:
        """Byte order and the like, which bytes do not have."""


class _Array:
    """Stands for numpy.ndarray while a pickle is read: the state is kept, and checked when it is asked for."""

    def __init__(self) -> None:
        self._state: Any = None

    def __setstate__(self, state: Any) -> None:
        self._state = state

    def as_bytes_array(self, name: str) -> Pixels:
        """The array, if it is one of two dimensions of bytes. Raises: DataError."""
        match self._state:
            case (int(), (int(rows), int(columns)), _DataType() as kind, bool(is_fortran), bytes(content)):
                if kind.name in ("u1", "uint8", "|u1") and rows >= 0 and rows * columns == len(content):
                    order: Any = "F" if is_fortran else "C"
                    return np.frombuffer(content, np.uint8).reshape((rows, columns), order=order)
        raise _not_a_batch(name, "its array is not one of bytes")


def _reconstruct(*_arguments: Any) -> _Array:
    return _Array()


def _from_buffer(content: Any, kind: Any, shape: Any, order: Any) -> _Array:
    array = _Array()
    array.__setstate__((1, shape, kind, order == "F", bytes(content) if isinstance(content, bytearray) else content))
    return array


def _encode(text: Any, encoding: Any = "") -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1", b"latin1"):
        raise pickle.UnpicklingError("_codecs.encode is only for bytes written as latin-1 text")
    return text.encode("latin-1")


_ALLOWED = {
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _reconstruct for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _from_buffer for core in ("core", "_core")},
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _DataType,
    ("_codecs", "encode"): _encode,
}


class _SafeUnpickler(pickle.Unpickler):
    """Knows dict, list, tuple, bytes, str, numbers and the stand-ins above; any other name is refused."""

    def __init__(self, name: str, content: bytes) -> None:
        super().__init__(io.BytesIO(content), encoding="bytes")
        self._name = name

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _ALLOWED:
            return _ALLOWED[module, name]
        raise _refused(self._name, f"{module}.{name}")

    def persistent_load(self, pid: Any) -> Any:
        raise _refused(self._name, f"an object outside the file ({pid!r})")


def _refused(name: str, what: str) -> DataError:
    return DataError(
        f"{name} is refused: it asks for {what}, which a batch of images does not need, and which could "
        "run a program. Nothing of it was run.",
        remedy="Download the data set again, from its own site.",
    )


def _read_pickle(name: str, content: bytes) -> dict[str, Any]:
    """The dict in a pickle, its keys as text. Raises: DataError if there is anything else in it."""
    try:
        table = _SafeUnpickler(name, content).load()
    except DataError:
        raise
    except Exception as error:  # a damaged pickle raises whatever it likes
        raise _not_a_batch(name, str(error) or type(error).__name__) from error
    if not isinstance(table, dict):
        raise _not_a_batch(name, "it holds no dict")
    return {_text(key): value for key, value in table.items() if isinstance(key, str | bytes)}
