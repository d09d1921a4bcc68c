"""One pass over a source: its features by an extractor, taken from the cache as far as they are there."""

import hashlib
import itertools
import time
from collections import Counter
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dit_studio.engine.evaluation.extractors import Extractor
from dit_studio.engine.evaluation.feature_store import FeatureStore, Look, Seen, open_store, stored
from dit_studio.engine.evaluation.features import FeatureArray
from dit_studio.engine.evaluation.image_sources import Batches, ImageBatch, ImageSource, groups_by_size
from dit_studio.engine.evaluation.in_turn import features_in_turn
from dit_studio.engine.evaluation.read_ahead import read_ahead
from dit_studio.engine.image_files import Pixels
from dit_studio.errors import DataError
from dit_studio.events import Notice, Progress

_TOLD_SECONDS = 0.1
_COPIED_ROWS = 4096  # at once


@dataclass(frozen=True, kw_only=True)
class Extracted:
    """Row i of each array is of the image with the number `numbers[i]`."""

    features: dict[str, FeatureArray]  # by output, (n, d), memory-mapped
    numbers: NDArray[np.int64]
    hashes: NDArray[np.uint64]  # equal for equal pixels
    seen: Seen

    @property
    def pixel_hash(self) -> str:
        return pixel_hash(self.hashes)


def pixel_hash(hashes: NDArray[np.uint64]) -> str:
    """Of the pixels of all images, in any order: one for a folder, its copy, a zip and an .npz of them."""
    return hashlib.blake2b(np.sort(hashes).astype("<u8").tobytes(), digest_size=16).hexdigest()


def extract(
    source: ImageSource,
    extractor: Extractor,
    *,
    stage: str,
    count: int | None,
    seed: int,
    batch_size: int,
    is_whole_read: bool = False,
) -> Generator[Notice | Progress, None, Extracted]:
    """The features of all images, or of `count` of them that the seed draws. Closed early, it keeps what there is.

    Those of some images are copied where those of all are there, or were extracted a moment ago (`is_whole_read`) as
    far as they can be.
    Raises: DataError if fewer than 2 images can be used, or features are not finite; DiskFullError or RunError.
    """
    wanted = drawn_numbers(source.count, count, seed)
    is_subset = len(wanted) < source.count
    content_hash = yield from source.hash_content()
    key = {
        "source": content_hash, "extractor": extractor.name, "weights": extractor.weights_sha256,
        "protocol": extractor.protocol, "count": len(wanted), "seed": seed if is_subset else 0,
    }  # fmt: skip
    with open_store(key, extractor.outputs, path=source.path) as store:
        if is_subset and not store.is_complete:
            whole = stored(key | {"count": source.count, "seed": 0}, extractor.outputs)
            yield from _copy(store, whole, source, wanted, stage=stage, batch_size=batch_size, is_all=is_whole_read)
        if not store.is_complete:
            yield from _fill(store, source, extractor, wanted, stage=stage, batch_size=batch_size)
        _check_usable(source, store)
        return Extracted(features=store.features(), numbers=store.numbers(), hashes=store.hashes(), seen=store.seen)


def drawn_numbers(there: int, count: int | None, seed: int) -> NDArray[np.int64]:
    """Which images are measured, in order. Shape: (min(there, count),)."""
    if count is None or count >= there:
        return np.arange(there)
    return np.sort(np.random.default_rng(seed).choice(there, count, replace=False))


def _copy(
    store: FeatureStore, whole: FeatureStore, source: ImageSource, wanted: NDArray[np.int64], *, stage: str,
    batch_size: int, is_all: bool,
) -> Generator[Progress, None, None]:  # fmt: skip
    """Take what is missing from the features of all images, in the order in which it would be extracted.

    Where some are not there and might be extracted (not `is_all`), nothing is taken.
    """
    rest = np.setdiff1d(wanted, store.numbers())
    numbers, hashes, looks, features = whole.numbers(), whole.hashes(), whole.looks(), whole.features()
    rows = np.intersect1d(rest, numbers, assume_unique=True, return_indices=True)[2]
    if len(rows) < len(rest) and not is_all:
        return
    tally = _Tally(store.seen)
    seen = [whole.seen.looks[look] for look in looks[rows].tolist()]
    order = _order(source, [look.size for look in seen], batch_size)
    for first in range(0, len(rows), _COPIED_ROWS):
        part = order[first : first + _COPIED_ROWS]
        at = rows[part]
        store.append(
            numbers[at],
            hashes=hashes[at],
            looks=tally.add([seen[place] for place in part]),
            features={name: array[at] for name, array in features.items()},
        )
        yield Progress(stage=stage, done=store.rows, total=len(wanted), unit="images")
    store.commit(tally.seen(source), is_complete=store.rows == len(wanted), now=True)


def _order(source: ImageSource, sizes: list[str], batch_size: int) -> list[int]:
    """In which images of these sizes, in the order of their numbers, come out of a source."""
    if source.kind in ("npz", "data set"):
        return list(range(len(sizes)))
    return [place for group in groups_by_size(zip(sizes, itertools.count()), batch_size) for place in group]


def _fill(
    store: FeatureStore, source: ImageSource, extractor: Extractor, wanted: NDArray[np.int64], *, stage: str,
    batch_size: int,
) -> Generator[Notice | Progress, None, None]:  # fmt: skip
    """Extract what is missing. What is left of the images falls into the same batches as without an interruption."""
    tally, rest = _Tally(store.seen), np.setdiff1d(wanted, store.numbers())
    done_before, started, told = store.rows, time.monotonic(), 0.0
    is_complete = False
    if store.rows and len(rest) > store.seen.left_out:
        yield Notice(message=f"{stage}: {store.rows:,} of {len(wanted):,} images are kept from before; going on.")
    yield Progress(stage=stage, done=store.rows, total=len(wanted), unit="images")
    try:
        batches = read_ahead(_hashed(_even_batches(source, rest, batch_size)))
        with closing(features_in_turn([extractor, *extractor.copies], batches)) as measured:
            for batch, hashes, features in measured:
                if len(batch.numbers):
                    _check_finite(features, source, batch)
                    store.append(batch.numbers, hashes=hashes, looks=tally.add(_looks(batch)), features=features)
                    store.commit(tally.seen(source))
                if (now := time.monotonic()) - told > _TOLD_SECONDS:
                    told, rate = now, (store.rows - done_before) / (now - started)
                    yield Progress(stage=stage, done=store.rows, total=len(wanted), unit="images", rate=rate)
        is_complete = store.rows == len(wanted)  # else the others are tried again next time
    finally:
        store.commit(tally.seen(source), is_complete=is_complete, now=True)
    rate = (store.rows - done_before) / max(1e-9, time.monotonic() - started)
    yield Progress(stage=stage, done=store.rows, total=store.rows, unit="images", rate=rate)


class _Tally:
    """Sizes, formats and colours of the images that are in the store; broken files are tried again by each process."""

    def __init__(self, before: Seen) -> None:
        self._sizes, self._formats, self._grey = Counter(before.sizes), Counter(before.formats), before.grey
        self._looks = {look: place for place, look in enumerate(before.looks)}

    def add(self, looks: list[Look]) -> NDArray[np.uint32]:
        """Count them. Gives their places in `Seen.looks`."""
        self._sizes.update(look.size for look in looks)
        self._formats.update(look.format for look in looks)
        self._grey += sum(look.is_grey for look in looks)
        return np.array([self._looks.setdefault(look, len(self._looks)) for look in looks], np.uint32)

    def seen(self, source: ImageSource) -> Seen:
        left_out = source.left_out
        return Seen(
            sizes=dict(self._sizes),
            formats=dict(self._formats),
            grey=self._grey,
            looks=tuple(self._looks),
            left_out=left_out.count,
            problems=left_out.problems,
        )


def _looks(batch: ImageBatch) -> list[Look]:
    """Grey: the same in all channels."""
    height, width = batch.pixels.shape[2:]
    is_grey = (batch.pixels == batch.pixels[:, :1]).all((1, 2, 3)).tolist()
    return [Look(f"{width}×{height}", name, grey) for name, grey in zip(batch.formats, is_grey, strict=True)]


def _even_batches(source: ImageSource, wanted: NDArray[np.int64], batch_size: int) -> Batches:
    """Of an array every batch but the last is full or empty, whichever of its images are wanted."""
    batches = source.batches(batch_size=batch_size, wanted=wanted)
    if source.kind != "npz":
        yield from batches
        return
    waiting: ImageBatch | None = None
    with closing(batches):
        for batch in batches:
            waiting = batch if waiting is None else _joined(waiting, batch)
            full = batch_size if len(waiting.numbers) >= batch_size else 0
            yield _part(waiting, slice(0, full))
            waiting = _part(waiting, slice(full, None))
    if waiting is not None and len(waiting.numbers):
        yield waiting


def _joined(first: ImageBatch, second: ImageBatch) -> ImageBatch:
    return ImageBatch(
        np.concatenate([first.pixels, second.pixels]),
        np.concatenate([first.numbers, second.numbers]),
        first.formats + second.formats,
    )


def _part(batch: ImageBatch, rows: slice) -> ImageBatch:
    return ImageBatch(batch.pixels[rows], batch.numbers[rows], batch.formats[rows])


def _hashed(batches: Batches) -> Generator[tuple[ImageBatch, NDArray[np.uint64]], None, None]:
    """Each batch with a hash of every image in it, which is made where the images are read."""
    with closing(batches):
        for batch in batches:
            yield batch, hashes_of(batch.pixels)


def hashes_of(pixels: Pixels) -> NDArray[np.uint64]:
    """Of each image's pixels; grey ones have the hash of the same in three channels.

    Shapes: (B, 3 or 1, H, W) -> (B,).
    """
    pixels = np.broadcast_to(pixels, (len(pixels), 3, *pixels.shape[2:]))
    shape = str(pixels.shape[1:]).encode()
    digests = [b""]
    for image in pixels:
        state = hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=8)
        state.update(shape)
        digests.append(state.digest())
    return np.frombuffer(b"".join(digests), "<u8").astype(np.uint64)


def _check_finite(features: dict[str, NDArray[np.float32]], source: ImageSource, batch: ImageBatch) -> None:
    for values in features.values():
        if (bad := ~np.isfinite(values).all(1)).any():
            raise DataError(
                f"The features of image {int(batch.numbers[bad.argmax()])} of {source.path} are not all finite.",
                remedy="The image or the weights are damaged, or the device is at fault. What was extracted is kept.",
            )


def _check_usable(source: ImageSource, store: FeatureStore) -> None:
    if store.rows < 2:
        why = f" {store.seen.problems[0].file}: {store.seen.problems[0].reason}." if store.seen.problems else ""
        there = "only one image" if store.rows else "no image"
        raise DataError(
            f"{source.path} holds {there} that can be used; a comparison needs at least two.{why}",
            remedy="Choose another source, or add images.",
        )
