"""The evaluation that is shown: its figures in the centre, its nearest images beside them."""

import contextlib
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from dit_studio.errors import StudioError
from dit_studio.evaluation_plan import CopyList, EvaluationPlan, PointState, open_evaluation, read_copies, read_result
from dit_studio.evaluation_request import EvaluationResult
from dit_studio.ui.evaluate.copying_view import CopyingView
from dit_studio.ui.evaluate.curves import Curves
from dit_studio.ui.evaluate.results import Results


class Display(QObject):
    """Keeps cards, curves and nearest images on the same point of the same evaluation."""

    changed = Signal()  # another evaluation, or one more result

    def __init__(self, results: Results, curves: Curves, copying: CopyingView, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._results, self._curves, self._copying = results, curves, copying
        self.folder: Path | None = None
        self.plan: EvaluationPlan | None = None
        self.found: dict[int, EvaluationResult] = {}
        self.samples: dict[int, str] = {}  # where the images of a point are
        self.selected = -1
        self._is_chosen = False  # by the user, so that later points do not take its place

    @property
    def name(self) -> str:
        """Of the entry; "" if none is shown."""
        return self.folder.name if self.folder is not None else ""

    def begin(self, plan: EvaluationPlan, folder: Path) -> None:
        """Show a plan of which nothing is measured yet."""
        self.folder, self.plan = folder, plan
        self.found, self.samples, self.selected, self._is_chosen = {}, {}, -1, False
        self._results.show_plan(plan, folder)
        self._curves.show_plan(plan)
        self._copying.show_point(None, None)
        self.changed.emit()

    def show(self, folder: Path) -> None:
        """Show an entry of the history with all its results. Raises: DataError if it cannot be read."""
        record = open_evaluation(folder)
        self.begin(record.plan, folder)
        for index, state in enumerate(record.states):
            self._show_state(index, state)
        if self.found and self.selected < 0:
            self._select(min(self.found))
        self.changed.emit()

    def clear(self) -> None:
        """The entry is gone."""
        self.folder, self.plan, self.found, self.samples, self.selected = None, None, {}, {}, -1
        self._results.clear()
        self._curves.clear()
        self._copying.show_point(None, None)
        self.changed.emit()

    def start(self, index: int) -> None:
        self._results.start(index)

    def progress(self, index: int, text: str, done: int, total: int | None) -> None:
        self._results.progress(index, text, done, total)

    def add(self, index: int, result: EvaluationResult, samples: str) -> None:
        """A point is measured, or its result is marked anew. The new are selected, unless the user looks at another."""
        is_new = index not in self.found
        self.found[index], self.samples[index] = result, samples
        self._results.add(index, result, samples)
        self._curves.add(index, result)
        if is_new and not self._is_chosen:
            self._select(index)
        self.changed.emit()

    def fail(self, index: int, message: str, remedy: str) -> None:
        self._results.fail(index, message, remedy)

    def select(self, index: int) -> None:
        """What the user chose."""
        self._is_chosen = True
        self._select(index)

    def copies(self, index: int) -> CopyList | None:
        """The nearest images of a point; None if nobody looked for them, or they are gone."""
        if self.folder is None or self.plan is None:
            return None
        with contextlib.suppress(StudioError):
            return read_copies(self.folder, self.plan.points[index])
        return None

    def _show_state(self, index: int, state: PointState) -> None:
        assert self.plan is not None
        assert self.folder is not None
        if state.state == "failed":
            self.fail(index, state.message, state.remedy)
        elif state.state == "done":
            try:
                result = read_result(self.folder, self.plan.points[index])
            except StudioError as error:
                self.fail(index, error.message, error.remedy)
                return
            self.found[index], self.samples[index] = result, state.samples
            self._results.add(index, result, state.samples)
            self._curves.add(index, result)

    def _select(self, index: int) -> None:
        if index == self.selected:
            return
        self.selected = index
        self._results.select(index)
        self._curves.select(index)
        result = self.found.get(index)
        self._copying.show_point(result, self.copies(index) if result else None)
