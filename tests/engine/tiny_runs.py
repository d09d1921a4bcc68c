"""A run of a tiny model on real digits: random weights in two checkpoints, in the form that training leaves."""

import json
from pathlib import Path

import msgspec
import torch

from dit_studio.config import DataConfig, Recipe, SampleConfig, dump_recipe
from dit_studio.engine import data
from dit_studio.engine.checkpoint import ModelDescription, Progressed, checkpoint_name, write_weights
from dit_studio.engine.data import ImageSet
from dit_studio.events import Progress
from dit_studio.model_settings import DiffusionConfig, ModelConfig
from tests.engine.digits import write_digits

DIGITS = 120


def write_tiny_run(place: Path) -> Path:
    """The run `place`/runs/tiny, on `place`/digits, with the checkpoints 10 and 20; its images are in the cache."""
    config = DataConfig(path=write_digits(place / "digits", first=0, count=DIGITS), image_size=8, color="grey")
    images = _load(config)
    run = place / "runs" / "tiny"
    for step in (10, 20):
        _write_checkpoint(run / "checkpoints" / checkpoint_name(step), step, images)
    recipe = Recipe(data=config, model=ModelConfig(), sample=SampleConfig(steps=4, cfg=3.0, seed=9))
    (run / "run.toml").write_text(dump_recipe(recipe))
    return run


def _load(config: DataConfig) -> ImageSet:
    loading = data.load(config)
    while True:
        try:
            assert isinstance(next(loading), Progress)
        except StopIteration as end:
            images: ImageSet = end.value
            return images


def _write_checkpoint(folder: Path, step: int, images: ImageSet) -> None:
    folder.mkdir(parents=True)
    torch.manual_seed(step)
    description = ModelDescription(
        input_size=8, patch_size=4, in_channels=1, hidden_size=32, depth=1, num_heads=2, mlp_ratio=4.0,
        class_dropout_prob=0.1, num_classes=10, learn_sigma=False, diffusion=DiffusionConfig(),
        class_names=images.class_names, step=step,
    )  # fmt: skip
    model = description.build()
    for parameter in model.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=0.2)
    for weights, file in (("ema", "ema"), ("raw", "model")):
        write_weights(folder / f"{file}.safetensors", model, msgspec.structs.replace(description, weights=weights))
    state = Progressed(step=step, images_seen=0, seconds=0.0, ema_updates=0, data_fingerprint=images.fingerprint)
    (folder / "state.json").write_text(json.dumps(msgspec.to_builtins(state)))
