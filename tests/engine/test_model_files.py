"""Model files: where they are found, what state they are in, dropped in, downloaded."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from dit_studio.engine.model_files import single_files
from dit_studio.engine.model_files.download import download
from dit_studio.engine.model_files.folders import files_dir
from dit_studio.engine.model_files.hashes import sha256_of
from dit_studio.engine.model_files.licences import CC_BY_NC, MIT
from dit_studio.engine.model_files.single_files import ModelFile, state_of, take_in, verified_path
from dit_studio.errors import CheckpointError, DataError
from dit_studio.events import Progress
from tests.engine.file_server import FileServer, serving

CONTENT = bytes(range(256)) * 4096 * 4  # 4 MB
PUBLISHED = single_files.FILES
FILE = ModelFile(
    "small.pth", "inception", "A small one", len(CONTENT), hashlib.sha256(CONTENT).hexdigest(), MIT, "http://nowhere"
)


@pytest.fixture(autouse=True)
def _own_table(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(single_files, "FILES", (FILE,))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))


def _put(path: Path, content: bytes = CONTENT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


# ------------------------------------------------------------------------------------------------- what is there


def test_the_table_is_the_published_one() -> None:
    assert {file.name: (file.size_bytes, file.sha256[:8]) for file in PUBLISHED} == {
        "pt_inception-2015-12-05-6726825d.pth": (95_628_359, "6726825d"),
        "inception-2015-12-05.pt": (95_607_719, "f58cb9b6"),
        "DiT-XL-2-256x256.pt": (4 * 675_129_632, ""),
        "DiT-XL-2-512x512.pt": (4 * 676_014_368, ""),
    }
    assert all(file.url.startswith("https://") and file.licence.name for file in PUBLISHED)
    assert [len(file.sha256) for file in PUBLISHED] == [64, 64, 0, 0]
    assert [file.url for file in PUBLISHED if file.licence == CC_BY_NC] == [
        f"https://dl.fbaipublicfiles.com/DiT/models/DiT-XL-2-{side}x{side}.pt" for side in (256, 512)
    ]


@pytest.mark.parametrize("place", ["cache/models", "torch/hub/checkpoints", "hub/models--a--b/snapshots/c0ffee"])
def test_a_verified_file_is_found_in_the_usual_places(tmp_path: Path, place: str) -> None:
    assert state_of(FILE).condition == "missing"
    path = _put(tmp_path / place / FILE.name)
    assert state_of(FILE) == (FILE, "verified", path, f"{path} is verified.")
    assert verified_path("inception") == path


def test_damaged_files_are_named_and_a_whole_one_wins(tmp_path: Path) -> None:
    path = _put(files_dir() / FILE.name, CONTENT[:1000])
    state = state_of(FILE)
    assert state[1:] == ("truncated", path, f"{path} is truncated: 1,000 of 4,194,304 bytes.")
    _put(path, CONTENT[:-1] + b"\0")
    assert state_of(FILE).condition == "wrong hash"
    with pytest.raises(CheckpointError, match=r"is not the published file: its hash is .* Download or add small\.pth"):
        verified_path("inception")
    whole = _put(tmp_path / "torch/hub/checkpoints" / FILE.name)
    assert verified_path("inception") == whole


def test_hashes_are_remembered_until_a_file_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _put(tmp_path / "a")
    assert sha256_of(path) == FILE.sha256
    with monkeypatch.context() as patched:
        patched.setattr(hashlib, "sha256", None)
        assert sha256_of(path) == FILE.sha256
    _put(path, b"other")
    assert sha256_of(path) == hashlib.sha256(b"other").hexdigest()
    about = path.stat()
    _put(path, b"third")
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns + 1))
    assert sha256_of(path) == hashlib.sha256(b"third").hexdigest()


@pytest.mark.skipif(os.name == "nt", reason="Windows does not tell when a file was last written to")
def test_a_file_of_the_same_size_and_time_is_hashed_again(tmp_path: Path) -> None:
    path, other = tmp_path / "weights.bin", tmp_path / "other.bin"
    for content, file in ((b"one", path), (b"two", other)):
        file.write_bytes(content)
        os.utime(file, (1e9, 1e9))
    assert sha256_of(path) == hashlib.sha256(b"one").hexdigest()
    other.replace(path)
    assert sha256_of(path) == hashlib.sha256(b"two").hexdigest()


# ------------------------------------------------------------------------------------------------- dropped in


def test_a_dropped_file_is_known_by_its_content(tmp_path: Path) -> None:
    dropped = _put(tmp_path / "renamed (1).bin")
    assert take_in(dropped).path == files_dir() / FILE.name
    assert verified_path("inception").read_bytes() == CONTENT
    assert dropped.exists()


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("small.pth", CONTENT[:99], "it is truncated: 99 of 4,194,304 bytes"),
        ("small.pth", b"\1" * len(CONTENT), r"its size is that of small\.pth, its hash is another"),
        ("other.pth", b"abc", "its 3 bytes are those of no file in the list"),
    ],
)
def test_another_file_is_not_taken(tmp_path: Path, name: str, content: bytes, why: str) -> None:
    with pytest.raises(CheckpointError, match=f"is not taken: {why}"):
        take_in(_put(tmp_path / name, content))
    assert state_of(FILE).condition == "missing"
    with pytest.raises(CheckpointError, match="cannot be read"):
        take_in(tmp_path / "none.pth")


# ------------------------------------------------------------------------------------------------- downloaded


@pytest.fixture
def server() -> Iterator[FileServer]:
    files = FileServer(CONTENT)
    with serving(files.respond) as url:
        files.url = url
        yield files


def test_a_download_ends_verified(server: FileServer) -> None:
    steps: list[Progress] = []
    job = download(FILE.name, base_url=server.url)
    while True:
        try:
            steps.append(next(job))
        except StopIteration as end:
            state = end.value
            break
    assert state.condition == "verified"
    assert state.path.read_bytes() == CONTENT
    assert (steps[0].done, steps[-1].done, steps[-1].total) == (0, len(CONTENT), len(CONTENT))
    assert [path.name for path in files_dir().iterdir() if path.suffix in (".part", ".tmp")] == []
    assert list(download(FILE.name, base_url="http://127.0.0.1:1")) == []  # it is there


@pytest.mark.parametrize("knows_range", [True, False])
def test_a_broken_line_goes_on_where_it_stopped(server: FileServer, knows_range: bool) -> None:
    server.cut_at, server.knows_range = 1_000_000, knows_range
    with pytest.raises(DataError, match=r"The line broke: 1,000,000 of 4,194,304 bytes|cannot be reached"):
        list(download(FILE.name, base_url=server.url))
    assert state_of(FILE).condition == "missing"
    server.cut_at = None
    steps = list(download(FILE.name, base_url=server.url))
    assert server.asked_ranges == [None, "bytes=1000000-"]
    assert steps[0].done == (1_000_000 if knows_range else 0)
    assert state_of(FILE).condition == "verified"


def test_a_download_can_be_stopped(server: FileServer) -> None:
    server.cut_at = 2_000_000
    job = download(FILE.name, base_url=server.url)
    next(job)
    job.close()
    assert (files_dir() / "small.pth.part").exists()
    server.cut_at = None
    list(download(FILE.name, base_url=server.url))
    assert state_of(FILE).condition == "verified"


def test_a_wrong_file_is_not_kept(server: FileServer) -> None:
    server.content = CONTENT[::-1]
    with pytest.raises(CheckpointError, match=r"What arrived as small\.pth has the hash"):
        list(download(FILE.name, base_url=server.url))
    assert not (files_dir() / "small.pth.part").exists()
    server.content = b"<html>not this"
    with pytest.raises(CheckpointError, match=r"gives 14 bytes, and small\.pth has 4,194,304"):
        list(download(FILE.name, base_url=server.url))
    server.content = CONTENT
    list(download(FILE.name, base_url=server.url))
    assert state_of(FILE).condition == "verified"


def test_a_server_that_says_no_is_a_sentence(server: FileServer) -> None:
    server.status = 404
    with pytest.raises(DataError, match=r"small\.pth answers 404 Not Found"):
        list(download(FILE.name, base_url=server.url))
    with pytest.raises(DataError, match="cannot be reached"):
        list(download(FILE.name, base_url="http://127.0.0.1:1"))
    with pytest.raises(DataError, match="is no web address"):
        list(download(FILE.name, base_url="file:///etc"))
    with pytest.raises(CheckpointError, match=r'no model file "passwd"'):
        list(download("passwd"))
