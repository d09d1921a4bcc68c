"""A notice by the desktop's own means, where a program for that is found; no window is needed."""

import os
import shutil
import subprocess
import sys

_LIMIT_SECONDS = 5.0
_OSASCRIPT = (
    "on run argv",
    "display notification (item 2 of argv) with title (item 1 of argv)",
    "end run",
)


def tell(title: str, text: str) -> bool:
    """Show a notice; False if nothing here can, which is no failure."""
    command = _command(title, text)
    if not command:
        return False
    try:
        return subprocess.run(command, capture_output=True, timeout=_LIMIT_SECONDS, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _command(title: str, text: str) -> list[str]:
    if sys.platform == "darwin" and (program := shutil.which("osascript")):
        script = [word for line in _OSASCRIPT for word in ("-e", line)]
        return [program, *script, title, text]
    if os.environ.get("DBUS_SESSION_BUS_ADDRESS") and (program := shutil.which("notify-send")):
        return [program, "--app-name=DiT Studio", "--", title, text]
    return []
