"""A model is measured against other images than those of its training, or in other colours: the result says so."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dit_studio.config import DataConfig, Recipe, dump_recipe
from dit_studio.evaluation_request import EvaluationResult
from dit_studio.model_settings import ModelConfig
from tests.engine.digits import shuffled_digits, write_digits, write_images
from tests.engine.test_evaluate import measured
from tests.engine.tiny_runs import write_tiny_run

_SAMPLE = {"count": 4, "steps": 1, "classes": [0], "cfg": 1.0}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_tiny_run(tmp_path)


def drawn_against(real: Path, run: Path, **options: Any) -> EvaluationResult:
    return measured(str(real), str(run), sample=_SAMPLE, metrics=["kid"], **options)


def cautions(result: EvaluationResult, words: str) -> list[tuple[str, str]]:
    return [(caution.level, caution.message) for caution in result.cautions if words in caution.message]


def test_its_own_images_are_no_others(run: Path, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(tmp_path / "digits", tmp_path / "moved"))  # with the times of its files
    for real in (run, tmp_path / "digits", moved):
        assert cautions(drawn_against(real, run / "checkpoints" / "step-0000010"), "trained on") == []


def test_another_folder_is_said(run: Path, tmp_path: Path) -> None:
    other = Path(write_digits(tmp_path / "other", first=200, count=20))
    ((level, message),) = cautions(drawn_against(other, run), "trained on")
    assert level == "amber"
    assert f"on {tmp_path / 'digits'}." in message


def test_the_data_set_of_another_run_is_said(run: Path, tmp_path: Path) -> None:
    other = tmp_path / "runs" / "other"
    other.mkdir()
    config = DataConfig(path=write_digits(tmp_path / "others", first=200, count=20), image_size=8, color="grey")
    (other / "run.toml").write_text(dump_recipe(Recipe(data=config, model=ModelConfig())))
    assert len(cautions(drawn_against(other, run), "trained on")) == 1
    same = DataConfig(path=str(tmp_path / "digits"), image_size=16, color="grey")
    (other / "run.toml").write_text(dump_recipe(Recipe(data=same, model=ModelConfig())))
    assert cautions(drawn_against(other, run), "trained on") == [], "the size has a sentence of its own"


def test_what_nobody_can_tell_is_not_said(run: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "real.npz", arr_0=np.random.default_rng(0).integers(0, 255, (5, 8, 8, 3), np.uint8))
    assert cautions(drawn_against(tmp_path / "real.npz", run), "trained on") == []
    images = str(tmp_path / "digits")
    other = write_digits(tmp_path / "other", first=200, count=20)
    assert cautions(measured(other, images, metrics=["kid"]), "trained on") == [], "no model drew them"


def test_grey_against_colour_is_said(run: Path, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    coloured = Path(write_images(tmp_path / "coloured", random.integers(0, 255, (12, 8, 8, 3), np.uint8)))
    ((level, message),) = cautions(drawn_against(coloured, run), "in colour")
    assert (level, message[:56]) == ("red", "The generated images are grey, the reference is in colou")
    grey = Path(write_images(tmp_path / "grey", shuffled_digits()[0][:12]))
    assert cautions(drawn_against(grey, run), "in colour") == []
    mixed = [*random.integers(0, 255, (6, 8, 8, 3), np.uint8), *shuffled_digits()[0][:6]]
    assert cautions(drawn_against(Path(write_images(tmp_path / "mixed", mixed)), run), "in colour") == []
