"""Finders in a worker process: they end at a step, and the process ends with them; and whose device is taken."""

import socket
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dit_studio.config import Recipe
from dit_studio.events import Failure, JobState
from dit_studio.findings import batch_found
from dit_studio.jobs.busy_devices import why_device_is_taken
from dit_studio.jobs.launch import Launcher
from dit_studio.jobs.run_folder import RunFolder, Status
from dit_studio.machine_events import BatchFound, BatchTried

TINY: dict[str, Any] = {
    "data": {"image_size": 8, "color": "grey"},
    "model": {"hidden_size": 16, "depth": 1, "num_heads": 2, "patch_size": 4},
    "train": {"device": "cpu"},
}


@pytest.mark.parametrize("is_cancelled", [False, True])
def test_a_finder_in_its_worker(*, is_cancelled: bool) -> None:
    launcher = Launcher()
    job = launcher.call("find_batch_size", recipe=TINY, num_classes=3, images=40)
    tried: list[BatchTried] = []
    found: list[BatchFound] = []
    for event in job.events():
        assert not isinstance(event, Failure)
        tried += [event] if isinstance(event, BatchTried) else []
        found += [event] if isinstance(event, BatchFound) else []
        if is_cancelled and len(tried) == 2 and isinstance(event, BatchTried):
            job.cancel()
    if is_cancelled:
        assert not found
        assert (batch_found(tried, limit="").batch_size or 0) < 38
    else:
        assert [one.batch_size for one in found] == [38]
    assert launcher._finder._process is None, "its process ended, and gave back what it held"
    launcher.close()


def _run(root: Path, name: str, state: JobState, *devices: str, host: str = "") -> RunFolder:
    folder = RunFolder.create(root / name, Recipe())
    folder.write_status(Status(state=state, devices=devices, host=host))
    return folder


@pytest.mark.parametrize(
    ("device", "used", "is_taken"),
    [
        ("auto", ("cuda:1",), True),
        ("cuda:1", ("cuda:0", "cuda:1"), True),
        ("cuda", ("cuda:0",), True),
        ("cuda:0,cuda:1", ("cuda:1",), True),
        ("cuda:0", ("cuda:1",), False),
        ("cpu", ("cuda:0",), False),
        ("cpu", (), True),
    ],
)
def test_a_device_is_taken_by_a_run_that_is_at_work_on_it(
    tmp_path: Path, device: str, used: tuple[str, ...], *, is_taken: bool
) -> None:
    folder = _run(tmp_path, "night", JobState.RUNNING, *used)
    assert not why_device_is_taken(device, tmp_path), "nobody holds its lock: it is not alive"
    with folder.lock():
        assert why_device_is_taken(device, tmp_path).startswith("night is at work") is is_taken


def test_a_run_that_another_machine_begins_takes_no_device_here(tmp_path: Path) -> None:
    folder = _run(tmp_path, "far", JobState.PREPARING, "cpu")
    folder.write_status(msgspec.structs.replace(folder.read_status(), pid=0, host="", heartbeat=time.time()))
    assert folder.is_alive()
    assert not why_device_is_taken("cpu", tmp_path)
    folder.write_status(msgspec.structs.replace(folder.read_status(), host=socket.gethostname()))
    assert why_device_is_taken("cpu", tmp_path)


def test_a_run_that_has_ended_takes_no_device(tmp_path: Path) -> None:
    _run(tmp_path, "done", JobState.FINISHED, "cpu")
    assert not why_device_is_taken("cpu", tmp_path)
    assert not why_device_is_taken("cpu", tmp_path / "no such folder")
