"""Real processes under torchrun on the CPU: what they train is what one process trains, whatever becomes of them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import psutil
import pytest

from dit_studio.config import dump_recipe
from dit_studio.events import (
    Command,
    Event,
    Failure,
    JobState,
    Metrics,
    Notice,
    PreviewSaved,
    Resumed,
    Started,
    StateChanged,
    Validation,
)
from dit_studio.jobs import following, training
from dit_studio.jobs.launch import Launcher
from dit_studio.jobs.run_folder import RunFolder
from tests.engine.test_distributed import free_port
from tests.jobs.conftest import MakeRun

LIMIT_SECONDS = 120
QUIET = ("train.precision=fp32", "train.preview_every=0", "train.checkpoint_every=0")
ACTIVE = (JobState.PREPARING, JobState.RUNNING, JobState.STOPPING)
Kind = TypeVar("Kind", bound=Event)
Losses = dict[int, list[float | None]]


def torchrun(*words: object, processes: int = 2, restarts: int = 0, log: Path) -> "subprocess.Popen[bytes]":
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}",
        f"--max-restarts={restarts}", "-m", *map(str, words),
    ]  # fmt: skip
    with log.open("ab") as file:
        return subprocess.Popen(
            command, stdout=file, stderr=subprocess.STDOUT, env={**os.environ, "OMP_NUM_THREADS": "1"}
        )


def train_on_two(folder: RunFolder, *, resume: bool = False) -> list[Event]:
    """The run's events after two processes trained to its end, without a warning of torch."""
    words = ["dit_studio.jobs.training", folder.path, *(["--resume"] if resume else [])]
    process = torchrun(*words, log=folder.log_file)
    assert process.wait(LIMIT_SECONDS) == 0, folder.log_file.read_text()
    assert "Warning" not in folder.log_file.read_text()
    return list(folder.read_events())


def train_on_one(folder: RunFolder, *, resume: bool = False) -> list[Event]:
    return list(training.run(folder, resume=resume))


def losses(events: Sequence[Event]) -> Losses:
    """Of each step: loss and gradient norm, and the validation loss where there is one; the last that was said."""
    found: Losses = {event.step: [event.loss, event.grad_norm] for event in events if isinstance(event, Metrics)}
    for event in events:
        if isinstance(event, Validation):
            found[event.step] = [*found[event.step][:2], event.loss]
    return found


def assert_equal(found: Losses, expected: Losses) -> None:
    assert found.keys() == expected.keys()
    for step, values in expected.items():
        assert found[step] == pytest.approx(values, rel=2e-5), step


def first(events: Sequence[Event], kind: type[Kind]) -> Kind:
    return next(event for event in events if isinstance(event, kind))


def wait_until(is_so: Callable[[], bool], process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + LIMIT_SECONDS
    while not is_so():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)


def processes_of(launcher: int) -> dict[int, psutil.Process]:
    """The processes that a torchrun started, by rank."""
    found = {}
    for child in psutil.Process(launcher).children():
        environment = child.environ()
        if "RANK" in environment:
            found[int(environment["RANK"])] = child
    return found


def last_step(folder: RunFolder) -> int:
    return max((event.step for event in folder.read_events() if isinstance(event, Metrics)), default=0)


def test_two_copies_train_as_one_process_does(make_run: MakeRun) -> None:
    settings = ("train.precision=fp32", "data.flip=true", "train.batch_size=7", "train.steps=8")
    one = train_on_one(make_run(*settings, name="one"))
    two = train_on_two(make_run(*settings, name="two"))
    assert_equal(losses(two), losses(one))
    started = first(two, Started)
    assert (started.devices, started.processes, started.hosts, started.is_sharded) == (("cpu", "cpu"), 2, 1, False)
    assert [event.images_seen for event in two if isinstance(event, Metrics)] == [7 * step for step in range(1, 9)]
    assert [event.step for event in two if isinstance(event, PreviewSaved)] == [3, 6, 8]


def test_a_split_model_goes_on_in_one_process_and_in_two_copies(make_run: MakeRun) -> None:
    settings = ("train.precision=fp32", "train.batch_size=8", "train.accumulate=2", "train.preview_every=2")
    one = train_on_one(make_run(*settings, "train.steps=9", name="one"))
    folder = make_run(*settings, "train.steps=4", "train.shard=always", name="several")
    split = train_on_two(folder)
    started = first(split, Started)
    assert started.is_sharded
    assert len([event for event in split if isinstance(event, PreviewSaved)]) == 2
    for steps, train_on in ((6, train_on_one), (9, train_on_two)):
        recipe = dump_recipe(make_run(*settings, f"train.steps={steps}", name=f"to {steps}").recipe())
        (folder.path / "run.toml").write_text(recipe)
        train_on(folder, resume=True)
    events = folder.read_events()
    assert [event.step for event in events if isinstance(event, Resumed)] == [4, 6]
    found, expected = losses(list(events)), losses(one)
    found.pop(4), expected.pop(4)  # each of the three validates at its own end
    assert_equal({step: values[:2] for step, values in found.items()}, {s: v[:2] for s, v in expected.items()})


def followed(folder: RunFolder, react: Callable[[Event], None]) -> list[Event]:
    """What somebody sees who watches a run that is at work already, until there is no more to see."""
    seen = []
    for event in following.follow(folder):
        if event is not None:
            seen.append(event)
            react(event)
    return seen


@pytest.mark.parametrize("victim", [0, 1])
def test_a_killed_process_is_started_again_with_the_others(make_run: MakeRun, tmp_path: Path, victim: int) -> None:
    settings = ("train.precision=fp32", "train.preview_every=0", "train.checkpoint_every=20", "train.steps=60")
    template = make_run(*settings, name="one")
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(dump_recipe(template.recipe()))
    folder, log = RunFolder(tmp_path / "run"), tmp_path / "log.txt"
    process = torchrun("dit_studio", "train", recipe, "--out", folder.path, restarts=1, log=log)
    wait_until(lambda: last_step(folder) > 0, process, log)
    killed: list[int] = []

    def kill(event: Event) -> None:
        assert folder.observed_status().state in (*ACTIVE, JobState.FINISHED), "no list shows it as ended"
        if isinstance(event, Metrics) and event.step > 20 and not killed:
            killed.append(victim)
            processes_of(process.pid)[victim].send_signal(signal.SIGKILL)

    events = followed(folder, kill)
    assert process.wait(LIMIT_SECONDS) == 0, log.read_text()
    assert events[-1] == list(folder.read_events())[-1], "it is watched to the end"
    assert first(events, Resumed).step in (20, 40, 60)
    assert not any(isinstance(event, Failure) for event in events)
    states = {event.state for event in events if isinstance(event, StateChanged)}
    assert states <= {*ACTIVE, JobState.FINISHED}
    notices = [event.message for event in events if isinstance(event, Notice)]
    if victim == 1:
        assert any("Process 2 of 2 on" in notice and "(restart 1 of 1)" in notice for notice in notices), notices
    assert folder.read_status().state is JobState.FINISHED
    assert_equal(losses(events), losses(train_on_one(template)))


def test_commands_reach_all_processes_and_a_dead_one_ends_the_run(make_run: MakeRun) -> None:
    folder = make_run(*QUIET, "train.steps=1000000", "train.validate_every=0", "train.device=cpu,cpu")
    launcher, states = Launcher(), list[JobState]()
    commands = {JobState.RUNNING: Command.PAUSE, JobState.PAUSED: Command.RESUME}
    for event in launcher.train(folder).events():
        if isinstance(event, StateChanged):
            states.append(event.state)
            folder.send(Command.STOP if len(states) > 3 else commands.get(event.state, Command.SAVE))
    assert states == ["preparing", "running", "paused", "running", "stopping", "stopped"]
    assert folder.checkpoints()

    killed = False
    for event in launcher.train(folder, resume=True).events():
        status = folder.read_status()
        if not killed and event is not None and last_step(folder) > status.step and status.launcher:
            killed = True
            found = processes_of(status.launcher)
            found[1].send_signal(signal.SIGKILL)
    launcher.close()
    assert killed
    assert folder.observed_status().state is JobState.FAILED
    assert "Process 2 of 2 on" in folder.read_status().message
    assert not folder.is_locked()
    psutil.wait_procs(list(found.values()), timeout=LIMIT_SECONDS)
    assert not any(process.is_running() for process in found.values())


def test_the_first_process_killed_is_what_the_run_says(make_run: MakeRun) -> None:
    folder, launcher = make_run(*QUIET, "train.steps=1000000", "train.device=cpu,cpu"), Launcher()
    killed, seen = False, list[Event]()
    for event in launcher.train(folder).events():
        seen += [event] if event is not None else []
        if not killed and isinstance(event, Metrics) and (status := folder.read_status()).launcher:
            killed = True
            os.kill(status.pid, signal.SIGKILL)
    launcher.close()
    failure = first(seen, Failure)
    assert failure.message.startswith("Training process 1 on ")
    assert "was killed (signal 9)" in failure.message
    assert folder.read_status().state is JobState.INTERRUPTED
    assert folder.read_events()[-2] == failure


def test_sigterm_to_torchrun_saves_and_stops(make_run: MakeRun) -> None:
    folder = make_run(*QUIET, "train.steps=1000000", "train.validate_every=0")
    process = torchrun("dit_studio.jobs.training", folder.path, log=folder.log_file)
    wait_until(lambda: last_step(folder) > 3, process, folder.log_file)
    process.send_signal(signal.SIGTERM)
    process.wait(LIMIT_SECONDS)
    assert folder.read_status().state is JobState.STOPPED
    assert int(folder.checkpoints()[-1].name[5:]) == last_step(folder)


def test_processes_with_other_settings_are_refused(make_run: MakeRun) -> None:
    folders = [make_run(*QUIET, name="first"), make_run(*QUIET, "train.learning_rate=0.5", name="other")]
    address = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    started = []
    for rank, folder in enumerate(folders):
        environment = {**os.environ, **address, "RANK": str(rank), "LOCAL_RANK": str(rank)}
        words = [sys.executable, "-m", "dit_studio.jobs.training", str(folder.path)]
        with folder.log_file.open("ab") as log:
            started.append(subprocess.Popen(words, env=environment, stdout=log, stderr=log))
    assert [process.wait(LIMIT_SECONDS) for process in started] == [1, 1]
    status = folders[0].read_status()
    assert status.state is JobState.FAILED
    assert "Process 2 of 2 on" in status.message
    assert "another recipe" in status.message
