"""CIFAR as published, in both layouts, and pickles that want more than a batch of images."""

import builtins
import os
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest

from dit_studio.config import DataConfig
from dit_studio.engine.data import ImageSet, load, scan
from dit_studio.errors import DataError
from dit_studio.events import DataSummary, Event

_NAMES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
_LABELS = np.random.default_rng(1).integers(0, 10, (3, 20))  # two training batches, one for tests
_PIXELS = np.random.default_rng(0).integers(0, 256, (3, 20, 3072), dtype=np.uint8)
_BATCHES = ("data_batch_1", "data_batch_2", "test_batch")


def _load(path: Path, **options: object) -> ImageSet:
    loading = load(DataConfig(path=str(path), image_size=32, **options))
    while True:
        try:
            next(loading)
        except StopIteration as end:
            return end.value


def _binary(folder: Path) -> Path:
    folder.mkdir()
    for name, labels, pixels in zip(_BATCHES, _LABELS, _PIXELS, strict=True):
        rows = np.concatenate([labels[:, None].astype(np.uint8), pixels], axis=1)
        (folder / f"{name}.bin").write_bytes(rows.tobytes())
    (folder / "batches.meta.txt").write_text("\n".join(_NAMES) + "\n\n")
    (folder / "readme.html").write_text("<html></html>")
    return folder


def _pickled(folder: Path, *, protocol: int = 2, core: str = "numpy.core") -> Path:
    """The pickles as Python 2 or a later NumPy wrote them: keys are bytes, the array's module has either name."""
    folder.mkdir()
    for name, labels, pixels in zip(_BATCHES, _LABELS, _PIXELS, strict=True):
        batch = {b"data": pixels, b"labels": labels.tolist(), b"batch_label": b"x", b"filenames": [b"a.png"] * 20}
        content = pickle.dumps(batch, protocol=protocol)
        if protocol < 4:
            content = content.replace(b"numpy._core", core.encode())
        (folder / name).write_bytes(content)
    meta = {b"label_names": [name.encode() for name in _NAMES], b"num_vis": 3072}
    (folder / "batches.meta").write_bytes(pickle.dumps(meta, protocol=protocol))
    return folder


def _check(images: ImageSet) -> None:
    """The two training batches, and nothing else."""
    np.testing.assert_array_equal(images.images, _PIXELS[:2].reshape(-1, 3, 32, 32))
    present = sorted(set(_LABELS[:2].ravel().tolist()))
    assert images.class_names == tuple(_NAMES[label] for label in present)
    assert [images.class_names[label] for label in images.labels] == [_NAMES[label] for label in _LABELS[:2].ravel()]
    assert images.problems == ()


def test_binary_batches(tmp_path: Path) -> None:
    _check(_load(_binary(tmp_path / "cifar-10-batches-bin")))


@pytest.mark.parametrize(("protocol", "core"), [(2, "numpy.core"), (2, "numpy._core"), (4, "numpy._core"), (5, "")])
def test_pickled_batches(tmp_path: Path, protocol: int, core: str) -> None:
    _check(_load(_pickled(tmp_path / "cifar-10-batches-py", protocol=protocol, core=core)))


@pytest.mark.parametrize("write", [_binary, _pickled])
def test_the_original_archive(tmp_path: Path, write: object) -> None:
    folder = write(tmp_path / "cifar-10-batches")
    with tarfile.open(tmp_path / "cifar-10.tar.gz", "w:gz") as archive:
        archive.add(folder, folder.name)
    _check(_load(tmp_path / "cifar-10.tar.gz"))


def test_the_summary(tmp_path: Path) -> None:
    events: list[Event] = list(scan(str(_binary(tmp_path / "cifar"))))
    summary = events[-1]
    assert isinstance(summary, DataSummary)
    assert (summary.images, summary.source) == (40, "cifar")
    assert {item.name: item.images for item in summary.classes} == {
        _NAMES[label]: count for label, count in enumerate(np.bincount(_LABELS[:2].ravel(), minlength=10)) if count
    }
    assert summary.smallest == summary.largest == (32, 32)
    assert summary.problem_count == 0
    assert any("test images" in warning for warning in summary.warnings)


def test_without_classes(tmp_path: Path) -> None:
    images = _load(_binary(tmp_path / "cifar"), classes="none")
    assert images.class_names == ()
    assert not images.labels.any()
    with pytest.raises(DataError, match="CIFAR"):
        _load(tmp_path / "cifar", classes="folders")


def test_cifar_100_takes_the_fine_labels(tmp_path: Path) -> None:
    names = [f"kind{number}" for number in range(100)]
    fine = np.arange(20, dtype=np.uint8) + 70
    rows = np.concatenate([np.zeros((20, 1), np.uint8), fine[:, None], _PIXELS[0]], axis=1)
    binary = tmp_path / "bin"
    binary.mkdir()
    (binary / "train.bin").write_bytes(rows.tobytes())
    (binary / "fine_label_names.txt").write_text("\n".join(names))
    pickled = tmp_path / "py"
    pickled.mkdir()
    batch = {b"data": _PIXELS[0], b"fine_labels": fine.tolist(), b"coarse_labels": [0] * 20}
    (pickled / "train").write_bytes(pickle.dumps(batch, protocol=2))
    (pickled / "meta").write_bytes(pickle.dumps({b"fine_label_names": [name.encode() for name in names]}, protocol=2))
    for folder in (binary, pickled):
        images = _load(folder)
        assert images.class_names == tuple(names[70:90])
        np.testing.assert_array_equal(images.images, _PIXELS[0].reshape(-1, 3, 32, 32))


# ------------------------------------------------------------------------------------------------- hostile pickles


class _Runs:
    """Unpickles by calling a function."""

    def __init__(self, function: object, *arguments: object) -> None:
        self._call = function, arguments

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return self._call


@pytest.mark.parametrize("function", [os.system, builtins.eval, builtins.getattr, np.save, np.array, Path])
@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_a_pickle_that_calls_something_is_refused_and_nothing_runs(
    tmp_path: Path, function: object, protocol: int
) -> None:
    folder = _pickled(tmp_path / "cifar")
    witness = tmp_path / "it ran"
    hostile = {b"data": _Runs(function, f"touch '{witness}'"), b"labels": [0]}
    (folder / "data_batch_2").write_bytes(pickle.dumps(hostile, protocol=protocol))
    with pytest.raises(DataError) as caught:
        _load(folder)
    assert "data_batch_2 is refused" in caught.value.message
    assert getattr(function, "__name__") in caught.value.message  # noqa: B009  `object` has no such attribute
    assert not witness.exists()
    assert not [*(tmp_path / "cache" / "datasets").iterdir()]


def test_the_names_file_is_read_as_carefully(tmp_path: Path) -> None:
    folder = _pickled(tmp_path / "cifar")
    (folder / "batches.meta").write_bytes(pickle.dumps(_Runs(os.system, "true"), protocol=2))
    with pytest.raises(DataError, match=r"batches\.meta is refused"):
        list(scan(str(folder)))


@pytest.mark.parametrize(
    "batch",
    [
        [1, 2],
        {b"data": b"bytes", b"labels": [0]},
        {b"data": _PIXELS[0], b"labels": [0]},
        {b"data": _PIXELS[0], b"labels": [99] * 20},
        {b"data": _PIXELS[0].astype(np.float32), b"labels": [0] * 20},
        {b"data": np.array([None]), b"labels": [0]},
    ],
)
def test_a_pickle_of_something_else_is_refused(tmp_path: Path, batch: object) -> None:
    folder = _pickled(tmp_path / "cifar")
    (folder / "data_batch_1").write_bytes(pickle.dumps(batch, protocol=2))
    with pytest.raises(DataError, match="data_batch_1 is not a batch"):
        _load(folder)


@pytest.mark.parametrize("write", [_binary, _pickled])
def test_a_truncated_batch_is_refused(tmp_path: Path, write: object) -> None:
    folder = write(tmp_path / "cifar")
    batch = min(folder.glob("data_batch_2*"))
    batch.write_bytes(batch.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"data_batch_2.* is not a batch"):
        _load(folder)
