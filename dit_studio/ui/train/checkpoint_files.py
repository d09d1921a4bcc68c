"""What the list of checkpoints does on the disk: look, and delete."""

import re
from dataclasses import dataclass
from pathlib import Path

from dit_studio.files import naming_disk_errors, remove_folder
from dit_studio.jobs.run_folder import RunFolder


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
