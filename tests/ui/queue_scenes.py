"""The queue in its states, for screenshots.py."""

import time
from collections.abc import Callable
from pathlib import Path

import msgspec
from example_runs import make_run
from PySide6.QtGui import QCloseEvent
from PySide6.QtWidgets import QWidget
from quiet_queue import Keeper, add_waiting, begin, end
from scripted import ScriptedLauncher

from dit_studio.events import JobState
from dit_studio.jobs.run_folder import RunFolder
from dit_studio.places import runs_dir
from dit_studio.ui.closing import CloseChoice, GoingOn, explanation, headline
from dit_studio.ui.main_window import MainWindow
from dit_studio.ui.queue.window import QueueWindow
from dit_studio.ui.run_watch import RunWatch
from dit_studio.ui.settings import Settings


class _Queue(QueueWindow):
    """The list without its window, which looks once and while it is shown."""

    def __init__(self, keeper: Keeper) -> None:
        watch = RunWatch(keeper.queue)
        super().__init__(watch)
        watch.setParent(self)
        watch.start()

    def closeEvent(self, event: QCloseEvent) -> None:
        self._watch.close()
        super().closeEvent(event)


def _at_work(name: str, *, device: str, data: str, step: int, steps: int) -> RunFolder:
    folder = add_waiting(name, device=device, data=data, steps=steps)
    begin(folder, step=step, seconds=step * 0.32)
    _beat_elsewhere(folder)
    return folder


def _beat_elsewhere(folder: RunFolder) -> None:
    """Alive by its heartbeat, as of another machine: a scene holds no locks."""
    status = folder.read_status()
    folder.write_status(msgspec.structs.replace(status, host="workstation-2", heartbeat=time.time() + 60))


def empty(_place: Path) -> QWidget:
    return _Queue(Keeper())


def busy(place: Path) -> QWidget:
    return _filled(place, Keeper())


def _filled(_place: Path, keeper: Keeper) -> QueueWindow:
    _at_work("landscapes-B4", device="cuda:0", data="landscapes", step=1240, steps=20_000)
    _at_work("flowers-S4", device="cuda:1", data="flowers-102", step=18_400, steps=20_000)
    add_waiting("landscapes-B4-cosine", device="cuda:0", data="landscapes", steps=20_000)
    held = add_waiting("flowers and 數據 with a name that is rather long for a list", device="cuda:0", data="flowers")
    add_waiting("both", device="cuda:0,cuda:1", data="landscapes", steps=100_000)
    add_waiting("small", device="cuda:1", data="digits", steps=500)
    keeper.queue(runs_dir()).hold(held.name, is_held=True)
    window = _Queue(keeper)
    window.tree.model().rowsInserted.connect(lambda *_: window.tree.select(held.name))
    return window


def stuck(place: Path) -> QWidget:
    keeper = Keeper()
    keeper.is_alive = False
    return _filled(place, keeper)


def _window(place: Path, page: str) -> MainWindow:
    settings = Settings(place / "settings.json")
    settings.put(page=page)
    return MainWindow(
        settings,
        ScriptedLauncher(),  # type: ignore[arg-type]
        make_queue=Keeper().queue,
        ask=lambda _window, _going_on: CloseChoice.KEEP_RUNNING,
    )


def waiting_run(place: Path) -> QWidget:
    """The Train page on a run that waits."""
    add_waiting("landscapes-B4", device="cuda:0", steps=20_000)
    folder = add_waiting("landscapes-B4-cosine", device="cuda:0", steps=20_000)
    window = _window(place, "train")
    window.train_page.open_run(folder.path)
    return window


def ended_badly(place: Path) -> QWidget:
    """The badge of runs that ended while nobody looked."""
    failing = make_run(runs_dir(), "flowers", "flowers-102", "S/4", JobState.RUNNING, 610)
    _beat_elsewhere(failing)
    add_waiting("next")
    window = _window(place, "settings")
    window._watch.seen.connect(lambda _seen: end(failing, JobState.FAILED, "The loss is NaN since step 605."))
    window._watch.look()
    return window


def closing(_place: Path) -> QWidget:
    from PySide6.QtWidgets import QMessageBox

    going_on = GoingOn(
        shown="landscapes-B4 (step 1,240 of 20,000, 1 h 40 min left)",
        others=("flowers-S4 (step 18,400 of 20,000, 8 min 32 s left)",),
        waiting=3,
    )
    box = QMessageBox(QMessageBox.Icon.Question, "Close the window", headline(going_on))
    box.setInformativeText(explanation(going_on))
    for words, role in (("Keep running", QMessageBox.ButtonRole.AcceptRole),
                        ("Stop and save", QMessageBox.ButtonRole.DestructiveRole),
                        ("Cancel", QMessageBox.ButtonRole.RejectRole)):  # fmt: skip
        box.addButton(words, role)
    return box


QUEUE_SCENES: dict[str, Callable[[Path], QWidget]] = {
    "queue-waiting-run": waiting_run,
    "queue-ended-badly": ended_badly,
}
QUEUE_PARTS: dict[str, Callable[[Path], QWidget]] = {  # no windows of the program
    "queue-empty": empty,
    "queue-busy": busy,
    "queue-stuck": stuck,
    "queue-closing": closing,
}
