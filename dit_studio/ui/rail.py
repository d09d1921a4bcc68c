"""The rail at the left of the window: one button a page."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from PySide6.QtCore import QEvent, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QButtonGroup, QFrame, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from dit_studio.ui import theme
from dit_studio.ui.icons import icon
from dit_studio.ui.widgets.basics import describe

RAIL_WIDTH = 80  # pixels, or more if the titles need it
_ICON_SIZE = 24  # pixels at a font scale of 100 %


@dataclass(frozen=True)
class PageEntry:
    """A page as the rail shows it; its shortcut is Ctrl and its place in the rail."""

    key: str
    title: str
    tooltip: str
    is_last: bool = False  # stands, with those after it, at the bottom of the rail


class Rail(QFrame):
    """`chosen` carries the key of a page whose button was pressed."""

    chosen = Signal(str)

    def __init__(self, entries: Sequence[PageEntry], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("panel", "rail")
        self.setMinimumWidth(RAIL_WIDTH)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Preferred)
        self._group = QButtonGroup(self, exclusive=True)
        self._buttons: dict[str, _RailButton] = {}
        self._is_bare = False  # without icons
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 8, 8, 8)
        layout.setSpacing(8)
        for number, entry in enumerate(entries, 1):
            if entry.is_last:
                layout.addStretch(1)
            layout.addWidget(self._add_button(entry, number))
        self._size_icons()
        theme.theme_changed.connect(self._size_icons)

    def event(self, event: QEvent) -> bool:
        """Fit the buttons anew where the rail, or what they need, has another size."""
        if event.type() in (QEvent.Type.Resize, QEvent.Type.LayoutRequest):
            self._fit()
        return super().event(event)

    def minimumSizeHint(self) -> QSize:
        """That of the titles alone: a low window has no room for icons in large text."""
        hint = super().minimumSizeHint()
        icons = 0 if self._is_bare else len(self._buttons) * theme.scaled(_ICON_SIZE)
        return QSize(hint.width(), hint.height() - icons)

    def show_page(self, key: str) -> None:
        """Mark the button of a page, which then is the one that Tab finds; arrow keys go to the others."""
        self._buttons[key].setChecked(True)
        if self.window().focusWidget() in self._buttons.values():
            self._buttons[key].setFocus()
        policies = Qt.FocusPolicy
        for name, button in self._buttons.items():
            button.setFocusPolicy(policies.StrongFocus if name == key else policies.ClickFocus)

    def shown(self) -> str:
        """The key of the page that is shown."""
        return next((key for key, button in self._buttons.items() if button.isChecked()), "")

    def show_badge(self, key: str, count: int, *, is_alarm: bool, meaning: str) -> None:
        """A number on a page's button; none for 0. `meaning` is what a screen reader and the tooltip say."""
        self._buttons[key].show_badge(count, is_alarm=is_alarm, meaning=meaning)

    def focus_shown(self) -> None:
        """Give the keyboard to the button of the page that is shown."""
        if shown := self._group.checkedButton():
            shown.setFocus()

    def _add_button(self, entry: PageEntry, number: int) -> QToolButton:
        button = _RailButton()
        button.setText(entry.title)
        button.setIcon(icon(entry.key))
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextUnderIcon)
        button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        button.setCheckable(True)
        button.setProperty("kind", "rail")
        describe(button, entry.title, f"{entry.tooltip} (Ctrl+{number})")
        button.clicked.connect(partial(self._on_clicked, entry.key))
        self._group.addButton(button)
        self._buttons[entry.key] = button
        return button

    def _size_icons(self) -> None:
        size = theme.scaled(_ICON_SIZE)
        for button in self._buttons.values():
            button.setIconSize(QSize(size, size))

    def _fit(self) -> None:
        """Leave the icons out where the buttons would not be whole with them."""
        style = Qt.ToolButtonStyle
        layout = self.layout()
        spacing = layout.spacing() if layout else 0
        heights = [button.sizeHint().height() for button in self._buttons.values()]
        with_icons = sum(heights) + (len(heights) + 1) * spacing
        if self._is_bare:
            with_icons += len(heights) * theme.scaled(_ICON_SIZE)
        self._is_bare = with_icons > self.height()
        for button in self._buttons.values():
            button.setToolButtonStyle(style.ToolButtonTextOnly if self._is_bare else style.ToolButtonTextUnderIcon)

    def _on_clicked(self, key: str, _checked: bool = False) -> None:
        self.chosen.emit(key)


class _RailButton(QToolButton):
    """A page's button, which may have a number in its corner."""

    def __init__(self) -> None:
        super().__init__()
        self._count, self._is_alarm = 0, False
        self._own_tooltip = ""

    def show_badge(self, count: int, *, is_alarm: bool, meaning: str) -> None:
        self._own_tooltip = self._own_tooltip or self.toolTip()
        self._count, self._is_alarm = count, is_alarm
        self.setToolTip(f"{self._own_tooltip}\n{meaning}" if count else self._own_tooltip)
        self.setAccessibleDescription(meaning if count else "")
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if not self._count:
            return
        palette = theme.current()
        text = str(self._count) if self._count < 100 else "99+"
        height = self.fontMetrics().height() + 2
        width = max(height, self.fontMetrics().horizontalAdvance(text) + height // 2)
        box = QRectF(self.width() - width - 4, 4, width, height)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(palette.error if self._is_alarm else palette.accent))
        painter.drawRoundedRect(box, height / 2, height / 2)
        painter.setPen(QColor(palette.on_accent))
        painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)
