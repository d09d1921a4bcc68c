"""The Sample page as a user meets it, with a worker that says what a test wrote down."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from PIL import Image
from PySide6.QtWidgets import QLabel
from pytestqt.qtbot import QtBot
from sample_answers import MODEL, drawn, frames, held
from scripted import Script, ScriptedLauncher

from dit_studio.engine.export.png import encode_png
from dit_studio.errors import CheckpointError
from dit_studio.events import CellDrawn, CellFailed, CellStarted, Failure, JobState, Progress, SettingsRefused
from dit_studio.image_settings import read_settings
from dit_studio.sample_request import ModelReference, SampleRecord, SampleRequest
from dit_studio.sweep import CellState, ModelLimits, SweepAxis, SweepRecord, plan_sweep
from dit_studio.ui.sample.page import SamplePage
from dit_studio.ui.sample.restore_sheet import RestoreSheet
from dit_studio.ui.settings import Settings

Answers = dict[str, Script | Callable[..., Script]]
MakePage = Callable[..., SamplePage]
USUAL: Answers = {"describe_sampling": [MODEL], "sample": drawn}


@pytest.fixture
def make_page(qtbot: QtBot, settings: Settings) -> Iterator[MakePage]:
    pages: list[SamplePage] = []

    def make(**answers: Script | Callable[..., Script]) -> SamplePage:
        settings.save_form("sample model", {"path": MODEL.path, "weights": "ema"})
        page = SamplePage(settings, ScriptedLauncher(answers={**USUAL, **answers}))  # type: ignore[arg-type]
        pages.append(page)
        qtbot.addWidget(page)
        page.resize(1200, 720)
        with qtbot.waitExposed(page):
            page.show()
        return page

    yield make
    for page in pages:
        page.close_page()


def with_model(page: SamplePage, qtbot: QtBot) -> SamplePage:
    qtbot.waitUntil(lambda: page.session.model is not None)
    page.set_up.set_request(SampleRequest(classes=(7,), count=2, steps=5, cfg=4.0, seed=12))
    return page


def generate(page: SamplePage, qtbot: QtBot) -> None:
    """Press Generate, and wait for the end."""
    assert page.set_up.bar.generate.isEnabled(), page.set_up.why_not()
    page.set_up.bar.generate.click()
    qtbot.waitUntil(lambda: page.session.state in (JobState.FINISHED, JobState.FAILED, JobState.STOPPED))


def test_generate_shows_every_step_and_keeps_an_entry(make_page: MakePage, qtbot: QtBot) -> None:
    page = with_model(make_page(), qtbot)
    generate(page, qtbot)
    assert page.stage.film is not None
    assert [page.stage.film.steps_done(image) for image in range(2)] == [5, 5]
    assert [entry.entry.images for entry in page.history.entries()] == [2]
    assert page.entries.list.model().rowCount() == 1
    assert not page.session.is_busy


def test_stop_keeps_what_is_finished_and_generate_works_again(make_page: MakePage, qtbot: QtBot) -> None:
    gate = threading.Event()
    page = with_model(make_page(sample=held(gate, steps=3)), qtbot)
    page.set_up.bar.generate.click()
    qtbot.waitUntil(lambda: page.stage.current_step == 3)
    assert page.set_up.bar.stop.isEnabled()
    page.set_up.bar.stop.click()
    qtbot.waitUntil(lambda: page.session.state is JobState.STOPPED)
    assert "0 finished" in page.set_up.bar.text
    assert page.stage.film is not None
    assert page.stage.film.steps_done(0) == 3, "what was seen stays"
    assert page.set_up.bar.generate.isEnabled()


def test_a_stop_pressed_twice_is_no_failure(make_page: MakePage, qtbot: QtBot) -> None:
    gate = threading.Event()
    died = Failure(message="The worker process ended in the middle of its work.", code="killed")

    def answer(request: dict[str, Any], folder: str, **_: object) -> Script:
        return [*frames(request, folder, steps=3), gate, died]

    page = with_model(make_page(sample=answer), qtbot)
    page.set_up.bar.generate.click()
    qtbot.waitUntil(lambda: page.stage.current_step == 3)
    page.session._set_state(JobState.STOPPING)  # a scripted job would end at the first press
    gate.set()
    qtbot.waitUntil(lambda: page.session.state is JobState.STOPPED)
    assert page.message.isHidden()


def test_a_worker_that_dies_says_why_and_the_next_generate_is_served(make_page: MakePage, qtbot: QtBot) -> None:
    died = Failure(message="The worker process ended in the middle of its work.", remedy="Try again.", code="killed")
    answers: list[Any] = [[died], None]

    def answer(**params: Any) -> Script:
        script = answers.pop(0)
        return drawn(**params) if script is None else script

    page = with_model(make_page(sample=answer), qtbot)
    generate(page, qtbot)
    assert page.session.state is JobState.FAILED
    assert "ended in the middle" in page.message.text()
    generate(page, qtbot)
    assert page.session.state is JobState.FINISHED
    assert page.message.isHidden()


def test_a_model_that_went_away_is_said_at_the_model(make_page: MakePage, qtbot: QtBot) -> None:
    error = CheckpointError("/runs/digits holds no model.", remedy="Choose a run folder.")
    page = make_page(describe_sampling=[Failure(message=error.message, remedy=error.remedy, code=error.code)])
    qtbot.waitUntil(lambda: "holds no model" in page.set_up.model.message.text())
    assert not page.set_up.bar.generate.isEnabled()


def test_what_the_engine_refuses_stands_at_its_field(make_page: MakePage, qtbot: QtBot) -> None:
    refused = SettingsRefused(problems=(("request.steps", "steps = 50 is not possible: at most 20."),))
    page = with_model(make_page(sample=[refused]), qtbot)
    page.set_up.bar.generate.click()
    qtbot.waitUntil(lambda: not page.message.isHidden())
    assert "at most 20" in page.message.text()
    assert page.session.state in (JobState.IDLE, JobState.FINISHED)
    qtbot.waitUntil(lambda: not list(page.history.root.iterdir()))  # no empty entry stays
    assert "at most 20" in "".join(label.text() for label in page.set_up.options.findChildren(QLabel))


def test_a_branch_goes_on_from_the_step_that_is_shown(make_page: MakePage, qtbot: QtBot) -> None:
    page = with_model(make_page(), qtbot)
    generate(page, qtbot)
    parent = page.history.entries()[0].name
    page.stage.pick(1)
    page.stage.seek(3)
    page.stage.branch.click()
    assert "image 2 (7) at step 3" in page.set_up.branch.text
    assert page.set_up.request() == SampleRequest(classes=(7,), count=1, steps=5, cfg=4.0, seed=13)
    page.set_up.set_request(SampleRequest(classes=(3,), count=1, steps=5, cfg=4.0, seed=13))
    generate(page, qtbot)
    branch = page.history.entries()[0].entry.record.branch
    assert branch is not None
    assert (branch.entry, branch.image, branch.step) == (parent, 1, 3)
    film = page.stage.film
    assert film is not None
    assert film.shared_steps == 2, "the parent's steps 1 and 2 come before the branch's own"
    assert film.images == 2, "the parent's future stands beside the branch's"
    assert [film.labels[image] for image in range(2)] == [3, 7]
    assert page.on_stage.place(1, 4).entry == parent
    page.stage.pick(1)
    page.stage.star.click()
    starred = page.history.entry(parent)
    assert starred is not None
    assert starred.favourites == {1}
    page.stage.pick(0)
    page.stage.seek(1)
    page.stage.branch.click()
    assert page.branching.point is not None
    assert (page.branching.point.entry, page.branching.point.image, page.branching.point.step) == (parent, 1, 1), (
        "the past is the parent's"
    )
    page.set_up.branch.cancel.click()
    assert page.branching.point is None


def test_history_opens_restores_and_forgets(make_page: MakePage, qtbot: QtBot) -> None:
    page = with_model(make_page(), qtbot)
    generate(page, qtbot)
    first = page.history.entries()[0].name
    page.set_up.set_request(SampleRequest(classes=(1,), count=1, steps=4, seed=99))
    generate(page, qtbot)
    page.entries.opened.emit(first)
    assert page.stage.film is not None
    assert list(page.stage.film.seeds) == [12, 13]
    page.entries.restore_asked.emit(first)
    assert page.set_up.request() == SampleRequest(classes=(7,), count=2, steps=5, cfg=4.0, seed=12)
    page.entries.deleted.emit(first)
    assert page.stage.film is None


def test_the_history_outlives_the_page(make_page: MakePage, qtbot: QtBot) -> None:
    page = with_model(make_page(), qtbot)
    generate(page, qtbot)
    page.stage.star.click()
    again = make_page()
    assert again.entries.list.model().rowCount() == 1
    assert again.history.entries()[0].favourites == {0}


def test_two_pinned_images_are_compared(make_page: MakePage, qtbot: QtBot) -> None:
    page = with_model(make_page(), qtbot)
    generate(page, qtbot)
    page.stage.compare.click()
    page.stage.pick(1)
    page.stage.compare.click()
    assert page.comparing.view.isVisible()
    assert "12" in page.comparing.view._titles[0].text()
    page.comparing.view.closed.emit()
    assert page.stage.isVisible()


def test_a_picture_gives_its_settings_back_after_showing_them(
    make_page: MakePage, qtbot: QtBot, tmp_path: Path
) -> None:
    request = SampleRequest(classes=(4, 5), count=2, steps=30, cfg=2.5, seed=7, sampler="unipc")
    record = SampleRecord(request=request, model=ModelReference(path="/runs/gone", class_names=MODEL.class_names))
    picture = tmp_path / "one.png"
    picture.write_bytes(encode_png(np.zeros((8, 8, 3), np.uint8), record, 1))
    assert read_settings(picture).image == 1
    page = with_model(make_page(), qtbot)
    before = page.set_up.request()
    page.open_picture(picture)
    sheet = page.findChild(RestoreSheet)
    assert sheet is not None
    assert page.set_up.request() == before, "nothing changes before Apply"
    sheet.alone.setChecked(False)
    sheet.apply.click()
    assert page.set_up.request() == request
    assert page.session.model is not None
    assert page.session.model.path == MODEL.path, "no model is opened that was not asked for"


def test_a_picture_without_settings_is_refused(make_page: MakePage, tmp_path: Path) -> None:
    picture = tmp_path / "notes.png"
    picture.write_bytes(b"not a picture")
    page = make_page()
    page.open_picture(picture)
    assert "notes.png" in page.message.text()


def test_a_picture_is_held_against_what_is_typed_even_where_that_is_not_possible(
    make_page: MakePage, qtbot: QtBot, tmp_path: Path
) -> None:
    request = SampleRequest(steps=30, cfg=2.5, seed=7)
    picture = tmp_path / "one.png"
    record = SampleRecord(request=request, model=ModelReference(path="/runs/gone"))
    picture.write_bytes(encode_png(np.zeros((8, 8, 3), np.uint8), record, 0))
    page = with_model(make_page(), qtbot)
    page.set_up.options.set_values({"steps": 0, "cfg": 5.0, "count": 6})
    assert page.set_up.request() is None
    page.open_picture(picture)
    sheet = page.findChild(RestoreSheet)
    assert sheet is not None
    rows = [[sheet.table.item(row, column).text() for column in range(3)] for row in range(sheet.table.rowCount())]
    assert ["Steps", "0", "30"] in rows
    assert ["CFG scale", "5", "2.5"] in rows
    assert ["Count", "6", "1"] in rows


# ------------------------------------------------------------------------------------------------- sweeps


def swept(request: dict[str, Any], axes: list[dict[str, Any]], folder: str, model: str, weights: str) -> Script:
    """A sweep of two cells, the second of which fails."""
    base, place = msgspec.convert(request, SampleRequest), Path(folder)
    axis = SweepAxis(name=axes[0]["name"], values=tuple(axes[0]["values"]))
    limits = ModelLimits(
        num_classes=10, class_names=MODEL.class_names, timesteps=1000, samplers=MODEL.samplers, has_null_class=True
    )
    plan = plan_sweep(base, model=model, weights=weights, axes=[axis], limits=limits)
    cells = [CellState(state="drawn"), CellState(state="failed", message="cfg = 7 broke.")]
    (place / plan.cells[0].folder).mkdir(parents=True)
    picture = Image.new("RGB", (8, 8), "red")
    picture.save(place / plan.cells[0].folder / "000000.png")
    (place / "sweep.json").write_bytes(msgspec.json.encode(SweepRecord(plan=plan, states=tuple(cells))))
    drawn_cell = CellDrawn(index=0, folder="cells/000", images=1, height=8, width=8, channels=3, data=bytes(8 * 8 * 3))
    return [CellStarted(index=0), drawn_cell, CellStarted(index=1), CellFailed(index=1, message="cfg = 7 broke.")]


def draw_sweep(page: SamplePage, qtbot: QtBot) -> None:
    page._tabs.setCurrentWidget(page.sweep)
    row = page.sweep.panel.rows[0]
    row.values.setText("4, 7")
    row.values.textEdited.emit("4, 7")
    page.sweep.panel.start.click()
    qtbot.waitUntil(lambda: page.session.state is JobState.FINISHED)


def test_a_sweep_is_drawn_found_again_and_gives_its_settings(make_page: MakePage, qtbot: QtBot) -> None:
    page = with_model(make_page(sweep=swept), qtbot)
    draw_sweep(page, qtbot)
    assert "1 failed" in page.sweep.grid.summary
    again = with_model(make_page(sweep=swept), qtbot)
    assert again.on_stage.film is None, "a sweep is no film"
    name = again.history.entries()[0].name
    again.entries.sweep_opened.emit(name)
    assert again._tabs.currentWidget() is again.sweep
    again.sweep.grid.view.setCurrentIndex(again.sweep.grid.view.model().index(0, 0))
    again.sweep.grid.use.click()
    request = again.set_up.request()
    assert request is not None
    assert request.cfg == 4.0
    assert again.branching.point is None
    with qtbot.waitSignal(again.evaluate_asked) as cell, qtbot.waitSignal(again.evaluate_sweep_asked) as all_cells:
        again.sweep.grid.evaluate.click()
        again.sweep.grid.evaluate_all.click()
    folder = again.history.root / name
    assert (cell.args, all_cells.args) == ([folder / "cells/000"], [folder])


def test_a_sweep_waits_for_its_model(make_page: MakePage, qtbot: QtBot) -> None:
    page = with_model(make_page(sweep=swept), qtbot)
    assert page.sweep.panel.start.isEnabled()
    launcher: Any = page.session._launcher
    launcher.answers["describe_sampling"] = [Failure(message="gone.")]
    page.open_model(Path("/runs/gone"))
    assert not page.sweep.panel.start.isEnabled(), "the model is being loaded"
    qtbot.waitUntil(lambda: "gone." in page.set_up.model.message.text())
    assert not page.sweep.panel.start.isEnabled()


def test_a_branch_that_is_cancelled_gives_the_settings_back(make_page: MakePage, qtbot: QtBot) -> None:
    page = with_model(make_page(), qtbot)
    before = page.set_up.request()
    generate(page, qtbot)
    page.stage.branch.click()
    assert page.set_up.request() != before
    page.set_up.branch.cancel.click()
    assert page.set_up.request() == before


def test_another_size_of_images_ends_a_branch(make_page: MakePage, qtbot: QtBot) -> None:
    page = with_model(make_page(), qtbot)
    generate(page, qtbot)
    page.stage.branch.click()
    launcher: Any = page.session._launcher
    launcher.answers["describe_sampling"] = [msgspec.structs.replace(MODEL, image_size=64, name="larger")]
    page.open_model(Path("/runs/larger"))
    qtbot.waitUntil(lambda: page.session.model is not None)
    assert page.branching.point is None
    assert "The branch is cancelled" in page.message.text()


def test_what_is_drawn_is_marked_in_the_history(make_page: MakePage, qtbot: QtBot) -> None:
    page = with_model(make_page(), qtbot)
    generate(page, qtbot)
    generate(page, qtbot)
    assert page.on_stage.name == page.history.entries()[0].name
    assert page.entries.list.paints.shown == page.on_stage.name


def test_loading_shows_what_it_waits_for(make_page: MakePage, qtbot: QtBot) -> None:
    gate = threading.Event()
    page = make_page(describe_sampling=[Progress(stage="Loading digits", done=0), gate, MODEL])
    assert not page.set_up.bar.generate.isEnabled()
    gate.set()
    qtbot.waitUntil(lambda: page.session.model is not None)
    assert page.set_up.request() is not None


def test_a_run_can_be_opened_from_elsewhere(make_page: MakePage, qtbot: QtBot, tmp_path: Path) -> None:
    page = with_model(make_page(), qtbot)
    page.open_model(tmp_path / "step-0000500")
    qtbot.waitUntil(lambda: page.session.model is not None)
    launcher: Any = page.session._launcher
    assert launcher.calls[-1] == ("describe_sampling", {"model": str(tmp_path / "step-0000500"), "weights": "ema"})


def test_requests_cross_the_border_as_plain_values(make_page: MakePage, qtbot: QtBot) -> None:
    page = with_model(make_page(), qtbot)
    generate(page, qtbot)
    launcher: Any = page.session._launcher
    name, params = launcher.calls[-1]
    assert name == "sample"
    assert msgspec.convert(msgspec.json.decode(msgspec.json.encode(params["request"])), SampleRequest).seed == 12
