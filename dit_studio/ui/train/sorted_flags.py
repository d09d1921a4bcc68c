"""The flags of a run as arrays, as a long run has very many."""

from typing import get_args

import numpy as np
import numpy.typing as npt

from dit_studio.ui.train.curve import Floats
from dit_studio.ui.train.curves import FlagKind, RunHistory
from dit_studio.ui.train.flags import FLAG_SIZE

_KINDS = get_args(FlagKind)
_MARKED = ("resume", "not finite", "failure")  # by a line across the plot


class SortedFlags:
    """The flags that a history had when this was made."""

    def __init__(self, history: RunHistory) -> None:
        self._history, self._version = history, history.version
        self.flags = list(history.flags)
        self.steps: Floats = np.array([flag.step for flag in self.flags], float)
        self.marked = [index for index, flag in enumerate(self.flags) if flag.kind in _MARKED]
        self._kinds = np.array([_KINDS.index(flag.kind) for flag in self.flags], int)

    def is_stale(self, history: RunHistory) -> bool:
        return history is not self._history or history.version != self._version or len(history.flags) != len(self.flags)

    def newest_at(self, pixels: Floats, is_in_sight: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
        """Which flags in sight to show: of those of a kind that would overlap, the newest."""
        seen = np.flatnonzero(is_in_sight)[::-1]
        places = (pixels[seen] / FLAG_SIZE).astype(int) * len(_KINDS) + self._kinds[seen]
        _, first = np.unique(places, return_index=True)
        return np.sort(seen[first])
