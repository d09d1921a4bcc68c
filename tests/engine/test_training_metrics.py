"""Metrics while training: what they say, that training does not notice them, and that their failures end nothing."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np
import pytest
import torch

from dit_studio.config import apply_settings, metrics_while_training, parse_recipe, recipe_to_tables
from dit_studio.engine import data, training
from dit_studio.engine.checkpoint import ModelDescription, load_model
from dit_studio.engine.data import ImageSet
from dit_studio.engine.evaluation import training_metrics
from dit_studio.engine.evaluation.extractors import Extractor, open_extractor
from dit_studio.engine.sampling import Samples, sample
from dit_studio.errors import ConfigError
from dit_studio.evaluation_request import EvaluationResult, decode_result
from dit_studio.events import (
    Command,
    Event,
    JobState,
    Measured,
    Metrics,
    Notice,
    Progress,
    Resumed,
    Started,
    StateChanged,
    Validation,
)
from tests.engine.digits import write_digits
from tests.engine.test_evaluate import measured as measured_later

TINY: dict[str, Any] = {
    "data": {"image_size": 8, "validation_fraction": 0.1, "color": "grey"},
    "model": {"hidden_size": 32, "depth": 1, "num_heads": 4, "patch_size": 4},
    "train": {"steps": 4, "batch_size": 8, "warmup_steps": 2, "checkpoint_every": 2, "preview_every": 0,
              "validate_every": 2, "learning_rate": 1e-3},
    "sample": {"steps": 3},
    "evaluate": {"every": 2, "count": 40},
}  # fmt: skip


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_digits(tmp_path_factory.mktemp("digits"), first=0, count=110)


def no_command(_wait: bool) -> Command | None:
    return None


def told(
    digits: str, folder: Path, *settings: str, resume: bool = False, next_command: Any = no_command
) -> list[Event]:
    """All events of a training run."""
    folder.mkdir(exist_ok=True)
    (folder / "checkpoints").mkdir(exist_ok=True)
    (folder / "previews").mkdir(exist_ok=True)
    recipe = parse_recipe(apply_settings(TINY, [f"data.path={digits}", *settings]))
    tables = recipe_to_tables(recipe)
    return list(training.train(recipe=tables, folder=str(folder), next_command=next_command, resume=resume))


T = TypeVar("T", bound=Event)


def of_kind(events: list[Event], kind: type[T]) -> list[T]:
    return [event for event in events if isinstance(event, kind)]


def warnings(events: list[Event]) -> list[str]:
    return [event.message for event in of_kind(events, Notice) if event.level == "warning"]


def kept(folder: Path, step: int) -> EvaluationResult:
    return decode_result((folder / "evaluations" / f"step-{step:07d}.json").read_bytes())


def test_each_metric_comes_at_its_steps_with_its_number_of_images(digits: str, tmp_path: Path) -> None:
    events = told(digits, tmp_path / "run", "evaluate.every=3")
    measured = of_kind(events, Measured)
    assert [(one.step, one.name) for one in measured] == [
        (3, "FD-random-40"), (3, "KD-random-40"), (4, "FD-random-40"), (4, "KD-random-40"),
    ]  # fmt: skip
    assert all(one.value is not None and one.value > 0 and one.n == 40 and one.seconds > 0 for one in measured)
    assert all(one.low is None for one in measured if one.metric == "fid")
    assert all(one.low < one.value < one.high for one in measured if one.metric == "kid")  # type: ignore[operator]
    assert not warnings(events)


def test_the_floor_is_of_real_images_alone_and_stays_as_it_is(digits: str, tmp_path: Path) -> None:
    first, last = (one for one in of_kind(told(digits, tmp_path / "run"), Measured) if one.metric == "fid")
    assert first.floor == last.floor
    assert first.floor is not None
    assert 0 < first.floor < first.value  # type: ignore[operator]
    assert first.floor_n == 40  # twice 40 of the 100 training images are drawn


def test_a_small_data_set_has_a_floor_of_smaller_halves(digits: str, tmp_path: Path) -> None:
    measured = of_kind(told(digits, tmp_path / "run", "evaluate.count=90", "evaluate.metrics=fid"), Measured)
    assert {(one.n, one.floor_n) for one in measured} == {(90, 49)}


def test_the_reference_is_of_training_images_only(digits: str, tmp_path: Path) -> None:
    events = told(digits, tmp_path / "run", "evaluate.count=200", "evaluate.every=4", "sample.steps=1")
    (started,) = of_kind(events, Started)
    assert kept(tmp_path / "run", 4).real.measured == started.images < 110


def test_the_figure_is_that_of_the_averaged_weights_images(digits: str, tmp_path: Path) -> None:
    """Drawn once more from the checkpoint in other batches; the distance from eigenvalues of the product."""
    settings = ["evaluate.count=99", "evaluate.every=4", "sample.steps=2", "train.precision=fp32"]
    fd, _ = of_kind(told(digits, tmp_path / "run", *settings), Measured)
    loaded = load_model(tmp_path / "run")
    request = kept(tmp_path / "run", 4).request.sample
    assert request is not None
    drawn = sample(loaded.model, loaded.config, msgspec.structs.replace(request, batch_size=7))
    extractor = open_extractor("random", device=torch.device("cpu"))
    fake = np.concatenate([extractor(one.images)["features"] for one in drawn if isinstance(one, Samples)])
    images = image_set(digits)
    real = extractor(images.images[images.split(0.1, seed=0)[0]])["features"]
    assert len(real) == len(fake) == 99
    assert fd.value == pytest.approx(frechet_by_eigenvalues(real, fake), rel=1e-5)


def test_the_same_images_measured_later_have_the_same_hashes(digits: str, tmp_path: Path) -> None:
    run = tmp_path / "run"
    told(digits, run, "data.validation_fraction=0", "evaluate.count=110", "evaluate.every=4", "train.precision=fp32")
    result, loaded = kept(run, 4), load_model(run)
    assert result.request.sample is not None
    drawn = [one for one in sample(loaded.model, loaded.config, result.request.sample) if isinstance(one, Samples)]
    pixels = np.concatenate([one.images.numpy() for one in drawn]).transpose(0, 2, 3, 1)
    np.savez(tmp_path / "drawn.npz", pixels)
    later = measured_later(digits, str(tmp_path / "drawn.npz"), metrics=["fid"], has_floor=False)
    assert later.protocol.key == result.protocol.key
    assert later.protocol.fake_hash == result.protocol.fake_hash
    assert later.versions == result.versions
    assert later.value("fid") == pytest.approx(result.value("fid"), rel=1e-4)


def frechet_by_eigenvalues(first: Any, second: Any) -> float:
    first, second = first.astype(float), second.astype(float)
    covariances = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
    roots = np.sqrt(np.clip(np.linalg.eigvals(covariances[0] @ covariances[1]).real, 0, None))
    shift = first.mean(0) - second.mean(0)
    return float(shift @ shift + np.trace(covariances[0] + covariances[1]) - 2 * roots.sum())


def image_set(path: str) -> ImageSet:
    loading = data.load(parse_recipe(apply_settings(TINY, [f"data.path={path}"])).data)
    while True:
        try:
            next(loading)
        except StopIteration as end:
            images: ImageSet = end.value
            return images


def test_the_file_holds_the_figures_and_how_they_were_made(digits: str, tmp_path: Path) -> None:
    events = told(digits, tmp_path / "run")
    for step in (2, 4):
        result = kept(tmp_path / "run", step)
        said = [one for one in of_kind(events, Measured) if one.step == step]
        assert [found.value for found in result.results] == [one.value for one in said]
        assert [found.value for found in result.floor] == [one.floor for one in said]
        assert f"step {step} · EMA, ddim, 3 steps, CFG 2 on all channels, seeds from 0" in result.protocol_line
        assert result.request.sample is not None
        assert result.request.sample.classes == tuple(range(10))
    assert result.fake.content_hash != kept(tmp_path / "run", 2).fake.content_hash


def test_training_does_not_notice(digits: str, tmp_path: Path) -> None:
    measured, plain = told(digits, tmp_path / "a"), told(digits, tmp_path / "b", "evaluate.every=0")
    assert [one.loss for one in of_kind(measured, Metrics)] == [one.loss for one in of_kind(plain, Metrics)]
    assert [one.loss for one in of_kind(measured, Validation)] == [one.loss for one in of_kind(plain, Validation)]
    weights = [(tmp_path / name / "checkpoints" / "step-0000004" / "model.safetensors").read_bytes() for name in "ab"]
    assert weights[0] == weights[1]
    assert not (tmp_path / "b" / "evaluations").exists()


def test_no_random_number_is_taken_from_anybody(digits: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening an extractor fills its network at random first."""
    states = []
    measure = training_metrics.TrainingMetrics.measure

    def watched(*args: Any, **kwargs: Any) -> Iterator[Event]:
        before = torch.random.get_rng_state(), np.random.get_state(legacy=False)
        yield from measure(*args, **kwargs)
        states.append((before, (torch.random.get_rng_state(), np.random.get_state(legacy=False))))

    monkeypatch.setattr(training_metrics.TrainingMetrics, "measure", watched)
    told(digits, tmp_path / "run")
    assert len(states) == 2
    for (torch_before, numpy_before), (torch_after, numpy_after) in states:
        assert torch.equal(torch_before, torch_after)
        np.testing.assert_equal(numpy_before, numpy_after)


def test_a_resumed_run_measures_what_an_unbroken_one_does(digits: str, tmp_path: Path) -> None:
    unbroken = told(digits, tmp_path / "unbroken")
    told(digits, tmp_path / "broken", "train.steps=2")
    resumed = told(digits, tmp_path / "broken", resume=True)
    assert [one.step for one in of_kind(resumed, Resumed)] == [2]
    expected = [(one.name, one.value, one.floor) for one in of_kind(unbroken, Measured) if one.step == 4]
    assert [(one.name, one.value, one.floor) for one in of_kind(resumed, Measured)] == expected


def test_features_of_the_reference_are_kept(digits: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told(digits, tmp_path / "first")
    seen = []
    call = Extractor.__call__

    def counted(self: Extractor, images: Any) -> Any:
        seen.append(len(images))
        return call(self, images)

    monkeypatch.setattr(Extractor, "__call__", counted)
    told(digits, tmp_path / "second")
    assert sum(image_count for image_count in seen if image_count > 1) == 2 * 40  # drawn ones alone


def test_more_classes_than_images_are_taken_evenly() -> None:
    recipe = parse_recipe(TINY | {"evaluate": {"count": 16}})
    description = ModelDescription.from_recipe(recipe, class_names=tuple(map(str, range(1000))))
    request = training_metrics.sample_request(recipe, description, description.build())
    assert (len(request.classes), request.classes[0], request.classes[-1]) == (16, 0, 999)
    assert request.batch_size == 16


# ------------------------------------------------------------------------------------------------- what goes wrong


def test_without_the_weights_training_goes_on_with_a_notice(
    digits: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIT_STUDIO_CACHE", str(tmp_path / "empty"))
    events = told(digits, tmp_path / "run", "evaluate.extractor=inception")
    assert of_kind(events, StateChanged)[-1].state is JobState.FINISHED
    assert not of_kind(events, Measured)
    assert [one.step for one in of_kind(events, Notice)] == [2, 4]
    assert all(
        text.startswith("No metrics at step ") and "inception needs " in text and "which is not on this machine" in text
        for text in warnings(events)
    )


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (torch.OutOfMemoryError("out of memory"), "they do not fit into the memory of the device"),
        (ValueError("a library's own"), "ValueError: a library's own"),
    ],
)
def test_what_an_extractor_throws_is_a_notice(
    digits: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
) -> None:
    def fail(*_args: Any) -> None:
        raise error

    monkeypatch.setattr(Extractor, "__call__", fail)
    events = told(digits, tmp_path / "run")
    assert of_kind(events, StateChanged)[-1].state is JobState.FINISHED
    assert [said in text for text in warnings(events)] == [True, True]


def test_features_that_are_no_numbers_are_a_notice(
    digits: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told(digits, tmp_path / "keeps the reference")
    call = Extractor.__call__
    monkeypatch.setattr(
        Extractor, "__call__", lambda self, images: {"features": call(self, images)["features"] * np.nan}
    )
    events = told(digits, tmp_path / "run")
    assert ["not all finite" in text for text in warnings(events)] == [True, True]
    assert of_kind(events, StateChanged)[-1].state is JobState.FINISHED


def test_a_metric_without_a_value_says_why(digits: str, tmp_path: Path) -> None:
    events = told(digits, tmp_path / "run", "evaluate.metrics=fid,fd-infinity", "evaluate.every=4")
    assert [one.metric for one in of_kind(events, Measured)] == ["fid"]
    (text,) = warnings(events)
    assert text.startswith("No FD∞-random-40 at step 4: No FID∞ from 40 images")


def test_stop_ends_measuring_and_saves(digits: str, tmp_path: Path) -> None:
    """While images are drawn: the command is heard at the next batch, not after all of them."""
    events: list[Event] = []

    def stop_while_measuring(_wait: bool) -> Command | None:
        is_drawing = bool(events) and isinstance(events[-1], Progress) and events[-1].stage == "Metrics: drawing"
        return Command.STOP if is_drawing and Command.STOP not in given and not given.append(Command.STOP) else None

    given: list[Command] = []
    folder = tmp_path / "run"
    for part in ("checkpoints", "previews"):
        (folder / part).mkdir(parents=True)
    tables = recipe_to_tables(parse_recipe(apply_settings(TINY, [f"data.path={digits}", "evaluate.batch_size=16"])))
    for event in training.train(recipe=tables, folder=str(folder), next_command=stop_while_measuring):
        events.append(event)
    assert of_kind(events, StateChanged)[-1].state is JobState.STOPPED
    assert of_kind(events, StateChanged)[-1].step == 2
    assert not of_kind(events, Measured)
    assert max(one.done for one in of_kind(events, Progress) if one.stage == "Metrics: drawing") < 40
    assert (folder / "checkpoints" / "step-0000002").exists()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (["evaluate.metrics=fid,fod"], 'There is no metric "fod"'),
        (["evaluate.metrics=sfid"], "choose the extractor inception"),
        (["evaluate.metrics=copying"], "not possible while training"),
        (["evaluate.count=15"], "from 16 to 50000"),
        (["evaluate.evry=3"], "Did you mean evaluate.every?"),
        (["evaluate.extractor=vgg"], "one of random, inception"),
    ],
)
def test_a_recipe_that_cannot_be_measured_is_refused(settings: list[str], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_recipe(apply_settings(TINY, settings))
    assert sentence in caught.value.problems[0].message


def test_empty_metrics_are_all_that_training_can_measure() -> None:
    recipe = parse_recipe(apply_settings(TINY, ["evaluate.metrics="]))
    metrics = metrics_while_training(recipe.evaluate)
    assert {"fid", "kid", "mmd", "precision"} < set(metrics)
    assert "copying" not in metrics
