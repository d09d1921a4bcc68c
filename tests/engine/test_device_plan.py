"""How a run spreads over several devices, on machines that are simulated, and what is said of it before the start."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from dit_studio.config import Recipe, apply_settings, parse_recipe, recipe_to_tables
from dit_studio.engine import device as devices
from dit_studio.engine import plan as plan_module
from dit_studio.engine.device_plan import PROCESS_BYTES, plan_devices
from dit_studio.engine.model_cost import model_cost
from dit_studio.engine.plan import list_devices, preflight
from dit_studio.events import Check, CheckStatus, Preflight
from tests.pictures import write_pictures

GIGABYTE = 10**9


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two GPUs of 8 GB each, the second of them half full."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(devices, "describe", lambda device: "Test GPU" if device.type == "cuda" else "Test CPU")
    monkeypatch.setattr(devices, "memory_total", lambda _: 8 * GIGABYTE)
    monkeypatch.setattr(devices, "memory_free", lambda _: 7 * GIGABYTE)
    uuids = SimpleNamespace(uuid="aaaa-0"), SimpleNamespace(uuid="aaaa-1")
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: uuids[device.index or 0])
    said = subprocess.CompletedProcess([], 0, stdout="GPU-aaaa-1, 3815\nGPU-aaaa-0, 954\nGPU-bbbb-9, [N/A]\n")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: said)
    monkeypatch.setattr(devices, "pick_precision", lambda *_, **__: devices.Precision("fp32"))
    monkeypatch.setattr(plan_module, "matmul_rate", lambda *_, **__: 1e12)
    yield
    plan_module._scanned.clear()


def recipe(*settings: str) -> Recipe:
    return parse_recipe(apply_settings({}, settings))


def checks(tmp_path: Path, *settings: str) -> dict[str, Check]:
    pictures = write_pictures(tmp_path / "pictures", per_class=40)
    tables: dict[str, Any] = recipe_to_tables(recipe(f"data.path={pictures}", *settings))
    (answer,) = [event for event in preflight(tables, str(tmp_path / "run")) if isinstance(event, Preflight)]
    return {check.name: check for check in answer.checks}


@pytest.mark.usefixtures("gpus")
def test_every_device_is_listed_with_its_memory() -> None:
    (listed,) = list_devices()
    assert [(one.name, one.title) for one in listed.devices] == [
        ("cuda:0", "Test GPU"), ("cuda:1", "Test GPU"), ("cpu", "Test CPU"),
    ]  # fmt: skip
    assert [one.memory_used for one in listed.devices] == [954 * 2**20, 3815 * 2**20, GIGABYTE]
    assert {one.memory_total for one in listed.devices} == {8 * GIGABYTE}
    assert listed.cores == devices.cores() >= 1


def test_this_machine_lists_what_it_has() -> None:
    (listed,) = list_devices()
    assert [one.name for one in listed.devices] == devices.here()
    assert all(0 < one.memory_used < one.memory_total for one in listed.devices)


@pytest.mark.usefixtures("gpus")
def test_a_process_takes_its_share_of_the_batch_and_of_a_model_that_is_split() -> None:
    def needed(*settings: str) -> int:
        plan = plan_devices(recipe(*settings), state_bytes=GIGABYTE, image_bytes=1_000_000)
        return plan.bytes_each - PROCESS_BYTES

    both = "train.device=cuda:0,cuda:1"
    assert needed("train.batch_size=64") == GIGABYTE + 64_000_000
    assert needed("train.batch_size=64", both) == GIGABYTE + 32_000_000
    assert needed("train.batch_size=65", both) == GIGABYTE + 33_000_000  # of the larger share
    assert needed("train.batch_size=64", both, "train.accumulate=4") == GIGABYTE + 8_000_000
    assert needed("train.batch_size=64", both, "train.shard=always") == GIGABYTE // 2 + 32_000_000


@pytest.mark.usefixtures("gpus")
def test_a_model_is_split_where_it_does_not_fit_on_one() -> None:
    def is_split(gigabytes: int, *settings: str) -> bool:
        return plan_devices(recipe(*settings), state_bytes=gigabytes * GIGABYTE, image_bytes=0).is_split

    both = "train.device=cuda:0,cuda:1"
    assert not is_split(6, both)
    assert is_split(9, both)
    assert not is_split(9, both, "train.shard=never")
    assert is_split(1, both, "train.shard=always")
    assert not is_split(9, "train.device=cuda:0")


@pytest.mark.usefixtures("gpus")
def test_the_checks_say_how_several_devices_share(tmp_path: Path) -> None:
    both = ("train.device=cuda:0,cuda:1", "train.batch_size=64")
    found = checks(tmp_path, *both)
    assert found["Devices"].message == (
        "2 × Test GPU, the model copied (DDP), 32 images each of a batch of 64."
    )  # fmt: skip
    assert "on each device, 4.0 GB free on Test GPU." in found["Memory"].message
    split = checks(tmp_path, *both, "train.shard=always", "train.batch_size=33")
    assert split["Devices"].message == "2 × Test GPU, the model split (FSDP2), 16 or 17 images each of a batch of 33."
    assert "Devices" not in checks(tmp_path, "train.device=cuda:1")
    huge = checks(tmp_path, *both, "train.shard=never", "model.preset=XL/2", "data.image_size=64")
    assert huge["Memory"].status is CheckStatus.FAILED
    assert huge["Memory"].remedy.startswith("Split the model over the devices.")


@pytest.mark.usefixtures("gpus")
def test_two_devices_halve_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_module, "_duration", str)
    sizes = ("model.preset=B/2", "data.image_size=64", "train.batch_size=2048", "train.preview_every=0")
    one, two = (
        plan_module._check_time(recipe(*sizes, f"train.device={names}"), 3).message
        for names in ("cuda:0", "cuda:0,cuda:1")
    )
    assert float(one.split()[1]) / float(two.split()[1]) == pytest.approx(2, rel=0.05)


@pytest.mark.usefixtures("gpus")
def test_devices_that_cannot_be_taken_are_a_failed_line(tmp_path: Path) -> None:
    more = checks(tmp_path, "train.device=cuda:0,cuda:1,cuda:2")["Devices"]
    assert more.status is CheckStatus.FAILED
    assert "cuda:2 is not here; this machine has cuda:0, cuda:1, cpu" in more.message
    few = checks(tmp_path, "train.device=cuda:0,cuda:1", "train.batch_size=1")["Devices"]
    assert few.status is CheckStatus.FAILED
    assert few.message == "A batch of 1 is less than 2 devices: each takes at least one image."
    assert few.remedy == "Take a batch of 2 or more, or fewer devices."


def test_processes_on_the_processor_share_its_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(devices, "cores", lambda: 2)
    found = checks(tmp_path, "train.device=cpu,cpu")
    assert found["Devices"].message == (
        f"2 processes on {devices.describe(torch.device('cpu'))}, the model copied (DDP), "
        "32 images each of a batch of 64."
    )
    assert "in 2 processes" in found["Memory"].message
    plan = model_cost(recipe("train.device=cpu,cpu"), 3).plan
    assert plan.needed_of_one_memory == 2 * plan.bytes_each
    crowded = checks(tmp_path, "train.device=cpu,cpu,cpu")["Devices"]
    assert (crowded.status, crowded.remedy) == (CheckStatus.WARNING, "Take 2 or fewer.")
