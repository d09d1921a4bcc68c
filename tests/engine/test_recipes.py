"""The recipes that come along: what each says, and that each trains, previews and saves on a small stand-in."""

import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dit_studio.config import Recipe, load_recipe, resolve
from dit_studio.engine.checkpoint import load_model
from dit_studio.events import CheckpointSaved, Failure, Metrics, PreviewSaved, Started
from dit_studio.jobs import training
from dit_studio.jobs.run_folder import RunFolder
from dit_studio.places import resources_dir
from tests.engine.tiny_vaes import write_tiny_vae
from tests.pictures import write_pictures

FILES = sorted((resources_dir() / "recipes").glob("*.toml"))
SMALL = (
    "data.image_size=16", "model.hidden_size=48", "model.depth=2", "train.steps=2", "train.batch_size=4",
    "train.accumulate=1", "train.precision=fp32", "sample.steps=2",
)  # fmt: skip


def named(name: str) -> Recipe:
    return resolve(load_recipe(resources_dir() / "recipes" / f"{name}.toml"))


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("stand-in") / "pictures", classes=3, size=16)


@pytest.fixture(scope="module")
def vae(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_vae(tmp_path_factory.mktemp("stand-in") / "vae", factor=2)


def stand_in(file: Path, images: Path, vae: Path) -> Recipe:
    """The recipe as it is, with a narrow model, few steps, small images and a small VAE."""
    recipe = load_recipe(file)
    heads = 4 if recipe.model.num_heads is None else min(recipe.model.num_heads, 8)
    settings = [*SMALL, f"model.num_heads={heads}", f"data.path={images}"]
    if recipe.latents.vae:
        settings.append(f"latents.vae={vae}")
    if recipe.model.attention == "window":
        settings.append("model.window=3")
    return load_recipe(file, settings=settings)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_each_recipe_starts_on_a_small_stand_in(file: Path, images: Path, vae: Path, tmp_path: Path) -> None:
    recipe = stand_in(file, images, vae)
    events = list(training.run(RunFolder.create(tmp_path, recipe)))
    assert [event.message for event in events if isinstance(event, Failure)] == []
    losses = [event.loss for event in events if isinstance(event, Metrics)]
    assert len(losses) == 2
    assert all(loss is not None and 0 < loss < 100 for loss in losses)
    (preview,) = [event for event in events if isinstance(event, PreviewSaved)]
    assert (tmp_path / preview.file).stat().st_size > 100
    assert [event.step for event in events if isinstance(event, CheckpointSaved)] == [2]
    (started,) = [event for event in events if isinstance(event, Started)]
    assert len(started.class_names) == (0 if recipe.data.classes == "none" else 3)
    config, model = load_model(tmp_path).config, resolve(recipe).model
    for name in ("block", "attention", "num_kv_heads", "rope", "qk_norm", "norm", "mlp", "learn_sigma", "patch_size"):
        assert getattr(config, name) == getattr(model, name), name
    assert config.diffusion == recipe.diffusion
    assert (config.latents is not None, config.image_size) == (bool(recipe.latents.vae), 16)


@pytest.mark.parametrize(
    ("name", "width", "depth", "heads"),
    [("s2", 384, 12, 6), ("b2", 768, 12, 12), ("l2", 1024, 24, 16), ("xl2", 1152, 28, 16)],
)
def test_the_papers_ladder_is_as_published(name: str, width: int, depth: int, heads: int) -> None:
    recipe = named(f"paper-{name}-latents")
    model, train = recipe.model, recipe.train
    assert (model.hidden_size, model.depth, model.num_heads, model.patch_size) == (width, depth, heads, 2)
    assert (model.block, model.learn_sigma, model.class_dropout_prob) == ("adaln-zero", True, 0.1)
    assert (train.learning_rate, train.batch_size, train.ema_decay, train.steps) == (1e-4, 256, 0.9999, 400_000)
    assert (train.warmup_steps, train.clip_grad_norm, train.weight_decay) == (0, 0.0, 0.0)
    assert (recipe.data.image_size, recipe.latents.vae) == (256, "stabilityai/sd-vae-ft-ema")
    assert (train.beta1, train.beta2, train.learning_rate_schedule) == (0.9, 0.999, "constant")


def test_full_and_window_attention_differ_in_nothing_else() -> None:
    full, window = (named(f"landscapes-{name}-attention") for name in ("full", "window"))
    assert (window.model.attention, window.model.window) == ("window", 7)
    model = msgspec.structs.replace(window.model, attention="full")
    assert msgspec.structs.replace(window, model=model, about=full.about) == full


def test_cifar_is_grouped_and_in_context() -> None:
    model = named("cifar10-grouped").model
    assert (model.hidden_size, model.depth, model.patch_size, model.block) == (384, 12, 4, "in-context")
    assert (model.attention, model.num_heads, model.num_kv_heads) == ("grouped", 8, 2)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_recipe_says_nothing_that_a_preset_says_and_names_no_images(file: Path) -> None:
    tables: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))
    assert "path" not in tables["data"]
    sizes = {"hidden_size", "depth", "num_heads", "patch_size"} & tables["model"].keys()
    assert len(sizes) == (0 if "preset" in tables["model"] else 4)
