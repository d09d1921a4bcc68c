"""Saved statistics, read as others read them, and what a distance from them has to be by other means."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from dit_studio.engine.evaluation.extractors import open_extractor
from dit_studio.engine.evaluation.statistics_file import read_statistics, write_statistics
from dit_studio.engine.evaluation.statistics_job import save_statistics
from dit_studio.errors import CheckpointError, DataError, RunError
from dit_studio.evaluation_request import Protocol, decode_result
from dit_studio.events import EvaluationDone, Progress, SettingsRefused, Written
from dit_studio.jobs import table
from tests.engine.digits import shuffled_digits, write_digits, write_images
from tests.engine.inception_states import random_state


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    root = tmp_path_factory.mktemp("digits")
    return {
        "real": write_digits(root / "real", first=0, count=90),
        "fake": write_digits(root / "fake", first=90, count=70),
    }


@pytest.fixture(scope="module")
def inception(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("weights") / "inception.safetensors"
    save_file(random_state(), path)
    return str(path)


def saved(path: Path, **request: Any) -> Written:
    said = list(save_statistics(request, str(path), device="cpu"))
    assert all(isinstance(event, Progress) for event in said[:-1])
    assert isinstance(said[-1], Written), said[-1]
    return said[-1]


def refused(path: str, **request: Any) -> str:
    said = list(save_statistics(request, path, device="cpu"))
    assert isinstance(said[-1], SettingsRefused)
    return said[-1].problems[0][1]


def pixels_of(folder: str) -> np.ndarray:
    """In the order in which the program reads the folder, all three channels alike."""
    files = sorted(Path(folder).rglob("*.png"), key=lambda path: path.relative_to(folder).parts)
    return np.stack([np.array(Image.open(file).convert("RGB")) for file in files])


def frechet_of_products(mu: Any, sigma: Any, features: Any) -> float:
    """From the eigenvalues of the product of the covariances, which need no square root of a matrix."""
    other, shift = np.cov(features.astype(float), rowvar=False), mu - features.astype(float).mean(0)
    roots = np.sqrt(np.clip(np.linalg.eigvals(sigma @ other).real, 0, None))
    return float(shift @ shift + np.trace(sigma) + np.trace(other) - 2 * roots.sum())


def test_they_are_the_means_and_covariances_of_numpy(digits: dict[str, str], tmp_path: Path) -> None:
    written = saved(tmp_path / "real.npz", real=digits["real"])
    features = open_extractor("random", device=torch.device("cpu"))(pixels_of(digits["real"]).transpose(0, 3, 1, 2))
    with np.load(tmp_path / "real.npz", allow_pickle=False) as file:
        np.testing.assert_allclose(file["mu"], features["features"].astype(float).mean(0), rtol=1e-5, atol=1e-6)
        expected = np.cov(features["features"].astype(float), rowvar=False)
        np.testing.assert_allclose(file["sigma"], expected, rtol=1e-4, atol=1e-6)
        assert (file["mu"].dtype, file["sigma"].dtype, int(file["n"])) == (np.float64, np.float64, 90)
        assert set(file.files) == {"mu", "sigma", "n", "meta"}
    assert written.images == 90
    assert "only this program reads" in written.note
    assert written.size_bytes == (tmp_path / "real.npz").stat().st_size


def test_the_distance_from_them_is_the_one_from_the_images(digits: dict[str, str], tmp_path: Path) -> None:
    saved(tmp_path / "real.npz", real=digits["real"])
    of_statistics, of_images = (distance(real, digits["fake"]) for real in (str(tmp_path / "real.npz"), digits["real"]))
    assert of_statistics == pytest.approx(of_images, rel=1e-9)
    extractor = open_extractor("random", device=torch.device("cpu"))
    with np.load(tmp_path / "real.npz", allow_pickle=False) as file:
        features = extractor(pixels_of(digits["fake"]).transpose(0, 3, 1, 2))["features"]
        assert of_statistics == pytest.approx(frechet_of_products(file["mu"], file["sigma"], features), rel=1e-5)


def test_results_against_them_and_against_the_images_are_of_one_reference(
    digits: dict[str, str], tmp_path: Path
) -> None:
    saved(tmp_path / "real.npz", real=digits["real"])
    against_images, against_file = (
        protocol(real, digits["fake"]) for real in (digits["real"], str(tmp_path / "real.npz"))
    )
    assert against_file.real_hash == against_images.real_hash
    assert against_file.key == against_images.key
    with np.load(tmp_path / "real.npz", allow_pickle=False) as file:
        assert msgspec.json.decode(file["meta"].tobytes())["pixel_hash"] == against_images.real_hash
    saved(tmp_path / "some.npz", real=digits["real"], count=50)
    assert protocol(str(tmp_path / "some.npz"), digits["fake"]).real_hash != against_images.real_hash


@pytest.mark.parametrize(
    "changes", [{"pixel_hash": None}, {"pixel_hash": "none"}, {"protocol": "clean"}, {"weights_sha256": "bb" * 32}]
)
def test_files_that_do_not_say_or_were_made_otherwise_are_references_of_their_own(
    digits: dict[str, str], tmp_path: Path, changes: dict[str, str | None]
) -> None:
    saved(tmp_path / "real.npz", real=digits["real"])
    found = read_statistics(tmp_path / "real.npz")
    meta = {key: value for key, value in (found.meta | changes).items() if value is not None}
    write_statistics(tmp_path / "old.npz", replace(found, meta=meta))
    old = protocol(str(tmp_path / "old.npz"), digits["fake"])
    assert old.real_hash == hashlib.sha256((tmp_path / "old.npz").read_bytes()).hexdigest()[:32]


def protocol(real: str, fake: str) -> Protocol:
    request = {"real": real, "fake": fake, "metrics": ["fid"], "has_floor": False}
    said = list(table.call("evaluate", {"request": request, "device": "cpu"}))
    return next(decode_result(event.result) for event in said if isinstance(event, EvaluationDone)).protocol


def distance(real: str, fake: str) -> float:
    request = {"real": real, "fake": fake, "metrics": ["fid"], "has_floor": False}
    said = list(table.call("evaluate", {"request": request, "device": "cpu"}))
    result = next(decode_result(event.result) for event in said if isinstance(event, EvaluationDone))
    value = result.value("fid")
    assert value is not None
    return value


def test_they_say_how_they_were_made(digits: dict[str, str], tmp_path: Path) -> None:
    saved(tmp_path / "real.npz", real=digits["real"], count=50, seed=3)
    extractor = open_extractor("random", device=torch.device("cpu"))
    with np.load(tmp_path / "real.npz", allow_pickle=False) as file:
        meta = msgspec.json.decode(file["meta"].tobytes())
        assert int(file["n"]) == 50
    assert (meta["extractor"], meta["protocol"], meta["seed"], meta["source_images"]) == ("random", "area-64", 3, 90)
    assert meta["weights_sha256"] == extractor.weights_sha256
    assert meta["source"] == digits["real"]


def test_of_inception_others_find_all_that_they_read(tmp_path: Path, inception: str) -> None:
    """ADM's evaluator opens mu, sigma, mu_s, sigma_s and, for precision and recall, arr_0 at the start of a member."""
    images, _ = shuffled_digits()
    folder = write_images(tmp_path / "few", images[:6])
    written = saved(tmp_path / "few.npz", real=folder, extractor="inception", weights=inception, batch_size=3)
    assert "pytorch-fid and ADM's evaluator read it" in written.note
    assert "Resized as ADM's evaluator does it" in written.note
    with np.load(tmp_path / "few.npz", allow_pickle=False) as file:
        assert {name: file[name].shape for name in ("mu", "sigma", "mu_s", "sigma_s", "arr_0")} == {
            "mu": (2048,), "sigma": (2048, 2048), "mu_s": (2023,), "sigma_s": (2023, 2023), "arr_0": (6, 8, 8, 3),
        }  # fmt: skip
        assert file["arr_0"].dtype == np.uint8
        assert (file["arr_0"] == pixels_of(folder)).all()
        assert np.linalg.eigvalsh(file["sigma"][:50, :50]).min() > -1e-6


def test_images_of_several_sizes_are_left_out(tmp_path: Path, inception: str) -> None:
    images, _ = shuffled_digits()
    folder = write_images(tmp_path / "mixed", images[:4])
    Image.new("L", (9, 8)).save(tmp_path / "mixed" / "other.png")
    written = saved(tmp_path / "mixed.npz", real=folder, extractor="inception", weights=inception)
    assert "the images would have to be of one size" in written.note
    with np.load(tmp_path / "mixed.npz", allow_pickle=False) as file:
        assert "arr_0" not in file.files
        assert "mu_s" in file.files


# ------------------------------------------------------------------------------------------------- what is refused


def test_statistics_have_none_of_their_own(digits: dict[str, str], tmp_path: Path) -> None:
    saved(tmp_path / "real.npz", real=digits["real"])
    with pytest.raises(DataError, match="holds saved statistics and no images"):
        list(save_statistics({"real": str(tmp_path / "real.npz")}, str(tmp_path / "again.npz"), device="cpu"))
    assert not (tmp_path / "again.npz").exists()


@pytest.mark.parametrize("name", ["real.npy", "real", ""])
def test_another_suffix(digits: dict[str, str], tmp_path: Path, name: str) -> None:
    assert "has to end in .npz" in refused(str(tmp_path / name) if name else "", real=digits["real"])


def test_what_cannot_be_asked_for(digits: dict[str, str], tmp_path: Path) -> None:
    path = str(tmp_path / "real.npz")
    assert "unknown field" in refused(path, real=digits["real"], sede=1)
    assert "one protocol, area-64" in refused(path, real=digits["real"], protocol="clean")


def test_without_weights_it_says_what_to_do(digits: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="which is not on this machine"):
        list(save_statistics({"real": digits["real"], "extractor": "inception"}, str(tmp_path / "a.npz")))


def test_a_place_that_cannot_be_written(digits: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "taken.npz").mkdir()
    with pytest.raises(RunError, match="is a folder"):
        list(save_statistics({"real": digits["real"]}, str(tmp_path / "taken.npz")))
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot be written"):
        list(save_statistics({"real": digits["real"]}, str(tmp_path / "file" / "a.npz")))


def test_an_interruption_leaves_no_file(digits: dict[str, str], tmp_path: Path) -> None:
    job = save_statistics({"real": digits["real"], "batch_size": 8}, str(tmp_path / "a.npz"))
    next(job)
    next(job)
    job.close()
    assert not list(tmp_path.glob("*.npz*"))
