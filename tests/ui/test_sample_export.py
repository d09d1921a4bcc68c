"""Taking an entry along: what the menu offers, what is asked, what comes of it."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QMimeData, Qt
from PySide6.QtGui import QAction, QGuiApplication, QImage
from PySide6.QtWidgets import QDialogButtonBox, QLabel, QPushButton
from pytestqt.qtbot import QtBot
from sample_history_scenes import make_entry, points_of, record_of
from scripted import Script, ScriptedLauncher

from dit_studio.engine.export.sheet_layout import columns_of
from dit_studio.events import Failure, Progress, Written
from dit_studio.jobs.launch import Launcher
from dit_studio.jobs.sample_history import SampleHistory
from dit_studio.trajectory import evenly_spaced_steps
from dit_studio.ui.sample.export_menu import ExportDialogs, ExportMenu
from dit_studio.ui.sample.export_status import ExportStatus
from dit_studio.ui.sample.film import KeptFilm
from dit_studio.ui.sample.movie_dialog import MovieDialog
from dit_studio.ui.sample.sheet_dialog import SheetDialog

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
    """Choose from the menu and wait for what is said in the end."""
    with qtbot.waitSignal(menu.said) as blocker:
        action(menu, text).trigger()
    qtbot.waitUntil(lambda: not menu.status.is_running)
    said, level = blocker.args
    return said, level


def click(qtbot: QtBot, status: ExportStatus, text: str) -> None:
    (found,) = [item for item in status.findChildren(QPushButton) if item.text() == text and not item.isHidden()]
    qtbot.mouseClick(found, Qt.MouseButton.LeftButton)


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
        dialog.plane.setCurrentText("x_t (noisy)")
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
        dialog.plane.setCurrentText("x_t beside x̂₀")
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


# ------------------------------------------------------------------------------------------------- how it goes


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
    qtbot.waitUntil(lambda: any(label.text() == "Reading images 1 200 of 5 000 images" for label in labels))
    with qtbot.waitSignal(menu.said):
        gate.set()
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
    with qtbot.waitSignal(menu.said) as blocker:
        click(qtbot, menu.status, "Cancel")
    assert launcher.jobs[0].is_cancelled
    assert blocker.args == ["digits-ddim8-seed12-npz.npz was not exported: cancelled.", "warning"]


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
    assert choose(qtbot, menu, "Copy image") == ("Image 2 is on the clipboard.", "info")
    file = str(history.root / "kept" / "000001.png")
    assert QGuiApplication.clipboard().image().pixelColor(3, 5) == QImage(file).pixelColor(3, 5)
    Path(file).unlink()
    assert choose(qtbot, menu, "Copy image") == (
        "Image 2 cannot be read: its file is gone or damaged.",
        "error",
    )


def test_the_folder_is_opened(
    make_menu: Callable[[Any], ExportMenu], history: SampleHistory, shown_paths: list[Path]
) -> None:
    menu = make_menu(ScriptedLauncher())
    show(menu, history, "none")
    action(menu, "Open folder").trigger()
    assert shown_paths == [history.root / "none"]


# ------------------------------------------------------------------------------------------------- the dialogs


def test_the_sheet_says_its_size_and_its_columns(qtbot: QtBot, history: SampleHistory) -> None:
    dialog = SheetDialog(KeptFilm(history.root / "kept"), 1, [0, 4])
    qtbot.addWidget(dialog)
    assert dialog.images.currentText() == "All (6)"
    assert [dialog.images.itemText(place) for place in range(3)] == ["Image 2 (picked)", "Favourites (2)", "All (6)"]
    assert dialog.steps() == [1, 2, 3, 4, 5, 6, 7, 9]
    assert dialog.size_text().endswith("The trajectory has 8 columns to show.")
    dialog.columns.setValue(4)
    assert dialog.steps() == [1, 3, 6, 9]
    assert dialog.size_text() == "6 × 4 pictures, about 396 × 594 pixels."


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
    preview = next(item for item in dialog.findChildren(object) if type(item).__name__ == "_Preview")
    image = preview.grab().toImage()
    side = preview._side(8, 8)
    left, top = (image.width() - 2 * side - 16) / 2 + 8, max((image.height() - side - 16) / 2, 0) + 8
    final = film.final(1)
    assert final is not None
    found = image.pixelColor(int(left + 1.5 * side), int(top + side / 2)).getRgb()[:3]
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
