"""The Runs page: every run below the folder of runs, and what can be done with it."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QPoint, Qt, QTimer, Signal
from PySide6.QtGui import QHideEvent, QKeySequence, QShortcut, QShowEvent
from PySide6.QtWidgets import QCheckBox, QLineEdit, QMenu, QPushButton, QSplitter, QStackedLayout, QVBoxLayout, QWidget

from dit_studio.errors import StudioError
from dit_studio.events import Event, Failure, JobState
from dit_studio.jobs.archive_format import SUFFIX
from dit_studio.jobs.launch import Launcher
from dit_studio.jobs.queue import Queue
from dit_studio.jobs.run_label import change_label, with_tags
from dit_studio.places import runs_dir
from dit_studio.ui.icons import icon
from dit_studio.ui.one_job import OneJob
from dit_studio.ui.runs.actions import KINDS, RunActions, are_archived
from dit_studio.ui.runs.dialogs import RunDialogs
from dit_studio.ui.runs.listing import ListRuns, RunRow, RunsListed
from dit_studio.ui.runs.model import RunsModel
from dit_studio.ui.runs.table import RunsTable
from dit_studio.ui.runs.thumbnails import ReadThumbnails, ThumbnailsRead
from dit_studio.ui.runs.transfers import Transfers, exporting, exporting_to_tensorboard, importing
from dit_studio.ui.settings import Settings
from dit_studio.ui.widgets.basics import ElidedLabel, EmptyState, Heading, button, describe, row
from dit_studio.ui.widgets.flow import FlowLayout
from dit_studio.ui.widgets.message import MessageCard

if TYPE_CHECKING:
    from dit_studio.ui.runs.compare import ComparePanel

_log = logging.getLogger(__name__)
_REFRESH_MS = 2000
_HAND_OVER_MS = 10  # the first rows should not wait
RUN_LIMIT = 8  # compared; a colour of the palette each, and the text's
_FORM = "runs"  # under which the page's choices are remembered
_BUTTONS = ("open", "resume", "sample", "evaluate", "tags", "export", "folder", "delete")


class RunsPage(QWidget):
    """Lists, opens, names, compares, exports and deletes runs."""

    open_run = Signal(object)  # Path
    resume_run = Signal(object)  # Path
    sample_run = Signal(object)  # Path
    evaluate_run = Signal(object)  # Path
    train_asked = Signal()
    queue_asked = Signal()

    def __init__(
        self,
        settings: Settings,
        launcher: Launcher,
        *,
        dialogs: RunDialogs | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._settings, self._dialogs = settings, dialogs or RunDialogs()
        self._known: dict[Path, tuple[int, RunRow]] = {}
        self._model = RunsModel()
        self._job, self._pictures = OneJob(self, interval_ms=_HAND_OVER_MS), OneJob(self)
        self._is_refresh_due, self._wanted = False, Path()
        self.transfers = Transfers(launcher)
        self.compare: ComparePanel | None = None
        self._timer = QTimer(self, interval=_REFRESH_MS)
        self._timer.timeout.connect(self.refresh)
        self._build()
        self._connect()
        self._restore()
        self._update()

    def refresh(self) -> None:
        """List the runs again, in another thread."""
        self._is_refresh_due = self._job.is_running
        if not self._job.is_running:
            self._job.run(ListRuns(runs_dir(), self._known))

    def read_again(self) -> None:
        """List the runs anew, and take in what the compared ones have said since."""
        self.refresh()
        if self.compare is not None:
            self.compare.read_again()

    def selected(self) -> list[RunRow]:
        return self.table.selected()

    def import_file(self, path: Path) -> None:
        """Unpack an exported run; it is selected once it is there."""
        self.transfers.add(importing(path, runs_dir()))
        self._show_what_there_is()

    def close_page(self) -> None:
        self._timer.stop()
        self._job.close()
        self._pictures.close()
        if self.compare is not None:
            self.compare.close_job()
        self.transfers.close_job()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.refresh()
        self._timer.start()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._timer.stop()

    # --------------------------------------------------------------------------------------------- what is done

    def do(self, key: str) -> None:
        """One of the actions, with the runs that are selected."""
        rows = self.selected()
        if rows and (len(rows) == 1 or KINDS[key].needs == "some"):
            deed: Callable[[list[RunRow]], None] = getattr(self, f"_{key}")
            deed(rows)

    def _open(self, rows: list[RunRow]) -> None:
        self.open_run.emit(rows[0].path)

    def _resume(self, rows: list[RunRow]) -> None:
        self.resume_run.emit(rows[0].path)

    def _sample(self, rows: list[RunRow]) -> None:
        self.sample_run.emit(rows[0].path)

    def _evaluate(self, rows: list[RunRow]) -> None:
        self.evaluate_run.emit(rows[0].path)

    def _folder(self, rows: list[RunRow]) -> None:
        self._dialogs.show_folder(rows[0].path)

    def _rename(self, rows: list[RunRow]) -> None:
        label = self._dialogs.name(self, rows[0])
        if label is not None:
            self._change(rows, lambda _row: {"title": label.title, "note": label.note})

    def _tags(self, rows: list[RunRow]) -> None:
        known = sorted({tag for run in self._model.known for tag in run.summary.label.tags}, key=str.casefold)
        changes = self._dialogs.tags(self, rows, known)
        if changes is not None:
            added, gone = changes
            self._change(rows, lambda run: {"tags": with_tags(run.summary.label, added, without=gone)})

    def _archive(self, rows: list[RunRow]) -> None:
        is_archived = not are_archived(rows)
        self._change(rows, lambda _row: {"is_archived": is_archived})

    def _export(self, rows: list[RunRow]) -> None:
        for run in rows:
            path, checkpoints = self._dialogs.file_to_export(self, f"{run.path.name}{SUFFIX}")
            if not path:
                return
            out = Path(path) if Path(path).suffix else Path(path + SUFFIX)
            self.transfers.add(exporting(run.path, out, checkpoints, name=run.title))

    def _tensorboard(self, rows: list[RunRow]) -> None:
        if path := self._dialogs.tensorboard_folder(self):
            for run in rows:
                self.transfers.add(exporting_to_tensorboard(run.path, Path(path), name=run.title))

    def _import(self) -> None:
        if path := self._dialogs.file_to_import(self):
            self.import_file(Path(path))

    def _delete(self, rows: list[RunRow]) -> None:
        """Ask, then move the runs to the trash, and out of the queue; one that is at work stays."""
        at_work = [run.title for run in rows if run.summary.folder.is_alive()]
        if at_work:
            self._message.show_notice(f"{at_work[0]} is at work. Stop it first.", level="warning")
        elif self._dialogs.confirm(self, _question(rows)):
            failed = [run.path.name for run in rows if not self._discard(run)]
            if failed:
                text = f"{', '.join(failed)} could not be moved to the trash. Delete the folder by hand."
                self._message.show_notice(text, level="error")
            self.refresh()

    def _discard(self, run: RunRow) -> bool:
        """Whether it is gone; a run that is not keeps its place in the queue."""
        if run.summary.folder.read_status().state is not JobState.QUEUED:
            return self._dialogs.move_to_trash(run.path)
        try:
            return Queue(run.path.parent).discard(run.path.name, lambda: self._dialogs.move_to_trash(run.path))
        except StudioError as error:
            _log.warning("%s was not moved to the trash: %s", run.path, error)
            return False

    def _change(self, rows: Sequence[RunRow], changes: Callable[[RunRow], dict[str, object]]) -> None:
        """Write the labels anew, and list the runs again."""
        try:
            for run in rows:
                change_label(run.summary.folder, **changes(run))
        except StudioError as error:
            self._message.show_failure(Failure(message=error.message, remedy=error.remedy, code=error.code))
        self.refresh()

    # --------------------------------------------------------------------------------------------- what happens

    def _on_listed(self, events: list[Event]) -> None:
        listed = [event for event in events if isinstance(event, RunsListed)]
        if listed:
            self._model.show_rows(listed[-1].rows, is_all=listed[-1].is_all)
            self.table.fit_model()
        self._show_what_there_is()
        self._select_wanted()
        self._update()

    def _on_listing_ended(self) -> None:
        if not self._pictures.is_running:
            paths = [run.preview for run in self._model.rows if run.preview is not None]
            self._pictures.run(ReadThumbnails(paths, self._model.thumbnails))
        if self._is_refresh_due:
            self.refresh()

    def _on_pictures(self, events: list[Event]) -> None:
        self._model.note_thumbnails(
            path for event in events if isinstance(event, ThumbnailsRead) for path in event.paths
        )

    def _on_imported(self, folder: Path) -> None:
        self._wanted = folder
        self.refresh()

    def _select_wanted(self) -> None:
        """Bring the run that was imported into view, once it is listed; a filter that hides it goes."""
        wanted = self._wanted
        if wanted == Path() or wanted not in {run.path for run in self._model.known}:
            return
        self._wanted = Path()
        if wanted not in {run.path for run in self._model.rows}:
            self.filter.clear()
        for line, run in enumerate(self._model.rows):
            if run.path == wanted:
                self.table.selectRow(line)
                self.table.scrollTo(self._model.index(line, 0))

    def _show_what_there_is(self) -> None:
        self._stack.setCurrentIndex(1 if self._model.known or self.transfers.is_busy else 0)

    def _on_filter(self) -> None:
        self._model.show_only(self.filter.text(), archived=self.archived.isChecked())
        self._update()

    def _on_menu(self, place: QPoint) -> None:
        self._pop_up(self.table.viewport().mapToGlobal(place))

    def _on_more(self) -> None:
        self._pop_up(self.more.mapToGlobal(QPoint()))

    def _pop_up(self, place: QPoint) -> None:
        menu = QMenu(self)
        self.actions_by_key.fill(menu)
        columns = menu.addMenu("Columns")
        columns.setToolTipsVisible(True)
        self.table.columns_menu(columns)
        menu.setToolTipsVisible(True)
        menu.aboutToHide.connect(menu.deleteLater)
        menu.popup(place)

    def _update(self) -> None:
        """Buttons, hint and comparison follow the selection."""
        rows = self.selected()
        self.actions_by_key.update(rows)
        for key, press in self.buttons.items():
            action = self.actions_by_key[key]
            press.setEnabled(action.isEnabled())
            press.setToolTip(action.toolTip())
            press.setText(action.text())
            press.setAccessibleName(action.text())
        self._hint.setText(self._hint_text(len(rows)))
        self._show_comparison(rows)

    def _show_comparison(self, rows: list[RunRow]) -> None:
        """Of two or more; the panel is built when it is first needed."""
        if self.compare is None and len(rows) > 1:
            from dit_studio.ui.runs.compare import ComparePanel

            self.compare = ComparePanel(self._settings, save=self._dialogs.file_to_save)
            self._split.addWidget(self.compare)
            self._split.setSizes([300, 300])
        if self.compare is not None:
            self.compare.setVisible(len(rows) > 1)
        if self.compare is not None and len(rows) > 1:
            self.compare.show_runs(rows[:RUN_LIMIT])

    def _hint_text(self, selected: int) -> str:
        if selected > RUN_LIMIT:
            return f"{selected} selected; the first {RUN_LIMIT} are compared"
        if selected > 1:
            return f"{selected} runs compared"
        shown, known, archived = len(self._model.rows), len(self._model.known), self._model.archived_count
        hidden = f", {archived} archived" if archived and not self._model.shows_archived else ""
        return f"{shown} of {known} runs{hidden}" if shown != known else "Select two or more to compare them"

    # --------------------------------------------------------------------------------------------- set-up

    def _restore(self) -> None:
        """As it was left: which columns, in which order."""
        form = self._settings.form(_FORM)
        hidden, order = form.get("hidden", []), form.get("order", "started")
        is_known = isinstance(hidden, list) and isinstance(order, str)
        if is_known:
            names = [name for name in hidden if isinstance(name, str)]
            self.table.arrange(hidden=names, order=order, is_descending=form.get("is_descending") is not False)
        self.table.arranged.connect(self._remember)

    def _remember(self) -> None:
        order, is_descending = self.table.order
        form = self._settings.form(_FORM)
        values = {"hidden": self.table.hidden, "order": order, "is_descending": is_descending}
        self._settings.save_form(_FORM, form | values)

    def _build(self) -> None:
        self._message = MessageCard()
        self._build_top()
        self._hint = ElidedLabel(role="caption")
        self.table = RunsTable(self._model)
        self.actions_by_key = RunActions(self.table, self.do)
        self.more = button("More…", "Everything that can be done with the runs, and the columns (menu key).")
        self.buttons = {key: self._button(key) for key in _BUTTONS}
        self.empty = EmptyState(
            icon("runs", "muted"),
            "No runs yet",
            "A run appears here as soon as its training starts.",
            "Start on the Train page",
        )
        self._stack = QStackedLayout()
        self._stack.addWidget(self.empty)
        self._stack.addWidget(self._full())
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 16, 16, 16)
        layout.setSpacing(8)
        layout.addLayout(row(Heading("Runs"), None, self.archived, self.queue, self.imports, self.filter))
        layout.addWidget(self._message)
        layout.addWidget(self.transfers)
        layout.addLayout(self._stack, 1)

    def _build_top(self) -> None:
        self.filter = QLineEdit(placeholderText="Filter", clearButtonEnabled=True)
        self.filter.setMaximumWidth(280)
        self.filter.setAcceptDrops(False)  # what is dropped is for the window
        describe(
            self.filter,
            "Filter the runs",
            "Show the runs in which all these words occur: name, tags, note, data set, state, model (Ctrl+F).\n"
            "tag:ablation, data:digits and state:failed ask for one of them.",
        )
        self.archived = QCheckBox("Show archived")
        describe(self.archived, "Show archived", "List the runs that were archived, too.")
        self.queue = button("Queue", "Show what is at work and what waits, by device (Ctrl+J).", icon=icon("queue"))
        self.imports = button("Import…", f"Unpack a {SUFFIX} file as a run; or drop it on the window (Ctrl+I).")

    def _button(self, key: str) -> QPushButton:
        kind = {"open": "primary", "delete": "danger"}.get(key, "")
        press = button(KINDS[key].text, KINDS[key].tooltip, kind=kind)
        press.setIcon(icon("trash", "error") if key == "delete" else self.actions_by_key[key].icon())
        press.clicked.connect(lambda: self.do(key))
        return press

    def _full(self) -> QWidget:
        """The page when there are runs."""
        self._split = QSplitter(Qt.Orientation.Vertical)
        self._split.setChildrenCollapsible(False)
        self._split.addWidget(self.table)
        actions = FlowLayout()
        for press in self.buttons.values():
            actions.addWidget(press)
        actions.addWidget(self.more)
        full = QWidget()
        column = QVBoxLayout(full)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addWidget(self._split, 1)
        column.addLayout(actions)
        column.addWidget(self._hint)
        return full

    def _connect(self) -> None:
        self._job.received.connect(self._on_listed)
        self._job.ended.connect(self._on_listing_ended)
        self._pictures.received.connect(self._on_pictures)
        self.empty.clicked.connect(self.train_asked)
        self.queue.clicked.connect(self.queue_asked)
        self.imports.clicked.connect(self._import)
        self.filter.textChanged.connect(self._on_filter)
        self.archived.toggled.connect(self._on_filter)
        self.transfers.ended.connect(lambda text, level: self._message.show_notice(text, level=level))
        self.transfers.failed.connect(self._message.show_failure)
        self.transfers.imported.connect(self._on_imported)
        self.more.clicked.connect(self._on_more)
        self.table.doubleClicked.connect(lambda: self.do("open"))
        self.table.customContextMenuRequested.connect(self._on_menu)
        self.table.selectionModel().selectionChanged.connect(self._update)
        QShortcut(QKeySequence("Ctrl+F"), self, self.filter.setFocus)
        QShortcut(QKeySequence("Ctrl+I"), self, self._import)
        QShortcut(QKeySequence("F5"), self, self.read_again)


def _question(rows: list[RunRow]) -> str:
    name = rows[0].title if len(rows) == 1 else f"{len(rows)} runs"
    return f"Move {name}, with checkpoints and previews, to the trash?"
