"""A picture dropped on the window: what its settings would change is shown before anything changes."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QAbstractButton
from pytestqt.qtbot import QtBot
from sample_setup_scenes import KINDS, example_model

from dit_studio.events import SampleModel
from dit_studio.image_settings import KEY, READABLE_KEY, read_settings, write_text
from dit_studio.sample_request import BranchPoint, ModelReference, SampleRecord, SampleRequest
from dit_studio.ui.sample.restore_sheet import RestoreSheet

DRAWN = SampleRequest(classes=(3, 5), sampler="unipc", steps=20, cfg=7, seed=41, count=4)
NOW = SampleRequest(classes=(0, 1), cfg=4, count=4)


def picture(place: Path, texts: dict[str, str]) -> Path:
    info = PngInfo()
    for key, text in texts.items():
        info.add_itxt(key, text)
    path = place / "000002.png"
    Image.new("RGB", (8, 8), (40, 90, 160)).save(path, pnginfo=info)
    return path


def drawn(place: Path, request: SampleRequest = DRAWN, *, image: int = 2, **changes: Any) -> Path:
    model = ModelReference(path=str(place / "run"), name="landscapes", fingerprint="ffff", class_names=KINDS)
    record = SampleRecord(**({"request": request, "model": model} | changes))
    return picture(place, write_text(record, image))


def sheet_of(qtbot: QtBot, path: Path, now: SampleRequest = NOW, model: SampleModel | None = None) -> RestoreSheet:
    sheet = RestoreSheet(path, read_settings(path), now, model or example_model())
    sheet.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose, on=False)
    qtbot.addWidget(sheet)
    sheet.show()
    return sheet


def rows(sheet: RestoreSheet) -> dict[str, tuple[str, str]]:
    table = sheet.table
    texts = [[table.item(line, column).text() for column in range(3)] for line in range(table.rowCount())]
    return {title: (now, then) for title, now, then in texts}


def test_only_what_would_change_is_shown(qtbot: QtBot, tmp_path: Path) -> None:
    sheet = sheet_of(qtbot, drawn(tmp_path))
    assert rows(sheet) == {
        "Sampler": ("ddim", "unipc"),
        "Steps": ("50", "20"),
        "CFG scale": ("4", "7"),
        "Seed": ("0", "43"),
        "Count": ("4", "1"),
        "Classes": ("fields, mountains", "sea"),
    }
    assert sheet.alone.text() == "Only this image, number 3 of 4"


def test_apply_gives_the_settings_of_this_image(qtbot: QtBot, tmp_path: Path) -> None:
    sheet = sheet_of(qtbot, drawn(tmp_path))
    with qtbot.waitSignal(sheet.applied) as applied:
        qtbot.mouseClick(sheet.apply, Qt.MouseButton.LeftButton)
    request = SampleRequest(classes=(3,), sampler="unipc", steps=20, cfg=7, seed=43, count=1)
    assert applied.args == [request, "", ""]
    assert not sheet.isVisible()


def test_or_of_all_that_were_drawn_with_it(qtbot: QtBot, tmp_path: Path) -> None:
    sheet = sheet_of(qtbot, drawn(tmp_path))
    sheet.alone.click()
    assert "Count" not in rows(sheet)
    with qtbot.waitSignal(sheet.applied) as applied:
        qtbot.keyClick(sheet, Qt.Key.Key_Return)
    assert applied.args == [DRAWN, "", ""]


def test_cancel_changes_nothing(qtbot: QtBot, tmp_path: Path) -> None:
    sheet = sheet_of(qtbot, drawn(tmp_path))
    cancel = next(button for button in sheet.findChildren(QAbstractButton) if button.text() == "Cancel")
    with qtbot.assertNotEmitted(sheet.applied):
        qtbot.mouseClick(cancel, Qt.MouseButton.LeftButton)
    assert not sheet.isVisible()


def test_its_model_is_opened_only_if_that_is_ticked_and_it_is_there(qtbot: QtBot, tmp_path: Path) -> None:
    sheet = sheet_of(qtbot, drawn(tmp_path))
    assert sheet.open_model.isVisible()
    assert not sheet.open_model.isChecked()
    sheet.open_model.click()
    assert not sheet.open_model.isChecked()
    assert sheet.open_model.text() == "Its model is not there"
    (tmp_path / "run").mkdir()
    again = sheet_of(qtbot, drawn(tmp_path))
    again.open_model.click()
    with qtbot.waitSignal(again.applied) as applied:
        qtbot.mouseClick(again.apply, Qt.MouseButton.LeftButton)
    assert applied.args[1:] == [str(tmp_path / "run"), "ema"]


def test_classes_are_found_by_their_names(qtbot: QtBot, tmp_path: Path) -> None:
    model = example_model(("sea", "city"))
    sheet = sheet_of(qtbot, drawn(tmp_path), SampleRequest(classes=(1,)), model)
    assert rows(sheet)["Classes"] == ("city", "sea")
    sheet.alone.click()
    assert "This model lacks the picture's class island." in sheet.notes
    with qtbot.waitSignal(sheet.applied) as applied:
        sheet.apply.click()
    assert applied.args[0].classes == (0, 0)[:1]


def test_what_the_model_cannot_do_is_said(qtbot: QtBot, tmp_path: Path) -> None:
    model = example_model(samplers=("flow-euler",), has_null_class=False, timesteps=10)
    sheet = sheet_of(qtbot, drawn(tmp_path), SampleRequest(sampler="flow-euler"), model)
    assert set(rows(sheet)) == {"Seed", "Classes"}
    assert "Sampler = unipc is not possible: it does not serve this model." in sheet.notes
    assert "Steps = 20 is not possible: this model has 10 timesteps." in sheet.notes
    assert "this model has no guidance" in sheet.notes


def test_a_branch_and_another_model_are_said(qtbot: QtBot, tmp_path: Path) -> None:
    sheet = sheet_of(qtbot, drawn(tmp_path, branch=BranchPoint(entry="20260101-000000-abcd", image=0, step=3)))
    assert "It is a branch of another image" in sheet.notes
    assert "drawn by another model" in sheet.notes
    same = sheet_of(qtbot, drawn(tmp_path), model=example_model(fingerprint="ffff"))
    assert same.notes == ""
    assert not same.open_model.isVisible()


def test_nothing_to_change(qtbot: QtBot, tmp_path: Path) -> None:
    alone = SampleRequest(classes=(3,), sampler="unipc", steps=20, cfg=7, seed=43, count=1)
    sheet = sheet_of(qtbot, drawn(tmp_path), alone)
    assert not sheet.apply.isEnabled()
    assert not sheet.table.isVisible()


@pytest.mark.parametrize(
    "request_values",
    [
        {"steps": 100_000, "cfg": -1, "seed": 5, "sampler": "ddim; rm -rf /"},
        {"steps": "<b>50</b>", "seed": 5, "__class__": "os.system", "classes": [10**40]},
        {"seed": 5, "steps": [50], "cfg": {"a": 1}, "\u202eeta": 1},
    ],
)
def test_hostile_settings_are_text_at_most(qtbot: QtBot, tmp_path: Path, request_values: dict[str, Any]) -> None:
    record = {"request": request_values, "model": {"path": "/etc/passwd", "name": "<img src=x>"}, "image": 0}
    sheet = sheet_of(qtbot, picture(tmp_path, {KEY: json.dumps(record)}))
    assert rows(sheet)["Seed"] == ("0", "5")
    assert set(rows(sheet)) == {"Seed", "Count"}
    assert "is not possible" in sheet.notes
    sheet.grab()


def test_another_programs_picture(qtbot: QtBot, tmp_path: Path) -> None:
    text = "a cat\nSteps: 30, Sampler: DPM++ 2M, CFG scale: 6.5, Seed: 12, Model: v1-5"
    sheet = sheet_of(qtbot, picture(tmp_path, {READABLE_KEY: text}))
    assert rows(sheet)["Sampler"] == ("ddim", "dpm++")
    assert "Another program wrote this picture" in sheet.notes
    assert not sheet.open_model.isVisible()
