"""The queue in the status bar: how many runs wait. Pressed, it shows them."""

from PySide6.QtWidgets import QSizePolicy, QToolButton, QWidget

from dit_studio.ui.run_watch import RunsSeen
from dit_studio.ui.widgets.basics import describe, set_property

_TOOLTIP = "Show what is at work and what waits, by device (Ctrl+J)."


class QueueStatus(QToolButton):
    """A flat button: "queue 2", in the colour of an alarm where nothing starts what waits."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("kind", "status")
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.setText("queue")
        describe(self, "Queue", _TOOLTIP)

    def show_seen(self, seen: RunsSeen, *, is_given_up: bool) -> None:
        """`is_given_up`: what starts the runs is gone, and is not started again."""
        waiting = len(seen.waiting)
        is_stuck = bool(seen.problem) or (is_given_up and seen.can_start and not seen.is_kept)
        self.setText(f"queue {waiting}" if waiting else "queue")
        set_property(self, "level", "error" if is_stuck else "")
        words = f"{waiting} {'run waits' if waiting == 1 else 'runs wait'}." if waiting else "Nothing waits."
        problem = seen.problem or ("Nothing starts what waits." if is_stuck else "")
        self.setToolTip("\n".join(part for part in (_TOOLTIP, words, problem) if part))
        self.setAccessibleDescription(f"{words} {problem}".strip())
