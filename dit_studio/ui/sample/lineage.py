"""Entries of the history with the past that they share: a branch shows its parent's steps before its own."""

from dit_studio.errors import DataError
from dit_studio.jobs.sample_history import SampleHistory
from dit_studio.sample_request import BranchPoint
from dit_studio.ui.sample.film import Film, JoinedFilm, KeptFilm

_DEEPEST = 100  # branches of branches; a circle of damaged entries ends here


def film_of(history: SampleHistory, name: str) -> Film:
    """An entry's film; a branch's begins with its past, as far as that is still there.

    Raises: DataError if the entry cannot be read.
    """
    return _film_of(history, name, _DEEPEST)


def with_past(history: SampleHistory, own: Film, branch: BranchPoint | None) -> Film:
    """A film, behind what its parent shows before the branch. A parent that is gone leaves the film as it is."""
    return _with_past(history, own, branch, _DEEPEST)


def origin_of(history: SampleHistory, name: str, *, image: int, step: int) -> BranchPoint:
    """Where a branch from a step of an entry's film, as it is shown, takes its x_t: there, or in a past that it shares.

    Raises: DataError if that entry cannot be read.
    """
    film = film_of(history, name)
    found = history.entry(name)
    branch = found.entry.record.branch if found else None
    if branch is not None and step <= film.shared_steps:
        return origin_of(history, branch.entry, image=branch.image, step=step)
    return BranchPoint(entry=name, image=image, step=step - film.shared_steps, t=film.points[step - 1].t)


def _film_of(history: SampleHistory, name: str, depth: int) -> Film:
    own = KeptFilm(history.root / name)
    found = history.entry(name)
    return _with_past(history, own, found.entry.record.branch if found else None, depth)


def _with_past(history: SampleHistory, own: Film, branch: BranchPoint | None, depth: int) -> Film:
    if branch is None or not own.points or depth == 0 or not history.has(branch.entry):
        return own
    try:
        past = _film_of(history, branch.entry, depth - 1)
    except DataError:
        return own
    if not past.points or branch.image >= past.images or past.size != own.size:
        return own
    return JoinedFilm(past, branch.image, past.shared_steps + branch.step, own)
