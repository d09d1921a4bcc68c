"""The job that measures: digits in the order that they must have, the cache, interruption, and what is refused."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args

import msgspec
import numpy as np
import pytest
import torch
from PIL import Image

from dit_studio import events
from dit_studio.engine.evaluation import evaluate as job
from dit_studio.engine.evaluation import extraction
from dit_studio.engine.evaluation.extractors import NAMES, Extractor, Features, open_extractor
from dit_studio.engine.evaluation.feature_store import FeatureStore, Seen, open_store, remove_oldest
from dit_studio.engine.evaluation.frechet import frechet_distance
from dit_studio.engine.evaluation.metric_names import chosen_metrics, metric_name
from dit_studio.engine.evaluation.statistics_file import Statistics, write_statistics
from dit_studio.engine.evaluation.weights import weights_for
from dit_studio.engine.export.png import encode_png
from dit_studio.errors import CheckpointError, ConfigError, DataError, RunError
from dit_studio.evaluation_request import EvaluationResult, ExtractorName, decode_result, encode_result
from dit_studio.events import EvaluationDone, Event, Progress, SettingsRefused, Written
from dit_studio.jobs import table
from dit_studio.sample_request import ModelReference, SampleRecord, SampleRequest
from tests.engine.digits import shuffled_digits, write_digits, write_images, write_noise
from tests.engine.inception_states import random_state

PLAIN = {"metrics": ["fid", "kid", "mmd", "precision", "recall", "density", "coverage"]}


def measured(real: str, fake: str, **options: Any) -> EvaluationResult:
    return result_of(job.evaluate({"real": real, "fake": fake, **options}))


def result_of(said: Iterable[Event]) -> EvaluationResult:
    return next(decode_result(event.result) for event in said if isinstance(event, EvaluationDone))


def figures(result: EvaluationResult) -> bytes:
    """All that is computed, as text: equal to the last digit or not."""
    return msgspec.json.encode([result.results, result.floor, result.copying])


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    root = tmp_path_factory.mktemp("digits")
    return {
        "train": write_digits(root / "train", first=0, count=120),
        "held out": write_digits(root / "held out", first=120, count=120),
        "noise": write_noise(root / "noise", count=120),
        "copied": write_images(root / "copied", shuffled_digits()[0][:60]),
    }


# ------------------------------------------------------------------------------------------------- what it says


def test_every_metric_puts_real_digits_before_noise(digits: dict[str, str]) -> None:
    real, noise = measured(digits["train"], digits["held out"]), measured(digits["train"], digits["noise"])
    better = {found.metric: found.better for found in real.results}
    for metric in PLAIN["metrics"]:
        of_real, of_noise = real.value(metric), noise.value(metric)
        assert of_real is not None
        assert of_noise is not None
        assert of_real < of_noise if better[metric] == "lower" else of_real > of_noise, metric
    assert real.value("agreement") > 0.8  # type: ignore[operator]
    assert noise.value("agreement") is None


def test_names_say_what_it_is_and_of_how_many() -> None:
    extractor = open_extractor("random", device=torch.device("cpu"))
    assert [metric_name("fid", extractor, n) for n in (500, 5000, 1234)] == [
        "FD-random-500",
        "FD-random-5k",
        "FD-random-1234",
    ]
    names = [metric_name(metric, extractor, 10) for metric in chosen_metrics((), "random")]
    assert not any("FID" in name or "KID" in name for name in names)


def test_the_request_knows_every_extractor() -> None:
    assert get_args(ExtractorName) == NAMES


def test_a_name_tells_how_many_it_is_of_where_fewer_are_compared(digits: dict[str, str]) -> None:
    result = measured(digits["copied"], digits["noise"], metrics=["fid", "kid", "precision"], has_floor=False)
    assert [found.name for found in result.results] == ["FD-random-120", "KD-random-120", "Precision-random-60"]
    assert [(found.n_real, found.n_fake) for found in result.results] == [(60, 120), (60, 120), (60, 60)]


def test_each_figure_has_an_interval_or_says_why_not(digits: dict[str, str]) -> None:
    result = measured(digits["train"], digits["held out"])
    for found in (*result.results, *result.floor):
        if found.value is None:
            assert found.why_no_value.endswith(".")
        elif found.interval is None:
            assert found.why_no_interval.endswith(".")
        else:
            assert found.interval.low <= found.value <= found.interval.high
            assert found.interval.n == found.n_fake
    frechet = result.results[0]
    assert frechet.smaller is not None
    assert frechet.smaller.n == 60
    assert frechet.smaller.low > frechet.value  # type: ignore[operator]  # of fewer images it is larger


def test_the_floor_is_one_half_of_the_reference_against_the_other(digits: dict[str, str]) -> None:
    result = measured(digits["train"], digits["noise"], **PLAIN)
    assert [found.metric for found in result.floor] == PLAIN["metrics"]
    assert all(found.n_real == found.n_fake == 60 for found in result.floor)
    assert result.floor[1].value < result.results[1].value  # type: ignore[operator]
    assert measured(digits["train"], digits["noise"], has_floor=False).floor == ()


def test_a_copied_training_set_is_caught(digits: dict[str, str]) -> None:
    copied, honest = (measured(digits["train"], digits[name]).copying for name in ("copied", "held out"))
    assert copied is not None
    assert honest is not None
    assert (copied.share_closer, copied.exact, copied.is_suspicious) == (1.0, 60, True)
    assert (honest.exact, honest.is_suspicious) == (0, False)
    assert honest.share_closer < 0.2
    for copy in copied.copies:
        assert Path(copy.nearest[0].image).name == copy.image
        assert copy.nearest[0].distance == 0
    cautions = measured(digits["train"], digits["copied"]).cautions
    assert (cautions[0].level, cautions[0].metric) == ("red", "copying")


def test_a_few_copies_among_honest_images_are_cautioned_of(digits: dict[str, str], tmp_path: Path) -> None:
    images, _ = shuffled_digits()
    mixed = write_images(tmp_path / "mixed", np.concatenate([images[:3], images[120:240]]))
    result = measured(digits["train"], mixed, metrics=["copying"], has_floor=False)
    assert result.copying is not None
    assert (result.copying.exact, result.copying.is_suspicious) == (3, False)
    (caution,) = [caution for caution in result.cautions if caution.metric == "copying"]
    assert caution.level == "amber"
    assert caution.message.startswith("3 generated images are copies of reference images, to the last byte")


def test_a_count_hides_no_copies(digits: dict[str, str]) -> None:
    """Copies are looked for in the whole reference; every other figure is of the seed's part of it, as without."""
    asked = {"count": 40, "metrics": ["fid", "kid", "copying"]}
    found = measured(digits["train"], digits["copied"], **asked)
    whole = measured(digits["train"], digits["copied"], metrics=["copying"])
    assert found.copying is not None
    assert whole.copying is not None
    assert (found.copying.exact, found.copying.searched, found.fake.measured) == (40, 120, 40)
    assert (found.copying.threshold, found.copying.floor) == (whole.copying.threshold, whole.copying.floor)
    without = measured(digits["train"], digits["copied"], **asked | {"metrics": ["fid", "kid"]})
    assert (found.results, found.floor, found.real) == (without.results, without.floor, without.real)
    said = [caution.message for caution in found.cautions if caution.level == "note"]
    assert "Copies were looked for among all 120 reference images; the other figures are of 40 of them." in said
    assert not any("looked for" in caution.message for caution in whole.cautions)


def test_the_protocol_names_everything(digits: dict[str, str]) -> None:
    result = measured(digits["train"], digits["held out"], count=100, seed=3, metrics=["kd"])
    protocol = result.protocol
    assert (protocol.extractor, protocol.resize, protocol.n_real, protocol.n_fake) == ("random", "area-64", 100, 100)
    assert protocol.real_hash == result.real.content_hash != result.fake.content_hash
    for words in ("random features", protocol.weights_sha256[:8], "area-64", "100 reference images", "seed 3"):
        assert words in result.protocol_line
    assert [found.metric for found in result.results] == ["kid"]
    assert {"dit-studio", "torch", "numpy"} <= result.versions.keys()


def test_figures_of_one_reference_and_one_extractor_share_an_axis(digits: dict[str, str]) -> None:
    options = {"metrics": ["kid"], "has_floor": False}
    first, second = (measured(digits["train"], digits[name], **options).protocol for name in ("held out", "noise"))
    other = measured(digits["held out"], digits["noise"], **options).protocol
    assert first.key == second.key != other.key


def test_a_result_survives_its_file(digits: dict[str, str], tmp_path: Path) -> None:
    out = tmp_path / "evaluations" / "one.json"
    said = list(job.evaluate({"real": digits["train"], "fake": digits["noise"]}, out=str(out)))
    assert isinstance(said[-1], Written)
    assert decode_result(out.read_bytes()) == result_of(said)
    assert events.decode(events.encode(said[-2])) == said[-2]
    with pytest.raises(DataError, match="damaged"):
        decode_result("{}")
    later = encode_result(msgspec.structs.replace(result_of(said), version=99))
    with pytest.raises(DataError, match="version 99"):
        decode_result(later)


# ------------------------------------------------------------------------------------------------- the cache


def test_a_second_run_extracts_nothing_and_is_equal(digits: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    first = measured(digits["train"], digits["held out"])
    monkeypatch.setattr(Extractor, "__call__", _never)
    second = measured(digits["train"], digits["held out"])
    assert figures(first) == figures(second)
    other = measured(digits["train"], digits["held out"], metrics=["precision"])
    assert other.value("precision") == first.value("precision")


def _never(*_: object) -> dict[str, Features]:
    raise AssertionError("the features are in the cache")


@pytest.mark.parametrize(("batches", "metrics", "stage"), [
    (1, ["fid", "kid"], "Reference"), (3, ["fid", "kid"], "Reference"),
    (3, ["fid", "copying"], "Reference, to find copies"),
])  # fmt: skip
def test_going_on_equals_no_interruption(
    digits: dict[str, str], batches: int, metrics: list[str], stage: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    options = {"batch_size": 16, "count": 96, "metrics": metrics}
    whole = measured(digits["train"], digits["noise"], **options)
    monkeypatch.setenv("DIT_STUDIO_CACHE", str(tmp_path / "another"))
    monkeypatch.setattr(extraction, "_TOLD_SECONDS", 0.0)
    stopped = job.evaluate({"real": digits["train"], "fake": digits["noise"], **options})
    for event in stopped:
        if isinstance(event, Progress) and event.stage == stage and event.done >= 16 * batches:
            break
    stopped.close()
    said = list(job.evaluate({"real": digits["train"], "fake": digits["noise"], **options}))
    first = next(event for event in said if isinstance(event, Progress) and event.stage == stage)
    assert first.done == 16 * batches
    assert figures(result_of(said)) == figures(whole)
    assert result_of(said).real == whole.real


def test_going_on_with_an_archive_of_which_some_are_wanted(
    digits: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = np.repeat(shuffled_digits()[0][:200, :, :, None], 3, axis=3)
    np.savez(tmp_path / "samples.npz", images)
    options = {"batch_size": 16, "count": 90, "metrics": ["kid", "copying"]}
    whole = measured(digits["train"], str(tmp_path / "samples.npz"), **options)
    monkeypatch.setenv("DIT_STUDIO_CACHE", str(tmp_path / "another"))
    monkeypatch.setattr(extraction, "_TOLD_SECONDS", 0.0)
    request = {"real": digits["train"], "fake": str(tmp_path / "samples.npz"), **options}
    stopped = job.evaluate(request)
    for event in stopped:
        if isinstance(event, Progress) and event.stage == "Generated images" and event.done >= 32:
            break
    stopped.close()
    assert figures(result_of(job.evaluate(request))) == figures(whole)


def test_one_can_stop_on_the_way_to_an_image_that_is_wanted(
    digits: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extraction, "_TOLD_SECONDS", 0.0)
    np.savez(tmp_path / "samples.npz", np.repeat(shuffled_digits()[0][:400, :, :, None], 3, axis=3))
    request = {"real": digits["train"], "fake": str(tmp_path / "samples.npz"), "metrics": ["kid"], "has_floor": False}
    said = list(job.evaluate({**request, "count": 4, "batch_size": 5}))
    steps = [event for event in said if isinstance(event, Progress) and event.stage == "Generated images"]
    assert len(steps) > 40  # of 80 blocks
    assert result_of(said).fake.measured == 4


def test_going_on_with_mixed_sizes_and_a_broken_file(
    digits: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, draws = tmp_path / "mixed", np.random.default_rng(3)
    folder.mkdir()
    for number in range(90):
        height, width = draws.integers(5, 8, 2)
        Image.fromarray(draws.integers(0, 256, (height, width, 3), dtype=np.uint8)).save(folder / f"{number:03}.png")
    (folder / "040.png").write_bytes(b"broken")
    request = {"real": str(folder), "fake": digits["noise"], "batch_size": 4, "metrics": ["fid", "kid", "copying"]}
    whole = result_of(job.evaluate(request))
    for stop_at in (8, 40, 70):
        monkeypatch.setenv("DIT_STUDIO_CACHE", str(tmp_path / str(stop_at)))
        monkeypatch.setattr(extraction, "_TOLD_SECONDS", 0.0)
        stopped = job.evaluate(request)
        for event in stopped:
            if isinstance(event, Progress) and event.stage == "Reference" and event.done >= stop_at:
                break
        stopped.close()
        again = result_of(job.evaluate(request))
        assert figures(again) == figures(whole)
        assert (again.real.measured, again.real.left_out) == (89, whole.real.left_out)


def test_classes_are_matched_by_name(digits: dict[str, str], tmp_path: Path) -> None:
    images, labels = shuffled_digits()
    kept = labels[200:300] >= 5  # numbered 0 … 4 on their own
    fake = write_images(tmp_path / "high", images[200:300][kept], labels[200:300][kept])
    found = measured(digits["train"], fake, metrics=["agreement"], has_floor=False).results[0]
    assert found.value is not None
    assert found.value > 0.75
    assert {"5", "9", "of_real"} <= found.details.keys()
    other = write_images(tmp_path / "other", images[:20], labels[:20] + 7)
    (refused,) = measured(digits["train"], other, metrics=["agreement"], has_floor=False).results
    assert "that the reference lacks" in refused.why_no_value


def test_what_a_killed_process_wrote_last_does_not_count(tmp_path: Path) -> None:
    key, outputs, path = {"source": "a"}, {"features": 2}, "/data/images"
    numbers, rows = np.arange(3), np.arange(6, dtype=np.float32).reshape(3, 2)
    columns = {"hashes": numbers.astype(np.uint64), "looks": np.zeros(3, np.uint32)}
    with open_store(key, outputs, path=path) as store:
        store.append(numbers, **columns, features={"features": rows})
        store.commit(Seen(), now=True)
        store.append(numbers, **columns, features={"features": rows})  # never committed
    with open_store(key, outputs, path=path) as store:
        assert store.rows == 3
        store.append(numbers + 3, **columns, features={"features": rows + 10})
        store.commit(Seen(), is_complete=True)
    with open_store(key, outputs, path=path) as store:
        assert store.is_complete
        np.testing.assert_array_equal(store.numbers(), np.arange(6))
        np.testing.assert_array_equal(store.features()["features"], np.concatenate([rows, rows + 10]))
        sentence = "The features of /data/images are being extracted by another process"
        with pytest.raises(RunError, match=sentence), open_store(key, outputs, path=path):
            pass
    folder = next(path.parent for path in (tmp_path / "cache" / "features").glob("*/state.json"))
    (folder / "features.bin").write_bytes(b"short")
    assert FeatureStore(folder, outputs).rows == 0


def test_the_features_that_were_used_longest_ago_make_room(tmp_path: Path) -> None:
    for age, name in enumerate(("new", "old", "older")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "features.bin").write_bytes(bytes(1000))
        os.utime(tmp_path / name, (10**9 - age, 10**9 - age))
    remove_oldest(tmp_path, keeping=tmp_path / "older", most_bytes=2500)
    assert {path.name for path in tmp_path.iterdir()} >= {"new", "older"}
    assert not (tmp_path / "old").exists()


def test_progress_has_a_rate(digits: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extraction, "_TOLD_SECONDS", 0.0)
    said = [
        event
        for event in job.evaluate({"real": digits["train"], "fake": digits["noise"], "metrics": ["kid"]})
        if isinstance(event, Progress) and event.stage == "Reference"
    ]
    assert said[-1].done == said[-1].total == 120
    assert said[-1].rate > 0
    assert [event.done for event in said] == sorted(event.done for event in said)


# ------------------------------------------------------------------------------------------------- statistics


def _statistics(path: Path, images: int = 120, **meta: str) -> Statistics:
    """Saved statistics of the training digits, by the random extractor."""
    extractor = open_extractor("random", device=torch.device("cpu"))
    features = extractor(shuffled_digits()[0][:images, None])["features"].astype(np.float64)
    found = Statistics(mu=features.mean(0), sigma=np.cov(features, rowvar=False), n=images, meta=dict(meta))
    write_statistics(path, found)
    return found


def test_statistics_serve_frechet_distances_alone(digits: dict[str, str], tmp_path: Path) -> None:
    known = open_extractor("random", device=torch.device("cpu"))
    saved = _statistics(tmp_path / "real.npz", protocol="area-64", weights_sha256=known.weights_sha256)
    result = measured(str(tmp_path / "real.npz"), digits["noise"])
    fake = np.stack([np.asarray(Image.open(path)) for path in sorted(Path(digits["noise"]).iterdir())])[:, None]
    features = known(fake)["features"].astype(np.float64)
    expected = frechet_distance(saved.mu, saved.sigma, features.mean(0), np.cov(features, rowvar=False))
    assert result.value("fid") == pytest.approx(expected, rel=1e-6)
    assert result.results[0].n_real == 120
    without = [found for found in result.results if found.value is None]
    assert {"kid", "mmd", "precision", "coverage"} <= {found.metric for found in without}
    assert all("statistics only" in found.why_no_value for found in without if found.metric == "kid")
    assert (result.floor, result.copying) == ((), None)
    assert "statistics only" in result.why_no_copying
    assert "halved" in result.why_no_floor
    assert not [caution for caution in result.cautions if "means nothing" in caution.message]


def test_statistics_of_another_protocol_give_way_to_the_images_beside_them(
    digits: dict[str, str], tmp_path: Path
) -> None:
    saved = _statistics(tmp_path / "s.npz", protocol="adm-tf1")
    images = np.repeat(shuffled_digits()[0][:120, :, :, None], 3, 3)
    write_statistics(tmp_path / "both.npz", saved, images=[images], image_count=120)
    np.savez(tmp_path / "images.npz", arr_0=images)
    result, plain = (
        measured(str(tmp_path / name), digits["noise"], metrics=["fid"], has_floor=False)
        for name in ("both.npz", "images.npz")
    )
    assert result.value("fid") == plain.value("fid")
    assert not result.real.is_from_statistics
    told = [caution.message for caution in result.cautions if "made as adm-tf1, not as area-64" in caution.message]
    assert told[0].endswith("the 120 images in the same file are measured instead.")
    assert not any("means nothing" in caution.message for caution in result.cautions)
    alone = measured(str(tmp_path / "s.npz"), digits["noise"], metrics=["fid"], has_floor=False)
    assert any("means nothing" in caution.message and caution.level == "red" for caution in alone.cautions)


def test_pickled_images_are_refused_with_the_reason(digits: dict[str, str], tmp_path: Path) -> None:
    np.savez(tmp_path / "p.npz", arr_0=np.array([{}, {}], object))
    with pytest.raises(DataError, match="pickled Python objects, which could run code"):
        measured(digits["train"], str(tmp_path / "p.npz"))


def test_a_reference_batch_serves_by_its_statistics_and_its_images(digits: dict[str, str], tmp_path: Path) -> None:
    known = open_extractor("random", device=torch.device("cpu"))
    pixels = shuffled_digits()[0][:120]
    features = known(pixels[:, None])["features"].astype(np.float64)
    arrays = {"mu": features.mean(0), "sigma": np.cov(features, rowvar=False)}
    np.savez(tmp_path / "batch.npz", arr_0=np.repeat(pixels[:50, :, :, None], 3, axis=3), **arrays)
    result = measured(str(tmp_path / "batch.npz"), digits["train"], metrics=["fid", "kid", "precision"])
    assert abs(result.value("fid") or 1) < 0.01  # of all 120, which its statistics are of
    assert [found.n_real for found in result.results] == [0, 50, 50]
    assert any("do not say" in caution.message for caution in result.cautions)


def test_images_tell_how_they_were_drawn(digits: dict[str, str], tmp_path: Path) -> None:
    guided = {"cfg": 4.0, "cfg_channels": "three", "cfg_from": 100, "cfg_to": 700}
    request = SampleRequest(**{"count": 3, "steps": 20, "seed": 5, "eta": 0.5, **guided})
    model = ModelReference(path="run", name="digits · step 2,000 · raw", step=2000, weights="raw", fingerprint="ab12")
    for number, image in enumerate(shuffled_digits()[0][:3, :, :, None]):
        png = encode_png(image, SampleRecord(request=request, model=model), number)
        (tmp_path / f"{number:06}.png").write_bytes(png)
    result = measured(digits["train"], str(tmp_path), metrics=["kid"], has_floor=False)
    assert result.fake.drawn_by is not None
    assert result.fake.drawn_by.model == model
    guidance = "CFG 4 on three channels at t from 100 to 700"
    for words in ("digits · step 2,000 · raw", "ddim", "η 0.5", "20 steps", guidance, "seeds from 5", "file ab12"):
        assert words in result.protocol.drawn
        assert words in result.protocol_line
    said = " ".join(caution.message for caution in result.cautions)
    assert "raw weights" in said
    assert "CFG 4" in said


def test_it_is_in_the_table_of_jobs(digits: dict[str, str]) -> None:
    said = list(table.call("evaluate", {"request": {"real": digits["train"], "fake": digits["noise"]}}))
    assert isinstance(said[-1], EvaluationDone)


def test_statistics_of_another_protocol_are_a_red_caution(digits: dict[str, str], tmp_path: Path) -> None:
    _statistics(tmp_path / "real.npz", protocol="clean", weights_sha256="f" * 64)
    cautions = measured(str(tmp_path / "real.npz"), digits["noise"]).cautions
    red = [caution.message for caution in cautions if caution.level == "red" and "means nothing" in caution.message]
    assert len(red) == 2
    assert "clean" in red[0]


def test_statistics_of_another_extractor_are_refused(digits: dict[str, str], tmp_path: Path) -> None:
    write_statistics(tmp_path / "other.npz", Statistics(mu=np.zeros(2048), sigma=np.eye(2048)))
    with pytest.raises(DataError, match=r"statistics of 2,048 numbers .* gives 256"):
        measured(str(tmp_path / "other.npz"), digits["noise"])


def test_statistics_cannot_be_measured(digits: dict[str, str], tmp_path: Path) -> None:
    _statistics(tmp_path / "real.npz")
    with pytest.raises(DataError, match="saved statistics can only be a reference"):
        measured(digits["train"], str(tmp_path / "real.npz"))


# ------------------------------------------------------------------------------------------------- bad input


def test_folders_with_too_little_in_them(digits: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty"):
        measured(digits["train"], str(tmp_path / "empty"))
    one = write_images(tmp_path / "one", shuffled_digits()[0][:1])
    with pytest.raises(DataError, match="only one image"):
        measured(digits["train"], one)
    assert (measured(digits["train"], digits["noise"], metrics=["kid"])).value("kid") is not None


def test_broken_files_sizes_and_modes_are_named_and_the_rest_is_measured(
    digits: dict[str, str], tmp_path: Path
) -> None:
    folder = tmp_path / "mixed"
    write_images(folder, shuffled_digits()[0][:50])
    (folder / "020.png").write_bytes((folder / "020.png").read_bytes()[:60])
    (folder / "021.png").write_bytes(b"no image at all")
    for number, mode in enumerate(("RGBA", "P", "1", "I;16", "CMYK")):
        name = folder / f"1{number:02}.{'jpg' if mode == 'CMYK' else 'png'}"
        Image.new(mode, (17 + number, 9)).save(name)
    result = measured(digits["train"], str(folder))
    assert result.fake.measured == 53
    assert "020.png" in result.fake.left_out
    assert "021.png" in result.fake.left_out
    assert any(caution.level == "amber" and "020.png" in caution.message for caution in result.cautions)
    assert (result.fake.smallest, result.fake.largest) == ((8, 8), (21, 9))
    assert set(result.fake.formats) == {"PNG", "JPEG"}
    assert any("PNG" in caution.message and "JPEG" in caution.message for caution in result.cautions)
    assert figures(measured(digits["train"], str(folder))) == figures(result)


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"arr_0": np.array([{}, {}], dtype=object)}, "object|pickled"),
        ({"other": np.zeros(3)}, 'no array "arr_0"'),
        ({"arr_0": np.zeros((4, 8, 8, 3), np.float32)}, "float32"),
        ({"arr_0": np.zeros((4, 8, 8), np.uint8)}, r"shape \(4, 8, 8\)"),
    ],
)
def test_archives_that_hold_no_images(
    digits: dict[str, str], tmp_path: Path, arrays: dict[str, Any], sentence: str
) -> None:
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(DataError, match=sentence):
        measured(digits["train"], str(tmp_path / "bad.npz"))
    with pytest.raises(DataError):
        measured(str(tmp_path / "bad.npz"), digits["noise"])


def test_grey_archives_can_be_a_reference(digits: dict[str, str], tmp_path: Path) -> None:
    np.savez(tmp_path / "grey.npz", shuffled_digits()[0][:50, :, :, None])
    assert measured(str(tmp_path / "grey.npz"), digits["noise"], metrics=["kid"]).real.measured == 50


def test_features_that_are_not_numbers_stop_it_and_the_rest_is_kept(
    digits: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real_call, calls = Extractor.__call__, []

    def third_is_nan(self: Extractor, images: Any) -> dict[str, Features]:
        calls.append(1)
        found = real_call(self, images)
        if len(calls) == 3:
            found["features"][5] = np.nan
        return found

    with monkeypatch.context() as patched:
        patched.setattr(Extractor, "__call__", third_is_nan)
        with pytest.raises(DataError, match=r"The features of image 37 of .* not all finite"):
            measured(digits["train"], digits["noise"], batch_size=16)
    said = list(job.evaluate({"real": digits["train"], "fake": digits["noise"], "batch_size": 16}))
    assert next(event for event in said if isinstance(event, Progress) and event.stage == "Reference").done == 32


@pytest.mark.parametrize("name", ["ema.safetensors", "model.safetensors", "model_index.json"])
def test_a_model_is_no_reference(digits: dict[str, str], tmp_path: Path, name: str) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / name).write_text("")
    with pytest.raises(DataError, match=r"is a model, and no reference.*Give the run that it is of"):
        measured(str(tmp_path / "model"), digits["train"])


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"metrics": ["fod"]}, "no metric"),
        ({"metrics": ["sfid"]}, "Inception"),
        ({"metrics": ["cmmd"]}, "CLIP ViT-L/14-336"),
        ({"extractor": "vgg"}, "vgg"),
        ({"protocol": "clean"}, "one protocol"),
        ({"count": 1}, "count"),
        ({"colour": 1}, "colour"),
        ({"weights": "a.pth"}, "takes no weights"),
    ],
)
def test_requests_that_make_no_sense_are_refused(
    digits: dict[str, str], options: dict[str, Any], sentence: str
) -> None:
    (said,) = [
        event
        for event in job.evaluate({"real": digits["train"], "fake": digits["noise"], **options})
        if not isinstance(event, Progress)
    ]
    assert isinstance(said, SettingsRefused)
    assert sentence in said.problems[0][1]


def test_where_nothing_can_be_written_it_says_so_before_the_work(digits: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is a folder"):
        next(job.evaluate({"real": digits["train"], "fake": digits["noise"]}, out=str(tmp_path)))


@pytest.mark.skipif(os.name == "nt", reason="names of files are text there")
def test_names_that_are_no_text(digits: dict[str, str], tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"b\xff")
    write_images(folder, shuffled_digits()[0][:5])
    result = measured(digits["train"], str(folder), metrics=["copying"])
    assert "udcff" in result.fake.path
    assert result.copying is not None


def test_too_few_for_what_was_asked_is_said(digits: dict[str, str]) -> None:
    cautions = measured(digits["train"], digits["noise"], count=5000, metrics=["kid"]).cautions
    assert any("5,000 images were asked for" in caution.message for caution in cautions)


# ------------------------------------------------------------------------------------------------- Inception


def test_missing_weights_are_named_with_size_and_hash(
    digits: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("TORCH_HOME", "HF_HOME", "HF_HUB_CACHE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    with pytest.raises(CheckpointError) as caught:
        measured(digits["train"], digits["noise"], extractor="inception")
    for words in ("pt_inception-2015-12-05-6726825d.pth", "95,628,359 bytes", "6726825d0af5f729", "github", "models"):
        assert words in str(caught.value)
    with pytest.raises(CheckpointError, match="openai/clip-vit-base-patch32"):
        weights_for("clip-b32")
    with pytest.raises(CheckpointError, match="does not exist"):
        weights_for("inception", str(tmp_path / "nowhere.pth"))


def test_inception_gives_fid_sfid_and_is_from_one_pass(tmp_path: Path) -> None:
    weights = tmp_path / "weights.pth"
    torch.save(random_state(0), weights)
    few = [write_digits(tmp_path / name, first=first, count=10) for name, first in (("a", 0), ("b", 10))]
    result = measured(*few, extractor="inception", weights=str(weights), metrics=["fid", "sfid", "is", "kid"])
    assert [found.name for found in result.results] == [
        "FID-10 (ADM)",
        "sFID-10 (ADM)",
        "IS-10 (ADM)",
        "KID-10 (ADM)",
    ]
    assert all(found.value is not None for found in result.results)
    assert not result.protocol.are_weights_published
    assert any("not the published file" in caution.message for caution in result.cautions)


def test_unknown_metrics_name_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="fid, fid-infinity, kid"):
        chosen_metrics(("fod",), "random")
    assert chosen_metrics(("FD", "fid", "kd"), "random") == ("fid", "kid")
