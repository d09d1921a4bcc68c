"""What is on the stage: an entry of the history, or the film of one that is being drawn."""

from collections.abc import Sequence

from dit_studio.jobs.sample_history import HistoryEntry, SampleHistory
from dit_studio.sample_request import BranchPoint
from dit_studio.ui.sample.export_menu import ExportMenu
from dit_studio.ui.sample.film import Film
from dit_studio.ui.sample.frames import Frames
from dit_studio.ui.sample.lineage import Place, film_of, own_film, place_of, with_parent
from dit_studio.ui.sample.stage import Stage
from dit_studio.ui.train.amounts import memory


class OnStage:
    """Keeps stage, stars and exports at the same entry; a branch's film also shows its parent's image."""

    def __init__(self, history: SampleHistory, stage: Stage, exports: ExportMenu) -> None:
        self._history, self._stage, self._exports = history, stage, exports
        self.is_live = False  # whether it is being drawn
        self.name = ""  # of the entry; "" while there is none
        self.film: Film | None = None

    def show_live(self, name: str, frames: Frames, branch: BranchPoint | None, class_names: Sequence[str]) -> None:
        """Show a film that grows."""
        self.name, self.film, self.is_live = name, with_parent(self._history, frames, branch), True
        self._stage.set_stars(set())
        self._stage.show_film(self.film, live=True, class_names=tuple(class_names), memory=frames.memory_text)
        self.show_exports()

    def end(self, name: str) -> None:
        """What was drawn into `name` has ended: from now on its film on the disk, which stays when the next is drawn.

        Raises: DataError if it cannot be read.
        """
        self.is_live = False
        was_shown = self.film is not None and self.name == name
        if was_shown:
            self._stage.film_ended()
        found = self._history.entry(name)
        if found is not None and (found.has_trajectory or not was_shown):
            image, step = (self._stage.current_image, self._stage.current_step) if was_shown else (0, None)
            self.show(found, image=image, step=step)
        self.show_exports()

    def show(self, found: HistoryEntry, *, image: int = 0, step: int | None = None) -> None:
        """Show an entry. Raises: DataError if its film cannot be read."""
        self.film = film_of(self._history, found.name)
        self.name, self.is_live = found.name, False
        self._stage.show_film(
            self.film,
            image=image,
            step=step,
            class_names=found.entry.record.model.class_names,
            memory=f"{memory(self._history.size_bytes(found.name))} on the disk" if found.has_trajectory else "",
        )
        self.show_stars()
        self.show_exports()

    def clear(self) -> None:
        self.name, self.film, self.is_live = "", None, False
        self._stage.show_film(None)
        self.show_exports()

    # --------------------------------------------------------------------------------------------- its images

    def place(self, image: int, step: int = 1) -> Place:
        """Whose image it is: of the entry that is shown, or of its parent."""
        found = self._history.entry(self.name)
        if found is None or self.film is None:
            return Place(self.name, image, step)
        return place_of(self.film, entry=self.name, branch=found.entry.record.branch, image=image, step=step)

    def toggle_star(self, image: int) -> bool:
        """Make an image a favourite, or no longer; False if it is not on the disk yet. Raises: StudioError."""
        place = self.place(image)
        found = self._history.entry(place.entry)
        if found is None:
            return False
        self._history.set_favourite(found.name, place.image, on=place.image not in found.favourites)
        self.show_stars()
        return True

    def show_stars(self) -> None:
        if self.film is None:
            return
        places = [self.place(image) for image in {0, self.film.images - 1}]  # of the entry, and perhaps of its parent
        favourites = {place.entry: self._favourites(place.entry) for place in places}
        stars = set(favourites.get(self.name, ())) & set(range(self.film.images))
        last = self.place(self.film.images - 1)
        if last.entry != self.name and last.image in favourites[last.entry]:
            stars.add(self.film.images - 1)
        self._stage.set_stars(stars)

    def _favourites(self, name: str) -> frozenset[int]:
        found = self._history.entry(name)
        return found.favourites if found else frozenset()

    def show_exports(self) -> None:
        """Offer the image that is picked; its own entry's film, without the parent's image beside it."""
        place = self.place(self._stage.current_image)
        found = None if self.is_live or not place.entry else self._history.entry(place.entry)
        film = own_film(self._history, place.entry) if found is not None and self.film is not None else None
        self._exports.show_entry(found, place.image, film)
