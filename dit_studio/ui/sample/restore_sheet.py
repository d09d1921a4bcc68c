"""A picture was dropped: what its settings would change, before anything changes."""

from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QImageReader, QPixmap
from PySide6.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QDialog,
    QHeaderView,
    QLabel,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from dit_studio.events import SampleModel
from dit_studio.image_settings import FoundSettings
from dit_studio.sample_request import SampleRequest
from dit_studio.ui import theme
from dit_studio.ui.sample.restoring import Restoring, restore
from dit_studio.ui.widgets.basics import Caption, ElidedLabel, Title, WholeText, button, describe, row

_PICTURE = 96  # pixels
_MOST_PIXELS = 4096  # of a side
_MOST_ROWS = 8  # before the table scrolls


class RestoreSheet(QDialog):
    """`applied` carries the request, and the path and weights of the model to open too ("" for none)."""

    applied = Signal(object, str, str)  # SampleRequest, path, weights

    def __init__(
        self,
        picture: Path,
        found: FoundSettings,
        now: SampleRequest,
        model: SampleModel | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._picture, self._found, self._now, self._model = picture, found, now, model
        self.setWindowTitle("Settings of a picture")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.alone, self.open_model = QCheckBox("Only this image"), QCheckBox("Also open its model")
        self._path = ElidedLabel(mode=Qt.TextElideMode.ElideMiddle, role="caption")
        self.table = QTableWidget(0, 3)
        self._same, self._notes, self._problems = Caption(), WholeText(role="caption"), WholeText(role="problem")
        self.apply = button("Apply", "Put these settings into the form; nothing is drawn yet.", kind="primary")
        self._build()
        self._connect()
        self._show()

    @property
    def notes(self) -> str:
        """What should be known of the picture, and what cannot be taken from it."""
        return f"{self._notes.text()}\n{self._problems.text()}".strip()

    def _restoring(self) -> Restoring:
        return restore(
            self._found,
            self._now,
            self._model,
            alone=self.alone.isChecked(),
            with_its_model=self.open_model.isChecked(),
        )

    def _show(self) -> None:
        result = self._restoring()
        self.table.setRowCount(len(result.differences))
        for line, difference in enumerate(result.differences):
            for column, text in enumerate((difference.title, difference.now, difference.then)):
                item = QTableWidgetItem(text)
                item.setToolTip(text)
                self.table.setItem(line, column, item)
        self.table.setVisible(bool(result.differences))
        self._same.setVisible(not result.differences)
        self._same.setText("Every setting is already as in the picture." if self._found.settings else "")
        problems = "\n".join(result.problems)
        self._problems.setText(problems)
        self._problems.setVisible(bool(problems))
        self.apply.setEnabled(bool(result.differences) or self.open_model.isChecked())
        self._fit_table()

    def _apply(self) -> None:
        model = self._found.model if self.open_model.isChecked() else None
        self.applied.emit(self._restoring().request, model.path if model else "", model.weights if model else "")
        self.accept()

    # --------------------------------------------------------------------------------------------- building

    def _connect(self) -> None:
        self.alone.toggled.connect(self._show)
        self.open_model.toggled.connect(self._on_open_model)
        self.apply.clicked.connect(self._apply)

    def _build(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(24, 24, 24, 24)
        layout.setSpacing(12)
        layout.addLayout(self._head())
        layout.addWidget(self.table)
        for widget in (self._same, self._notes, self._problems, self.alone, self.open_model, self._path):
            layout.addWidget(widget)
        layout.addStretch(1)
        cancel = button("Cancel", "Change nothing (Escape).")
        cancel.clicked.connect(self.reject)
        layout.addLayout(row(None, cancel, self.apply))
        self.setMinimumWidth(theme.scaled(440))
        self.apply.setDefault(True)
        self._build_table()
        self._build_choices()

    def _head(self) -> QVBoxLayout:
        image, pixmap = QLabel(), _small(self._picture)
        image.setPixmap(pixmap)
        image.setAccessibleName(f"The picture {self._picture.name}")
        image.setVisible(not pixmap.isNull())
        model = self._found.model
        drawn_by = f"Drawn by {model.name or model.path}" if model and (model.name or model.path) else ""
        words = QVBoxLayout()
        words.setSpacing(4)
        title = Title("Take the settings of this picture?")
        title.setWordWrap(True)
        words.addWidget(title)
        words.addWidget(ElidedLabel(self._picture.name, role="muted", mode=Qt.TextElideMode.ElideMiddle))
        words.addWidget(ElidedLabel(drawn_by, role="caption"))
        words.addStretch(1)
        side = QWidget()
        side.setLayout(words)
        words.setContentsMargins(0, 0, 0, 0)
        line = row(image, side, space=16)
        line.setStretch(1, 1)
        column = QVBoxLayout()
        column.addLayout(line)
        return column

    def _build_table(self) -> None:
        self.table.setHorizontalHeaderLabels(["Setting", "Now", "In the picture"])
        self.table.verticalHeader().hide()
        self.table.setShowGrid(False)
        self.table.setTabKeyNavigation(False)
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        self.table.horizontalHeader().setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        self.table.horizontalHeader().setHighlightSections(False)
        describe(self.table, "What would change", "Each setting that would change: as it is, and as in the picture.")

    def _fit_table(self) -> None:
        self.table.resizeRowsToContents()
        lines = range(min(self.table.rowCount(), _MOST_ROWS))
        height = self.table.horizontalHeader().sizeHint().height() + sum(map(self.table.rowHeight, lines))
        self.table.setFixedHeight(height + 2 * self.table.frameWidth() + 2)

    def _build_choices(self) -> None:
        for label in (self._notes, self._problems):
            label.setTextFormat(Qt.TextFormat.PlainText)
        count = self._found.settings.get("count", 1)
        self.alone.setChecked(True)
        self.alone.setVisible(self._found.image is not None and count > 1)
        self.alone.setText(f"Only this image, number {(self._found.image or 0) + 1} of {count}")
        describe(
            self.alone,
            "Only this image",
            "Its own class and seed, and a count of one; else all that were drawn with it.",
        )
        self._notes.setText("\n".join(self._remarks()))
        self._notes.setVisible(bool(self._notes.text()))
        model = self._found.model
        can_open = model is not None and bool(model.path) and not self._has_its_model()
        self.open_model.setVisible(can_open)
        self._path.setVisible(can_open)
        self._path.setText(f"{model.path} ({model.weights})" if model else "")
        tooltip = "The path that the picture names; it is looked at once this is ticked."
        describe(self.open_model, "Also open its model", tooltip)

    def _on_open_model(self, is_on: bool) -> None:
        """Only now is the path more than text."""
        model = self._found.model
        if is_on and model is not None and not Path(model.path).exists():
            self.open_model.setChecked(False)
            self.open_model.setEnabled(False)
            self.open_model.setText("Its model is not there")
        self._show()

    def _has_its_model(self) -> bool:
        found = self._found.model
        is_known = found is not None and self._model is not None and bool(found.fingerprint)
        return is_known and found.fingerprint == self._model.fingerprint  # type: ignore[union-attr]

    def _remarks(self) -> list[str]:
        found, remarks = self._found, []
        if found.is_foreign:
            remarks.append("Another program wrote this picture: only what means the same here is taken.")
        if found.is_branch:
            remarks.append("It is a branch of another image: from these settings alone another picture comes.")
        if found.model is not None and self._model is not None and not self._has_its_model():
            remarks.append("It was drawn by another model than the one that is loaded, so it comes out differently.")
        if found.unknown:
            remarks.append(f"Not known here and left out: {', '.join(found.unknown[:8])}.")
        return remarks


def _small(picture: Path) -> QPixmap:
    """The picture as it is shown; nothing for one that is none, or too large to be read."""
    reader = QImageReader(str(picture))
    size = reader.size()
    if not 0 < size.width() <= _MOST_PIXELS or not 0 < size.height() <= _MOST_PIXELS:
        return QPixmap()
    return QPixmap.fromImage(reader.read()).scaled(_PICTURE, _PICTURE, Qt.AspectRatioMode.KeepAspectRatio)
