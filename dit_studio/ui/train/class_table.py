"""The classes of the data set and how many images each has."""

from collections.abc import Sequence

from PySide6.QtCore import QSortFilterProxyModel, Qt
from PySide6.QtGui import QStandardItem, QStandardItemModel
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QLineEdit, QTableView, QVBoxLayout, QWidget

from dit_studio.events import ClassSummary
from dit_studio.ui.widgets.basics import describe

_SEARCH_FROM, _ROWS_SHOWN = 13, 6  # classes, rows


class ClassTable(QWidget):
    """Sorted by a click on a column; searchable where there are many."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = QStandardItemModel(0, 2, self)
        self._model.setHorizontalHeaderLabels(["Class", "Images"])
        self._shown = QSortFilterProxyModel(self)
        self._shown.setSourceModel(self._model)
        self._shown.setSortRole(Qt.ItemDataRole.UserRole)
        self._shown.setFilterCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        self.search = QLineEdit(placeholderText="Find a class", clearButtonEnabled=True)
        self.search.setAcceptDrops(False)  # what is dropped is for the window
        describe(self.search, "Find a class", "Show only the classes whose name contains this.")
        self.search.textChanged.connect(self._shown.setFilterFixedString)
        self.view = self._table()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.search)
        layout.addWidget(self.view)

    def show_classes(self, classes: Sequence[ClassSummary]) -> None:
        self._model.removeRows(0, self._model.rowCount())
        for position, item in enumerate(classes):
            name, images = QStandardItem(item.name), QStandardItem(str(item.images))
            name.setData(position, Qt.ItemDataRole.UserRole)
            name.setToolTip(item.name)
            images.setData(item.images, Qt.ItemDataRole.UserRole)
            images.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            self._model.appendRow([name, images])
        self.search.clear()
        self.search.setVisible(len(classes) >= _SEARCH_FROM)
        rows = min(max(1, len(classes)), _ROWS_SHOWN)
        self.view.setFixedHeight(self.view.horizontalHeader().sizeHint().height() + rows * 28 + 4)

    def _table(self) -> QTableView:
        view = QTableView(sortingEnabled=True, showGrid=False)
        view.setTabKeyNavigation(False)
        view.setModel(self._shown)
        view.sortByColumn(0, Qt.SortOrder.AscendingOrder)
        view.verticalHeader().hide()
        view.verticalHeader().setDefaultSectionSize(28)
        header = view.horizontalHeader()
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(1, QHeaderView.ResizeMode.ResizeToContents)
        header.setHighlightSections(False)
        view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        view.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        describe(view, "Classes", "The classes and how many images each has.")
        return view
