"""`rank-N.failure.json` in a run folder: what one process of several that failed says, while it still can."""

import math
from contextlib import suppress

import msgspec

from dit_studio.jobs.run_folder import RunFolder


class RankFailure(msgspec.Struct, frozen=True, kw_only=True):
    rank: int
    message: str
    host: str = ""
    remedy: str = ""
    code: str = "error"
    details: str = ""


def read(folder: RunFolder) -> list[RankFailure]:
    """Those that can be read, by rank."""
    failures = []
    for file in folder.path.glob("rank-*.failure.json"):
        with suppress(OSError, msgspec.DecodeError):
            failures.append(msgspec.json.decode(file.read_bytes(), type=RankFailure))
    return sorted(failures, key=lambda failure: failure.rank)


def forget(folder: RunFolder, *, before: float = math.inf) -> None:
    """What the processes of an earlier start said; `before`: a wall-clock time, as the others start at once."""
    for file in folder.path.glob("rank-*.failure.json"):
        with suppress(OSError):
            if file.stat().st_mtime < before:
                file.unlink()


def sentence(failures: list[RankFailure]) -> str:
    """The first of them; the others mostly follow from it."""
    first = failures[0]
    where = f" on {first.host}" if first.host else ""
    return f"Rank {first.rank}{where}: {first.message} {first.remedy}".strip()
