"""A model trained in latents, from recipe to images: resumed bit for bit, sampled, branched, swept, measured."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from dit_studio.config import Recipe, parse_recipe
from dit_studio.engine.checkpoint import check_recipe_of_checkpoint, read_description, weights_file
from dit_studio.engine.draw_npz import draw_npz
from dit_studio.engine.evaluation.describe import describe_source
from dit_studio.engine.evaluation.evaluate import evaluate
from dit_studio.engine.export.job import export
from dit_studio.engine.latents import reconstruct
from dit_studio.engine.model_cost import describe_model
from dit_studio.engine.plan import preflight
from dit_studio.engine.sample_job import describe, draw
from dit_studio.engine.sweep_job import draw_sweep
from dit_studio.engine.training import train
from dit_studio.errors import CheckpointError, ConfigError, RunError
from dit_studio.evaluation_request import EvaluationRequest
from dit_studio.events import (
    CellDrawn,
    CheckStatus,
    Command,
    EvaluationDone,
    Event,
    JobState,
    Measured,
    ModelSummary,
    Notice,
    Preflight,
    PreviewSaved,
    Progress,
    SampleFrame,
    SampleModel,
    SamplesDrawn,
    SamplingStarted,
    StateChanged,
    Validation,
)
from dit_studio.events import Metrics as StepMetrics
from dit_studio.jobs.run_folder import RunFolder
from dit_studio.model_events import Reconstruction
from dit_studio.places import samples_dir
from dit_studio.trajectory import open_trajectory
from tests.engine.digits import write_digits
from tests.engine.tiny_vaes import write_tiny_vae

_STEPS = 8


def _tables(place: Path, **changes: dict[str, Any]) -> dict[str, Any]:
    if not (place / "vae").exists():
        write_tiny_vae(place / "vae", factor=2)
        write_digits(place / "digits", first=0, count=40)
    tables: dict[str, dict[str, Any]] = {
        "data": {"path": str(place / "digits"), "image_size": 8},
        "model": {"hidden_size": 32, "depth": 1, "num_heads": 2, "patch_size": 2},
        "latents": {"vae": str(place / "vae"), "scale": 1.0},
        "train": {
            "steps": _STEPS, "batch_size": 8, "preview_every": 4, "checkpoint_every": 4, "validate_every": 4,
            "keep_checkpoints": 0, "warmup_steps": 1, "precision": "fp32",
        },
        "sample": {"steps": 3},
    }  # fmt: skip
    for section, values in changes.items():
        tables.setdefault(section, {}).update(values)
    return tables


def _train(run: Path, tables: dict[str, Any], *, stop_after: int = 0, resume: bool = False) -> list[Event]:
    """The events of a run; `stop_after` so many steps it is stopped."""
    if not run.exists():
        RunFolder.create(run, parse_recipe(tables))
    steps = [0]

    def next_command(_: bool) -> Command | None:
        return Command.STOP if stop_after and steps[0] >= stop_after else None

    events = []
    for event in train(recipe=tables, folder=str(run), next_command=next_command, resume=resume):
        steps[0] += isinstance(event, StepMetrics)
        events.append(event)
    return events


@pytest.fixture
def run(tmp_path: Path) -> Path:
    _train(tmp_path / "run", _tables(tmp_path))
    return tmp_path / "run"


def test_a_resumed_run_is_bit_for_bit_the_one_that_was_not_stopped(tmp_path: Path) -> None:
    tables = _tables(tmp_path)
    whole = _train(tmp_path / "whole", tables)
    first = _train(tmp_path / "parts", tables, stop_after=3)
    second = _train(tmp_path / "parts", tables, resume=True)

    assert _losses(whole) == _losses(first) + _losses(second)
    assert len(set(_losses(whole))) == _STEPS
    assert [event.loss for event in whole if isinstance(event, Validation)] == [
        event.loss for event in [*first, *second] if isinstance(event, Validation)
    ]
    for name in ("model", "ema"):
        one, other = (
            load_file(tmp_path / place / "checkpoints" / f"step-{_STEPS:07d}" / f"{name}.safetensors")
            for place in ("whole", "parts")
        )
        assert all(torch.equal(one[key], other[key]) for key in one)


def _losses(events: list[Event]) -> list[float | None]:
    return [event.loss for event in events if isinstance(event, StepMetrics)]


def test_the_checkpoint_carries_the_latents_and_previews_are_images(tmp_path: Path) -> None:
    events = _train(tmp_path / "run", _tables(tmp_path))

    found = read_description(weights_file(tmp_path / "run", "ema"))
    assert (found.input_size, found.in_channels, found.image_size) == (4, 4, 8)
    assert found.latents is not None
    assert (found.latents.vae, found.latents.scale, found.latents.factor) == (str(tmp_path / "vae"), 1.0, 2)
    preview = next(event for event in events if isinstance(event, PreviewSaved))
    assert preview.cell_size == 8
    with Image.open(tmp_path / "run" / preview.file) as picture:
        assert picture.size == (8 * preview.columns, 8 * preview.rows)


def test_going_on_takes_the_same_latents(tmp_path: Path, run: Path) -> None:
    checkpoint = run / "checkpoints" / f"step-{_STEPS:07d}"
    check_recipe_of_checkpoint(_recipe(_tables(tmp_path)), checkpoint)
    with pytest.raises(RunError, match=r"was trained in the latents of .* and the recipe says in pixels"):
        check_recipe_of_checkpoint(_recipe(_tables(tmp_path, latents={"vae": ""})), checkpoint)
    other_scale = _tables(tmp_path, latents={"scale": 2.0}, train={"steps": 9})
    with pytest.raises(RunError, match=r"latents.scale = 1.0, and the recipe says 2.0"):
        _train(run, other_scale, resume=True)
    write_tiny_vae(tmp_path / "other", factor=2, seed=1)
    with pytest.raises(RunError, match="was trained with another VAE"):
        _train(run, _tables(tmp_path, latents={"vae": str(tmp_path / "other")}, train={"steps": 9}), resume=True)
    (tmp_path / "vae").rename(tmp_path / "moved")
    moved = _tables(tmp_path, latents={"vae": str(tmp_path / "moved")}, train={"steps": 9})
    assert len(_losses(_train(run, moved, resume=True))) == 1


def _recipe(tables: dict[str, Any]) -> Recipe:
    return parse_recipe(tables)


def test_metrics_while_training_are_of_decoded_images(tmp_path: Path) -> None:
    tables = _tables(tmp_path, evaluate={"every": 8, "count": 16, "batch_size": 8})

    events = _train(tmp_path / "run", tables)

    assert {event.metric for event in events if isinstance(event, Measured)} == {"fid", "kid"}


# ------------------------------------------------------------------------------------------------- sampling from it


def _drawn(run: Path, name: str, request: dict[str, Any], **options: Any) -> list[Any]:
    folder = samples_dir() / name
    folder.mkdir(parents=True)
    return list(draw(str(run), "ema", request, str(folder), **options))


def test_describing_it_gives_pixels_and_latents(run: Path) -> None:
    model = next(event for event in describe(str(run), "ema") if isinstance(event, SampleModel))
    assert (model.image_size, model.latent_size, model.channels, model.patch_size) == (8, 4, 4, 2)
    assert (model.depth, model.num_heads, model.dialect) == (1, 2, "facebook")


def test_frames_are_latents_in_colour_and_images_are_pixels(run: Path) -> None:
    events = _drawn(run, "one", {"steps": 3, "count": 2, "cfg": 2.0})

    started = next(event for event in events if isinstance(event, SamplingStarted))
    assert (started.height, started.width, started.plane_height, started.plane_width) == (8, 8, 4, 4)
    frames = [event for event in events if isinstance(event, SampleFrame)]
    assert {len(frame.data) for frame in frames} == {len(started.planes) * 2 * 4 * 4 * 3}
    (samples,) = [event for event in events if isinstance(event, SamplesDrawn)]
    assert len(samples.data) == 2 * 8 * 8 * 3
    trajectory = open_trajectory(samples_dir() / "one")
    assert trajectory is not None
    assert trajectory.arrays["x_t"].shape == (3, 2, 4, 4, 4)
    kept = [trajectory.pixels(plane, image, 2) for plane in started.planes for image in range(2)]
    assert b"".join(pixels.tobytes() for pixels in kept) == frames[1].data
    with Image.open(samples_dir() / "one" / "000001.png") as picture:
        assert np.asarray(picture).tobytes() == samples.data[8 * 8 * 3 :]


def test_a_branch_draws_the_same_end_again(run: Path) -> None:
    request = {"steps": 4, "count": 2, "cfg": 2.0, "seed": 3}
    (whole,) = [event for event in _drawn(run, "parent", request) if isinstance(event, SamplesDrawn)]
    branch = {"entry": "parent", "image": 1, "step": 3}
    events = _drawn(run, "child", request | {"count": 1, "seed": 4}, branch=branch)

    (again,) = [event for event in events if isinstance(event, SamplesDrawn)]
    one, other = (np.frombuffer(event.data, np.uint8)[-192:].astype(int) for event in (whole, again))
    assert np.abs(one - other).max() <= 1


@pytest.mark.parametrize("kind", ["sheet", "contact", "gif", "grid", "npz"])
def test_exports_are_as_large_as_the_images(tmp_path: Path, run: Path, kind: str) -> None:
    _drawn(run, "one", {"steps": 3, "count": 2})
    file = tmp_path / f"out.{'gif' if kind == 'gif' else 'npz' if kind == 'npz' else 'png'}"
    options = {"entry": str(samples_dir() / "one")} | ({"plane": "both", "scale": 1} if kind == "gif" else {})
    options |= {"image": 1} if kind == "contact" else {}

    list(export(kind, str(file), options))

    if kind == "npz":
        assert np.load(file)["arr_0"].shape == (2, 8, 8, 3)
    elif kind == "gif":
        with Image.open(file) as film:
            assert film.size == (2 * 8, 2 * 8)
    else:
        with Image.open(file) as picture:
            assert min(picture.size) >= 8


def test_a_sweep_and_an_npz_are_of_images(tmp_path: Path, run: Path) -> None:
    axes = [{"name": "cfg", "values": ["1", "3"]}]
    cells = [
        event
        for event in draw_sweep(str(run), "ema", {"steps": 2, "count": 2}, axes, str(tmp_path / "sweep"))
        if isinstance(event, CellDrawn)
    ]
    assert [(cell.images, cell.height, cell.width) for cell in cells] == [(2, 8, 8), (2, 8, 8)]
    list(draw_npz(str(run), "ema", {"steps": 2, "count": 3}, str(tmp_path / "out.npz")))
    assert np.load(tmp_path / "out.npz")["arr_0"].shape == (3, 8, 8, 3)


def test_a_model_in_latents_is_measured(tmp_path: Path, run: Path) -> None:
    request = EvaluationRequest(
        real=str(tmp_path / "digits"), fake=str(run), metrics=("fid",), extractor="random", count=16
    )
    done: list[Any] = list(evaluate(msgspec.to_builtins(request), str(tmp_path / "out.json")))
    (result,) = [event.result for event in done if isinstance(event, EvaluationDone)]
    assert "FD-random-16" in result
    assert f"decoded by {tmp_path.name}/vae" in result


# ------------------------------------------------------------------------------------------------- before training


def _checks(tables: dict[str, Any], out: Path) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for event in preflight(tables, str(out)):
        for check in event.checks if isinstance(event, Preflight) else ():
            found.setdefault(check.name, []).append(check)
    return found


def test_preflight_says_what_latents_take(tmp_path: Path) -> None:
    checks = _checks(_tables(tmp_path), tmp_path / "run")
    assert "images become 4 × 4 latents of 4 channels" in checks["VAE"][0].message
    assert checks["VAE"][1].status is CheckStatus.WARNING
    assert "4 × 4 latents hold little of an image of 8 pixels" in checks["VAE"][1].message
    assert checks["Latents"][0].message.startswith("0 MB needed for the latents, each with its mirror image")
    assert checks["Memory"]
    assert checks["Time"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"latents": {"vae": "/nowhere"}}, "There is no VAE at /nowhere"),
        ({"data": {"image_size": 9}}, "makes one latent of 2 × 2 pixels"),
        ({"data": {"image_size": 10}}, "it does not divide an image of 5 latents"),
    ],
)
def test_preflight_fails_where_the_vae_does_not_fit(
    tmp_path: Path, changes: dict[str, dict[str, Any]], words: str
) -> None:
    checks = _checks(_tables(tmp_path, **changes), tmp_path / "run")
    assert [check.status for check in checks["VAE"]] == [CheckStatus.FAILED]
    assert words in checks["VAE"][0].message


def test_the_cost_is_of_the_model_in_latents(tmp_path: Path) -> None:
    (latents,) = _summaries(_tables(tmp_path, data={"image_size": 16}))
    (pixels,) = _summaries(_tables(tmp_path, latents={"vae": ""}))
    assert latents.tokens == pixels.tokens == 16
    assert latents.parameters != pixels.parameters  # four channels, not three


def _summaries(tables: dict[str, Any]) -> Iterator[ModelSummary]:
    return describe_model(tables, 10)


@pytest.mark.parametrize("is_decoded", [False, True])
def test_reconstructions_are_of_the_images_that_are_trained_on(tmp_path: Path, is_decoded: bool) -> None:
    tables = _tables(tmp_path)
    if is_decoded:
        _train(tmp_path / "run", _tables(tmp_path, train={"steps": 1}))

    seen = [event for event in reconstruct(tables, 5) if isinstance(event, Reconstruction)]

    (found,) = seen
    assert (found.size, found.latent_size, len(found.numbers), len(found.psnr)) == (8, 4, 5, 5)
    originals, made = np.frombuffer(found.data, np.uint8).reshape(2, 5, 8, 8, 3).astype(np.float64)
    errors = np.square(originals - made).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(found.psnr, 10 * np.log10(255**2 / errors))
    assert found.mean_psnr == pytest.approx(np.mean(found.psnr))
    assert np.ptp(originals, axis=-1).max() == 0  # digits are grey
    assert len({image.tobytes() for image in originals}) == 5


@pytest.mark.parametrize(("tables", "count", "words"), [({}, 3, "name the VAE"), ({}, 0, "count = 0 is not possible")])
def test_what_cannot_be_reconstructed_is_a_sentence(tables: dict[str, Any], count: int, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        list(reconstruct(tables, count))


def test_a_vae_that_goes_away_while_training_costs_previews_only(tmp_path: Path) -> None:
    tables = _tables(tmp_path, evaluate={"every": 8, "count": 16, "batch_size": 8})
    _train(tmp_path / "first", _tables(tmp_path, train={"steps": 1}))  # so that everything is encoded
    RunFolder.create(tmp_path / "run", parse_recipe(tables))
    events = []
    for event in train(recipe=tables, folder=str(tmp_path / "run"), next_command=lambda _: None):
        events.append(event)
        if isinstance(event, StepMetrics) and event.step == 1:
            (tmp_path / "vae").rename(tmp_path / "gone")

    assert len(_losses(events)) == _STEPS
    said = [event.message for event in events if isinstance(event, Notice) and event.message.startswith("No ")]
    assert [words.split(":")[0] for words in said] == [
        "No preview at step 4", "No preview at step 8", "No metrics at step 8"
    ]  # fmt: skip
    assert all("which its VAE turns into images" in words for words in said)


def test_fine_tuning_goes_on_in_the_same_latents(tmp_path: Path, run: Path) -> None:
    digits = write_digits(tmp_path / "more", first=100, count=30)
    tables = _tables(tmp_path, data={"path": digits}, train={"start_from": str(run), "steps": 2})

    events = _train(tmp_path / "tuned", tables)

    assert len(_losses(events)) == 2
    before, after = (read_description(weights_file(place, "ema")).latents for place in (run, tmp_path / "tuned"))
    assert before == after


def test_without_its_vae_it_is_neither_described_nor_measured(tmp_path: Path, run: Path) -> None:
    (tmp_path / "vae").rename(tmp_path / "gone")
    request = EvaluationRequest(real=str(tmp_path / "digits"), fake=str(run), metrics=("fid",), extractor="random")
    for job in (
        describe(str(run), "ema"),
        describe_source(str(run), "fake"),
        evaluate(msgspec.to_builtins(request), str(tmp_path / "out.json")),
    ):
        with pytest.raises(CheckpointError, match="The model draws latents, which its VAE turns into images"):
            list(job)


def test_a_run_stopped_while_it_encodes_goes_on_from_there(tmp_path: Path) -> None:
    tables = _tables(tmp_path, latents={"batch_size": 4}, train={"steps": 2})
    RunFolder.create(tmp_path / "run", parse_recipe(tables))
    encoding = [0]

    def stop_while_encoding(_: bool) -> Command | None:
        return Command.STOP if encoding[0] else None

    events: list[Event] = []
    for event in train(recipe=tables, folder=str(tmp_path / "run"), next_command=stop_while_encoding):
        encoding[0] += isinstance(event, Progress) and event.stage == "Encoding images"
        events.append(event)
    assert isinstance(events[-1], StateChanged)
    assert events[-1].state is JobState.STOPPED
    assert not _losses(events)

    assert len(_losses(_train(tmp_path / "run", tables, resume=True))) == 2
