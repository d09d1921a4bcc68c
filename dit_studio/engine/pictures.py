"""The pictures of a data set, one after the other, with their classes, and work on many of them in parallel."""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dit_studio.engine import image_files
from dit_studio.engine.cifar import SIDE, Cifar, find_cifar
from dit_studio.engine.file_list import FileList, Opener, open_members
from dit_studio.engine.image_files import Header, Pixels, UnusableImageError
from dit_studio.engine.labels import find_classes
from dit_studio.errors import DataError

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class Picture(NamedTuple):
    """One picture: a file to open, or the pixels themselves (3, 32, 32)."""

    number: int
    name: str
    label: int
    content: Opener | Pixels


@dataclass(frozen=True)
class PictureSet:
    """What a data set holds; `labels` is known beforehand for files only."""

    files: FileList
    source: str
    sources: tuple[str, ...]
    class_names: tuple[str, ...]
    total: int | None
    labels: NDArray[np.int64] | None = None
    cifar: Cifar | None = None
    warnings: tuple[str, ...] = ()

    @contextmanager
    def open(self) -> Iterator[Iterator[Picture]]:
        """The pictures; inside the block each can be read in any thread."""
        if self.cifar is not None:
            with closing(self._records(self.cifar)) as records:
                yield records
        else:
            assert self.labels is not None
            labels, members = self.labels.tolist(), self.files.members
            with open_members(self.files, np.flatnonzero(self.labels >= 0).tolist()) as opened:
                yield (Picture(index, members[index].name, labels[index], opener) for index, opener in opened)

    def _records(self, cifar: Cifar) -> Generator[Picture, None, None]:
        has_classes = bool(self.class_names)
        for index, (name, label, pixels) in enumerate(cifar.records()):
            yield Picture(index, name, label if has_classes else 0, pixels)


def find_pictures(files: FileList, classes: str) -> PictureSet:
    """The pictures among the files; `classes` says where their classes come from, as in a recipe.

    Raises: DataError if they cannot come from there.
    """
    if (cifar := find_cifar(files)) is not None:
        return _cifar_pictures(files, cifar, classes)
    found = find_classes(files, classes)
    return PictureSet(
        files=files,
        source=found.source,
        sources=found.sources,
        class_names=found.names,
        total=int((found.labels >= 0).sum()),
        labels=found.labels,
        warnings=found.warnings,
    )


def _cifar_pictures(files: FileList, cifar: Cifar, classes: str) -> PictureSet:
    if classes not in ("auto", "labels", "none"):
        raise DataError(
            f'{files.path} holds CIFAR batches, which cannot be sorted by classes = "{classes}".',
            remedy="Possible here: auto, labels, none.",
        )
    unused = "Only the training images are used; the test images stay unseen."
    return PictureSet(
        files=files,
        source="none" if classes == "none" else "cifar",
        sources=("labels",),
        class_names=() if classes == "none" else cifar.class_names(),
        total=cifar.total,
        cifar=cifar,
        warnings=(unused,) if cifar.has_unused_test else (),
    )


def check(picture: Picture) -> Header | str:
    """What the picture says of itself, or why it cannot be used."""
    if isinstance(picture.content, np.ndarray):
        return Header(SIDE, SIDE, picture.content.tobytes())
    try:
        with picture.content() as file:
            return image_files.check(file)
    except (UnusableImageError, OSError) as error:
        return _reason(error)


def decode(picture: Picture, *, image_size: int, color: str) -> Pixels | str:
    """The pixels (C, image_size, image_size), or why the picture cannot be used."""
    if isinstance(picture.content, np.ndarray):
        image = Image.fromarray(picture.content.transpose(1, 2, 0).copy())
        return image_files.fit(image, image_size=image_size, color=color)
    try:
        with picture.content() as file:
            return image_files.decode(file, image_size=image_size, color=color)
    except (UnusableImageError, OSError) as error:
        return _reason(error)


def _reason(error: Exception) -> str:
    return image_files.reason(error) if isinstance(error, OSError) else str(error)


def in_parallel(
    function: Callable[[_Item], _Result], items: Iterable[_Item]
) -> Generator[tuple[_Item, _Result], None, None]:
    """Each item with its result, in order, a few of them under way at a time.

    Threads do, for Pillow decodes and scales without holding the interpreter's lock.
    """
    workers = min(16, os.cpu_count() or 1)
    pool = ThreadPoolExecutor(workers, thread_name_prefix="images")
    waiting: deque[tuple[_Item, Future[_Result]]] = deque()
    try:
        for item in items:
            waiting.append((item, pool.submit(function, item)))
            if len(waiting) >= 4 * workers:
                first, result = waiting.popleft()
                yield first, result.result()
        while waiting:
            first, result = waiting.popleft()
            yield first, result.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
