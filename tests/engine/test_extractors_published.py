"""CLIP, SigLIP, ALIGN and DINOv2 from folders that transformers itself writes, with few layers and random weights."""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from dit_studio.engine.evaluation.extractors.transformers_models import PUBLISHED, load_whole, open_published
from dit_studio.errors import CheckpointError

transformers = pytest.importorskip("transformers")

CPU = torch.device("cpu")
_SMALL = {"num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
_TEXT = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16, "vocab_size": 99}


def _clip(*, size: int, patch: int, dim: int) -> Any:
    vision = {**_SMALL, "hidden_size": 16, "image_size": size, "patch_size": patch, "projection_dim": dim}
    text = {**_TEXT, "projection_dim": dim}
    return transformers.CLIPModel(transformers.CLIPConfig(vision_config=vision, text_config=text, projection_dim=dim))


def _align(*, width: int = 640) -> Any:
    vision = {
        "width_coefficient": 1.0,
        "depth_coefficient": 1.0,
        "hidden_dim": 2560,
        "kernel_sizes": [3, 3],
        "in_channels": [32, 8],
        "out_channels": [8, width],
        "strides": [2, 2],
        "num_block_repeats": [1, 1],
        "expand_ratios": [1, 1],
        "depthwise_padding": [],
    }
    return transformers.AlignModel(
        transformers.AlignConfig(vision_config=vision, text_config=_TEXT, projection_dim=640)
    )


def _siglip() -> Any:
    vision = {**_SMALL, "hidden_size": 768, "image_size": 224, "patch_size": 16}
    return transformers.SiglipModel(transformers.SiglipConfig(vision_config=vision, text_config=_TEXT))


def _dinov2() -> Any:
    config = transformers.Dinov2Config(
        hidden_size=1024, num_hidden_layers=1, num_attention_heads=2, mlp_ratio=1, patch_size=14, image_size=518
    )
    return transformers.Dinov2Model(config)


MAKERS = {
    "clip-b32": lambda: _clip(size=224, patch=32, dim=512),
    "clip-l14-336": lambda: _clip(size=336, patch=14, dim=768),
    "siglip": _siglip,
    "align": _align,
    "dinov2": _dinov2,
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder as the hub has it of each model: whole, the text side included."""
    torch.manual_seed(0)
    places = {}
    for name, make in MAKERS.items():
        model = make()
        for weight in model.parameters():  # nothing at zero or one, so that nothing random could pass for it
            weight.data += 0.1 * torch.randn_like(weight)
        places[name] = tmp_path_factory.mktemp(name)
        model.eval().save_pretrained(places[name])
    return places


def _images() -> torch.Tensor:
    """One of noise, one of dark noise."""
    bright = torch.randint(0, 256, (3, 40, 50), dtype=torch.uint8, generator=torch.Generator().manual_seed(3))
    return torch.stack([bright, bright // 4])


@pytest.mark.parametrize("name", PUBLISHED)
def test_embeddings_are_those_of_the_whole_model(name: str, folders: dict[str, Path]) -> None:
    extractor = open_published(name, folders[name], device=CPU)
    found = extractor(_images())["features"]
    assert found.shape == (2, extractor.dim)
    assert found.dtype == np.float32
    whole = getattr(transformers, type(MAKERS[name]()).__name__).from_pretrained(folders[name]).eval()
    pixels = extractor.preprocessing.prepare(_images())
    with torch.inference_mode():
        if name == "dinov2":
            expected = whole(pixel_values=pixels).last_hidden_state[:, 0]
        elif name == "align":
            expected = whole.vision_model(pixel_values=pixels).last_hidden_state.mean((2, 3))
        else:
            expected = whole.get_image_features(pixel_values=pixels)
            expected = getattr(expected, "pooler_output", expected)
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-4, atol=1e-5)
    assert found.std(0).max() > 1e-4  # the two images differ
    assert extractor.weights_sha256 == open_published(name, folders[name], device=CPU).weights_sha256


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_missing_tensor_is_an_error(name: str, folders: dict[str, Path], tmp_path: Path) -> None:
    tensors = load_file(folders[name] / "model.safetensors")
    gone = next(key for key in sorted(tensors) if ("vision" in key or name == "dinov2") and key.endswith("weight"))
    del tensors[gone]
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    (tmp_path / "config.json").write_bytes((folders[name] / "config.json").read_bytes())
    with pytest.raises(CheckpointError, match=r"lacks 1 tensors of .* first; they would be random"):
        open_published(name, tmp_path, device=CPU)


def test_an_older_pickled_checkpoint_is_read_too(folders: dict[str, Path], tmp_path: Path) -> None:
    torch.save(load_file(folders["clip-b32"] / "model.safetensors"), tmp_path / "pytorch_model.bin")
    (tmp_path / "config.json").write_bytes((folders["clip-b32"] / "config.json").read_bytes())
    expected = open_published("clip-b32", folders["clip-b32"], device=CPU).weights_sha256
    assert open_published("clip-b32", tmp_path, device=CPU).weights_sha256 == expected


def test_aligns_vision_class_would_be_random(folders: dict[str, Path]) -> None:
    with pytest.raises(CheckpointError, match=r"lacks [0-9]+ tensors of AlignVisionModel"):
        load_whole("AlignVisionModel", folders["align"])


def test_another_model_is_not_taken_for_this_one(folders: dict[str, Path], tmp_path: Path) -> None:
    _clip(size=224, patch=16, dim=512).save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="not CLIP ViT-B/32: its patch_size is 16 in place of 32"):
        open_published("clip-b32", tmp_path, device=CPU)
    with pytest.raises(CheckpointError):
        open_published("siglip", folders["clip-b32"], device=CPU)


def test_features_of_another_width_are_refused(tmp_path: Path) -> None:
    """ALIGN's says nothing of it among the values that are looked at."""
    _align(width=800).save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="not ALIGN base: it gives 800 numbers an image in place of 640"):
        open_published("align", tmp_path, device=CPU)


def test_a_network_that_cannot_run_is_refused(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(transformers.AlignVisionModel, "forward", fail)
    with pytest.raises(CheckpointError, match="cannot be run: RuntimeError: mat1 and mat2"):
        open_published("align", folders["align"], device=CPU)


def test_opening_a_whole_model_logs_nothing(folders: dict[str, Path]) -> None:
    """transformers reports the tensors that it leaves out, and those of the text are left out."""
    said: list[str] = []
    log, handler = logging.getLogger("transformers"), logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    log.addHandler(handler)
    log.setLevel(logging.WARNING)
    try:
        open_published("clip-b32", folders["clip-b32"], device=CPU)
    finally:
        log.removeHandler(handler)
    assert (said, log.level) == ([], logging.WARNING)


def test_wrong_folders_are_sentences(folders: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"holds no config\.json"):
        open_published("siglip", tmp_path, device=CPU)
    (tmp_path / "config.json").write_bytes((folders["siglip"] / "config.json").read_bytes())
    with pytest.raises(CheckpointError, match="cannot be opened as SiglipVisionModel"):
        open_published("siglip", tmp_path, device=CPU)
    content = (folders["siglip"] / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(content[: len(content) // 2])
    with pytest.raises(CheckpointError, match="cannot be opened as SiglipVisionModel"):
        open_published("siglip", tmp_path, device=CPU)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "nothing"}))
    with pytest.raises(CheckpointError):
        open_published("siglip", tmp_path, device=CPU)


def test_without_transformers_it_says_so(monkeypatch: pytest.MonkeyPatch, folders: dict[str, Path]) -> None:
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(CheckpointError, match="transformers is not installed"):
        open_published("siglip", folders["siglip"], device=CPU)


@pytest.fixture(autouse=True)
def _quiet() -> None:
    """What transformers logs of tests that break a model on purpose."""
    logging.getLogger("transformers").setLevel(logging.CRITICAL)
