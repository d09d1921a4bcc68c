"""Sampling through the real worker process: pictures cross its border, it ends at a step, and it may be killed."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch

from dit_studio.engine.checkpoint import ModelDescription, write_weights
from dit_studio.events import Failure, SampleFrame, SampleModel, SamplesDrawn, SamplingStarted
from dit_studio.jobs.launch import Job, Launcher
from dit_studio.jobs.sample_history import SampleHistory
from dit_studio.model_settings import DiffusionConfig
from dit_studio.trajectory import noise_to_pixels, open_trajectory

CONFIG = ModelDescription(
    input_size=8, patch_size=2, in_channels=3, hidden_size=32, depth=1, num_heads=2, mlp_ratio=2.0,
    class_dropout_prob=0.1, num_classes=3, learn_sigma=True, diffusion=DiffusionConfig(), step=10, weights="ema",
)  # fmt: skip
PIXELS = 8 * 8 * 3


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    file = tmp_path_factory.mktemp("model") / "ema.safetensors"
    write_weights(file, CONFIG.build(), CONFIG)
    return file


@pytest.fixture(scope="module")
def launcher() -> Iterator[Launcher]:
    result = Launcher()
    yield result
    result.close()


@pytest.fixture
def history(tmp_path: Path) -> SampleHistory:
    return SampleHistory(tmp_path / "samples")


def drawing(launcher: Launcher, model: Path, folder: Path, **request: Any) -> Job:
    settings = {"classes": [0, 1], "count": 6, "batch_size": 2, "steps": 10, "cfg": 2.0, "seed": 5, **request}
    return launcher.call(
        "sample",
        model=str(model),
        weights="ema",
        request=settings,
        folder=str(folder),
        branch=None,
        budget_bytes=2**24,
    )


def only(events: list[Any], kind: type) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


def test_pictures_cross_the_border_and_lie_in_the_history(
    launcher: Launcher, model: Path, history: SampleHistory
) -> None:
    described = list(launcher.call("describe_sampling", model=str(model), weights="ema").events())
    assert isinstance(described[-1], SampleModel)
    folder = history.new_folder()
    events = list(drawing(launcher, model, folder).events())
    start, frames, drawn = only(events, SamplingStarted)[0], only(events, SampleFrame), only(events, SamplesDrawn)
    assert (len(frames), len(drawn)) == (3 * 10, 3)
    assert {len(frame.data) for frame in frames} == {len(start.planes) * 2 * PIXELS}
    kept = open_trajectory(folder)
    assert kept is not None
    first = frames[0]
    x_t = first.data[: 2 * PIXELS]
    assert x_t == noise_to_pixels(kept.arrays["x_t"][0, :2]).tobytes(), "what is shown is what is kept"
    assert [entry.entry.images for entry in history.entries()] == [6]


def test_a_stop_ends_at_the_next_step_and_keeps_what_is_finished(
    launcher: Launcher, model: Path, history: SampleHistory
) -> None:
    folder = history.new_folder()
    job = drawing(launcher, model, folder, steps=200)
    heard: list[Any] = []
    for event in job.events():
        heard.append(event)
        if isinstance(event, SamplesDrawn) and len(only(heard, SamplesDrawn)) == 1:
            job.cancel()
    assert len(only(heard, SamplesDrawn)) < 3
    assert not only(heard, Failure)
    entry = history.entry(folder.name)
    assert entry is not None
    assert entry.entry.state == "stopped"
    assert entry.entry.images == 2 * len(only(heard, SamplesDrawn))
    assert len(list(folder.glob("*.png"))) == entry.entry.images
    again = list(drawing(launcher, model, history.new_folder(), count=1).events())
    assert len(only(again, SampleFrame)) == 10, "the process is as warm as before"


def test_a_worker_that_is_killed_says_so_and_the_next_one_serves(
    launcher: Launcher, model: Path, history: SampleHistory
) -> None:
    folder = history.new_folder()
    heard: list[Any] = []
    for event in drawing(launcher, model, folder, steps=500).events():
        heard.append(event)
        if isinstance(event, SamplesDrawn) and len(only(heard, SamplesDrawn)) == 1:
            process = launcher._sampler._process
            assert process is not None
            os.kill(process.pid, signal.SIGKILL)  # as the system does for want of memory
    again = list(drawing(launcher, model, history.new_folder(), count=1).events())
    assert len(only(again, SampleFrame)) == 10, "at once"
    assert isinstance(heard[-1], Failure)
    assert heard[-1].code == "killed"
    assert len(list(folder.glob("*.png"))) >= 2, "finished images stay"
    entry = msgspec.json.decode((folder / "entry.json").read_bytes())
    assert entry["state"] == "drawing"
    assert entry["images"] >= 2


def test_a_reader_that_goes_away_ends_the_drawing(launcher: Launcher, model: Path, history: SampleHistory) -> None:
    events = drawing(launcher, model, history.new_folder(), steps=500).events()
    while not isinstance(next(events), SampleFrame):
        pass
    events.close()  # type: ignore[attr-defined]
    again = list(drawing(launcher, model, history.new_folder(), count=1, seed=9).events())
    assert only(again, SamplingStarted)[0].seeds == (9,)
    assert [frame.step for frame in only(again, SampleFrame)] == list(range(1, 11))
