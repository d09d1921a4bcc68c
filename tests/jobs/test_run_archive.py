"""A run as one file: what comes back is what went in, and a file that is not what it should be leaves nothing."""

import contextlib
import errno
import hashlib
import json
import os
import stat
import threading
import time
import tracemalloc
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from dit_studio.config import parse_recipe
from dit_studio.errors import DiskFullError, RunError, StudioError
from dit_studio.events import JobState, Metrics, Progress, Written
from dit_studio.files import open_atomically
from dit_studio.jobs import run_archive
from dit_studio.jobs.event_log import EventWriter
from dit_studio.jobs.queue import Queue
from dit_studio.jobs.run_archive import export_run, import_run
from dit_studio.jobs.run_folder import RunFolder, Status
from dit_studio.jobs.run_label import change_label, read_label


def _make(root: Path, name: str = "digits", *, state: JobState = JobState.FINISHED) -> RunFolder:
    folder = RunFolder.create(root / name, parse_recipe({"train": {"steps": 100}}))
    with EventWriter(folder) as writer:
        for step in range(1, 51):
            writer.append(Metrics(step=step, loss=1 / step, learning_rate=1e-3))
    for step in (25, 50):
        checkpoint = folder.path / "checkpoints" / f"step-{step:07d}"
        checkpoint.mkdir()
        (checkpoint / "model.safetensors").write_bytes(bytes(range(256)) * 40 * step)
        (checkpoint / "state.json").write_text(json.dumps({"step": step}))
    (folder.path / "previews" / "step-0000050.png").write_bytes(b"\x89PNG" * 100)
    (folder.path / "evaluations").mkdir()
    (folder.path / "evaluations" / "數據.json").write_text("{}")
    (folder.path / "log.txt").write_text("a line\n" * 100)
    (folder.path / "run.lock").touch()
    (folder.path / "events.index").write_bytes(b"derived")
    (folder.path / ".half.tmp").write_bytes(b"half")
    (folder.path / "commands" / "stop").touch()
    folder.write_status(Status(state=state, step=50, steps=100, loss=0.02))
    change_label(folder, title="Zwölf Ziffern", tags=("a", "b"))
    return folder


def _files(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def _end(events: Iterator[Any]) -> Written:
    *before, last = events
    assert all(isinstance(event, Progress) for event in before)
    assert isinstance(last, Written)
    return last


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "runs"


@pytest.fixture
def archive(root: Path, tmp_path: Path) -> Path:
    out = tmp_path / "digits.dit-run"
    _end(export_run(str(_make(root).path), str(out)))
    return out


def test_what_comes_back_is_what_went_in(root: Path, tmp_path: Path, archive: Path) -> None:
    before = _files(root / "digits")
    written = _end(import_run(str(archive), str(tmp_path / "elsewhere")))
    assert written.file == str(tmp_path / "elsewhere" / "digits")
    assert written.note == ""
    left_out = {"run.lock", "events.index", "events.rare", ".half.tmp", "commands/stop"}
    assert _files(Path(written.file)) == {name: data for name, data in before.items() if name not in left_out}
    imported = RunFolder.open(Path(written.file))
    assert imported.recipe() == RunFolder(root / "digits").recipe()
    assert imported.observed_status() == RunFolder(root / "digits").observed_status()
    assert [path.name for path in (tmp_path / "elsewhere").iterdir()] == ["digits"]


def test_the_manifest_is_of_what_is_in_the_file(archive: Path) -> None:
    with zipfile.ZipFile(archive) as packed:
        manifest = json.loads(packed.read("manifest.json"))
        assert packed.testzip() is None
        for file in manifest["files"]:
            data = packed.read(f"run/{file['path']}")
            assert (len(data), hashlib.sha256(data).hexdigest()) == (file["size_bytes"], file["sha256"])
            is_text = file["path"].endswith((".toml", ".json", ".jsonl", ".txt"))
            kind = packed.getinfo(f"run/{file['path']}").compress_type
            assert kind == (zipfile.ZIP_DEFLATED if is_text else zipfile.ZIP_STORED)
        assert {f"run/{file['path']}" for file in manifest["files"]} | {"manifest.json"} == set(packed.namelist())
    assert (manifest["format"], manifest["version"], manifest["name"]) == ("dit-studio run", 1, "digits")


@pytest.mark.parametrize(("which", "steps"), [("all", [25, 50]), ("newest", [50]), ("none", [])])
def test_as_many_checkpoints_as_asked(root: Path, tmp_path: Path, which: Any, steps: list[int]) -> None:
    _end(export_run(str(_make(root).path), str(tmp_path / "a.dit-run"), which))
    written = _end(import_run(str(tmp_path / "a.dit-run"), str(tmp_path / "b")))
    names = [path.name for path in RunFolder(Path(written.file)).checkpoints()]
    assert names == [f"step-{step:07d}" for step in steps]


def test_names_that_are_taken_get_a_number(root: Path, archive: Path) -> None:
    names = [Path(_end(import_run(str(archive), str(root))).file).name for _ in range(2)]
    assert names == ["digits-2", "digits-3"]


def test_a_run_at_work_is_exported_as_it_was_and_imported_as_interrupted(root: Path, tmp_path: Path) -> None:
    folder = _make(root, state=JobState.RUNNING)
    with (folder.path / "events.jsonl").open("ab") as file:
        file.write(b'{"kind":"metrics","step":51,"lo')
    with folder.lock():
        _end(export_run(str(folder.path), str(tmp_path / "a.dit-run")))
        assert folder.read_status().state is JobState.RUNNING
    imported = RunFolder(Path(_end(import_run(str(tmp_path / "a.dit-run"), str(tmp_path / "b"))).file))
    status = imported.read_status()
    assert (status.state, status.step, status.pid, status.host) == (JobState.INTERRUPTED, 50, 0, "")
    steps = [event.step for event in imported.read_events() if isinstance(event, Metrics)]
    assert steps == list(range(1, 51))
    assert (imported.path / "events.jsonl").read_bytes().endswith(b"}\n")


def test_queued_becomes_idle_and_archived_is_shown(root: Path, tmp_path: Path) -> None:
    folder = _make(root, state=JobState.QUEUED)
    change_label(folder, is_archived=True)
    _end(export_run(str(folder.path), str(tmp_path / "a.dit-run"), "none"))
    imported = RunFolder(Path(_end(import_run(str(tmp_path / "a.dit-run"), str(tmp_path / "b"))).file))
    assert imported.read_status().state is JobState.IDLE
    assert (read_label(imported).is_archived, read_label(imported).tags) == (False, ("a", "b"))


def test_what_waited_to_go_on_can_be_resumed(root: Path, tmp_path: Path) -> None:
    _end(export_run(str(_make(root, state=JobState.QUEUED).path), str(tmp_path / "a.dit-run")))
    imported = RunFolder(Path(_end(import_run(str(tmp_path / "a.dit-run"), str(tmp_path / "b"))).file))
    assert imported.read_status().state is JobState.STOPPED


def test_a_checkpoint_that_is_removed_meanwhile_is_whole_or_not_there(root: Path, tmp_path: Path) -> None:
    folder = _make(root, state=JobState.RUNNING)
    events = export_run(str(folder.path), str(tmp_path / "a.dit-run"))
    next(events)  # in the middle of the first one
    for checkpoint in folder.checkpoints():
        for path in checkpoint.iterdir():
            path.unlink()
        checkpoint.rmdir()
    _end(events)
    imported = Path(_end(import_run(str(tmp_path / "a.dit-run"), str(tmp_path / "b"))).file)
    assert [path.name for path in RunFolder(imported).checkpoints()] == ["step-0000025"]
    assert len((imported / "checkpoints" / "step-0000025" / "model.safetensors").read_bytes()) == 256 * 40 * 25


def test_while_a_run_writes_every_export_can_be_read(root: Path, tmp_path: Path) -> None:
    folder, is_over = _make(root, state=JobState.RUNNING), threading.Event()

    def write() -> None:
        with EventWriter(folder) as writer:
            step = 51
            while not is_over.is_set():
                writer.append(Metrics(step=step, loss=0.1, learning_rate=1e-3))
                writer.flush()
                folder.write_status(Status(state=JobState.RUNNING, step=step))
                step += 1

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for number in range(5):
            _end(export_run(str(folder.path), str(tmp_path / "a.dit-run")))
            run = RunFolder(Path(_end(import_run(str(tmp_path / "a.dit-run"), str(tmp_path / f"b{number}"))).file))
            steps = [event.step for event in run.read_events() if isinstance(event, Metrics)]
            assert steps == list(range(1, len(steps) + 1))
    finally:
        is_over.set()
        thread.join()


def test_cancelled_leaves_nothing(root: Path, tmp_path: Path, archive: Path) -> None:
    exporting = export_run(str(root / "digits"), str(tmp_path / "b" / ".." / "other.dit-run"))
    (tmp_path / "b").mkdir()
    next(exporting)
    assert len(list(tmp_path.glob(".other*"))) == 1
    exporting.close()
    assert not list(tmp_path.glob("*other*"))
    importing = import_run(str(archive), str(tmp_path / "b"))
    next(importing)
    assert [path.name[:8] for path in (tmp_path / "b").iterdir()] == [".import-"]
    importing.close()
    assert list((tmp_path / "b").iterdir()) == []


def test_memory_stays_flat(root: Path, tmp_path: Path) -> None:
    folder = _make(root)
    with (folder.path / "checkpoints" / "step-0000050" / "model.safetensors").open("wb") as file:
        file.truncate(64 * 2**20)
    tracemalloc.start()
    with contextlib.closing(export_run(str(folder.path), str(tmp_path / "a.dit-run"))) as events:
        _end(events)
    _end(import_run(str(tmp_path / "a.dit-run"), str(tmp_path / "b")))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * 2**20


def test_links_and_names_for_one_system_are_left_out_and_said(root: Path, tmp_path: Path) -> None:
    folder = _make(root)
    (folder.path / "previews" / "link.png").symlink_to("/etc/hostname")
    (folder.path / "elsewhere").symlink_to("/etc")
    (folder.path / "previews" / "a:b.png").write_bytes(b"1")
    written = _end(export_run(str(folder.path), str(tmp_path / "a.dit-run")))
    assert "previews/a:b.png" in written.note
    imported = _files(Path(_end(import_run(str(tmp_path / "a.dit-run"), str(tmp_path / "b"))).file))
    assert not {"previews/link.png", "previews/a:b.png", "elsewhere/hostname"} & set(imported)


def test_a_file_in_the_run_itself_and_a_full_disk_are_refused(
    root: Path, tmp_path: Path, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RunError, match="lies in the run itself"):
        list(export_run(str(root / "digits"), str(root / "digits" / "a.dit-run")))
    with pytest.raises(RunError, match="is not a run"):
        list(export_run(str(tmp_path), str(tmp_path / "b.dit-run")))
    monkeypatch.setattr(run_archive, "free_bytes", lambda _path: 10_000_000)
    with pytest.raises(DiskFullError, match=r"10 MB free, and \d+ MB are needed"):
        list(export_run(str(root / "digits"), str(tmp_path / "b.dit-run")))
    with pytest.raises(DiskFullError, match=r"10 MB free, and \d+ MB are needed"):
        list(import_run(str(archive), str(tmp_path / "b")))
    assert not (tmp_path / "b.dit-run").exists()
    assert list((tmp_path / "b").iterdir()) == []


class _Disk:
    """A file on a disk that takes so many bytes."""

    def __init__(self, file: BinaryIO, room: int) -> None:
        self._file, self._room = file, room

    def write(self, data: bytes) -> int:
        if self._file.tell() + len(data) > self._room:
            raise OSError(errno.ENOSPC, "No space left on device")
        return self._file.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


@pytest.mark.parametrize("room", [10, 5_000, 500_000])  # full at the first entry, within one, near the end
def test_a_disk_that_fills_up_meanwhile_is_said_and_nothing_stays(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    @contextlib.contextmanager
    def filling_up(path: Path) -> Iterator[_Disk]:
        with open_atomically(path) as file:
            yield _Disk(file, room)

    monkeypatch.setattr(run_archive, "open_atomically", filling_up)
    folder = _make(root)
    (tmp_path / "out").mkdir()
    with pytest.raises(DiskFullError, match=r"There is no room to write .*a\.dit-run: [\d,]+ MB are free"):
        list(export_run(str(folder.path), str(tmp_path / "out" / "a.dit-run")))
    assert list((tmp_path / "out").iterdir()) == []


def test_a_long_history_needs_less_room_than_it_has_letters(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = _make(root)
    with EventWriter(folder) as writer:
        for step in range(51, 5_000):
            writer.append(Metrics(step=step, loss=1 / step, learning_rate=1e-3))
    monkeypatch.setattr(run_archive, "_SPARE_BYTES", 0)
    is_free = (folder.path / "events.jsonl").stat().st_size * 2 // 3
    monkeypatch.setattr(run_archive, "free_bytes", lambda _path: is_free)
    written = _end(export_run(str(folder.path), str(tmp_path / "a.dit-run"), "none"))
    assert written.size_bytes < is_free


def test_leftovers_of_imports_that_were_killed_go_after_a_day(archive: Path, tmp_path: Path) -> None:
    for name, age in (("old", 2 * 86_400), ("new", 60)):
        folder = tmp_path / "b" / f".import-{name}.tmp"
        folder.mkdir(parents=True)
        os.utime(folder, (time.time() - age, time.time() - age))
    _end(import_run(str(archive), str(tmp_path / "b")))
    assert sorted(path.name for path in (tmp_path / "b").iterdir()) == [".import-new.tmp", "digits"]


# ------------------------------------------------------------------------------------------------- hostile files

_TOML = b"[train]\nsteps = 5\n"


def _forged(
    path: Path,
    files: dict[str, bytes],
    *,
    change: Callable[[dict[str, Any]], None] = lambda _manifest: None,
    unlisted: dict[str, bytes] | None = None,
    manifest: bytes | None = None,
) -> Path:
    """An archive made by hand: with `files` as its manifest says, and more as somebody hostile would."""
    table = {
        "format": "dit-studio run", "version": 1, "name": "forged",
        "files": [
            {"path": name, "size_bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            for name, data in files.items()
        ],
    }  # fmt: skip
    change(table)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that are there twice
        for name, data in {**files, **(unlisted or {})}.items():
            packed.writestr(f"run/{name}", data)
        packed.writestr("manifest.json", json.dumps(table) if manifest is None else manifest)
    return path


def _refused(path: Path, sentence: str) -> None:
    """The file is refused with a sentence, nothing is left below the runs, and nothing lies outside of them."""
    root = path.parent / "runs-of-import"
    root.mkdir()
    before = sorted(path.parent.rglob("*"))
    with pytest.raises(StudioError) as failed:
        list(import_run(str(path), str(root)))
    assert sentence in failed.value.message
    assert failed.value.remedy
    assert sorted(path.parent.rglob("*")) == before


@pytest.mark.parametrize(
    "name",
    [
        *("../evil", "a/../../evil", "/tmp/evil", "C:\\evil", "a\\..\\evil", "a//b", "./a", "nul.txt", "a/con"),
        *("a.", "a\nb", "a?b", "..", "x" * 300),
    ],
)
def test_names_that_lead_elsewhere_are_refused(tmp_path: Path, name: str) -> None:
    _refused(_forged(tmp_path / "a.dit-run", {"run.toml": _TOML, name: b"evil"}), "holds a file that is called")


def test_a_name_with_a_nul_is_refused(tmp_path: Path) -> None:
    path = _forged(tmp_path / "a.dit-run", {"run.toml": _TOML, "aXb": b"evil"})
    path.write_bytes(path.read_bytes().replace(b"run/aXb", b"run/a\0b"))
    _refused(path, "a.dit-run")


def test_links_are_refused(tmp_path: Path) -> None:
    path = _forged(tmp_path / "a.dit-run", {"run.toml": _TOML})
    info = zipfile.ZipInfo("run/checkpoints")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "a") as packed:
        packed.writestr(info, "/etc")
    _refused(path, "which is a link")


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"run.toml": _TOML, "A.png": b"1", "a.png": b"2"}, "twice"),
        ({"run.toml": _TOML, "é": b"1", "e\u0301": b"2"}, "twice"),
        ({"run.toml": _TOML, "a": b"1", "a/b": b"2"}, "lies in what is a file"),
        ({"run.toml": _TOML, "checkpoints": b"1"}, "checkpoints is a file, and in a run it is a folder"),
        ({"run.toml": _TOML, "Previews": b"1"}, "Previews is a file, and in a run it is a folder"),
        ({"run.toml": _TOML, "events.jsonl/a": b"1"}, "events.jsonl is a folder, and in a run it is a file"),
        ({"other.toml": _TOML}, "it has no run.toml"),
        ({}, "it has no run.toml"),
    ],
)
def test_files_that_are_no_run_are_refused(tmp_path: Path, files: dict[str, bytes], sentence: str) -> None:
    _refused(_forged(tmp_path / "a.dit-run", files), sentence)


def test_two_entries_of_one_name_are_refused(tmp_path: Path) -> None:
    path = _forged(tmp_path / "a.dit-run", {"run.toml": _TOML})
    with zipfile.ZipFile(path, "a") as packed, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        packed.writestr("run/run.toml", b"[train]\nsteps = 6\n")
    _refused(path, "twice")


def test_entries_that_the_manifest_does_not_know_are_refused(tmp_path: Path) -> None:
    _refused(
        _forged(tmp_path / "a.dit-run", {"run.toml": _TOML}, unlisted={"more": b"1"}), "differ, for instance in more"
    )


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda table: table.update(version=2), "is of version 2, and this program reads version 1"),
        (lambda table: table.update(format="other"), "calls itself 'other'"),
        (lambda table: table["files"][0].update(sha256="0" * 64), "the SHA-256 of run.toml"),
        (lambda table: table["files"][0].update(size_bytes=5), "another size"),
        (lambda table: table["files"][0].update(size_bytes="5"), "manifest cannot be read"),
        (
            lambda table: table["files"].append({"path": "b", "size_bytes": 1, "sha256": ""}),
            "differ, for instance in b",
        ),
    ],
)
def test_a_manifest_that_lies_is_refused(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], sentence: str
) -> None:
    _refused(_forged(tmp_path / "a.dit-run", {"run.toml": _TOML}, change=change), sentence)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    zeros = bytes(run_archive._BLOCK) * 300
    path = _forged(tmp_path / "a.dit-run", {"run.toml": _TOML, "log.txt": zeros})
    assert path.stat().st_size < 2**20
    _refused(path, "times as much")


def test_a_bomb_whose_entries_share_their_bytes_is_refused(tmp_path: Path) -> None:
    """Two entries of the directory point to the same bytes of the file."""
    data = bytes(range(256)) * 4000
    path = tmp_path / "a.dit-run"
    names = {"run.toml": _TOML, "a": data, "b": data}
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("run/run.toml", _TOML)
        packed.writestr("run/a", data)
        twin = zipfile.ZipInfo("run/b")
        info = packed.getinfo("run/a")
        twin.header_offset, twin.CRC, twin.file_size, twin.compress_size = (
            info.header_offset, info.CRC, info.file_size, info.compress_size,
        )  # fmt: skip
        packed.filelist.append(twin)
        packed.NameToInfo["run/b"] = twin
        files = [
            {"path": name, "size_bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for name, content in names.items()
        ]
        packed.writestr("manifest.json", json.dumps({"format": "dit-studio run", "version": 1, "files": files}))
    _refused(path, "lie over one another")


def test_files_that_are_cut_off_or_damaged_are_refused(tmp_path: Path, archive: Path) -> None:
    whole = archive.read_bytes()
    for number, share in enumerate((0.0, 0.3, 0.9, 0.999)):
        place = tmp_path / f"cut{number}"
        place.mkdir()
        (place / "a.dit-run").write_bytes(whole[: int(len(whole) * share)])
        _refused(place / "a.dit-run", "a.dit-run")
    place = tmp_path / "flipped"
    place.mkdir()
    middle = whole.index(bytes(range(256)))
    (place / "a.dit-run").write_bytes(whole[:middle] + b"?" + whole[middle + 1 :])
    _refused(place / "a.dit-run", "is damaged")


@pytest.mark.parametrize("manifest", [b"", b"{", b"[]", b"\xff"])
def test_a_manifest_that_cannot_be_read_is_refused(tmp_path: Path, manifest: bytes) -> None:
    _refused(_forged(tmp_path / "a.dit-run", {"run.toml": _TOML}, manifest=manifest), "manifest cannot be read")


def test_other_files_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as packed:
        packed.writestr("a.png", b"1")
    _refused(tmp_path / "images.zip", "it has no manifest")
    with pytest.raises(RunError, match="is not a file"):
        list(import_run(str(tmp_path), str(tmp_path)))
    with pytest.raises(RunError, match="is not a file"):
        list(import_run(str(tmp_path / "nowhere"), str(tmp_path)))


@pytest.mark.parametrize(
    "name",
    ["../../evil", "/etc/evil", "", "a/b", "con", "..", "x" * 500, "queue.json", "Queue.JSON", "queue.log",
     "queue.log.1", "queue-damaged-20260101-000000.json", ".window.lock", ".hidden", "-rf"],
)  # fmt: skip
def test_the_name_of_a_run_leads_nowhere_else(tmp_path: Path, name: str) -> None:
    path = _forged(tmp_path / "a.dit-run", {"run.toml": _TOML}, change=lambda table: table.update(name=name))
    written = _end(import_run(str(path), str(tmp_path / "b")))
    assert Path(written.file).parent == tmp_path / "b"
    assert [file.name for file in (tmp_path / "b").iterdir()] == [Path(written.file).name]
    assert "could not be taken" in written.note
    assert Queue(tmp_path / "b").entries() == []
    assert not Path(written.file).name.startswith(("queue", ".", "-"))


def test_a_label_that_is_too_long_is_shortened_with_a_note(tmp_path: Path) -> None:
    label = {
        "title": "a b" * 100, "note": "c\n" * 5000, "is_archived": True,
        "tags": ["d" * 33, "fine", "\u200b", *map(str, range(50))],
    }  # fmt: skip
    path = _forged(tmp_path / "a.dit-run", {"run.toml": _TOML, "label.json": json.dumps(label).encode()})
    written = _end(import_run(str(path), str(tmp_path / "b")))
    assert "The name has 300 letters; at most 120 are possible. What was too much is left out." in written.note
    kept = read_label(RunFolder(Path(written.file)))
    assert kept.title == ("a b" * 100)[:120]
    assert kept.tags == ("fine", *map(str, range(31)))
    assert len(kept.note) == 3999
    assert not kept.is_archived
