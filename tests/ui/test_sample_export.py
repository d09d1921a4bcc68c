"""Taking an entry along: what the menu offers, what is asked, what comes of it."""

import errno
import re
import threading
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QMimeData, Qt, QTimer
from PySide6.QtGui import QAction, QGuiApplication, QImage, QPainter
from PySide6.QtWidgets import (
    QApplication,
    QDialogButtonBox,
    QFileDialog,
    QLabel,
    QLineEdit,
    QMessageBox,
    QPushButton,
)
from pytestqt.qtbot import QtBot
from sample_history_scenes import make_entry, points_of, record_of
from scripted import Script, ScriptedJob, ScriptedLauncher

from dit_studio.engine.export.job import export
from dit_studio.engine.export.sheet_layout import columns_of
from dit_studio.events import Failure, Notice, Progress, Written
from dit_studio.jobs.launch import Launcher
from dit_studio.jobs.sample_history import SampleHistory
from dit_studio.trajectory import evenly_spaced_steps
from dit_studio.ui.sample.export_menu import ExportDialogs, ExportMenu
from dit_studio.ui.sample.export_path import ExportPlace, file_at, save_dialog
from dit_studio.ui.sample.export_status import ExportStatus
from dit_studio.ui.sample.film import KeptFilm
from dit_studio.ui.sample.movie_dialog import MovieDialog
from dit_studio.ui.sample.sheet_dialog import SheetDialog
from dit_studio.ui.sample.sheet_preview import SheetPreview
from dit_studio.ui.widgets.basics import WholeText

Dialog = SheetDialog | MovieDialog


class Answers:
    """What a user answers to the dialogs, and what they were asked."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.suggested: list[tuple[str, str]] = []
        self.count: int | None = 3000
        self.goes_on = True
        self.change: Callable[[Dialog], None] = lambda _dialog: None

    def save_path(self, _title: str, suggested: str, kinds: str) -> str:
        self.suggested.append((Path(suggested).name, kinds))
        return str(self.place / Path(suggested).name) if self.goes_on else ""

    def run(self, dialog: Dialog) -> bool:
        self.change(dialog)
        return self.goes_on

    @property
    def dialogs(self) -> ExportDialogs:
        return ExportDialogs(save_path=self.save_path, ask_count=lambda _question, _default: self.count, run=self.run)


@pytest.fixture
def answers(tmp_path: Path) -> Answers:
    return Answers(tmp_path)


@pytest.fixture
def history(tmp_path: Path) -> SampleHistory:
    root = tmp_path / "samples"
    make_entry(root, "kept", record_of(classes=(1, 7, 3), count=6, steps=8))
    make_entry(root, "still", record_of(count=2), with_trajectory=False)
    make_entry(root, "none", record_of(count=2), images=0, state="failed", with_trajectory=False)
    history = SampleHistory(root)
    history.set_favourite("kept", 0, on=True)
    history.set_favourite("kept", 4, on=True)
    return history


@pytest.fixture
def shown_paths() -> list[Path]:
    return []


@pytest.fixture
def make_menu(qtbot: QtBot, answers: Answers, shown_paths: list[Path]) -> Iterator[Callable[[Any], ExportMenu]]:
    made: list[ExportMenu] = []

    def make(launcher: ScriptedLauncher | Launcher) -> ExportMenu:
        menu = ExportMenu(launcher, dialogs=answers.dialogs, status=ExportStatus(show_path=shown_paths.append))
        for widget in (menu, menu.status):
            qtbot.addWidget(widget)
        made.append(menu)
        return menu

    yield make
    for menu in made:
        menu.status.close_jobs()


def launcher_for(script: Script) -> ScriptedLauncher:
    return ScriptedLauncher(answers={"export": script, "draw_npz": script})


def show(menu: ExportMenu, history: SampleHistory, name: str, image: int = 0) -> None:
    entry = history.entry(name)
    assert entry is not None
    menu.show_entry(entry, image, KeptFilm(entry.path))


def action(menu: ExportMenu, text: str) -> QAction:
    (found,) = [item for item in menu.menu().actions() if item.text() == text]
    return found


def choose(qtbot: QtBot, menu: ExportMenu, text: str) -> tuple[str, str]:
    """Choose from the menu and wait for the line that stands there in the end, and its level."""
    with qtbot.assertNotEmitted(menu.said):  # it is said once, in the line
        action(menu, text).trigger()
        qtbot.waitUntil(lambda: not menu.status.is_running)
    (line,) = [label for label in menu.status.findChildren(WholeText) if not label.isHidden()]
    return line.text(), "error" if line.property("role") == "problem" else "info"


def click(qtbot: QtBot, status: ExportStatus, text: str) -> None:
    (found,) = [item for item in status.findChildren(QPushButton) if item.text() == text and not item.isHidden()]
    qtbot.mouseClick(found, Qt.MouseButton.LeftButton)


def visible_words(status: ExportStatus) -> str:
    return "\n".join(label.text() for label in status.findChildren(QLabel) if not label.isHidden())


def enabled(menu: ExportMenu) -> set[str]:
    return {item.text() for item in menu.menu().actions() if item.isEnabled() and item.text()}


def written(path: str) -> list[Written]:
    return [Written(file=path, size_bytes=41_234, images=1)]


# ------------------------------------------------------------------------------------------------- what is offered


def test_without_an_entry_nothing_is_offered(make_menu: Callable[[Any], ExportMenu]) -> None:
    menu = make_menu(ScriptedLauncher())
    assert enabled(menu) == set()
    assert action(menu, "GIF…").toolTip() == "Nothing is picked: generate images, or open some from the history."


def test_without_a_trajectory_its_kinds_say_why(make_menu: Callable[[Any], ExportMenu], history: SampleHistory) -> None:
    menu = make_menu(ScriptedLauncher())
    show(menu, history, "still")
    assert not enabled(menu) & {"Contact sheet…", "Evolution sheet…", "GIF…", "MP4…"}
    assert "This entry has no trajectory" in action(menu, "MP4…").toolTip()
    assert {"Image…", "All images as a grid…", "Images as NPZ…", "Many images to NPZ…"} <= enabled(menu)
    show(menu, history, "kept")
    assert {"Contact sheet…", "Evolution sheet…", "GIF…", "MP4…"} <= enabled(menu)
    assert action(menu, "MP4…").toolTip() == "The trajectory as a film."


def test_without_a_finished_image_only_new_ones_can_be_drawn(
    make_menu: Callable[[Any], ExportMenu], history: SampleHistory
) -> None:
    menu = make_menu(ScriptedLauncher())
    show(menu, history, "none")
    assert enabled(menu) == {"Many images to NPZ…", "Open folder"}
    assert action(menu, "Image…").toolTip() == "No image of this entry was finished."


# ------------------------------------------------------------------------------------------------- what is asked


@pytest.mark.parametrize(
    ("text", "kind", "name", "options"),
    [
        ("Image…", "png", "digits-ddim8-seed14.png", {"image": 2}),
        ("All images as a grid…", "grid", "digits-ddim8-seed12-grid.png", {}),
        (
            "Contact sheet…",
            "contact",
            "digits-ddim8-seed12-contact.png",
            {"image": 2, "columns": 10, "plane": "x_start"},
        ),
        ("Images as NPZ…", "npz", "digits-ddim8-seed12-npz.npz", {}),
    ],
)
def test_an_export_is_called_as_its_job_expects(
    qtbot: QtBot,
    make_menu: Callable[[Any], ExportMenu],
    history: SampleHistory,
    answers: Answers,
    text: str,
    kind: str,
    name: str,
    options: dict[str, object],
) -> None:
    launcher = launcher_for(written(f"/somewhere/{name}"))
    menu = make_menu(launcher)
    show(menu, history, "kept", image=2)
    assert choose(qtbot, menu, text) == (f"Saved {name} (41 kB).", "info")
    entry = str(history.root / "kept")
    assert launcher.calls == [
        ("export", {"kind": kind, "path": str(answers.place / name), "options": {"entry": entry, **options}})
    ]


def test_a_sheet_is_asked_for_in_its_dialog(
    qtbot: QtBot, make_menu: Callable[[Any], ExportMenu], history: SampleHistory, answers: Answers
) -> None:
    launcher = launcher_for(written("/somewhere/sheet.pdf"))
    menu = make_menu(launcher)
    show(menu, history, "kept", image=1)

    def fill_in(dialog: Dialog) -> None:
        assert isinstance(dialog, SheetDialog)
        dialog.images.setCurrentText("Favourites (2)")
        dialog.columns.setValue(5)
        dialog.spacing.setCurrentText("Even in log-SNR")
        dialog.plane.setCurrentText("Noisy image xₜ")
        dialog.cell.setValue(64)
        dialog.labels.click()
        dialog.format.setCurrentText("PDF")

    answers.change = fill_in
    choose(qtbot, menu, "Evolution sheet…")
    assert answers.suggested == [("digits-ddim8-seed12-sheet.pdf", "PDF (*.pdf)")]
    assert launcher.calls[0][1]["options"] == {
        "entry": str(history.root / "kept"),
        "images": [0, 4],
        "columns": 5,
        "spacing": "log-snr",
        "plane": "x_t",
        "cell": 64,
        "labels": False,
    }


def test_a_film_is_asked_for_in_its_dialog(
    qtbot: QtBot, make_menu: Callable[[Any], ExportMenu], history: SampleHistory, answers: Answers
) -> None:
    launcher = launcher_for(written("/somewhere/film.gif"))
    menu = make_menu(launcher)
    show(menu, history, "kept", image=1)

    def fill_in(dialog: Dialog) -> None:
        assert isinstance(dialog, MovieDialog)
        assert dialog.length_text() == "9 frames, 2.1 s; each picture 512 × 512 pixels."
        dialog.plane.setCurrentText("Both, side by side")
        dialog.fps.setValue(3)
        dialog.scale.setValue(2)
        dialog.hold.setValue(1)
        assert dialog.length_text() == "9 frames, 4.0 s; each picture 32 × 32 pixels."

    answers.change = fill_in
    choose(qtbot, menu, "GIF…")
    assert launcher.calls[0][1]["kind"] == "gif"
    assert launcher.calls[0][1]["options"] == {
        "entry": str(history.root / "kept"),
        "images": [1],
        "plane": "both",
        "fps": 3,
        "scale": 2,
        "hold_seconds": 1.0,
    }


def test_many_images_are_drawn_with_the_settings_of_the_entry(
    qtbot: QtBot, make_menu: Callable[[Any], ExportMenu], history: SampleHistory
) -> None:
    launcher = launcher_for(written("/somewhere/many.npz"))
    menu = make_menu(launcher)
    show(menu, history, "still")
    choose(qtbot, menu, "Many images to NPZ…")
    ((job, params),) = launcher.calls
    assert job == "draw_npz"
    assert (params["model"], params["weights"]) == ("/runs/digits", "ema")
    assert (params["request"]["count"], params["request"]["cfg"], list(params["request"]["classes"])) == (
        3000,
        4.0,
        [7],
    )
    assert params["path"].endswith("digits-ddim50-seed12-many.npz")


@pytest.mark.parametrize("text", ["Image…", "Evolution sheet…", "GIF…", "Many images to NPZ…"])
def test_going_back_exports_nothing(
    make_menu: Callable[[Any], ExportMenu], history: SampleHistory, answers: Answers, text: str
) -> None:
    launcher = ScriptedLauncher()
    menu = make_menu(launcher)
    show(menu, history, "kept")
    answers.goes_on, answers.count = False, None
    action(menu, text).trigger()
    assert launcher.calls == []
    assert menu.status.isHidden()


@pytest.mark.parametrize(("typed", "path"), [("a", "a.png"), ("a.b", "a.b.png"), ("a.PNG", "a.PNG")])
def test_a_name_gets_its_ending(
    qtbot: QtBot,
    make_menu: Callable[[Any], ExportMenu],
    history: SampleHistory,
    tmp_path: Path,
    typed: str,
    path: str,
) -> None:
    launcher = launcher_for(written("/somewhere/a.png"))
    menu = make_menu(launcher)
    menu._dialogs = ExportDialogs(save_path=lambda *_: str(tmp_path / typed))
    show(menu, history, "kept")
    choose(qtbot, menu, "Image…")
    assert launcher.calls[0][1]["path"] == str(tmp_path / path)


@pytest.mark.parametrize("text", ["/", "", "..", "/..", "~nobody-of-that-name/x", "\ud800", "a\0b", "folder/"])
def test_what_names_no_file_is_asked_for_again(text: str, tmp_path: Path) -> None:
    typed = iter([text, str(tmp_path / ("x" * 400)), str(tmp_path / "a")] if text else [str(tmp_path / "a")])
    place = ExportPlace(
        will_write=lambda path: len(path.name) > 300, save_path=lambda *_: next(typed), confirm=lambda *_: False
    )
    assert place.ask("", "", ending="png", kinds="") == tmp_path / "a.png"
    assert file_at(text, ".png") is None


def test_a_file_is_not_replaced_unasked_when_its_ending_was_added(
    qtbot: QtBot, make_menu: Callable[[Any], ExportMenu], history: SampleHistory, tmp_path: Path
) -> None:
    (tmp_path / "foo.png").write_bytes(b"mine")
    launcher = launcher_for(written("/somewhere/foo.png"))
    menu = make_menu(launcher)
    show(menu, history, "kept")
    questions: list[str] = []
    typed, replies = iter(["foo", "foo", "bar"]), iter([False, False])
    menu._dialogs = ExportDialogs(
        save_path=lambda *_: str(tmp_path / next(typed)),
        confirm=lambda question, _action: questions.append(question) or next(replies),  # type: ignore[func-returns-value]
    )
    choose(qtbot, menu, "Image…")
    assert questions == [f"foo.png is there already in {tmp_path}. Replace it?"] * 2
    assert [call[1]["path"] for call in launcher.calls] == [str(tmp_path / "bar.png")], "asked until it is another"
    menu._dialogs = ExportDialogs(save_path=lambda *_: str(tmp_path / "foo"), confirm=lambda *_: True)
    choose(qtbot, menu, "Image…")
    assert launcher.calls[-1][1]["path"] == str(tmp_path / "foo.png")


def test_a_whole_name_is_asked_about_by_the_dialog_alone(
    qtbot: QtBot, make_menu: Callable[[Any], ExportMenu], history: SampleHistory, tmp_path: Path
) -> None:
    (tmp_path / "foo.png").write_bytes(b"mine")
    launcher = launcher_for(written("/somewhere/foo.png"))
    menu = make_menu(launcher)
    show(menu, history, "kept")
    menu._dialogs = ExportDialogs(
        save_path=lambda *_: str(tmp_path / "foo.png"), confirm=lambda question, _: pytest.fail(question)
    )
    choose(qtbot, menu, "Image…")
    assert launcher.calls[-1][1]["path"] == str(tmp_path / "foo.png")


def test_the_dialog_itself_asks_before_it_replaces(qtbot: QtBot, tmp_path: Path) -> None:
    (tmp_path / "foo.png").write_bytes(b"mine")
    dialog = save_dialog("Image", str(tmp_path / "digits.png"), "PNG (*.png)")
    dialog.setOption(QFileDialog.Option.DontUseNativeDialog)
    qtbot.addWidget(dialog)
    dialog.show()
    (name,) = [edit for edit in dialog.findChildren(QLineEdit) if edit.objectName() == "fileNameEdit"]
    assert name.text() == "digits.png"
    questions: list[str] = []

    def refuse() -> None:
        box = QApplication.activeModalWidget()
        if isinstance(box, QMessageBox) and box.isVisible():
            questions.append(box.text())
            box.reject()

    answering = QTimer(dialog, interval=20)
    answering.timeout.connect(refuse)
    answering.start()
    name.setText("foo")
    dialog.accept()  # as the Save button does
    assert "foo.png" in questions[0]
    assert dialog.isVisible(), "it stays for another name"
    answering.stop()


# ------------------------------------------------------------------------------------------------- how it goes


def test_a_second_export_waits_for_the_first(
    qtbot: QtBot, make_menu: Callable[[Any], ExportMenu], history: SampleHistory
) -> None:
    gates = {kind: threading.Event() for kind in ("npz", "grid", "contact", "png")}

    def answer(kind: str, path: str, **_: object) -> Script:
        return [Progress(stage=f"Writing the {kind}", done=1), gates[kind], *written(path)]

    launcher = ScriptedLauncher(answers={"export": answer})
    menu = make_menu(launcher)
    show(menu, history, "kept")
    for text in ("Images as NPZ…", "All images as a grid…", "Contact sheet…", "Image…"):
        action(menu, text).trigger()
    qtbot.waitUntil(lambda: "Writing the npz" in visible_words(menu.status))
    first, second, third, last = (
        f"digits-ddim8-seed12{part}" for part in ("-npz.npz", "-grid.png", "-contact.png", ".png")
    )
    assert f"then {second}, {third}, 1 other" in visible_words(menu.status)
    assert len(launcher.jobs) == 1, "one at a time"
    gates["npz"].set()
    qtbot.waitUntil(lambda: "Writing the grid" in visible_words(menu.status))
    assert menu.status.text() == f"Saved {first} (41 kB).", "what came of the first stays in sight"
    assert f"then {third}, {last}" in visible_words(menu.status)
    click(qtbot, menu.status, "Cancel")
    qtbot.waitUntil(lambda: "Writing the contact" in visible_words(menu.status))
    gates["contact"].set()
    gates["png"].set()
    qtbot.waitUntil(lambda: not menu.status.is_running)
    assert menu.status.text().splitlines() == [
        f"Saved {first} (41 kB).",
        f"{second} was not exported: cancelled.",
        f"Saved {third} (41 kB).",
        f"Saved {last} (41 kB).",
    ]
    assert [job.is_cancelled for job in launcher.jobs] == [False, True, False, False]
    assert "then" not in visible_words(menu.status)
    assert choose(qtbot, menu, "Image…")[0] == f"Saved {last} (41 kB).", "the next one begins a new list"


def test_a_file_that_is_yet_to_come_is_asked_about(
    qtbot: QtBot, make_menu: Callable[[Any], ExportMenu], history: SampleHistory, tmp_path: Path
) -> None:
    launcher = launcher_for([threading.Event()])
    menu = make_menu(launcher)
    show(menu, history, "kept")
    questions: list[str] = []
    names = iter(["a.png", "a.png", ""])
    menu._dialogs = ExportDialogs(
        save_path=lambda *_: (name := next(names)) and str(tmp_path / name),
        confirm=lambda question, _action: bool(questions.append(question)),  # type: ignore[func-returns-value]
    )
    action(menu, "Image…").trigger()
    action(menu, "Image…").trigger()
    assert questions == ["a.png is being exported already. Replace it with this one?"]
    assert "then" not in visible_words(menu.status)
    click(qtbot, menu.status, "Cancel")
    qtbot.waitUntil(lambda: not menu.status.is_running)
    assert len(launcher.jobs) == 1


def test_closing_the_page_ends_what_runs_and_what_waits(
    make_menu: Callable[[Any], ExportMenu], history: SampleHistory
) -> None:
    launcher = launcher_for([threading.Event()])
    menu = make_menu(launcher)
    show(menu, history, "kept")
    for text in ("Images as NPZ…", "Image…"):
        action(menu, text).trigger()
    menu.status.close_jobs()
    assert [job.is_cancelled for job in launcher.jobs] == [True]
    assert not menu.status.is_running


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ("The worker ended.", "digits-ddim8-seed12.png was not exported: The worker ended. Try again."),
        ("digits-ddim8-seed12.png is a folder.", "digits-ddim8-seed12.png is a folder. Try again."),
    ],
)
def test_a_failure_says_which_export_it_is_about(
    qtbot: QtBot, make_menu: Callable[[Any], ExportMenu], history: SampleHistory, message: str, line: str
) -> None:
    menu = make_menu(launcher_for([Failure(message=message, remedy="Try again.")]))
    show(menu, history, "kept")
    assert choose(qtbot, menu, "Image…") == (line, "error")


def test_a_notice_stands_in_the_line(
    qtbot: QtBot, make_menu: Callable[[Any], ExportMenu], history: SampleHistory
) -> None:
    menu = make_menu(launcher_for([Notice(message="Batches of 8 instead of 16."), *written("/somewhere/a.npz")]))
    show(menu, history, "kept")
    with qtbot.assertNotEmitted(menu.said):
        action(menu, "Images as NPZ…").trigger()
        qtbot.waitUntil(lambda: not menu.status.is_running)
    assert menu.status.text() == "Batches of 8 instead of 16.\nSaved a.npz (41 kB)."


def test_a_full_disk_is_said_in_words_of_an_export(
    qtbot: QtBot, make_menu: Callable[[Any], ExportMenu], history: SampleHistory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_file: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    menu = make_menu(Launcher(in_process=True))
    show(menu, history, "kept")
    monkeypatch.setattr("dit_studio.files.os.fsync", full)
    text, level = choose(qtbot, menu, "Image…")
    assert level == "error"
    assert "There is no room to write" in text
    assert text.endswith("Free some space, or choose another folder.")
    assert "resume" not in text


def test_progress_is_shown_and_the_folder_can_be_opened(
    qtbot: QtBot, make_menu: Callable[[Any], ExportMenu], history: SampleHistory, shown_paths: list[Path]
) -> None:
    gate = threading.Event()
    progress = Progress(stage="Reading images", done=1200, total=5000, unit="images")
    menu = make_menu(launcher_for([progress, gate, *written("/somewhere/a.npz")]))
    show(menu, history, "kept")
    action(menu, "Images as NPZ…").trigger()
    status = menu.status
    labels = status.findChildren(QLabel)
    qtbot.waitUntil(lambda: any(label.text() == "Reading images 1,200 of 5,000 images" for label in labels))
    gate.set()
    qtbot.waitUntil(lambda: not status.is_running)
    assert status.text() == "Saved a.npz (41 kB)."
    click(qtbot, status, "Open folder")
    assert shown_paths == [Path("/somewhere")]
    click(qtbot, status, "Dismiss")
    assert status.isHidden()


def test_cancel_ends_it_and_says_so(
    qtbot: QtBot, make_menu: Callable[[Any], ExportMenu], history: SampleHistory
) -> None:
    launcher = launcher_for([Progress(stage="Writing", done=1), threading.Event(), *written("/never.npz")])
    menu = make_menu(launcher)
    show(menu, history, "kept")
    action(menu, "Images as NPZ…").trigger()
    click(qtbot, menu.status, "Cancel")
    qtbot.waitUntil(lambda: not menu.status.is_running)
    assert launcher.jobs[0].is_cancelled
    assert menu.status.text() == "digits-ddim8-seed12-npz.npz was not exported: cancelled."


def write_images(path: Path, count: int) -> None:
    np.savez(path, arr_0=np.zeros((count, 2, 2, 3), np.uint8), arr_1=np.zeros(count, np.int64))


@pytest.mark.parametrize("ending", ["", ".partial"])
def test_what_a_cancelled_npz_holds_is_said(qtbot: QtBot, tmp_path: Path, shown_paths: list[Path], ending: str) -> None:
    status = ExportStatus(show_path=shown_paths.append)
    qtbot.addWidget(status)
    write_images(tmp_path / "other.npz", 5)
    if ending:
        write_images(tmp_path / "a.npz", 2000)
    job = ScriptedJob([Progress(stage="Sampling", done=1), threading.Event()])
    status.run(lambda: job, tmp_path / "a.npz")
    qtbot.waitUntil(lambda: "Sampling" in visible_words(status))
    write_images(tmp_path / f"a{ending}.npz", 1234)
    click(qtbot, status, "Cancel")
    qtbot.waitUntil(lambda: not status.is_running)
    assert status.text() == f"Stopped: a{ending}.npz holds 1,234 images."
    click(qtbot, status, "Open folder")
    assert shown_paths == [tmp_path]


def test_a_cancelled_npz_that_was_there_before_is_not_said_to_be_new(qtbot: QtBot, tmp_path: Path) -> None:
    status = ExportStatus()
    qtbot.addWidget(status)
    write_images(tmp_path / "a.npz", 300)
    status.run(lambda: ScriptedJob([Progress(stage="Sampling", done=1), threading.Event()]), tmp_path / "a.npz")
    click(qtbot, status, "Cancel")
    qtbot.waitUntil(lambda: not status.is_running)
    assert status.text() == "a.npz was not exported: cancelled."


def test_what_a_failed_npz_holds_is_said(qtbot: QtBot, tmp_path: Path) -> None:
    status = ExportStatus()
    qtbot.addWidget(status)
    gate = threading.Event()
    script = [Progress(stage="Sampling", done=1), gate, Failure(message="It does not fit.", remedy="Draw fewer.")]
    status.run(lambda: ScriptedJob(script), tmp_path / "a.npz")
    write_images(tmp_path / "a.npz", 3)
    gate.set()
    qtbot.waitUntil(lambda: not status.is_running)
    assert status.text() == "It does not fit. Draw fewer. a.npz holds 3 images."


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        ([Failure(message="There is no room to write /a.png: 3 MB are free.", remedy="Free some space.")], "no room"),
        ([], "the export ended without saying why"),
        ([OSError("gone")], "gone"),
    ],
)
def test_a_failure_is_a_sentence(
    qtbot: QtBot, make_menu: Callable[[Any], ExportMenu], history: SampleHistory, script: Script, sentence: str
) -> None:
    menu = make_menu(launcher_for(script))
    show(menu, history, "kept")
    text, level = choose(qtbot, menu, "Image…")
    assert sentence in text
    assert level == "error"
    assert menu.status.text() == text


def test_the_image_is_copied(qtbot: QtBot, make_menu: Callable[[Any], ExportMenu], history: SampleHistory) -> None:
    menu = make_menu(ScriptedLauncher())
    show(menu, history, "kept", image=1)
    QGuiApplication.clipboard().setMimeData(QMimeData())
    with qtbot.waitSignal(menu.said) as said:
        action(menu, "Copy image").trigger()
    assert said.args == ["Image 2 is on the clipboard.", "info"]
    assert menu.status.isHidden(), "nothing was exported"
    file = str(history.root / "kept" / "000001.png")
    assert QGuiApplication.clipboard().image().pixelColor(3, 5) == QImage(file).pixelColor(3, 5)
    Path(file).unlink()
    with qtbot.waitSignal(menu.said) as said:
        action(menu, "Copy image").trigger()
    assert said.args == ["Image 2 cannot be read: its file is gone or damaged.", "error"]


def test_the_folder_is_opened(
    make_menu: Callable[[Any], ExportMenu], history: SampleHistory, shown_paths: list[Path]
) -> None:
    menu = make_menu(ScriptedLauncher())
    show(menu, history, "none")
    action(menu, "Open folder").trigger()
    assert shown_paths == [history.root / "none"]


# ------------------------------------------------------------------------------------------------- the dialogs


def sheet_dialog(qtbot: QtBot, history: SampleHistory) -> SheetDialog:
    dialog = SheetDialog(KeptFilm(history.root / "kept"), 1, [0, 4], kinds=["1", "7", "3"] * 2)
    qtbot.addWidget(dialog)
    return dialog


def test_the_sheet_says_its_size_and_its_columns(qtbot: QtBot, history: SampleHistory) -> None:
    dialog = SheetDialog(KeptFilm(history.root / "kept"), 1, [0, 4])
    qtbot.addWidget(dialog)
    assert dialog.images.currentText() == "All (6)"
    assert [dialog.images.itemText(place) for place in range(3)] == ["Image 2 (picked)", "Favourites (2)", "All (6)"]
    assert dialog.steps() == [1, 2, 3, 4, 5, 6, 7, 9]
    assert dialog.size_text().endswith("The trajectory has 8 columns to show.")
    dialog.columns.setValue(4)
    assert dialog.steps() == [1, 3, 6, 9]
    dialog.labels.click()
    assert dialog.size_text() == "6 × 4 pictures, about 417 × 615 pixels."


@pytest.mark.parametrize("cell", [4, 16, 40, 96, 400])
@pytest.mark.parametrize("has_labels", [True, False])
def test_the_size_is_that_of_the_file(
    qtbot: QtBot, history: SampleHistory, tmp_path: Path, cell: int, has_labels: bool
) -> None:
    dialog = sheet_dialog(qtbot, history)
    dialog.cell.setValue(cell)
    dialog.labels.setChecked(has_labels)
    file = tmp_path / "sheet.png"
    entry = str(history.root / "kept")
    events = list(export("sheet", str(file), {"entry": entry, **dialog.options()}))
    assert isinstance(events[-1], Written)
    said = re.findall(r"about (\d+) × (\d+)", dialog.size_text())[0]
    size = QImage(str(file)).size().toTuple()
    assert [int(number) for number in said] == pytest.approx(size, rel=0.01, abs=4)


def test_a_sheet_that_is_too_large_is_refused_in_the_dialog(qtbot: QtBot, history: SampleHistory) -> None:
    dialog = sheet_dialog(qtbot, history)
    export_button = dialog.findChildren(QDialogButtonBox)[0].button(QDialogButtonBox.StandardButton.Ok)
    assert export_button.text() == "Export…"
    dialog.cell.setValue(2048)
    assert dialog.size_text().startswith("The sheet would have 230 million pixels: 200 million are the most.")
    assert not export_button.isEnabled()
    qtbot.keyClick(dialog, Qt.Key.Key_Return)
    assert dialog.result() == 0
    dialog.format.setCurrentText("PDF")
    assert export_button.isEnabled(), "a PDF keeps images as they are"
    dialog.format.setCurrentText("PNG")
    dialog.cell.setValue(1024)
    assert export_button.isEnabled()


def test_the_preview_says_class_and_seed(
    make_menu: Callable[[Any], ExportMenu],
    history: SampleHistory,
    answers: Answers,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words: list[str] = []
    draw = QPainter.drawText

    def drawn(painter: QPainter, *args: Any) -> Any:
        words.append(str(args[-1]))
        return draw(painter, *args)

    monkeypatch.setattr(QPainter, "drawText", drawn)
    menu = make_menu(ScriptedLauncher())
    show(menu, history, "kept")
    answers.change = lambda dialog: (dialog.resize(900, 700), dialog.grab(), None)[-1]
    answers.goes_on = False
    action(menu, "Evolution sheet…").trigger()
    assert {"1", "seed 12"} <= set(words) or "1 · seed 12" in words
    assert {"7", "seed 13"} <= set(words) or "7 · seed 13" in words


@pytest.mark.parametrize("dialog_type", [SheetDialog, MovieDialog])
def test_every_letter_of_a_plane_can_be_seen(
    qtbot: QtBot, history: SampleHistory, dialog_type: type[SheetDialog | MovieDialog]
) -> None:
    dialog = dialog_type(KeptFilm(history.root / "kept"), 1, [])
    qtbot.addWidget(dialog)
    texts = [dialog.plane.itemText(place) for place in range(dialog.plane.count())]
    assert texts[:2] == ["Predicted clean image", "Noisy image xₜ"]
    assert not any(unicodedata.combining(letter) for text in texts for letter in text), "fonts lose such marks"


@pytest.mark.parametrize("spacing", ["t", "log-snr"])
@pytest.mark.parametrize("columns", [2, 7, 10, 100])
def test_the_preview_has_the_columns_of_the_engine(columns: int, spacing: str) -> None:
    points = points_of(50)
    assert evenly_spaced_steps(points, columns, spacing) == columns_of(points, columns, spacing)


def test_the_preview_shows_the_cells_of_the_sheet(qtbot: QtBot, history: SampleHistory) -> None:
    film = KeptFilm(history.root / "kept")
    dialog = SheetDialog(film, 1, [])
    qtbot.addWidget(dialog)
    dialog.labels.setChecked(False)
    dialog.images.setCurrentText("Image 2 (picked)")
    dialog.columns.setValue(2)
    dialog.resize(900, 500)
    with qtbot.waitExposed(dialog):
        dialog.show()
    (preview,) = dialog.findChildren(SheetPreview)
    image = preview.grab().toImage()
    final = film.final(1)
    assert final is not None
    found = image.pixelColor(preview.places().cell(0, 1).center().toPoint()).getRgb()[:3]
    assert found == pytest.approx(tuple(final[8, 8]), abs=3)


def test_export_and_cancel_end_the_dialog(qtbot: QtBot, history: SampleHistory) -> None:
    for role, result in ((QDialogButtonBox.ButtonRole.AcceptRole, 1), (QDialogButtonBox.ButtonRole.RejectRole, 0)):
        dialog = MovieDialog(KeptFilm(history.root / "kept"), 0, [])
        qtbot.addWidget(dialog)
        dialog.show()
        (box,) = dialog.findChildren(QDialogButtonBox)
        chosen = next(item for item in box.buttons() if box.buttonRole(item) is role)
        qtbot.mouseClick(chosen, Qt.MouseButton.LeftButton)
        assert dialog.result() == result


# ------------------------------------------------------------------------------------------------- the real thing


def test_the_engine_writes_what_the_window_asks_for(
    qtbot: QtBot, make_menu: Callable[[Any], ExportMenu], history: SampleHistory, answers: Answers
) -> None:
    menu = make_menu(Launcher(in_process=True))
    show(menu, history, "kept", image=1)
    for text in ("Image…", "All images as a grid…", "Contact sheet…", "Evolution sheet…", "GIF…", "Images as NPZ…"):
        said, level = choose(qtbot, menu, text)
        assert (level, said[:6]) == ("info", "Saved "), said
        assert (answers.place / answers.suggested[-1][0]).stat().st_size > 100
