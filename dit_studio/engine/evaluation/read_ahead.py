"""Batches read while the one before is measured, so that decoding hides behind the network."""

from collections import deque
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_Item = TypeVar("_Item")


def read_ahead(items: Generator[_Item, None, None], *, depth: int = 2) -> Generator[_Item, None, None]:
    """The same items in the same order, `depth` of them drawn beforehand in a thread. No item is None.

    Closing it waits for the item under way and closes `items`; what `items` raises comes out where it would have.
    """
    pool = ThreadPoolExecutor(1, thread_name_prefix="read-ahead")
    try:
        waiting = deque(pool.submit(next, items, None) for _ in range(depth))
        while (item := waiting.popleft().result()) is not None:
            waiting.append(pool.submit(next, items, None))
            yield item
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        items.close()
