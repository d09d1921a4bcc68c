"""One window a user and settings file: a second start hands its path to the first, and ends."""

import getpass
import hashlib
import logging
from pathlib import Path

from PySide6.QtCore import QObject, Signal
from PySide6.QtNetwork import QLocalServer, QLocalSocket

_log = logging.getLogger(__name__)
_LIMIT_MS = 2000
_READ_LIMIT_MS = 200  # the other side writes as soon as it is connected
_HEARD = b"heard\n"


def server_name(settings_path: Path) -> str:
    """The name under which the window of this user and settings file listens."""
    key = f"{getpass.getuser()}:{settings_path.absolute()}"
    return "dit-studio-" + hashlib.sha256(key.encode()).hexdigest()[:16]


def hand_over(name: str, path: Path | None) -> bool:
    """Give `path` to the window that runs already; False if there is none, or if it does not answer."""
    socket = QLocalSocket()
    socket.connectToServer(name)
    if not socket.waitForConnected(_LIMIT_MS):
        return False
    socket.write(f"{path.absolute() if path else ''}\n".encode())
    return socket.waitForBytesWritten(_LIMIT_MS) and socket.waitForReadyRead(_LIMIT_MS)


class Doorbell(QObject):
    """Where the first window hears of later starts; `rang` carries the path of one, or None."""

    rang = Signal(object)

    def __init__(self, name: str, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._server = QLocalServer(self)
        self._server.setSocketOptions(QLocalServer.SocketOption.UserAccessOption)
        self._server.newConnection.connect(self._on_connected)
        if not self._server.listen(name):
            QLocalServer.removeServer(name)  # left behind by a window that was killed
            if not self._server.listen(name):
                _log.warning("later starts will not find this window: %s", self._server.errorString())

    def close(self) -> None:
        self._server.close()

    def _on_connected(self) -> None:
        socket = self._server.nextPendingConnection()
        while not socket.canReadLine() and socket.waitForReadyRead(_READ_LIMIT_MS):
            pass
        line = bytes(socket.readLine().data())
        socket.write(_HEARD)
        socket.flush()
        socket.deleteLater()
        if line.endswith(b"\n"):
            text = line.decode().rstrip("\n")
            self.rang.emit(Path(text) if text else None)
