"""Giving a model back: what a format loses is said first, then it is written where a person chose."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel
from pytestqt.qtbot import QtBot
from safetensors.torch import load_file
from scripted import Script, ScriptedLauncher, Step

from dit_studio.engine.interop import open_model
from dit_studio.events import Failure, Progress, Written
from dit_studio.jobs.launch import Launcher
from dit_studio.model_events import ExportChecked
from dit_studio.ui.sample.export_model_dialog import ExportModelDialog, ExportModelDialogs
from tests.engine.foreign_models import LIKELY, published_state, write_pipeline

MakeDialog = Callable[..., ExportModelDialog]
PROBLEM = "Its blocks are cross-attention, and diffusers' DiT knows adaln-zero alone."
NOTE = "The file holds tensors alone: not the number of heads (6), the classes' names or the VAE."


def checked(format: str, **_: str) -> Script:  # noqa: A002
    if format == "diffusers":
        return [ExportChecked(format=format, problems=(PROBLEM,))]
    return [ExportChecked(format=format, notes=(NOTE,) if format == "facebook" else (), size_bytes=132_000_000)]


def written(path: str, **_: str) -> Script:
    return [
        Progress(stage="Writing the weights", done=3, total=20, unit="tensors"),
        Written(file=path, size_bytes=132_000_000),
    ]


@pytest.fixture
def make_dialog(qtbot: QtBot) -> Iterator[MakeDialog]:
    made: list[ExportModelDialog] = []

    def make(launcher: Any, model: str = "/models/landscapes", **dialogs: Any) -> ExportModelDialog:
        dialog = ExportModelDialog(
            launcher, model, "ema", name="landscapes · step 20,000", dialogs=ExportModelDialogs(**dialogs)
        )
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose, on=False)
        made.append(dialog)
        qtbot.addWidget(dialog)
        dialog.show()
        return dialog

    yield make
    for dialog in made:
        dialog.close_jobs()


def scripted(**answers: Any) -> ScriptedLauncher:
    return ScriptedLauncher(answers={"check_export": checked, "convert_model": written, **answers})


def choose(dialog: ExportModelDialog, words: str) -> None:
    dialog.form.setCurrentText(words)


def test_what_the_format_cannot_express_is_said_before_anything_is_written(
    make_dialog: MakeDialog, qtbot: QtBot
) -> None:
    launcher = scripted()
    dialog = make_dialog(launcher)
    qtbot.waitUntil(lambda: NOTE in dialog.text and "132 MB are written." in dialog.text)
    assert dialog.export.isEnabled()
    choose(dialog, "diffusers folder")
    assert not dialog.export.isEnabled(), "not before it was looked at"
    qtbot.waitUntil(lambda: PROBLEM in dialog.text)
    assert not dialog.export.isEnabled()
    assert Path(dialog.path.text()).name == "landscapes-step-20000-ema-diffusers"
    assert {job for job, _ in launcher.calls} == {"check_export"}


def test_the_weights_and_the_format_are_those_that_were_chosen(make_dialog: MakeDialog, qtbot: QtBot) -> None:
    launcher = scripted()
    target = Path("/somewhere/mine")
    dialog = make_dialog(launcher, file=lambda _title, _suggested, _kinds: str(target))
    choose(dialog, "DiT Studio, .safetensors")
    dialog.weights.setCurrentText("Raw")
    dialog._choose.click()
    qtbot.waitUntil(dialog.export.isEnabled)
    dialog.export.click()
    qtbot.waitUntil(lambda: "Saved mine.safetensors (132 MB)." in dialog.text)
    params = {"model": "/models/landscapes", "weights": "raw", "format": "studio"}
    assert launcher.calls[-1] == ("convert_model", {**params, "path": "/somewhere/mine.safetensors"})
    assert not dialog.export.isEnabled(), "it is written"
    assert dialog.show_folder.isVisible()


def test_a_file_that_is_there_is_replaced_only_after_it_was_said(
    make_dialog: MakeDialog, qtbot: QtBot, tmp_path: Path
) -> None:
    (tmp_path / "mine.pt").write_bytes(b"old")
    dialog = make_dialog(scripted())
    dialog.path.setText(str(tmp_path / "mine.pt"))
    qtbot.waitUntil(dialog.export.isEnabled)
    assert dialog.export.text() == "Replace"
    assert "mine.pt is there already" in dialog.text
    dialog.path.setText(str(tmp_path / "other.pt"))
    assert dialog.export.text() == "Export"


def test_a_chosen_name_stays_and_takes_the_ending_of_the_format(make_dialog: MakeDialog) -> None:
    dialog = make_dialog(scripted(), file=lambda *_: "/somewhere/mine.pt")
    dialog.weights.setCurrentText("Raw")
    assert Path(dialog.path.text()).name == "landscapes-step-20000-raw.pt"
    dialog._choose.click()
    for words, name in (("DiT Studio, .safetensors", "mine.safetensors"), ("Published, .pt", "mine.pt")):
        choose(dialog, words)
        assert dialog.path.text() == f"/somewhere/{name}"
    choose(dialog, "diffusers folder")
    assert dialog.path.text() == "/somewhere/mine"


@pytest.mark.parametrize("form", ["Published, .pt", "diffusers folder"])
def test_no_path_that_is_typed_is_too_odd(make_dialog: MakeDialog, qtbot: QtBot, tmp_path: Path, form: str) -> None:
    dialog = make_dialog(scripted(check_export=[ExportChecked(format="facebook", size_bytes=3)]))
    choose(dialog, form)
    qtbot.waitUntil(dialog.export.isEnabled)
    (tmp_path / "file").touch()
    typed = ("/", ".", "..", "~", "~/", "~nobody-of-that-name/x", "//", "/..", f"{tmp_path}/..", "")
    for text in (*typed, "x" * 400, f"{tmp_path}/file/below", "/root/x"):
        dialog.path.clear()
        QTest.keyClicks(dialog.path, text)
        dialog.form.currentIndexChanged.emit(0)
        qtbot.waitUntil(lambda: dialog._checked is not None)
        assert dialog.path.text() == text
    for text in ("/", "..", "~nobody-of-that-name/x", ""):
        dialog.path.setText(text)
        assert not dialog.export.isEnabled()
        assert "after its folder" in dialog.text
    dialog.path.setText(str(tmp_path / "mine"))
    assert dialog.export.isEnabled()
    assert "after its folder" not in dialog.text


def test_cancel_ends_the_export_and_leaves_the_dialog(make_dialog: MakeDialog, qtbot: QtBot) -> None:
    said: list[Step] = [Progress(stage="Writing the weights", done=3, total=20), threading.Event()]
    dialog = make_dialog(scripted(convert_model=said))
    qtbot.waitUntil(dialog.export.isEnabled)
    dialog.export.click()
    assert not dialog.form.isEnabled()
    assert dialog.cancel.text() == "Cancel"
    dialog.cancel.click()
    qtbot.waitUntil(lambda: "Cancelled; nothing was written." in dialog.text)
    assert dialog.export.isEnabled()
    assert dialog.cancel.text() == "Close"


def test_why_it_was_not_written_is_said(make_dialog: MakeDialog, qtbot: QtBot) -> None:
    failure = Failure(message="/x takes 132 MB, and 3 MB are free.", remedy="Free some space.")
    dialog = make_dialog(scripted(convert_model=[failure]))
    qtbot.waitUntil(dialog.export.isEnabled)
    dialog.export.click()
    qtbot.waitUntil(lambda: "3 MB are free. Free some space." in dialog.text)
    assert dialog.export.isEnabled()


def test_a_model_that_cannot_be_read_is_said(make_dialog: MakeDialog, qtbot: QtBot) -> None:
    failure = Failure(message="/models/landscapes is not there.", remedy="Choose another.")
    dialog = make_dialog(scripted(check_export=[failure]))
    qtbot.waitUntil(lambda: "is not there. Choose another." in dialog.text)
    assert not dialog.export.isEnabled()


# ------------------------------------------------------------------------------------------------- the real engine


@pytest.fixture
def engine() -> Iterator[Launcher]:
    launcher = Launcher(in_process=True)
    yield launcher
    launcher.close()


def test_a_diffusers_folder_becomes_a_published_file(
    make_dialog: MakeDialog, qtbot: QtBot, tmp_path: Path, engine: Launcher
) -> None:
    write_pipeline(tmp_path / "pipeline")
    list(open_model(str(tmp_path / "pipeline"), {}))
    dialog = make_dialog(engine, str(tmp_path / "pipeline"))
    choose(dialog, "Published, .safetensors")
    dialog.path.setText(str(tmp_path / "out" / "mine"))
    qtbot.waitUntil(dialog.export.isEnabled, timeout=30_000)
    assert "Outputs will differ a little" in dialog.text
    dialog.export.click()
    qtbot.waitUntil(lambda: "Saved mine.safetensors" in dialog.text, timeout=30_000)
    assert load_file(tmp_path / "out" / "mine.safetensors").keys() == published_state().keys()


def test_a_published_file_becomes_a_diffusers_folder(
    make_dialog: MakeDialog, qtbot: QtBot, tmp_path: Path, engine: Launcher
) -> None:
    from diffusers import DiTTransformer2DModel

    torch.save(published_state(channels=3, out=6), tmp_path / "DiT-tiny.pt")
    answers = {name: answer for name, answer in LIKELY.items() if name not in ("vae", "objective")}
    list(open_model(str(tmp_path / "DiT-tiny.pt"), answers | {"objective": "epsilon"}))
    dialog = make_dialog(engine, str(tmp_path / "DiT-tiny.pt"), folder=lambda _start: str(tmp_path))
    choose(dialog, "diffusers folder")
    dialog.weights.setCurrentText("Raw")
    dialog._choose.click()
    qtbot.waitUntil(dialog.export.isEnabled, timeout=30_000)
    said = " ".join(label.text() for label in dialog.findChildren(QLabel))
    assert "the transformer alone is written" in said
    dialog.export.click()
    qtbot.waitUntil(lambda: "Saved landscapes-step-20000-raw-diffusers" in dialog.text, timeout=30_000)
    model = DiTTransformer2DModel.from_pretrained(tmp_path / "landscapes-step-20000-raw-diffusers")
    assert model.config.num_layers == 2
