"""A data set: what a folder or archive holds, and its images as an array on disk. Needs no torch."""

import hashlib
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from dit_studio.config import DataConfig
from dit_studio.engine import cache, pictures
from dit_studio.engine.cache import CachedImages
from dit_studio.engine.data_scan import scan
from dit_studio.engine.file_list import PROGRESS_SECONDS, FileList, list_files
from dit_studio.engine.image_files import PASSING_REASONS, Pixels
from dit_studio.engine.pictures import PictureSet, find_pictures, in_parallel
from dit_studio.errors import DataError
from dit_studio.events import FileProblem, Notice, Progress

__all__ = ["ImageSet", "load", "scan"]

_MAX_VALIDATION_IMAGES = 512

EachImage = Callable[[Pixels, int], None]  # pixels (C, H, W) and their key


@dataclass(frozen=True)
class ImageSet:
    """The images of a data set.

    Shapes: images (N, C, H, W), C = 3 or 1, H = W, read from disk as they are used; labels (N,), all 0 without
    classes; keys (N,), equal for equal pixels, computed from them when not given.
    """

    images: Pixels
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    fingerprint: str  # of files and options
    problems: tuple[FileProblem, ...]  # the first thousand files left out
    path: str
    keys: NDArray[np.uint64] | None = None

    def split(self, validation_fraction: float, seed: int = 0) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Sorted numbers of the training and of the validation images.

        Content decides which are held out, not the order of the files; each class gives its share, never its last
        image; equal images stay together; at most 512 are held out.
        """
        keys = self.keys if self.keys is not None else np.array([_key(image) for image in self.images], np.uint64)
        ranks = _mixed(keys, seed)
        counts = np.bincount(self.labels)
        held_out = [np.empty(0, np.int64)]
        for label, wanted in enumerate(_held_out_per_class(counts, validation_fraction)):
            members = np.flatnonzero(self.labels == label)
            members = members[np.argsort(ranks[members], kind="stable")]
            if wanted and wanted < len(members):
                wanted = int(np.searchsorted(ranks[members], ranks[members[wanted]]))  # keep equal images together
            held_out.append(members[:wanted])
        validation = np.sort(np.concatenate(held_out))
        return np.setdiff1d(np.arange(len(self.labels)), validation), validation


def _held_out_per_class(counts: NDArray[np.int64], fraction: float) -> list[int]:
    """How many of each class, by largest remainders."""
    spare = np.maximum(counts - 1, 0)
    total = int(counts.sum())
    if fraction <= 0 or not spare.any():
        return [0] * len(counts)
    wanted = min(max(1, round(fraction * total)), _MAX_VALIDATION_IMAGES, int(spare.sum()))
    quota = np.minimum(wanted * counts / total, spare)
    result = np.floor(quota).astype(np.int64)
    for label in np.argsort(result - quota, kind="stable"):
        result[label] += int(result.sum() < wanted and result[label] < spare[label])
    return [int(number) for number in result]


def _key(pixels: Pixels) -> int:
    return int.from_bytes(hashlib.blake2b(pixels.tobytes(), digest_size=8).digest(), "little")


def _mixed(keys: NDArray[np.uint64], seed: int) -> NDArray[np.uint64]:
    """A pseudo-random number for each key and seed: splitmix64 (Steele et al. 2014, doi:10.1145/2660193.2660195)."""
    mixed = keys + np.uint64((seed + 1) * 0x9E3779B97F4A7C15 % 2**64)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def load(
    config: DataConfig, *, follow: Callable[[str], EachImage] | None = None
) -> Generator[Progress | Notice, None, ImageSet]:
    """The images of a recipe's [data], from the cache, or decoded into it first.

    `follow`: takes the fingerprint where images are decoded now, and gives what each of them is handed to, in order.
    The generator's value is the data set. Closing it early stops at once and leaves no half-filled cache.
    Raises: DataError if fewer than two images can be used; DiskFullError or RunError if the cache has no place.
    """
    files = yield from list_files(config.path)
    key = fingerprint_of(files, config)
    cached = cache.open_cache(key)
    if cached is not None and any(problem.reason in PASSING_REASONS for problem in cached.left_out.problems):
        cache.forget(key)  # what was in the way of these files may be gone
        cached = None
    if cached is None:
        yield from _fill(files, config, key, follow(key) if follow else None)
        cached = cache.open_cache(key)
        if cached is None:
            raise DataError(f"The decoded images of {files.path} cannot be read back.", remedy="Check the disk.")
    if cached.left_out.count:
        total = cached.left_out.count + len(cached.labels)
        yield Notice(message=cached.left_out.sentence(total), level="warning")
    return _image_set(cached, key, str(files.path))


def find_fingerprint(config: DataConfig) -> Generator[Progress, None, str]:
    """That of the data set which `load` would give now, without decoding it. Raises: DataError as `load`."""
    files = yield from list_files(config.path)
    return fingerprint_of(files, config)


def open_decoded(fingerprint: str, path: str) -> ImageSet | None:
    """A data set that was decoded before, whatever became of its files; None if it is not kept any more."""
    cached = cache.open_cache(fingerprint) if fingerprint else None
    return None if cached is None else _image_set(cached, fingerprint, path)


def _image_set(cached: CachedImages, key: str, path: str) -> ImageSet:
    return ImageSet(
        images=cached.images,
        labels=cached.labels,
        class_names=cached.class_names,
        fingerprint=key,
        problems=cached.left_out.problems,
        path=path,
        keys=cached.keys,
    )


def fingerprint_of(files: FileList, config: DataConfig) -> str:
    """Of a data set: what it is kept by once it is decoded."""
    options = f"{cache.VERSION} {files.fingerprint} {config.image_size} {config.color} {config.classes}"
    return hashlib.blake2b(options.encode(), digest_size=16).hexdigest()


def _fill(files: FileList, config: DataConfig, key: str, each: EachImage | None) -> Iterator[Progress]:
    found = find_pictures(files, config.classes)
    shape = (1 if config.color == "grey" else 3, config.image_size, config.image_size)
    with cache.new_cache(key, shape, expected=found.total or 0) as writer:
        for done in _decode_into(writer, found, config, each):
            yield Progress(stage="Preparing images", done=done, total=found.total, unit="images")
        if len(writer) < 2:
            raise files.too_few(len(writer))
        writer.finish(found.class_names, files.left_out)


def _decode_into(
    writer: cache.CacheWriter, found: PictureSet, config: DataConfig, each: EachImage | None
) -> Iterator[int]:
    """Yields how many are done: at the start, now and then, and at the end."""
    decode = partial(pictures.decode, image_size=config.image_size, color=config.color)
    done, told = 0, time.monotonic()
    yield 0
    with found.open() as opened, closing(in_parallel(decode, opened)) as results:
        for done, (picture, result) in enumerate(results, 1):
            if isinstance(result, str):
                found.files.left_out.add(picture.name, result)
            else:
                key = _key(result)
                writer.append(result, label=picture.label, key=key)
                if each:
                    each(result, key)
            if time.monotonic() - told > PROGRESS_SECONDS:
                told = time.monotonic()
                yield done
    yield done
