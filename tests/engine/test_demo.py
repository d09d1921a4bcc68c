"""The built-in data set: repeatable, the same at every size, varied, and easy to tell apart."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from sklearn.svm import SVC

from dit_studio.engine.demo import CLASS_NAMES, MARKER, landscape, write_landscapes
from dit_studio.errors import DataError

PER_CLASS = 60


@pytest.fixture(scope="module")
def images() -> NDArray[np.float32]:
    """(kinds, PER_CLASS, 32 * 32 * 3), from 0 to 1."""
    drawn = [[landscape(kind, seed=seed, size=32).ravel() for seed in range(PER_CLASS)] for kind in CLASS_NAMES]
    return np.array(drawn, np.float32) / 255


def shrink(image: NDArray[np.uint8], size: int) -> NDArray[np.float64]:
    factor = len(image) // size
    return image.reshape(size, factor, size, factor, 3).astype(np.float64).mean(axis=(1, 3))


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*.png"))}


def test_there_are_seven_kinds_in_their_order() -> None:
    assert CLASS_NAMES == ("fields", "mountains", "desert", "sea", "beach", "island", "forest-at-dusk")


@pytest.mark.parametrize("kind", CLASS_NAMES)
def test_a_seed_gives_one_scene_bit_for_bit(kind: str) -> None:
    first = landscape(kind, seed=7, size=24)
    assert first.shape == (24, 24, 3)
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, landscape(kind, seed=7, size=24))
    assert not np.array_equal(first, landscape(kind, seed=8, size=24))


@pytest.mark.parametrize("kind", CLASS_NAMES)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_scene_is_the_same_at_every_size(kind: str, seed: int) -> None:
    small, large = landscape(kind, seed=seed, size=32), landscape(kind, seed=seed, size=128)
    difference = np.abs(shrink(large, 32) - small)
    assert difference.mean() < 5  # of 255
    other = np.abs(shrink(large, 32) - landscape(kind, seed=seed + 100, size=32))
    assert difference.mean() < other.mean() / 4


def test_no_two_images_of_a_kind_are_alike(images: NDArray[np.float32]) -> None:
    for kind, points in zip(CLASS_NAMES, images, strict=True):
        distances = np.sqrt(np.square(points[:, None] - points[None]).mean(axis=2))
        np.fill_diagonal(distances, np.inf)
        assert distances.min() > 0.04, f"{kind}: two images differ by {distances.min():.3f} only"


def test_the_kinds_can_be_told_apart_at_32_pixels(images: NDArray[np.float32]) -> None:
    labels = np.arange(len(CLASS_NAMES)).repeat(PER_CLASS).reshape(len(CLASS_NAMES), PER_CLASS)
    train, test = slice(0, PER_CLASS * 2 // 3), slice(PER_CLASS * 2 // 3, None)
    classifier = SVC(C=10).fit(np.concatenate(images[:, train]), labels[:, train].ravel())
    assert classifier.score(np.concatenate(images[:, test]), labels[:, test].ravel()) >= 0.97


@pytest.mark.parametrize("size", [8, 31, 65])
def test_odd_sizes_work(size: int) -> None:
    assert landscape("beach", seed=0, size=size).shape == (size, size, 3)


# ------------------------------------------------------------------------------------------------- the folder


def test_the_folder_holds_a_subfolder_of_png_files_for_every_kind(tmp_path: Path) -> None:
    folder = tmp_path / "Bilder für alle"
    said = list(write_landscapes(folder, per_class=3, size=16, seed=5))
    assert [(progress.done, progress.total) for progress in said] == [(done, 21) for done in range(22)]
    assert sorted(path.name for path in folder.iterdir() if path.is_dir()) == sorted(CLASS_NAMES)
    assert sorted(path.name for path in (folder / "sea").iterdir()) == ["00000.png", "00001.png", "00002.png"]
    with Image.open(folder / "sea" / "00002.png") as image:
        assert image.mode == "RGB"
        np.testing.assert_array_equal(np.asarray(image), landscape("sea", seed=500_002, size=16))


def test_several_processes_draw_the_same_images(tmp_path: Path) -> None:
    list(write_landscapes(tmp_path / "many", per_class=30, size=8))  # enough for a second process
    list(write_landscapes(tmp_path / "few", per_class=4, size=8))
    many, few = files_of(tmp_path / "many"), files_of(tmp_path / "few")
    assert len(many) == 210
    assert few.items() <= many.items()


def test_a_set_that_is_there_is_not_written_again(tmp_path: Path) -> None:
    list(write_landscapes(tmp_path, per_class=2, size=8))
    times = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*")}
    said = list(write_landscapes(tmp_path, per_class=2, size=8))
    assert [(progress.done, progress.total) for progress in said] == [(14, 14)]
    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.png")} == {
        file: time for file, time in times.items() if file.suffix == ".png"
    }


def test_an_interrupted_set_is_finished(tmp_path: Path) -> None:
    drawing = write_landscapes(tmp_path / "cut", per_class=3, size=8)
    list(itertools.islice(drawing, 6))
    drawing.close()
    assert not json.loads((tmp_path / "cut" / MARKER).read_text())["is_complete"]
    kept = files_of(tmp_path / "cut")
    assert 0 < len(kept) < 21
    said = list(write_landscapes(tmp_path / "cut", per_class=3, size=8))
    assert said[0].done == len(kept)
    list(write_landscapes(tmp_path / "whole", per_class=3, size=8))
    assert files_of(tmp_path / "cut") == files_of(tmp_path / "whole")
    assert json.loads((tmp_path / "cut" / MARKER).read_text())["is_complete"]


@pytest.mark.parametrize(
    "change", [{"per_class": 1}, {"per_class": 4}, {"size": 12}, {"seed": 1}], ids=lambda change: str(change)
)
def test_another_set_takes_the_place_of_the_old_one(tmp_path: Path, change: dict[str, int]) -> None:
    wanted = {"per_class": 2, "size": 8, "seed": 0}
    list(write_landscapes(tmp_path / "changed", **wanted))
    list(write_landscapes(tmp_path / "changed", **{**wanted, **change}))
    list(write_landscapes(tmp_path / "fresh", **{**wanted, **change}))
    assert files_of(tmp_path / "changed") == files_of(tmp_path / "fresh")


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"precious")
    with pytest.raises(DataError, match=r"holds something else.*empty or a new folder"):
        list(write_landscapes(tmp_path, per_class=1, size=8))
    assert [file.name for file in tmp_path.iterdir()] == ["holiday.jpg"]


@pytest.mark.parametrize(
    ("numbers", "sentence"),
    [
        ({"per_class": 0, "size": 32}, "per_class = 0 .* from 1 to 100000"),
        ({"per_class": 100_001, "size": 32}, "per_class = 100001"),
        ({"per_class": 1, "size": 7}, "size = 7 .* from 8 to 1024"),
        ({"per_class": 1, "size": 1025}, "size = 1025"),
        ({"per_class": 1, "size": 32, "seed": -1}, "seed = -1 .* from 0"),
    ],
)
def test_numbers_out_of_range_are_named(tmp_path: Path, numbers: dict[str, int], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        list(write_landscapes(tmp_path / "new", **numbers))
    assert not (tmp_path / "new").exists()


def test_an_unknown_kind_names_the_nearest() -> None:
    with pytest.raises(DataError, match=r'called "mountain".*Did you mean "mountains"'):
        landscape("mountain", seed=0, size=32)
