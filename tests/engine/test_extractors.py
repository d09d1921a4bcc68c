"""Opening any extractor by its name, from a named file or the usual places."""

from pathlib import Path

import numpy as np
import pytest
import torch

from dit_studio.engine.evaluation.extractors import NAMES, open_extractor, protocols_of
from dit_studio.errors import CheckpointError, ConfigError
from tests.engine.inception_states import random_state

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _empty_caches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))


def test_the_names_are_stable() -> None:
    assert NAMES == ("random", "inception", "clip-b32", "clip-l14-336", "siglip", "align", "dinov2")
    assert [protocols_of(name)[0] for name in NAMES] == [
        *("area-64", "adm-tf1", "clip-224", "clip-336", "siglip-224", "align-289", "dinov2-squash-224")
    ]


def test_the_embedded_one_needs_nothing() -> None:
    extractor = open_extractor("random", device=CPU)
    assert (extractor.name, extractor.dim, extractor.protocol) == ("random", 256, "area-64")
    assert extractor(np.zeros((3, 1, 8, 8), np.uint8))["features"].shape == (3, 256)


def test_a_named_file_is_taken(tmp_path: Path) -> None:
    torch.save(random_state(), tmp_path / "weights.pth")
    extractor = open_extractor("inception", device=CPU, files={"inception": tmp_path / "weights.pth"}, protocol="clean")
    assert (extractor.name, extractor.protocol, list(extractor.outputs)) == (
        *("inception", "clean"),
        ["features", "spatial", "logits"],
    )


@pytest.mark.parametrize("name", [name for name in NAMES if name != "random"])
def test_without_weights_it_says_what_to_do(name: str) -> None:
    with pytest.raises(CheckpointError, match=r"is not on this machine\..* or take the extractor \"random\""):
        open_extractor(name, device=CPU)


def test_unknown_names_and_protocols_are_sentences() -> None:
    with pytest.raises(ConfigError, match='no extractor "vgg": it takes one of random, inception'):
        open_extractor("vgg", device=CPU)
    with pytest.raises(ConfigError, match='"random" has one protocol, area-64, not "clean"'):
        open_extractor("random", device=CPU, protocol="clean")
