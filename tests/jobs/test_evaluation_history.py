"""The history of evaluations on the disk: what is read, deleted, brought back, and which drawn images go."""

import os
import time
from pathlib import Path

import msgspec
import pytest

from dit_studio.errors import DataError, RunError
from dit_studio.evaluation_plan import (
    DRAWN,
    INDEX,
    LOCK,
    EvaluationPlan,
    EvaluationPoint,
    EvaluationRecord,
    PointState,
    plan_sources,
)
from dit_studio.evaluation_request import EvaluationRequest
from dit_studio.jobs.evaluation_history import EvaluationHistory
from dit_studio.locks import locked

_MONTH = 30 * 86_400  # seconds


@pytest.fixture
def history(tmp_path: Path) -> EvaluationHistory:
    return EvaluationHistory(tmp_path / "evaluations")


def plan_of(*labels: str) -> EvaluationPlan:
    requests = [EvaluationRequest(real="/data/a", fake=f"/data/{label}") for label in labels]
    return plan_sources(requests, labels=labels, title="a plan")


def write(folder: Path, record: EvaluationRecord) -> str:
    (folder / "results").mkdir(exist_ok=True)
    (folder / INDEX).write_bytes(msgspec.json.encode(record))
    (folder / LOCK).touch()
    return folder.name


def measure(
    history: EvaluationHistory, *values: float | None, at: float = 1.0, better: str = "lower", **state: str
) -> str:
    """An entry as the engine leaves it, a point for each value; None: it waits. Its name."""
    folder = history.new_folder()
    labels = tuple(f"point {place}" for place in range(len(values)))
    states = tuple(
        PointState(state="waiting" if value is None else "done", samples=state.get("samples", "")) for value in values
    )
    plan = plan_of(*labels)
    write(folder, EvaluationRecord(plan=plan, states=states, state="finished", time=at))
    for point, value in zip(plan.points, values, strict=True):
        if value is not None:
            write_figure(folder, point, value, better)
    return folder.name


def write_figure(folder: Path, point: EvaluationPoint, value: float, better: str = "lower") -> None:
    """Of a result what the history reads."""
    figures = [
        {"metric": "fid-infinity", "name": "FD∞", "why_no_value": "too few", "better": better},
        {"metric": "fid", "name": "FD-random-500", "value": value, "better": better, "n_fake": 500},
    ]
    (folder / point.result_file).write_bytes(msgspec.json.encode({"results": figures, "other": [1]}))


def names(history: EvaluationHistory) -> list[str]:
    return [entry.name for entry in history.entries()]


def draw(history: EvaluationHistory, key: str, *, age: float = _MONTH) -> Path:
    """Images that a model drew so many seconds ago."""
    folder = history.root / DRAWN / key
    folder.mkdir(parents=True)
    (folder / "000000.png").write_bytes(b"picture")
    folder.with_suffix(".lock").touch()
    os.utime(folder, (time.time() - age, time.time() - age))
    return folder


def test_entries_come_the_newest_first(history: EvaluationHistory) -> None:
    old, new, middle = measure(history, 1.0, at=1.0), measure(history, 1.0, at=3.0), measure(history, 1.0, at=2.0)
    assert names(history) == [new, middle, old]


def test_a_history_that_does_not_exist_yet_is_empty(history: EvaluationHistory) -> None:
    assert history.entries() == []
    assert history.entry("nothing") is None
    history.empty_trash()


def test_drawn_images_are_no_entry_and_damaged_folders_are_counted(history: EvaluationHistory) -> None:
    draw(history, "abc")
    good = measure(history, 1.0)
    (history.new_folder() / INDEX).write_bytes(b"{")
    (history.new_folder() / INDEX).write_bytes(b"[" * 100_000)
    assert names(history) == [good]
    assert history.passed_over == 2


@pytest.mark.parametrize("at", [-1.0, 1e300])
def test_an_entry_of_no_possible_time_is_passed_over(history: EvaluationHistory, at: float) -> None:
    measure(history, 1.0, at=at)
    assert history.entries() == []
    assert history.passed_over == 1


def test_an_entry_stays_the_same_object_until_it_is_written_anew(history: EvaluationHistory) -> None:
    name = measure(history, 1.0, None)
    (before,) = history.entries()
    assert history.entry(name) is before
    folder = before.path
    write_figure(folder, before.record.plan.points[1], 0.5)
    states = (before.record.states[0], PointState(state="done"))
    fresh = folder / ".tmp"
    fresh.write_bytes(msgspec.json.encode(msgspec.structs.replace(before.record, states=states)))
    fresh.replace(folder / INDEX)
    (after,) = history.entries()
    assert (before.done, after.done, after.best) == (1, 2, 1)


@pytest.mark.parametrize(("better", "best"), [("lower", 1), ("higher", 2), ("", -1)])
def test_the_best_point_is_that_of_the_best_figure(history: EvaluationHistory, better: str, best: int) -> None:
    measure(history, 2.0, 1.0, 3.0, None, better=better)
    (entry,) = history.entries()
    assert entry.best == best
    assert [figure.value if figure else None for figure in entry.figures] == [2.0, 1.0, 3.0, None]


def test_the_best_is_sought_among_figures_of_as_many_images(history: EvaluationHistory) -> None:
    name = measure(history, 2.0, 1.0, 1.5)
    file = history.root / name / "results" / "001.json"
    assert b"500" in file.read_bytes()
    file.write_bytes(file.read_bytes().replace(b": 500", b": 300").replace(b":500", b":300"))
    (entry,) = history.entries()
    assert (entry.best, entry.comparable) == (2, {0, 2})


def test_a_result_that_is_damaged_has_no_figure(history: EvaluationHistory) -> None:
    name = measure(history, 2.0, 1.0)
    (history.root / name / "results" / "001.json").write_bytes(b"{")
    (entry,) = history.entries()
    assert (entry.best, entry.figures[1]) == (-1, None)


def test_an_entry_without_results_has_no_best(history: EvaluationHistory) -> None:
    measure(history, None, None)
    (entry,) = history.entries()
    assert (entry.best, entry.done, entry.figures) == (-1, 0, (None, None))


def test_what_says_running_and_is_not_locked_was_killed(history: EvaluationHistory) -> None:
    name = write(
        history.new_folder(),
        EvaluationRecord(plan=plan_of("a"), states=(PointState(),), state="running", time=1.0),
    )
    (entry,) = history.entries()
    assert history.state_of(entry) == "stopped"
    with locked(history.root / name / LOCK):
        assert history.is_being_measured(name)
        assert history.state_of(entry) == "running"
        with pytest.raises(RunError, match="still being measured"):
            history.delete(name)
    assert not history.is_being_measured(name)


def test_a_deletion_can_be_undone_once(history: EvaluationHistory) -> None:
    name = measure(history, 1.0)
    deletion = history.delete(name)
    assert names(history) == []
    history.undo(deletion)
    assert names(history) == [name]
    with pytest.raises(RunError, match="no longer in the trash"):
        history.undo(deletion)


def test_what_another_window_deleted_is_gone(history: EvaluationHistory) -> None:
    name = measure(history, 1.0)
    EvaluationHistory(history.root).delete(name)
    with pytest.raises(RunError, match="is gone"):
        history.delete(name)
    with pytest.raises(DataError, match="is gone"):
        history.results(name)


def test_names_that_lead_out_of_the_history_are_not_followed(history: EvaluationHistory) -> None:
    name = measure(history, 1.0)
    assert EvaluationHistory(history.root / name).entry(f"../{name}") is None


def test_the_size_is_that_of_all_files(history: EvaluationHistory) -> None:
    name = measure(history, 1.0)
    before = history.size_bytes(name)
    (history.root / name / "results" / "000-samples.png").write_bytes(bytes(1000))
    assert history.size_bytes(name) == before + 1000


def test_drawn_images_that_no_entry_is_about_go_after_a_while(history: EvaluationHistory) -> None:
    used, of_trashed, unused, recent = (draw(history, key) for key in ("a", "b", "c", "d"))
    os.utime(recent)
    measure(history, 1.0, samples=str(used))
    history.delete(measure(history, 1.0, samples=str(of_trashed / "000000.png")))
    unused.with_suffix(".json").write_text("{}")
    history.empty_trash()
    assert [folder.exists() for folder in (used, of_trashed, unused, recent)] == [True, True, False, True]
    assert not unused.with_suffix(".lock").exists()
    assert not unused.with_suffix(".json").exists()


def test_nothing_drawn_goes_while_something_is_measured(history: EvaluationHistory) -> None:
    unused, name = draw(history, "a"), measure(history, None)
    with locked(history.root / name / LOCK):
        history.empty_trash()
        assert unused.exists()
    history.empty_trash()
    assert not unused.exists()


def test_nothing_drawn_goes_while_it_is_drawn(history: EvaluationHistory) -> None:
    unused = draw(history, "a")
    with locked(unused.with_suffix(".lock")):
        history.empty_trash()
    assert unused.exists()


def test_nothing_drawn_goes_while_an_entry_of_a_later_version_may_need_it(history: EvaluationHistory) -> None:
    unused, folder = draw(history, "a"), history.new_folder()
    write(folder, EvaluationRecord(version=99, plan=plan_of("a"), states=(PointState(),)))
    history.empty_trash()
    assert unused.exists()


def test_the_trash_is_emptied_after_a_while(history: EvaluationHistory) -> None:
    deletion = history.delete(measure(history, 1.0))
    history.empty_trash()
    assert deletion.trashed.exists()
    history.empty_trash(older_than_days=0)
    assert not deletion.trashed.exists()
