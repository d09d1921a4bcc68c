"""Single images of every kind of source, by the numbers that the nearest images are named with."""

import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dit_studio.engine.evaluation import pictures_job
from dit_studio.errors import DataError
from dit_studio.events import Event, Pictures, Progress, SettingsRefused
from dit_studio.jobs import table
from tests.engine.digits import shuffled_digits, write_digits, write_images
from tests.engine.tiny_runs import write_tiny_run


def asked(path: str | Path, numbers: list[int], size: int) -> Event:
    events: list[Event] = list(table.call("pictures", {"path": str(path), "numbers": numbers, "size": size}))
    assert all(isinstance(event, Progress) for event in events[:-1])
    return events[-1]


def shown(path: str | Path, numbers: list[int], size: int = 8) -> tuple[np.ndarray, Pictures]:
    event = asked(path, numbers, size)
    assert isinstance(event, Pictures)
    assert (event.path, event.numbers, event.size) == (str(path), tuple(numbers), size)
    return np.frombuffer(event.data, np.uint8).reshape(len(numbers), size, size, 3), event


def test_every_kind_of_source_by_its_numbers(tmp_path: Path) -> None:
    images = shuffled_digits()[0][:20]
    folder = Path(write_images(tmp_path / "folder", images))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed, tarfile.open(tmp_path / "a.tar", "w") as taped:
        for file in sorted(folder.iterdir(), reverse=True):
            packed.write(file, file.name)
            taped.add(file, file.name)
    np.savez_compressed(tmp_path / "a.npz", arr_0=images[..., None])
    for name in ("folder", "a.zip", "a.tar", "a.npz"):
        pixels, event = shown(tmp_path / name, [17, 3, 3, 0])
        assert event.missing == ()
        for cell, number in zip(pixels, (17, 3, 3, 0), strict=True):
            np.testing.assert_array_equal(cell, np.repeat(images[number][..., None], 3, axis=2))


def test_the_data_set_of_a_run(tmp_path: Path) -> None:
    run = write_tiny_run(tmp_path)
    from_run, _ = shown(run, [0, 50])
    from_folder, _ = shown(tmp_path / "digits", [0, 50])
    np.testing.assert_array_equal(from_run, from_folder)


def test_pixels_stay_squares_and_other_shapes_are_fitted(tmp_path: Path) -> None:
    (tmp_path / "mixed").mkdir()
    Image.new("RGB", (40, 20), (250, 0, 0)).save(tmp_path / "mixed" / "0.png")
    Image.fromarray(np.array([[0, 255], [255, 0]], np.uint8)).save(tmp_path / "mixed" / "1.png")
    pixels, _ = shown(tmp_path / "mixed", [0, 1], 16)
    assert (pixels[0, :4] == 128).all()
    assert (pixels[0, 4:12] == (250, 0, 0)).all()
    assert (pixels[0, 12:] == 128).all()
    np.testing.assert_array_equal(pixels[1, :, :, 0], np.kron([[0, 255], [255, 0]], np.ones((8, 8))))


def test_what_cannot_be_read_is_grey_and_missing(tmp_path: Path) -> None:
    folder = Path(write_images(tmp_path / "some", shuffled_digits()[0][:4]))
    (folder / "002.png").write_bytes((folder / "002.png").read_bytes()[:40])
    pixels, event = shown(folder, [1, 2, 4, -1])
    assert event.missing == (2, 4, -1)
    assert (pixels[1:] == 128).all()
    assert shown(folder, [])[0].shape == (0, 8, 8, 3)


def test_a_source_is_listed_once_until_it_changes(tmp_path: Path) -> None:
    folder = Path(write_images(tmp_path / "some", shuffled_digits()[0][:4]))
    pictures_job._opened.clear()
    for _ in range(2):
        shown(folder, [0])
    assert len(list(table.call("pictures", {"path": str(folder), "numbers": [1], "size": 8}))) == 1
    for number in range(4):
        shown(write_digits(tmp_path / str(number), first=0, count=3), [0])
    assert len(pictures_job._opened) == 2


def test_what_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere cannot be read"):
        asked(tmp_path / "nowhere", [0], 8)
    np.savez(tmp_path / "statistics.npz", mu=np.zeros(5), sigma=np.eye(5))
    with pytest.raises(DataError, match="holds no images"):
        asked(tmp_path / "statistics.npz", [0], 8)
    refused = asked(tmp_path, [0] * 5000, 2000)
    assert isinstance(refused, SettingsRefused)
    assert [field for field, _ in refused.problems] == ["size", "numbers"]
