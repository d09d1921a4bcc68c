"""Statistics and images in .npz: what others read and write, whatever their size, and what is refused and why."""

import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from dit_studio.engine.evaluation import Moments, frechet_distance, frechet_distance_from_features
from dit_studio.engine.evaluation.statistics_file import (
    Statistics,
    describe_npz,
    read_images,
    read_labels,
    read_statistics,
    write_statistics,
)
from dit_studio.errors import DataError
from tests.engine.evaluation_golden import golden

PIXELS = np.random.default_rng(0).integers(0, 256, (30, 6, 5, 3), dtype=np.uint8)


def statistics(features: np.ndarray, *, has_spatial: bool = False) -> Statistics:
    moments = Moments(features.shape[1])
    moments.add(features)
    spatial = {"mu_s": moments.mean[:7], "sigma_s": moments.covariance()[:7, :7]} if has_spatial else {}
    return Statistics(
        mu=moments.mean,
        sigma=moments.covariance(),
        n=moments.n,
        meta={"protocol": "adm-tf1", "size": [6, 5]},
        **spatial,
    )


def save(path: Path, **arrays: object) -> Path:
    np.savez(path, **arrays)
    return path


def test_ours_come_back_and_give_the_same_distance(tmp_path: Path) -> None:
    generated, real, _ = golden()
    path = tmp_path / "made" / "here" / "real.npz"
    write_statistics(path, statistics(real, has_spatial=True))
    back = read_statistics(path)
    assert (back.n, back.meta) == (500, {"protocol": "adm-tf1", "size": [6, 5]})
    assert back.mu_s is not None
    assert back.sigma_s is not None
    assert (back.mu_s.shape, back.sigma_s.shape) == ((7,), (7, 7))
    theirs = statistics(generated)
    expected = frechet_distance_from_features(real, generated)
    assert frechet_distance(back.mu, back.sigma, theirs.mu, theirs.sigma) == pytest.approx(expected, rel=1e-10)
    assert [file.name for file in path.parent.iterdir()] == ["real.npz"]


def test_what_we_write_is_read_as_pytorch_fid_and_adm_read_it(tmp_path: Path) -> None:
    """numpy.load without pickles, these names, C order, images as uint8 NHWC at the start of a stored member."""
    path = tmp_path / "reference.npz"
    write_statistics(
        path, statistics(golden().real, has_spatial=True), images=[PIXELS[:20], PIXELS[20:]], image_count=30
    )
    with np.load(path, allow_pickle=False) as loaded:
        assert {"mu", "sigma", "mu_s", "sigma_s", "arr_0"} <= set(loaded.files)
        assert loaded["mu"].dtype == loaded["sigma"].dtype == np.float64
        np.testing.assert_array_equal(loaded["arr_0"], PIXELS)
    contents = describe_npz(path)
    assert (contents.images, contents.image_size, contents.dimensions) == (30, (6, 5), 64)
    assert contents.has_statistics
    assert contents.has_spatial_statistics
    assert not contents.has_labels


def test_pytorch_fids_file_says_nothing_of_itself(tmp_path: Path) -> None:
    features = golden().real
    path = save(tmp_path / "fid.npz", mu=features.mean(0), sigma=np.cov(features, rowvar=False))
    found = read_statistics(path)
    assert (found.n, found.meta, found.mu_s) == (0, {}, None)
    single = save(tmp_path / "f32.npz", mu=found.mu.astype(np.float32), sigma=found.sigma.astype(np.float32))
    assert read_statistics(single).sigma.dtype == np.float64


@pytest.mark.parametrize("write", [np.savez, np.savez_compressed])
def test_a_batch_of_samples_is_read_in_pieces(tmp_path: Path, write: object) -> None:
    path = tmp_path / "samples.npz"
    write(path, arr_0=PIXELS, arr_1=np.arange(30) % 7)  # type: ignore[operator]
    assert describe_npz(path).has_labels
    batches = list(read_images(path, batch_size=8))
    assert [len(batch) for batch in batches] == [8, 8, 8, 6]
    np.testing.assert_array_equal(np.concatenate(batches), PIXELS)
    np.testing.assert_array_equal(np.concatenate(list(read_images(path, batch_size=50, start=25))), PIXELS[25:])
    np.testing.assert_array_equal(read_labels(path), np.arange(30) % 7)
    assert read_labels(save(tmp_path / "bare.npz", arr_0=PIXELS)) is None


@pytest.mark.parametrize("write", [np.savez, np.savez_compressed])
def test_memory_does_not_grow_with_the_file(tmp_path: Path, write: object) -> None:
    path = tmp_path / "large.npz"
    write(path, arr_0=np.zeros((4000, 32, 32, 3), np.uint8))  # type: ignore[operator]
    tracemalloc.start()
    try:
        assert sum(len(batch) for batch in read_images(path, batch_size=50)) == 4000
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2**20  # of 12 MB


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"mu": np.zeros(3)}, 'no "sigma"'),
        ({"sigma": np.eye(3)}, 'no "mu"'),
        ({"pca": np.eye(3)}, 'neither statistics .* it holds "pca"'),
        ({"mu": np.zeros(3), "sigma": np.eye(4)}, r"\[3\] .*\[4, 4\] .* no mean and covariance"),
        ({"mu": np.zeros(3, int), "sigma": np.eye(3)}, "int64"),
        ({"mu": np.zeros(3), "sigma": np.eye(3), "mu_s": np.zeros(3)}, 'no "sigma_s"'),
        ({"mu": np.array([None, 1]), "sigma": np.eye(2)}, "pickled Python objects"),
        ({"mu": np.zeros(0), "sigma": np.zeros((0, 0))}, "0 dimensions"),
        ({"arr_0": PIXELS.astype(np.float32)}, "are float32, and nobody can tell what range"),
        ({"arr_0": PIXELS.transpose(0, 3, 1, 2)}, r"\(30, 3, 6, 5\)"),
        ({"arr_0": PIXELS[0]}, r"\(6, 5, 3\)"),
        ({"arr_0": PIXELS[:0]}, r"\(0, 6, 5, 3\)"),
        ({"arr_0": np.asfortranarray(PIXELS)}, "in Fortran order"),
        ({"arr_0": np.array([None, 1])}, "pickled Python objects"),
    ],
)
def test_what_cannot_be_used_is_said_before_a_number_is_read(
    tmp_path: Path, arrays: dict[str, np.ndarray], sentence: str
) -> None:
    with pytest.raises(DataError, match=sentence):
        describe_npz(save(tmp_path / "bad.npz", **arrays))


@pytest.mark.parametrize(
    ("sigma", "sentence"),
    [
        (np.array([[1.0, np.nan], [0.0, 1.0]]), "not finite"),
        (np.array([[1.0, 0.5], [0.0, 1.0]]), "not symmetric"),
        (np.diag([1.0, -1.0]), "negative variance"),
    ],
)
def test_numbers_that_are_no_covariance_are_refused(tmp_path: Path, sigma: np.ndarray, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        read_statistics(save(tmp_path / "bad.npz", mu=np.zeros(2), sigma=sigma))


def test_missing_parts_and_damage_are_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match='no images: there is no "arr_0"'):
        list(read_images(save(tmp_path / "statistics.npz", mu=np.zeros(2), sigma=np.eye(2)), batch_size=5))
    with pytest.raises(DataError, match="are int64 of shape \\(29,\\), for 30 images"):
        read_labels(save(tmp_path / "labels.npz", arr_0=PIXELS, arr_1=np.arange(29)))
    with pytest.raises(DataError, match="does not exist"):
        describe_npz(tmp_path / "none.npz")
    damaged = tmp_path / "damaged.npz"
    whole = save(tmp_path / "whole.npz", mu=np.zeros(2), sigma=np.eye(2)).read_bytes()
    damaged.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"damaged, or no \.npz"):
        read_statistics(damaged)
    told = np.frombuffer(b"{not json", np.uint8)
    with pytest.raises(DataError, match=r'"meta" in .* is damaged'):
        read_statistics(save(tmp_path / "meta.npz", mu=np.zeros(2), sigma=np.eye(2), meta=told))
    deep = np.frombuffer(b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}", np.uint8)
    with pytest.raises(DataError, match=r'"meta" in .* is damaged'):
        read_statistics(save(tmp_path / "deep.npz", mu=np.zeros(2), sigma=np.eye(2), meta=deep))
    with pytest.raises(DataError, match=r"are of -5 images"):
        read_statistics(save(tmp_path / "negative.npz", mu=np.zeros(2), sigma=np.eye(2), n=np.array(-5)))
    other = save(tmp_path / "others.npz", mu=np.zeros(2), sigma=np.eye(2), meta=np.zeros(3), n=np.zeros(2))
    assert (read_statistics(other).meta, read_statistics(other).n) == ({}, 0)


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "reference.npz"
    made = statistics(golden().real)
    write_statistics(path, made)
    old = path.read_bytes()
    for images, sentence in (
        ([PIXELS[:20], PIXELS[20:, :5]], r"\(10, 5, 5, 3\)"),
        ([PIXELS.astype(float)], "float64"),
        ([PIXELS[:20]], "20 images came instead of 30"),
        ([], "0 images came instead of 30"),
    ):
        with pytest.raises(DataError, match=sentence):
            write_statistics(path, made, images=images, image_count=30)
        assert path.read_bytes() == old
    assert list(tmp_path.iterdir()) == [path]


def test_the_archive_is_plain(tmp_path: Path) -> None:
    path = tmp_path / "reference.npz"
    write_statistics(path, statistics(golden().real), images=[PIXELS], image_count=30)
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
