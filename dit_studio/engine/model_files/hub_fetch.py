"""Fetches files of a model into the hub's cache. Runs in a process of its own, which can be stopped at once.

Its arguments: the model's name, the cache, an address of the hub or "", and `Wanted` as JSON. It says on stdout how
many bytes there are, and at its end on stderr why it failed. The hub's client fetches a file anew after it was stopped,
so the large ones are fetched here, into the place where the client then finds them. It ends when its stdin does, which
is when whoever started it is gone.
"""

import errno
import json
import os
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

from huggingface_hub import HfApi, get_hf_file_metadata, hf_hub_url, snapshot_download
from huggingface_hub.file_download import http_get

from dit_studio.engine.model_files.hub_models import Wanted

_TIMEOUT_SECONDS = 30


def fetch(repo: str, cache: Path, endpoint: str | None, files: Wanted) -> None:
    """Raises: whatever the hub's client raises, and LookupError if the model has no weights of a wanted name."""
    about = HfApi(endpoint=endpoint).model_info(repo, files_metadata=True, timeout=_TIMEOUT_SECONDS)
    sizes = {file.rfilename: file.size or 0 for file in about.siblings or ()}
    weights = list(_published(files, sizes))
    names = [*weights, *(name for name in (*files.needed, *files.optional) if name in sizes)]
    sys.stdout.write(f"{sum(sizes[name] for name in names)}\n")
    sys.stdout.flush()
    for name in weights:
        _fetch_weights(repo, name, cache, endpoint)
    snapshot_download(repo, cache_dir=cache, endpoint=endpoint, allow_patterns=names, max_workers=1)


def _published(files: Wanted, sizes: Mapping[str, int]) -> Iterator[str]:
    for names in files.weights:
        name = next((name for name in names if name in sizes), None)
        if name is None:
            raise LookupError(f"it holds neither {' nor '.join(names)}")
        yield name


def _fetch_weights(repo: str, name: str, cache: Path, endpoint: str | None) -> None:
    url = hf_hub_url(repo, name, endpoint=endpoint)
    about = get_hf_file_metadata(url)
    blob = cache / f"models--{repo.replace('/', '--')}" / "blobs" / str(about.etag)
    if blob.exists():
        return
    part = blob.with_name(f"{about.etag}.part.incomplete")
    part.parent.mkdir(parents=True, exist_ok=True)
    part.touch()
    with part.open("r+b") as file:
        start = file.seek(0, os.SEEK_END)
        http_get(about.location or url, file, resume_size=start, expected_size=about.size)
    part.replace(blob)


def _reason(error: Exception, cache: Path) -> str:
    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, LookupError):
        return str(error.args[0])
    if getattr(error, "errno", None) == errno.ENOSPC:
        return f"there is no room left in {cache}"
    words = str(error).strip().splitlines() or [type(error).__name__]
    return f"the hub answers {status}" if status else f"the hub cannot be reached ({words[0].rstrip('.')})"


def _end_with_stdin() -> None:
    while os.read(sys.stdin.fileno(), 1):  # past the buffer, whose lock a thread must not hold at the end
        pass
    os._exit(1)


def main(repo: str, cache: str, endpoint: str, files: str) -> None:
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    try:
        fetch(repo, Path(cache), endpoint or None, Wanted(*json.loads(files)))
    except Exception as error:  # noqa: BLE001  whatever the hub's client raises becomes a line
        sys.exit(_reason(error, Path(cache)))


if __name__ == "__main__":
    main(*sys.argv[1:])
