"""Entries of the history with the past that they share: a branch shows its parent's steps before its own."""

from dataclasses import dataclass

from dit_studio.errors import DataError
from dit_studio.jobs.sample_history import SampleHistory
from dit_studio.sample_request import BranchPoint
from dit_studio.ui.sample.film import Film, ForkedFilm, JoinedFilm, KeptFilm

_DEEPEST = 100  # branches of branches; a circle of damaged entries ends here


@dataclass(frozen=True)
class Place:
    """A step of an image, in the film of the entry that it belongs to."""

    entry: str
    image: int
    step: int


def film_of(history: SampleHistory, name: str) -> Film:
    """An entry's film; a branch's begins with its past, and shows the parent's future too, as far as they are there.

    Raises: DataError if the entry cannot be read.
    """
    found = history.entry(name)
    return with_parent(history, KeptFilm(history.root / name), found.entry.record.branch if found else None)


def own_film(history: SampleHistory, name: str) -> Film:
    """An entry's film without its parent's future; a branch's still begins with its past. Raises: DataError."""
    return _film_of(history, name, _DEEPEST)


def with_parent(history: SampleHistory, own: Film, branch: BranchPoint | None) -> Film:
    """A film with both futures of its branch. A parent that is gone leaves the film as it is."""
    joined = _with_past(history, own, branch, _DEEPEST)
    if branch is None or not isinstance(joined, JoinedFilm):
        return joined
    return ForkedFilm(joined, joined.past, branch.image)


def place_of(film: Film, *, entry: str, branch: BranchPoint | None, image: int, step: int = 1) -> Place:
    """Whose image it is: of the entry whose film is shown, or of its parent's, which stands beside it."""
    if branch is not None and isinstance(film, ForkedFilm) and film.is_parent(image):
        return Place(branch.entry, branch.image, film.parent_step(step))
    return Place(entry, image, step)


def origin_of(history: SampleHistory, place: Place) -> BranchPoint:
    """Where a branch from there takes its x_t: from the entry itself, or from a past that it shares.

    Raises: DataError if that entry cannot be read.
    """
    film = _film_of(history, place.entry, _DEEPEST)
    found = history.entry(place.entry)
    branch = found.entry.record.branch if found else None
    if branch is not None and place.step <= film.shared_steps:
        return origin_of(history, Place(branch.entry, branch.image, place.step))
    return BranchPoint(
        entry=place.entry,
        image=place.image,
        step=place.step - film.shared_steps,
        t=film.points[place.step - 1].t,
    )


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
