"""The window as a user meets it: pages, device, drops, closing, what it remembers."""

import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import PySide6
import pytest
from placeholder import PlaceholderEvaluatePage, PlaceholderPage, PlaceholderSamplePage
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QApplication, QLabel, QMessageBox, QPushButton, QToolButton, QWidget
from pytestqt.qtbot import QtBot
from scripted import CPU, ScriptedLauncher

from dit_studio.config import Recipe
from dit_studio.events import Failure
from dit_studio.jobs.run_folder import RunFolder
from dit_studio.machine_events import DeviceSummary
from dit_studio.ui.closing import CloseChoice, GoingOn, ask_about_runs
from dit_studio.ui.device_label import device_text
from dit_studio.ui.drops import kind_of
from dit_studio.ui.main_window import MainWindow
from dit_studio.ui.runs.dialogs import RunDialogs
from dit_studio.ui.settings import Settings
from dit_studio.ui.shortcuts import ShortcutSheet
from dit_studio.ui.train import run_bar
from dit_studio.ui.train.dialogs import Dialogs

Open = Callable[..., MainWindow]
_HERE: Any = QPointF(50, 50) if PySide6.__version_info__ >= (6, 12) else QPoint(50, 50)  # what a QDragEnterEvent takes


@pytest.fixture
def page() -> PlaceholderPage:
    return PlaceholderPage()


@pytest.fixture
def sample_page() -> PlaceholderSamplePage:
    return PlaceholderSamplePage()


@pytest.fixture
def evaluate_page() -> PlaceholderEvaluatePage:
    return PlaceholderEvaluatePage()


@pytest.fixture
def open_window(
    qtbot: QtBot,
    settings: Settings,
    launcher: ScriptedLauncher,
    page: PlaceholderPage,
    sample_page: PlaceholderSamplePage,
    evaluate_page: PlaceholderEvaluatePage,
) -> Open:
    def open_it(choice: CloseChoice = CloseChoice.KEEP_RUNNING) -> MainWindow:
        window = MainWindow(
            settings,
            launcher,
            make_train_page=lambda *_: page,
            make_sample_page=lambda *_: sample_page,
            make_evaluate_page=lambda *_: evaluate_page,
            ask=lambda _window, _going_on: choice,
        )
        qtbot.addWidget(window)
        with qtbot.waitExposed(window):
            window.show()
        return window

    return open_it


def _texts(widget: QWidget) -> str:
    texts = [label.text() for label in widget.findChildren(QLabel) if label.isVisible()]
    return "\n".join(texts).replace("\u200b", "")  # where a long path may break


def _button(window: QWidget, name: str) -> QToolButton:
    return next(button for button in window.findChildren(QToolButton) if button.accessibleName() == name)


def _drag(window: MainWindow, *paths: Path) -> tuple[bool, str]:
    """Hover with files: whether they are taken, and what the sheet then says."""
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    actions, buttons, keys = Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    event = QDragEnterEvent(_HERE, actions, data, buttons, keys)
    event.ignore()
    QApplication.sendEvent(window, event)
    return event.isAccepted(), window._drop_sheet._text if window._drop_sheet.isVisible() else ""


def _drop(window: MainWindow, *paths: Path) -> None:
    _drag(window, *paths)
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    actions, buttons, keys = Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    QApplication.sendEvent(window, QDropEvent(QPointF(50, 50), actions, data, buttons, keys))


# ------------------------------------------------------------------------------------------------- pages


def test_the_rail_and_the_shortcuts_show_pages(open_window: Open, qtbot: QtBot, settings: Settings) -> None:
    window = open_window()
    qtbot.mouseClick(_button(window, "Runs"), Qt.MouseButton.LeftButton)
    assert settings.now.page == "runs"
    assert "No runs yet" in _texts(window)
    qtbot.keyClick(window, Qt.Key.Key_7, Qt.KeyboardModifier.ControlModifier)
    assert settings.now.page == "settings"
    assert _button(window, "Settings").isChecked()


def test_tab_finds_the_page_that_is_shown_in_the_rail(open_window: Open, qtbot: QtBot) -> None:
    window = open_window()
    window.activateWindow()
    for name in ("Runs", "Train"):
        window.show_page(name.lower())
        button = _button(window, name)
        assert button.focusPolicy() & Qt.FocusPolicy.TabFocus
        others = [one for one in window._rail.findChildren(QToolButton) if one is not button]
        assert not any(one.focusPolicy() & Qt.FocusPolicy.TabFocus for one in others)
    button.setFocus()
    qtbot.keyClick(button, Qt.Key.Key_Down)
    assert _button(window, "Sample").hasFocus(), "arrow keys go on to the others"


def test_the_keyboard_stays_with_the_page_that_a_shortcut_shows(open_window: Open, qtbot: QtBot) -> None:
    window = open_window()
    window.activateWindow()
    _button(window, "Train").setFocus()
    qtbot.keyClick(window, Qt.Key.Key_7, Qt.KeyboardModifier.ControlModifier)
    assert window.focusWidget() is _button(window, "Settings")


def test_pages_are_built_when_first_shown(open_window: Open) -> None:
    window = open_window()
    assert set(window._pages) == {"train"}


def test_page_and_size_are_back_at_the_next_start(
    open_window: Open, qtbot: QtBot, settings: Settings, launcher: ScriptedLauncher
) -> None:
    window = open_window()
    window.resize(1100, 700)
    window.show_page("settings")
    window.close()
    again = MainWindow(Settings(settings.path), launcher)  # type: ignore[arg-type]
    qtbot.addWidget(again)
    assert again.height() == 700  # the offscreen screen is 800 pixels wide, so the width is cut
    assert _button(again, "Settings").isChecked()


def test_f1_shows_the_shortcuts_and_escape_closes_them(open_window: Open, qtbot: QtBot) -> None:
    window = open_window()
    qtbot.keyClick(window, Qt.Key.Key_F1)
    sheet = window.findChild(ShortcutSheet)
    assert sheet is not None
    texts = _texts(sheet)
    assert "Ctrl+2" in texts
    assert all(keys in texts for keys in run_bar._SHORTCUTS if keys)
    qtbot.keyClick(sheet, Qt.Key.Key_Escape)
    assert not sheet.isVisible()


# ------------------------------------------------------------------------------------------------- status


def test_the_device_is_asked_for_and_shown(open_window: Open, qtbot: QtBot) -> None:
    window = open_window()
    assert "checking the device…" in _texts(window)
    qtbot.waitUntil(lambda: "CPU · Test CPU · fp32 · 3.2 / 8.6 GB · torch 2.13.0" in _texts(window))


def test_a_hint_about_the_device_is_shown_as_a_banner(
    open_window: Open, qtbot: QtBot, launcher: ScriptedLauncher
) -> None:
    hint = "A GPU is there, but this torch was built without it."
    launcher.answers["describe_device"] = [msgspec.structs.replace(CPU, hint=hint)]
    window = open_window()
    qtbot.waitUntil(lambda: hint in _texts(window))


def test_a_device_that_cannot_be_asked_is_unknown(open_window: Open, qtbot: QtBot, launcher: ScriptedLauncher) -> None:
    launcher.answers["describe_device"] = [Failure(message="The worker ended.")]
    window = open_window()
    qtbot.waitUntil(lambda: "the device is unknown" in _texts(window))


def test_a_device_that_failed_is_not_asked_again(open_window: Open, qtbot: QtBot, launcher: ScriptedLauncher) -> None:
    launcher.answers["describe_device"] = [Failure(message="No torch here.")]
    window = open_window()
    with qtbot.waitSignal(window._device._job.ended):
        window._device.ask()
    assert not window._device._timer.isActive()


def test_the_device_is_asked_for_again_while_it_answers(open_window: Open, qtbot: QtBot) -> None:
    window = open_window()
    with qtbot.waitSignal(window._device._job.ended):
        window._device.ask()
    assert window._device._timer.isActive()


def test_the_text_of_a_large_device() -> None:
    device = DeviceSummary(
        backend="cuda",
        name="H200",
        precision="bf16",
        torch_version="2.13.0",
        memory_used=12 * 10**9,
        memory_total=139 * 10**9,
    )
    assert device_text(device) == "CUDA · H200 · bf16 · 12.0 / 139 GB · torch 2.13.0"


def test_the_run_in_progress_stands_in_the_status_bar(open_window: Open, page: PlaceholderPage) -> None:
    window = open_window()
    page.status_changed.emit("landscapes-B4  step 1 240/20 000 · 3.1 it/s · ETA 1 h 40 min")
    assert "step 1 240/20 000" in _texts(window)
    page.status_changed.emit("")
    assert "no run in progress" in _texts(window)


# ------------------------------------------------------------------------------------------------- drops


def test_a_folder_dropped_becomes_the_data_set(
    open_window: Open, page: PlaceholderPage, settings: Settings, tmp_path: Path
) -> None:
    folder = tmp_path / "images mit ünï"
    folder.mkdir()
    window = open_window()
    window.show_page("settings")
    assert _drag(window, folder) == (True, "Drop to use as data set")
    _drop(window, folder)
    assert page.calls == [("open_data", folder)]
    assert settings.now.page == "train"
    assert not window._drop_sheet.isVisible()


def test_a_run_dropped_is_opened(open_window: Open, page: PlaceholderPage, tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "run", Recipe())
    window = open_window()
    assert _drag(window, run.path) == (True, "Drop to open the run")
    _drop(window, run.path)
    assert page.calls == [("open_run", run.path)]


def test_what_cannot_be_opened_is_named(open_window: Open, page: PlaceholderPage, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    window = open_window()
    _drop(window, tmp_path / "notes.txt")
    assert "notes.txt cannot be opened" in _texts(window)
    window.open_path(tmp_path / "gone")
    assert f"{tmp_path / 'gone'} does not exist" in _texts(window)
    assert page.calls == []


def test_a_refusal_is_over_once_something_is_opened(open_window: Open, tmp_path: Path) -> None:
    window = open_window()
    window.open_path(tmp_path / "gone")
    assert not window._message.isHidden()
    window.open_path(tmp_path)
    assert window._message.isHidden()
    window.show_failure(Failure(message="The window crashed last time."))
    window.open_path(tmp_path)
    assert not window._message.isHidden(), "other messages stay until they are dismissed"


def test_questions_have_buttons_without_pictures(monkeypatch: pytest.MonkeyPatch, qtbot: QtBot) -> None:
    icons: list[bool] = []
    monkeypatch.setattr(QMessageBox, "exec", lambda box: icons.extend(b.icon().isNull() for b in box.buttons()))
    parent = QWidget()
    qtbot.addWidget(parent)
    assert ask_about_runs(parent, GoingOn(shown="a, step 1 of 2")) is CloseChoice.CANCEL
    assert not RunDialogs().confirm(parent, "Delete?")
    assert not Dialogs().confirm("Sure?", "Do it")
    assert icons == [True] * 7


def test_kinds_of_paths(tmp_path: Path) -> None:
    archive = tmp_path / "images.TAR.gz"
    tarfile.open(archive, "w:gz").close()
    run = RunFolder.create(tmp_path / "run", Recipe())
    kinds = [kind_of(path) for path in (archive, run.path, run.path / "run.toml", tmp_path, tmp_path / "none.zip")]
    assert kinds == ["data", "run", "run", "data", "nothing"]
    checkpoint, picture = _checkpoint(tmp_path / "step-0000500"), tmp_path / "one.PNG"
    picture.touch()
    assert [kind_of(path) for path in (checkpoint, checkpoint / "ema.safetensors", picture)] == ["model"] * 2 + [
        "picture"
    ]


def _checkpoint(folder: Path) -> Path:
    folder.mkdir()
    (folder / "ema.safetensors").touch()
    return folder


def test_models_and_pictures_go_to_the_sample_page(
    open_window: Open, page: PlaceholderPage, sample_page: PlaceholderSamplePage, tmp_path: Path, settings: Settings
) -> None:
    window = open_window()
    checkpoint, picture = _checkpoint(tmp_path / "step-0000500"), tmp_path / "one.png"
    picture.touch()
    _drop(window, checkpoint)
    assert settings.now.page == "sample"
    _drop(window, picture)
    assert sample_page.calls == [("open_model", checkpoint), ("open_picture", picture)]
    assert page.calls == []


def test_a_run_is_sampled_from_where_the_sample_page_is_shown(
    open_window: Open, page: PlaceholderPage, sample_page: PlaceholderSamplePage, tmp_path: Path
) -> None:
    run = RunFolder.create(tmp_path / "run", Recipe())
    window = open_window()
    _drop(window, run.path)
    assert page.calls == [("open_run", run.path)]
    window.show_page("sample")
    _drop(window, run.path)
    assert sample_page.calls == [("open_model", run.path)]
    page.sample_asked.emit(run.path / "checkpoints" / "step-0000001")
    assert sample_page.calls[1:] == [("open_model", run.path / "checkpoints" / "step-0000001")]


# ------------------------------------------------------------------------------------------------- the end


def test_closing_without_a_run_asks_nothing(open_window: Open, page: PlaceholderPage) -> None:
    window = open_window(CloseChoice.CANCEL)
    assert window.close()
    assert page.calls == [("close_page", None)]


def test_cancel_keeps_the_window(open_window: Open, page: PlaceholderPage) -> None:
    page.runs = True
    window = open_window(CloseChoice.CANCEL)
    assert not window.close()
    assert page.calls == []
    page.runs = False


def test_keep_running_closes_at_once(open_window: Open, page: PlaceholderPage) -> None:
    page.runs = True
    window = open_window(CloseChoice.KEEP_RUNNING)
    assert window.close()
    assert page.calls == [("close_page", None)]


def test_stop_and_save_closes_when_the_run_has_ended(open_window: Open, page: PlaceholderPage, qtbot: QtBot) -> None:
    page.runs = True
    window = open_window(CloseChoice.STOP)
    assert not window.close()
    assert page.calls == [("stop_and_save", None)]
    assert "closing waits for the save; close again to leave it" in _texts(window)
    with qtbot.waitSignal(window.closed):
        page.runs = False
    assert page.calls[-1] == ("close_page", None)


def test_closing_again_while_the_run_saves_leaves_it_alone(open_window: Open, page: PlaceholderPage) -> None:
    page.runs = True
    window = open_window(CloseChoice.STOP)
    assert not window.close()
    assert window.close()
    assert page.calls == [("stop_and_save", None), ("close_page", None)]


@pytest.mark.parametrize("in_process", [False, True])
def test_a_run_in_this_process_cannot_be_kept_running(
    qtbot: QtBot, settings: Settings, page: PlaceholderPage, in_process: bool
) -> None:
    asked: list[bool] = []

    def ask(_window: QWidget, going_on: GoingOn) -> CloseChoice:
        asked.append(going_on.can_keep_running)
        return CloseChoice.CANCEL

    launcher = ScriptedLauncher(in_process=in_process)
    window = MainWindow(settings, launcher, make_train_page=lambda *_: page, ask=ask)  # type: ignore[arg-type]
    qtbot.addWidget(window)
    page.runs = True
    assert not window.close()
    assert asked == [not in_process]
    page.runs = False


def test_an_error_nobody_caught_is_a_card(open_window: Open, qtbot: QtBot) -> None:
    window = open_window()
    window.show_failure(Failure(message="An error: KeyError", remedy="The window goes on.", details="Traceback"))
    assert "An error: KeyError" in _texts(window)
    dismiss = next(b for b in window.findChildren(QPushButton) if b.text() == "Dismiss")
    qtbot.mouseClick(dismiss, Qt.MouseButton.LeftButton)
    assert "An error: KeyError" not in _texts(window)


def test_another_start_opens_its_path_here(open_window: Open, page: PlaceholderPage, tmp_path: Path) -> None:
    window = open_window()
    window.showMinimized()
    window.come_to_front(tmp_path)
    assert not window.isMinimized()
    assert page.calls == [("open_data", tmp_path)]


def test_a_recipe_goes_into_the_forms(open_window: Open, page: PlaceholderPage, tmp_path: Path) -> None:
    recipe = tmp_path / "small.toml"
    recipe.write_text("[train]\nsteps = 7\n")
    window = open_window()
    assert _drag(window, recipe) == (True, "Drop to use the recipe")
    _drop(window, recipe)
    assert page.calls == [("open_recipe", recipe)]


def test_where_the_evaluate_page_is_shown_it_takes_what_is_opened(
    open_window: Open, page: PlaceholderPage, evaluate_page: PlaceholderEvaluatePage, tmp_path: Path
) -> None:
    run = RunFolder.create(tmp_path / "run", Recipe()).path
    images = tmp_path / "images"
    images.mkdir()
    window = open_window()
    window.show_page("evaluate")
    window.open_path(run)
    window.open_path(images)
    assert evaluate_page.calls == [("open_model", run), ("open_dropped", images)]
    assert page.calls == []


def test_the_sheet_says_what_a_drop_does_on_the_page_that_is_shown(open_window: Open, tmp_path: Path) -> None:
    run, checkpoint = RunFolder.create(tmp_path / "run", Recipe()).path, _checkpoint(tmp_path / "step-0000500")
    window = open_window()
    window.show_page("evaluate")
    assert _drag(window, tmp_path) == (True, "Drop to measure 1")
    assert _drag(window, tmp_path, tmp_path.parent) == (True, "Drop to measure 2")
    assert _drag(window, run) == (True, "Drop to measure what the run draws")
    assert _drag(window, checkpoint) == (True, "Drop to measure what the model draws")
    window.show_page("sample")
    assert _drag(window, run) == (True, "Drop to sample from the run")
    assert _drag(window, tmp_path, tmp_path.parent) == (True, f"Drop to use as data set: {tmp_path.name} alone")


def test_all_images_that_are_dropped_are_measured(
    open_window: Open, evaluate_page: PlaceholderEvaluatePage, tmp_path: Path
) -> None:
    folders = [tmp_path / name for name in ("real", "one", "two")]
    for folder in folders:
        folder.mkdir()
    (tmp_path / "notes.txt").touch()
    window = open_window()
    window.show_page("evaluate")
    _drop(window, *folders, tmp_path / "notes.txt")
    assert evaluate_page.calls == [("open_dropped", folder) for folder in folders]
    assert "Not opened: notes.txt." in _texts(window)
    evaluate_page.dropped.emit()
    assert "Not opened" not in _texts(window), "something was dropped on a card since"


def test_where_one_is_opened_the_others_are_said(open_window: Open, page: PlaceholderPage, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in "abcde"]
    for folder in folders:
        folder.mkdir()
    window = open_window()
    _drop(window, *folders)
    assert page.calls == [("open_data", folders[0])]
    assert "Not opened: b, c, d and 1 more. One is opened at a time." in _texts(window)
    _drop(window, folders[0])
    assert "Not opened" not in _texts(window)
    _drop(window, tmp_path / "one.txt", tmp_path / "two.txt")
    assert "Not opened: one.txt, two.txt. Choose a folder" in _texts(window)


def test_arrays_are_measured_whatever_page_is_shown(
    open_window: Open, evaluate_page: PlaceholderEvaluatePage, tmp_path: Path, settings: Settings
) -> None:
    arrays = tmp_path / "samples.npz"
    arrays.write_bytes(b"")
    window = open_window()
    assert _drag(window, arrays) == (True, "Drop to measure, or to measure against")
    _drop(window, arrays)
    assert settings.now.page == "evaluate"
    assert evaluate_page.calls == [("open_dropped", arrays)]


def test_other_pages_ask_for_an_evaluation(
    open_window: Open, page: PlaceholderPage, sample_page: PlaceholderSamplePage,
    evaluate_page: PlaceholderEvaluatePage, settings: Settings,
) -> None:  # fmt: skip
    window = open_window()
    window.show_page("sample")
    page.evaluate_asked.emit(Path("/runs/a/checkpoints/step-0000001"))
    sample_page.evaluate_asked.emit(Path("/samples/s/cells/000"))
    sample_page.evaluate_sweep_asked.emit(Path("/samples/s"))
    assert settings.now.page == "evaluate"
    assert evaluate_page.calls == [
        ("open_model", Path("/runs/a/checkpoints/step-0000001")),
        ("open_images", [Path("/samples/s/cells/000")]),
        ("open_sweep", Path("/samples/s")),
    ]


def test_a_vae_is_used_in_training_and_a_missing_one_is_shown_among_the_files(
    open_window: Open, page: PlaceholderPage
) -> None:
    window = open_window()
    window.show_page("files")
    files = window.page("files")
    files.use_vae_requested.emit("stabilityai/sd-vae-ft-mse")  # type: ignore[attr-defined]
    assert page.calls == [("use_vae", "stabilityai/sd-vae-ft-mse")]
    assert window._rail.shown() == "train"
    page.files_asked.emit("stabilityai/sd-vae-ft-mse")
    assert window._rail.shown() == "files"


def test_a_pretrained_model_is_drawn_from(
    open_window: Open, sample_page: PlaceholderSamplePage, tmp_path: Path
) -> None:
    window = open_window()
    window.page("files").open_model_requested.emit(str(tmp_path))  # type: ignore[attr-defined]
    assert sample_page.calls == [("open_model", tmp_path)]
    assert window._rail.shown() == "sample"
