"""Where a branch begins: the x_t of a step of an entry of the history."""

from pathlib import Path

import msgspec
import torch

from dit_studio.engine.sampling import StartPoint
from dit_studio.errors import ConfigError, Problem
from dit_studio.places import samples_dir
from dit_studio.sample_request import BranchPoint, SampleEntry
from dit_studio.trajectory import open_trajectory

_MOST_GENERATIONS = 1000


def start_of_branch(folder: Path | None, branch: BranchPoint) -> StartPoint:
    """What a branch in `folder` goes on from. Raises: ConfigError if that is not kept; DataError if it is damaged."""
    history = folder.parent if folder else samples_dir()
    if not branch.entry or not branch.entry.isprintable() or Path(branch.entry).name != branch.entry:
        raise _refused(f"{branch.entry!r} is not the name of an entry of the history.")
    trajectory = open_trajectory(history / branch.entry)
    if trajectory is None:
        raise _refused(f"The trajectory of {branch.entry} is not kept any more; draw it again.")
    index = trajectory.index
    if not (0 <= branch.image < index.images and 1 <= branch.step <= len(index.points)):
        raise _refused(
            f"Step {branch.step} of image {branch.image} is not in the trajectory: it has {len(index.points)} steps of "
            f"{index.images} images; choose among them."
        )
    if index.norms and not index.norms[branch.step - 1][branch.image]:
        raise _refused(f"Image {branch.image} was stopped before step {branch.step}; choose an earlier one.")
    x_t = torch.from_numpy(trajectory.noise(branch.image, branch.step).copy())
    point = index.points[branch.step - 1]
    return StartPoint(x_t=x_t, t=point.t, log_snr=point.log_snr, draws=_draws(history, branch))


def _draws(history: Path, branch: BranchPoint) -> int:
    """How often an image had drawn noise until then: at first, and in each step of every trajectory before."""
    draws, point = 1, branch
    for _ in range(_MOST_GENERATIONS):
        draws += point.step - 1
        try:
            entry = msgspec.json.decode((history / point.entry / "entry.json").read_bytes(), type=SampleEntry)
        except (OSError, msgspec.DecodeError):
            break
        if entry.record.branch is None:
            break
        point = entry.record.branch
    return draws


def _refused(message: str) -> ConfigError:
    return ConfigError([Problem("branch", message)])
