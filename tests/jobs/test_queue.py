"""The queue's file: what waits, in which order, whoever changes it and whatever became of it."""

import threading
from pathlib import Path

import pytest

from dit_studio.config import Recipe, parse_recipe
from dit_studio.errors import RunError
from dit_studio.events import JobState
from dit_studio.jobs.active_runs import ActiveRuns
from dit_studio.jobs.queue import Queue, QueueEntry
from dit_studio.jobs.run_folder import RunFolder, Status
from dit_studio.places import runs_dir


@pytest.fixture
def queue() -> Queue:
    return Queue(runs_dir())


def recipe(*, steps: int = 6) -> Recipe:
    return parse_recipe({"train": {"steps": steps}})


def add(queue: Queue, *names: str, device: str = "cpu") -> list[str]:
    return [queue.add(recipe(), name, devices=(device,)).name for name in names]


def waiting(queue: Queue) -> list[str]:
    return [entry.run for entry in queue.entries()]


def set_state(queue: Queue, run: str, state: JobState, **changes: object) -> None:
    queue.folder(run).write_status(Status(state=state, **changes))  # type: ignore[arg-type]


def test_a_queued_run_is_a_folder_with_its_settings_frozen(queue: Queue) -> None:
    folder = queue.add(recipe(steps=77), "a", devices=("cpu",))
    assert folder.read_status().state is JobState.QUEUED
    assert folder.recipe().train.steps == 77
    (entry,) = Queue(queue.root).entries()
    assert (entry.run, entry.devices, entry.is_held, entry.resume) == (folder.name, ("cpu",), False, False)


def test_an_empty_queue_is_empty_and_makes_no_files(queue: Queue) -> None:
    assert queue.entries() == []
    queue.keep_going()
    assert not queue.is_kept()
    assert not queue.root.exists() or list(queue.root.glob("*.json")) == []


def test_entries_move_and_stay_within_bounds(queue: Queue) -> None:
    a, b, c = add(queue, "a", "b", "c")
    queue.move(c, by=-1)
    assert waiting(queue) == [a, c, b]
    queue.move(a, by=-1)
    queue.move(b, by=9)
    assert waiting(queue) == [a, c, b]
    queue.move(b, by=-9)
    assert waiting(queue) == [b, a, c]
    queue.move("not there", by=1)
    assert waiting(queue) == [b, a, c]


def test_moving_passes_over_what_was_started(queue: Queue) -> None:
    a, b, c = add(queue, "a", "b", "c")
    set_state(queue, b, JobState.RUNNING, pid=1)
    queue.move(c, by=-1)
    assert waiting(queue) == [c, a]
    assert {entry.run for entry in queue.listed()} == {a, b, c}


def test_asking_twice_is_asking_once(queue: Queue) -> None:
    a, b = add(queue, "a", "b")
    for other in (queue, Queue(queue.root)):
        other.hold(a, is_held=True)
        other.remove(b)
    (entry,) = queue.entries()
    assert (entry.run, entry.is_held) == (a, True)
    for other in (queue, Queue(queue.root)):
        other.hold(a, is_held=False)
    assert not queue.entries()[0].is_held


def test_what_never_began_goes_back_to_idle_and_may_be_queued_again(queue: Queue) -> None:
    (run,) = add(queue, "a")
    queue.remove(run)
    folder = queue.folder(run)
    assert folder.read_status().state is JobState.IDLE
    assert folder.recipe().train.steps == 6
    queue.add_again(folder, devices=("cpu",))
    queue.add_again(folder, devices=("cpu",))
    (entry,) = queue.entries()
    assert not entry.resume


@pytest.mark.parametrize("state", [JobState.STOPPED, JobState.FAILED, JobState.INTERRUPTED])
def test_what_ended_early_goes_on_later_or_is_again_what_it_was(queue: Queue, state: JobState) -> None:
    folder = RunFolder.create(queue.root / "early", recipe())
    (folder.path / "checkpoints" / "step-0000003").mkdir()
    ended = Status(state=state, step=3, steps=6, message="why", pid=1, loss=0.5)
    folder.write_status(ended)
    queue.add_again(folder, devices=("cpu",))
    (entry,) = queue.entries()
    assert entry.resume
    assert folder.read_status().step == 3
    queue.remove("early")
    assert folder.read_status() == ended


@pytest.mark.parametrize("state", [JobState.FINISHED, JobState.RUNNING])
def test_what_cannot_go_on_is_not_queued(queue: Queue, state: JobState) -> None:
    folder = RunFolder.create(queue.root / "run", recipe())
    folder.write_status(Status(state=state, host=""))
    with folder.lock(), pytest.raises(RunError, match=f"run is {state}"):
        queue.add_again(folder, devices=("cpu",))
    assert queue.entries() == []


def test_a_run_without_a_checkpoint_is_not_resumed(queue: Queue) -> None:
    folder = RunFolder.create(queue.root / "run", recipe())
    folder.write_status(Status(state=JobState.FAILED))
    with pytest.raises(RunError, match="no checkpoint to go on from"):
        queue.add_again(folder, devices=("cpu",))


def test_a_run_of_elsewhere_is_not_queued(queue: Queue, tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "elsewhere" / "run", recipe())
    with pytest.raises(RunError, match="is not below"):
        queue.add_again(folder, devices=("cpu",))


def test_started_by_hand_or_deleted_it_leaves_the_queue(queue: Queue) -> None:
    a, b, c = add(queue, "a", "b", "c")
    set_state(queue, a, JobState.PREPARING)
    (queue.root / b).rename(queue.root.parent / "trash")
    assert waiting(queue) == [c]
    queue.remove(a)
    assert queue.folder(a).read_status().state is JobState.PREPARING


def test_a_folder_in_the_files_place_is_a_sentence_and_loses_nothing(queue: Queue) -> None:
    (a,) = add(queue, "a")
    queue.file.unlink()
    queue.file.mkdir()
    for act in (queue.entries, queue.listed, lambda: queue.add(recipe(), "b", devices=("cpu",)), queue.keep_going):
        with pytest.raises(RunError, match=r"queue\.json is a folder") as raised:
            act()
        assert "another name" in raised.value.remedy
    queue.file.rename(queue.root / "a run")
    queue.adopt(queue._queued_folders())
    assert waiting(queue) == [a]


@pytest.mark.provokes_log
@pytest.mark.parametrize("damage", ["torn", "edited", "nonsense", "empty"])
def test_a_damaged_file_is_kept_aside_and_nothing_is_lost(queue: Queue, damage: str) -> None:
    a, b, c = add(queue, "a", "b", "c")
    queue.move(c, by=-2)
    queue.hold(a, is_held=True)
    whole = queue.file.read_text()
    damaged = {
        "torn": whole[: whole.index(f'"{b}"')],
        "edited": whole.replace(f'"{b}"', '"../elsewhere"'),
        "nonsense": '{"runs": 3}',
        "empty": "",
    }[damage]
    queue.file.write_text(damaged)
    found = queue.entries()
    assert {entry.run for entry in found} == {a, b, c}
    if damage in ("torn", "edited"):  # what is whole keeps its place; the rest comes to the end
        assert [(entry.run, entry.is_held) for entry in found] == [(c, False), (a, True), (b, False)]
    assert "could not be read" in queue.problem
    assert [path.read_text() for path in queue.root.glob("queue-damaged-*.json")] == [damaged]
    assert Queue(queue.root).entries() == found


def test_a_queued_run_that_the_list_has_lost_comes_to_its_end(queue: Queue) -> None:
    a, b = add(queue, "a", "b")
    queue.file.unlink()
    assert queue.entries() == []
    queue.adopt([a, b, "not there"])
    queue.adopt([a, b])
    assert waiting(queue) == [a, b]


def test_many_at_once_lose_nothing(queue: Queue) -> None:
    def fill(number: int) -> None:
        for count in range(5):
            Queue(queue.root).add(recipe(), f"run {number} {count}", devices=("cpu",))

    threads = [threading.Thread(target=fill, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(waiting(queue))) == 20


def test_an_entry_reads_as_it_was_written(queue: Queue) -> None:
    add(queue, "a", device="cuda:1")
    (entry,) = queue.entries()
    assert isinstance(entry, QueueEntry)
    assert entry.devices == ("cuda:1",)
    assert entry.added > 1.7e9


def test_a_run_that_is_still_being_imported_is_not_adopted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    hidden = RunFolder.create(tmp_path / ".import-1.tmp", Recipe())
    hidden.write_status(Status(state=JobState.QUEUED))
    assert ActiveRuns(tmp_path).read() == {}
    (tmp_path / "queue.json").write_text("torn")
    assert Queue(tmp_path).listed() == []
    caplog.clear()
