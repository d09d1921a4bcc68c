"""Images that are measured as they are: folders, archives and .npz side by side, or the cells of a sweep."""

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QMenu, QPushButton, QVBoxLayout, QWidget

from dit_studio import sweep as sweeps
from dit_studio.errors import DataError, StudioError
from dit_studio.evaluation_plan import EvaluationPlan, plan_cells, plan_sources
from dit_studio.evaluation_request import EvaluationRequest
from dit_studio.events import Event, Failure
from dit_studio.jobs.launch import Launcher
from dit_studio.sweep import SweepRecord, open_sweep
from dit_studio.ui.evaluate.dialogs import SourceDialogs
from dit_studio.ui.evaluate.image_entry import ImageEntry
from dit_studio.ui.evaluate.model_title import model_title
from dit_studio.ui.evaluate.remembered import RememberedImages
from dit_studio.ui.evaluate.source_question import SourceQuestion
from dit_studio.ui.sample.sweep_values import TITLES
from dit_studio.ui.train.amounts import counted
from dit_studio.ui.train.drop_area import DropArea
from dit_studio.ui.widgets.basics import Caption, ElidedLabel, button
from dit_studio.ui.widgets.card import Card
from dit_studio.ui.widgets.message import MessageCard

_HINT = "Drop folders, archives or .npz of generated images here, or choose. Several are measured side by side."


class ImagesList(Card):
    """`changed`: look again at `plan`."""

    changed = Signal()
    grew = Signal(object)  # by this ImageEntry, or what is known of it

    def __init__(self, launcher: Launcher, dialogs: SourceDialogs, parent: QWidget | None = None) -> None:
        super().__init__("Images", parent=parent)
        self.entries: list[ImageEntry] = []
        self.sweep: Path | None = None
        self._record: SweepRecord | None = None
        self._dialogs = dialogs
        self._question = SourceQuestion(launcher, "fake", self)
        self._asked: ImageEntry | None = None
        self._newest: ImageEntry | None = None  # that a person added
        self._add = self._add_button()
        self.message, self._drop_area = MessageCard(), DropArea([self._add], hint=_HINT)
        self._location = ElidedLabel(mode=Qt.TextElideMode.ElideMiddle, role="caption")
        self._sweep_line = Caption()
        self.forget_sweep = button("Leave out the sweep", "Measure other images; the sweep's files stay.")
        self._list = QVBoxLayout()
        self._list.setSpacing(12)
        self.body.addWidget(self._drop_area)
        self.body.addLayout(self._list)
        for widget in (self._location, self._sweep_line, self.message):
            self.body.addWidget(widget)
        self.body.addWidget(self.forget_sweep, alignment=Qt.AlignmentFlag.AlignLeft)
        self._question.answered.connect(self._on_answered)
        self.forget_sweep.clicked.connect(self._on_sweep_forgotten)
        self._show_what()

    # --------------------------------------------------------------------------------------------- what is chosen

    def show_images(self, paths: Sequence[str], labels: Sequence[str]) -> None:
        """Show these, none of those before."""
        while self.entries:
            self._take(self.entries[-1])
        self._put_sweep(None)
        for path, label in zip(paths, labels, strict=True):
            self._put_entry(path, label)
        self._show_what()

    def add(self, path: str) -> None:
        """One more, which a person chose; a sweep's folder takes the place of all."""
        if (Path(path) / sweeps.INDEX).is_file():
            self.show_sweep(Path(path))
        elif path in [entry.path for entry in self.entries]:
            self.message.show_notice(f"{path} is there already.")
            return
        else:
            self._put_sweep(None)
            self._put_entry(path, self._free_name(Path(path).name))
            self._newest = self.entries[-1]
            self.grew.emit(self._newest)
        self._show_what()
        self.look()

    def show_sweep(self, folder: Path) -> None:
        """Show the cells of a sweep."""
        while self.entries:
            self._take(self.entries[-1])
        self._put_sweep(folder)
        self._show_what()

    def look(self) -> None:
        """Ask what the paths are that nobody has looked at."""
        self._asked = next((entry for entry in self.entries if entry.answer is None), None)
        if self._asked is not None and not self._question.is_asking:
            self._question.ask(self._asked.path)
        self.changed.emit()

    @property
    def title(self) -> str:
        if self.sweep is not None:
            return _sweep_title(self._record) if self._record is not None else self.sweep.name
        labels = [entry.label for entry in self.entries]
        return ", ".join(labels[:3]) + (f" and {len(labels) - 3} more" if len(labels) > 3 else "")

    @property
    def points(self) -> int:
        if self._record is not None:
            return sum(state.state == "drawn" for state in self._record.states)
        return len(self.entries)

    def why_not(self) -> str:
        """Why they cannot be measured; "" if they can, as far as is known."""
        if self.sweep is not None:
            if self._record is None:
                return "the sweep cannot be used."
            return "" if self.points else "no cell of the sweep is drawn yet."
        if not self.entries:
            return "choose the images to measure."
        labels = [entry.label for entry in self.entries]
        if twice := sorted({label for label in labels if labels.count(label) > 1}):
            return f'two sets of images are called "{twice[0]}": give one of them another name.'
        if self._question.is_asking:
            return "the images are being looked at."
        return next((why for entry in self.entries if (why := entry.why_not())), "")

    def plan(self, base: EvaluationRequest, title: str) -> EvaluationPlan:
        """A point for each. Raises: DataError if the sweep has none."""
        if self.sweep is not None and self._record is not None:
            return plan_cells(base, self._record, self.sweep, title=title)
        if not self.entries:
            raise DataError("There are no images to measure.", remedy="Choose some.")
        requests = [msgspec.structs.replace(base, fake=entry.path) for entry in self.entries]
        return plan_sources(requests, labels=[entry.label for entry in self.entries], title=title)

    def remembered(self) -> RememberedImages:
        images = tuple((entry.path, entry.label) for entry in self.entries)
        return RememberedImages(images=images, sweep=str(self.sweep or ""))

    def restore(self, remembered: RememberedImages) -> None:
        """Show what was chosen last, without looking at it yet."""
        self.show_images([path for path, _ in remembered.images], [label for _, label in remembered.images])
        if remembered.sweep:
            self.show_sweep(Path(remembered.sweep))

    def show_problem(self, sentence: str) -> None:
        """What the engine says of them."""
        self.message.show_failure(Failure(message=sentence))

    def close_jobs(self) -> None:
        self._question.close()

    # --------------------------------------------------------------------------------------------- how

    def _put_entry(self, path: str, label: str) -> None:
        entry = ImageEntry(path, label)
        entry.edited.connect(self.changed)
        entry.removed.connect(lambda: self._on_removed(entry))
        self.entries.append(entry)
        self._list.addWidget(entry)
        entry.show()
        controls = [self._add, *(control for one in self.entries for control in (one.name, one.remove))]
        for before, after in itertools.pairwise(controls):
            QWidget.setTabOrder(before, after)

    def _take(self, entry: ImageEntry) -> None:
        self.entries.remove(entry)
        if entry is self._asked:
            self._question.withdraw()
            self._asked = None
        self._list.removeWidget(entry)
        entry.hide()
        entry.deleteLater()

    def _put_sweep(self, folder: Path | None) -> None:
        self.sweep, self._record = folder, None
        self.message.clear()
        if folder is None:
            return
        self._location.setText(str(folder))
        try:
            self._record = open_sweep(folder)
        except StudioError as error:
            self.message.show_failure(Failure(message=error.message, remedy=error.remedy))
            return
        total = counted(len(self._record.states), "cell")
        self._sweep_line.setText(
            f"A sweep over {_axes_words(self._record)}: {self.points} of {total} are drawn, each is a point."
        )

    def _free_name(self, name: str) -> str:
        """The name, with a number behind it where it is taken."""
        labels = {entry.label for entry in self.entries}
        numbered = (f"{name} {number}" for number in range(2, len(labels) + 3))
        return name if name not in labels else next(one for one in numbered if one not in labels)

    def _show_what(self) -> None:
        self._drop_area.show_empty(is_empty=not self.entries and self.sweep is None)
        self._location.setVisible(self.sweep is not None)
        self._sweep_line.setVisible(self._record is not None)
        self.forget_sweep.setVisible(self.sweep is not None)

    def _on_removed(self, entry: ImageEntry) -> None:
        self._take(entry)
        self._show_what()
        self.look()

    def _on_sweep_forgotten(self) -> None:
        self.show_images([], [])
        self.changed.emit()

    def _on_answered(self, answer: Event) -> None:
        if self._asked is not None:
            self._asked.show_answer(answer)
            if self._asked is self._newest:
                self.grew.emit(self._asked)
        self.look()

    # --------------------------------------------------------------------------------------------- choosing

    def _browse(self, dialog: Callable[[str], str]) -> None:
        last = self.entries[-1].path if self.entries else str(self.sweep or "")
        if path := dialog(str(Path(last).parent) if last else str(Path.home())):
            self.add(path)

    def _add_button(self) -> QPushButton:
        result = button("Add…", "Add a folder, an archive or an .npz of images, or the folder of a sweep.")
        menu = QMenu(result)
        menu.addAction("A folder, or that of a sweep…").triggered.connect(lambda: self._browse(self._dialogs.folder))
        menu.addAction("A file…").triggered.connect(lambda: self._browse(self._dialogs.file))
        result.setMenu(menu)
        return result


def _axes_words(record: SweepRecord) -> str:
    return " × ".join(TITLES.get(axis.name, axis.name) for axis in record.plan.axes)


def _sweep_title(record: SweepRecord) -> str:
    """ "digits: CFG scale × Steps"."""
    has_steps = any(axis.name == "checkpoint" for axis in record.plan.axes)
    return f"{model_title(record.plan.cells[0].model, has_steps=has_steps)}: {_axes_words(record)}"
