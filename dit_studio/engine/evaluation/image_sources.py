"""Where images to be measured come from, as a stream: a few batches are all it ever holds."""

import hashlib
import re
import zipfile
from collections import Counter
from collections.abc import Callable, Generator, Hashable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from dit_studio.engine import image_files
from dit_studio.engine.data import ImageSet
from dit_studio.engine.evaluation.content_digest import digest_files
from dit_studio.engine.evaluation.npz_stream import array_heads, check_whole, no_images, read_array, stream_array
from dit_studio.engine.file_list import FileList, list_files, looks_like_image
from dit_studio.engine.image_files import NOT_AN_IMAGE, Pixels, UnusableImageError
from dit_studio.engine.left_out import LeftOut
from dit_studio.engine.pictures import Picture, PictureSet, find_pictures, in_parallel
from dit_studio.errors import DataError
from dit_studio.events import Progress

Numbers = NDArray[np.int64]
_Item = TypeVar("_Item")

_OWN_INDICES = frozenset({"entry.json", "sweep.json", "trajectory.json"})  # of drawings
_OWN_FILES = re.compile(
    r"(entry|favourites|sweep|trajectory)\.json|sweep\.lock|sweep(-\d+)?\.png|(x_t|x_start|(un)?conditional)\.npy"
    r"|trajectory/evolution\..*"
)
_BATCHES_WAITING = 4  # of images of other sizes than their neighbours'


class ImageBatch(NamedTuple):
    """Images of one size: pixels (B, C, H, W) uint8, C = 1 or 3, and their numbers (B,) in the source's order."""

    pixels: Pixels
    numbers: Numbers
    formats: tuple[str, ...]  # (B,) of their files


Batches = Generator[ImageBatch, None, None]
Read = Callable[[Numbers, int], Batches]


@dataclass
class ImageSource:
    """A set of images. `sizes` (width, height), `formats` and `left_out` grow while images are read for the first time.

    `count` is how many images there may be; which of their files are broken shows as they are read.
    `content_hash` is what features are kept by: of the names and bytes of files, once `hash_content` was called; of the
    checksums in a zip or npz; of a data set, the fingerprint of its cache.
    `labels` (count,), where classes are known, count from 0 in the order of `class_names`, if those are known; of an
    .npz they are any numbers, and a negative one means no class, as one beyond 2⁶³ does.
    """

    path: str
    kind: str  # "folder", "zip", "tar", "npz" or "data set"
    count: int
    read: Read
    files: FileList | None = None  # those to hash
    content_hash: str = ""
    labels: Numbers | None = None
    class_names: tuple[str, ...] = ()
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    formats: Counter[str] = field(default_factory=Counter)
    left_out: LeftOut = field(default_factory=LeftOut)
    _seen: set[int] = field(default_factory=set, init=False)

    def hash_content(self) -> Generator[Progress, None, str]:
        """The content's hash. Files are read for it, unless they are as they were the last time."""
        if self.files is not None and not self.content_hash:
            self.content_hash = yield from digest_files(self.files)
        return self.content_hash

    @property
    def is_sorted_by_class(self) -> bool:
        """All of one class, then all of the next: no part of it stands for the whole."""
        if self.labels is None or len(self.labels) < 2:
            return False
        changes = int((np.diff(self.labels) != 0).sum())
        return 0 < changes == len(np.unique(self.labels)) - 1

    def batches(self, *, batch_size: int, wanted: Numbers | None = None) -> Batches:
        """All images, or those of the `wanted` numbers, each once; not always in order where sizes are mixed. A batch
        may be empty: one can stop at it.

        Raises: DataError if not one of all can be used, or the file is damaged.
        """
        numbers = np.arange(self.count) if wanted is None else np.unique(wanted)
        with closing(self.read(numbers, batch_size)) as batches:
            for batch in batches:
                self._note(batch)
                yield batch
        if wanted is None and not self._seen:
            why = f" {self.left_out.sentence(self.left_out.count)}" if self.left_out.count else ""
            raise DataError(f"{self.path} holds no image that can be used.{why}", remedy="Choose another source.")

    def _note(self, batch: ImageBatch) -> None:
        height, width = batch.pixels.shape[2:]
        for number, name in zip(batch.numbers.tolist(), batch.formats, strict=True):
            if number not in self._seen:
                self._seen.add(number)
                self.sizes[width, height] += 1
                self.formats[name] += 1


def open_source(path: str) -> Generator[Progress, None, ImageSource]:
    """The images of a folder, a zip, a tar or a sample .npz; the generator's value is the source.

    Raises: DataError if it is missing, empty, damaged, or holds no images.
    """
    if Path(path).suffix.lower() == ".npz":
        return npz_source(Path(path).expanduser())
    files = yield from list_files(path)
    return picture_source(files)


# ------------------------------------------------------------------------------------------------- files


def picture_source(files: FileList) -> ImageSource:
    """The pictures among the files, at their own sizes, upright and in RGB. Raises: DataError if there are none."""
    _forget_own_files(files)
    found = _with_every_image(files)
    members = _members(found)
    if members is not None and not len(members):
        raise DataError(f"{files.path} holds no image.", remedy="Choose a folder, a zip, a tar or an .npz of images.")
    count = len(members) if members is not None else found.total or 0
    return ImageSource(
        path=str(files.path),
        kind=files.kind,
        files=files,
        count=count,
        read=partial(_read_pictures, found, members, set()),
        labels=None if members is None or found.labels is None or not found.class_names else found.labels[members],
        class_names=found.class_names,
        left_out=files.left_out,
    )


def _forget_own_files(files: FileList) -> None:
    """What the studio writes beside the images that it draws is neither an image nor worth a word."""
    if _OWN_INDICES & {member.name for member in files.members}:
        files.members = [member for member in files.members if not _OWN_FILES.fullmatch(member.name)]


def _with_every_image(files: FileList) -> PictureSet:
    """With classes only where every image has one: an image without a class is measured all the same."""
    before = files.left_out
    files.left_out = LeftOut(before.problems, count=before.count)
    found = find_pictures(files, "auto")
    if found.labels is None or all(
        label >= 0 or not looks_like_image(member.name)
        for label, member in zip(found.labels.tolist(), files.members, strict=True)
    ):
        return found
    files.left_out = before
    return find_pictures(files, "none")


def _members(found: PictureSet) -> Numbers | None:
    """Which of the files are pictures by their names; None for records without names."""
    if found.labels is None:
        return None
    kept = []
    for index, (label, member) in enumerate(zip(found.labels.tolist(), found.files.members, strict=True)):
        if looks_like_image(member.name):
            kept.append(index)
        elif label >= 0:
            found.files.left_out.add(member.name, NOT_AN_IMAGE)
    return np.array(kept, np.int64)


def _read_pictures(
    found: PictureSet, members: Numbers | None, broken: set[int], wanted: Numbers, batch_size: int
) -> Batches:
    numbers = dict(zip((wanted if members is None else members[wanted]).tolist(), wanted.tolist(), strict=True))
    with found.open() as opened:
        chosen = (picture for picture in opened if picture.number in numbers)
        with closing(in_parallel(_decode, chosen)) as decoded:
            yield from _by_size(_usable(decoded, numbers, broken, found.files), batch_size)


def _decode(picture: Picture) -> tuple[Pixels, str] | str:
    """Pixels (3, H, W) and format, or why the picture cannot be used."""
    if isinstance(picture.content, np.ndarray):
        return picture.content, "CIFAR"
    try:
        with picture.content() as file:
            return image_files.decode_whole(file)
    except UnusableImageError as error:
        return str(error)
    except OSError as error:
        return image_files.reason(error)


class _Decoded(NamedTuple):
    number: int
    pixels: Pixels
    format: str


def _usable(
    decoded: Iterator[tuple[Picture, tuple[Pixels, str] | str]],
    numbers: dict[int, int],
    broken: set[int],
    files: FileList,
) -> Iterator[_Decoded]:
    """Those that could be decoded; the others are listed once, however often they are tried."""
    for picture, result in decoded:
        if not isinstance(result, str):
            yield _Decoded(numbers[picture.number], *result)
        elif picture.number not in broken:
            broken.add(picture.number)
            files.left_out.add(picture.name, result)


def _by_size(images: Iterator[_Decoded], batch_size: int) -> Batches:
    for group in groups_by_size(((image.pixels.shape, image) for image in images), batch_size):
        yield _batch(group)


def groups_by_size(items: Iterable[tuple[Hashable, _Item]], batch_size: int) -> Iterator[list[_Item]]:
    """Groups of equal sizes; items that wait for others of their size are never more than some groups in all."""
    waiting: dict[Hashable, list[_Item]] = {}
    held = 0
    for size, item in items:
        waiting.setdefault(size, []).append(item)
        held += 1
        largest = max(waiting, key=lambda size: len(waiting[size]))
        if len(waiting[largest]) == batch_size or held == _BATCHES_WAITING * batch_size:
            held -= len(waiting[largest])
            yield waiting.pop(largest)
    yield from waiting.values()


def _batch(group: list[_Decoded]) -> ImageBatch:
    numbers, pixels, formats = zip(*group, strict=True)
    return ImageBatch(np.stack(pixels), np.array(numbers, np.int64), formats)


# ------------------------------------------------------------------------------------------------- arrays


def npz_source(path: Path) -> ImageSource:
    """The images of an .npz as evaluators of this field write it: arr_0 uint8 (N, H, W, 3 or 1), labels in arr_1.

    Raises: DataError if arr_0 is missing, cut short, no bytes, or of another shape.
    """
    heads = array_heads(path)
    head = heads.get("arr_0")
    if head is None:
        there = ", ".join(f'"{name}"' for name in heads) or "nothing"
        raise DataError(
            f'{path} holds no images: there is no array "arr_0", but {there}.',
            remedy="Choose an .npz of samples; saved statistics can only be a reference.",
        )
    shape, dtype = head.shape, head.dtype
    if dtype.hasobject:
        raise DataError(
            f'"arr_0" in {path} holds pickled Python objects, which could run code and are never opened.',
            remedy="Save the images as uint8 of shape (N, H, W, 3), 0 … 255, with numpy.savez.",
        )
    if shape[:1] == (0,):
        raise no_images(path, shape)
    if dtype != np.uint8 or len(shape) != 4 or shape[3] not in (1, 3) or 0 in shape:
        raise DataError(
            f'"arr_0" in {path} is {dtype} of shape {shape}; images are uint8 of shape (N, H, W, 3 or 1).',
            remedy="Save the images as bytes 0…255, the channel last.",
        )
    check_whole(path, "arr_0")
    labels_fit = "arr_1" in heads and heads["arr_1"].shape == shape[:1] and heads["arr_1"].dtype.kind in "iu"
    return ImageSource(
        path=str(path),
        kind="npz",
        content_hash=_checksums(path),
        count=shape[0],
        read=partial(_read_npz, path),
        labels=read_array(path, "arr_1").astype(np.int64) if labels_fit else None,
    )


def _read_npz(path: Path, wanted: Numbers, batch_size: int) -> Batches:
    """A batch of every block that is read, even if none of its images is wanted."""
    if not len(wanted):
        return
    first = int(wanted[0])
    with closing(stream_array(path, "arr_0", batch_size=batch_size, start=first)) as arrays:
        for array in arrays:
            numbers = wanted[slice(*np.searchsorted(wanted, [first, first + len(array)]))]
            pixels = np.ascontiguousarray(array[numbers - first].transpose(0, 3, 1, 2))
            yield ImageBatch(pixels, numbers, ("NPZ",) * len(pixels))
            first += len(array)
            if first > wanted[-1]:
                return


def _checksums(path: Path) -> str:
    """A hash of the names, sizes and checksums of the arrays, without reading them."""
    state = hashlib.blake2b(digest_size=16)
    with zipfile.ZipFile(path) as archive:
        for info in sorted(archive.infolist(), key=lambda info: info.filename):
            state.update(f"{info.filename}\0{info.file_size} {info.CRC}\0".encode())
    return state.hexdigest()


def data_set_source(images: ImageSet) -> ImageSource:
    """The images of a run's data set as it was trained on: cut to squares, in the run's size, from its cache."""
    return ImageSource(
        path=images.path,
        kind="data set",
        content_hash=images.fingerprint,
        count=len(images.labels),
        read=partial(_read_array, images.images),
        labels=images.labels if images.class_names else None,
        class_names=images.class_names,
        left_out=LeftOut(images.problems, count=len(images.problems)),
    )


def _read_array(images: Pixels, wanted: Numbers, batch_size: int) -> Batches:
    for first in range(0, len(wanted), batch_size):
        numbers = wanted[first : first + batch_size]
        yield ImageBatch(np.ascontiguousarray(images[numbers]), numbers, ("cache",) * len(numbers))
