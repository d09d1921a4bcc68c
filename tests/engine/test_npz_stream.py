"""Arrays of an .npz: batches equal the whole, memory stays flat, everything unsafe or damaged is a sentence."""

import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from numpy.lib import format as npy

from dit_studio.engine.evaluation import npz_stream
from dit_studio.engine.evaluation.image_sources import npz_source
from dit_studio.engine.evaluation.npz_stream import array_heads, read_array, stream_array
from dit_studio.engine.evaluation.statistics_file import describe_npz
from dit_studio.errors import DataError

PIXELS = np.random.default_rng(0).integers(0, 256, (23, 5, 4, 3), dtype=np.uint8)


@pytest.fixture(params=[np.savez, np.savez_compressed], ids=["stored", "compressed"])
def npz(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "samples.npz"
    request.param(path, PIXELS, np.arange(23), mu=np.linspace(0, 1, 7), n=np.int64(9))
    return path


def test_heads_tell_every_array(npz: Path) -> None:
    heads = array_heads(npz)
    assert {name: (head.shape, str(head.dtype)) for name, head in heads.items()} == {
        "arr_0": ((23, 5, 4, 3), "uint8"),
        "arr_1": ((23,), "int64"),
        "mu": ((7,), "float64"),
        "n": ((), "int64"),
    }


@pytest.mark.parametrize("start", [0, 8, 23])
def test_batches_are_the_array(npz: Path, start: int) -> None:
    batches = list(stream_array(npz, "arr_0", batch_size=8, start=start))
    assert [len(batch) for batch in batches] == [8, 8, 7][start // 8 :] * (start < 23)
    np.testing.assert_array_equal(np.concatenate([PIXELS[:0], *batches]), PIXELS[start:])
    assert all(batch.flags.writeable for batch in batches)


def test_small_arrays_are_read_whole(npz: Path, tmp_path: Path) -> None:
    np.testing.assert_array_equal(read_array(npz, "mu"), np.linspace(0, 1, 7))
    assert read_array(npz, "n") == 9
    fortran = np.asfortranarray(np.arange(12.0).reshape(3, 4))
    np.savez(tmp_path / "f.npz", fortran=fortran)
    np.testing.assert_array_equal(read_array(tmp_path / "f.npz", "fortran"), fortran)
    with pytest.raises(DataError, match="Fortran order"):
        next(stream_array(tmp_path / "f.npz", "fortran", batch_size=1))


def test_a_large_array_is_never_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "large.npz"
    np.savez(path, np.zeros((4000, 32, 32, 3), np.uint8))  # 12 MB
    tracemalloc.start()
    total = sum(len(batch) for batch in stream_array(path, "arr_0", batch_size=16))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total == 4000
    assert peak < 2**20


def test_pickles_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "p.npz", np.array([{"a": 1}], dtype=object))
    for read in (read_array, lambda path, name: next(stream_array(path, name, batch_size=1))):
        with pytest.raises(DataError, match="pickled Python objects"):
            read(tmp_path / "p.npz", "arr_0")


def test_a_missing_array_names_those_that_are_there(npz: Path) -> None:
    with pytest.raises(DataError, match=r'no array "sigma": it holds "mu", "n", "arr_0", "arr_1"'):
        read_array(npz, "sigma")


def test_what_is_no_npz_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.npz does not exist"):
        array_heads(tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("no archive")
    with pytest.raises(DataError, match=r"text\.npz is damaged, or no \.npz"):
        array_heads(tmp_path / "text.npz")
    with zipfile.ZipFile(tmp_path / "odd.npz", "w") as archive:
        archive.writestr("arr_0.npy", b"not an array at all")
    with pytest.raises(DataError, match="is no NumPy array"):
        array_heads(tmp_path / "odd.npz")


def test_damage_shows_as_it_is_reached(tmp_path: Path) -> None:
    path = tmp_path / "samples.npz"
    np.savez(path, PIXELS)
    content = bytearray(path.read_bytes())
    content[700] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(DataError, match="damaged"):
        list(stream_array(path, "arr_0", batch_size=8))
    (tmp_path / "half.npz").write_bytes(content[:700])
    with pytest.raises(DataError, match="damaged"):
        array_heads(tmp_path / "half.npz")


def test_an_array_that_promises_more_than_it_has_is_cut_short(tmp_path: Path) -> None:
    np.savez(tmp_path / "whole.npz", PIXELS)
    with zipfile.ZipFile(tmp_path / "whole.npz") as whole, zipfile.ZipFile(tmp_path / "short.npz", "w") as short:
        short.writestr("arr_0.npy", whole.read("arr_0.npy")[:-1])
    with pytest.raises(DataError, match="cut short: 1,379 of 1,380 bytes"):
        next(stream_array(tmp_path / "short.npz", "arr_0", batch_size=8))


def test_a_head_that_promises_a_million_million_images_is_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "giant.npz"
    with zipfile.ZipFile(path, "w") as archive, archive.open("arr_0.npy", "w") as member:
        shape = (10**12, 8, 8, 3)
        npy.write_array_header_1_0(member, {"descr": "|u1", "fortran_order": False, "shape": shape})
        member.write(bytes(1000))
    with pytest.raises(DataError, match="cut short: 1,000 of 192,000,000,000,000 bytes"):
        npz_source(path)


def test_what_is_skipped_is_skipped_in_steps(npz: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that whoever reads can stop meanwhile."""
    monkeypatch.setattr(npz_stream, "_SKIPPED_BYTES", 400)
    batches = list(stream_array(npz, "arr_0", batch_size=8, start=15))  # behind 900 bytes
    assert [batch.shape for batch in batches] == [(0, 5, 4, 3), (0, 5, 4, 3), (8, 5, 4, 3)]
    np.testing.assert_array_equal(batches[-1], PIXELS[15:])


def test_between_images_that_are_wanted_there_is_time_to_stop(npz: Path) -> None:
    batches = list(npz_source(npz).batches(batch_size=4, wanted=np.array([1, 2, 21])))
    assert [batch.numbers.tolist() for batch in batches] == [[1, 2], [], [], [], [], [21]]
    np.testing.assert_array_equal(batches[-1].pixels, PIXELS[21:22].transpose(0, 3, 1, 2))


@pytest.mark.parametrize("beside", [{}, {"mu": np.zeros(5), "sigma": np.eye(5)}])
def test_an_array_of_no_images_is_said(tmp_path: Path, beside: dict[str, np.ndarray]) -> None:
    np.savez(tmp_path / "none.npz", arr_0=np.zeros((0, 8, 8, 3), np.uint8), **beside)
    for opens in (npz_source, describe_npz):
        with pytest.raises(DataError, match=r"holds no images: its array \"arr_0\" has the shape \(0, 8, 8, 3\)"):
            opens(tmp_path / "none.npz")
