"""Every run below a folder, as rows."""

from dataclasses import dataclass
from pathlib import Path

from dit_studio.config import Recipe
from dit_studio.errors import StudioError
from dit_studio.jobs.run_folder import RunFolder, Status


@dataclass(frozen=True, kw_only=True)
class RunSummary:
    """A row of the list of runs. `recipe` is None, and `problem` says why, if run.toml cannot be read."""

    folder: RunFolder
    status: Status
    recipe: Recipe | None = None
    problem: str = ""


def list_runs(root: Path) -> list[RunSummary]:
    """Every run directly below `root`, the newest first."""
    try:
        folders = [RunFolder(path) for path in root.iterdir()]
    except OSError:
        return []
    summaries = [_summary(folder) for folder in folders if folder.is_run()]
    return sorted(summaries, key=lambda summary: summary.status.started, reverse=True)


def _summary(folder: RunFolder) -> RunSummary:
    status = folder.observed_status()
    try:
        return RunSummary(folder=folder, status=status, recipe=folder.recipe())
    except StudioError as error:
        return RunSummary(folder=folder, status=status, problem=error.message)
