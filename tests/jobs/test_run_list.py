"""The list of runs: what has not changed is not read again, and whatever changes is seen."""

import os
import shutil
import socket
import time
from pathlib import Path

import msgspec
import pytest

from dit_studio.config import parse_recipe
from dit_studio.events import JobState
from dit_studio.jobs import run_list
from dit_studio.jobs.run_folder import RunFolder, Status
from dit_studio.jobs.run_label import change_label
from dit_studio.jobs.run_list import RunLister, RunSummary, list_runs
from dit_studio.places import cache_dir


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "runs"


def _make(root: Path, name: str, *, started: float = 0.0, steps: int = 100, state: str = "finished") -> RunFolder:
    folder = RunFolder.create(root / name, parse_recipe({"train": {"steps": steps}}))
    folder.write_status(Status(state=JobState(state), started=started, steps=steps))
    return folder


def _age(folder: RunFolder) -> None:
    """As if nothing had changed for a while."""
    for path in folder.path.iterdir():
        os.utime(path, (time.time() - 60, time.time() - 60))


def _plain(summary: RunSummary) -> tuple[str, Status, object, str]:
    return summary.folder.name, summary.status, summary.recipe, summary.problem


def _names(lister: RunLister) -> list[str]:
    return [summary.folder.name for summary in lister.runs()]


def test_the_newest_come_first_and_what_is_no_run_is_passed_over(root: Path) -> None:
    for number in range(5):
        _make(root, f"run-{number}", started=float(number % 3), steps=10 + number)
    (root / "pictures").mkdir()
    (root / ".half-copied.tmp").mkdir()
    shutil.copy(root / "run-0" / "run.toml", root / ".half-copied.tmp")
    (root / "file").write_text("")
    lister = RunLister(root)
    summaries = lister.runs()
    assert [summary.status.started for summary in summaries] == [2.0, 1.0, 1.0, 0.0, 0.0]
    assert {summary.folder.name for summary in summaries} == {f"run-{number}" for number in range(5)}
    assert all(summary.recipe == summary.folder.recipe() for summary in summaries)
    assert list_runs(root / "nowhere") == []


def test_batches_begin_with_what_began_last(root: Path) -> None:
    for number in range(10):
        _age(_make(root, f"run-{number}", started=float(100 - number)))
    lister = RunLister(root)
    assert sum(len(batch) for batch in lister.batches(size=4)) == 10
    for again in (lister, RunLister(root)):  # the second knows it from the file
        first = next(again.batches(size=4))
        assert [summary.folder.name for summary in first] == ["run-0", "run-1", "run-2", "run-3"]
    _make(root, "20261121-101500-new", started=time.time())
    assert next(lister.batches(size=4))[0].folder.name == "20261121-101500-new"


def test_what_has_not_changed_is_not_parsed_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        _age(_make(root, f"run-{number}"))
    read: list[Path] = []
    parse = run_list._read_settings

    def noted(folder: RunFolder, stamp: tuple[int, ...], started: float) -> run_list._Settings:
        read.append(folder.path)
        return parse(folder, stamp, started)

    monkeypatch.setattr(run_list, "_read_settings", noted)
    lister = RunLister(root)
    first = lister.runs()
    assert len(read) == 3
    assert [one is other for one, other in zip(first, lister.runs(), strict=True)] == [True] * 3
    assert list(map(_plain, RunLister(root).runs())) == list(map(_plain, first))
    assert len(read) == 3  # another process reads them from the file
    (root / "run-1" / "run.toml").write_text("[train]\nsteps = 7\n")
    changed = {summary.folder.name: summary for summary in lister.runs()}["run-1"]
    assert changed.recipe is not None
    assert changed.recipe.train.steps == 7
    assert read[3:] == [root / "run-1"]


@pytest.mark.parametrize("damage", [b"", b"{", b'{"version":"0","settings":{}}', b"[1]", b"\xff"])
def test_a_memory_that_is_damaged_is_made_anew(root: Path, damage: bytes) -> None:
    _age(_make(root, "run"))
    expected = RunLister(root).runs()
    (file,) = cache_dir().glob("runs-*.json")
    whole = file.read_bytes()
    file.write_bytes(damage)
    assert list(map(_plain, RunLister(root).runs())) == list(map(_plain, expected))
    assert file.read_bytes() == whole


def test_a_file_that_changed_just_now_is_read_every_time(root: Path) -> None:
    folder = _make(root, "run", steps=100)
    file = folder.path / "run.toml"
    lister = RunLister(root)
    lister.runs()
    before, text = file.stat(), file.read_text()
    file.write_text(text.replace("steps = 100", "steps = 200"))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))  # the same size, time and number
    (summary,) = lister.runs()
    assert summary.recipe is not None
    assert summary.recipe.train.steps == 200


def test_new_statuses_labels_and_folders_are_seen(root: Path) -> None:
    first, second = _make(root, "first"), _make(root, "second")
    for folder in (first, second):
        _age(folder)
    lister = RunLister(root)
    assert sorted(_names(lister)) == ["first", "second"]
    first.write_status(Status(state=JobState.FAILED, step=3, steps=100))
    change_label(second, title="Second", tags=("a",), is_archived=True)
    by_name = {summary.folder.name: summary for summary in lister.runs()}
    assert (by_name["first"].status.state, by_name["first"].status.step) == (JobState.FAILED, 3)
    assert by_name["second"].title == "Second"
    assert by_name["second"].label.tags == ("a",)
    shutil.rmtree(first.path)
    assert _names(lister) == ["second"]
    (second.path / "run.toml").unlink()
    assert _names(lister) == []


def test_a_run_whose_process_is_gone_is_interrupted_though_no_file_changes(root: Path) -> None:
    folder = _make(root, "run")
    folder.write_status(
        Status(state=JobState.RUNNING, pid=os.getpid(), host=socket.gethostname(), heartbeat=time.time())
    )
    _age(folder)
    lister = RunLister(root)
    with folder.lock():
        (summary,) = lister.runs()
        assert summary.status.state is JobState.RUNNING
    (summary,) = lister.runs()
    assert summary.status.state is JobState.INTERRUPTED


@pytest.mark.parametrize("damage", ["steps = 0", "steps = ", '"'])
def test_a_broken_run_gets_a_row_that_says_what_is_wrong(root: Path, damage: str) -> None:
    folder = _make(root, "edited")
    (folder.path / "run.toml").write_text(f"[train]\n{damage}\n")
    (folder.path / "status.json").write_bytes(b'{"state": "run')
    _age(folder)
    for lister in (RunLister(root), RunLister(root)):
        (summary,) = lister.runs()
        assert summary.recipe is None
        assert summary.problem
        assert summary.status == Status()


def test_a_relative_data_set_beside_the_run_is_found_by_it(root: Path) -> None:
    folder = _make(root, "run")
    (folder.path / "images").mkdir()
    (folder.path / "run.toml").write_text('[data]\npath = "images"\n')
    _age(folder)
    for lister in (RunLister(root), RunLister(root)):
        (summary,) = lister.runs()
        assert summary.recipe == folder.recipe()


def test_the_memory_is_small(root: Path) -> None:
    for number in range(20):
        _age(_make(root, f"run-{number}"))
    RunLister(root).runs()
    (file,) = cache_dir().glob("runs-*.json")
    assert file.stat().st_size < 20 * 3000
    assert len(msgspec.json.decode(file.read_bytes())["settings"]) == 20


def test_of_many_the_first_are_there_before_any_is_parsed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = [_make(root, f"run-{number}", started=float(number)) for number in range(6)]
    for folder in folders:
        _age(folder)
    change_label(folders[5], title="Newest")
    lister = RunLister(root)
    with monkeypatch.context() as patched:
        patched.setattr(run_list, "parse_recipe", lambda _tables: pytest.fail("parsed"))
        glanced = lister.glance(2)
        assert lister.glance(6) == []  # the first batch is as quick
    assert [(one.title, one.status, one.recipe, one.problem) for one in glanced] == [
        ("Newest", folders[5].read_status(), None, ""),
        ("run-4", folders[4].read_status(), None, ""),
    ]
    read = lister.runs()
    assert [(one.folder.path, one.status, one.label) for one in read[:2]] == [
        (one.folder.path, one.status, one.label) for one in glanced
    ]
    assert lister.glance(2) == []  # it was listed
    assert [one.recipe for one in RunLister(root).glance(2)] == [one.recipe for one in read[:2]]  # from the file
    shutil.rmtree(folders[5].path)
    (folders[4].path / "run.toml").write_text("[train]\nsteps = 7\n")
    assert [(one.folder.name, one.recipe is None) for one in RunLister(root).glance(2)] == [
        ("run-4", True),
        ("run-3", False),
    ]
