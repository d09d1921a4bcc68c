"""Images in the cache: filled once, found again, never half; and which of them are held out."""

import errno
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest
import sklearn.datasets
from PIL import Image

from dit_studio.config import DataConfig
from dit_studio.engine import cache, data, image_files, pictures
from dit_studio.engine.benchmark_data import measure_cache
from dit_studio.engine.data import ImageSet, load
from dit_studio.errors import DataError, DiskFullError, RunError
from dit_studio.events import Notice, Progress

_PHOTOS = Path(sklearn.datasets.__file__).parent / "images"


def _load(path: Path, **options: object) -> tuple[ImageSet, list[Progress | Notice]]:
    loading = load(DataConfig(path=str(path), **{"image_size": 8, **options}))
    events = []
    while True:
        try:
            events.append(next(loading))
        except StopIteration as end:
            return end.value, events


def _folder(root: Path, count: int = 12) -> Path:
    """Two kinds of pictures of one colour each: picture k is (k, 0, 0) or (k, 255, 0)."""
    for kind, green in (("dim", 0), ("light", 255)):
        (root / kind).mkdir(parents=True)
        for number in range(count // 2):
            Image.new("RGB", (16, 12), (number, green, 0)).save(root / kind / f"{number}.png")
    return root


def _refuse(*_args: object, **_options: object) -> None:
    raise AssertionError("nothing should be decoded")


def _cached() -> list[Path]:
    folder = cache.cache_dir() / "datasets"
    return sorted(folder.iterdir()) if folder.exists() else []


def test_real_digits_come_out_as_they_are(tmp_path: Path) -> None:
    real = sklearn.datasets.load_digits()
    pixels = np.rint(real.images * 255 / 16).astype(np.uint8)
    for number, label in enumerate(real.target):
        (tmp_path / "digits" / str(label)).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels[number]).save(tmp_path / "digits" / str(label) / f"{number:04}.png")
    images, _ = _load(tmp_path / "digits", color="grey")
    order = np.lexsort((np.arange(1797), real.target))  # folder by folder, in the order of names
    np.testing.assert_array_equal(images.images[:, 0], pixels[order])
    np.testing.assert_array_equal(images.labels, real.target[order])
    assert images.class_names == tuple("0123456789")


def test_shapes_and_types(tmp_path: Path) -> None:
    images, events = _load(_folder(tmp_path / "data"))
    assert (images.images.shape, images.images.dtype) == ((12, 3, 8, 8), np.uint8)
    assert (images.labels.shape, images.labels.dtype) == ((12,), np.int64)
    assert isinstance(images.images, np.memmap)
    assert not images.images.flags.writeable
    assert images.class_names == ("dim", "light")
    np.testing.assert_array_equal(images.images[:, :, 0, 0], [[n, g, 0] for g in (0, 255) for n in range(6)])
    assert _load(tmp_path / "data", color="grey")[0].images.shape == (12, 1, 8, 8)
    assert (events[-1].stage, events[-1].done, events[-1].total) == ("Preparing images", 12, 12)


def test_photographs_fill_their_squares(tmp_path: Path) -> None:
    for name in ("china.jpg", "flower.jpg"):
        (tmp_path / name).write_bytes((_PHOTOS / name).read_bytes())
    images, _ = _load(tmp_path, image_size=64)
    for pixels, name in zip(images.images, ("china.jpg", "flower.jpg"), strict=True):
        with Image.open(_PHOTOS / name) as photo:
            middle = photo.crop((106, 0, 533, 427)).resize((64, 64), Image.Resampling.BOX)
        assert np.corrcoef(pixels.ravel(), np.asarray(middle).transpose(2, 0, 1).ravel())[0, 1] > 0.97


def test_a_second_start_decodes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, _ = _load(_folder(tmp_path / "data"))
    for module, name in ((image_files, "decode"), (image_files, "fit"), (Image, "open"), (data, "find_pictures")):
        monkeypatch.setattr(module, name, _refuse)
    second, events = _load(tmp_path / "data")
    assert {event.stage for event in events if isinstance(event, Progress)} == {"Looking for images"}
    assert second.fingerprint == first.fingerprint
    np.testing.assert_array_equal(second.images, first.images)


@pytest.mark.parametrize(
    "options", [{"image_size": 12}, {"color": "grey"}, {"classes": "none"}], ids=["size", "colour", "classes"]
)
def test_each_option_has_its_own_cache(tmp_path: Path, options: dict[str, object]) -> None:
    first, _ = _load(_folder(tmp_path / "data"))
    other, _ = _load(tmp_path / "data", **options)
    assert other.fingerprint != first.fingerprint
    assert _load(tmp_path / "data", flip=False, validation_fraction=0.3)[0].fingerprint == first.fingerprint


def _add(root: Path) -> None:
    Image.new("RGB", (9, 9)).save(root / "dim" / "new.png")


def _rewrite(root: Path) -> None:
    file = root / "dim" / "0.png"
    file.write_bytes(file.read_bytes())
    os.utime(file, ns=(0, 0))


def _rename(root: Path) -> None:
    (root / "dim" / "0.png").rename(root / "dim" / "a.png")


def _describe(root: Path) -> None:
    (root / "labels.csv").write_text("dim/0.png,x\n")


@pytest.mark.parametrize("change", [_add, _rewrite, _rename, _describe])
def test_a_change_of_the_files_is_noticed(tmp_path: Path, change: Callable[[Path], None]) -> None:
    first, _ = _load(_folder(tmp_path / "data"))
    change(tmp_path / "data")
    assert _load(tmp_path / "data")[0].fingerprint != first.fingerprint


@pytest.mark.provokes_log
@pytest.mark.parametrize("name", ["images.npy", "labels.npy", "keys.npy", "meta.json"])
@pytest.mark.parametrize("damage", ["cut", "empty", "gone", "garbage"])
def test_a_damaged_cache_is_filled_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, damage: str
) -> None:
    first, _ = _load(_folder(tmp_path / "data"))
    expected = np.array(first.images)
    file = _cached()[0] / name
    content = file.read_bytes()
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes({"cut": content[:-5], "empty": b"", "garbage": bytes(len(content))}[damage])
    again, events = _load(tmp_path / "data")
    np.testing.assert_array_equal(again.images, expected)
    assert any(event.stage == "Preparing images" for event in events if isinstance(event, Progress))
    assert damage == "gone" or "will be filled again" in caplog.text
    assert len(_cached()) == 1


def test_files_left_out_are_spoken_of_each_time(tmp_path: Path) -> None:
    root = _folder(tmp_path / "data")
    (root / "dim" / "empty.png").touch()
    (root / "light" / "notes.txt").write_text("hello")
    for _ in range(2):
        images, events = _load(root)
        notice = events[-1]
        assert isinstance(notice, Notice)
        assert notice.level == "warning"
        assert notice.message.startswith("2 of 14 files were left out: dim/empty.png (empty: it has 0 bytes)")
        assert {problem.file for problem in images.problems} == {"dim/empty.png", "light/notes.txt"}
        assert len(images.images) == 12


def test_damage_in_the_middle_is_found_when_decoding(tmp_path: Path) -> None:
    root = _folder(tmp_path / "data")
    photo = (_PHOTOS / "flower.jpg").read_bytes()
    (root / "dim" / "hole.jpg").write_bytes(photo[:3000] + photo[-2:])  # it ends as it should
    images, _ = _load(root)
    assert [problem.file for problem in images.problems] == ["dim/hole.jpg"]


def test_a_class_without_a_usable_image_is_no_class(tmp_path: Path) -> None:
    root = _folder(tmp_path / "data")
    (root / "empty").mkdir()
    (root / "empty" / "x.png").write_bytes(b"")
    images, _ = _load(root)
    assert images.class_names == ("dim", "light")
    assert sorted(set(images.labels.tolist())) == [0, 1]


@pytest.mark.parametrize("usable", [0, 1])
def test_fewer_than_two_images_are_refused(tmp_path: Path, usable: int) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x.png").write_bytes(b"")
    for number in range(usable):
        Image.new("L", (8, 8)).save(tmp_path / "data" / f"{number}.png")
    with pytest.raises(DataError, match=r"needs at least two\. 1 of . files was left out: x\.png \(empty"):
        _load(tmp_path / "data")
    assert _cached() == []


def test_closing_in_the_middle_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "PROGRESS_SECONDS", 0)
    loading = load(DataConfig(path=str(_folder(tmp_path / "data", 200)), image_size=8))
    while next(loading).done < 5:
        pass
    assert len(_cached()) == 1  # the temporary folder
    loading.close()
    assert _cached() == []
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("images")]


def test_few_pictures_are_under_way_at_a_time() -> None:
    """However many files there are, what waits to be written stays small."""
    taken, given = 0, 0

    def items() -> object:
        nonlocal taken
        for number in range(1000):
            taken += 1
            yield number

    for given, (number, square) in enumerate(pictures.in_parallel(lambda number: number**2, items()), 1):
        assert square == number**2 == (given - 1) ** 2
        assert taken - given <= 4 * 16
    assert given == 1000


def test_a_full_disk_is_foreseen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "free_bytes", lambda _path: 100)
    with pytest.raises(DiskFullError, match="no room for the decoded images") as caught:
        _load(_folder(tmp_path / "data"))
    assert caught.value.numbers == {"free_bytes": 100, "needed_bytes": 12 * 3 * 8 * 8}
    assert _cached() == []


def test_a_disk_that_fills_on_the_way_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real_append = cache.CacheWriter.append

    def append(writer: cache.CacheWriter, pixels: np.ndarray, *, label: int, key: int) -> None:
        if len(writer) == 5:
            raise OSError(errno.ENOSPC, "No space left on device")
        real_append(writer, pixels, label=label, key=key)

    monkeypatch.setattr(cache.CacheWriter, "append", append)
    with pytest.raises(DiskFullError, match="no room"):
        _load(_folder(tmp_path / "data"))
    assert _cached() == []


@pytest.mark.provokes_log
def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(RunError, match="cannot be written"):
        _load(_folder(tmp_path / "data"))


_FILL = """
import sys
from dit_studio.config import DataConfig
from dit_studio.engine.data import load
sys.stdin.readline()
for _ in load(DataConfig(path=sys.argv[1], image_size=8)):
    pass
"""


def test_two_processes_may_fill_the_same_cache_at_once(tmp_path: Path) -> None:
    root = _folder(tmp_path / "data", 200)
    both = [
        subprocess.Popen([sys.executable, "-c", _FILL, str(root)], stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    for process in both:
        process.stdin.write(b"go\n")
        process.stdin.flush()
    for process in both:
        _, errors = process.communicate(timeout=60)
        assert (process.returncode, errors) == (0, b"")
    assert len(_cached()) == 1
    images, _ = _load(root)
    np.testing.assert_array_equal(images.images[:, 0, 0, 0], [*range(100), *range(100)])


def test_the_slower_of_two_keeps_what_the_faster_wrote(tmp_path: Path) -> None:
    config = DataConfig(path=str(_folder(tmp_path / "data")), image_size=8)
    slow = load(config)
    while next(slow).stage != "Preparing images":
        pass
    fast, _ = _load(tmp_path / "data")
    for _ in slow:
        pass
    assert [folder.name for folder in _cached()] == [fast.fingerprint]


def test_what_a_killed_process_left_is_removed_later(tmp_path: Path) -> None:
    dead = next(pid for pid in range(2**22 - 1, 0, -1) if not psutil.pid_exists(pid))
    left = cache.cache_dir() / "datasets" / f".key.{dead}.x"
    ours = cache.cache_dir() / "datasets" / f".key.{os.getpid()}.x"
    for folder in (left, ours):
        folder.mkdir(parents=True)
        os.utime(folder, (0, 0))
    _load(_folder(tmp_path / "data"))
    assert not left.exists()
    assert ours.exists()


def test_the_meta_file_can_be_read_by_a_person(tmp_path: Path) -> None:
    _load(_folder(tmp_path / "data"))
    assert json.loads((_cached()[0] / "meta.json").read_text())["class_names"] == ["dim", "light"]


def test_scanning_needs_no_torch() -> None:
    code = "import sys, dit_studio.engine.data; print('torch' in sys.modules)"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output.strip() == "False"


def test_the_benchmark_measures() -> None:
    before = os.environ["DIT_STUDIO_CACHE"]
    measured = measure_cache(files=8)
    assert measured["images_per_second"] > 0
    assert 0 < measured["file_kilobytes"] < 1000
    assert os.environ["DIT_STUDIO_CACHE"] == before


# ------------------------------------------------------------------------------------------------- held-out images


def _image_set(labels: np.ndarray, *, seed: int = 0) -> ImageSet:
    pixels = np.random.default_rng(seed).integers(0, 256, (len(labels), 1, 4, 4), dtype=np.uint8)
    names = tuple(str(label) for label in range(int(labels.max()) + 1))
    return ImageSet(
        images=pixels, labels=labels.astype(np.int64), class_names=names, fingerprint="", problems=(), path=""
    )


@pytest.mark.parametrize("fraction", [0.0, 0.01, 0.05, 0.1, 0.5])
def test_a_split_parts_all_images_by_class(fraction: float) -> None:
    labels = np.repeat(np.arange(10), 100)
    train, validation = _image_set(labels).split(fraction)
    np.testing.assert_array_equal(np.sort(np.concatenate([train, validation])), np.arange(1000))
    assert (np.diff(train) > 0).all()
    assert (np.diff(validation) > 0).all()
    assert np.bincount(labels[validation], minlength=10).tolist() == [round(100 * fraction)] * 10


def test_at_most_512_are_held_out() -> None:
    labels = np.arange(20000) % 3
    _, validation = _image_set(labels).split(0.5)
    assert len(validation) == 512
    assert np.ptp(np.bincount(labels[validation])) <= 1


def test_the_last_image_of_a_class_is_never_held_out() -> None:
    labels = np.array([0, 1, 1, 2, 2, 2])
    train, validation = _image_set(labels).split(0.5)
    assert set(labels[train]) == {0, 1, 2}
    assert len(validation) == 3
    assert _image_set(np.array([0, 1])).split(0.5)[1].tolist() == []
    assert len(_image_set(np.zeros(5, int)).split(0.01)[1]) == 1  # a little is better than none


def test_content_decides_not_order() -> None:
    images = _image_set(np.arange(300) % 4)
    order = np.random.default_rng(1).permutation(300)
    shuffled = ImageSet(
        images=images.images[order], labels=images.labels[order], class_names=(), fingerprint="", problems=(), path=""
    )
    held_out, other = images.split(0.1)[1], shuffled.split(0.1)[1]
    assert sorted(order[other]) == held_out.tolist()
    assert images.split(0.1, seed=1)[1].tolist() != held_out.tolist()


def test_equal_images_stay_together() -> None:
    images = _image_set(np.zeros(400, int))
    pixels = np.repeat(images.images[:100], 4, axis=0)
    doubled = ImageSet(images=pixels, labels=images.labels, class_names=(), fingerprint="", problems=(), path="")
    for seed in range(10):
        _, validation = doubled.split(0.1, seed=seed)
        assert np.unique(validation // 4, return_counts=True)[1].tolist() == [4] * (len(validation) // 4)
        assert 36 <= len(validation) <= 40


def test_keys_from_the_cache_give_the_same_split_as_the_pixels(tmp_path: Path) -> None:
    images, _ = _load(_folder(tmp_path / "data", 100))
    assert images.keys is not None
    bare = ImageSet(images=images.images, labels=images.labels, class_names=(), fingerprint="", problems=(), path="")
    np.testing.assert_array_equal(images.split(0.2)[1], bare.split(0.2)[1])


def test_a_zip_gives_the_same_images_as_its_folder(tmp_path: Path) -> None:
    root = _folder(tmp_path / "data")
    expected, _ = _load(root)
    for kind in ("zip", "gztar"):
        images, _ = _load(Path(shutil.make_archive(str(tmp_path / "packed"), kind, tmp_path, "data")))
        assert images.class_names == expected.class_names
        by_key = {tuple(pixels[:, 0, 0]): label for pixels, label in zip(images.images, images.labels, strict=True)}
        assert by_key == {
            tuple(pixels[:, 0, 0]): label for pixels, label in zip(expected.images, expected.labels, strict=True)
        }
        np.testing.assert_array_equal(np.sort(images.keys), np.sort(expected.keys))
