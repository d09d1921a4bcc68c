"""Kill a training run at random moments, again and again, and see that nothing is lost.

`python tests/stress.py [--kills 50] [--seed N]`: trains a tiny model on images made on the fly, kills its processes
with SIGKILL, at times while it starts or saves, resumes it, and compares the losses with those of a run that nobody
killed.
"""

import argparse
import dataclasses
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors import safe_open

from dit_studio.config import parse_recipe
from dit_studio.events import CheckpointSaved, Event, JobState, Metrics, Resumed
from dit_studio.jobs.event_log import EventReader
from dit_studio.jobs.following import follow
from dit_studio.jobs.run_folder import RunFolder
from dit_studio.jobs.training import start_worker

STEPS_PER_KILL, MORE_STEPS = 30, 60
LIMIT_SECONDS = 120.0  # for a run to get to where it is to be killed, and to be found dead
_WHOLE_LIMIT_SECONDS = 3600.0
_START_SHARE, _SAVE_SHARE = 0.2, 0.4  # of the kills, in the start and during a save
_LONGEST_SECONDS = 0.5  # of a life, after the first sign of it


@dataclasses.dataclass
class Tally:
    """What was seen."""

    kills: int = 0
    while_starting: int = 0
    while_saving: int = 0
    checkpoints_read: int = 0
    found_dead_seconds: list[float] = dataclasses.field(default_factory=list)
    steps_done_again: int = 0
    steps: int = 0

    def __str__(self) -> str:
        slowest = max(self.found_dead_seconds, default=0.0)
        return (
            f"{self.kills} kills, {self.while_starting} of them before the first step, {self.while_saving} during a "
            f"save; found dead after {slowest:.2f} s at most; {self.checkpoints_read} checkpoints read; "
            f"{self.steps_done_again} steps done again; {self.steps} steps with the same losses to the last bit."
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dit-studio-stress-") as place:
        os.environ["DIT_STUDIO_CACHE"] = str(Path(place) / "cache")
        print(stress(Path(place), kills=options.kills, seed=options.seed, say=partial(print, flush=True)))
    return 0


def stress(place: Path, *, kills: int, seed: int, say: Callable[[str], object] | None = None) -> Tally:
    """Raises: AssertionError with what was lost."""
    tally, draws = Tally(), random.Random(seed)
    whole, killed = (make_run(place, name, steps=STEPS_PER_KILL * kills + MORE_STEPS) for name in ("whole", "killed"))
    run_to_the_end(whole, resume=False)
    while tally.kills < kills:
        is_over = live_and_die(killed, draws, tally)
        check(killed, tally)
        compare(whole, killed, tally)
        if say is not None:
            say(f"kill {tally.kills}: at step {killed.read_status().step}, {len(killed.checkpoints())} checkpoints")
        assert not is_over, f"the run ended after {tally.kills} kills: take more steps"
    run_to_the_end(killed, resume=True)
    check(killed, tally)
    compare(whole, killed, tally)
    assert tally.steps == killed.recipe().train.steps
    return tally


def make_run(place: Path, name: str, *, steps: int) -> RunFolder:
    return RunFolder.create(place / name, parse_recipe({
        "data": {"path": str(pictures(place / "pictures")), "image_size": 8, "validation_fraction": 0.2},
        "model": {"hidden_size": 32, "depth": 2, "num_heads": 4, "patch_size": 4},
        "train": {"steps": steps, "batch_size": 8, "checkpoint_every": 2, "keep_checkpoints": 3, "preview_every": 25,
                  "validate_every": 10, "device": "cpu"},
        "sample": {"steps": 2},
    }))  # fmt: skip


def pictures(place: Path) -> Path:
    """Digits, nearly: bars of two kinds in noise."""
    draws = np.random.default_rng(0)
    for number in range(32):
        folder = place / f"class {number % 2}"
        folder.mkdir(parents=True, exist_ok=True)
        pixels = draws.integers(0, 100, (8, 8), dtype=np.uint8)
        pixels[(slice(None), 3) if number % 2 else (3, slice(None))] = 255
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return place


def run_to_the_end(folder: RunFolder, *, resume: bool) -> None:
    process = start_worker(folder, resume=resume)
    for _ in within_limit(follow(folder, process=process), _WHOLE_LIMIT_SECONDS):
        pass
    assert folder.read_status().state is JobState.FINISHED, folder.read_status()


def live_and_die(folder: RunFolder, draws: random.Random, tally: Tally) -> bool:
    """Start or resume, kill at a random moment, follow until it is found dead. True if it had ended before."""
    process = start_worker(folder, resume=bool(folder.checkpoints()))
    moment = draws.random()
    if moment < _START_SHARE:
        time.sleep(draws.uniform(0, 3.0))
    else:
        await_moment(folder, process, draws, during_a_save=moment < _START_SHARE + _SAVE_SHARE)
    tally.while_starting += moment < _START_SHARE and not is_at_step(folder)
    tally.while_saving += any((folder.path / "checkpoints").glob(".*.tmp"))
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    died = time.monotonic()
    for _ in within_limit(follow(folder, process=process)):
        pass
    tally.found_dead_seconds.append(time.monotonic() - died)
    tally.kills += 1
    return folder.read_status().state is JobState.FINISHED


def await_moment(
    folder: RunFolder, process: "subprocess.Popen[bytes]", draws: random.Random, *, during_a_save: bool
) -> None:
    """Wait until the process has trained for a random time; with `during_a_save` until a checkpoint is half-written."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while not is_at_step(folder) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    time.sleep(draws.uniform(0, _LONGEST_SECONDS))
    while during_a_save and process.poll() is None and time.monotonic() < deadline:
        if any((folder.path / "checkpoints").glob(".*.tmp")):
            time.sleep(draws.uniform(0, 0.01))
            return


def is_at_step(folder: RunFolder) -> bool:
    status = folder.read_status()
    return status.state is JobState.RUNNING and bool(status.pid)


def within_limit(events: Iterator[Event | None], limit_seconds: float = LIMIT_SECONDS) -> Iterator[Event | None]:
    deadline = time.monotonic() + limit_seconds
    for event in events:
        assert time.monotonic() < deadline, "the run hangs"
        yield event


def check(folder: RunFolder, tally: Tally) -> None:
    """After each death: no state hangs, every checkpoint can be read, every line is one, no step is missing."""
    status = folder.read_status()
    assert not status.state.is_active, f"hangs in {status.state}"
    assert not folder.is_locked()
    for checkpoint in folder.checkpoints():
        for file in ("model", "ema", "optimizer", "rng"):
            with safe_open(checkpoint / f"{file}.safetensors", framework="pt") as tensors:
                for name in tensors.keys():  # noqa: SIM118
                    tensors.get_tensor(name)
        tally.checkpoints_read += 1
    reader, step = EventReader(folder), 0
    for event in reader.drain():
        if isinstance(event, Resumed):
            assert event.step <= step, f"steps {step + 1} to {event.step} are missing"
            step = event.step
        elif isinstance(event, Metrics):
            assert event.step == (step + 1 if event.step != 1 else 1), f"step {event.step} follows {step}"
            step = event.step
        elif isinstance(event, CheckpointSaved):
            assert event.step == step
    assert reader.unreadable_lines == 0, f"{reader.unreadable_lines} lines are damaged"


def compare(whole: RunFolder, killed: RunFolder, tally: Tally) -> None:
    """Every time that a step was done, it gave the loss of the run that nobody killed."""
    expected = {event.step: event.loss for event in whole.read_events() if isinstance(event, Metrics)}
    done = [(event.step, event.loss) for event in killed.read_events() if isinstance(event, Metrics)]
    reached = max((step for step, _ in done), default=0)
    assert {step for step, _ in done} == set(range(1, reached + 1))
    for step, loss in done:
        assert loss == expected[step], f"step {step}: {loss}, not {expected[step]}"
    tally.steps, tally.steps_done_again = reached, len(done) - reached


if __name__ == "__main__":
    sys.exit(main())
