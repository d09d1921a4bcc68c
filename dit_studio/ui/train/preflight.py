"""The last card before Start: what the run is called, where it goes, and whether it can work."""

import time

import msgspec
from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QLabel, QLineEdit, QWidget

from dit_studio.events import Check, CheckStatus, Event, Failure, Preflight
from dit_studio.places import runs_dir
from dit_studio.ui.titles import with_titles
from dit_studio.ui.train.check_line import CheckLines
from dit_studio.ui.widgets.basics import BusyBar, Caption, ElidedLabel, button, describe, row
from dit_studio.ui.widgets.card import Card


class PreflightCard(Card):
    """`asked` wants the checks once more; `named` says that another name was typed."""

    asked = Signal()
    named = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Before the start", parent=parent)
        self._reason = ""
        self.has_failed, self._answered_at = False, 0.0  # the last checks; when, on the monotonic clock
        self.name = QLineEdit()
        self.name.setAcceptDrops(False)  # what is dropped is for the window
        describe(self.name, "Name of the run", "The run's folder is called by the time and this name.")
        self.name.textEdited.connect(lambda _text: self.named.emit())
        label = QLabel("Name")
        label.setBuddy(self.name)
        self._place = ElidedLabel(mode=Qt.TextElideMode.ElideMiddle, role="caption")
        self._busy, self._hint = BusyBar(), Caption("The checks are made once images are open.")
        self.lines = CheckLines()
        again = button("Check again", "Look once more at disk, memory and settings.")
        again.clicked.connect(self.asked)
        self.body.addLayout(row(label, self.name))
        for widget in (self._place, self._busy, self.lines, self._hint):
            self.body.addWidget(widget)
        self.body.addLayout(row(again, None))
        self.show_place()

    def run_name(self) -> str:
        """What was typed, or else what is proposed."""
        return self.name.text().strip() or self.name.placeholderText() or "run"

    def propose_name(self, name: str) -> None:
        self.name.setPlaceholderText(name)

    def show_place(self) -> None:
        """Where runs are kept now."""
        self._place.setText(f"Kept in {runs_dir()}")

    def show_waiting(self) -> None:
        """The checks are being made; the last ones no longer count."""
        self._reason, self.has_failed = "the checks are being made.", False
        self._busy.show_progress("Checking")
        self._hint.hide()

    def show_impossible(self) -> None:
        """There is nothing to check yet."""
        self._reason, self.has_failed = "", False
        self._busy.finish()
        self.lines.show_checks(())
        self._hint.setText("The checks are made once images are open and the settings are possible.")
        self._hint.show()

    def show_answer(self, answer: Event) -> None:
        self._busy.finish()
        self._hint.hide()
        preflight = answer if isinstance(answer, Preflight) else _failed(answer)
        checks = tuple(_in_titles(check) for check in preflight.checks)
        self.lines.show_checks(checks)
        failed = [check.message for check in checks if check.status is CheckStatus.FAILED]
        self._reason = f"mend this, then press Check again: {failed[0]}" if failed else ""
        self.has_failed, self._answered_at = bool(failed), time.monotonic()

    def seconds_since_answer(self) -> float:
        return time.monotonic() - self._answered_at

    @property
    def why_not(self) -> str:
        """Why the checks do not let a run start; "" if they do."""
        return self._reason


def _in_titles(check: Check) -> Check:
    return msgspec.structs.replace(check, message=with_titles(check.message), remedy=with_titles(check.remedy))


def _failed(answer: Event) -> Preflight:
    failure = answer if isinstance(answer, Failure) else Failure(message="The checks said nothing.")
    check = Check(name="checks", status=CheckStatus.FAILED, message=failure.message, remedy=failure.remedy)
    return Preflight(checks=(check,))
