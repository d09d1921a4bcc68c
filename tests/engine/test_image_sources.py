"""Images from folders, archives, sample files and data sets: each once, as it is, and what is wrong is listed."""

import io
import shutil
import tarfile
import tracemalloc
import zipfile
from collections.abc import Generator
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from dit_studio.config import DataConfig
from dit_studio.engine import data
from dit_studio.engine.evaluation import content_digest
from dit_studio.engine.evaluation.image_sources import ImageSource, data_set_source, open_source
from dit_studio.engine.image_files import decode_whole
from dit_studio.errors import DataError
from dit_studio.places import cache_dir

_Value = TypeVar("_Value")
Pixels = NDArray[np.uint8]


def _value(generator: Generator[object, None, _Value]) -> _Value:
    while True:
        try:
            next(generator)
        except StopIteration as end:
            value: _Value = end.value
            return value


def _hash(path: Path) -> str:
    return _value(_value(open_source(str(path))).hash_content())


def _noise(seed: int, height: int = 12, width: int = 10) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def _write(folder: Path, count: int = 7) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        Image.fromarray(_noise(number)).save(folder / f"{number}.png")
    return folder


def _read(source: ImageSource, *, batch_size: int = 3, wanted: list[int] | None = None) -> dict[int, Pixels]:
    """Every image by its number, (C, H, W)."""
    found: dict[int, Pixels] = {}
    chosen = None if wanted is None else np.array(wanted, np.int64)
    for batch in source.batches(batch_size=batch_size, wanted=chosen):
        assert len(batch.pixels) == len(batch.numbers) <= batch_size
        assert batch.pixels.dtype == np.uint8
        new = dict(zip(batch.numbers.tolist(), batch.pixels, strict=True))
        assert not new.keys() & found.keys()
        found |= new
    return found


def _check(found: dict[int, Pixels], numbers: list[int]) -> None:
    assert sorted(found) == numbers
    for number, pixels in found.items():
        np.testing.assert_array_equal(pixels, _noise(number).transpose(2, 0, 1))


def _packed(folder: Path, kind: str) -> Path:
    path = folder.with_suffix(f".{kind}")
    names = sorted(file.name for file in folder.iterdir())
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name in names:
                archive.write(folder / name, name)
    else:
        with tarfile.open(path, "w") as tar:
            for name in reversed(names):  # in an order of its own
                tar.add(folder / name, name)
    return path


@pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
def test_files_come_as_they_are(tmp_path: Path, kind: str) -> None:
    folder = _write(tmp_path / "images")
    source = _value(open_source(str(folder if kind == "folder" else _packed(folder, kind))))
    assert (source.kind, source.count, source.labels) == (kind, 7, None)
    _check(_read(source), list(range(7)))
    assert source.sizes == {(10, 12): 7}
    assert source.formats == {"PNG": 7}
    again = _value(open_source(source.path))
    _check(_read(again, wanted=[5, 1, 2]), [1, 2, 5])


def test_a_changed_folder_has_another_hash(tmp_path: Path) -> None:
    folder = _write(tmp_path / "images")
    before = _hash(folder)
    assert _hash(folder) == before
    Image.fromarray(_noise(99)).save(folder / "99.png")
    assert _hash(folder) != before


@pytest.mark.parametrize("kind", ["folder", "tar"])
def test_files_are_read_once_for_their_hash(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = _write(tmp_path / "images")
    monkeypatch.setattr(content_digest, "_SETTLED_SECONDS", -60.0)
    place = folder if kind == "folder" else _packed(folder, kind)
    first = _hash(place)
    monkeypatch.setattr(content_digest, "_read", _never)
    assert _hash(place) == first
    (kept,) = (cache_dir() / "digests").iterdir()
    kept.write_text("damaged")
    with pytest.raises(AssertionError, match="is known"):
        _hash(place)


def _never(*_: object) -> None:
    raise AssertionError("the digest is known")


def test_what_changed_a_moment_ago_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = _write(tmp_path / "images")
    monkeypatch.setattr(content_digest, "_SETTLED_SECONDS", 60.0)
    assert _hash(folder) == _hash(folder)
    assert not (cache_dir() / "digests").exists()


def test_a_copy_has_the_same_hash_and_another_name_another(tmp_path: Path) -> None:
    folder = _write(tmp_path / "images")
    shutil.copytree(folder, tmp_path / "copy", copy_function=shutil.copyfile)
    assert _hash(folder) == _hash(tmp_path / "copy")
    (tmp_path / "copy" / "6.png").rename(tmp_path / "copy" / "7.png")
    assert _hash(folder) != _hash(tmp_path / "copy")


def test_mixed_sizes_modes_and_broken_files(tmp_path: Path) -> None:
    folder = _write(tmp_path / "images", 5)
    Image.fromarray(_noise(50, 30, 20)).save(folder / "50.png")
    Image.fromarray(_noise(51)[:, :, 0]).save(folder / "51.jpg")
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.fromarray(_noise(52)).save(folder / "52.png", exif=turned)
    (folder / "53.png").write_bytes((folder / "0.png").read_bytes()[:100])
    (folder / "notes.txt").write_text("not a picture")
    source = _value(open_source(str(folder)))
    found = _read(source)
    assert source.count == 9
    assert sorted(found) == list(range(8))
    assert found[5].shape == (3, 30, 20)
    assert (found[6][0] == found[6][1]).all()
    np.testing.assert_array_equal(found[7], np.rot90(_noise(52), -1).transpose(2, 0, 1))
    assert source.sizes == {(10, 12): 6, (20, 30): 1, (12, 10): 1}
    assert source.formats == {"PNG": 7, "JPEG": 1}
    for _ in range(2):
        assert {problem.file for problem in source.left_out.problems} == {"53.png", "notes.txt"}
        assert source.left_out.count == 2
        assert source.formats.total() == source.sizes.total() == 8
        assert _read(source).keys() == found.keys()  # what is read again is not counted again
    assert _read(source, wanted=[8]) == {}  # the broken one: nothing is left of it, and nothing more to say


def test_many_sizes_are_held_in_bounds(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(40):
        Image.fromarray(_noise(number, 8 + number, 8)).save(folder / f"{number}.png")
    source = _value(open_source(str(folder)))
    found = _read(source, batch_size=2)
    assert [found[number].shape[1] for number in range(40)] == [8 + number for number in range(40)]


def test_class_folders_give_labels_and_their_order_is_told(tmp_path: Path) -> None:
    for kind in ("cat", "dog"):
        _write(tmp_path / "images" / kind, 3)
    source = _value(open_source(str(tmp_path / "images")))
    assert source.labels is not None
    assert source.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert source.class_names == ("cat", "dog")
    assert source.is_sorted_by_class
    Image.fromarray(_noise(9)).save(tmp_path / "images" / "stray.png")
    stray = _value(open_source(str(tmp_path / "images")))
    assert (stray.count, stray.labels, stray.left_out.count) == (7, None, 0)
    assert len(_read(stray)) == 7


@pytest.mark.parametrize(
    ("labels", "is_sorted"), [([0, 0, 1, 1], True), ([3, 1, 1, 2], True), ([0, 1, 0, 1], False), ([0, 0, 0, 0], False)]
)
def test_a_sample_file_is_streamed(tmp_path: Path, labels: list[int], is_sorted: bool) -> None:
    path = tmp_path / "samples.npz"
    np.savez(path, np.stack([_noise(number) for number in range(4)]), np.array(labels))
    source = _value(open_source(str(path)))
    assert (source.kind, source.count, source.is_sorted_by_class) == ("npz", 4, is_sorted)
    assert source.labels is not None
    assert source.labels.tolist() == labels
    _check(_read(source), [0, 1, 2, 3])
    assert source.sizes == {(10, 12): 4}
    _check(_read(source, wanted=[3, 1]), [1, 3])
    assert _read(source, wanted=[]) == {}


def test_the_hash_of_a_sample_file_is_that_of_its_content(tmp_path: Path) -> None:
    hashes = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        np.savez(tmp_path / f"{name}.npz", _noise(seed)[None])
        hashes.append(_hash(tmp_path / f"{name}.npz"))
    assert hashes[0] == hashes[1] != hashes[2]


def test_a_large_sample_file_is_never_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "samples.npz"
    np.savez(path, np.zeros((4000, 32, 32, 3), np.uint8))  # 12 MB
    source = _value(open_source(str(path)))
    tracemalloc.start()
    total = sum(len(batch.pixels) for batch in source.batches(batch_size=16))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total == 4000
    assert peak < 2**21


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"arr_0": np.zeros((2, 8, 8, 3), np.float32)}, r"is float32 of shape \(2, 8, 8, 3\); images are uint8"),
        ({"arr_0": np.zeros((2, 3, 8, 8), np.uint8)}, r"is uint8 of shape \(2, 3, 8, 8\); images are uint8 of shape"),
        ({"mu": np.zeros(2)}, 'holds no images: there is no array "arr_0", but "mu"'),
        ({"arr_0": np.array([None, None])}, "holds pickled Python objects"),
    ],
    ids=["floats", "channel first", "statistics", "pickles"],
)
def test_other_npz_files_are_refused(tmp_path: Path, arrays: dict[str, NDArray[np.generic]], sentence: str) -> None:
    np.savez(tmp_path / "other.npz", **arrays)
    with pytest.raises(DataError, match=sentence):
        _value(open_source(str(tmp_path / "other.npz")))


def test_nothing_usable_is_a_sentence(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    with pytest.raises(DataError, match="holds no files"):
        _value(open_source(str(folder)))
    (folder / "notes.txt").write_text("no picture")
    with pytest.raises(DataError, match="holds no image"):
        _value(open_source(str(folder)))
    (folder / "a.png").write_bytes(b"no picture")
    source = _value(open_source(str(folder)))
    with pytest.raises(DataError, match=r"holds no image that can be used\..*a\.png \(not an image"):
        list(source.batches(batch_size=2))
    with pytest.raises(DataError, match="does not exist"):
        _value(open_source(str(tmp_path / "none")))


def test_reading_can_be_stopped(tmp_path: Path) -> None:
    source = _value(open_source(str(_write(tmp_path / "images", 12))))
    batches = source.batches(batch_size=2)
    next(batches)
    batches.close()
    assert len(_read(source)) == 12


def test_cifars_batches_are_images_too(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 4, 3072), dtype=np.uint8)
    for batch in range(5):
        rows = np.concatenate([np.full((4, 1), batch, np.uint8), pixels[batch]], axis=1)
        (tmp_path / f"data_batch_{batch + 1}.bin").write_bytes(rows.tobytes())
    (tmp_path / "batches.meta.txt").write_text("\n".join("abcdefghij"))
    source = _value(open_source(str(tmp_path)))
    found = _read(source, wanted=[3, 17])
    assert (source.count, source.sizes, source.formats) == (20, {(32, 32): 2}, {"CIFAR": 2})
    np.testing.assert_array_equal(found[17], pixels.reshape(20, 3, 32, 32)[17])


def test_a_data_set_comes_from_its_cache(tmp_path: Path) -> None:
    for kind in ("cat", "dog"):
        _write(tmp_path / "images" / kind, 3)
    images = _value(data.load(DataConfig(path=str(tmp_path / "images"), image_size=8)))
    source = data_set_source(images)
    found = _read(source)
    assert (source.kind, source.count, source.class_names) == ("data set", 6, ("cat", "dog"))
    assert source.content_hash == images.fingerprint
    np.testing.assert_array_equal(np.stack([found[number] for number in range(6)]), images.images)
    assert _read(source, wanted=[4]).keys() == {4}


def test_bytes_of_a_whole_picture_are_kept() -> None:
    buffer = io.BytesIO()
    Image.fromarray(_noise(1)).save(buffer, "PNG")
    buffer.seek(0)
    pixels, name = decode_whole(buffer)
    assert name == "PNG"
    np.testing.assert_array_equal(pixels, _noise(1).transpose(2, 0, 1))
