"""Drawing and measuring on several devices: the same images in the same order, each once, and nothing left running.

The processor twice stands for two devices: each of its threads takes whole batches, as a device would.
"""

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dit_studio.engine import several_devices
from dit_studio.engine.draw_npz import draw_npz
from dit_studio.engine.evaluation.evaluate import evaluate
from dit_studio.engine.generators import value_of
from dit_studio.engine.sample_files import save_samples
from dit_studio.engine.sampling import Frame, Samples
from dit_studio.engine.several_devices import Underway, draw_on, load_several, part_of
from dit_studio.engine.warm_model import WarmModel
from dit_studio.errors import ConfigError, DeviceMemoryError, StudioError
from dit_studio.evaluation_request import decode_result
from dit_studio.events import EvaluationDone, Notice, SettingsRefused
from dit_studio.sample_request import SampleRequest
from tests.engine.tiny_runs import write_tiny_run

REQUEST = SampleRequest(classes=(1, 4, 7), count=23, seed=5, steps=3, cfg=2.0, batch_size=4)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_tiny_run(tmp_path)


@pytest.fixture
def one(run: Path) -> WarmModel:
    (model,) = value_of(load_several(str(run), "ema", device="cpu", precision="fp32"))
    return model


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert not [thread.name for thread in set(threading.enumerate()) - before if "drawing" in thread.name]


class Spy:
    """A model that notes the seeds of what it draws, and may fail or run out of memory."""

    def __init__(self, model: WarmModel, *, fails_at: int | None = None, is_short: bool = False) -> None:
        self._model, self._fails_at, self._is_short = model, fails_at, is_short
        self.seeds: list[int] = []
        self.frames = 0

    def draw(self, request: SampleRequest) -> Iterator[Frame | Samples | Notice]:
        self.seeds += range(request.seed, request.seed + request.count)
        if self._fails_at is not None and self._fails_at in self.seeds:
            raise DeviceMemoryError("Not even one image can be drawn.")
        if self._is_short:
            yield Notice(message="halved", level="warning")
            request = type(request)(**{**{f: getattr(request, f) for f in request.__struct_fields__}, "batch_size": 2})
        for done in self._model.draw(request):
            self.frames += isinstance(done, Frame)
            yield done


def drawn(models: Any, request: SampleRequest = REQUEST) -> list[Samples]:
    return [done for done in draw_on(models, request) if isinstance(done, Samples)]


def test_several_devices_draw_what_one_draws_to_the_bit(one: WarmModel) -> None:
    alone = [done for done in one.draw(REQUEST) if isinstance(done, Samples)]
    together = drawn([one, one, one])
    assert [done.first_image for done in together] == [0, 4, 8, 12, 16, 20]
    for theirs, ours in zip(alone, together, strict=True):
        assert (ours.first_image, ours.labels, ours.seeds) == (theirs.first_image, theirs.labels, theirs.seeds)
        assert torch.equal(ours.images, theirs.images)


def test_every_seed_is_drawn_once_and_the_work_is_shared(one: WarmModel) -> None:
    spies = [Spy(one), Spy(one)]
    drawn(spies)
    assert sorted(spies[0].seeds + spies[1].seeds) == list(range(5, 28))
    assert all(spy.seeds for spy in spies)


def test_a_part_is_the_batch_that_one_device_would_draw() -> None:
    part = part_of(REQUEST, 20)
    assert (part.seed, part.count, part.classes) == (25, 3, (7, 1, 4))  # image 20 is of class 20 % 3


def test_what_is_under_way_rises_to_all_images(one: WarmModel) -> None:
    made = [done.made for done in draw_on([one], REQUEST) if isinstance(done, Underway)]
    assert made == sorted(made)
    assert made[-1] == REQUEST.count


def test_half_batches_keep_their_place(one: WarmModel) -> None:
    done = list(draw_on([Spy(one, is_short=True), Spy(one, is_short=True)], REQUEST))  # type: ignore[list-item]
    assert [event.first_image for event in done if isinstance(event, Samples)] == [0, 2, 4, 6, 8, 10, 12, 14, 16, 18,
                                                                                   20, 22]  # fmt: skip
    assert sum(isinstance(event, Notice) for event in done) == 6


def test_a_batch_that_fails_ends_the_drawing_after_those_before_it(one: WarmModel) -> None:
    there: list[int] = []

    def note_all() -> None:
        for done in draw_on([Spy(one, fails_at=17), Spy(one, fails_at=17)], REQUEST):  # type: ignore[list-item]
            there.extend([done.first_image] if isinstance(done, Samples) else [])

    with pytest.raises(DeviceMemoryError, match="Not even one"):
        note_all()
    assert there == [0, 4, 8]


def test_closed_early_it_ends_the_threads_and_draws_no_more(one: WarmModel) -> None:
    spies = [Spy(one), Spy(one)]
    request = SampleRequest(count=4000, steps=3, batch_size=4)
    drawing = draw_on(spies, request)  # type: ignore[arg-type]
    next(done for done in drawing if isinstance(done, Samples))
    drawing.close()
    assert sum(len(spy.seeds) for spy in spies) < 100


def test_the_npz_of_two_devices_is_that_of_one(run: Path, tmp_path: Path) -> None:
    request = {"classes": [0, 3], "count": 11, "steps": 2, "batch_size": 4}
    for device in ("cpu", "cpu,cpu"):
        list(draw_npz(str(run), "ema", request, str(tmp_path / f"{device}.npz"), device=device))
    with np.load(tmp_path / "cpu.npz") as one, np.load(tmp_path / "cpu,cpu.npz") as two:
        assert np.array_equal(one["arr_0"], two["arr_0"])
        assert np.array_equal(one["arr_1"], two["arr_1"])


def test_files_of_two_devices_are_those_of_one(one: WarmModel, tmp_path: Path) -> None:
    for number, models in enumerate([[one], [one, one]]):
        list(save_samples(models, REQUEST, tmp_path / str(number)))
    for k in range(REQUEST.count):
        alone, together = (several_pixels(tmp_path / name / f"{k:06d}.png") for name in "01")
        assert np.array_equal(alone, together)
    assert (tmp_path / "0" / "labels.csv").read_bytes() == (tmp_path / "1" / "labels.csv").read_bytes()


def several_pixels(file: Path) -> Any:
    from PIL import Image

    return np.asarray(Image.open(file))


def test_figures_of_two_devices_are_those_of_one(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = []
    for device in ("cpu", "cpu,cpu"):
        for name in ("CACHE", "EVALUATIONS"):  # so that nothing is taken from before
            monkeypatch.setenv(f"DIT_STUDIO_{name}", str(tmp_path / f"{name}-{device}"))
        request = {"real": str(tmp_path / "digits"), "fake": str(run), "count": 40, "batch_size": 8, "metrics": ["fid"]}
        done = [event for event in evaluate(request, device=device) if isinstance(event, EvaluationDone)]
        values.append(decode_result(done[0].result).results[0].value)
    assert values[0] is not None
    assert values[0] == values[1]


def test_a_device_that_is_not_here_is_named(run: Path, tmp_path: Path) -> None:
    (refused,) = draw_npz(str(run), "ema", {}, str(tmp_path / "a.npz"), device="cuda:7,cuda:8")
    assert isinstance(refused, SettingsRefused)
    assert "cuda:7" in refused.problems[0][1]


def test_under_torchrun_each_process_would_do_all_of_it(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(StudioError, match="torchrun started 4 processes"):
        value_of(load_several(str(run), "ema", device="cpu"))


def test_copies_are_models_of_their_own(one: WarmModel) -> None:
    copied = several_devices._copied(one, torch.device("meta"))
    assert copied.device.type == "meta"
    assert one.device.type == "cpu"
    assert replace(copied, loaded=one.loaded).reference == one.reference


def test_no_device_at_all_is_refused(run: Path) -> None:
    with pytest.raises(ConfigError, match="auto"):
        value_of(load_several(str(run), "ema", device=","))
