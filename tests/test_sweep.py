"""The plan of a sweep: what is refused before anything runs, in which order cells are drawn, and where they stand."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dit_studio.checkpoint_header import DiffusionHeader, ModelHeader
from dit_studio.engine.solvers import samplers_for
from dit_studio.errors import ConfigError, DataError
from dit_studio.sample_request import SampleRequest
from dit_studio.sweep import (
    CellState,
    ModelLimits,
    SweepAxis,
    SweepPlan,
    SweepRecord,
    check_axes,
    open_sweep,
    plan_sweep,
)
from dit_studio.sweep_text import parse_axis
from tests.headers import write_header

LIMITS = ModelLimits(
    num_classes=3, class_names=("sea", "mountain", "7"), timesteps=1000, samplers=("ddim", "ddpm", "unipc"),
    has_null_class=True,
)  # fmt: skip
BASE = SampleRequest(classes=(0, 1), count=4, seed=5, cfg=2.0)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    for step in (500, 1000):
        write_header(tmp_path / "run" / "checkpoints" / f"step-{step:07d}")
    return tmp_path / "run"


def plan(*axes: str, run: Path | str = "model", limits: ModelLimits = LIMITS, base: SampleRequest = BASE) -> SweepPlan:
    return plan_sweep(base, model=str(run), weights="ema", axes=[parse_axis(axis) for axis in axes], limits=limits)


def sentences(*axes: SweepAxis | str, limits: ModelLimits = LIMITS, base: SampleRequest = BASE) -> list[str]:
    parsed = [axis if isinstance(axis, SweepAxis) else parse_axis(axis) for axis in axes]
    with pytest.raises(ConfigError) as raised:
        plan_sweep(base, model="model", weights="ema", axes=parsed, limits=limits)
    return [problem.message for problem in raised.value.problems]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("cfg=1,4, 7.5 ,12", ("1", "4", "7.5", "12")),
        ("steps=1-4", ("1", "2", "3", "4")),
        ("steps=10-50 (+20)", ("10", "30", "50")),
        ("seed=10-1 (-4)", ("10", "6", "2")),
        ("cfg=1-2 [5]", ("1", "1.25", "1.5", "1.75", "2")),
        ("steps=1-10 [4]", ("1", "4", "7", "10")),
        ("cfg=0.1-0.3 (+0.1),4", ("0.1", "0.2", "0.3", "4")),
        ("interval=100-700,all", ("100-700", "all")),
        ('class="sea, calm",mountain', ("sea, calm", "mountain")),
        ("checkpoint=step-0000500,1000", ("step-0000500", "1000")),
    ],
)
def test_axes_are_read_as_typed(text: str, values: tuple[str, ...]) -> None:
    assert parse_axis(text) == SweepAxis(name=text.partition("=")[0], values=values)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("cgf=1", "Did you mean cfg"),
        ("colour=1", "It takes cfg, steps"),
        ("cfg", "a setting and its values"),
        ("seed=5-1", "a range takes from 1 to"),
        ("seed=1-5 (+0)", "a range takes from 1 to"),
        ("seed=0-9999999999", "a range takes from 1 to"),
        ("seed=1-5 [99999]", "a range takes from 1 to"),
    ],
)
def test_axes_that_make_no_sense_are_named(text: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        parse_axis(text)


def test_the_first_axis_gives_columns_the_second_rows_the_third_pages() -> None:
    swept = plan("cfg=1,4,7", "steps=10,50", "class=sea,2,1")
    assert (swept.columns, swept.rows, swept.pages) == (3, 2, 3)
    assert len(swept.cells) == 18
    assert len({(cell.page, cell.row, cell.column) for cell in swept.cells}) == 18
    cell = next(cell for cell in swept.cells if (cell.page, cell.row, cell.column) == (1, 1, 2))
    assert cell.labels == ("CFG 7", "50 steps", "7")
    assert cell.request == msgspec.structs.replace(BASE, cfg=7.0, steps=50, classes=(2,))
    assert swept.heads(0) == ("CFG 1", "CFG 4", "CFG 7")
    assert swept.heads(1) == ("10 steps", "50 steps")
    assert swept.images == 72


def test_expensive_axes_are_the_outer_loops_wherever_they_stand(run: Path) -> None:
    swept = plan("cfg=1,4", "checkpoint=500,step-0001000", "weights=ema,raw", run=run)
    drawn = [(Path(cell.model).name, cell.weights, cell.request.cfg) for cell in swept.cells]
    assert drawn == [
        (f"step-{step:07d}", weights, cfg) for step in (500, 1000) for weights in ("ema", "raw") for cfg in (1.0, 4.0)
    ]
    assert [cell.index for cell in swept.cells] == list(range(8))
    assert swept.heads(1) == ("step 500", "step 1,000")


def test_every_kind_of_axis_lays_its_values_over_the_request() -> None:
    cells = plan("interval=100-700,all", "sampler=ddpm,unipc", "class=mountain,2").cells
    first = next(cell for cell in cells if (cell.page, cell.row, cell.column) == (0, 0, 0))
    assert first.request == msgspec.structs.replace(BASE, cfg_from=100, cfg_to=700, sampler="ddpm", classes=(1,))
    assert first.labels == ("guided at t 100–700", "ddpm", "mountain")
    last = next(cell for cell in cells if (cell.page, cell.row, cell.column) == (1, 1, 1))
    assert last.request == msgspec.structs.replace(BASE, sampler="unipc", classes=(2,))
    assert plan("seed=3,9").cells[1].request.seed == 9


def test_all_that_is_wrong_is_said_at_once() -> None:
    assert len(sentences("cfg=-1,nan,4,200", "steps=0,2000", "class=9,see")) == 7


@pytest.mark.parametrize(
    ("axes", "sentence"),
    [
        ([], "one to 3 settings, not 0"),
        (["cfg=1", "steps=1", "seed=1", "class=0"], "one to 3 settings, not 4"),
        (["cfg=1", "cfg=2"], "cfg is swept twice"),
        (["cfg=1,2,1"], "cfg = 1 is there twice"),
        (["cfg=1,1.0"], "cfg = 1.0 is there twice: it is the same as 1"),
        (["class=0,sea"], "class = sea is there twice"),
        (["interval=0-9,00-09"], "is there twice"),
        (["cfg="], "has no values. Give it some, like 1,4,7, or leave it out."),
        ([SweepAxis(name="seeds", values=("1",))], "Did you mean seed"),
        (["seed=1-2000", "cfg=1,2"], "4,000 cells: it takes at most 2,000"),
        (["cfg=101"], "from 0 to 100"),
        (["steps=1001"], "from 1 to 1000"),
        (["steps=ten"], "a whole number"),
        (["sampler=euler"], "one of ddim, ddpm, unipc"),
        (["class=7"], "from 0 to 2"),
        (["class=see"], "or sea"),
        (["class=3"], "from 0 to 2"),
        (["checkpoint=700"], "a checkpoint of the run"),
        (["checkpoint=/etc"], "a checkpoint of the run"),
        (["checkpoint=/etc/passwd"], "a checkpoint of the run"),
        (["checkpoint=../.."], "a checkpoint of the run"),
        (["checkpoint=" + "9" * 5000], "a checkpoint of the run"),
        (["checkpoint=" + "x" * 5000], "a checkpoint of the run"),
        (["weights=mean"], "ema or raw"),
        (["interval=700-100"], "like 100-700"),
        (["interval=0-1000"], "from 0 to 999"),
        (["interval=x"], "like 100-700"),
        (["seed=-1"], "from 0"),
        (["class=" + "9" * 5000], "from 0 to 2"),
    ],
)  # fmt: skip
def test_values_that_cannot_be_are_named_with_their_limit(axes: list[str | SweepAxis], sentence: str) -> None:
    assert any(sentence in found for found in sentences(*axes))


def test_a_class_that_is_called_by_a_number_is_no_hint() -> None:
    limits = limits_of(("0", "1", "9"))
    assert sentences("class=19", limits=limits)[0].endswith("it takes a class from 0 to 2.")


def limits_of(names: tuple[str, ...]) -> ModelLimits:
    return ModelLimits(
        num_classes=len(names), class_names=names, timesteps=1000, samplers=("ddim",), has_null_class=True
    )


@pytest.mark.parametrize(
    ("header", "sentence"),
    [
        ({"classes": 1}, "it has 0, its only class, and class 1 is to be drawn"),
        ({"timesteps": 20}, "its noise schedule has 20 steps, and 50 are asked for"),
        ({"dropout": 0.0}, "it was trained without a null class, so it draws with CFG 1 only, not 2"),
        ({"objective": "flow"}, "it predicts flow, and takes one of flow-euler"),
    ],
)
def test_each_checkpoint_is_asked_whether_it_can_draw_the_cells(
    run: Path, header: dict[str, Any], sentence: str
) -> None:
    other = write_header(run.parent / "other" / "checkpoints" / "step-0000007", **header)
    with pytest.raises(ConfigError) as raised:
        plan(f"checkpoint=500,{other}", run=run)
    (problem,) = raised.value.problems
    assert problem.field == "sweep.checkpoint"
    assert f"checkpoint = {other} is not possible: {sentence}" in problem.message
    fitting = msgspec.structs.replace(BASE, classes=(0,), steps=10, cfg=1.0)
    if "objective" not in header:
        assert len(plan(f"checkpoint=500,{other}", run=run, base=fitting).cells) == 2


@pytest.mark.parametrize("content", [b"", b"nothing like it", b"\xff" * 64, b"\x02" + bytes(7) + b"{}", bytes(8)])
def test_a_damaged_checkpoint_is_refused_before_anything_runs(run: Path, content: bytes) -> None:
    (run / "checkpoints" / "step-0001000" / "ema.safetensors").write_bytes(content)
    with pytest.raises(ConfigError, match="checkpoint = 1000 is not possible"):
        plan("checkpoint=500,1000", run=run)
    (run / "checkpoints" / "step-0001000" / "ema.safetensors").unlink()
    with pytest.raises(ConfigError, match=r"ema\.safetensors cannot be read"):
        plan("checkpoint=500,1000", run=run)
    with pytest.raises(ConfigError, match=r"ema\.safetensors cannot be read"):
        plan("weights=raw,ema", "checkpoint=500,1000", run=run)


def test_the_samplers_of_a_header_are_those_of_the_engine() -> None:
    for objective in ("epsilon", "x0", "v", "flow"):
        header = ModelHeader(
            num_classes=1, class_dropout_prob=0, diffusion=DiffusionHeader(objective=objective, timesteps=1)
        )
        assert header.samplers == samplers_for(objective)


@pytest.mark.parametrize("axis", ["cfg=", "cfg=1,1", "cfg=1,1.0", "cfg=-1", "steps=4001", "seed=x", "checkpoint=/etc"])
def test_what_needs_no_model_is_said_before_one_is_loaded(axis: str) -> None:
    with pytest.raises(ConfigError) as raised:
        check_axes([parse_axis(axis)], model="nowhere")
    assert len(raised.value.problems) == 1
    check_axes([parse_axis("class=9"), parse_axis("sampler=x"), parse_axis("cfg=1,4")], model="nowhere")


def test_what_is_the_same_in_every_cell_is_checked_too() -> None:
    base = msgspec.structs.replace(BASE, steps=3000, sampler="heun", classes=(8,))
    assert len(sentences("cfg=1,2", base=base)) == 3
    assert len(sentences("steps=10", base=base)) == 2


def test_a_model_without_a_null_class_has_no_guidance_to_sweep() -> None:
    limits = ModelLimits(num_classes=3, class_names=(), timesteps=1000, samplers=("ddim",), has_null_class=False)
    base = msgspec.structs.replace(BASE, cfg=1.0)
    assert "without a null class" in sentences("cfg=1,4", limits=limits, base=base)[0]
    assert "without a null class" in sentences("interval=0-100", limits=limits, base=base)[0]
    assert plan("class=0,2", limits=limits, base=base).heads(0) == ("class 0", "class 2")


def test_the_record_of_a_sweep_comes_back_whole(tmp_path: Path) -> None:
    swept = plan("cfg=1,4")
    record = SweepRecord(plan=swept, states=(CellState(state="drawn", images=4), CellState(state="failed")))
    (tmp_path / "sweep.json").write_bytes(msgspec.json.encode(record))
    assert open_sweep(tmp_path) == record


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b'{"plan": 3}', b'{"plan":{"axes":[],"cells":[],"columns":1,"rows":1,"pages":1},"states":[{}]}'],
)
def test_a_damaged_record_is_a_sentence(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "sweep.json").write_bytes(data)
    with pytest.raises(DataError, match="is damaged"):
        open_sweep(tmp_path)
    with pytest.raises(DataError, match="is not a sweep"):
        open_sweep(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "change",
    [
        {"plan.columns": 3},
        {"plan.rows": 0},
        {"plan.pages": 2},
        {"plan.axes": []},
        {"plan.axes.0.values": []},
        {"plan.axes.0.values": ["1"]},
        {"plan.axes.0.name": "colour"},
        {"plan.cells.0.labels": []},
        {"plan.cells.0.labels": ["a", "b"]},
        {"plan.cells.1.index": 7},
        {"plan.cells.1.index": -1},
        {"plan.cells.1.column": 2},
        {"plan.cells.1.column": -1},
        {"plan.cells.1.column": 0},
        {"plan.cells.1.row": 1},
        {"plan.cells.1.page": 1},
        {"plan.cells.1.request.classes": []},
        {"plan.cells.1.request.classes": [-4]},
        {"plan.cells": []},
        {"states": []},
        {"states.0.images": 10**9},
        {"states.0.images": -1},
        {"states.0.seconds": 1e300},
        {"states.0.seconds": -1.0},
    ],
    ids=str,
)
def test_a_record_whose_parts_do_not_fit_is_damaged(tmp_path: Path, change: dict[str, Any]) -> None:
    swept = plan("cfg=1,4")
    record = SweepRecord(plan=swept, states=(CellState(state="drawn", images=4), CellState(state="failed")))
    values = json.loads(msgspec.json.encode(record))
    ((path, value),) = change.items()
    *parents, last = path.split(".")
    part = values
    for name in parents:
        part = part[int(name) if name.isdecimal() else name]
    part[last] = value
    (tmp_path / "sweep.json").write_text(json.dumps(values))
    with pytest.raises(DataError, match="is damaged"):
        open_sweep(tmp_path)
