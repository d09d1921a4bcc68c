"""The jobs behind the Sample page, on a small model in a real run folder."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from PIL import Image

from dit_studio.engine import sample_job, trajectory_writer, warm_model
from dit_studio.engine.checkpoint import ModelDescription, write_weights
from dit_studio.errors import CheckpointError, DiskFullError, NotFiniteError
from dit_studio.events import (
    Event,
    Notice,
    Progress,
    SampleFrame,
    SampleModel,
    SamplesDrawn,
    SamplingStarted,
    SettingsRefused,
)
from dit_studio.model_settings import DiffusionConfig
from dit_studio.sample_request import SampleEntry
from dit_studio.trajectory import open_trajectory

SIZE = 8
CONFIG = ModelDescription(
    input_size=SIZE, patch_size=2, in_channels=3, hidden_size=32, depth=1, num_heads=2, mlp_ratio=2.0,
    class_dropout_prob=0.1, num_classes=3, learn_sigma=True, diffusion=DiffusionConfig(), step=20_000, weights="ema",
    class_names=("cat", "dog", "sea"),
)  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "landscapes"
    folder = run / "checkpoints" / "step-0020000"
    folder.mkdir(parents=True)
    torch.manual_seed(0)
    model = CONFIG.build()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape))
    write_weights(folder / "ema.safetensors", model, CONFIG)
    return run


def draw(
    run: Path, folder: Path | str, *, branch: dict[str, Any] | None = None, budget: int = 10**9, **request: Any
) -> list[Event]:
    return list(sample_job.draw(str(run), "ema", {"steps": 5, **request}, str(folder), branch, budget))


def entry_of(folder: Path) -> SampleEntry:
    return msgspec.json.decode((folder / "entry.json").read_bytes(), type=SampleEntry)


def only(events: list[Event], kind: type) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


def test_a_model_says_what_can_be_asked_of_it(run: Path) -> None:
    *progress, model = sample_job.describe(str(run), "ema")
    assert all(isinstance(event, Progress) for event in progress)
    assert isinstance(model, SampleModel)
    assert model.name == "landscapes · step 20,000 · EMA"
    assert (model.image_size, model.channels, model.num_classes, model.has_null_class) == (SIZE, 3, 3, True)
    assert len(model.log_snr) == 1000
    assert all(a > b for a, b in zip(model.log_snr, model.log_snr[1:], strict=False))
    assert "flow-euler" not in model.samplers
    assert len(model.fingerprint) == 16
    assert only(list(sample_job.describe(str(run), "ema")), Progress) == []  # it is warm now


def test_a_generation_fills_its_folder(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "one"
    events = draw(run, folder, count=3, classes=[0, 2], seed=7, cfg=3.0, batch_size=2)
    (started,) = only(events, SamplingStarted)
    assert started.labels == (0, 2, 0)
    assert started.seeds == (7, 8, 9)
    assert started.planes == ("x_t", "x_start", "conditional", "unconditional")
    frames = only(events, SampleFrame)
    assert [(frame.first_image, frame.step, frame.images) for frame in frames] == [
        *((0, step, 2) for step in range(1, 6)),
        *((2, step, 1) for step in range(1, 6)),
    ]
    assert all(len(frame.data) == 4 * frame.images * SIZE * SIZE * 3 for frame in frames)
    assert frames[0].norms == pytest.approx((1.0, 1.0), abs=0.2)
    assert frames[0].moves == (0.0, 0.0)
    assert all(move > 0 for move in frames[1].moves)
    drawn = only(events, SamplesDrawn)
    assert [event.files for event in drawn] == [("000000.png", "000001.png"), ("000002.png",)]
    with Image.open(folder / "000002.png") as picture:
        assert picture.tobytes() == drawn[1].data
    entry = entry_of(folder)
    assert (entry.state, entry.images, entry.height, entry.record.model.name) == (
        "finished", 3, SIZE, "landscapes · step 20,000 · EMA",
    )  # fmt: skip


@pytest.mark.parametrize("budget", [0, 10**9])
def test_a_trajectory_is_what_was_shown(run: Path, tmp_path: Path, budget: int) -> None:
    folder = tmp_path / "kept"
    events = draw(run, folder, count=3, cfg=2.0, batch_size=2, budget=budget)
    (started,) = only(events, SamplingStarted)
    assert started.in_memory == bool(budget)
    trajectory = open_trajectory(folder)
    assert trajectory is not None
    assert trajectory.index.finished == trajectory.index.images == 3
    assert trajectory.index.points == started.points
    assert sum(array.nbytes for array in trajectory.arrays.values()) == started.trajectory_bytes
    frame = only(events, SampleFrame)[2]
    shown = np.frombuffer(frame.data, np.uint8).reshape(4, 2, SIZE, SIZE, 3)
    for place, plane in enumerate(started.planes):
        assert np.array_equal(trajectory.pixels(plane, 1, 3), shown[place, 1])
    noise = torch.randn((3, SIZE, SIZE), generator=torch.Generator().manual_seed(2)).numpy()
    assert np.array_equal(trajectory.noise(2, 1), noise)
    assert trajectory.index.moves[2][1] == pytest.approx(frame.moves[1])
    assert not list(folder.glob(".*"))


@pytest.mark.parametrize("sampler", ["ddim", "ddpm", "euler", "heun"])
def test_a_branch_with_nothing_changed_ends_in_the_same_image(run: Path, tmp_path: Path, sampler: str) -> None:
    wish = {"sampler": sampler, "steps": 8, "cfg": 2.0, "classes": [1], "eta": 0.5 if sampler == "ddim" else 0.0}
    parent = draw(run, tmp_path / "parent", count=2, seed=5, **wish)
    point = {"entry": "parent", "image": 1, "step": 4}
    child = draw(run, tmp_path / "child", branch=point, seed=6, **wish)
    grandchild = draw(run, tmp_path / "grand", branch={"entry": "child", "image": 0, "step": 3}, seed=6, **wish)
    whole = np.frombuffer(only(parent, SamplesDrawn)[0].data, np.uint8).reshape(2, -1)[1]
    for later in (child, grandchild):
        assert np.array_equal(np.frombuffer(only(later, SamplesDrawn)[0].data, np.uint8), whole)
    points, past = only(child, SamplingStarted)[0].points, only(parent, SamplingStarted)[0].points
    assert points == past[3:]
    assert entry_of(tmp_path / "child").record.branch is not None


def test_a_branch_can_change_its_class_and_sampler(run: Path, tmp_path: Path) -> None:
    draw(run, tmp_path / "parent", steps=10, cfg=2.0)
    events = draw(
        run, tmp_path / "child", branch={"entry": "parent", "image": 0, "step": 5}, sampler="unipc", classes=[2, 1],
        count=2, steps=20, cfg=4.0,
    )  # fmt: skip
    (started,) = only(events, SamplingStarted)
    assert started.points[0].t == 500
    assert all(a.t > b.t for a, b in zip(started.points, started.points[1:], strict=False))
    (drawn,) = only(events, SamplesDrawn)
    pixels = np.frombuffer(drawn.data, np.uint8).reshape(2, -1)
    assert not np.array_equal(pixels[0], pixels[1])


@pytest.mark.parametrize(
    ("branch", "sentence"),
    [({"entry": "gone", "image": 0, "step": 1}, "not kept any more"),
     ({"entry": "../x", "image": 0, "step": 1}, "not the name"),
     ({"entry": "parent", "image": 4, "step": 1}, "choose among them"),
     ({"entry": "parent", "image": 0, "step": 9}, "choose among them"),
     ({"entry": "parent", "image": "0", "step": 9}, "Expected `int`, got `str` - at `$.image`"),
     ({"entry": 3, "image": 0, "step": 1}, "$.entry"), ({"entry": "parent", "image": 0}, "`step`"),
     ({"entry": "\ud800", "image": 0, "step": 1}, r"'\ud800' is not the name"),
     ({"entry": "", "image": 0, "step": 1}, "not the name")],
)  # fmt: skip
def test_branches_from_nowhere_are_refused(run: Path, tmp_path: Path, branch: dict[str, Any], sentence: str) -> None:
    draw(run, tmp_path / "parent")
    (refused,) = only(draw(run, tmp_path / "child", branch=branch), SettingsRefused)
    assert refused.problems[0][0] == "branch"
    assert sentence in refused.problems[0][1]
    assert not (tmp_path / "child").exists()


def test_settings_at_fault_are_named_and_nothing_is_begun(run: Path, tmp_path: Path) -> None:
    for request, fields in (
        ({"steps": 0, "cfg": float("nan"), "stepps": 1}, ["request.steps", "request.cfg", "request.stepps"]),
        ({"steps": 1001, "classes": [3]}, ["request.steps", "request.classes"]),
        ({"classes": "cat"}, ["request.classes"]),
    ):
        (refused,) = draw(run, tmp_path / "none", **request)
        assert isinstance(refused, SettingsRefused)
        assert [field for field, _ in refused.problems] == fields
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("wish", [{"device": "gpu"}, {"precision": "fp8"}])
def test_what_this_machine_cannot_do_is_named_as_it_was_asked_for(run: Path, wish: dict[str, str]) -> None:
    (refused,) = only(list(sample_job.draw(str(run), "ema", {"steps": 2}, "", **wish)), SettingsRefused)
    ((name, value),) = wish.items()
    assert refused.problems[0][0] == name
    assert refused.problems[0][1].startswith(f'{name} = "{value}" is not')


def test_stopping_keeps_what_is_finished(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "stopped"
    events = sample_job.draw(str(run), "ema", {"steps": 5, "count": 4, "batch_size": 2}, str(folder), None, 0)
    for event in events:
        if isinstance(event, SampleFrame) and (event.first_image, event.step) == (2, 3):
            break
    events.close()
    entry = entry_of(folder)
    assert (entry.state, entry.images) == ("stopped", 2)
    assert sorted(path.name for path in folder.glob("*.png")) == ["000000.png", "000001.png"]
    trajectory = open_trajectory(folder)
    assert trajectory is not None
    assert trajectory.index.finished == 2
    assert trajectory.noise(3, 3).any()
    assert not trajectory.noise(3, 4).any()


def test_nothing_is_kept_without_a_folder(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    events = draw(run, "")
    assert len(only(events, SampleFrame)) == 5
    assert only(events, SamplesDrawn)[0].files == ()
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_full_disk_costs_the_trajectory_and_no_image(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trajectory_writer, "free_bytes", lambda _: 0)
    events = draw(run, tmp_path / "full")
    (notice,) = only(events, Notice)
    assert "No trajectory is kept" in notice.message
    assert entry_of(tmp_path / "full").state == "finished"
    assert open_trajectory(tmp_path / "full") is None


def test_a_disk_that_fills_on_the_way_costs_the_trajectory_and_no_image(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise DiskFullError("There is no room.")

    monkeypatch.setattr(trajectory_writer.TrajectoryWriter, "add", fail)
    events = draw(run, tmp_path / "full", budget=0)
    assert len(only(events, Notice)) == 1
    assert entry_of(tmp_path / "full").images == 1
    assert sorted(path.name for path in (tmp_path / "full").iterdir()) == ["000000.png", "entry.json"]


def test_a_trajectory_of_other_images_does_not_stay(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "again"
    draw(run, folder, cfg=2.0)
    assert len(list(folder.glob("*.npy"))) == 4
    monkeypatch.setattr(trajectory_writer, "free_bytes", lambda _: 251 * 2**20)
    (notice,) = only(draw(run, folder, seed=9), Notice)
    assert "The trajectory takes 0.0 MB and has to leave 256 MB free, and 251 MB are free in" in notice.message
    assert sorted(file.name for file in folder.iterdir()) == ["000000.png", "entry.json"]


def test_outside_the_guidance_interval_the_class_alone_is_what_is_drawn(run: Path, tmp_path: Path) -> None:
    draw(run, tmp_path / "interval", cfg=3.0, cfg_from=300, cfg_to=700)
    trajectory = open_trajectory(tmp_path / "interval")
    assert trajectory is not None
    for step, point in enumerate(trajectory.index.points, start=1):
        drawn, with_class, without = (
            trajectory.pixels(plane, 0, step) for plane in ("x_start", "conditional", "unconditional")
        )
        is_guided = 300 <= point.t <= 700
        assert np.array_equal(drawn, with_class) != is_guided
        assert without.any() == is_guided


def test_an_entry_tells_of_finished_images_while_it_is_drawn(run: Path, tmp_path: Path) -> None:
    folder, told = tmp_path / "going", []
    for event in sample_job.draw(str(run), "ema", {"steps": 2, "count": 3, "batch_size": 1}, str(folder), None, 0):
        if isinstance(event, SamplesDrawn):
            told.append((entry_of(folder).state, entry_of(folder).images))
    assert told == [("drawing", 1), ("drawing", 2), ("drawing", 3)]


def test_a_stop_after_the_last_image_stops_nothing(run: Path, tmp_path: Path) -> None:
    events = sample_job.draw(str(run), "ema", {"steps": 2, "count": 2}, str(tmp_path / "all"), None, 10**9)
    while not isinstance(next(events), SamplesDrawn):
        pass
    events.close()
    entry = entry_of(tmp_path / "all")
    assert (entry.state, entry.images, entry.message) == ("finished", 2, "")
    assert open_trajectory(tmp_path / "all") is not None


def test_a_failure_is_written_down(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("the device went away")

    monkeypatch.setattr(sample_job, "encode_png", fail)
    with pytest.raises(RuntimeError):
        draw(run, tmp_path / "failed")
    entry = entry_of(tmp_path / "failed")
    assert (entry.state, entry.images, entry.message) == ("failed", 0, "the device went away")
    assert open_trajectory(tmp_path / "failed") is not None


def test_a_model_that_diverged_is_described_and_draws_nothing(tmp_path: Path) -> None:
    model = CONFIG.build()
    with torch.no_grad():
        model.pos_embed.fill_(float("nan"))
    write_weights(tmp_path / "model.safetensors", model, CONFIG)
    *_, described = sample_job.describe(str(tmp_path / "model.safetensors"), "ema")
    assert isinstance(described, SampleModel)
    with pytest.raises(NotFiniteError, match="the model diverged"):
        draw(tmp_path / "model.safetensors", tmp_path / "out")
    entry = entry_of(tmp_path / "out")
    assert (entry.state, entry.images) == ("failed", 0)
    assert "Choose an earlier checkpoint" in entry.message
    assert not list((tmp_path / "out").glob("*.png"))


def test_a_checkpoint_that_went_away_is_a_sentence(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    write_weights(file, CONFIG.build(), CONFIG)
    list(sample_job.describe(str(file), "ema"))
    file.unlink()
    with pytest.raises(CheckpointError, match=r"does not exist|cannot be read"):
        draw(file, tmp_path / "gone")


def test_a_model_that_changed_on_the_disk_is_loaded_again(tmp_path: Path) -> None:
    file = tmp_path / "small.safetensors"
    write_weights(file, CONFIG.build(), CONFIG)
    list(sample_job.describe(str(file), "ema"))
    before = warm_model.fingerprint(file)
    write_weights(file, CONFIG.build(), msgspec.structs.replace(CONFIG, step=30_000))
    *progress, model = sample_job.describe(str(file), "ema")
    assert progress
    assert isinstance(model, SampleModel)
    assert model.name == "small · step 30,000 · EMA"
    assert model.fingerprint != before
