"""Attention maps on the stage: a patch is clicked at a step, and the newest answer is what is seen."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from attention_answers import seen
from PIL import Image
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot
from sample_answers import MODEL, drawn, held
from scripted import Script, ScriptedLauncher

from dit_studio.engine.interop import open_model
from dit_studio.events import Failure, Progress, SettingsRefused, Written
from dit_studio.jobs.launch import Launcher
from dit_studio.sample_request import SampleRequest
from dit_studio.ui import theme
from dit_studio.ui.sample.heat import heat_over
from dit_studio.ui.sample.page import SamplePage
from dit_studio.ui.settings import Settings
from tests.engine.foreign_models import LIKELY, published_state, write_pipeline

MakePage = Callable[..., SamplePage]
DRAWER = msgspec.structs.replace(MODEL, depth=12, num_heads=6, patch_size=2, fingerprint="")  # a grid of 8 × 8


@pytest.fixture
def make_page(qtbot: QtBot, settings: Settings) -> Iterator[MakePage]:
    pages: list[SamplePage] = []

    def make(launcher: Any = None, **answers: Script | Callable[..., Script]) -> SamplePage:
        if launcher is None:
            settings.save_form("sample model", {"path": DRAWER.path, "weights": "ema"})
        usual = {"describe_sampling": [DRAWER], "sample": drawn, "see_attention": lambda **params: [seen(**params)]}
        page = SamplePage(settings, launcher or ScriptedLauncher(answers=usual | answers))
        pages.append(page)
        qtbot.addWidget(page)
        page.resize(1200, 720)
        with qtbot.waitExposed(page):
            page.show()
        return page

    yield make
    for page in pages:
        page.close_page()


def draw(page: SamplePage, qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: page.session.model is not None, timeout=30_000)
    page.set_up.set_request(SampleRequest(classes=(1,), count=2, steps=5, seed=12))
    page.set_up.bar.generate.click()
    qtbot.waitUntil(lambda: not page.session.is_busy and page.stage.film is not None, timeout=30_000)


def asked(page: SamplePage) -> list[dict[str, Any]]:
    calls = page.attention._launcher.calls  # type: ignore[attr-defined]
    return [params for job, params in calls if job == "see_attention"]


def click(page: SamplePage, qtbot: QtBot, patch: int, *, cell: int = 0) -> None:
    view = page.stage.attention.view
    qtbot.mouseClick(view, Qt.MouseButton.LeftButton, pos=view.place_of(patch, cell))


def shows_maps(page: SamplePage) -> bool:
    return page.stage.attention.view.titles == ["Mean", *(f"Head {head}" for head in range(1, 7))]


def test_a_click_on_a_patch_shows_every_head_and_the_mean(make_page: MakePage, qtbot: QtBot) -> None:
    page = make_page()
    draw(page, qtbot)
    page.stage.seek(3)
    page.stage.pick(1)
    page.stage.heads.click()
    qtbot.waitUntil(lambda: shows_maps(page))
    click(page, qtbot, 10)
    qtbot.waitUntil(lambda: "From row 2, column 3" in page.stage.attention.text)
    entry = page.history.entries()[0]
    assert asked(page)[-1] == {
        "model": DRAWER.path,
        "weights": "ema",
        "request": msgspec.to_builtins(entry.entry.record.request),
        "image": 1,
        "step": 3,
        "block": 5,
        "patch": 10,
        "folder": str(entry.path),
    }
    click(page, qtbot, 62, cell=4)
    qtbot.waitUntil(lambda: "From row 8, column 7" in page.stage.attention.text)


def test_arrow_keys_move_the_patch_and_the_other_keys_are_the_stage_s(make_page: MakePage, qtbot: QtBot) -> None:
    page = make_page()
    draw(page, qtbot)
    page.stage.scrubber.setFocus()
    qtbot.keyClick(page.stage.scrubber, Qt.Key.Key_H)
    panel = page.stage.attention
    assert page.stage.heads.isChecked()
    panel.view.setFocus()
    first, step = panel.patch, page.stage.current_step
    keys = (Qt.Key.Key_Left, Qt.Key.Key_Up, Qt.Key.Key_Right, Qt.Key.Key_Down)
    for key, patch in zip(keys, (first - 1, first - 9, first - 8, first), strict=True):
        qtbot.keyClick(panel.view, key)
        assert panel.patch == patch
    assert page.stage.current_step == step
    qtbot.keyClick(panel.view, Qt.Key.Key_2)
    assert page.stage.current_image == 1
    qtbot.keyClick(panel.view, Qt.Key.Key_H)
    assert not page.stage.heads.isChecked()
    assert not panel.isVisible()


@pytest.fixture
def _large_text(qapp: QApplication) -> Iterator[None]:
    theme.apply_theme(qapp, "dark", theme.FONT_SCALES[1])
    yield
    theme.apply_theme(qapp, "dark")


@pytest.mark.usefixtures("_large_text")
@pytest.mark.parametrize("heads", [6, 16])
def test_with_little_room_a_patch_can_be_hit_and_every_map_be_seen(
    make_page: MakePage, qtbot: QtBot, heads: int
) -> None:
    model = msgspec.structs.replace(DRAWER, num_heads=heads, image_size=16, patch_size=1)  # a grid of 16 × 16
    page = make_page(describe_sampling=[model], see_attention=lambda **params: [seen(**params, heads=heads, grid=16)])
    page.resize(860, 550)
    draw(page, qtbot)
    page.stage.heads.click()
    view = page.stage.attention.view
    qtbot.waitUntil(lambda: len(view.titles) == heads + 1)
    qtbot.waitUntil(lambda: view.boxes()[0].width() >= 16 * 12)
    assert not page.stage.scrubber.shows_curves
    assert view.visibleRegion().boundingRect().height() >= 128
    for box in view.boxes():
        assert view.rect().contains(box), "it is scrolled to"
        assert box.width() >= 56
    click(page, qtbot, 16 * 15 + 3)
    assert page.stage.attention.patch == 16 * 15 + 3
    qtbot.keyClick(view, Qt.Key.Key_Up)
    assert view.visibleRegion().contains(view.place_of(16 * 14 + 3))
    step = page.stage.current_step
    qtbot.keyClick(view, Qt.Key.Key_Left, Qt.KeyboardModifier.ShiftModifier)
    assert page.stage.current_step == max(step - 5, 1), "other keys are the stage's"
    page.stage.heads.click()
    page.resize(1200, 1100)
    qtbot.waitUntil(lambda: page.stage.scrubber.shows_curves)


def test_the_block_the_step_and_the_image_are_followed(make_page: MakePage, qtbot: QtBot) -> None:
    page = make_page()
    draw(page, qtbot)
    page.stage.heads.click()
    page.stage.attention.block_number.setValue(12)
    qtbot.waitUntil(lambda: bool(asked(page)) and asked(page)[-1]["block"] == 11)
    assert page.stage.attention.slider.value() == 12
    page.stage.seek(2)
    qtbot.waitUntil(lambda: asked(page)[-1]["step"] == 2)
    page.stage.pick(1)
    qtbot.waitUntil(lambda: asked(page)[-1]["image"] == 1 and shows_maps(page))


def test_the_newest_click_wins(make_page: MakePage, qtbot: QtBot) -> None:
    gate = threading.Event()

    def answer(**params: Any) -> Script:
        return [gate, seen(**params)] if params["patch"] == 3 else [Progress(stage="Drawing", done=1), seen(**params)]

    page = make_page(see_attention=answer)
    draw(page, qtbot)
    page.stage.heads.click()
    qtbot.waitUntil(lambda: shows_maps(page))
    click(page, qtbot, 3)
    click(page, qtbot, 20)
    qtbot.waitUntil(lambda: "row 3, column 5" in page.stage.attention.text)
    gate.set()
    qtbot.waitUntil(lambda: not page.attention._job._dropped)
    assert "row 3, column 5" in page.stage.attention.text


def test_nothing_is_asked_while_the_panel_is_closed_or_the_images_are_drawn(make_page: MakePage, qtbot: QtBot) -> None:
    gate = threading.Event()
    page = make_page(sample=held(gate, steps=3))
    qtbot.waitUntil(lambda: page.session.model is not None)
    page.set_up.set_request(SampleRequest(classes=(1,), count=1, steps=5))
    page.set_up.bar.generate.click()
    qtbot.waitUntil(lambda: page.stage.current_step == 3)
    page.stage.heads.click()
    qtbot.waitUntil(lambda: "still being drawn" in page.stage.attention.text)
    page.stage.heads.click()
    page.session.stop()
    qtbot.waitUntil(lambda: not page.session.is_busy)
    assert asked(page) == []


def test_a_branch_looks_into_the_trajectory_that_the_step_belongs_to(make_page: MakePage, qtbot: QtBot) -> None:
    page = make_page()
    draw(page, qtbot)
    parent = page.history.entries()[0]
    page.stage.pick(1)
    page.stage.seek(3)
    page.stage.branch.click()
    page.set_up.bar.generate.click()
    qtbot.waitUntil(lambda: len(page.history.entries()) == 2 and not page.session.is_busy)
    branch = next(entry for entry in page.history.entries() if entry.name != parent.name)
    page.stage.heads.click()
    for step, expected in ((2, (str(parent.path), 1, 2)), (5, (str(branch.path), 0, 3))):
        page.stage.seek(step)
        qtbot.waitUntil(lambda: bool(asked(page)) and not page.stage.attention._soon.isActive())
        qtbot.waitUntil(lambda: shows_maps(page))
        assert tuple(asked(page)[-1][name] for name in ("folder", "image", "step")) == expected


def test_images_of_another_model_say_which_is_needed_and_open_it(
    make_page: MakePage, qtbot: QtBot, tmp_path: Path
) -> None:
    def described(model: str, weights: str) -> Script:
        mark = "a" * 16 if model == DRAWER.path else "b" * 16
        return [msgspec.structs.replace(DRAWER, path=model, weights=weights, fingerprint=mark)]

    page = make_page(describe_sampling=described)
    draw(page, qtbot)
    for name in ("first", "other"):
        (tmp_path / name).mkdir()
    page.model.open(str(tmp_path / "other"), "ema")
    qtbot.waitUntil(lambda: page.session.model is not None)
    page.stage.heads.click()
    panel = page.stage.attention
    qtbot.waitUntil(lambda: "drew these images, and another model" in panel.text)
    assert "is not there any more" in panel.text, "the scripted model has no folder"
    assert panel.open_model.isHidden()
    assert not panel.view.isVisible()
    page.model.open(DRAWER.path, "ema")
    qtbot.waitUntil(lambda: shows_maps(page) and panel.view.isVisible())
    page.model.open(str(tmp_path / "first"), "ema")
    draw(page, qtbot)
    page.model.open(str(tmp_path / "other"), "ema")
    qtbot.waitUntil(panel.open_model.isVisible)
    panel.open_model.click()
    qtbot.waitUntil(lambda: page.set_up.model.path == str(tmp_path / "first") and shows_maps(page))


@pytest.mark.parametrize(
    "end",
    [
        Failure(message="The x_t of step 3 is damaged.", remedy="Draw it again."),
        SettingsRefused(problems=(("step", "The x_t of step 3 is damaged. Draw it again."),)),
    ],
)
def test_why_there_are_no_maps_is_said(make_page: MakePage, qtbot: QtBot, end: Any) -> None:
    page = make_page(see_attention=[end])
    draw(page, qtbot)
    page.stage.heads.click()
    qtbot.waitUntil(lambda: page.stage.attention.text == "The x_t of step 3 is damaged. Draw it again.")
    assert not page.stage.attention.export.isEnabled()


def test_other_tokens_are_said(make_page: MakePage, qtbot: QtBot) -> None:
    page = make_page(see_attention=lambda **params: [seen(**params, elsewhere=0.6)])
    draw(page, qtbot)
    page.stage.heads.click()
    qtbot.waitUntil(lambda: "35% to other tokens" in page.stage.attention.text)
    assert "60% goes to tokens that are no patches" in page.stage.attention.view.accessibleDescription()


def test_the_maps_are_exported_as_they_are_seen(make_page: MakePage, qtbot: QtBot, tmp_path: Path) -> None:
    target = tmp_path / "maps.png"
    page = make_page(export_attention=[Written(file=str(target), size_bytes=2_000, images=6)])
    page.attention._place._save_path = lambda *_: str(target)
    draw(page, qtbot)
    page.stage.heads.click()
    qtbot.waitUntil(page.stage.attention.export.isEnabled)
    page.stage.attention.export.click()
    qtbot.waitUntil(lambda: "Saved maps.png" in page.exports.status.text())
    calls = page.attention._launcher.calls  # type: ignore[attr-defined]
    job, params = calls[-1]
    assert (job, params) == ("export_attention", {**asked(page)[-1], "path": str(target)})


def test_a_map_is_brightest_where_the_head_looks() -> None:
    pixels = np.full((8, 8, 3), 100, np.uint8)
    weights = np.array([[0.1, 0.0], [0.2, 0.7]], np.float32)
    shown = heat_over(pixels, weights)
    light = shown.astype(int).sum(axis=-1)
    assert shown.shape == (8, 8, 3)
    assert (light[4:, 4:] == light.max()).all()
    assert (shown[:4, 4:] == 35).all(), "nothing goes there"
    assert light[0, 4] < light[0, 0] < light[4, 0] < light[4, 4]
    assert heat_over(np.zeros((1, 1, 1), np.uint8), weights).shape == (2, 2, 3)


# ------------------------------------------------------------------------------------------------- the real engine


@pytest.fixture
def engine() -> Iterator[Launcher]:
    launcher = Launcher(in_process=True)
    yield launcher
    launcher.close()


def test_a_published_model_shows_its_heads_and_exports_them(
    make_page: MakePage, qtbot: QtBot, tmp_path: Path, engine: Launcher
) -> None:
    file = tmp_path / "DiT-tiny.pt"
    torch.save(published_state(channels=3, out=6), file)
    list(open_model(str(file), {name: LIKELY[name] for name in ("objective", "num_heads", "null_class")}))
    page = make_page(engine)
    page.open_model(file)
    draw(page, qtbot)
    page.stage.seek(2)
    page.stage.heads.click()
    view = page.stage.attention.view
    qtbot.waitUntil(lambda: view.titles == ["Mean", "Head 1", "Head 2"], timeout=30_000)
    click(page, qtbot, 5)
    qtbot.waitUntil(lambda: "From row 2, column 2" in page.stage.attention.text, timeout=30_000)
    page.attention._place._save_path = lambda *_: str(tmp_path / "maps.png")
    page.stage.attention.export.click()
    qtbot.waitUntil(lambda: "Saved maps.png" in page.exports.status.text(), timeout=30_000)
    with Image.open(tmp_path / "maps.png") as picture:
        assert picture.width > 300


def test_a_model_in_latents_shows_its_heads_over_the_latents_and_the_image(
    make_page: MakePage, qtbot: QtBot, tmp_path: Path, engine: Launcher
) -> None:
    write_pipeline(tmp_path / "pipeline")
    page = make_page(engine)
    page.open_model(tmp_path / "pipeline")
    draw(page, qtbot)
    page.stage.heads.click()
    view = page.stage.attention.view
    for step, side in ((2, 8), (5, 16)):  # latents, and at the last step the decoded image
        page.stage.seek(step)
        qtbot.waitUntil(lambda: view.titles == ["Mean", "Head 1", "Head 2"] and not view._is_stale, timeout=30_000)
        assert {cell.pixels.shape for cell in view._cells} == {(side, side, 3)}
    click(page, qtbot, 15)
    qtbot.waitUntil(lambda: "From row 4, column 4" in page.stage.attention.text, timeout=30_000)
