"""Features of batches by one extractor, or by the same one on several devices; in the order of the batches."""

from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from queue import SimpleQueue

import numpy as np
from numpy.typing import NDArray

from dit_studio.engine.evaluation.extractors import Extractor, Features
from dit_studio.engine.evaluation.image_sources import ImageBatch

Hashed = Generator[tuple[ImageBatch, NDArray[np.uint64]], None, None]
Measured = tuple[ImageBatch, NDArray[np.uint64], dict[str, Features]]  # no features of an empty batch

_BATCHES_AHEAD = 2  # of each device


def features_in_turn(extractors: Sequence[Extractor], batches: Hashed) -> Generator[Measured, None, None]:
    """Each batch with its features. A batch goes whole to one device, so its features are those of one device alone.

    Closing it waits for the batches in work and closes `batches`.
    """
    with closing(batches):
        if len(extractors) == 1:
            for batch, hashes in batches:
                yield batch, hashes, _features(extractors[0], batch)
        else:
            yield from _on_several(extractors, batches)


def _on_several(extractors: Sequence[Extractor], batches: Hashed) -> Generator[Measured, None, None]:
    free: SimpleQueue[Extractor] = SimpleQueue()
    for extractor in extractors:
        free.put(extractor)

    def measure(batch: ImageBatch) -> dict[str, Features]:
        extractor = free.get()
        try:
            return _features(extractor, batch)
        finally:
            free.put(extractor)

    pool = ThreadPoolExecutor(len(extractors), thread_name_prefix="extracting")
    waiting: deque[tuple[ImageBatch, NDArray[np.uint64], Future[dict[str, Features]]]] = deque()
    try:
        for batch, hashes in batches:
            waiting.append((batch, hashes, pool.submit(measure, batch)))
            if len(waiting) >= _BATCHES_AHEAD * len(extractors):
                yield _first(waiting)
        while waiting:
            yield _first(waiting)
    finally:
        pool.shutdown(cancel_futures=True)


def _first(waiting: deque[tuple[ImageBatch, NDArray[np.uint64], Future[dict[str, Features]]]]) -> Measured:
    batch, hashes, features = waiting.popleft()
    return batch, hashes, features.result()


def _features(extractor: Extractor, batch: ImageBatch) -> dict[str, Features]:
    return extractor(batch.pixels) if len(batch.numbers) else {}
