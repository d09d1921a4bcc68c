"""Plans of evaluations: every point on the disk, failures marked, stops and second tries with the same figures."""

import csv
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from PIL import Image

from dit_studio.engine.evaluation import one_evaluation, plan_job
from dit_studio.engine.evaluation.plan_job import evaluate_plan
from dit_studio.errors import DataError, RunError
from dit_studio.evaluation_plan import (
    LOCK,
    EvaluationPlan,
    open_evaluation,
    plan_model,
    plan_one,
    plan_sources,
    read_copies,
    read_result,
)
from dit_studio.evaluation_request import EvaluationRequest, EvaluationResult, decode_result
from dit_studio.events import (
    Event,
    Notice,
    PointDone,
    PointFailed,
    PointStarted,
    Progress,
    SettingsRefused,
)
from dit_studio.image_settings import read_settings
from dit_studio.jobs import table
from dit_studio.locks import locked
from dit_studio.places import evaluations_dir
from dit_studio.sample_request import SampleRequest
from dit_studio.sweep import ModelLimits, SweepAxis, plan_sweep
from tests.engine.digits import shuffled_digits, write_digits, write_images, write_noise
from tests.engine.tiny_runs import DIGITS, write_tiny_run

ENTRY = "20260301-142233-9f3a"
SAMPLE = SampleRequest(steps=2, cfg=2.0, seed=5, count=12, classes=tuple(range(10)), batch_size=4)
LIMITS = ModelLimits(
    num_classes=10, class_names=(), timesteps=1000, samplers=("ddim", "euler"), has_null_class=True
)  # fmt: skip


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_tiny_run(tmp_path)


@pytest.fixture
def entry() -> Path:
    return evaluations_dir() / ENTRY


def request(real: str | Path, fake: str | Path, **more: Any) -> EvaluationRequest:
    return EvaluationRequest(real=str(real), fake=str(fake), **{"metrics": ("fid", "kid"), "has_floor": False, **more})


def curve(run: Path, *axes: SweepAxis, **more: Any) -> EvaluationPlan:
    """The model of a run over some settings."""
    sweep = plan_sweep(SAMPLE, model=str(run), weights="ema", axes=axes, limits=LIMITS)
    return plan_model(request(run, run, sample=SAMPLE, **more), sweep, title="tiny")


def over_checkpoints(run: Path, **more: Any) -> EvaluationPlan:
    return curve(run, SweepAxis(name="checkpoint", values=("10", "20")), **more)


def measuring(plan: EvaluationPlan | None, entry: Path) -> Iterator[Event]:
    return evaluate_plan({} if plan is None else msgspec.to_builtins(plan), str(entry))


def measured(plan: EvaluationPlan | None, entry: Path) -> list[Event]:
    return list(measuring(plan, entry))


def of_kind(events: list[Event], kind: type[Event]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


def results(events: list[Event]) -> dict[int, EvaluationResult]:
    """The last that was said of each point."""
    return {done.index: decode_result(done.result) for done in of_kind(events, PointDone)}


def figures(events: list[Event]) -> dict[int, list[tuple[str, float | None]]]:
    return {at: [(found.name, found.value) for found in result.results] for at, result in results(events).items()}


# ------------------------------------------------------------------------------------------------- what is written


def test_sources_side_by_side(tmp_path: Path, entry: Path) -> None:
    real = write_digits(tmp_path / "real", first=0, count=60)
    fakes = [write_digits(tmp_path / "fake", first=60, count=70), write_noise(tmp_path / "noise", count=70)]
    asked = [request(real, fake, metrics=("fid", "copying")) for fake in fakes]
    plan = plan_sources(asked, labels=["digits", "noise"], title="Digits and noise")
    said = measured(plan, entry)
    assert [event.index for event in of_kind(said, PointStarted)] == [0, 1]
    assert [event.samples for event in of_kind(said, PointDone)] == fakes
    record = open_evaluation(entry)
    assert (record.plan, record.state) == (plan, "finished")
    assert [state.state for state in record.states] == ["done", "done"]
    assert [state.samples for state in record.states] == fakes
    found = results(said)
    assert (found[0].value("fid") or 0) < (found[1].value("fid") or 0)
    for point in plan.points:
        assert read_result(entry, point) == found[point.index]
        copies = read_copies(entry, point)
        assert (copies.real_path, copies.fake_path) == (real, fakes[point.index])
        assert len(copies.copies) == 70
        distances = [copy.nearest[0].distance for copy in copies.copies]
        assert distances == sorted(distances)
        assert found[point.index].copying is not None
        assert len(found[point.index].copying.copies) == 16
        with Image.open(entry / point.samples_file) as picture:
            assert picture.size == (8 * 8, 8 * 8)


def test_classes_that_are_sorted_are_shown_in_turn(tmp_path: Path, entry: Path) -> None:
    images, labels = np.zeros((40, 4, 4), np.uint8), np.repeat(np.arange(2), 20)
    images[20:] = 255
    images += np.arange(40, dtype=np.uint8)[:, None, None] % 20  # so that no two are equal
    np.savez(tmp_path / "fake.npz", arr_0=images[..., None], arr_1=labels)
    plan = plan_one(request(tmp_path / "fake.npz", tmp_path / "fake.npz"), title="one")
    measured(plan, entry)
    with Image.open(entry / plan.points[0].samples_file) as picture:
        row = np.asarray(picture.convert("L"))[0, ::4]
    assert row[:8].tolist() == [0, 255, 1, 0, 2, 1, 3, 2]


def test_a_model_over_its_checkpoints(run: Path, entry: Path) -> None:
    plan = curve(run, SweepAxis(name="cfg", values=("1", "4")), SweepAxis(name="checkpoint", values=("10", "20")))
    said = measured(plan, entry)
    found = results(said)
    assert len(found) == 4
    for point in plan.points:
        result, (step, cfg) = found[point.index], (point.request.fake[-2:], point.request.sample)
        assert cfg is not None
        for words in (f"step {step} · EMA", "ddim, 2 steps", f"CFG {cfg.cfg:g} on all channels", "seeds from 5"):
            assert words in result.protocol_line
        assert result.request.sample == point.request.sample
        assert result.fake.class_names == tuple("0123456789")
        assert (result.fake.left_out, result.real.kind, result.real.measured) == ("", "data set", DIGITS)
        assert "the data set of tiny" in result.protocol_line
        copied = run / "evaluations" / f"{ENTRY}-{point.index:03d}.json"
        assert decode_result(copied.read_bytes()) == result
    assert len({result.value("fid") for result in found.values()}) == 4


def test_what_was_drawn_is_a_data_set_with_its_settings_inside(run: Path, entry: Path) -> None:
    (done,) = of_kind(measured(plan_one(request(run, run, sample=SAMPLE), title="one"), entry), PointDone)
    folder = Path(done.samples)
    assert folder.parent == evaluations_dir() / "drawn"
    with (folder / "labels.csv").open() as file:
        rows = list(csv.reader(file))
    assert rows[:3] == [["file", "label"], ["000000.png", "0"], ["000001.png", "1"]]
    assert [row[1] for row in rows[1:]] == [str(image % 10) for image in range(12)]
    found = read_settings(folder / "000011.png")
    assert (found.image, found.settings["seed"], found.settings["cfg"]) == (11, 5, 2.0)
    again = measured(
        plan_one(request(run, run, sample=SAMPLE, metrics=("agreement",)), title="two"), entry.parent / "b"
    )
    assert not [event for event in of_kind(again, Progress) if event.stage == "Drawing images"]
    assert of_kind(again, PointDone)[0].samples == str(folder)
    assert results(again)[0].value("agreement") is not None


@pytest.mark.parametrize(
    ("count", "sample", "drawn"), [(None, None, 1000), (14, None, 14), (14, 12, 12), (None, 12, 12)]
)
def test_how_many_a_model_draws(run: Path, count: int | None, sample: int | None, drawn: int) -> None:
    asked = None if sample is None else msgspec.structs.replace(SAMPLE, count=sample)
    chosen = one_evaluation.sample_of(request(run, run, count=count, sample=asked))
    assert chosen.count == drawn
    assert (chosen.steps, chosen.cfg, chosen.seed) == ((4, 3.0, 9) if sample is None else (2, 2.0, 5))
    assert chosen.classes == tuple(range(10))


# ------------------------------------------------------------------------------------------------- what fails


def test_a_checkpoint_that_goes_away_fails_its_point_alone(run: Path, entry: Path, tmp_path: Path) -> None:
    said, checkpoint = [], run / "checkpoints" / "step-0000010"
    for event in measuring(over_checkpoints(run), entry):
        said.append(event)
        if isinstance(event, PointStarted) and event.index == 0:
            shutil.move(checkpoint, tmp_path / "aside")
    (failed,) = of_kind(said, PointFailed)
    assert (failed.index, list(results(said))) == (0, [1])
    assert "step-0000010 does not exist any more" in failed.message
    record = open_evaluation(entry)
    assert [state.state for state in record.states] == ["failed", "done"]
    assert record.states[0].message == failed.message
    shutil.move(tmp_path / "aside", checkpoint)
    again = measured(None, entry)
    assert list(results(again)) == [0, 1]
    assert results(again)[1] == results(said)[1]
    after = again[next(at for at, event in enumerate(again) if event == PointStarted(index=1)) :]
    assert [type(event) for event in after] == [PointStarted, PointDone]
    assert [state.state for state in open_evaluation(entry).states] == ["done", "done"]


def test_bad_sources_are_sentences_and_the_rest_goes_on(tmp_path: Path, entry: Path) -> None:
    real = write_digits(tmp_path / "real", first=0, count=40)
    pixels = np.repeat(shuffled_digits()[0][:40, :, :, None], 3, axis=3)
    np.savez(tmp_path / "good.npz", arr_0=pixels)
    np.savez(tmp_path / "float.npz", arr_0=pixels / 255)
    np.savez(tmp_path / "keys.npz", images=pixels)
    np.savez(tmp_path / "pickled.npz", arr_0=np.array([{}] * 3, object))
    whole = (tmp_path / "good.npz").read_bytes()
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 0xFF
    (tmp_path / "damaged.npz").write_bytes(damaged)
    (tmp_path / "short.npz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty").mkdir()
    write_images(tmp_path / "one", shuffled_digits()[0][:1])
    names = ["float.npz", "keys.npz", "pickled.npz", "damaged.npz", "short.npz", "empty", "one", "nowhere", "good.npz"]
    plan = plan_sources([request(real, tmp_path / name) for name in names], labels=names, title="bad")
    said = measured(plan, entry)
    assert list(results(said)) == [8]
    messages = {names[failed.index]: failed for failed in of_kind(said, PointFailed)}
    for name, words in {
        "float.npz": "float64", "keys.npz": '"images"', "pickled.npz": "object", "damaged.npz": "damaged",
        "short.npz": "short.npz", "empty": "no ", "one": "only one image", "nowhere": "does not exist",
    }.items():  # fmt: skip
        assert words in messages[name].message, messages[name].message
        assert name in messages[name].message
        assert messages[name].remedy


def test_whatever_a_library_raises_the_rest_goes_on(run: Path, entry: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real_measure, calls = one_evaluation.measure, []

    def breaking(*arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 1:
            raise RuntimeError("driver:\n  it broke")
        return real_measure(*arguments)

    monkeypatch.setattr(one_evaluation, "measure", breaking)
    said = measured(over_checkpoints(run), entry)
    assert of_kind(said, PointFailed)[0].message == "It could not be measured: RuntimeError: driver: it broke."
    assert list(results(said)) == [1]
    assert list(results(measured(None, entry))) == [0, 1]


def test_a_run_that_cannot_be_written_to_is_measured(run: Path, entry: Path) -> None:
    (run / "evaluations").write_text("in the way")
    (run / "run.toml").write_text("[sample]\nsteps = 0")
    digits = run.parent.parent / "digits"
    said = measured(plan_one(request(digits, run, count=10), title="one"), entry)
    sample = results(said)[0].request.sample
    assert sample is not None
    assert (sample.steps, sample.cfg, sample.count) == (50, 2.0, 10)


def test_a_run_that_trained_on_is_measured_as_it_was(run: Path, entry: Path, tmp_path: Path) -> None:
    newest = run / "checkpoints" / "step-0000020"
    shutil.move(newest, tmp_path / "aside")
    said = []
    for event in measuring(plan_one(request(run, run, sample=SAMPLE), title="one"), entry):
        said.append(event)
        if isinstance(event, Progress) and event.stage == "Loading the model" and (tmp_path / "aside").exists():
            shutil.move(tmp_path / "aside", newest)
    drawn = results(said)[0].fake.drawn_by
    assert drawn is not None
    assert drawn.model is not None
    assert drawn.model.step == 10


def test_no_memory_stops_it_and_what_is_done_stays(run: Path, entry: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(plan_job, "evaluate_one", _raising_at(2, MemoryError))
        with pytest.raises(MemoryError):
            measured(over_checkpoints(run), entry)
    record = open_evaluation(entry)
    assert (record.state, [state.state for state in record.states]) == ("stopped", ["done", "waiting"])


def _raising_at(call: int, error: type[BaseException]) -> Any:
    calls = []

    def evaluate(*arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) == call:
            raise error
        return (yield from one_evaluation.evaluate_one(*arguments))

    return evaluate


def test_numbers_that_differ_are_said_on_every_point(tmp_path: Path, entry: Path) -> None:
    real = write_digits(tmp_path / "real", first=0, count=40)
    fakes = [write_digits(tmp_path / str(count), first=100, count=count) for count in (30, 30, 20)]
    plan = plan_sources([request(real, fake) for fake in fakes[1:]], labels=["30", "20"], title="unequal")
    said = measured(plan, entry)
    for index, words in ((0, "of 30 generated images, others beside it of 20"), (1, "of 20 generated images")):
        cautions = [caution.message for caution in results(said)[index].cautions if "beside it" in caution.message]
        assert len(cautions) == 1
        assert words in cautions[0]
    assert read_result(entry, plan.points[0]) == results(said)[0]
    assert results(measured(None, entry)) == results(said)
    alike = plan_sources([request(real, fake) for fake in fakes[:2]], labels=["a", "b"], title="equal")
    assert not any("beside it" in c.message for c in results(measured(alike, entry.parent / "b"))[0].cautions)


def test_nothing_is_drawn_if_any_point_cannot_be_served(run: Path, entry: Path) -> None:
    good, bad = request(run, run, sample=SAMPLE), msgspec.structs.replace(SAMPLE, steps=2000, classes=(12,))
    one = msgspec.structs.replace(good, sample=msgspec.structs.replace(SAMPLE, count=1))
    asked = [good, msgspec.structs.replace(good, sample=bad), msgspec.structs.replace(good, metrics=("fod",)), one]
    (refused,) = measured(plan_sources(asked, labels=list("abcd"), title="bad"), entry)
    assert isinstance(refused, SettingsRefused)
    assert [field for field, _ in refused.problems] == [
        "request.steps", "request.classes", "evaluate.metrics", "request.count",
    ]  # fmt: skip
    assert not evaluations_dir().exists()
    (refused,) = list(evaluate_plan(msgspec.to_builtins(plan_one(good, title="x")), str(entry), device="abacus"))
    assert "abacus" in refused.problems[0][1]
    for values, words in (({"title": "x"}, "cannot be read"), ({"title": "x", "points": []}, "no point")):
        (refused,) = list(evaluate_plan(values, str(entry)))
        assert words in refused.problems[0][1]


def test_a_folder_that_cannot_take_it(run: Path, entry: Path) -> None:
    plan = over_checkpoints(run)
    with pytest.raises(DataError, match="is no evaluation"):
        measured(None, entry)
    entry.mkdir(parents=True)
    with locked(entry / LOCK), pytest.raises(RunError, match="is being measured already"):
        measured(plan, entry)
    measured(plan, entry)
    with pytest.raises(RunError, match="holds another evaluation"):
        measured(plan_one(request(run, run), title="another"), entry)


# ------------------------------------------------------------------------------------------------- stops


def test_wherever_it_is_stopped_it_goes_on_to_the_same_figures(run: Path, entry: Path) -> None:
    plan = over_checkpoints(run, metrics=("fid", "copying"), has_floor=True)
    whole = measured(plan, entry)
    expected, images = figures(whole), _drawn_pixels()
    for stop_after in range(1, len(whole), 9):
        shutil.rmtree(evaluations_dir())
        shutil.rmtree(entry.parents[1] / "cache" / "features", ignore_errors=True)
        job = measuring(plan, entry)
        for _ in range(stop_after):
            next(job)
        job.close()  # type: ignore[attr-defined]
        record = open_evaluation(entry)
        assert record.state == "stopped"
        said = measured(None, entry)
        assert figures(said) == expected
        assert _drawn_pixels() == images
        assert open_evaluation(entry).state == "finished"


def _drawn_pixels() -> dict[str, bytes]:
    """By folder and name."""
    found = {}
    for file in sorted((evaluations_dir() / "drawn").glob("*/*.png")):
        with Image.open(file) as picture:
            found[f"{file.parent.name}/{file.name}"] = picture.tobytes()
    return found


def test_drawing_goes_on_behind_the_last_whole_batch(run: Path, entry: Path) -> None:
    plan = plan_one(request(run, run, sample=SAMPLE), title="one")
    job = measuring(plan, entry)
    for event in job:
        if isinstance(event, Progress) and event.stage == "Drawing images" and event.done >= 9:
            break
    job.close()  # type: ignore[attr-defined]
    (folder,) = (path for path in (evaluations_dir() / "drawn").iterdir() if path.is_dir())
    before = {file.name: file.stat().st_mtime_ns for file in folder.glob("*.png")}
    assert sorted(before) == [f"{image:06d}.png" for image in range(8)]
    (folder / "000007.png").unlink()  # as if it had been killed while it wrote the batch
    said = measured(None, entry)
    assert "Drawing images: 4 of 12 are kept from before; going on." in [
        event.message for event in of_kind(said, Notice)
    ]
    after = {file.name: file.stat().st_mtime_ns for file in folder.glob("*.png")}
    assert len(after) == 12
    assert all(after[f"{image:06d}.png"] == before[f"{image:06d}.png"] for image in range(4))
    drawing = [event for event in of_kind(said, Progress) if event.stage == "Drawing images"]
    assert drawing[0].done >= 4
    assert all(event.rate > 0 and event.total == 12 for event in drawing)


def test_a_process_that_was_killed_behind_the_last_image(run: Path, entry: Path) -> None:
    plan = plan_one(request(run, run, sample=SAMPLE), title="one")
    first, images = measured(plan, entry), _drawn_pixels()
    (folder,) = (path for path in (evaluations_dir() / "drawn").iterdir() if path.is_dir())
    (folder / "labels.csv").unlink()
    folder.with_suffix(".json").unlink()
    assert figures(measured(plan, entry.parent / "b")) == figures(first)
    assert _drawn_pixels() == images
    assert (folder / "labels.csv").is_file()


def test_two_evaluations_do_not_draw_the_same_at_once(run: Path, entry: Path) -> None:
    job = measuring(plan_one(request(run, run, sample=SAMPLE), title="one"), entry)
    next(event for event in job if isinstance(event, Progress) and event.stage == "Drawing images")
    said = measured(plan_one(request(run, run, sample=SAMPLE), title="two"), entry.parent / "b")
    assert "are being drawn by another evaluation" in of_kind(said, PointFailed)[0].message
    assert [type(event) for event in job][-1] is PointDone


def test_a_result_that_was_damaged_is_measured_again(run: Path, entry: Path) -> None:
    plan = over_checkpoints(run)
    first = measured(plan, entry)
    (entry / plan.points[1].result_file).write_text("{")
    again = measured(plan, entry)
    assert figures(again) == figures(first)
    assert of_kind(again, Progress)
    assert read_result(entry, plan.points[1]).value("fid") == figures(first)[1][0][1]


def test_it_is_in_the_table_of_jobs(run: Path, entry: Path) -> None:
    plan = msgspec.to_builtins(over_checkpoints(run))
    said = list(table.call("evaluate_plan", {"plan": plan, "folder": str(entry)}))
    assert isinstance(said[-1], PointDone)


# ------------------------------------------------------------------------------------------------- a run's images


def test_images_of_a_run_that_are_gone_come_from_the_cache(run: Path, entry: Path, tmp_path: Path) -> None:
    fake = write_noise(tmp_path / "noise", count=30)
    before = results(measured(plan_one(request(run, fake), title="a"), entry))[0]
    assert not any("of then" in caution.message for caution in before.cautions)
    (tmp_path / "digits" / "0" / "new.png").write_bytes(next((tmp_path / "digits" / "1").iterdir()).read_bytes())
    changed = results(measured(plan_one(request(run, fake), title="b"), entry.parent / "b"))[0]
    shutil.rmtree(tmp_path / "digits")
    gone = results(measured(plan_one(request(run, fake), title="c"), entry.parent / "c"))[0]
    for result, words in ((changed, "has changed since tiny was trained on it"), (gone, "cannot be read any more")):
        (caution,) = (caution for caution in result.cautions if words in caution.message)
        assert (caution.level, "from the cache" in caution.message) == ("amber", True)
        assert result.results == before.results
        assert result.protocol.key == before.protocol.key
    shutil.rmtree(tmp_path / "cache" / "datasets")
    (failed,) = of_kind(measured(plan_one(request(run, fake), title="d"), entry.parent / "d"), PointFailed)
    assert "The images that tiny was trained on are not there any more" in failed.message


def test_a_run_that_changed_and_is_not_kept_is_measured_as_it_is_now(run: Path, entry: Path, tmp_path: Path) -> None:
    next((tmp_path / "digits" / "1").iterdir()).unlink()
    shutil.rmtree(tmp_path / "cache" / "datasets")
    fake = write_noise(tmp_path / "noise", count=30)
    result = results(measured(plan_one(request(run, fake), title="a"), entry))[0]
    assert result.real.measured == DIGITS - 1
    assert any("the reference is what is there now" in caution.message for caution in result.cautions)
