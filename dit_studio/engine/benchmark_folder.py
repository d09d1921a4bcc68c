"""A folder for a benchmark's files, with a cache of its own in it, that is gone afterwards."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_CACHE = "DIT_STUDIO_CACHE"


@contextmanager
def benchmark_folder() -> Iterator[Path]:
    """What is cached within, is cached there."""
    before = os.environ.get(_CACHE)
    with tempfile.TemporaryDirectory(prefix="dit-studio-benchmark-", ignore_cleanup_errors=True) as folder:
        os.environ[_CACHE] = str(Path(folder) / "cache")
        try:
            yield Path(folder)
        finally:
            del os.environ[_CACHE]
            if before is not None:
                os.environ[_CACHE] = before
