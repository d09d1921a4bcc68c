"""What the list of checkpoints does on the disk: look, copy the weights, delete."""

import os
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dit_studio.errors import CheckpointError
from dit_studio.events import Event, Failure, Progress
from dit_studio.files import naming_disk_errors, remove_folder
from dit_studio.jobs.run_folder import RunFolder

_PIECE_BYTES = 16 * 2**20


@dataclass(frozen=True)
class SavedCheckpoint:
    """One checkpoint on the disk."""

    path: Path
    step: int
    size_bytes: int
    time: float  # seconds since 1970


def saved_checkpoints(run: Path) -> list[SavedCheckpoint]:
    """Those of a run, the newest first. One that vanishes meanwhile is left out."""
    found = [_look_at(path) for path in RunFolder(run).checkpoints()]
    return sorted((one for one in found if one), key=lambda one: one.step, reverse=True)


def _look_at(path: Path) -> SavedCheckpoint | None:
    digits = re.search(r"\d+", path.name)
    try:
        files = [file.stat() for file in path.iterdir()]
        changed = path.stat().st_mtime
    except OSError:
        return None
    step = int(digits.group()) if digits else 0
    return SavedCheckpoint(path, step, sum(file.st_size for file in files), changed)


def delete_checkpoint(path: Path) -> None:
    """Remove a checkpoint as a whole. Raises: DiskFullError or RunError."""
    with naming_disk_errors(path):
        remove_folder(path)


class ExportWeights:
    """A job that copies the averaged weights of a checkpoint to a file, and can be cancelled."""

    def __init__(self, checkpoint: Path, target: Path) -> None:
        self._checkpoint, self._target = checkpoint, target
        self._cancelled = threading.Event()

    def cancel(self) -> None:
        self._cancelled.set()

    def events(self) -> Iterator[Event | None]:
        """Progress in bytes; at the end of a good copy, `done` is `total`. The target is whole or as it was."""
        source = self._checkpoint / "ema.safetensors"
        temporary = self._target.with_name(f".{self._target.name}.{os.getpid()}.tmp")
        try:
            if not source.is_file():
                raise CheckpointError(f"{source} is missing.", remedy="Choose another checkpoint.")
            with naming_disk_errors(self._target):
                yield from self._copy(source, temporary)
        except Exception as error:  # noqa: BLE001  a job's every failure becomes an event
            remedy = getattr(error, "remedy", "")
            yield Failure(message=getattr(error, "message", str(error)), remedy=remedy)
        finally:
            temporary.unlink(missing_ok=True)

    def _copy(self, source: Path, temporary: Path) -> Iterator[Event]:
        total, done = source.stat().st_size, 0
        with source.open("rb") as reader, temporary.open("wb") as writer:
            while piece := reader.read(_PIECE_BYTES):
                if self._cancelled.is_set():
                    return
                writer.write(piece)
                done += len(piece)
                if done < total:
                    yield Progress(stage="export", done=done, total=total, unit="bytes")
            writer.flush()
            os.fsync(writer.fileno())
        temporary.replace(self._target)
        yield Progress(stage="export", done=total, total=total, unit="bytes")
