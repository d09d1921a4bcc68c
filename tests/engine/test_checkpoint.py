"""Checkpoints: what comes back is what was saved; what is damaged, unsafe or of another shape is refused."""

import json
import pickle
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from dit_studio.config import parse_recipe
from dit_studio.engine.checkpoint import (
    ModelDescription,
    checkpoint_name,
    list_checkpoints,
    load_model,
    read_weights,
    write_weights,
)
from dit_studio.engine.model import DiT
from dit_studio.errors import CheckpointError


@pytest.fixture
def description() -> ModelDescription:
    recipe = parse_recipe({"data": {"image_size": 8, "color": "grey"}, "model": {"hidden_size": 32, "depth": 2}})
    return ModelDescription.from_recipe(recipe, class_names=("a", "ü"))


@pytest.fixture
def file(description: ModelDescription, tmp_path: Path) -> Path:
    torch.manual_seed(0)
    model = description.build()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape) * 0.1)
    write_weights(tmp_path / "model.safetensors", model, description)
    return tmp_path / "model.safetensors"


def test_a_weight_file_is_complete_by_itself(file: Path, description: ModelDescription) -> None:
    loaded = load_model(file)
    assert loaded.config == description
    assert not loaded.model.training
    tensors, _ = read_weights(file)
    assert all(torch.equal(tensor, tensors[name]) for name, tensor in loaded.model.state_dict().items())
    fresh = description.build()
    fresh.load_state_dict(tensors)
    x, t, y = torch.randn(2, 1, 8, 8), torch.tensor([0, 999]), torch.tensor([0, 2])
    with torch.no_grad():
        torch.testing.assert_close(loaded.model(x, t, y), fresh.eval()(x, t, y))
    assert torch.equal(loaded.model.t_embedder.frequencies, DiT(hidden_size=16, num_heads=2).t_embedder.frequencies)


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, (Path("exploded"),))  # type: ignore[return-value]


@pytest.mark.parametrize("name", ["model.pt", "model.pth", "model.ckpt", "model.bin", "model.pkl", "model.safetensors"])
def test_a_pickle_is_refused_and_nothing_of_it_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(CheckpointError, match=r"is a pickle|not a safetensors file"):
        load_model(tmp_path / name)
    assert not (tmp_path / "exploded").exists()


def test_a_file_that_is_cut_after_it_was_loaded_harms_nothing(file: Path) -> None:
    """In a process of its own: what reads a mapped page that went away does not live to tell."""
    code = """
import sys
from dit_studio.engine.checkpoint import load_model
from dit_studio.engine.sampling import sample
from dit_studio.sample_request import SampleRequest
loaded = load_model(sys.argv[1])
open(sys.argv[1], "wb").close()
print(len(list(sample(loaded.model, loaded.config, SampleRequest(steps=2)))))
"""
    done = subprocess.run([sys.executable, "-c", code, str(file)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "3\n"), done.stderr


@pytest.mark.parametrize("length", [0, 4, 100, 5000])
def test_a_truncated_file_is_refused(file: Path, length: int) -> None:
    whole = file.read_bytes()
    assert len(whole) > 5000
    file.write_bytes(whole[:length])
    with pytest.raises(CheckpointError, match="truncated, damaged"):
        load_model(file)


def rewrite(file: Path, **changes: torch.Tensor | None) -> None:
    tensors = load_file(file)
    description = msgspec.json.encode(read_weights(file)[1]).decode()
    for name, tensor in changes.items():
        tensors.pop(name, None)
        if tensor is not None:
            tensors[name] = tensor
    save_file(tensors, file, metadata={"dit_studio": description})


def test_another_shape_is_named(file: Path) -> None:
    rewrite(file, **{"x_embedder.proj.bias": torch.zeros(7)})
    with pytest.raises(CheckpointError, match=r"x_embedder\.proj\.bias is \(7,\), and the model takes \(32,\)"):
        load_model(file)


def test_missing_and_left_over_tensors_are_named(file: Path) -> None:
    rewrite(file, pos_embed=None)
    with pytest.raises(CheckpointError, match=r"lacks pos_embed \(1 missing, 0 left over\)"):
        load_model(file)
    rewrite(file, pos_embed=torch.zeros(1, 16, 32), extra=torch.zeros(1))
    with pytest.raises(CheckpointError, match="has extra too many"):
        load_model(file)


@pytest.mark.parametrize("change", [{"num_heads": 0}, {"patch_size": 0}, {"hidden_size": -32}, {"num_heads": 7}])
def test_a_description_that_cannot_be_is_refused(file: Path, change: dict[str, int]) -> None:
    described = json.loads(msgspec.json.encode(read_weights(file)[1])) | change
    save_file(load_file(file), file, metadata={"dit_studio": json.dumps(described)})
    with pytest.raises(CheckpointError, match="cannot be"):
        load_model(file)


def test_another_number_format_is_named(file: Path) -> None:
    rewrite(file, pos_embed=torch.zeros(1, 16, 32, dtype=torch.float16))
    with pytest.raises(CheckpointError, match=r"pos_embed as torch\.float16"):
        load_model(file)


def test_checkpoints_are_in_the_order_of_their_steps(tmp_path: Path) -> None:
    for step in (10_000_000, 9_999_999, 5):
        (tmp_path / "checkpoints" / checkpoint_name(step)).mkdir(parents=True)
    (tmp_path / "checkpoints" / "set-aside").mkdir()
    assert [int(path.name[5:]) for path in list_checkpoints(tmp_path)] == [5, 9_999_999, 10_000_000]


def test_a_file_that_does_not_say_what_it_holds_is_refused(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / "a.safetensors")
    with pytest.raises(CheckpointError, match="is no DiT: it lacks"):
        load_model(tmp_path / "a.safetensors")
    save_file({"a": torch.zeros(1)}, tmp_path / "a.safetensors", metadata={"dit_studio": json.dumps({"depth": "x"})})
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_model(tmp_path / "a.safetensors")


def test_folders_without_a_model_are_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="holds no model"):
        load_model(tmp_path)
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(CheckpointError, match="no checkpoint yet"):
        load_model(tmp_path)


def test_weights_that_are_not_there_are_named_with_those_that_are(
    file: Path, description: ModelDescription, tmp_path: Path
) -> None:
    folder = tmp_path / "run" / "checkpoints" / checkpoint_name(5)
    folder.mkdir(parents=True)
    write_weights(folder / "ema.safetensors", description.build(), msgspec.structs.replace(description, weights="ema"))
    for path in (folder, tmp_path / "run", folder / "ema.safetensors"):
        assert load_model(path).config.weights == "ema"
        with pytest.raises(CheckpointError, match="holds no raw weights, only averaged ones") as raised:
            load_model(path, weights="raw")
        assert "Choose the averaged weights (ema)" in raised.value.remedy
    assert load_model(file, weights="raw").config.weights == "raw"
    assert load_model(file).config.weights == "raw", "a file without averaged weights is not asked which"
    with pytest.raises(CheckpointError, match="holds no averaged weights, only raw ones"):
        load_model(tmp_path)


def test_without_classes_there_is_one_label_and_none_to_drop() -> None:
    description = ModelDescription.from_recipe(parse_recipe({}), class_names=())
    assert (description.num_classes, description.class_dropout_prob, description.in_channels) == (1, 0.0, 3)
    assert np.prod(description.build().y_embedder.embedding_table.weight.shape) == 128
