"""Latents and start models on the Train page: what is asked, what is filled in, what a person is told."""

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
from PySide6.QtWidgets import QComboBox, QLabel
from pytestqt.qtbot import QtBot
from scripted import Script, ScriptedLauncher
from test_data_card import summary

from dit_studio.config import Recipe
from dit_studio.events import Failure, ModelSummary, Preflight
from dit_studio.model_events import ModelOpened, Question, Reconstruction, VaeDescribed
from dit_studio.model_settings import DiffusionConfig, LatentsConfig
from dit_studio.ui.settings import Settings
from dit_studio.ui.train.dialogs import Dialogs
from dit_studio.ui.train.reconstruction_dialog import ReconstructionDialog, verdict
from dit_studio.ui.train.set_up import SetUp

MODEL = ModelSummary(parameters=33_012_345, gflops=6.06, tokens=256, training_bytes=4_100_000_000)
VAE = VaeDescribed(
    path="/vaes/small", name="small", factor=4, channels=3, scale=0.5, shift=0.0, parameters=83_700_000, digest="ab",
    warnings=("It was trained on faces.",),
)  # fmt: skip
DESCRIPTION = {
    "input_size": 16, "patch_size": 2, "in_channels": 4, "hidden_size": 384, "depth": 12, "num_heads": 6,
    "mlp_ratio": 4.0, "class_dropout_prob": 0.1, "num_classes": 7, "learn_sigma": False, "block": "in-context",
    "attention": "grouped", "num_kv_heads": 2, "window": 7, "position": "learned", "rope": True, "qk_norm": False,
    "norm": "rms", "mlp": "swiglu", "dialect": "diffusers", "time": "studio",
    "latents": {"vae": "/vaes/small", "digest": "ab", "factor": 8, "channels": 4, "scale": 0.2, "shift": 0.0},
    "diffusion": msgspec.to_builtins(DiffusionConfig(objective="flow")),
}  # fmt: skip
Make = Callable[..., tuple[SetUp, ScriptedLauncher]]


@pytest.fixture
def made(qtbot: QtBot, settings: Settings) -> Iterator[Make]:
    kept: list[SetUp] = []

    def make(
        dialogs: Dialogs | None = None, **answers: Script | Callable[..., Script]
    ) -> tuple[SetUp, ScriptedLauncher]:
        scripts: dict[str, Script | Callable[..., Script]] = {
            "scan_data": [summary()], "describe_model": [MODEL], "preflight": [Preflight(checks=())],
            "describe_vae": [VAE],
        }  # fmt: skip
        launcher = ScriptedLauncher(answers=scripts | answers)
        set_up = SetUp(settings, launcher, dialogs or Dialogs())  # type: ignore[arg-type]
        qtbot.addWidget(set_up)
        kept.append(set_up)
        return set_up, launcher

    yield make
    for set_up in kept:
        set_up.close_jobs()


def opened(**changes: object) -> ModelOpened:
    values: dict[str, object] = {
        "path": "/models/one.pt", "format": "published", "title": "DiT-S/2, 128 pixels",
        "description": msgspec.json.encode(DESCRIPTION).decode(),
    }  # fmt: skip
    return ModelOpened(**(values | changes))  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------------------- latents


def test_without_a_vae_it_says_what_that_means(made: Make) -> None:
    set_up, launcher = made()
    assert "learns the pixels themselves" in set_up.latents.facts
    assert not set_up.latents.check.isEnabled()
    assert "describe_vae" not in [job for job, _ in launcher.calls]


def test_a_vae_is_described_and_the_drawing_follows_it(made: Make, qtbot: QtBot) -> None:
    set_up, launcher = made(Dialogs(vae_folder=lambda _start: "/vaes/small"))
    set_up.latents._choose()
    qtbot.waitUntil(lambda: set_up.latents.vae is not None)
    assert ("describe_vae", {"vae": "/vaes/small"}) in launcher.calls
    assert "4 × 4 pixels make a latent of 3 channels, scaled by 0.5" in set_up.latents.facts
    assert "It was trained on faces." in set_up.latents.facts
    assert set_up.tables()["latents"]["vae"] == "/vaes/small"
    assert "Noisy latents (8 × 8 × 3)" in set_up.model._dialog.view.accessibleDescription()


def test_a_vae_that_is_not_here_can_be_fetched(made: Make, qtbot: QtBot) -> None:
    missing = Failure(message="stabilityai/sd-vae-ft-ema is not on this machine.", remedy="Download it.")
    set_up, _ = made(describe_vae=[missing])
    set_up.latents.use_vae("stabilityai/sd-vae-ft-ema")
    qtbot.waitUntil(lambda: "is not on this machine" in set_up.latents.facts)
    with qtbot.waitSignal(set_up.latents.files_asked) as heard:
        set_up.latents._fetch.click()
    assert heard.args == ["stabilityai/sd-vae-ft-ema"]


def test_the_check_shows_originals_beside_reconstructions(made: Make, qtbot: QtBot, tmp_path: Path) -> None:
    pixels = np.zeros((2, 2, 8, 8, 3), np.uint8)
    pixels[0, 1, :, :, 0], pixels[1, 1, :, :, 2] = 250, 240
    found = Reconstruction(
        size=8, latent_size=2, numbers=(3, 9), psnr=(31.0, 17.0), mean_psnr=18.25, data=pixels.tobytes()
    )
    set_up, launcher = made(reconstruct=[found])
    set_up.latents.use_vae("/vaes/small")
    set_up.latents.check.click()
    assert "Open a folder of images first" in set_up.latents.facts
    set_up.data.open_path(tmp_path)
    qtbot.waitUntil(lambda: set_up.data.summary is not None)
    set_up.latents.check.click()
    dialog = set_up.latents._dialog
    assert isinstance(dialog, ReconstructionDialog)
    qtbot.waitUntil(lambda: "18.2 dB" in dialog.verdict.text())
    assert launcher.calls[-1][1]["recipe"]["latents"]["vae"] == "/vaes/small"
    assert "8 × 8 pixels are 2 × 2 latents" in dialog.verdict.text()
    pictures = {label.accessibleName(): label.pixmap().toImage().pixelColor(5, 5).getRgb()[:3]
                for label in dialog._area.findChildren(QLabel) if not label.pixmap().isNull()}  # fmt: skip
    assert pictures == {
        "Image 3": (0, 0, 0), "Reconstruction of image 3": (0, 0, 0),
        "Image 9": (250, 0, 0), "Reconstruction of image 9": (0, 0, 240),
    }  # fmt: skip
    assert {"31.0 dB", "17.0 dB"} <= {label.text() for label in dialog._area.findChildren(QLabel)}
    dialog.close()


@pytest.mark.parametrize(("psnr", "words"), [(15.0, "nothing finer"), (24.0, "Fine detail is lost"), (33.0, "keeps")])
def test_the_verdict_follows_the_figure(psnr: float, words: str) -> None:
    assert words in verdict(Reconstruction(size=256, latent_size=32, numbers=(), psnr=(), mean_psnr=psnr))


# ------------------------------------------------------------------------------------------------- a start model


def test_a_start_model_fills_in_what_it_is(made: Make, qtbot: QtBot) -> None:
    set_up, launcher = made(Dialogs(model_file=lambda _start: "/models/one.pt"), open_model=[opened()])
    set_up.training.start.file.click()
    qtbot.waitUntil(lambda: set_up.tables()["model"].get("block") == "in-context")
    assert ("open_model", {"path": "/models/one.pt", "answers": {}}) in launcher.calls
    recipe = set_up.recipe()
    assert recipe is not None
    assert (recipe.model.preset, recipe.model.hidden_size, recipe.model.num_kv_heads) == ("S/2", None, 2)
    assert (recipe.diffusion.objective, recipe.sample.sampler) == ("flow", "flow-euler")
    assert (recipe.latents.vae, recipe.latents.scale, recipe.data.image_size) == ("/vaes/small", 0.2, 128)
    assert recipe.train.start_from == "/models/one.pt"
    assert "its size, kind and objective are filled in" in set_up.training.start.words


def test_a_recipe_keeps_its_own_image_size(made: Make, qtbot: QtBot) -> None:
    set_up, _ = made(open_model=[opened()])
    recipe = msgspec.convert({"data": {"image_size": 64}, "train": {"start_from": "/models/one.pt"}}, Recipe)
    set_up.show_recipe(recipe)
    qtbot.waitUntil(lambda: set_up.tables()["model"].get("block") == "in-context")
    assert set_up.tables()["data"]["image_size"] == 64


def test_what_is_remembered_is_not_filled_in_again(made: Make, qtbot: QtBot) -> None:
    first, _ = made(open_model=[opened()])
    first.change({"train": {"start_from": "/models/one.pt"}})
    qtbot.waitUntil(lambda: first.tables()["model"].get("block") == "in-context")
    first.change({"data": {"image_size": 32}})
    again, _ = made(open_model=[opened()])
    qtbot.waitUntil(lambda: "DiT-S/2" in again.training.start.words)
    assert again.tables()["data"]["image_size"] == 32
    assert again.tables()["model"]["block"] == "in-context"


def test_a_model_that_does_not_tell_everything_says_what_to_do(made: Make, qtbot: QtBot) -> None:
    question = Question(name="objective", text="What does it predict?", is_open=True)
    set_up, _ = made(open_model=[opened(description="", questions=(question,))])
    set_up.change({"train": {"start_from": "/models/one.pt"}})
    qtbot.waitUntil(lambda: "What does it predict?" in set_up.training.start.words)
    assert "Sample page" in set_up.training.start.words
    assert set_up.tables()["model"]["block"] == "adaln-zero"


def test_what_was_answered_meanwhile_is_taken_when_the_page_is_shown_again(made: Make, qtbot: QtBot) -> None:
    question = Question(name="objective", text="What does it predict?", is_open=True)
    answers: list[Script] = [[opened(description="", questions=(question,))], [opened()]]
    set_up, _ = made(open_model=lambda **_: answers.pop(0))
    set_up.show()
    set_up.change({"train": {"start_from": "/models/one.pt"}})
    qtbot.waitUntil(lambda: "What does it predict?" in set_up.training.start.words)
    set_up.hide()
    set_up.show()
    qtbot.waitUntil(lambda: set_up.tables()["model"].get("block") == "in-context")


def test_settings_of_other_kinds_are_not_shown(made: Make) -> None:
    set_up, _ = made()
    form = set_up.forms["model"]
    for attention, shown in (("full", ()), ("grouped", ("num_kv_heads",)), ("window", ("window",))):
        set_up.change({"model": {"attention": attention}})
        for name in ("num_kv_heads", "window"):
            assert form.editor(name).isVisibleTo(form) == (name in shown)
    assert LatentsConfig().vae == ""


def test_what_is_predicted_brings_along_what_it_goes_with(made: Make) -> None:
    set_up, _ = made()
    objective = set_up.forms["diffusion"].editor("objective")
    assert isinstance(objective, QComboBox)
    objective.setCurrentText("flow")
    recipe = set_up.recipe()
    assert recipe is not None
    assert (recipe.diffusion.objective, recipe.model.learn_sigma, recipe.sample.sampler) == (
        "flow",
        False,
        "flow-euler",
    )
    assert "Learned variance is now off" in set_up.model.fitted.text()
    assert "drawn by flow-euler" in set_up.model.fitted.text()
    assert "Prediction (the velocity of a flow), not as published" in set_up.model._dialog.view.accessibleDescription()
    objective.setCurrentText("v")
    recipe = set_up.recipe()
    assert recipe is not None
    assert (recipe.diffusion.objective, recipe.sample.sampler) == ("v", "ddim")
    objective.setCurrentText("epsilon")
    assert set_up.tables()["model"]["learn_sigma"], "as it was before"
    assert "on again" in set_up.model.fitted.text()


def test_the_drawing_follows_settings_that_are_not_possible(made: Make) -> None:
    set_up, _ = made()
    set_up.change({"model": {"patch_size": 5, "rope": True}})
    assert set_up.recipe() is None
    assert "RoPE" in set_up.model._dialog.view.accessibleDescription()
