"""The step of a drawn image from which the next Generate goes on, and the settings that it begins with."""

import msgspec

from dit_studio.events import SampleModel
from dit_studio.jobs.sample_history import HistoryEntry, SampleHistory
from dit_studio.sample_request import BranchPoint, SampleRequest
from dit_studio.ui.sample.lineage import Place, origin_of
from dit_studio.ui.sample.set_up import SampleSetUp


class Branching:
    """At most one branch is prepared at a time; the set-up shows it."""

    def __init__(self, history: SampleHistory, set_up: SampleSetUp) -> None:
        self._history, self._set_up = history, set_up
        self.point: BranchPoint | None = None  # of the next Generate
        self._before: SampleRequest | None = None  # the settings as they were before one was prepared

    def prepare(self, found: HistoryEntry, place: Place) -> None:
        """Go on from this x_t with the settings of its image, for the user to change. Raises: DataError."""
        point = origin_of(self._history, place)
        origin = self._history.entry(point.entry) or found  # an image of a past that is shared is its owner's
        image, record = point.image, origin.entry.record
        alone = msgspec.structs.replace(
            record.request, classes=(record.label_of(image),), seed=record.request.seed + image, count=1
        )
        if self.point is None:
            self._before = self._set_up.request()
        self.point = point
        self._set_up.set_request(alone)
        self._set_up.show_branch(
            f"Branch from image {image + 1} ({record.class_of(image)}) at step {place.step} · t = {point.t:.4g}. "
            "Change the class, CFG, seed or sampler; Generate goes on from there."
        )

    def forget(self) -> None:
        """Generate starts from noise; the settings stay."""
        self.point = None
        self._set_up.clear_branch()

    def cancel(self) -> None:
        """As it was before: Generate starts from noise, with the settings of then."""
        self.forget()
        if self._before is not None:
            self._set_up.set_request(self._before)
            self._before = None

    def check(self, model: SampleModel) -> str:
        """A branch needs a model of the same image size; another one ends it, which the sentence says."""
        found = self._history.entry(self.point.entry) if self.point else None
        if found is None or found.entry.height == model.image_size:
            return ""
        self.forget()
        size = f"{found.entry.width} × {found.entry.height} pixels"
        return f"The branch is cancelled: it goes on from {size}, and {model.name} draws others."
