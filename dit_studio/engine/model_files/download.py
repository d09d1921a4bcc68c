"""A model file from its publisher, on request only: with progress, to be stopped at any time and gone on with."""

import contextlib
import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Generator, Iterator
from pathlib import Path

from dit_studio.engine.model_files.single_files import FileState, ModelFile, find_file, publish, state_of
from dit_studio.engine.model_files.whole_files import why_not_whole
from dit_studio.errors import CheckpointError, DataError
from dit_studio.events import Progress
from dit_studio.files import naming_disk_errors

_BLOCK_BYTES = 2**18
_PROGRESS_SECONDS = 0.05
_TIMEOUT_SECONDS = 30
_GO_ON = "Try again: it goes on where it stopped."


def download(name: str, *, base_url: str | None = None) -> Generator[Progress, None, FileState]:
    """Fetch a file of the table into its home; the generator's value is its state.

    What arrived stays in NAME.part, so a download that was closed or cut off goes on where it stopped.
    `base_url`: another folder to fetch it from; the hash is checked all the same.
    Raises: DataError if the server or the line fails; CheckpointError if it is not the published file; DiskFullError.
    """
    file = find_file(name)
    if (state := state_of(file)).condition in ("verified", "unverified"):
        return state
    part = file.home / f"{file.name}.part"
    with naming_disk_errors(part):
        part.parent.mkdir(parents=True, exist_ok=True)
        part.touch()
    if part.stat().st_size < file.size_bytes or (not file.sha256 and why_not_whole(part)):
        yield from _fetch(file, part, f"{base_url or file.base_url}/{file.name}")
    with naming_disk_errors(part):
        publish(part, file)
    return state_of(file)


def _fetch(file: ModelFile, part: Path, url: str) -> Iterator[Progress]:
    done = part.stat().st_size
    with contextlib.closing(_open(url, start=done)) as answer:
        done = done if _continues(answer, done) else 0
        size_bytes = _size(answer, file, done, url)
        yield _progress(file, done, size_bytes)
        told = time.monotonic()
        with naming_disk_errors(part), part.open("ab" if done else "wb") as written:
            for block in _blocks(answer, url):
                written.write(block)
                done += len(block)
                if time.monotonic() - told > _PROGRESS_SECONDS:
                    told = time.monotonic()
                    yield _progress(file, done, size_bytes)
    yield _progress(file, done, size_bytes)
    if done < size_bytes:
        raise DataError(f"The line broke: {done:,} of {size_bytes:,} bytes of {file.name} are here.", remedy=_GO_ON)


def _open(url: str, *, start: int) -> http.client.HTTPResponse:
    headers = {"User-Agent": "dit-studio", **({"Range": f"bytes={start}-"} if start else {})}
    request = urllib.request.Request(url, headers=headers)
    if request.type not in ("http", "https"):
        raise DataError(f"{url} is no web address.", remedy="It begins with https://.")
    with _naming_network(url):
        answer: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS)
        return answer


def _continues(answer: http.client.HTTPResponse, done: int) -> bool:
    """Whether the server goes on from byte `done`, and does not begin anew."""
    return answer.status == 206 and (answer.headers.get("Content-Range") or "").startswith(f"bytes {done}-")


def _size(answer: http.client.HTTPResponse, file: ModelFile, done: int, url: str) -> int:
    """How many bytes the whole file has.

    Raises: CheckpointError if what comes cannot be the file: an error page, or another edition.
    """
    length = answer.headers.get("Content-Length")
    if length is None:
        return file.size_bytes
    if not file.fits(done + int(length)):
        raise CheckpointError(
            f"{url} gives {done + int(length):,} bytes, and {file.name} has {file.size_bytes:,}.",
            remedy="Download the file with a browser and add it.",
        )
    return done + int(length)


def _blocks(answer: http.client.HTTPResponse, url: str) -> Iterator[bytes]:
    while True:
        with _naming_network(url):
            block = answer.read(_BLOCK_BYTES)
        if not block:
            return
        yield block


def _progress(file: ModelFile, done: int, size_bytes: int) -> Progress:
    return Progress(stage=f"Downloading {file.name}", done=done, total=size_bytes, unit="bytes")


@contextlib.contextmanager
def _naming_network(url: str) -> Iterator[None]:
    try:
        yield
    except urllib.error.HTTPError as error:
        error.close()
        raise DataError(
            f"{url} answers {error.code} {error.reason}.", remedy="Download the file with a browser and add it."
        ) from error
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise DataError(f"{url} cannot be reached: {reason}.", remedy=f"Check the connection. {_GO_ON}") from error
