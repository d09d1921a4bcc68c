"""The question that closing the window asks while a run goes on."""

from enum import Enum, auto

from PySide6.QtWidgets import QMessageBox, QPushButton, QWidget


class CloseChoice(Enum):
    STOP = auto()  # save a checkpoint, end the run, then close
    KEEP_RUNNING = auto()
    CANCEL = auto()


def ask_about_run(window: QWidget, can_keep_running: bool) -> CloseChoice:
    """Ask a person. A run inside this process ends with it, so it cannot be kept running."""
    box = QMessageBox(window)
    box.setIcon(QMessageBox.Icon.Question)
    box.setWindowTitle("A run goes on")
    box.setText("A training run goes on.")
    choices: dict[QPushButton, CloseChoice] = {}
    if can_keep_running:
        box.setInformativeText("It can go on without the window; you will find it under Runs.")
        keep = box.addButton("Keep running", QMessageBox.ButtonRole.AcceptRole)
        choices[keep] = CloseChoice.KEEP_RUNNING
        box.setDefaultButton(keep)
    else:
        box.setInformativeText("It trains inside this window's process, so it cannot go on without it.")
    choices[box.addButton("Stop and save", QMessageBox.ButtonRole.DestructiveRole)] = CloseChoice.STOP
    box.addButton("Cancel", QMessageBox.ButtonRole.RejectRole)
    box.exec()
    pressed = box.clickedButton()
    return next((choice for button, choice in choices.items() if button is pressed), CloseChoice.CANCEL)
