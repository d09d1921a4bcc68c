"""One pass over a source: its features by an extractor, taken from the cache as far as they are there."""

import hashlib
import time
from collections import Counter
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dit_studio.engine.evaluation.extractors import Extractor
from dit_studio.engine.evaluation.feature_store import FeatureStore, Seen, open_store
from dit_studio.engine.evaluation.features import FeatureArray
from dit_studio.engine.evaluation.image_sources import Batches, ImageBatch, ImageSource
from dit_studio.engine.evaluation.read_ahead import read_ahead
from dit_studio.engine.image_files import Pixels
from dit_studio.errors import DataError
from dit_studio.events import Notice, Progress

_TOLD_SECONDS = 0.1


@dataclass(frozen=True, kw_only=True)
class Extracted:
    """Row i of each array is of the image with the number `numbers[i]`."""

    features: dict[str, FeatureArray]  # by output, (n, d), memory-mapped
    numbers: NDArray[np.int64]
    hashes: NDArray[np.uint64]  # equal for equal pixels
    seen: Seen

    @property
    def pixel_hash(self) -> str:
        """Of the pixels of all images measured, in any order: one for a folder, its copy, a zip and an .npz of them."""
        return hashlib.blake2b(np.sort(self.hashes).astype("<u8").tobytes(), digest_size=16).hexdigest()


def extract(
    source: ImageSource, extractor: Extractor, *, stage: str, count: int | None, seed: int, batch_size: int
) -> Generator[Notice | Progress, None, Extracted]:
    """The features of all images, or of `count` of them that the seed draws. Closed early, it keeps what there is.

    Raises: DataError if fewer than 2 images can be used, or features are not finite; DiskFullError or RunError.
    """
    wanted = drawn_numbers(source.count, count, seed)
    is_subset = len(wanted) < source.count
    content_hash = yield from source.hash_content()
    key = {
        "source": content_hash, "extractor": extractor.name, "weights": extractor.weights_sha256,
        "protocol": extractor.protocol, "count": len(wanted), "seed": seed if is_subset else 0,
    }  # fmt: skip
    with open_store(key, extractor.outputs) as store:
        if not store.is_complete:
            yield from _fill(store, source, extractor, wanted, stage=stage, batch_size=batch_size)
        _check_usable(source, store)
        return Extracted(features=store.features(), numbers=store.numbers(), hashes=store.hashes(), seen=store.seen)


def drawn_numbers(there: int, count: int | None, seed: int) -> NDArray[np.int64]:
    """Which images are measured, in order. Shape: (min(there, count),)."""
    if count is None or count >= there:
        return np.arange(there)
    return np.sort(np.random.default_rng(seed).choice(there, count, replace=False))


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
        with closing(read_ahead(_hashed(_even_batches(source, rest, batch_size)))) as batches:
            for batch, hashes in batches:
                if len(batch.numbers):
                    features = extractor(batch.pixels)
                    _check_finite(features, source, batch)
                    store.append(batch.numbers, hashes, features)
                    tally.add(batch)
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
        self._sizes, self._formats = Counter(before.sizes), Counter(before.formats)
        self._grey = before.grey if before.sizes else 0

    def add(self, batch: ImageBatch) -> None:
        height, width = batch.pixels.shape[2:]
        self._sizes[f"{width}×{height}"] += len(batch.numbers)
        self._formats.update(batch.formats)
        if self._grey is not None:
            self._grey += _grey_images(batch.pixels)

    def seen(self, source: ImageSource) -> Seen:
        left_out = source.left_out
        return Seen(
            sizes=dict(self._sizes),
            formats=dict(self._formats),
            grey=self._grey,
            left_out=left_out.count,
            problems=left_out.problems,
        )


def _grey_images(pixels: Pixels) -> int:
    """How many have the same in all channels. Shapes: (B, C, H, W)."""
    return int((pixels == pixels[:, :1]).all((1, 2, 3)).sum())


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
            yield batch, _hashes(batch.pixels)


def _hashes(pixels: Pixels) -> NDArray[np.uint64]:
    """Grey pixels have the hash of the same in three channels."""
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
