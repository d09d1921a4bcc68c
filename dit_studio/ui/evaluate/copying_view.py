"""Is it copying? The nearest training images beside each generated one, the closest first."""

from PySide6.QtWidgets import QCheckBox, QStackedWidget, QVBoxLayout, QWidget

from dit_studio.evaluation_plan import CopyList
from dit_studio.evaluation_request import EvaluationResult
from dit_studio.jobs.launch import Launcher
from dit_studio.ui import theme
from dit_studio.ui.evaluate.copying_headline import CopyingHeadline
from dit_studio.ui.evaluate.copying_lens import CopyingLens
from dit_studio.ui.evaluate.copying_list import CopiesList
from dit_studio.ui.evaluate.copying_rows import rows_of
from dit_studio.ui.evaluate.source_pictures import SourcePictures
from dit_studio.ui.icons import icon
from dit_studio.ui.widgets.basics import Caption, EmptyState, WholeText, describe
from dit_studio.ui.widgets.scrolling import Scrolling

_SMALL, _LARGE = 128, 512  # pixels, of the squares that images are read into
_LIST_HEIGHT = 160  # pixels at 100 % text; where there is less room, all of it scrolls
_NO_POINT = ("Nothing yet", "Evaluate, or open an evaluation of the history.")
_NOT_ASKED = ("Not measured", "Choose the metric “copying” on the left, and evaluate again.")
_NOT_POSSIBLE = "Not possible"
_NO_LIST = "No images are listed"


class CopyingView(QWidget):
    """Of one point: what to make of its closest images, and these images."""

    def __init__(self, launcher: Launcher, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._copies: CopyList | None = None
        self._small = SourcePictures(launcher, size=_SMALL, parent=self)
        self._large = SourcePictures(launcher, size=_LARGE, parent=self)
        self.headline, self.list = CopyingHeadline(), CopiesList(self._small)
        self.only_closer = QCheckBox("Only closer ones")
        self.lens = CopyingLens(self._large, self)
        self._empty = EmptyState(icon("image", "muted"), *_NO_POINT)
        self._note, self._problem = Caption(), WholeText(role="problem")
        self._pages = QStackedWidget()
        self._build()
        self.only_closer.toggled.connect(self._show_rows)
        self.list.opened.connect(self._open)
        self._small.failed.connect(self._say_problem)
        theme.theme_changed.connect(self._give_room)
        self._give_room()

    def show_point(self, result: EvaluationResult | None, copies: CopyList | None) -> None:
        """Show a point, None for none; without the list of all its images, the closest that the result has."""
        self._small.retry()
        self._large.retry()
        self.lens.close()
        self._say_problem("")
        if result is None or result.copying is None:
            self._copies = None
            why = (_NOT_POSSIBLE, result.why_no_copying) if result and result.why_no_copying else _NOT_ASKED
            self._empty.set_text(*(_NO_POINT if result is None else why))
            self._pages.setCurrentWidget(self._empty)
            return
        found = result.copying
        self._copies = copies or CopyList(real_path=result.real.path, fake_path=result.fake.path, copies=found.copies)
        self.headline.show_copying(found, images=result.fake.measured)
        self._pages.setCurrentIndex(1)
        self._show_rows()
        self.list.scrollToTop()

    def close_jobs(self) -> None:
        """End the jobs that read pictures, and wait for their threads."""
        self._small.close()
        self._large.close()

    def _show_rows(self) -> None:
        if self._copies is None:
            return
        rows = rows_of(self._copies, only_closer=self.only_closer.isChecked())
        self.list.rows.show(rows)
        self.list.setVisible(bool(rows))
        self._note.setText("" if rows else "None is closer." if self._copies.copies else _NO_LIST)
        self._note.setVisible(not rows)

    def _open(self, place: int, near: int) -> None:
        self.lens.open_at(self.list.shown(), place, near)

    def _give_room(self) -> None:
        self.list.setMinimumHeight(theme.scaled(_LIST_HEIGHT))

    def _say_problem(self, text: str) -> None:
        self._problem.setText(text)
        self._problem.setVisible(bool(text))

    def _build(self) -> None:
        describe(
            self.only_closer,
            "Only those closer than real ones",
            "Show only the generated images that are closer to a training image than those are to each other.",
        )
        shown = QWidget()
        column = QVBoxLayout(shown)
        column.setContentsMargins(0, 8, 0, 0)
        column.setSpacing(8)
        column.addWidget(self.headline)
        column.addWidget(self.only_closer)
        column.addWidget(self._problem)
        column.addWidget(self.list, 1)
        column.addWidget(self._note, 1)
        self._pages.addWidget(self._empty)
        self._pages.addWidget(Scrolling(shown))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._pages)
