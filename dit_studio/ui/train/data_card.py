"""The data card: which images, what was understood of them, and how they are fed to the model."""

from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QDragEnterEvent, QDragLeaveEvent, QDropEvent, QStandardItemModel
from PySide6.QtWidgets import QComboBox, QMenu, QPlainTextEdit, QPushButton, QVBoxLayout, QWidget

from dit_studio.events import Check, CheckStatus, DataSummary, Event, Failure, Progress
from dit_studio.jobs.launch import Launcher
from dit_studio.ui.drops import kind_of
from dit_studio.ui.one_job import OneJob
from dit_studio.ui.settings import Settings
from dit_studio.ui.train import amounts
from dit_studio.ui.train.check_line import CheckLines
from dit_studio.ui.train.class_table import ClassTable
from dit_studio.ui.train.dialogs import Dialogs
from dit_studio.ui.train.disclosure import Disclosure
from dit_studio.ui.train.drop_area import DropArea
from dit_studio.ui.train.thumbnails import Thumbnails
from dit_studio.ui.widgets.basics import BusyBar, Caption, ElidedLabel, button, describe, set_property
from dit_studio.ui.widgets.card import Card
from dit_studio.ui.widgets.form import Form
from dit_studio.ui.widgets.message import MessageCard

_NAMES = ("image_size", "classes", "color", "flip", "validation_fraction")
_SOURCES = {
    "folders": "classes from folders",
    "labels": "classes from a table of labels",
    "suffix": "classes from the file names",
    "cifar": "classes as CIFAR publishes them",
    "none": "without classes",
}


class DataCard(Card):
    """`opened` says which path is looked at now; `changed` that the settings or the summary are others."""

    changed = Signal()
    opened = Signal(object)  # Path

    def __init__(self, settings: Settings, launcher: Launcher, dialogs: Dialogs, parent: QWidget | None = None) -> None:
        super().__init__("Images", parent=parent)
        self.path = ""
        self.summary: DataSummary | None = None
        self.form = Form("data", names=_NAMES)
        self._settings, self._launcher, self._dialogs = settings, launcher, dialogs
        self._is_new = False  # opened by a person, and its first scan has not ended
        self._scanned_classes = ""  # where the classes were looked for
        self._answer: Event | None = None
        self._scan = OneJob(self)
        self._scan.received.connect(self._on_scan_received)
        self._scan.ended.connect(self._on_scan_ended)
        self._make_widgets()
        self._build()
        self.setAcceptDrops(True)
        self.form.changed.connect(self._on_form_changed)

    # --------------------------------------------------------------------------------------------- what it does

    @property
    def is_scanning(self) -> bool:
        return self._scan.is_running

    def open_path(self, path: Path) -> None:
        """Look at another data set; a person chose it, and it is remembered if it can be used."""
        self._is_new = True
        self.form.set_values({"classes": "auto"})
        self.show_path(str(path))

    def show_path(self, path: str) -> None:
        """Look at a data set, with the settings as they are."""
        self.path = path
        self.opened.emit(Path(path))
        self.scan()

    def scan(self) -> None:
        """Look at the images again."""
        self._scan.drop()
        self._show_summary(None)
        self._message.clear()
        self._answer, self._scanned_classes = None, self._classes().currentText()
        self._location.setText(self.path)
        self._location.setVisible(bool(self.path))
        self._drop_area.show_empty(is_empty=not self.path)
        if self.path:
            self._busy.show_progress("Looking at the images")
            self._cancel.show()
            self._scan.run(self._launcher.call("scan_data", path=self.path, classes=self._scanned_classes))
        self.changed.emit()

    def cancel(self) -> None:
        """Stop looking."""
        self._scan.drop()
        self._end_scan()
        self._message.show_failure(Failure(message="The scan was cancelled."), [("scan", "Scan again")])
        self.changed.emit()

    def close_jobs(self) -> None:
        self._scan.close()
        self._end_scan()

    # --------------------------------------------------------------------------------------------- scanning

    def _on_scan_received(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Progress):
                total = f" / {amounts.count(event.total)}" if event.total else ""
                stage = event.stage[:1].upper() + event.stage[1:]
                text = f"{stage}: {amounts.count(event.done)}{total} {event.unit}"
                self._busy.show_progress(text.strip(), event.done, event.total)
            else:
                self._answer = event

    def _on_scan_ended(self) -> None:
        self._end_scan()
        if isinstance(self._answer, DataSummary):
            self._show_summary(self._answer)
            if self._is_new:
                self._settings.add_recent(Path(self.path))
            self._fit_image_size(self._answer)
        else:
            failure = self._answer if isinstance(self._answer, Failure) else Failure(message="The scan said nothing.")
            self._message.show_failure(failure, [("scan", "Scan again")])
        self._is_new = False
        self.changed.emit()

    def _end_scan(self) -> None:
        self._busy.finish()
        self._cancel.hide()

    def _fit_image_size(self, summary: DataSummary) -> None:
        """Images that are smaller than the model's are not blown up, unless a person asks for it."""
        side = min(summary.smallest) // 4 * 4
        self._fitted.hide()
        if self._is_new and 4 <= side < self.form.values().get("image_size", 0):
            self.form.set_values({"image_size": side})
            self._fitted.setText(f"Image size is now {side} pixels, since the smallest image has no more.")
            self._fitted.show()

    # --------------------------------------------------------------------------------------------- showing

    def _show_summary(self, summary: DataSummary | None) -> None:
        self.summary = summary
        self._thumbnails.show_summary(summary)
        self._line.setText(summary_line(summary) if summary else "")
        self._line.setVisible(summary is not None)
        self._fitted.hide()
        self._class_list.setVisible(bool(summary and summary.classes))
        self._problem_list.setVisible(bool(summary and summary.problem_count))
        self._warnings.show_checks(_warnings(summary) if summary else ())
        if summary is None:
            return
        self._class_list.set_summary(amounts.counted(len(summary.classes), "class", "classes"))
        self._class_table.show_classes(summary.classes)
        self._problem_list.set_summary(f"{amounts.counted(summary.problem_count, 'file')} left out")
        self._problems.setPlainText(problem_lines(summary))
        self._offer_sources({"auto", "none", summary.source, *summary.sources})

    def _offer_sources(self, possible: set[str]) -> None:
        model = self._classes().model()
        assert isinstance(model, QStandardItemModel)
        for number in range(model.rowCount()):
            item = model.item(number)
            item.setEnabled(item.text() in possible)
            item.setToolTip("" if item.isEnabled() else "These images have no such classes.")

    def _classes(self) -> QComboBox:
        editor = self.form.editor("classes")
        assert isinstance(editor, QComboBox)
        return editor

    def _on_form_changed(self) -> None:
        if self.path and self._classes().currentText() != self._scanned_classes:
            self.scan()
        else:
            self.changed.emit()

    # --------------------------------------------------------------------------------------------- choosing

    def _on_browse(self) -> None:
        self._open_chosen(self._dialogs.folder(str(Path(self.path).parent) if self.path else str(Path.home())))

    def _on_archive(self) -> None:
        self._open_chosen(self._dialogs.archive(str(Path(self.path).parent) if self.path else str(Path.home())))

    def _open_chosen(self, path: str) -> None:
        if path:
            self.open_path(Path(path))

    def _fill_recent(self) -> None:
        self._recent_menu.clear()
        for path in self._settings.now.recent:
            if Path(path).exists() and not (Path(path) / "run.toml").exists():
                action = self._recent_menu.addAction(path)
                action.triggered.connect(lambda _checked=False, path=path: self.open_path(Path(path)))
        if self._recent_menu.isEmpty():
            self._recent_menu.addAction("Nothing was opened yet").setEnabled(False)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if kind_of(dropped_path(event)) != "data" or len(event.mimeData().urls()) > 1:
            event.ignore()  # the window says what it does with it
        else:
            event.acceptProposedAction()
            self._drop_area.show_aimed_at(is_aimed_at=True)

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        super().dragLeaveEvent(event)
        self._drop_area.show_aimed_at(is_aimed_at=False)

    def dropEvent(self, event: QDropEvent) -> None:
        self._drop_area.show_aimed_at(is_aimed_at=False)
        event.acceptProposedAction()
        self.open_path(dropped_path(event))

    # --------------------------------------------------------------------------------------------- widgets

    def _make_widgets(self) -> None:
        self._drop_area = DropArea(self._open_buttons())
        self._location = ElidedLabel(mode=Qt.TextElideMode.ElideMiddle, role="caption")
        self._busy, self._cancel = BusyBar(), button("Cancel", "Stop looking at the images.")
        self._cancel.clicked.connect(self.cancel)
        self._message = MessageCard()
        self._message.action.connect(lambda key: self.scan() if key == "scan" else None)
        self._thumbnails, self._line, self._fitted = Thumbnails(), Caption(), Caption()
        self._class_table, self._problems = ClassTable(), _problem_view()
        self._class_list = Disclosure(self._class_table, "Show or hide the classes and how many images each has.")
        self._problem_list = Disclosure(self._problems, "Show or hide the files that cannot be used, with the reasons.")
        self._warnings = CheckLines()

    def _build(self) -> None:
        self.body.addWidget(self._drop_area)
        scanning = QVBoxLayout()
        scanning.addWidget(self._busy)
        scanning.addWidget(self._cancel, alignment=Qt.AlignmentFlag.AlignLeft)
        self.body.addWidget(self._location)
        self.body.addLayout(scanning)
        for widget in (self._message, self._thumbnails, self._line, self._class_list, self._problem_list,
                       self._warnings, self.form, self._fitted):  # fmt: skip
            self.body.addWidget(widget)
        self._end_scan()
        self._show_summary(None)
        self._location.hide()

    def _open_buttons(self) -> list[QPushButton]:
        self.browse = button("Folder…", "Open a folder of images.")
        self.browse.clicked.connect(self._on_browse)
        archive = button("Archive…", "Open a zip or tar of images.")
        archive.clicked.connect(self._on_archive)
        recent = button("Recent", "Open images that were opened before.")
        self._recent_menu = QMenu(recent)
        self._recent_menu.aboutToShow.connect(self._fill_recent)
        recent.setMenu(self._recent_menu)
        return [self.browse, archive, recent]


def _problem_view() -> QPlainTextEdit:
    view = QPlainTextEdit(readOnly=True)
    set_property(view, "kind", "log")
    view.setFixedHeight(128)
    view.setTabChangesFocus(True)
    describe(view, "Files left out", "Each file that cannot be used, with the reason.")
    return view


def dropped_path(event: QDropEvent) -> Path:
    """The first local file or folder that is dragged."""
    return Path(next((url.toLocalFile() for url in event.mimeData().urls() if url.isLocalFile()), ""))


def summary_line(summary: DataSummary) -> str:
    """ "1 797 images · 10 classes · classes from folders · 8×8 pixels · 2 MB"."""
    parts = [amounts.counted(summary.images, "image")]
    if summary.classes:
        parts.append(amounts.counted(len(summary.classes), "class", "classes"))
    parts.append(_SOURCES.get(summary.source, summary.source).removeprefix("classes ") if summary.classes else
                 "without classes")  # fmt: skip
    small, large = ("×".join(map(str, size)) for size in (summary.smallest, summary.largest))
    parts.append(f"{small} pixels" if small == large else f"{small} to {large} pixels")
    return " · ".join([*parts, amounts.memory(summary.size_bytes)])


def problem_lines(summary: DataSummary) -> str:
    lines = [f"{problem.file}: {problem.reason}" for problem in summary.problems]
    if (missing := summary.problem_count - len(lines)) > 0:
        lines.append(f"and {amounts.count(missing)} more")
    return "\n".join(lines)


def _warnings(summary: DataSummary) -> tuple[Check, ...]:
    return tuple(Check(name="", status=CheckStatus.WARNING, message=text) for text in summary.warnings)
