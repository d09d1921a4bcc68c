"""VAEs on the command line: what one is, what it makes of images, and training in its latents."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dit_studio.cli import main
from dit_studio.config import load_recipe
from dit_studio.engine.benchmark_latents import measure_latents
from tests.engine.digits import write_digits
from tests.engine.tiny_vaes import write_tiny_vae


@pytest.fixture
def vae(tmp_path: Path) -> Path:
    return write_tiny_vae(tmp_path / "small", factor=4)


def _answer(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    result: dict[str, object] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return result


def test_inspect_says_what_a_vae_is(vae: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(vae), "--json"]) == 0
    found = _answer(capsys)
    assert (found["name"], found["factor"], found["channels"], found["scale"]) == ("small", 4, 4, 0.18215)


def test_inspect_reconstructs_images(vae: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    digits, picture = write_digits(tmp_path / "digits", first=0, count=9), tmp_path / "seen.png"
    words = ["inspect", str(vae), "--data", digits, "--image-size", "8", "--count", "3", "--out", str(picture)]

    assert main([*words, "--json"]) == 0

    found = _answer(capsys)
    psnr = found["psnr"]
    assert isinstance(psnr, list)
    assert len(psnr) == 3
    assert found["mean_psnr"] == pytest.approx(np.mean(psnr))
    with Image.open(picture) as shown:
        assert shown.size == (3 * 8 + 2 * 2, 2 * 8 + 2)


@pytest.mark.parametrize(
    ("words", "status", "sentence"),
    [
        (["--count", "3"], 2, "--count goes with --data"),
        (["--data", "{digits}", "--image-size", "9"], 2, "makes one latent of 4 × 4 pixels; 8 or 12 would do"),
        (["--data", "{digits}", "--count", "0"], 2, "count = 0 is not possible"),
        (["--data", "/nowhere"], 1, "/nowhere"),
    ],
)
def test_what_cannot_be_done_is_a_sentence(
    vae: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], status: int, sentence: str
) -> None:
    digits = write_digits(tmp_path / "digits", first=0, count=4)
    assert main(["inspect", str(vae), *(word.format(digits=digits) for word in words)]) == status
    assert sentence in capsys.readouterr().err


def test_a_name_of_the_hub_that_is_not_here_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    assert main(["inspect", "stabilityai/sd-vae-ft-mse"]) == 1
    said = capsys.readouterr().err
    assert "stabilityai/sd-vae-ft-mse is not on this machine" in said
    assert "Model files" in said


def test_a_recipe_trains_in_latents_and_keeps_the_whole_path(
    vae: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_digits(tmp_path / "digits", first=0, count=12)
    (tmp_path / "recipe.toml").write_text(
        "[model]\nhidden_size = 32\ndepth = 1\nnum_heads = 2\npatch_size = 2\n[train]\nsteps = 2\nbatch_size = 4\n"
        "[sample]\nsteps = 2\n"
    )
    monkeypatch.chdir(tmp_path)
    words = ["train", "recipe.toml", "--data", "digits", "--set", "latents.vae=small", "--set", "data.image_size=16"]

    assert main([*words, "--out", "run", "--json"]) == 0

    assert _answer(capsys)["step"] == 2
    assert load_recipe(tmp_path / "run" / "run.toml").latents.vae == str(vae)
    assert main(["sample", "run", "--count", "2", "--steps", "2", "--out", "drawn"]) == 0
    with Image.open(tmp_path / "drawn" / "000001.png") as picture:
        assert picture.size == (16, 16)


def test_the_benchmark_measures_the_vaes_own_time(vae: Path) -> None:
    figures = measure_latents(images=5, image_size=16, vae=vae)
    assert figures.values["images"] == 5
    assert 0 < float(figures.values["vae_share"]) < 1
    assert float(figures.values["bytes_per_image"]) == 2 * 2 * 4 * 4 * 4 * 4
