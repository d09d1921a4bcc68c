"""Inception-v3 against a forward pass written another way, and its weights from every kind of file."""

import pickle
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from dit_studio.engine.evaluation.extractors.extractor import Extractor
from dit_studio.engine.evaluation.extractors.inception import Inception, flatten_spatial, open_inception
from dit_studio.engine.evaluation.extractors.inception_files import nvidia_names, read_inception_weights
from dit_studio.errors import CheckpointError, ConfigError
from tests.engine.inception_states import random_state

CPU = torch.device("cpu")
STATE = random_state()
SHAPES = {name: tensor.shape for name, tensor in STATE.items()}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "inception.pth"
    torch.save(STATE, path, _use_new_zipfile_serialization=False)  # as the published file is
    return path


@pytest.fixture(scope="module")
def extractor(weights: Path) -> Extractor:
    return open_inception(weights, device=CPU)


def _images(count: int = 2, *, size: int = 48) -> Tensor:
    generator = torch.Generator().manual_seed(size)
    return torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8, generator=generator)


# ------------------------------------------------------------------------------------------------- the network


def test_the_names_and_sizes_are_the_published_ones() -> None:
    own = {name: tensor.shape for name, tensor in Inception().state_dict().items() if "num_batches" not in name}
    assert own == SHAPES
    assert len(own) == 472
    assert sum(shape.numel() for shape in own.values()) == 23_885_392
    assert len(Inception().state_dict()) == 566


def _unit(name: str, x: Tensor, *, stride: int = 1, valid: bool = False) -> Tensor:
    """One convolution with its batch norm folded in; padding as TensorFlow's SAME or VALID."""
    part = {
        key.removeprefix(name + "."): tensor.double() for key, tensor in STATE.items() if key.startswith(name + ".")
    }
    gain = part["bn.weight"] / (part["bn.running_var"] + 0.001).sqrt()
    bias = part["bn.bias"] - part["bn.running_mean"] * gain
    kernel = part["conv.weight"] * gain[:, None, None, None]
    padding = (0, 0) if valid or stride == 2 else (kernel.shape[2] // 2, kernel.shape[3] // 2)
    return F.conv2d(x, kernel, bias, stride, padding).clamp_min(0)


def _averages(x: Tensor) -> Tensor:
    """Sums over 3 × 3, divided by how many of the nine lie inside."""
    ones = torch.ones(x.shape[1], 1, 3, 3, dtype=x.dtype)
    return F.conv2d(x, ones, padding=1, groups=x.shape[1]) / F.conv2d(
        torch.ones_like(x), ones, padding=1, groups=x.shape[1]
    )


def _maxima(x: Tensor, *, stride: int, padding: int) -> Tensor:
    x = F.pad(x, [padding] * 4, value=-torch.inf)
    return x.unfold(2, 3, stride).unfold(3, 3, stride).amax((4, 5))


def _chain(block: str, prefix: str, units: str, x: Tensor, *, last_stride: int = 1) -> Tensor:
    *first, last = (f"{block}.{prefix}{unit}" for unit in units.split())
    for name in first:
        x = _unit(name, x)
    return _unit(last, x, stride=last_stride)


def _mixed(block: str, x: Tensor) -> Tensor:
    """Any of the blocks, by its number."""
    name = f"Mixed_{block}"
    chain = partial(_chain, name)
    if block in ("6a", "7a"):
        branches = (
            [chain("branch3x3", "_1 _2", x, last_stride=2), chain("branch7x7x3_", "1 2 3 4", x, last_stride=2)]
            if block == "7a"
            else [_unit(f"{name}.branch3x3", x, stride=2), chain("branch3x3dbl_", "1 2 3", x, last_stride=2)]
        )
        return torch.cat([*branches, _maxima(x, stride=2, padding=0)], 1)
    pooled = _maxima(x, stride=1, padding=1) if block == "7c" else _averages(x)
    ends = [_unit(f"{name}.branch1x1", x)]
    if block[0] == "5":
        ends += [chain("branch5x5_", "1 2", x), chain("branch3x3dbl_", "1 2 3", x)]
    elif block[0] == "6":
        ends += [chain("branch7x7_", "1 2 3", x), chain("branch7x7dbl_", "1 2 3 4 5", x)]
    else:
        ends += [chain("branch3x3_", f"1 {last}", x) for last in ("2a", "2b")]
        ends += [chain("branch3x3dbl_", f"1 2 {last}", x) for last in ("3a", "3b")]
    return torch.cat([*ends, _unit(f"{name}.branch_pool", pooled)], 1)


def test_it_equals_a_forward_pass_written_another_way() -> None:
    image = torch.rand(1, 3, 155, 155, generator=torch.Generator().manual_seed(1)) * 2 - 1
    x = _unit("Conv2d_1a_3x3", image.double(), stride=2)
    x = _unit("Conv2d_2b_3x3", _unit("Conv2d_2a_3x3", x, valid=True))
    x = _unit("Conv2d_3b_1x1", _maxima(x, stride=2, padding=0))
    x = _maxima(_unit("Conv2d_4a_3x3", x, valid=True), stride=2, padding=0)
    for block in ("5b", "5c", "5d", "6a", "6b", "6c", "6d", "6e", "7a", "7b", "7c"):
        x = _mixed(block, x)
        if block == "6d":
            spatial = x
    features = x.mean((2, 3))
    network = Inception().eval()
    network.load_state_dict(STATE, strict=False)
    with torch.inference_mode():
        found = network(image)
    assert features.std() > 0.01
    torch.testing.assert_close(found["features"].double(), features, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found["logits"].double(), features @ STATE["fc.weight"].double().T, rtol=1e-3, atol=1e-4)
    by_place = spatial[0, :7].permute(1, 2, 0).reshape(1, -1)
    torch.testing.assert_close(found["spatial"].double(), by_place, rtol=1e-4, atol=1e-4)


def test_what_comes_out(extractor: Extractor) -> None:
    images = _images()
    found = extractor(images)
    assert {name: (values.shape, values.dtype) for name, values in found.items()} == {
        "features": ((2, 2048), np.float32),
        "spatial": ((2, 2023), np.float32),
        "logits": ((2, 1008), np.float32),
    }
    assert list(extractor.outputs.values()) == [2048, 2023, 1008]
    assert extractor.dim == 2048
    assert found["features"].min() >= 0
    assert found["spatial"].min() >= 0
    again = extractor(images.numpy())
    for name, values in found.items():
        np.testing.assert_array_equal(again[name], values)


def test_an_image_is_measured_alone_in_any_batch(extractor: Extractor) -> None:
    images = _images(3)
    together = extractor(images)
    for name, values in extractor(images[1:2]).items():
        np.testing.assert_allclose(values, together[name][1:2], rtol=1e-4, atol=1e-4)


def test_spatial_features_lie_with_the_channel_last() -> None:
    row, column, channel = np.meshgrid(np.arange(17), np.arange(17), np.arange(7), indexing="ij")
    places = torch.from_numpy(row * 10_000 + column * 100 + channel).permute(2, 0, 1)  # (7, 17, 17)
    x = torch.cat([places, torch.full((761, 17, 17), -1)])[None]
    flat = flatten_spatial(x)[0].tolist()
    assert len(flat) == 2023
    assert flat == sorted(flat)  # row by row, column by column, channel by channel
    assert flat[:9] == [0, 1, 2, 3, 4, 5, 6, 100, 101]


def test_the_protocol_is_chosen_and_named(weights: Path, extractor: Extractor) -> None:
    clean = open_inception(weights, device=CPU, protocol="clean")
    assert (extractor.protocol, clean.protocol) == ("adm-tf1", "clean")
    assert clean.weights_sha256 == extractor.weights_sha256
    assert not np.allclose(clean(_images())["features"], extractor(_images())["features"])
    with pytest.raises(ConfigError, match="one of adm-tf1, clean, legacy-pytorch"):
        open_inception(weights, device=CPU, protocol="best")


# ------------------------------------------------------------------------------------------------- files


def test_every_kind_of_file_gives_the_same_tensors(weights: Path, tmp_path: Path) -> None:
    counted = {name.replace("running_var", "num_batches_tracked"): torch.tensor(0) for name in STATE if "_var" in name}
    torch.save({**STATE, **counted}, tmp_path / "zipped.pth")
    save_file(STATE, tmp_path / "copy.safetensors")
    for path in (weights, tmp_path / "zipped.pth", tmp_path / "copy.safetensors"):
        tensors = read_inception_weights(path, SHAPES)
        assert tensors.keys() == STATE.keys()
        assert all(torch.equal(tensors[name], tensor) for name, tensor in STATE.items())


class _Part(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x


def _as_nvidia_has_it() -> nn.Module:
    """A module of modules that holds the seeded state under NVIDIA's names, without its scales."""
    top = _Part()
    for theirs, ours in nvidia_names().items():
        *path, last = theirs.split(".")
        place: nn.Module = top
        for part in path:
            if not hasattr(place, part):
                place.add_module(part, _Part())
            place = getattr(place, part)
        place.register_parameter(last, nn.Parameter(STATE[ours].clone()))
    return top


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_nvidias_torchscript_is_read_without_running_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "inception.pt"
    torch.jit.script(_as_nvidia_has_it()).save(path)
    monkeypatch.setattr(torch.jit, "load", None)
    tensors = read_inception_weights(path, SHAPES)
    assert tensors.keys() == STATE.keys()
    for name, tensor in STATE.items():
        expected = torch.ones_like(tensor) if name.endswith("bn.weight") else tensor
        assert torch.equal(tensors[name], expected), name


def test_nvidias_names_follow_the_graph() -> None:
    names = nvidia_names()
    assert len(names) == 94 * 4 + 2 == len(set(names.values()))
    assert names["layers.mixed_6.conv.beta"] == "Mixed_6d.branch1x1.bn.bias"
    assert names["layers.mixed.tower_1.conv_2.weight"] == "Mixed_5b.branch3x3dbl_3.conv.weight"
    assert names["layers.mixed_10.tower_1_mixed_conv_1.mean"] == "Mixed_7c.branch3x3dbl_3b.bn.running_mean"


class _Dangerous:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("this must not be said",)


def test_a_script_that_names_a_function_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "inception.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("inception/data.pkl", pickle.dumps({"a": _Dangerous()}, protocol=2))
        archive.writestr("inception/constants.pkl", pickle.dumps((), protocol=2))
    with pytest.raises(CheckpointError, match="print, which is neither a module nor a tensor"):
        read_inception_weights(path, SHAPES)
    torch.save({"a": _Dangerous()}, tmp_path / "state.pth")
    with pytest.raises(CheckpointError, match="cannot be read as weights"):
        read_inception_weights(tmp_path / "state.pth", SHAPES)
    assert capsys.readouterr().out == ""


def test_wrong_files_are_sentences(tmp_path: Path, weights: Path) -> None:
    name = "Mixed_6b.branch1x1.conv.weight"
    cases: dict[str, tuple[dict[str, Tensor], str]] = {
        "missing": ({key: STATE[key] for key in STATE if key != name}, f"1 tensors are missing, {name} first"),
        "unknown": ({**STATE, "AuxLogits.fc.bias": torch.zeros(1)}, "1 are unknown, AuxLogits.fc.bias first"),
        "shape": ({**STATE, "fc.weight": torch.zeros(1000, 2048)}, r"fc.weight has the shape \(1000, 2048\) in place"),
        "nvidia": ({"layers.other.weight": torch.zeros(1)}, "nothing here is called layers.other.weight"),
    }
    for file, (state, sentence) in cases.items():
        save_file(state, tmp_path / f"{file}.safetensors")
        with pytest.raises(CheckpointError, match=sentence):
            read_inception_weights(tmp_path / f"{file}.safetensors", SHAPES)
    (tmp_path / "half.pth").write_bytes(weights.read_bytes()[:40_000_000])
    (tmp_path / "text.pth").write_text("<html>404</html>")
    for file in ("half.pth", "text.pth"):
        with pytest.raises(CheckpointError, match=f"{file} cannot be read as weights"):
            read_inception_weights(tmp_path / file, SHAPES)
    with pytest.raises(CheckpointError, match="does not exist"):
        read_inception_weights(tmp_path / "none.pth", SHAPES)
