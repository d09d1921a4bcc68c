"""The table of runs as a view: widths, the choice of columns, and where it is scrolled to."""

from collections.abc import Callable, Iterable

from PySide6.QtCore import QPoint, QSize, Qt, Signal
from PySide6.QtGui import QAction, QResizeEvent
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QMenu, QTableView

from dit_studio.ui import theme
from dit_studio.ui.runs.columns import COLUMNS, PLACES
from dit_studio.ui.runs.listing import RunRow
from dit_studio.ui.runs.model import ROW_ROLE, RunsModel
from dit_studio.ui.runs.painting import ProgressDelegate, StateDelegate
from dit_studio.ui.runs.thumbnails import THUMBNAIL_SIZE
from dit_studio.ui.widgets.basics import describe

_MIN_NAME_WIDTH = 144


class RunsTable(QTableView):
    """Gives the first column the room that the others leave. `arranged`: columns or order were chosen by hand."""

    arranged = Signal()

    def __init__(self, model: RunsModel) -> None:
        super().__init__()
        self.setModel(model)
        self.setObjectName("runs")
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.setTabKeyNavigation(False)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setMouseTracking(True)
        self.setIconSize(QSize(THUMBNAIL_SIZE, THUMBNAIL_SIZE))
        self.setItemDelegateForColumn(PLACES["state"], StateDelegate(self))
        self.setItemDelegateForColumn(PLACES["progress"], ProgressDelegate(self))
        self._prepare_headers()
        self.fit()
        theme.theme_changed.connect(self.fit)
        describe(self, "Runs", "All runs: Enter opens one; select several to compare them; the menu key has the rest.")

    def selected(self) -> list[RunRow]:
        """The rows that are selected, from the top."""
        lines = sorted(index.row() for index in self.selectionModel().selectedRows())
        return [self.model().index(line, 0).data(ROW_ROLE) for line in lines]

    # --------------------------------------------------------------------------------------------- columns

    @property
    def hidden(self) -> list[str]:
        """The keys of the columns that are not shown."""
        return [column.key for place, column in enumerate(COLUMNS) if self.isColumnHidden(place)]

    @property
    def order(self) -> tuple[str, bool]:
        """The column that it is sorted by, and whether the greatest comes first."""
        header = self.horizontalHeader()
        is_descending = header.sortIndicatorOrder() == Qt.SortOrder.DescendingOrder
        return COLUMNS[header.sortIndicatorSection()].key, is_descending

    def arrange(self, *, hidden: Iterable[str], order: str, is_descending: bool) -> None:
        """Show the columns and the order that were chosen once; unknown names are passed over."""
        for key in set(hidden) & PLACES.keys() - {"name"}:
            self.setColumnHidden(PLACES[key], True)  # noqa: FBT003  Qt knows no keyword
        direction = Qt.SortOrder.DescendingOrder if is_descending else Qt.SortOrder.AscendingOrder
        self.sortByColumn(PLACES.get(order, PLACES["started"]), direction)
        self._share_width()

    def columns_menu(self, menu: QMenu) -> None:
        """Fill a menu with a tick for each column; that of the names always stays."""
        for place, column in enumerate(COLUMNS[1:], 1):
            action = QAction(column.title, menu, checkable=True, checked=not self.isColumnHidden(place))
            action.setToolTip(column.tooltip)
            action.toggled.connect(self._shower(place))
            menu.addAction(action)

    def _shower(self, place: int) -> Callable[[bool], None]:
        def show(is_shown: bool) -> None:
            self.setColumnHidden(place, not is_shown)
            self._share_width()
            self.arranged.emit()

        return show

    def _on_header_menu(self, place: QPoint) -> None:
        menu = QMenu(self)
        self.columns_menu(menu)
        menu.aboutToHide.connect(menu.deleteLater)
        menu.popup(self.horizontalHeader().mapToGlobal(place))

    # --------------------------------------------------------------------------------------------- sizes

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._share_width()

    def fit(self) -> None:
        """Give the columns their widths at the font scale in use."""
        for place, column in enumerate(COLUMNS):
            self.setColumnWidth(place, theme.scaled(column.width))
        self.verticalHeader().setDefaultSectionSize(max(THUMBNAIL_SIZE + 8, 3 * theme.text_size(1)))
        self.fit_model()
        self._share_width()

    def fit_model(self) -> None:
        """Make room for a model that is more than its preset."""
        model = PLACES["model"]
        if not self.isColumnHidden(model) and (needed := self.sizeHintForColumn(model)) > self.columnWidth(model):
            self.setColumnWidth(model, needed)
            self._share_width()

    def _share_width(self) -> None:
        others = sum(self.columnWidth(place) for place in range(1, len(COLUMNS)))
        self.setColumnWidth(0, max(theme.scaled(_MIN_NAME_WIDTH), self.viewport().width() - others))

    def _prepare_headers(self) -> None:
        self.verticalHeader().hide()
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        header.setResizeContentsPrecision(0)  # the rows in view; more are too slow where there are a thousand
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        header.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        header.customContextMenuRequested.connect(self._on_header_menu)
        self.setSortingEnabled(True)
        self.sortByColumn(PLACES["started"], Qt.SortOrder.DescendingOrder)
        header.sortIndicatorChanged.connect(self.arranged)
