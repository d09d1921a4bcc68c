"""Words outside the window: the system's notifications and the badge on the program's icon."""

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QGuiApplication, QIcon
from PySide6.QtWidgets import QApplication, QSystemTrayIcon, QWidget

from dit_studio.places import resources_dir

_SHOWN_MS = 10_000


class Notifications(QObject):
    """Through the system's tray where there is one; elsewhere the window asks for attention."""

    clicked = Signal()

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self._window = window
        self._tray: QSystemTrayIcon | None = None

    def tell(self, title: str, text: str, *, is_failure: bool) -> None:
        if not QSystemTrayIcon.isSystemTrayAvailable() or not QSystemTrayIcon.supportsMessages():
            QApplication.alert(self._window)
            return
        icons = QSystemTrayIcon.MessageIcon
        self._shown_tray().showMessage(title, text, icons.Critical if is_failure else icons.Information, _SHOWN_MS)

    def show_count(self, count: int) -> None:
        """On the program's icon, where the system shows one."""
        if hasattr(QGuiApplication, "setBadgeNumber"):  # since Qt 6.5, by an instance since 6.6
            app = QGuiApplication.instance()
            assert isinstance(app, QGuiApplication)
            app.setBadgeNumber(count)

    def close(self) -> None:
        if self._tray is not None:
            self._tray.hide()
        self.show_count(0)

    def _shown_tray(self) -> QSystemTrayIcon:
        """In the tray from the first message on: a message needs an icon there."""
        if self._tray is None:
            self._tray = QSystemTrayIcon(QIcon(str(resources_dir() / "icons" / "dit-studio.svg")), self)
            self._tray.setToolTip("DiT Studio")
            self._tray.messageClicked.connect(self.clicked)
            self._tray.activated.connect(lambda _reason: self.clicked.emit())
            self._tray.show()
        return self._tray
