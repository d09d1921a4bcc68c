"""Starts beside a run that is at work, and starts whose processes never come together: each ends soon with a sentence,
and the run that is at work goes on."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dit_studio.cli import main
from dit_studio.config import dump_recipe
from dit_studio.engine.distributed import LIMIT_VARIABLE
from dit_studio.errors import RunError
from dit_studio.events import Command, JobState, StateChanged
from dit_studio.jobs import training
from dit_studio.jobs.run_folder import RunFolder, Status
from tests.engine.test_distributed import free_port
from tests.jobs.conftest import MakeRun
from tests.jobs.test_torchrun import LIMIT_SECONDS, QUIET, last_step, torchrun, wait_until

ENDLESS = (*QUIET, "train.steps=1000000", "train.validate_every=0")
SOON_SECONDS = 25  # less than torchrun's patience with a process that does not hear its signal


@pytest.fixture
def live(make_run: MakeRun) -> Iterator[RunFolder]:
    """A run at work in two processes, which has to be at work still when the test is over."""
    folder = make_run(*ENDLESS, "train.device=cpu,cpu")
    process = training.start_worker(folder)
    wait_until(lambda: last_step(folder) > 3, process, folder.log_file)
    yield folder
    reached = last_step(folder)
    wait_until(lambda: last_step(folder) > reached, process, folder.log_file)
    assert folder.read_status().state is JobState.RUNNING
    assert list((folder.path / "commands").iterdir()) == []
    folder.send(Command.STOP)
    assert process.wait(LIMIT_SECONDS) == 0
    states = [event.state for event in folder.read_events() if isinstance(event, StateChanged)]
    assert states == ["preparing", "running", "stopping", "stopped"]


def test_starts_beside_a_run_at_work_are_refused_and_leave_it_alone(
    live: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe, log = tmp_path / "recipe.toml", tmp_path / "log.txt"
    recipe.write_text(dump_recipe(live.recipe()))
    status = live.read_status()
    with pytest.raises(RunError, match=f"in use by another process: process {status.pid} on "):
        training.start_worker(live, resume=True)
    assert main(["train", "--resume", str(live.path)]) == 1
    assert f"in use by another process: process {status.pid} on " in capsys.readouterr().err
    for changes, sentence in (
        (["--set", "train.learning_rate=0.1"], "holds a run with other settings: train.learning_rate = 0.1 now"),
        ([], "is in use by another process"),
    ):
        log.unlink(missing_ok=True)
        started = time.monotonic()
        process = torchrun("dit_studio", "train", recipe, "--out", live.path, *changes, restarts=1, log=log)
        assert process.wait(LIMIT_SECONDS) == 1
        assert sentence in log.read_text()
        assert time.monotonic() - started < 2 * SOON_SECONDS
        assert live.read_status().launcher == status.launcher


def test_of_two_windows_that_resume_one_starts(make_run: MakeRun) -> None:
    folder = make_run(*ENDLESS, "train.device=cpu")
    process = training.start_worker(folder)
    with pytest.raises(RunError, match="in use by another process: one that is just starting"):
        training.start_worker(folder)
    process.send_signal(signal.SIGKILL)
    process.wait()
    stale = time.time() - 100  # a start that nobody saw die
    folder.write_status(Status(state=JobState.PREPARING, heartbeat=stale, host=folder.read_status().host))
    process = training.start_worker(folder)
    wait_until(lambda: last_step(folder) > 0, process, folder.log_file)
    folder.send(Command.STOP)
    assert process.wait(LIMIT_SECONDS) == 0


def test_a_stop_that_was_asked_before_the_lock_is_taken_is_obeyed(make_run: MakeRun) -> None:
    folder = make_run(*ENDLESS, "train.device=cpu")
    folder.send(Command.PAUSE)  # meant for a process that is gone
    events = list(training.run(folder, is_stop_asked=lambda: True))
    states = [event.state for event in events if isinstance(event, StateChanged)]
    assert states == ["preparing", "stopped"]


# ------------------------------------------------------------------------------------------------- a rendezvous


def start_rank(folder: RunFolder, rank: int, port: int, log: Path, **variables: object) -> "subprocess.Popen[bytes]":
    values = {"RANK": rank, "LOCAL_RANK": 0, "WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 1, "MASTER_ADDR": "127.0.0.1",
              "MASTER_PORT": port, "OMP_NUM_THREADS": 1, **variables}  # fmt: skip
    environment = {**os.environ, **{name: str(value) for name, value in values.items()}}
    words = [sys.executable, "-m", "dit_studio.jobs.training", str(folder.path)]
    with log.open("ab") as file:
        return subprocess.Popen(words, env=environment, stdout=file, stderr=file)


def can_be_reached(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def test_the_first_process_stops_when_told_to_while_it_waits_for_the_others(make_run: MakeRun, tmp_path: Path) -> None:
    folder, port, log = make_run(*ENDLESS), free_port(), tmp_path / "log.txt"
    process = start_rank(folder, 0, port, log)
    wait_until(lambda: can_be_reached(port), process, log)
    process.send_signal(signal.SIGTERM)
    assert process.wait(SOON_SECONDS) == 0
    assert folder.read_status().state is JobState.STOPPED


def test_another_process_ends_when_told_to_while_it_waits_for_the_first(make_run: MakeRun, tmp_path: Path) -> None:
    folder, log = make_run(*ENDLESS), tmp_path / "log.txt"
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        deaf.settimeout(LIMIT_SECONDS)
        process = start_rank(folder, 1, deaf.getsockname()[1], log)
        for _ in range(2):  # the second is torch's own connection, in which it waits
            deaf.accept()[0].detach()
        process.send_signal(signal.SIGTERM)
        assert process.wait(SOON_SECONDS) == -signal.SIGTERM
    assert list((folder.path / "commands").iterdir()) == []


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [({LIMIT_VARIABLE: "abc"}, f"{LIMIT_VARIABLE}=abc is not possible: it takes seconds above 0"),
     ({"RANK": "x"}, "RANK=x is not possible: it takes a whole number from 0 on"),
     ({"RANK": "2"}, "RANK=2 is not possible with WORLD_SIZE=2: it takes 0 to 1")],
)  # fmt: skip
def test_an_environment_that_makes_no_sense_is_a_sentence(
    make_run: MakeRun, tmp_path: Path, variables: dict[str, str], sentence: str
) -> None:
    log = tmp_path / "log.txt"
    process = start_rank(make_run(*ENDLESS), 1, free_port(), log, **variables)
    assert process.wait(LIMIT_SECONDS) == 1
    assert sentence in log.read_text()
    assert "Traceback" not in log.read_text()


def test_under_torchrun_a_run_that_has_no_room_is_refused_before_it_begins(
    make_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(dump_recipe(make_run(*ENDLESS).recipe()))
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr("dit_studio.engine.plan.free_bytes", lambda _: 1000)
    assert main(["train", str(recipe), "--out", str(tmp_path / "new")]) == 1
    assert "Training was not started." in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
