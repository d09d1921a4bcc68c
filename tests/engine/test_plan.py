"""What is said before a run starts."""

import threading
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from dit_studio.config import apply_settings, parse_recipe, recipe_to_tables
from dit_studio.engine import plan
from dit_studio.engine.checkpoint import ModelDescription
from dit_studio.engine.plan import describe_device, describe_model, model_cost, preflight
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


@pytest.mark.parametrize(("preset", "classes"), [("XXS/2", 7), ("S/4", 0), ("B/8", 1000)])
def test_parameters_are_those_of_the_model_that_is_built(preset: str, classes: int) -> None:
    recipe = parse_recipe({"model": {"preset": preset}})
    names = tuple(str(number) for number in range(classes))
    with torch.device("meta"):
        model = ModelDescription.from_recipe(recipe, class_names=names).build()
    (summary,) = describe_model(recipe_to_tables(recipe), classes)
    assert summary.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert summary.tokens == model.pos_embed.shape[1]
    assert summary.gflops > 0


def test_what_makes_a_run_smaller_makes_the_estimate_smaller() -> None:
    whole = model_cost(parse_recipe(tables("model.preset=S/2", "train.precision=fp32")), 10).training_bytes
    for setting in ("train.batch_size=8", "train.accumulate=8", "train.gradient_checkpointing=true",
                    "train.precision=bf16", "model.preset=XS/2", "model.preset=S/4"):  # fmt: skip
        changed = model_cost(parse_recipe(tables("model.preset=S/2", "train.precision=fp32", setting)), 10)
        assert changed.training_bytes < whole, setting


def test_the_estimate_is_near_what_a_step_takes() -> None:
    """Peak memory of a real forward and backward pass, watched from outside."""
    recipe = parse_recipe(tables("model.preset=XS/2", "train.batch_size=64", "train.precision=fp32"))
    model = ModelDescription.from_recipe(recipe, class_names=("a", "b")).build()
    process, peak, is_over = psutil.Process(), [0], threading.Event()
    before = process.memory_info().rss

    def watch() -> None:
        while not is_over.wait(0.005):
            peak[0] = max(peak[0], process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    output = model(torch.randn(64, 3, 32, 32), torch.zeros(64), torch.zeros(64, dtype=torch.long))
    output.square().mean().backward()
    is_over.set()
    watcher.join()
    states = 3 * 4 * sum(parameter.numel() for parameter in model.parameters())  # moments and average, not made here
    estimate = model_cost(recipe, 2).training_bytes - plan._PROCESS_BYTES - states
    assert 0.6 < estimate / (peak[0] - before) < 1.6


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
