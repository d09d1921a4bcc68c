"""The question that closing the window asks while runs go on or wait."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from PySide6.QtWidgets import QMessageBox, QPushButton, QWidget

_NAMED = 3  # of the other runs; more are counted


class CloseChoice(Enum):
    STOP = auto()  # save a checkpoint, end the run that is shown, or else all on this machine, then close
    KEEP_RUNNING = auto()
    CANCEL = auto()


@dataclass(frozen=True, kw_only=True)
class GoingOn:
    """What goes on when the window closes; each run in words, with its step and the time that is left."""

    shown: str = ""  # the run of the Train page; "" if it is not at work
    others: tuple[str, ...] = ()  # on this machine
    waiting: int = 0  # in the queue, not held
    can_keep_running: bool = True  # the shown run has a process of its own

    def __bool__(self) -> bool:
        return bool(self.shown or self.others or self.waiting)


def ask_about_runs(window: QWidget, going_on: GoingOn) -> CloseChoice:
    """Ask a person. A run inside this process ends with it, so it cannot be kept running."""
    box = QMessageBox(window)
    box.setIcon(QMessageBox.Icon.Question)
    box.setWindowTitle("Close the window")
    box.setText(headline(going_on))
    box.setInformativeText(explanation(going_on))
    choices: dict[QPushButton, CloseChoice] = {}
    if going_on.can_keep_running or not going_on.shown:
        words = "Keep running" if going_on.shown or going_on.others else "Close"
        keep = box.addButton(words, QMessageBox.ButtonRole.AcceptRole)
        choices[keep] = CloseChoice.KEEP_RUNNING
        box.setDefaultButton(keep)
    if going_on.shown or going_on.others:
        words = "Stop and save all" if not going_on.shown and len(going_on.others) > 1 else "Stop and save"
        choices[box.addButton(words, QMessageBox.ButtonRole.DestructiveRole)] = CloseChoice.STOP
    box.addButton("Cancel", QMessageBox.ButtonRole.RejectRole)
    box.exec()
    pressed = box.clickedButton()
    return next((choice for button, choice in choices.items() if button is pressed), CloseChoice.CANCEL)


def headline(going_on: GoingOn) -> str:
    """What goes on, in a sentence."""
    if going_on.shown:
        return f"A training run goes on: {going_on.shown}."
    if going_on.others:
        return f"{_listed(going_on.others)} {'goes' if len(going_on.others) == 1 else 'go'} on."
    return _waiting_words(going_on.waiting)


def explanation(going_on: GoingOn) -> str:
    """What becomes of it."""
    sentences = []
    if going_on.shown and going_on.can_keep_running:
        sentences.append("It can go on without the window; you will find it under Runs.")
    elif going_on.shown:
        sentences.append("It trains inside this window's process, so it cannot go on without it.")
    if going_on.shown and going_on.others:
        sentences.append(f"Whatever you choose, {_listed(going_on.others)} will go on without the window.")
    elif going_on.others:
        they, them = ("They", "them") if len(going_on.others) > 1 else ("It", "it")
        sentences.append(f"{they} can go on without the window; you will find {them} under Runs.")
    if going_on.waiting and (going_on.shown or going_on.others):
        sentences.append(_waiting_words(going_on.waiting))
    if going_on.waiting:
        sentences.append(f"{'They start' if going_on.waiting > 1 else 'It starts'} without the window, too.")
    return " ".join(sentences)


def _waiting_words(waiting: int) -> str:
    return "1 run waits in the queue." if waiting == 1 else f"{waiting} runs wait in the queue."


def _listed(runs: Sequence[str]) -> str:
    named = list(runs[:_NAMED])
    if len(runs) > _NAMED:
        named.append(f"{len(runs) - _NAMED} more")
    return named[0] if len(named) == 1 else f"{', '.join(named[:-1])} and {named[-1]}"
