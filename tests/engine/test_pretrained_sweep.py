"""A pretrained model from the hub to a sweep of its guidance and steps, with a tiny pipeline in its place.

The witness is diffusers' own DiTPipeline.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import DiTPipeline
from numpy.typing import NDArray
from PIL import Image

from dit_studio.class_names import imagenet_names
from dit_studio.cli import main
from dit_studio.engine.pretrained import find_pretrained
from dit_studio.sweep import SweepCell, open_sweep
from tests.engine.file_server import serving
from tests.engine.hub_server import Hub
from tests.engine.tiny_pipelines import write_pipeline

DIT, SEED = "facebook/DiT-XL-2-256", 33
SCALES, STEPS = (0.0, 1.5, 4.0, 10.0), (4, 10, 20)  # of the study: 50, 250 and 500 steps


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where the model lies once `dit-studio download` has fetched it."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    with serving(Hub.of_folder(DIT, write_pipeline(tmp_path / "published")).respond) as url:
        monkeypatch.setenv("HF_ENDPOINT", url)
        assert main(["download", DIT, "--yes-licence"]) == 0
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    found = find_pretrained(DIT)
    assert found is not None
    return found


def _sweep(folder: Path, classes: str) -> dict[tuple[float, int], SweepCell]:
    words = ["sample", DIT, "--classes", classes, "--sampler", "ddim", "--seed", str(SEED), "--precision", "fp32"]
    words += ["--sweep", f"cfg={','.join(f'{scale:g}' for scale in SCALES)}"]
    words += ["--sweep", f"steps={','.join(str(steps) for steps in STEPS)}"]
    assert main([*words, "--device", "cpu", "--out", str(folder)]) == 0
    record = open_sweep(folder)
    assert {state.state for state in record.states} == {"drawn"}
    return {(cell.request.cfg, cell.request.steps): cell for cell in record.plan.cells}


def _pixels(file: Path) -> NDArray[np.int64]:
    with Image.open(file) as picture:
        return np.asarray(picture).astype(np.int64)


def test_a_sweep_of_guidance_and_steps_draws_what_diffusers_draws(place: Path, tmp_path: Path) -> None:
    cells = _sweep(tmp_path / "sweep", "golden retriever,red panda")
    assert set(cells) == {(scale, steps) for scale in SCALES for steps in STEPS}
    with Image.open(tmp_path / "sweep" / "sweep.png") as picture:
        assert min(picture.size) > 0
    pipeline = DiTPipeline.from_pretrained(place)
    pipeline.set_progress_bar_config(disable=True)
    for (scale, steps), cell in cells.items():
        drawn = tmp_path / "sweep" / cell.folder
        assert cell.request.classes == (207, 387)
        assert _pixels(drawn / "000000.png").shape == (16, 16, 3)  # decoded
        if scale > 1:  # below, DiTPipeline leaves guidance out
            noise = torch.Generator().manual_seed(SEED + 1)
            theirs = pipeline([387], scale, noise, steps, output_type="np").images[0]
            assert theirs.std() > 0.05  # a picture, not a plain
            assert np.abs(_pixels(drawn / "000001.png") - (theirs * 255).round()).max() <= 1, (scale, steps)


@pytest.mark.usefixtures("place")
def test_without_guidance_the_class_is_ignored_and_with_it_not(tmp_path: Path) -> None:
    one, other = (_sweep(tmp_path / name, name) for name in ("tench", "999"))
    for (scale, steps), cell in one.items():
        of_tench = _pixels(tmp_path / "tench" / cell.folder / "000000.png")
        of_tissue = _pixels(tmp_path / "999" / other[scale, steps].folder / "000000.png")
        assert (of_tench == of_tissue).all() == (scale == 0), (scale, steps)
    labels = (tmp_path / "tench" / one[4.0, 10].folder / "labels.csv").read_text()
    assert labels.splitlines()[1] == f"000000.png,{imagenet_names()[0]}"
