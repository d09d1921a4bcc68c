"""What is said before a run starts."""

from pathlib import Path
from typing import Any

import pytest
import torch

from dit_studio.config import apply_settings, parse_recipe, recipe_to_tables
from dit_studio.engine import plan
from dit_studio.engine.plan import describe_device, preflight
from dit_studio.events import Check, CheckStatus, Preflight
from tests.pictures import write_pictures


def tables(*settings: str) -> dict[str, Any]:
    return recipe_to_tables(parse_recipe(apply_settings({}, settings)))


def checks(out: Path, *settings: str) -> dict[str, list[Check]]:
    plan._scanned.clear()
    (answer,) = [event for event in preflight(tables(*settings), str(out)) if isinstance(event, Preflight)]
    found: dict[str, list[Check]] = {}
    for check in answer.checks:
        found.setdefault(check.name, []).append(check)
    assert answer.can_start == all(check.status is not CheckStatus.FAILED for check in answer.checks)
    return found


def test_the_device_is_described() -> None:
    (device,) = describe_device()
    assert device.backend == "cpu"
    assert device.torch_version == str(torch.__version__)
    assert 0 < device.memory_used < device.memory_total


def test_a_good_set_up_may_start(tmp_path: Path) -> None:
    pictures = write_pictures(tmp_path / "p", per_class=40)
    found = checks(tmp_path / "run", f"data.path={pictures}")
    assert found["Data"][0].message == "120 images in 3 classes."
    for name in ("Disk", "Memory", "Time"):
        assert found[name][0].status is CheckStatus.OK, found[name]


def test_what_stands_in_the_way_is_found_before_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = write_pictures(tmp_path / "p", per_class=2)
    (pictures / "class 0" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    one = write_pictures(tmp_path / "one", classes=1, per_class=1)
    assert checks(tmp_path, "data.path=")["Data"][0].status is CheckStatus.FAILED
    assert checks(tmp_path, "data.path=/nowhere")["Data"][0].status is CheckStatus.FAILED
    assert any(check.status is CheckStatus.FAILED for check in checks(tmp_path, f"data.path={one}")["Data"])
    found = checks(tmp_path, f"data.path={pictures}", "train.batch_size=64")
    assert any("1 files are left out" in check.message or "1 file" in check.message for check in found["Data"])
    assert "each step repeats some" in found["Batch"][0].message
    huge = checks(tmp_path, f"data.path={pictures}", "model.preset=XL/2", "train.batch_size=60000")
    assert huge["Memory"][0].status is CheckStatus.FAILED
    assert "smaller batch" in huge["Memory"][0].remedy
    assert huge["Time"][0].status is CheckStatus.WARNING
    monkeypatch.setattr(plan, "free_bytes", lambda _: 1000)
    assert checks(tmp_path, f"data.path={pictures}")["Disk"][0].status is CheckStatus.FAILED


def test_an_output_that_cannot_be_written_is_found(tmp_path: Path) -> None:
    pictures, file = write_pictures(tmp_path / "p"), tmp_path / "file"
    file.write_text("")
    found = checks(file / "run", f"data.path={pictures}")
    assert found["Output folder"][0].status is CheckStatus.FAILED
