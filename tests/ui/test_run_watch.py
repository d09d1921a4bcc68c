"""What is seen of the runs, and what of it is news."""

from pathlib import Path

import pytest
from example_runs import make_runs
from pytestqt.qtbot import QtBot
from quiet_queue import Keeper, NotedNotifications, add_waiting, begin, end

from dit_studio.config import Recipe
from dit_studio.events import JobState
from dit_studio.jobs import run_folder
from dit_studio.jobs.queue import WINDOW_LOCK
from dit_studio.jobs.run_folder import RunFolder, Status
from dit_studio.locks import is_locked
from dit_studio.places import runs_dir
from dit_studio.ui.run_news import RunNews
from dit_studio.ui.run_watch import RunMemory, RunsSeen, RunWatch, SeenRun
from dit_studio.ui.settings import Settings


@pytest.fixture
def memory() -> RunMemory:
    root = runs_dir()
    root.mkdir()
    return RunMemory(root, Keeper().queue(root))


def titles(runs: tuple[SeenRun, ...]) -> list[str]:
    return [run.title for run in runs]


def test_what_ended_before_the_window_opened_is_no_news(memory: RunMemory) -> None:
    make_runs(runs_dir())
    seen = memory.look()
    assert (seen.at_work, seen.ended) == ((), ())
    assert memory.look().ended == ()


def test_a_run_that_ends_is_news_once(memory: RunMemory) -> None:
    folder = RunFolder.create(runs_dir() / "20260101-120000-flowers", Recipe())
    with folder.lock():
        begin(folder)
        assert titles(memory.look().at_work) == ["flowers"]
        end(folder, JobState.FAILED, "The loss is NaN.")
    seen = memory.look()
    assert titles(seen.ended) == ["flowers"]
    assert seen.ended[0].status.state is JobState.FAILED
    assert memory.look().ended == ()


def test_a_run_that_comes_and_ends_is_seen_whoever_started_it(memory: RunMemory) -> None:
    assert memory.look() == RunsSeen()
    folder = RunFolder.create(runs_dir() / "later", Recipe())
    with folder.lock():
        begin(folder)
        assert titles(memory.look().at_work) == ["later"]
        end(folder, JobState.FINISHED)
    assert titles(memory.look().ended) == ["later"]


def test_an_interruption_is_believed_when_it_is_seen_twice(memory: RunMemory) -> None:
    """A process that takes the run over has the lock again soon."""
    folder = RunFolder.create(runs_dir() / "taken-over", Recipe())
    with folder.lock():
        begin(folder)
        memory.look()
    assert memory.look().ended == ()
    with folder.lock():
        assert titles(memory.look().at_work) == ["taken-over"]
    assert memory.look().ended == ()
    assert titles(memory.look().ended) == ["taken-over"]


def test_of_a_thousand_runs_few_are_read(memory: RunMemory, monkeypatch: pytest.MonkeyPatch) -> None:
    template = RunFolder.create(runs_dir() / "run-0000", Recipe())
    end(template, JobState.FINISHED)
    toml, status = (template.path / "run.toml").read_bytes(), (template.path / "status.json").read_bytes()
    for number in range(1, 1000):
        folder = runs_dir() / f"run-{number:04d}"
        folder.mkdir()
        (folder / "run.toml").write_bytes(toml)
        (folder / "status.json").write_bytes(status)
    memory.look()
    read: list[str] = []
    real = run_folder.RunFolder.read_status

    def count(folder: RunFolder) -> Status:
        read.append(folder.name)
        return real(folder)

    monkeypatch.setattr(run_folder.RunFolder, "read_status", count)
    memory.look()
    assert len(read) <= 60
    for _ in range(19):
        memory.look()
    assert len(set(read)) == 1000, "a run that was resumed elsewhere is noticed in twenty looks"


def test_what_waits_is_in_order_with_its_facts(memory: RunMemory) -> None:
    first = add_waiting("first", device="cuda:0", data="landscapes", steps=7)
    add_waiting("second", device="cuda:0,cuda:1")
    seen = memory.look()
    assert [waiting.run.title for waiting in seen.waiting] == ["first", "second"]
    assert seen.waiting[0].run.data == "landscapes"
    assert seen.waiting[0].run.status.steps == 7
    assert seen.waiting[1].entry.devices == ("cuda:0", "cuda:1")
    with first.lock():
        begin(first)
        seen = memory.look()
        assert (titles(seen.at_work), [entry.run[16:] for entry in seen.entries]) == (["first"], ["second"])
        end(first, JobState.FINISHED)
    assert titles(memory.look().ended) == ["first"]


def test_a_run_that_fails_between_two_looks_is_news(memory: RunMemory) -> None:
    folder = add_waiting("short")
    memory.look()
    end(folder, JobState.FAILED, "No images.")
    assert titles(memory.look().ended) == ["short"]


def test_the_lock_is_held_while_the_window_is_open(qtbot: QtBot) -> None:
    runs_dir().mkdir()
    watch, lock = RunWatch(Keeper().queue), runs_dir() / WINDOW_LOCK
    assert not is_locked(lock)
    with qtbot.waitSignal(watch.seen):
        watch.start()
    assert is_locked(lock)
    watch.close()
    assert not is_locked(lock)


def test_another_folder_of_runs_is_looked_at_anew(
    qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_waiting("here")
    watch = RunWatch(Keeper().queue)
    with qtbot.waitSignal(watch.seen):
        watch.look()
    assert len(watch.newest.waiting) == 1
    before = runs_dir()
    monkeypatch.setenv("DIT_STUDIO_RUNS", str(tmp_path / "elsewhere"))
    qtbot.waitUntil(lambda: not watch._job.is_running)
    with qtbot.waitSignal(watch.seen):
        watch.look()
    assert watch.newest.waiting == ()
    assert not is_locked(before / WINDOW_LOCK)
    watch.close()


# ------------------------------------------------------------------------------------------------- the news


class Window:
    """What the news ask of the window."""

    def __init__(self, settings: Settings) -> None:
        self.watched: Path | None = None
        self.lists_runs = False
        self.said = NotedNotifications()
        self.counts: list[tuple[int, bool]] = []
        self.news = RunNews(
            settings, self.said, is_watched=lambda run: run == self.watched, are_listed=lambda: self.lists_runs
        )
        self.news.counted.connect(lambda count, is_alarm: self.counts.append((count, is_alarm)))


@pytest.fixture
def window(settings: Settings) -> Window:
    return Window(settings)


def ended(name: str, state: JobState, message: str = "") -> SeenRun:
    status = Status(state=state, step=1240, steps=20_000, loss=0.08123, message=message)
    return SeenRun(path=Path("/runs") / name, title=name, status=status)


def test_an_end_is_told_with_its_last_loss_and_counted(window: Window) -> None:
    window.news.note(ended("a", JobState.FINISHED))
    window.news.note(ended("b", JobState.FAILED, "The loss is NaN."))
    assert window.said.told == [
        ("a has finished", "Step 1,240 of 20,000, last loss 0.0812.", False),
        ("b has failed", "The loss is NaN. Step 1,240 of 20,000, last loss 0.0812.", True),
    ]
    assert window.counts == [(1, False), (2, True)]
    assert window.said.counts == [1, 2]
    assert window.news.newest == Path("/runs/b")
    window.news.forget()
    assert window.counts[-1] == (0, False)
    assert window.said.counts[-1] == 0


def test_of_the_run_in_view_a_failure_alone_is_told(window: Window) -> None:
    window.watched = Path("/runs/a")
    window.news.note(ended("a", JobState.FINISHED))
    assert window.said.told == []
    window.news.note(ended("a", JobState.FAILED, "No memory."))
    assert [title for title, _, _ in window.said.told] == ["a has failed"]
    assert window.counts == []


def test_what_is_listed_is_seen(window: Window) -> None:
    window.lists_runs = True
    window.news.note(ended("a", JobState.STOPPED))
    assert [title for title, _, _ in window.said.told] == ["a was stopped"]
    assert window.counts == []


def test_who_does_not_want_to_be_told_is_not(window: Window, settings: Settings) -> None:
    settings.put(tells_ends=False)
    window.news.note(ended("a", JobState.INTERRUPTED))
    assert window.said.told == []
    assert window.counts == [(1, True)]
