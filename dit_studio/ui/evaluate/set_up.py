"""The left column: against what is measured, what, how, and the bar that starts it."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
from PySide6.QtCore import QTimer, Signal
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QVBoxLayout, QWidget

from dit_studio.errors import ConfigError, Problem, StudioError
from dit_studio.evaluation_plan import EvaluationPlan
from dit_studio.evaluation_request import EvaluationRequest
from dit_studio.events import JobState, ModelFiles
from dit_studio.jobs.launch import Launcher
from dit_studio.ui.evaluate.dialogs import SourceDialogs, beginning_where_last
from dit_studio.ui.evaluate.evaluate_bar import EvaluateBar
from dit_studio.ui.evaluate.metrics_card import MetricsCard
from dit_studio.ui.evaluate.reference_card import ReferenceCard
from dit_studio.ui.evaluate.remembered import Remembered, read_remembered
from dit_studio.ui.evaluate.run_images import are_same_images, images_of
from dit_studio.ui.evaluate.source_words import misfits
from dit_studio.ui.evaluate.subject_card import SubjectCard
from dit_studio.ui.sample.model_picker import ModelDialogs
from dit_studio.ui.sample.sweep_values import in_titles
from dit_studio.ui.settings import Settings
from dit_studio.ui.train.amounts import counted
from dit_studio.ui.widgets.scrolling import Scrolling

_FORM = "evaluation"  # what the settings file calls it


class EvaluateSetUp(QWidget):
    """What is chosen and typed is remembered as it changes. `changed`: look again at `plan`."""

    evaluate_asked = Signal()
    pause_asked = Signal()
    go_on_asked = Signal()
    stop_asked = Signal()
    model_files_asked = Signal(str)  # the extractor
    changed = Signal()
    dropped = Signal()  # something on a card

    def __init__(
        self,
        settings: Settings,
        launcher: Launcher,
        dialogs: SourceDialogs | None = None,
        model_dialogs: ModelDialogs | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        dialogs = beginning_where_last(dialogs or SourceDialogs(), settings)
        self._settings = settings
        self._plan: EvaluationPlan | None = None
        self._was_shown = False
        self._proposed = ""  # the reference, if nobody but the model chose it
        self.reference = ReferenceCard(settings, launcher, dialogs)
        self.subject = SubjectCard(launcher, dialogs, model_dialogs)
        self.metrics, self.bar = MetricsCard(), EvaluateBar()
        self._build()
        self._restore()
        self._connect()
        self._check()

    # --------------------------------------------------------------------------------------------- what is asked for

    def plan(self) -> EvaluationPlan | None:
        """What Evaluate starts; None while something is missing or wrong, which its field then says."""
        return self._plan

    def set_reference(self, path: str) -> None:
        """Measure against this."""
        self._proposed = ""
        self.reference.show_path(path)
        self.reference.look()

    def set_model(self, path: str) -> None:
        """Measure a run or a checkpoint; against what it was trained on, unless somebody chose a reference, which then
        offers to change to it."""
        self.subject.set_model(path)
        self._propose_reference()

    def set_images(self, paths: Sequence[str], labels: Sequence[str]) -> None:
        """Measure folders or files of images, each with its name."""
        self.subject.set_images(paths, labels)

    def take_images(self, path: str) -> None:
        """Images that were dropped: the reference if there is none, else what is measured."""
        if self.reference.path:
            self.subject.add_images(path)
        else:
            self.reference.open_path(path)

    def set_sweep(self, folder: Path) -> None:
        """Measure the cells of a sweep that was drawn."""
        self.subject.set_sweep(folder)

    def set_plan(self, plan: EvaluationPlan) -> None:
        """Show the settings of an earlier evaluation."""
        first = plan.points[0].request
        self.metrics.set_options(first, first.metrics)
        self.subject.set_plan(plan)
        self.set_reference(first.real)
        if first.real == self.subject.model.run:
            self._proposed = first.real

    # --------------------------------------------------------------------------------------------- the measuring

    def show_state(self, state: JobState, words: str = "") -> None:
        self.bar.show_state(state, words)

    def show_progress(self, text: str, done: int, total: int | None) -> None:
        """How far it is; the text has the rate and the end time."""
        self.bar.show_progress(text, done, total)

    def show_problems(self, problems: Sequence[tuple[str, str]]) -> None:
        """What the engine refused: (field, sentence) each, shown at the field until it changes."""
        found = [Problem(field, message) for field, message in problems]
        of_subject = [one for one in found if one.field.startswith(("request.", "sweep.", "evaluate.fake"))]
        of_reference = [one for one in found if one.field.endswith(".real")]
        self.subject.show_problems(of_subject)
        if of_reference:
            self.reference.show_problem("\n".join(one.message for one in of_reference))
        self.metrics.show_problems([one for one in found if one not in of_subject and one not in of_reference])

    def show_model_files(self, files: ModelFiles) -> None:
        """Which extractors have their files."""
        self.metrics.show_model_files(files)
        self._check()

    def remember(self) -> None:
        """Keep what is chosen and typed for the next start."""
        remembered = Remembered(
            reference=self.reference.path, subject=self.subject.remembered(), metrics=self.metrics.values()
        )
        self._settings.save_form(_FORM, msgspec.to_builtins(remembered))

    def close_jobs(self) -> None:
        """End the questions that are asked, and wait for their threads."""
        self.reference.close_jobs()
        self.subject.close_jobs()

    def showEvent(self, event: QShowEvent) -> None:
        """What is remembered is looked at when it is seen first."""
        super().showEvent(event)
        if not self._was_shown:
            self._was_shown = True
            self._look_at_restored()

    # --------------------------------------------------------------------------------------------- how

    def _look_at_restored(self) -> None:
        if self.reference.path and self.reference.described is None:
            self.reference.look()
        self.subject.look()

    def _propose_reference(self) -> None:
        """The images that the model was trained on, unless somebody chose others."""
        run = self.subject.model.run
        if run and run != self.reference.path and self.reference.path == self._proposed:
            self.set_reference(run)
            self._proposed = run

    def _take_own(self) -> None:
        """Measure against what the model was trained on, instead of what somebody chose."""
        self._proposed = self.reference.path
        self._propose_reference()

    def _show_fit(self) -> None:
        model, is_model = self.subject.model, self.subject.mode == "model"
        described = self.reference.described
        are_images = described is None or described.has_images  # saved statistics do not tell of which images they are
        is_other = bool(self.reference.path and model.run) and not are_same_images(model.run, self.reference.path)
        own = Path(images_of(model.run)).name if is_model and is_other and are_images else ""
        self.reference.show_fit(own, misfits(model.described, self.reference.described) if is_model else ())

    def _on_reference_chosen(self) -> None:
        self._proposed = ""

    def _on_changed(self) -> None:
        self.metrics.show_reference(self.reference.described)
        self._check()
        self._show_fit()
        self.remember()
        self.changed.emit()

    def _check(self) -> None:
        self._plan = None
        self.subject.show_problems([])
        of_subject = self.subject.why_not() or self._make_plan()
        self._show_count()
        why_not = self.reference.why_not() or of_subject or self.metrics.why_not()
        if why_not:
            self._plan = None
        self.bar.set_why_not(why_not)

    def _make_plan(self) -> str:
        """The plan, or why there is none; shown at its field, too."""
        base = EvaluationRequest(real=self.reference.path, fake="", **self.metrics.options())
        try:
            self._plan = self.subject.plan(base, self._title())
        except ConfigError as error:
            self.subject.show_problems(error.problems)
            first = error.problems[0]
            return in_titles(first.message, first.field.rpartition(".")[2])
        except StudioError as error:
            return str(error)
        return ""

    def _title(self) -> str:
        return f"{self.subject.title} against {self.reference.title}"

    def _show_count(self) -> None:
        plan = self._plan
        if plan is None:
            self.subject.model.axes.show_count("")
            return
        images = sum(point.request.sample.count for point in plan.points if point.request.sample)
        text = f"{counted(len(plan.points), 'point')} · {counted(images, 'image')} to draw"
        self.subject.model.axes.show_count(text if images else "")

    def _restore(self) -> None:
        remembered = read_remembered(self._settings.form(_FORM))
        self.reference.show_path(remembered.reference)
        self.subject.restore(remembered.subject)
        self.metrics.set_values(remembered.metrics)
        if self.reference.path == self.subject.model.run:
            self._proposed = self.reference.path

    def _connect(self) -> None:
        for card in (self.reference, self.subject, self.metrics):
            card.changed.connect(self._on_changed)
        self.reference.dropped.connect(self.dropped)
        self.subject.dropped.connect(self.dropped)
        self.subject.images.grew.connect(self._show_entry)
        self.reference.own_asked.connect(self._take_own)
        self.reference.chosen.connect(self._on_reference_chosen)
        self.subject.model_chosen.connect(self._propose_reference)
        self.metrics.model_files_asked.connect(self.model_files_asked)
        self.bar.pressed.connect(self._on_pressed)

    def _show_entry(self, entry: QWidget) -> None:
        """Once it has its place."""
        QTimer.singleShot(0, entry, lambda: self._scrolling.ensureWidgetVisible(entry))

    def _on_pressed(self, key: str) -> None:
        signals = {
            "evaluate": self.evaluate_asked, "go_on": self.go_on_asked,
            "pause": self.pause_asked, "stop": self.stop_asked,
        }  # fmt: skip
        signals[key].emit()

    def _build(self) -> None:
        cards = QWidget()
        column = QVBoxLayout(cards)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        for card in (self.reference, self.subject, self.metrics):
            column.addWidget(card)
        column.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        self._scrolling = Scrolling(cards)
        layout.addWidget(self._scrolling, 1)
        layout.addWidget(self.bar)
