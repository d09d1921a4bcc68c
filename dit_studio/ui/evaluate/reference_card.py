"""The reference: the real images, or their statistics, that everything is measured against."""

from collections.abc import Callable, Sequence
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QDragEnterEvent, QDragLeaveEvent, QDropEvent
from PySide6.QtWidgets import QMenu, QPushButton, QWidget

from dit_studio.evaluation_request import CautionRecord
from dit_studio.events import Event, Failure, Progress, SourceDescribed
from dit_studio.jobs.launch import Launcher
from dit_studio.jobs.run_folder import RunFolder
from dit_studio.jobs.run_list import list_runs
from dit_studio.places import runs_dir
from dit_studio.ui.drops import paths_in
from dit_studio.ui.evaluate.caution_lines import CautionLines
from dit_studio.ui.evaluate.dialogs import SourceDialogs
from dit_studio.ui.evaluate.run_images import images_of
from dit_studio.ui.evaluate.source_question import SourceQuestion
from dit_studio.ui.evaluate.source_words import cautions_of, facts_line, progress_line, source_line
from dit_studio.ui.settings import Settings
from dit_studio.ui.train.drop_area import DropArea
from dit_studio.ui.widgets.basics import BusyBar, Caption, ElidedLabel, Muted, button
from dit_studio.ui.widgets.card import Card
from dit_studio.ui.widgets.message import MessageCard

_HINT = "First: the real images to measure against. Drop a folder, an archive or an .npz here, or choose."
_TAKE_OWN = "Measure against the images that the model was trained on."
_MOST_RUNS = 12


class ReferenceCard(Card):
    """`changed`: another path, or more is known of it. `chosen`: a person chose the path."""

    changed = Signal()
    chosen = Signal()
    dropped = Signal()
    own_asked = Signal()  # to measure against what the model was trained on

    def __init__(
        self, settings: Settings, launcher: Launcher, dialogs: SourceDialogs, parent: QWidget | None = None
    ) -> None:
        super().__init__("Reference", parent=parent)
        self.path, self._is_new = "", False
        self.described: SourceDescribed | None = None
        self._settings, self._dialogs = settings, dialogs
        self._question = SourceQuestion(launcher, "real", self)
        self._drop_area = DropArea(self._buttons(), hint=_HINT)
        self._location = ElidedLabel(mode=Qt.TextElideMode.ElideMiddle, role="caption")
        self._busy, self._line, self._facts = BusyBar(), Caption(), Caption()
        self.warnings, self.misfits, self.message = CautionLines(), CautionLines(), MessageCard()
        self._others, self.take_own = Muted(), button("Measure against its own data set", _TAKE_OWN)
        for widget in (
            self._drop_area, self._location, self._busy, self._line, self._facts, self.warnings, self.misfits,
            self._others, self.take_own, self.message,
        ):  # fmt: skip
            self.body.addWidget(widget)
        self.setAcceptDrops(True)
        self._question.progressed.connect(self._on_progressed)
        self._question.answered.connect(self._on_answered)
        self.message.action.connect(lambda key: self.look() if key == "look" else None)
        self.take_own.clicked.connect(self.own_asked)
        self._forget()
        self.show_path("")
        self.show_fit("", ())

    # --------------------------------------------------------------------------------------------- what is chosen

    def open_path(self, path: str) -> None:
        """Measure against this, which a person chose; it is remembered if it can be used."""
        self.chosen.emit()
        self.show_path(path)
        self._is_new = True
        self.look()

    def show_path(self, path: str) -> None:
        """Show a path without looking at it yet."""
        self._question.withdraw()
        self.path, self._is_new = path, False
        self._forget()
        self._location.setText(path)
        self._location.setVisible(bool(path))
        self._drop_area.show_empty(is_empty=not path)

    def look(self) -> None:
        """Ask what the path is, again."""
        self._forget()
        if self.path:
            self._busy.show_progress("Looking at the reference")
            self._question.ask(self.path)
        self.changed.emit()

    @property
    def title(self) -> str:
        """ "landscapes", of a run the name of its data set."""
        return Path(images_of(self.path)).name

    def why_not(self) -> str:
        """Why nothing can be measured against it, as a sentence; "" if it can."""
        if not self.path:
            return "choose the reference first."
        if self._question.is_asking:
            return "the reference is being looked at."
        return "" if self.described else "the reference cannot be used."

    def show_problem(self, sentence: str) -> None:
        """What the engine says of it."""
        self.message.show_failure(Failure(message=sentence), [("look", "Look again")])

    def show_fit(self, own: str, misfits: Sequence[CautionRecord]) -> None:
        """How the model fits: the images that it was trained on, if they are not these ("" otherwise), and cautions."""
        self.misfits.show_cautions(misfits)
        self._others.setText(f"The model was not trained on these images, but on {own}.")
        for widget in (self._others, self.take_own):
            widget.setVisible(bool(own))

    def close_jobs(self) -> None:
        self._question.close()
        self._busy.finish()

    # --------------------------------------------------------------------------------------------- how

    def _forget(self) -> None:
        self.described = None
        self.message.clear()
        self._busy.finish()
        self.warnings.show_cautions(())
        for label in (self._line, self._facts):
            label.hide()

    def _on_progressed(self, progress: Progress) -> None:
        self._busy.show_progress(progress_line(progress), progress.done, progress.total)

    def _on_answered(self, answer: Event) -> None:
        self._forget()
        if isinstance(answer, SourceDescribed):
            self._show(answer)
            if self._is_new:
                self._settings.add_recent(Path(self.path))
        elif isinstance(answer, Failure):
            self.message.show_failure(answer, [("look", "Look again")])
        self.changed.emit()

    def _show(self, source: SourceDescribed) -> None:
        self.described = source
        self._line.setText(source_line(source))
        self._facts.setText(facts_line(source))
        self._line.show()
        self._facts.setVisible(bool(source.facts))
        self.warnings.show_cautions(cautions_of(source))

    # --------------------------------------------------------------------------------------------- choosing

    def _browse(self, dialog: Callable[[str], str]) -> None:
        if path := dialog(str(Path(self.path).parent) if self.path else str(Path.home())):
            self.open_path(path)

    def _fill_known(self) -> None:
        """The data sets of runs, and what was opened before."""
        self._known.clear()
        for summary in list_runs(runs_dir())[:_MOST_RUNS]:
            self._add_choice(f"Data set of {summary.title}", str(summary.folder.path))
        self._known.addSeparator()
        for path in self._settings.now.recent:
            if Path(path).exists() and not RunFolder(Path(path)).is_run():
                self._add_choice(path, path)
        if not any(action.isEnabled() and not action.isSeparator() for action in self._known.actions()):
            self._known.addAction("There is no run, and nothing was opened yet").setEnabled(False)

    def _add_choice(self, text: str, path: str) -> None:
        action = self._known.addAction(text.replace("&", "&&"))
        action.triggered.connect(lambda _checked=False: self.open_path(path))

    def _buttons(self) -> list[QPushButton]:
        browse = button("Browse…", "Open a folder, an archive, an .npz of images, or saved statistics.")
        menu = QMenu(browse)
        menu.addAction("A folder…").triggered.connect(lambda: self._browse(self._dialogs.folder))
        menu.addAction("A file…").triggered.connect(lambda: self._browse(self._dialogs.file))
        browse.setMenu(menu)
        known = button("Runs, recent", "The images that a run was trained on, or that were opened before.")
        self._known = QMenu(known)
        self._known.aboutToShow.connect(self._fill_known)
        known.setMenu(self._known)
        return [browse, known]

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if len(paths_in(event.mimeData())) != 1:
            event.ignore()  # of several the window says what it does with them
        else:
            event.acceptProposedAction()
            self._drop_area.show_aimed_at(is_aimed_at=True)

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        super().dragLeaveEvent(event)
        self._drop_area.show_aimed_at(is_aimed_at=False)

    def dropEvent(self, event: QDropEvent) -> None:
        self._drop_area.show_aimed_at(is_aimed_at=False)
        event.acceptProposedAction()
        self.dropped.emit()
        self.open_path(str(paths_in(event.mimeData())[0]))
