"""What a path is, before anything is measured: kinds, numbers, classes, warnings; and what is refused."""

import shutil
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from dit_studio.engine import image_files
from dit_studio.engine.evaluation.statistics_file import Statistics, write_statistics
from dit_studio.errors import CheckpointError, StudioError
from dit_studio.events import Event, Progress, SourceDescribed
from dit_studio.jobs import table
from dit_studio.sample_request import SampleRequest
from tests.engine.digits import shuffled_digits, write_digits, write_images
from tests.engine.tiny_runs import DIGITS, write_tiny_run


@pytest.fixture(autouse=True)
def _no_image_is_decoded(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    if "run" in request.fixturenames:
        return

    def refuse(*_: Any) -> None:
        raise AssertionError("an image was decoded")

    monkeypatch.setattr(image_files, "decode_whole", refuse)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_tiny_run(tmp_path)


def described(path: str | Path, role: str = "real") -> SourceDescribed:
    events: list[Event] = list(table.call("describe_source", {"path": str(path), "role": role}))
    assert all(isinstance(event, Progress) for event in events[:-1])
    assert isinstance(events[-1], SourceDescribed)
    assert (events[-1].path, events[-1].role) == (str(path), role)
    return events[-1]


@pytest.mark.parametrize("role", ["real", "fake"])
def test_folders_and_archives(tmp_path: Path, role: str) -> None:
    folder = Path(write_digits(tmp_path / "digits", first=0, count=50))
    with zipfile.ZipFile(tmp_path / "digits.zip", "w") as packed, tarfile.open(tmp_path / "digits.tar", "w") as taped:
        for file in sorted(folder.rglob("*.png")):
            packed.write(file, file.relative_to(folder))
            taped.add(file, file.relative_to(folder))
    for path, kind in ((folder, "folder"), (tmp_path / "digits.zip", "zip"), (tmp_path / "digits.tar", "tar")):
        found = described(path, role)
        assert (found.source, found.images, found.classes) == (kind, 50, tuple("0123456789"))
        assert found.has_labels
        assert found.warnings == (
            "50 images are too few for a Fréchet distance (FID, FD): below 2,048 its bias is larger than what models "
            "differ by. Go by a kernel distance (KID, KD or MMD).",
        )
        assert (found.levels, found.size, found.colour) == (("red",), (8, 8), "")


def test_every_warning_has_its_level(tmp_path: Path) -> None:
    for count, levels in ((2047, ("red",)), (9999, ("amber",)), (10_000, ())):
        np.savez(tmp_path / "some.npz", arr_0=np.zeros((count, 6, 2, 1), np.uint8))
        found = described(tmp_path / "some.npz")
        assert (found.levels, found.size, found.colour) == (levels, (2, 6), "grey")
    (folder := Path(write_images(tmp_path / "flat", shuffled_digits()[0][:4]))).joinpath("notes.txt").write_text("…")
    assert described(folder).levels == ("amber", "red")


def test_the_size_is_that_of_the_first_picture_whose_head_can_be_read(tmp_path: Path) -> None:
    folder = Path(write_images(tmp_path / "flat", shuffled_digits()[0][:4]))
    (folder / "0-broken.png").write_bytes(b"none")
    assert described(folder).size == (8, 8)


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    folder = Path(write_images(tmp_path / "flat", shuffled_digits()[0][:4]))
    (folder / "notes.txt").write_text("…")
    found = described(folder)
    assert (found.images, found.classes, found.has_labels) == (4, (), False)
    assert "notes.txt" in found.warnings[0]


def test_what_the_studio_writes_beside_drawn_images_is_passed_over(tmp_path: Path) -> None:
    folder = Path(write_images(tmp_path / "drawn", shuffled_digits()[0][:4]))
    for name in ("entry.json", "trajectory.json", "x_t.npy", "sweep.json", "sweep.png", "sweep-2.png"):
        (folder / name).write_text("{}")
    found = described(folder)
    assert (found.images, len(found.warnings)) == (4, 1)
    (folder / "other.json").write_text("{}")
    assert "1 of 5 files was left out: other.json" in described(folder).warnings[0]


def test_arrays(tmp_path: Path) -> None:
    np.savez(tmp_path / "samples.npz", arr_0=np.zeros((3000, 2, 2, 3), np.uint8), arr_1=np.arange(3000) % 3)
    for role in ("real", "fake"):
        found = described(tmp_path / "samples.npz", role)
        assert (found.source, found.images, found.classes) == ("npz", 3000, ("0", "1", "2"))
        assert "below 10,000" in found.warnings[0]


def test_statistics(tmp_path: Path) -> None:
    gaussian = {"mu": np.zeros(5), "sigma": np.eye(5)}
    np.savez(tmp_path / "foreign.npz", **gaussian)
    found = described(tmp_path / "foreign.npz")
    assert (found.source, found.images, found.facts) == ("statistics", 0, (("numbers of an image", "5"),))
    assert [words in text for words, text in zip(("do not say with which", "how many images", "no KID"), found.warnings,
                                                 strict=True)] == [True] * 3  # fmt: skip
    write_statistics(tmp_path / "few.npz", Statistics(**gaussian, n=150, meta={"protocol": "adm-tf1"}))
    few = described(tmp_path / "few.npz").warnings
    assert few[-1].startswith("150 images are too few for a Fréchet distance")
    assert few[-1].endswith("differ by. Take statistics of more images.")
    statistics = Statistics(**gaussian, n=50_000, meta={"protocol": "adm-tf1"})
    write_statistics(tmp_path / "ours.npz", statistics)
    found = described(tmp_path / "ours.npz")
    assert (found.images, found.facts[1:]) == (50_000, (("of images", "50,000"), ("protocol", "adm-tf1")))
    assert len(found.warnings) == 1
    np.savez(tmp_path / "batch.npz", **gaussian, arr_0=np.zeros((40, 2, 2, 3), np.uint8))
    assert described(tmp_path / "batch.npz").images == 40


def test_the_data_set_of_a_run(run: Path, tmp_path: Path) -> None:
    found = described(run)
    assert (found.source, found.images, found.classes) == ("data set", DIGITS, tuple("0123456789"))
    assert found.facts == (("size", "8 pixels"), ("colour", "grey"), ("from", str(tmp_path / "digits")))
    assert (found.size, found.colour, found.levels) == ((8, 8), "grey", ("red",))
    shutil.rmtree(tmp_path / "digits")
    assert "cannot be read any more: the reference is the decoded images" in described(run).warnings[0]


def test_the_data_set_of_a_run_that_is_not_decoded_yet(run: Path, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "cache" / "datasets")
    found = described(run)
    assert (found.source, found.images, len(found.classes)) == ("data set", DIGITS, 10)
    assert (found.size, found.colour, found.levels) == ((8, 8), "grey", ("red",))
    assert not (tmp_path / "cache" / "datasets").exists()
    shutil.rmtree(tmp_path / "digits")
    with pytest.raises(StudioError, match="tiny was trained on are not there any more"):
        described(run)


def test_a_run_as_a_model(run: Path) -> None:
    found = described(run, "fake")
    assert (found.source, found.images, found.classes) == ("model", 0, tuple("0123456789"))
    assert found.facts == (("model", "tiny · step 20 · EMA"), ("draws", "8×8 grey"))
    assert (found.size, found.colour) == ((8, 8), "grey")
    assert (found.steps, found.timesteps, found.has_null_class, found.warnings) == ((10, 20), 1000, True, ())
    assert {"ddim", "unipc"} < set(found.samplers)
    settings = msgspec.json.decode(found.settings, type=SampleRequest)
    assert (settings.sampler, settings.steps, settings.cfg, settings.seed) == ("ddim", 4, 3.0, 9)
    assert settings.classes == tuple(range(10))
    one = described(run / "checkpoints" / "step-0000010", "fake")
    assert (one.facts[0], one.steps) == (("model", "tiny · step 10 · EMA"), (10, 20))


def test_a_model_of_no_run(run: Path, tmp_path: Path) -> None:
    shutil.copy(run / "checkpoints" / "step-0000020" / "ema.safetensors", tmp_path / "lone.safetensors")
    found = described(tmp_path / "lone.safetensors", "fake")
    assert (found.source, found.steps) == ("model", ())
    settings = msgspec.json.decode(found.settings, type=SampleRequest)
    assert (settings.steps, settings.cfg, settings.count) == (50, 2.0, 1000)
    (run / "checkpoints" / "step-0000020" / "ema.safetensors").unlink()
    assert "only raw weights" in described(run, "fake").warnings[0]


def test_what_cannot_be_used_is_a_sentence(run: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "float.npz", arr_0=np.zeros((4, 2, 2, 3)))
    np.savez(tmp_path / "pickled.npz", arr_0=np.array([{}], object))
    np.savez(tmp_path / "keys.npz", other=np.zeros(3))
    np.savez(tmp_path / "statistics.npz", mu=np.zeros(5), sigma=np.eye(5))
    (tmp_path / "no.npz").write_text("no")
    (tmp_path / "empty").mkdir()
    write_images(tmp_path / "one", shuffled_digits()[0][:1])
    (tmp_path / "model.pt").write_bytes(b"\x80")
    (tmp_path / "hollow").mkdir()
    (tmp_path / "hollow" / "run.toml").write_text("")
    cases = [
        ("float.npz", "fake", "float64"), ("pickled.npz", "fake", "object"), ("keys.npz", "real", "neither"),
        ("statistics.npz", "fake", "holds no images"), ("no.npz", "real", "no.npz"), ("empty", "real", "empty"),
        ("one", "fake", "only one image"), ("nowhere", "real", "does not exist"), ("model.pt", "fake", "pickle"),
        ("model.pt", "real", "is a model"), ("runs/tiny/checkpoints/step-0000010", "real", "is a model"),
        ("hollow", "fake", "holds no model"), ("runs/tiny/checkpoints/step-0000011", "fake", "does not exist"),
    ]  # fmt: skip
    for name, role, words in cases:
        with pytest.raises(StudioError) as caught:
            described(tmp_path / name, role)
        assert words in caught.value.message, caught.value.message
        assert caught.value.remedy
    (run / "checkpoints" / "step-0000020" / "ema.safetensors").write_bytes(b"damaged")
    with pytest.raises(CheckpointError, match="truncated, damaged"):
        described(run, "fake")


def test_a_negative_label_is_no_class(tmp_path: Path) -> None:
    np.savez(tmp_path / "some.npz", arr_0=np.zeros((30, 2, 2, 3), np.uint8), arr_1=np.arange(30) % 3 - 1)
    assert described(tmp_path / "some.npz").classes == ("0", "1")
