"""Sweeps drawn by a tiny model: every cell on the disk, failures marked, stops and second tries."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from PIL import Image

from dit_studio.engine import sweep_job
from dit_studio.engine.checkpoint import ModelDescription, write_weights
from dit_studio.engine.draw_npz import draw_npz
from dit_studio.engine.sweep_job import draw_sweep
from dit_studio.errors import CheckpointError, RunError
from dit_studio.events import CellDrawn, CellFailed, CellStarted, Event, Progress, SettingsRefused, Written
from dit_studio.image_settings import read_settings
from dit_studio.locks import is_locked
from dit_studio.model_settings import DiffusionConfig
from dit_studio.npz_count import images_in
from dit_studio.sample_request import SampleRequest
from dit_studio.sweep import LOCK, open_sweep
from dit_studio.sweep_text import parse_axis
from tests.headers import write_header

REQUEST = {"classes": [0, 2], "count": 3, "steps": 3, "seed": 7}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run with two checkpoints of random weights."""
    description = ModelDescription(
        input_size=8, patch_size=4, in_channels=3, hidden_size=32, depth=1, num_heads=2, mlp_ratio=4.0,
        class_dropout_prob=0.1, num_classes=3, learn_sigma=False, diffusion=DiffusionConfig(),
        class_names=("sea", "hill", "sky"), weights="ema",
    )  # fmt: skip
    for step in (10, 20):
        torch.manual_seed(step)
        model = description.build()
        for parameter in model.parameters():
            if parameter.requires_grad:
                torch.nn.init.normal_(parameter, std=0.2)
        folder = tmp_path / "run" / "checkpoints" / f"step-{step:07d}"
        folder.mkdir(parents=True)
        (folder / "state.json").write_text(json.dumps({"step": step}))
        for weights, file in (("ema", "ema"), ("raw", "model")):
            described = msgspec.structs.replace(description, step=step, weights=weights)
            write_weights(folder / f"{file}.safetensors", model, described)
    return tmp_path / "run"


def sweep(run: Path, folder: Path, *axes: str, **more: Any) -> list[Event]:
    request = {**REQUEST, **more}
    parsed = [msgspec.to_builtins(parse_axis(axis)) for axis in axes]
    return list(draw_sweep(str(run), "ema", request, parsed, str(folder)))


def of_kind(events: list[Event], kind: type[Event]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


def test_every_cell_is_a_data_set_with_its_settings_inside(run: Path, tmp_path: Path) -> None:
    events = sweep(run, tmp_path / "sweep", "cfg=1,4", "steps=2,5")
    record = open_sweep(tmp_path / "sweep")
    assert [state.state for state in record.states] == ["drawn"] * 4
    for cell, drawn in zip(record.plan.cells, of_kind(events, CellDrawn), strict=True):
        folder = tmp_path / "sweep" / cell.folder
        with (folder / "labels.csv").open() as file:
            assert list(csv.reader(file)) == [
                ["file", "label"], ["000000.png", "sea"], ["000001.png", "sky"], ["000002.png", "sea"],
            ]  # fmt: skip
        found = read_settings(folder / "000001.png")
        assert (found.settings["cfg"], found.settings["steps"]) == (cell.request.cfg, cell.request.steps)
        with Image.open(folder / "000001.png") as picture:
            shape = (drawn.images, drawn.height, drawn.width, drawn.channels)
            pixels = np.frombuffer(drawn.data, np.uint8).reshape(shape)
            np.testing.assert_array_equal(np.asarray(picture), pixels[1])
        assert (drawn.index, drawn.folder, drawn.images) == (cell.index, str(folder), 3)
    assert [event.index for event in of_kind(events, CellStarted)] == [0, 1, 2, 3]
    with Image.open(tmp_path / "sweep" / "sweep.png") as picture:
        assert min(picture.size) > 224
    assert of_kind(events, Written)[-1].file == str(tmp_path / "sweep" / "sweep.png")


def test_a_cell_is_what_its_settings_draw_alone(run: Path, tmp_path: Path) -> None:
    sweep(run, tmp_path / "sweep", "seed=7,9", "class=sky,hill")
    record = open_sweep(tmp_path / "sweep")
    cell = next(cell for cell in record.plan.cells if cell.labels == ("seed 9", "hill"))
    sweep(run, tmp_path / "alone", "cfg=1", seed=9, classes=[1])
    whole = [tmp_path / "sweep" / cell.folder / "000002.png", tmp_path / "alone" / "cells" / "000" / "000002.png"]
    with Image.open(whole[0]) as one, Image.open(whole[1]) as other:
        assert np.abs(np.asarray(one).astype(int) - np.asarray(other)).max() <= 1


def test_a_model_is_loaded_once_for_all_its_cells(run: Path, tmp_path: Path) -> None:
    events = sweep(run, tmp_path / "sweep", "cfg=1,2,3", "checkpoint=10,20", "weights=ema,raw")
    loads = [event for event in of_kind(events, Progress) if event.stage == "Loading the model"]
    assert len(of_kind(events, CellDrawn)) == 12
    assert len(loads) == 4 + 1  # the newest is loaded for the checks
    assert (tmp_path / "sweep" / "sweep-2.png").exists()


def test_nothing_is_drawn_if_any_value_cannot_be(run: Path, tmp_path: Path) -> None:
    (refused,) = of_kind(sweep(run, tmp_path / "sweep", "cfg=1,-4", "steps=5,5000"), SettingsRefused)
    assert [field for field, _ in refused.problems] == ["sweep.cfg", "sweep.steps"]
    assert "from 1 to 1000" in refused.problems[1][1]
    (refused,) = of_kind(sweep(run, tmp_path / "sweep", "cfg=1,4", eta=0.5, sampler="ddpm"), SettingsRefused)
    assert [field for field, _ in refused.problems] == ["request.eta"]
    assert not (tmp_path / "sweep").exists()


def test_a_checkpoint_that_goes_away_fails_its_cells_alone(run: Path, tmp_path: Path) -> None:
    axes = [msgspec.to_builtins(parse_axis(axis)) for axis in ("cfg=1,4", "checkpoint=10,20")]
    events = []
    for event in draw_sweep(str(run), "ema", REQUEST, axes, str(tmp_path / "sweep")):
        events.append(event)
        if isinstance(event, CellDrawn) and event.index == 1:
            shutil.rmtree(run / "checkpoints" / "step-0000020")
    failed = of_kind(events, CellFailed)
    assert [event.index for event in failed] == [2, 3]
    assert "step-0000020" in failed[0].message
    states = open_sweep(tmp_path / "sweep").states
    assert [state.state for state in states] == ["drawn", "drawn", "failed", "failed"]
    assert "step-0000020" in states[2].message
    assert not (tmp_path / "sweep" / "cells" / "002").exists()
    assert (tmp_path / "sweep" / "sweep.png").exists()


def test_a_sweep_that_was_stopped_goes_on_where_it_was(run: Path, tmp_path: Path) -> None:
    axes = [msgspec.to_builtins(parse_axis("cfg=1,2,3,4"))]
    events = draw_sweep(str(run), "ema", REQUEST, axes, str(tmp_path / "sweep"))
    for event in events:
        if isinstance(event, Progress) and (tmp_path / "sweep" / "cells" / "001").exists():
            break
    events.close()
    assert [state.state for state in open_sweep(tmp_path / "sweep").states] == ["drawn", "drawn", "waiting", "waiting"]
    assert sorted(path.name for path in (tmp_path / "sweep" / "cells").iterdir()) == ["000", "001"]
    before = (tmp_path / "sweep" / "cells" / "000" / "000000.png").stat().st_mtime_ns
    shutil.rmtree(tmp_path / "sweep" / "cells" / "001")  # one that somebody deleted is drawn again
    again = sweep(run, tmp_path / "sweep", "cfg=1,2,3,4")
    assert [event.index for event in of_kind(again, CellDrawn)] == [0, 1, 2, 3]
    assert (tmp_path / "sweep" / "cells" / "000" / "000000.png").stat().st_mtime_ns == before
    assert {state.state for state in open_sweep(tmp_path / "sweep").states} == {"drawn"}


def test_another_sweeps_folder_is_left_alone(run: Path, tmp_path: Path) -> None:
    sweep(run, tmp_path / "sweep", "cfg=1,2")
    with pytest.raises(RunError, match="holds another sweep"):
        sweep(run, tmp_path / "sweep", "cfg=1,3")
    with pytest.raises(RunError, match="cannot be written"):
        sweep(run, run / "checkpoints" / "step-0000010" / "state.json", "cfg=1,3")


@pytest.mark.parametrize("error", [RuntimeError("CUDA error: an illegal\nmemory access"), ValueError(), OSError("x")])
def test_whatever_a_cell_fails_with_the_rest_goes_on(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    original = sweep_job.save_samples

    def failing(warm: Any, request: SampleRequest, folder: Path) -> Any:
        if request.cfg == 2:
            raise error
        return original(warm, request, folder)

    monkeypatch.setattr(sweep_job, "save_samples", failing)
    events = sweep(run, tmp_path / "sweep", "cfg=1,2,3")
    (failed,) = of_kind(events, CellFailed)
    assert type(error).__name__ in failed.message or isinstance(error, OSError)
    assert "\n" not in failed.message
    record = open_sweep(tmp_path / "sweep")
    assert [state.state for state in record.states] == ["drawn", "failed", "drawn"]
    assert record.states[1].message.startswith(failed.message)
    assert record.state == "finished"
    assert of_kind(events, Written)
    monkeypatch.undo()
    again = sweep(run, tmp_path / "sweep", "cfg=1,2,3")
    assert not of_kind(again, CellFailed)


@pytest.mark.parametrize("error", [MemoryError, KeyboardInterrupt])
def test_what_is_no_cells_fault_ends_the_sweep(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    def failing(*_: object) -> Any:
        raise error

    monkeypatch.setattr(sweep_job, "save_samples", failing)
    with pytest.raises(error):
        sweep(run, tmp_path / "sweep", "cfg=1,2")
    assert open_sweep(tmp_path / "sweep").state == "stopped"


@pytest.mark.parametrize("damage", ["missing", "cut", "no picture", "labels"])
def test_a_cell_with_a_damaged_picture_is_drawn_again(run: Path, tmp_path: Path, damage: str) -> None:
    sweep(run, tmp_path / "sweep", "cfg=1,2")
    cells = tmp_path / "sweep" / "cells"
    file, whole = cells / "000" / "000001.png", (cells / "000" / "000001.png").read_bytes()
    kept = (cells / "001" / "000000.png").stat().st_mtime_ns
    match damage:
        case "missing":
            file.unlink()
        case "cut":
            file.write_bytes(whole[: len(whole) - 40])
        case "no picture":
            file.write_bytes(b"x")
        case "labels":
            (cells / "000" / "labels.csv").unlink()
    events = sweep(run, tmp_path / "sweep", "cfg=1,2")
    assert [event.index for event in of_kind(events, CellDrawn)] == [0, 1]
    assert (cells / "000" / "labels.csv").exists()
    with Image.open(file) as picture:
        picture.load()
    assert (cells / "001" / "000000.png").stat().st_mtime_ns == kept


def test_a_sweep_says_how_it_stands_and_is_locked_meanwhile(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "sweep"
    events = draw_sweep(str(run), "ema", REQUEST, [msgspec.to_builtins(parse_axis("cfg=1,2"))], str(folder))
    next(event for event in events if isinstance(event, CellStarted))
    assert open_sweep(folder).state == "drawing"
    assert is_locked(folder / LOCK)
    with pytest.raises(RunError, match="is being drawn already"):
        sweep(run, folder, "cfg=1,2")
    events.close()
    assert open_sweep(folder).state == "stopped"
    assert not is_locked(folder / LOCK)
    (folder / "cells" / ".000.77.tmp").mkdir()  # as a killed process leaves it
    sweep(run, folder, "cfg=1,2")
    assert open_sweep(folder).state == "finished"
    assert sorted(path.name for path in (folder / "cells").iterdir()) == ["000", "001"]


def test_a_checkpoint_of_another_model_is_refused_before_anything_is_drawn(run: Path, tmp_path: Path) -> None:
    other = write_header(tmp_path / "other" / "checkpoints" / "step-0000003", classes=2)
    (refused,) = of_kind(sweep(run, tmp_path / "sweep", f"checkpoint=10,{other}"), SettingsRefused)
    assert refused.problems[0][0] == "sweep.checkpoint"
    assert "class 2 is to be drawn" in refused.problems[0][1]
    assert not (tmp_path / "sweep").exists()


# ------------------------------------------------------------------------------------------------- straight to an NPZ


def test_images_go_straight_into_an_npz(run: Path, tmp_path: Path) -> None:
    request = {**REQUEST, "count": 10, "batch_size": 4}
    events = list(draw_npz(str(run), "ema", request, str(tmp_path / "new" / "a.npz")))
    (written,) = of_kind(events, Written)
    assert (written.images, written.size_bytes) == (10, (tmp_path / "new" / "a.npz").stat().st_size)
    sweep(run, tmp_path / "sweep", "cfg=1", count=10)
    with np.load(tmp_path / "new" / "a.npz") as found:
        assert found["arr_0"].shape == (10, 8, 8, 3)
        assert found["arr_1"].tolist() == [0, 2] * 5
        for k in (0, 3, 9):
            with Image.open(tmp_path / "sweep" / "cells" / "000" / f"{k:06d}.png") as picture:
                assert np.abs(np.asarray(picture).astype(int) - found["arr_0"][k]).max() <= 1


def test_an_npz_that_is_stopped_keeps_its_batches(run: Path, tmp_path: Path) -> None:
    events = draw_npz(str(run), "ema", {**REQUEST, "count": 100, "batch_size": 4}, str(tmp_path / "a.npz"))
    for event in events:
        if isinstance(event, Progress) and event.done > 8 and event.stage == "Sampling":
            break
    events.close()
    with np.load(tmp_path / "a.npz") as found:
        assert found["arr_0"].shape == (8, 8, 8, 3)
        assert len(found["arr_1"]) == 8


def test_stopping_an_npz_leaves_the_one_that_was_there(run: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    list(draw_npz(str(run), "ema", {**REQUEST, "count": 30}, str(path)))
    before = path.read_bytes()
    events = draw_npz(str(run), "ema", {**REQUEST, "count": 100, "batch_size": 4}, str(path))
    for event in events:
        if isinstance(event, Progress) and event.done > 8 and event.stage == "Sampling":
            break
    events.close()
    assert path.read_bytes() == before
    assert images_in(tmp_path / "a.partial.npz") == 8


def test_an_npz_is_refused_in_sentences(run: Path, tmp_path: Path) -> None:
    (refused,) = list(draw_npz(str(run), "ema", REQUEST, str(tmp_path / "a.png")))
    assert isinstance(refused, SettingsRefused)
    assert "end in .npz" in refused.problems[0][1]
    (refused,) = of_kind(list(draw_npz(str(run), "ema", {"classes": [9]}, str(tmp_path / "a.npz"))), SettingsRefused)
    assert "0 to 2" in refused.problems[0][1]
    (tmp_path / "b.npz").mkdir()
    (refused,) = list(draw_npz("/nowhere", "ema", REQUEST, str(tmp_path / "b.npz")))
    assert isinstance(refused, SettingsRefused)
    assert "b.npz is a folder" in refused.problems[0][1]
    with pytest.raises(CheckpointError):
        list(draw_npz(str(tmp_path), "ema", REQUEST, str(tmp_path / "a.npz")))
    assert not (tmp_path / "a.npz").exists()
