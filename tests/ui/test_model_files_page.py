"""The Model files page: what it shows of each file, and that nothing is fetched unless a button is pressed."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from model_files_scenes import (
    ALL_MISSING,
    CLIP,
    DIT,
    EMA,
    FAMILY_MISSING,
    FAMILY_MIXED,
    MIXED,
    MSE,
    NVIDIA,
    PORT,
    PT,
    SIGLIP,
    example_file,
    example_model,
    listed,
)
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QGuiApplication
from PySide6.QtWidgets import QAbstractButton, QAbstractSlider, QLabel, QProgressBar, QPushButton
from pytestqt.qtbot import QtBot
from scripted import Script, ScriptedLauncher

from dit_studio.events import Failure, ModelFiles, Progress
from dit_studio.ui.model_files.page import FileDialogs, ModelFilesPage
from dit_studio.ui.settings import Settings
from dit_studio.ui.widgets.message import MessageCard

VERIFIED = listed(example_file(PORT, condition="verified", path="/models/port.pth"), example_file(CLIP))
STEP = Progress(stage="Downloading", done=47_814_000, total=95_628_359, unit="bytes", rate=2_000_000)

Open = Callable[..., ModelFilesPage]


@pytest.fixture
def opened() -> list[str]:
    return []


@pytest.fixture
def open_page(qtbot: QtBot, settings: Settings, launcher: ScriptedLauncher, opened: list[str]) -> Iterator[Open]:
    """The page with scripts for its jobs, listed."""
    pages: list[ModelFilesPage] = []

    def make(*, files: ModelFiles = ALL_MISSING, chosen: str = "", **answers: Script) -> ModelFilesPage:
        launcher.answers |= {"model_files": [files], **answers}
        dialogs = FileDialogs(file=lambda _: chosen, folder=lambda _: chosen)
        page = ModelFilesPage(settings, launcher, open_url=opened.append, dialogs=dialogs)  # type: ignore[arg-type]
        qtbot.addWidget(page)
        pages.append(page)
        with qtbot.waitSignal(page.files_changed):
            page.show()
        qtbot.waitUntil(lambda: all(card.isVisible() for card in page.cards.values()))
        return page

    yield make
    for page in pages:
        page.close_page()


def _click(qtbot: QtBot, button: QAbstractButton) -> None:
    assert button.isVisible()
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def _texts(page: ModelFilesPage, name: str) -> str:
    card = page.cards[name]
    labels = [label.text() for label in card.findChildren(QLabel) if label.isVisible()]
    return "\n".join([card.pill.text(), *labels])


def _jobs(launcher: ScriptedLauncher) -> list[str]:
    return [job for job, _ in launcher.calls]


def test_every_file_is_shown_and_nothing_fetched(qtbot: QtBot, open_page: Open, launcher: ScriptedLauncher) -> None:
    page = open_page()
    assert list(page.cards) == [PORT, NVIDIA, CLIP, SIGLIP]
    shown = _texts(page, PORT)
    for text in ("Not here", "FID, sFID", PORT, "95.6 MB (95,628,359 bytes)", "6726825d0af5…", "Apache-2.0",
                 "nowhere on this machine"):  # fmt: skip
        assert text in shown
    assert "Download fetches 95.6 MB from github.com into /home/user/.cache/dit-studio/models." in shown
    assert "Download fetches about 605 MB from huggingface.co into /home/user/.cache/hub." in _texts(page, CLIP)
    assert _jobs(launcher) == ["model_files"]
    _click(qtbot, page.again)
    assert _jobs(launcher) == ["model_files"] * 2


def test_each_state_has_its_word(open_page: Open) -> None:
    page = open_page(files=MIXED)
    words = {name: card.pill.text() for name, card in page.cards.items()}
    assert words == {PORT: "Verified", NVIDIA: "Wrong hash", CLIP: "Chosen by you", SIGLIP: "Incomplete"}
    assert "is not the published file: its hash is 0123456789ab" in _texts(page, NVIDIA)
    assert [card.download.isVisible() for card in page.cards.values()] == [False, True, False, True]
    assert page.cards[SIGLIP].download.text() == "Resume"
    assert "211.0 MB are here already. Resume fetches the rest, about 394 MB, from" in _texts(page, SIGLIP)
    assert [card.forget.isVisible() for card in page.cards.values()] == [False, False, True, False]


def test_a_download_shows_how_far_it_is_and_ends_verified(
    qtbot: QtBot, open_page: Open, launcher: ScriptedLauncher
) -> None:
    gate = threading.Event()
    page = open_page(download_model_file=[STEP, gate, VERIFIED])
    card = page.cards[PORT]
    _click(qtbot, card.download)
    qtbot.waitUntil(lambda: "47.8 of 95.6 MB · 2.0 MB/s · 24 s left" in _texts(page, PORT))
    assert not card.download.isVisible()
    assert card.cancel.isVisible()
    with qtbot.waitSignal(page.files_changed) as changed:
        gate.set()
    assert changed.args == [VERIFIED]
    assert card.pill.text() == "Verified"
    assert not card.download.isVisible()
    assert launcher.calls[1:] == [("download_model_file", {"name": PORT})]


def test_a_second_download_waits_and_both_can_be_cancelled(
    qtbot: QtBot, open_page: Open, launcher: ScriptedLauncher
) -> None:
    page = open_page(download_model_file=[STEP, threading.Event()])
    _click(qtbot, page.cards[PORT].download)
    _click(qtbot, page.cards[CLIP].download)
    assert "Waits for the download before it" in _texts(page, CLIP)
    _click(qtbot, page.cards[CLIP].cancel)
    assert page.cards[CLIP].download.isVisible()
    qtbot.waitUntil(lambda: "47.8 of" in _texts(page, PORT))
    partly = listed(example_file(PORT, arrived_bytes=47_814_000), example_file(CLIP))
    launcher.answers["model_files"] = [partly]
    with qtbot.waitSignal(page.files_changed):
        _click(qtbot, page.cards[PORT].cancel)
    assert page.cards[PORT].pill.text() == "Arrived in part"
    assert page.cards[PORT].download.text() == "Resume"
    assert _jobs(launcher) == ["model_files", "download_model_file", "model_files"]


def test_a_failed_download_says_why_and_can_be_tried_again(
    qtbot: QtBot, open_page: Open, launcher: ScriptedLauncher
) -> None:
    failure = Failure(message="The server answers 503.", remedy="Try again: it goes on where it stopped.")
    page = open_page(download_model_file=[failure])
    with qtbot.waitSignal(page.files_changed):
        _click(qtbot, page.cards[PORT].download)
    message = page.findChild(MessageCard)
    assert message is not None
    assert message.text() == "The server answers 503."
    launcher.answers["download_model_file"] = [VERIFIED]
    again = next(button for button in message.findChildren(QPushButton) if button.text() == "Try again")
    with qtbot.waitSignal(page.files_changed):
        _click(qtbot, again)
    assert page.cards[PORT].pill.text() == "Verified"
    assert message.isHidden()


@pytest.mark.parametrize("name", [PORT, CLIP])
def test_a_file_or_folder_is_chosen_for_a_card(
    qtbot: QtBot, open_page: Open, launcher: ScriptedLauncher, settings: Settings, name: str
) -> None:
    page = open_page(chosen="/data/thing", add_model_file=[VERIFIED])
    with qtbot.waitSignal(page.files_changed):
        _click(qtbot, page.cards[name].add)
    assert launcher.calls[-1] == ("add_model_file", {"path": "/data/thing", "name": name})
    assert settings.form("model files") == {"folder": str(Path("/data"))}


def test_nothing_chosen_is_nothing_done(qtbot: QtBot, open_page: Open, launcher: ScriptedLauncher) -> None:
    page = open_page(chosen="")
    _click(qtbot, page.add_file)
    _click(qtbot, page.add_folder)
    assert _jobs(launcher) == ["model_files"]


def test_a_chosen_folder_is_forgotten(qtbot: QtBot, open_page: Open, launcher: ScriptedLauncher) -> None:
    page = open_page(files=MIXED, add_model_file=[ALL_MISSING])
    with qtbot.waitSignal(page.files_changed):
        _click(qtbot, page.cards[CLIP].forget)
    assert launcher.calls[-1] == ("add_model_file", {"path": "", "name": CLIP})
    assert not page.cards[CLIP].forget.isVisible()


def test_what_is_dropped_anywhere_is_taken_in_one_after_another(
    qtbot: QtBot, open_page: Open, launcher: ScriptedLauncher, tmp_path: Path
) -> None:
    page = open_page(add_model_file=[VERIFIED])
    data = QMimeData()
    paths = [tmp_path / "a.pth", tmp_path / "clip"]
    data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    action, left = Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton
    enter = QDragEnterEvent(QPoint(5, 5), action, data, left, Qt.KeyboardModifier.NoModifier)
    page.dragEnterEvent(enter)
    assert enter.isAccepted()
    with qtbot.waitSignals([page.files_changed] * 2):
        page.dropEvent(QDropEvent(QPointF(5, 5), action, data, left, Qt.KeyboardModifier.NoModifier))
    assert [params["path"] for job, params in launcher.calls if job == "add_model_file"] == [
        str(path) for path in paths
    ]


def test_a_refused_file_is_a_sentence_and_the_list_stays(qtbot: QtBot, open_page: Open) -> None:
    failure = Failure(message="cat.png is not taken: its 10 bytes are those of no file in the list.")
    page = open_page(add_model_file=[failure])
    with qtbot.waitSignal(page.files_changed):
        page.add_path("/home/user/cat.png")
    message = page.findChild(MessageCard)
    assert message is not None
    assert message.text().startswith("cat.png is not taken")
    assert len(page.cards) == 4


def test_hash_and_address_are_copied_and_the_page_opened(qtbot: QtBot, open_page: Open, opened: list[str]) -> None:
    page = open_page()
    card = page.cards[PORT]
    _click(qtbot, card.copy_hash)
    assert QGuiApplication.clipboard().text() == card.info.sha256
    _click(qtbot, card.page)
    assert opened == [card.info.url]
    assert QGuiApplication.clipboard().text() == card.info.url
    assert not page.cards[CLIP].copy_hash.isVisible()


def test_an_extractors_file_is_scrolled_to_and_marked(qtbot: QtBot, open_page: Open) -> None:
    page = open_page()
    page.resize(700, 400)
    page.show_file("siglip")
    card = page.cards[SIGLIP]
    qtbot.waitUntil(lambda: page.rect().contains(card.mapTo(page, QPoint(0, 0))))
    assert [card.property("highlight") for card in page.cards.values()] == [False, False, False, True]
    page.show_file("")
    assert not card.property("highlight")


def test_every_control_has_a_name_and_a_tooltip(open_page: Open) -> None:
    page = open_page(files=MIXED)
    buttons = [button for button in page.findChildren(QAbstractButton) if button.isVisibleTo(page)]
    assert all(button.accessibleName() and button.toolTip() for button in buttons)
    assert all(button.focusPolicy() & Qt.FocusPolicy.TabFocus for button in buttons)


def test_closing_in_the_middle_of_a_download_ends_it(qtbot: QtBot, open_page: Open, launcher: ScriptedLauncher) -> None:
    page = open_page(download_model_file=[STEP, threading.Event()])
    _click(qtbot, page.cards[PORT].download)
    page.close_page()
    assert launcher.jobs[-1].is_cancelled


# ------------------------------------------------------------------------------------- pretrained models and VAEs


def test_models_vaes_and_extractors_stand_in_groups(open_page: Open) -> None:
    page = open_page(files=FAMILY_MISSING)
    names = [page.cards[name].mapTo(page, QPoint(0, 0)).y() for name in (DIT, PT, EMA, MSE, PORT, CLIP)]
    assert names == sorted(names)
    titles = [label.text() for label in page.findChildren(QLabel) if label.isVisible()]
    assert [title for title in titles if title in ("Pretrained models", "VAEs", "Feature extractors")] == [
        "Pretrained models", "VAEs", "Feature extractors",
    ]  # fmt: skip
    for text in ("about 3.3 GB", "CC BY-NC 4.0", "transformer, VAE and scheduler", "given by the hub, and checked"):
        assert text in _texts(page, DIT)
    assert "not published; the checksums inside are checked" in _texts(page, PT)
    assert "VAEs" not in [label.text() for label in open_page().findChildren(QLabel) if label.isVisible()]


def test_a_licence_with_terms_is_shown_before_its_download(
    qtbot: QtBot, open_page: Open, launcher: ScriptedLauncher, opened: list[str]
) -> None:
    page = open_page(files=FAMILY_MISSING, download_model_file=[threading.Event()])
    card = page.cards[DIT]
    card.download.setFocus()
    qtbot.keyClick(card.download, Qt.Key.Key_Space)
    assert "not for commercial purposes" in _texts(page, DIT)
    assert _jobs(launcher) == ["model_files"]
    assert card.consent.refuse.hasFocus()
    qtbot.keyClick(card.consent.refuse, Qt.Key.Key_Escape)
    assert card.consent.isHidden()
    assert card.download.hasFocus()
    qtbot.keyClick(card.download, Qt.Key.Key_Space)
    _click(qtbot, card.consent.read)
    assert opened == ["https://creativecommons.org/licenses/by-nc/4.0/legalcode"]
    _click(qtbot, card.consent.refuse)
    assert _jobs(launcher) == ["model_files"]
    _click(qtbot, card.download)
    _click(qtbot, card.consent.agree)
    assert card.consent.isHidden()
    assert launcher.calls[1:] == [("download_model_file", {"name": DIT, "accepts_licence": True})]


def test_the_terms_come_into_view(qtbot: QtBot, open_page: Open) -> None:
    page = open_page(files=FAMILY_MISSING)
    page.resize(700, 400)
    page.show_file(DIT)
    page.cards[DIT].download.click()
    consent = page.cards[DIT].consent
    qtbot.waitUntil(lambda: not consent.visibleRegion().isEmpty())
    qtbot.waitUntil(lambda: consent.visibleRegion().boundingRect().height() == consent.height())


def test_return_presses_the_button_that_has_the_keyboard(
    qtbot: QtBot, open_page: Open, launcher: ScriptedLauncher
) -> None:
    page = open_page(files=FAMILY_MISSING)
    card = page.cards[DIT]
    card.download.setFocus()
    qtbot.keyClick(card.download, Qt.Key.Key_Return)
    assert card.consent.refuse.hasFocus()
    qtbot.keyClick(card.consent.refuse, Qt.Key.Key_Enter)
    assert card.consent.isHidden()
    assert _jobs(launcher) == ["model_files"], "a key pressed twice agrees to nothing"
    qtbot.keyClick(card.download, Qt.Key.Key_Return)
    card.consent.agree.setFocus()
    qtbot.keyClick(card.consent.agree, Qt.Key.Key_Return)
    assert launcher.calls[-1] == ("download_model_file", {"name": DIT, "accepts_licence": True})


def test_a_card_whose_download_failed_stays_in_view(qtbot: QtBot, open_page: Open) -> None:
    failure = Failure(message="The hub cannot be reached. " * 6, remedy="Try again.")
    page = open_page(files=FAMILY_MISSING, download_model_file=[failure])
    page.resize(700, 560)
    card = page.cards[EMA]
    bar = page._scrolling.verticalScrollBar()
    below = card.mapTo(page._content, card.rect().bottomLeft()).y() + 8
    bar.setValue(below - page._scrolling.viewport().height())  # at the lower end
    assert card.visibleRegion().boundingRect().height() == card.height()
    with qtbot.waitSignal(page.files_changed):
        _click(qtbot, card.download)
    message = page.findChild(MessageCard)
    assert message is not None
    assert message.isVisible()
    qtbot.waitUntil(lambda: card.visibleRegion().boundingRect().bottom() == card.rect().bottom())
    page.resize(700, 330)  # less than the card is high
    qtbot.waitUntil(lambda: card.visibleRegion().boundingRect().top() == 0)
    bar.triggerAction(QAbstractSlider.SliderAction.SliderToMinimum)
    page.resize(700, 600)
    assert bar.value() == 0, "who scrolls is left alone"


def test_a_vae_is_fetched_without_a_question(qtbot: QtBot, open_page: Open, launcher: ScriptedLauncher) -> None:
    page = open_page(files=FAMILY_MISSING, download_model_file=[threading.Event()])
    _click(qtbot, page.cards[EMA].download)
    assert launcher.calls[1:] == [("download_model_file", {"name": EMA})]


def test_more_bytes_than_a_bar_counts(qtbot: QtBot, open_page: Open) -> None:
    step = Progress(stage="Downloading", done=1_666_960_654, total=3_333_921_308, unit="bytes", rate=50_000_000)
    page = open_page(files=FAMILY_MISSING, download_model_file=[step, threading.Event()])
    _click(qtbot, page.cards[DIT].download)
    _click(qtbot, page.cards[DIT].consent.agree)
    qtbot.waitUntil(lambda: "1,667.0 of 3,333.9 MB · 50.0 MB/s · 33 s left" in _texts(page, DIT))
    bar = page.cards[DIT].busy.findChild(QProgressBar)
    assert bar is not None
    assert bar.value() / bar.maximum() == pytest.approx(0.5)


def test_a_model_that_is_here_is_opened_and_a_vae_used(qtbot: QtBot, open_page: Open) -> None:
    page = open_page(files=FAMILY_MIXED)
    with qtbot.waitSignal(page.open_model_requested) as opened:
        _click(qtbot, page.cards[DIT].open)
    assert opened.args == [page.cards[DIT].info.path]
    with qtbot.waitSignal(page.use_vae_requested) as used:
        _click(qtbot, page.cards[EMA].use)
    assert used.args == [EMA]
    assert "not known of this copy" in _texts(page, EMA)
    assert not page.cards[DIT].use.isVisible()
    assert not any(page.cards[name].open.isVisible() for name in (PT, EMA, MSE, PORT))
    assert not any(page.cards[name].use.isVisible() for name in (PT, MSE, PORT))
    assert "1,204.0 MB are here already. Resume fetches the rest, about 1.5 GB, from dl.fbaip" in _texts(page, PT)
    assert (page.cards[PT].pill.text(), page.cards[MSE].pill.text()) == ("Arrived in part", "Wrong hash")


def test_a_hub_out_of_reach_is_said_and_tried_again_with_the_licence_that_was_agreed_to(
    qtbot: QtBot, open_page: Open, launcher: ScriptedLauncher
) -> None:
    failure = Failure(message=f"{DIT} could not be fetched: the hub cannot be reached.", remedy="Try again.")
    page = open_page(files=FAMILY_MISSING, download_model_file=[failure])
    _click(qtbot, page.cards[DIT].download)
    with qtbot.waitSignal(page.files_changed):
        _click(qtbot, page.cards[DIT].consent.agree)
    message = page.findChild(MessageCard)
    assert message is not None
    assert message.text().endswith("the hub cannot be reached.")
    there = listed(example_model(DIT, condition="verified", path="/models/dit"))
    launcher.answers["download_model_file"] = [there]
    again = next(button for button in message.findChildren(QPushButton) if button.text() == "Try again")
    with qtbot.waitSignal(page.files_changed):
        _click(qtbot, again)
    assert launcher.calls[-1] == ("download_model_file", {"name": DIT, "accepts_licence": True})
    assert page.cards[DIT].open.isVisible()


@pytest.mark.parametrize("name", [DIT, PT, EMA])
def test_a_model_is_chosen_for_its_card(qtbot: QtBot, open_page: Open, launcher: ScriptedLauncher, name: str) -> None:
    page = open_page(files=FAMILY_MISSING, chosen="/data/thing", add_model_file=[FAMILY_MIXED])
    with qtbot.waitSignal(page.files_changed):
        _click(qtbot, page.cards[name].add)
    assert launcher.calls[-1] == ("add_model_file", {"path": "/data/thing", "name": name})


def test_a_model_is_scrolled_to_by_its_name(qtbot: QtBot, open_page: Open) -> None:
    page = open_page(files=FAMILY_MISSING)
    page.resize(700, 400)
    page.show_file(MSE)
    card = page.cards[MSE]
    qtbot.waitUntil(lambda: page.rect().contains(card.mapTo(page, QPoint(0, 0))))
    assert [name for name, card in page.cards.items() if card.property("highlight")] == [MSE]


def test_every_control_of_a_licence_has_a_name_and_a_tooltip(qtbot: QtBot, open_page: Open) -> None:
    page = open_page(files=FAMILY_MISSING)
    _click(qtbot, page.cards[DIT].download)
    buttons = page.cards[DIT].consent.findChildren(QAbstractButton)
    assert len(buttons) == 3
    assert all(button.accessibleName() and button.toolTip() and button.isVisible() for button in buttons)
    assert all(button.focusPolicy() & Qt.FocusPolicy.TabFocus for button in buttons)
