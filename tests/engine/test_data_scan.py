"""What is understood of folders and archives, good and bad ones, before anything is trained on them."""

import io
import os
import shutil
import struct
import tarfile
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest
import sklearn.datasets
from PIL import Image

from dit_studio.engine import data_scan, file_list
from dit_studio.engine.data import scan
from dit_studio.errors import DataError
from dit_studio.events import DataSummary, Progress, decode, encode

_PHOTOS = Path(sklearn.datasets.__file__).parent / "images"


def _scan(path: Path | str, **options: str) -> DataSummary:
    events = list(scan(str(path), **options))
    assert all(isinstance(event, Progress) for event in events[:-1])
    assert isinstance(events[-1], DataSummary)
    assert decode(encode(events[-1])) == events[-1]
    return events[-1]


def _reasons(summary: DataSummary) -> dict[str, str]:
    return {problem.file: problem.reason for problem in summary.problems}


def _picture(value: int, size: tuple[int, int] = (40, 40)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, (value % 256, value // 256, 0)).save(buffer, "PNG")
    return buffer.getvalue()


def _kinds(root: Path, **counts: int) -> Path:
    value = 0
    for kind, count in counts.items():
        (root / kind).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            (root / kind / f"{number}.png").write_bytes(_picture(value))
            value += 1
    return root


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1,797 real handwritten digits as a folder of PNG files."""
    root = tmp_path_factory.mktemp("real digits")
    real = sklearn.datasets.load_digits()
    for number, (pixels, label) in enumerate(zip(real.images, real.target, strict=True)):
        (root / str(label)).mkdir(exist_ok=True)
        Image.fromarray(np.rint(pixels * 255 / 16).astype(np.uint8)).save(root / str(label) / f"{number}.png")
    return root


def test_real_digits(digits: Path) -> None:
    summary = _scan(digits)
    real = np.bincount(sklearn.datasets.load_digits().target)
    assert summary.images == 1797
    assert [(item.name, item.images) for item in summary.classes] == [(str(n), count) for n, count in enumerate(real)]
    assert (summary.source, summary.sources) == ("folders", ("folders",))
    assert summary.smallest == summary.largest == (8, 8)
    assert summary.size_bytes == sum(file.stat().st_size for file in digits.rglob("*.png"))
    assert (summary.problem_count, summary.problems) == (0, ())
    assert any("8 × 8" in warning for warning in summary.warnings)


def test_thumbnails_show_the_classes_in_turn(tmp_path: Path) -> None:
    summary = _scan(_kinds(tmp_path / "data", a=30, b=2, c=30), thumbnails_dir=str(tmp_path / "row"))
    assert summary.thumbnail_labels[:8] == ("a", "b", "c", "a", "b", "c", "a", "c")
    assert len(summary.thumbnail_labels) == 24
    assert Path(summary.thumbnails).parent == tmp_path / "row"
    with Image.open(summary.thumbnails) as row:
        assert row.size == (24 * summary.thumbnail_size, summary.thumbnail_size)
        pixels = np.asarray(row)[32, 32 :: summary.thumbnail_size]
    assert pixels[:3].tolist() == [[0, 0, 0], [30, 0, 0], [32, 0, 0]]  # the first of each class


def test_thumbnails_lie_in_the_cache_unless_told_otherwise(tmp_path: Path) -> None:
    summary = _scan(_kinds(tmp_path / "data", a=2, b=2))
    assert Path(summary.thumbnails).parent == tmp_path / "cache" / "thumbnails"


def test_thumbnails_that_cannot_be_written_are_only_a_warning(tmp_path: Path) -> None:
    (tmp_path / "a file").touch()
    summary = _scan(_kinds(tmp_path / "data", a=2, b=2), thumbnails_dir=str(tmp_path / "a file"))
    assert summary.thumbnails == ""
    assert any("no thumbnails" in warning for warning in summary.warnings)


def test_photographs(tmp_path: Path) -> None:
    for name in ("china.jpg", "flower.jpg"):
        shutil.copy(_PHOTOS / name, tmp_path)
    summary = _scan(tmp_path)
    assert (summary.images, summary.source, summary.largest) == (2, "none", (640, 427))
    assert summary.thumbnail_labels == ("", "")


def test_every_file_left_out_is_listed_with_its_reason(tmp_path: Path) -> None:
    root = _kinds(tmp_path / "data with spaces, ünd Ümläüte", a=3)
    photo = (_PHOTOS / "flower.jpg").read_bytes()
    bomb = bytearray(_bmp())
    bomb[18:26] = struct.pack("<ii", 20000, 20000)
    bad = {"empty.png": b"", "cut.jpg": photo[:5000], "text.png": b"hello", "notes.txt": b"hello", "bomb.bmp": bomb}
    for name, content in bad.items():
        (root / "a" / name).write_bytes(content)
    summary = _scan(root)
    reasons = _reasons(summary)
    assert set(reasons) == {f"a/{name}" for name in bad}
    assert "0 bytes" in reasons["a/empty.png"]
    assert "truncated" in reasons["a/cut.jpg"]
    assert "not an image" in reasons["a/text.png"]
    assert "not an image" in reasons["a/notes.txt"]
    assert "400 million pixels" in reasons["a/bomb.bmp"]
    assert (summary.images, summary.problem_count) == (3, 5)


def _bmp() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "BMP")
    return buffer.getvalue()


def test_problems_are_capped_but_counted(tmp_path: Path) -> None:
    root = _kinds(tmp_path / "data", a=2)
    for number in range(1010):
        (root / f"{number}.txt").touch()
    summary = _scan(root)
    assert (len(summary.problems), summary.problem_count) == (1000, 1010)


def test_junk_and_hidden_files_are_no_problem(tmp_path: Path) -> None:
    root = _kinds(tmp_path / "data", a=2, b=2, __MACOSX=1)
    for name in ("Thumbs.db", ".DS_Store", "a/desktop.ini", "a/._1.png"):
        (root / name).write_bytes(b"junk")
    (root / ".git").mkdir()
    (root / ".git" / "x.png").write_bytes(_picture(9))
    summary = _scan(root)
    assert (summary.images, summary.problem_count) == (4, 0)


def test_symlinks(tmp_path: Path) -> None:
    root = _kinds(tmp_path / "data", a=2)
    outside = _kinds(tmp_path / "elsewhere", b=2)
    (root / "b").symlink_to(outside / "b")
    (root / "a" / "loop").symlink_to(root)
    (root / "up").symlink_to(tmp_path)
    (root / "same").symlink_to(root / "a")
    (root / "nowhere.png").symlink_to(root / "gone.png")
    summary = _scan(root)
    assert {item.name: item.images for item in summary.classes} == {"a": 2, "b": 2}
    reasons = _reasons(summary)
    assert "leads nowhere" in reasons["nowhere.png"]
    assert {name for name, reason in reasons.items() if "read already" in reason} == {"a/loop", "up", "same"}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_named_pipe_is_not_waited_for(tmp_path: Path) -> None:
    root = _kinds(tmp_path / "data", a=2)
    os.mkfifo(root / "a" / "pipe.png")
    assert "not a regular file" in _reasons(_scan(root))["a/pipe.png"]


def test_what_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = _kinds(tmp_path / "data", a=3, b=2, c=2)
    real_scandir, real_open = os.scandir, file_list._open_file

    def scandir(path: Path) -> object:
        if path.name == "c":
            raise PermissionError(13, "Permission denied", str(path))
        return real_scandir(path)

    def open_file(path: Path) -> object:
        if path == root / "a" / "1.png":
            raise PermissionError(13, "Permission denied", str(path))
        return real_open(path)

    monkeypatch.setattr(os, "scandir", scandir)
    monkeypatch.setattr(file_list, "_open_file", open_file)
    summary = _scan(root)
    assert _reasons(summary)["a/1.png"] == "no permission to read it"
    assert "no permission" in _reasons(summary)["c"]
    assert summary.images == 4


def test_a_whole_folder_without_permission_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def scandir(path: Path) -> object:
        raise PermissionError(13, "Permission denied", str(path))

    (tmp_path / "data").mkdir()
    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(DataError, match=r"no permission to read .*data"):
        _scan(tmp_path / "data")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("", None, "No images are chosen"),
        ("missing", None, "does not exist"),
        ("photo.png", _picture(1), "is a single file"),
        ("text.txt", b"hello", "neither a folder nor a zip or tar"),
        ("broken.zip", b"PK\x03\x04 and then nothing", "neither a folder nor a zip or tar"),
        ("nul\0byte", None, "cannot be opened"),
    ],
)
def test_what_is_no_data_set(tmp_path: Path, name: str, content: bytes | None, words: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=words) as caught:
        _scan(str(tmp_path / name) if name else "")
    assert caught.value.remedy


def test_an_empty_folder_and_one_without_images(tmp_path: Path) -> None:
    (tmp_path / "a folder").mkdir()
    with pytest.raises(DataError, match="a folder holds no files"):
        _scan(tmp_path / "a folder")
    (tmp_path / "a folder" / "x.txt").write_text("hello")
    with pytest.raises(DataError, match=r"holds no image that can be used.*x\.txt \(not an image"):
        _scan(tmp_path / "a folder")


def test_warnings(tmp_path: Path) -> None:
    root = _kinds(tmp_path / "data", many=60, few=2, single=1, broken=0)
    shutil.copy(root / "many" / "0.png", root / "many" / "copy.png")
    (root / "broken" / "x.png").write_bytes(b"no image")
    warnings = _scan(root).warnings
    assert any("only 64 images" in warning for warning in warnings)
    assert any(warning.startswith('"single" has one image') for warning in warnings)
    assert any(warning.startswith('"broken" has no image') for warning in warnings)
    assert any("uneven: many has 61 images, single has 1" in warning for warning in warnings)
    assert any("1 file is an exact copy" in warning and "many/" in warning for warning in warnings)
    assert "broken" not in {item.name for item in _scan(root).classes}


def test_one_image_is_said_to_be_too_few(tmp_path: Path) -> None:
    assert "only one image" in _scan(_kinds(tmp_path / "data", a=1)).warnings[0]


# ------------------------------------------------------------------------------------------------- archives


def _archive(root: Path, kind: str) -> Path:
    return Path(shutil.make_archive(str(root), kind, root.parent, root.name))


@pytest.mark.parametrize("kind", ["zip", "tar", "gztar", "xztar", "bztar"])
def test_an_archive_is_understood_as_the_folder_in_it(tmp_path: Path, kind: str) -> None:
    root = _kinds(tmp_path / "Tïere und so", Äpfel=3, cat=4)
    (root / "cat" / "notes.txt").write_text("hello")
    folder, archive = _scan(root), _scan(_archive(root, kind))
    for field in ("images", "classes", "source", "smallest", "thumbnail_labels", "problem_count", "warnings"):
        assert getattr(archive, field) == getattr(folder, field), field
    assert Path(archive.thumbnails).read_bytes() == Path(folder.thumbnails).read_bytes()
    assert _reasons(archive) == {f"{root.name}/{name}": reason for name, reason in _reasons(folder).items()}


def test_an_archive_without_its_suffix_is_still_one(tmp_path: Path) -> None:
    archive = _archive(_kinds(tmp_path / "data", a=2, b=2), "gztar").rename(tmp_path / "download")
    assert _scan(archive).images == 4


def test_a_hostile_tar_changes_nothing_on_the_disk(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    secret = tmp_path / "secret.png"
    secret.write_bytes(_picture(7))
    path = tmp_path / "in" / "hostile.tar"
    with tarfile.open(path, "w") as archive:
        for name in ("ok/1.png", "ok/2.png", "../outside.png", "/tmp/absolute.png", "ok/2.png"):
            info = tarfile.TarInfo(name)
            info.size = len(_picture(1))
            archive.addfile(info, io.BytesIO(_picture(1)))
        for name, kind in (("link.png", tarfile.SYMTYPE), ("hard.png", tarfile.LNKTYPE), ("dev.png", tarfile.CHRTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, str(secret)
            archive.addfile(info)
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    summary = _scan(path, thumbnails_dir=str(tmp_path / "row"))
    reasons = _reasons(summary)
    assert summary.images == 2
    assert "out of the archive" in reasons["../outside.png"]
    assert "out of the archive" in reasons["/tmp/absolute.png"]
    assert "same name" in reasons["ok/2.png"]
    assert all("a link or a device" in reasons[name] for name in ("link.png", "hard.png", "dev.png"))
    after = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file() and file.parent.name != "row"}
    assert after == before
    assert not Path("/tmp/absolute.png").exists()


def test_a_link_does_not_stand_for_a_later_file_of_its_name(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as archive:
        link = tarfile.TarInfo("1.png")
        link.type, link.linkname = tarfile.SYMTYPE, "2.png"
        archive.addfile(link)
        for number in (1, 2):
            info = tarfile.TarInfo(f"{number}.png")
            info.size = len(_picture(number * 50))
            archive.addfile(info, io.BytesIO(_picture(number * 50)))
    row = _scan(path).thumbnails
    with Image.open(row) as picture:
        assert [picture.getpixel((x, 5))[0] for x in (5, 69)] == [50, 100]


@pytest.mark.parametrize("kind", ["tar", "gztar", "xztar"])
def test_a_tar_that_breaks_off_gives_what_came_before(tmp_path: Path, kind: str) -> None:
    root = tmp_path / "data"
    root.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (20, 64, 64, 3), dtype=np.uint8)
    for number, pixels in enumerate(noise):
        Image.fromarray(pixels).save(root / f"{number}.png")
    archive = _archive(root, kind)
    archive.write_bytes(archive.read_bytes()[: archive.stat().st_size * 3 // 4])
    summary = _scan(archive)
    assert 2 <= summary.images < 20
    assert "breaks off" in _reasons(summary)[archive.name]


def test_members_of_a_zip_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(4):
            archive.writestr(f"{number}.png", _picture(number))
    content = bytearray(path.read_bytes())
    content[content.index(b"IDAT")] ^= 0xFF  # the first picture no longer fits its checksum
    entry = content.index(b"PK\x01\x02", content.index(b"PK\x01\x02") + 1)
    content[entry + 8] |= 1  # the second claims to be encrypted
    path.write_bytes(content)
    summary = _scan(path)
    assert summary.images == 2
    assert "damaged in the archive" in _reasons(summary)["0.png"]
    assert _reasons(summary)["1.png"] == "encrypted"


def test_a_member_that_is_far_too_large_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_list, "MAX_FILE_BYTES", 10_000)
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.png", bytes(1_000_000))
        archive.writestr("1.png", _picture(1))
    summary = _scan(path)
    assert "1,000,000 bytes" in _reasons(summary)["bomb.png"]


def test_progress_comes_often_and_a_scan_can_be_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_scan, "PROGRESS_SECONDS", 0)
    root = _kinds(tmp_path / "data", a=40)
    scanning = scan(str(root))
    done = [event.done for event in scanning if isinstance(event, Progress) and event.stage == "Reading images"]
    assert done == sorted(done)
    assert (done[0], done[-1]) == (0, 40)
    assert len(done) > 40
    scanning = scan(str(root))
    while next(scanning).done < 3:
        pass
    scanning.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("images")]
