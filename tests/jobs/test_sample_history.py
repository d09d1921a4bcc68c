"""The history on the disk: what is read, marked, deleted and brought back, by one window or by two."""

import functools
import json
import os
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dit_studio.errors import RunError
from dit_studio.jobs.sample_history import ENTRY, FAVOURITES, SampleHistory
from dit_studio.locks import locked
from dit_studio.sample_request import BranchPoint, ModelReference, SampleEntry, SampleRecord, SampleRequest
from dit_studio.sweep import INDEX as SWEEP
from dit_studio.sweep import LOCK, CellState, SweepAxis, SweepCell, SweepPlan, SweepRecord


@pytest.fixture
def history(tmp_path: Path) -> SampleHistory:
    return SampleHistory(tmp_path / "samples")


def draw(history: SampleHistory, *, at: float = 0.0, state: str = "finished", parent: str = "", seed: int = 0) -> str:
    """An entry as the engine leaves it; its name."""
    folder = history.new_folder()
    branch = BranchPoint(entry=parent, image=0, step=3) if parent else None
    record = SampleRecord(
        request=SampleRequest(seed=seed), model=ModelReference(path="/runs/a"), branch=branch, time=at
    )
    entry = SampleEntry(record=record, state=state, images=1)  # type: ignore[arg-type]
    (folder / "000000.png").write_bytes(b"picture")
    (folder / ENTRY).write_bytes(msgspec.json.encode(entry))
    return folder.name


def names(history: SampleHistory) -> list[str]:
    return [entry.name for entry in history.entries()]


def test_entries_come_the_newest_first(history: SampleHistory) -> None:
    old, new, middle = draw(history, at=1.0), draw(history, at=3.0), draw(history, at=2.0)
    assert names(history) == [new, middle, old]


def test_a_history_that_does_not_exist_yet_is_empty(history: SampleHistory) -> None:
    assert history.entries() == []
    assert history.entry("nothing") is None
    history.empty_trash()


def test_new_folders_are_never_the_same(history: SampleHistory) -> None:
    other = SampleHistory(history.root)
    folders = {history.new_folder() for _ in range(20)} | {other.new_folder() for _ in range(20)}
    assert len(folders) == 40


@pytest.mark.parametrize(
    "content",
    [b"{", b"", b"[]", b'{"record": 1}', b"\xff\xfe", b"[" * 100_000, b'{"a": "' + b"x" * (9 * 2**20) + b'"}'],
    ids=["cut", "empty", "list", "other", "binary", "deep", "huge"],
)
def test_damaged_entries_are_passed_over_and_counted(history: SampleHistory, content: bytes) -> None:
    good = draw(history)
    (history.new_folder() / ENTRY).write_bytes(content)
    assert names(history) == [good]
    assert history.passed_over == 1


def test_an_entry_without_a_class_is_damaged(history: SampleHistory) -> None:
    folder = history.root / draw(history)
    text = (folder / ENTRY).read_text().replace('"classes":[0]', '"classes":[]')
    (folder / ENTRY).write_text(text)
    assert '"classes":[]' in text
    assert history.entries() == []


@pytest.mark.parametrize(
    "change",
    [
        {"record.time": 1e300},
        {"record.time": -1e9},
        {"images": 10**9},
        {"images": 2},
        {"images": -1},
        {"images": 10**7, "record.request.count": 10**7},
        {"seconds": 1e300},
        {"height": -1},
        {"width": 10**9},
        {"record.request.classes": [-1]},
        {"record.branch": {"entry": "a", "image": -9, "step": 3}},
        {"record.branch": {"entry": "a", "image": 0, "step": 0}},
    ],
    ids=str,
)
def test_an_entry_that_cannot_be_as_it_says_is_passed_over_and_counted(
    history: SampleHistory, change: dict[str, object]
) -> None:
    folder = history.root / draw(history)
    assert names(history) == [folder.name]
    values = json.loads((folder / ENTRY).read_text())
    for path, value in change.items():
        *parents, last = path.split(".")
        functools.reduce(dict.__getitem__, parents, values)[last] = value
    (folder / ENTRY).write_text(json.dumps(values))
    assert names(SampleHistory(history.root)) == []
    history.entries()
    assert history.passed_over == 1


def test_an_entry_that_lost_a_picture_stays(history: SampleHistory) -> None:
    name = draw(history)
    (history.root / name / "000000.png").unlink()
    assert names(history) == [name]


def test_foreign_folders_are_counted_and_new_ones_and_files_are_not(history: SampleHistory) -> None:
    draw(history)
    history.new_folder()  # about to be filled
    (history.root / "holiday").mkdir()
    (history.root / "holiday" / "beach.jpg").write_bytes(b"x")
    (history.root / "notes.txt").write_text("x")
    assert len(history.entries()) == 1
    assert history.passed_over == 1


def test_what_another_process_changes_is_seen(history: SampleHistory) -> None:
    name = draw(history, state="drawing")
    other = SampleHistory(history.root)
    assert other.entries()[0].entry.state == "drawing"
    entry = msgspec.json.decode((history.root / name / ENTRY).read_bytes(), type=SampleEntry)
    more = msgspec.structs.replace(entry.record, request=SampleRequest(count=4))
    temporary = history.root / name / ".tmp"
    temporary.write_bytes(msgspec.json.encode(msgspec.structs.replace(entry, state="finished", images=4, record=more)))
    temporary.replace(history.root / name / ENTRY)
    history.set_favourite(name, 2, on=True)
    (found,) = other.entries()
    assert (found.entry.state, found.entry.images, found.favourites) == ("finished", 4, frozenset({2}))
    added = draw(history, at=5.0)
    assert names(other) == [added, name]


def test_favourites_are_kept_an_image_each(history: SampleHistory) -> None:
    name = draw(history)
    for image in (3, 1):
        history.set_favourite(name, image, on=True)
    history.set_favourite(name, 3, on=False)
    assert SampleHistory(history.root).entries()[0].favourites == {1}


@pytest.mark.parametrize("content", ["{", '{"images": ["a"]}', '{"images": [-4]}', "7"])
def test_damaged_favourites_are_none(history: SampleHistory, content: str) -> None:
    name = draw(history)
    (history.root / name / FAVOURITES).write_text(content)
    assert history.entries()[0].favourites == frozenset()


def test_two_windows_mark_images_of_one_entry(history: SampleHistory) -> None:
    name, other = draw(history), SampleHistory(history.root)
    assert other.entries()[0].favourites == frozenset()
    history.set_favourite(name, 0, on=True)
    other.set_favourite(name, 1, on=True)
    assert history.entries()[0].favourites == other.entries()[0].favourites == {0, 1}


def test_marking_what_another_window_deleted_is_a_sentence(history: SampleHistory) -> None:
    name = draw(history)
    SampleHistory(history.root).delete(name)
    with pytest.raises(RunError, match=f"{name} is gone"):
        history.set_favourite(name, 0, on=True)
    with pytest.raises(RunError, match=f"{name} is gone"):
        history.remove_trajectory(name)


def test_a_deletion_can_be_undone(history: SampleHistory) -> None:
    name = draw(history)
    history.set_favourite(name, 0, on=True)
    deletion = history.delete(name)
    assert names(history) == []
    assert history.passed_over == 0
    history.undo(deletion)
    assert history.entries()[0].favourites == {0}
    assert (history.root / name / "000000.png").read_bytes() == b"picture"


def test_an_entry_can_be_deleted_again_after_it_came_back(history: SampleHistory) -> None:
    name = draw(history)
    history.undo(history.delete(name))
    again = history.delete(name)
    assert names(history) == []
    history.undo(again)
    assert names(history) == [name]


def test_undoing_twice_or_after_the_trash_was_emptied_is_a_sentence(history: SampleHistory) -> None:
    deletion = history.delete(draw(history))
    history.undo(deletion)
    with pytest.raises(RunError, match="no longer in the trash"):
        history.undo(deletion)
    lost = history.delete(deletion.name)
    SampleHistory(history.root).empty_trash(older_than_days=0)
    with pytest.raises(RunError, match="no longer in the trash"):
        history.undo(lost)


def test_deleting_what_another_window_deleted_is_a_sentence(history: SampleHistory) -> None:
    name = draw(history)
    SampleHistory(history.root).delete(name)
    with pytest.raises(RunError, match=f"{name} is gone"):
        history.delete(name)


def test_the_trash_keeps_what_was_deleted_lately(history: SampleHistory) -> None:
    old, new = history.delete(draw(history)), history.delete(draw(history))
    eight_days_ago = time.time() - 8 * 86_400
    os.utime(old.trashed, (eight_days_ago, eight_days_ago))
    SampleHistory(history.root).empty_trash()
    assert not old.trashed.exists()
    history.undo(new)
    assert names(history) == [new.name]


def test_an_old_entry_lies_in_the_trash_from_its_deletion_on(history: SampleHistory) -> None:
    name = draw(history)
    os.utime(history.root / name, (0, 0))
    deletion = history.delete(name)
    history.empty_trash()
    assert deletion.trashed.is_dir()


def test_what_is_being_drawn_is_not_deleted(history: SampleHistory) -> None:
    name = draw(history, state="drawing")
    with pytest.raises(RunError, match="still being drawn"):
        history.delete(name)
    assert names(history) == [name]


def test_what_a_killed_process_left_can_be_deleted(history: SampleHistory) -> None:
    name = draw(history, state="drawing")
    for file in (history.root / name).iterdir():
        os.utime(file, (0, 0))
    history.delete(name)
    assert names(history) == []


def test_branches_outlive_what_they_went_on_from(history: SampleHistory) -> None:
    parent = draw(history, at=1.0)
    child, other = draw(history, at=2.0, parent=parent), draw(history, at=3.0, parent=parent)
    assert [entry.name for entry in history.children_of(parent)] == [other, child]
    history.delete(parent)
    assert [entry.parent for entry in history.entries()] == [parent, parent]
    assert not history.has(parent)


@pytest.mark.parametrize("name", ["", "..", "../samples", ".", "/etc"])
def test_no_name_leads_out_of_the_history(history: SampleHistory, name: str) -> None:
    draw(history)
    (history.root.parent / ENTRY).write_text("{}")
    assert not history.has(name)
    assert history.entry(name) is None


def test_removing_a_trajectory_keeps_the_images(history: SampleHistory) -> None:
    name = draw(history)
    folder = history.root / name
    (folder / "trajectory.json").write_text("{}")
    (folder / "x_t.npy").write_bytes(bytes(1000))
    assert history.entries()[0].has_trajectory
    before = history.size_bytes(name)
    assert history.remove_trajectory(name) == 1002
    assert history.size_bytes(name) == before - 1002
    assert not history.entries()[0].has_trajectory
    assert sorted(path.name for path in folder.iterdir()) == ["000000.png", ENTRY]


def test_asking_again_reads_only_what_changed(history: SampleHistory, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, changed = draw(history, at=1.0), draw(history, at=2.0)
    history.entries()
    read: list[str] = []
    original = Path.open

    def opening(path: Path, *args: object, **more: object) -> object:
        read.append(path.parent.name)
        return original(path, *args, **more)  # type: ignore[call-overload]

    history.set_favourite(changed, 0, on=True)
    monkeypatch.setattr(Path, "open", opening)
    assert names(history) == [changed, kept]
    assert set(read) == {changed}


@pytest.mark.parametrize("content", [b"{", b"", b"{}", b'{"plan": 1, "states": []}', b"[" * 100_000])
def test_a_damaged_sweep_is_passed_over_and_counted(history: SampleHistory, content: bytes) -> None:
    good = draw(history)
    (history.new_folder() / "sweep.json").write_bytes(content)
    assert names(history) == [good]
    assert history.passed_over == 1


# ------------------------------------------------------------------------------------------------- sweeps


def begin_sweep(history: SampleHistory, *, model: str = "/runs/digits/checkpoints/step-0001000", **more: Any) -> Path:
    """A sweep of two cells, of which one is drawn."""
    folder = history.new_folder()
    axis = SweepAxis(name="cfg", values=("1", "4"))
    cells = tuple(
        SweepCell(
            index=n, page=0, row=0, column=n, labels=(f"CFG {n}",), request=SampleRequest(), model=model, weights="ema"
        )
        for n in range(2)
    )
    plan = SweepPlan(axes=(axis,), cells=cells, columns=2, rows=1, pages=1)
    record = SweepRecord(plan=plan, states=(CellState(state="drawn", images=1), CellState()), **more)
    (folder / SWEEP).write_bytes(msgspec.json.encode(record))
    (folder / "cells").mkdir()
    return folder


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("/runs/digits", "digits"),
        ("/runs/digits/checkpoints/step-0001000", "digits"),
        ("/runs/digits/checkpoints/step-0001000/ema.safetensors", "digits"),
        ("/models/other.safetensors", "other.safetensors"),
    ],
)
def test_a_sweep_is_called_by_its_run(history: SampleHistory, model: str, name: str) -> None:
    begin_sweep(history, model=model)
    assert history.entries()[0].entry.record.model.name == name


def test_a_sweep_says_whether_it_was_stopped(history: SampleHistory) -> None:
    for state in ("drawing", "stopped"):
        folder = begin_sweep(history, state=state)
        found = history.entry(folder.name)
        assert found is not None
        assert found.entry.state == state


def test_a_sweep_is_being_drawn_as_long_as_its_writer_lives(history: SampleHistory) -> None:
    folder = begin_sweep(history, state="drawing")
    leftovers = [folder / ".sweep.json.77.tmp", folder / "cells" / ".001.77.tmp"]
    leftovers[0].touch()
    leftovers[1].mkdir()
    with locked(folder / LOCK) as is_ours:
        assert is_ours
        for file in (folder, *folder.iterdir()):
            os.utime(file, (0, 0))
        with pytest.raises(RunError, match="still being drawn"):
            history.delete(folder.name)
        history.clear_up()
        assert all(path.exists() for path in leftovers)
    history.clear_up()
    assert not any(path.exists() for path in leftovers)
    history.delete(folder.name)
    assert names(history) == []


def test_what_a_killed_process_left_of_an_entry_is_cleared_up(history: SampleHistory) -> None:
    folder = history.root / draw(history, state="drawing")
    (folder / ".x_t.npy.77.tmp").write_bytes(bytes(100))
    history.clear_up()
    assert (folder / ".x_t.npy.77.tmp").exists()
    for file in folder.iterdir():
        os.utime(file, (0, 0))
    history.clear_up()
    assert not (folder / ".x_t.npy.77.tmp").exists()


def test_a_sweep_that_has_just_been_stopped_can_be_deleted(history: SampleHistory) -> None:
    folder = begin_sweep(history, state="stopped")
    history.delete(folder.name)
    assert names(history) == []
