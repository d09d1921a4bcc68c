"""Inception's weights from the three kinds of file in use: a PyTorch state, safetensors, and NVIDIA's TorchScript.

Nothing in a file is executed.
"""

import pickle
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from dit_studio.engine.evaluation.extractors.torchscript import is_torchscript, read_torchscript
from dit_studio.errors import CheckpointError

_REMEDY = "Take one of the files that the list of model files names."
_UNUSED = ".num_batches_tracked"

# Of NVIDIA's names, and of TensorFlow's, which they follow.
_STEM = {
    "conv": "Conv2d_1a_3x3",
    "conv_1": "Conv2d_2a_3x3",
    "conv_2": "Conv2d_2b_3x3",
    "conv_3": "Conv2d_3b_1x1",
    "conv_4": "Conv2d_4a_3x3",
}
_BLOCK_A = {
    "conv": "branch1x1",
    "tower.conv": "branch5x5_1",
    "tower.conv_1": "branch5x5_2",
    "tower_1.conv": "branch3x3dbl_1",
    "tower_1.conv_1": "branch3x3dbl_2",
    "tower_1.conv_2": "branch3x3dbl_3",
    "tower_2.conv": "branch_pool",
}
_BLOCK_B = {
    "conv": "branch3x3",
    "tower.conv": "branch3x3dbl_1",
    "tower.conv_1": "branch3x3dbl_2",
    "tower.conv_2": "branch3x3dbl_3",
}
_BLOCK_C = {
    "conv": "branch1x1",
    "tower.conv": "branch7x7_1",
    "tower.conv_1": "branch7x7_2",
    "tower.conv_2": "branch7x7_3",
    "tower_1.conv": "branch7x7dbl_1",
    "tower_1.conv_1": "branch7x7dbl_2",
    "tower_1.conv_2": "branch7x7dbl_3",
    "tower_1.conv_3": "branch7x7dbl_4",
    "tower_1.conv_4": "branch7x7dbl_5",
    "tower_2.conv": "branch_pool",
}
_BLOCK_D = {
    "tower.conv": "branch3x3_1",
    "tower.conv_1": "branch3x3_2",
    "tower_1.conv": "branch7x7x3_1",
    "tower_1.conv_1": "branch7x7x3_2",
    "tower_1.conv_2": "branch7x7x3_3",
    "tower_1.conv_3": "branch7x7x3_4",
}
_BLOCK_E = {
    "conv": "branch1x1",
    "tower_conv": "branch3x3_1",
    "tower_mixed_conv": "branch3x3_2a",
    "tower_mixed_conv_1": "branch3x3_2b",
    "tower_1_conv": "branch3x3dbl_1",
    "tower_1_conv_1": "branch3x3dbl_2",
    "tower_1_mixed_conv": "branch3x3dbl_3a",
    "tower_1_mixed_conv_1": "branch3x3dbl_3b",
    "tower_2_conv": "branch_pool",
}
_BLOCKS = {
    "mixed": ("Mixed_5b", _BLOCK_A),
    "mixed_1": ("Mixed_5c", _BLOCK_A),
    "mixed_2": ("Mixed_5d", _BLOCK_A),
    "mixed_3": ("Mixed_6a", _BLOCK_B),
    "mixed_4": ("Mixed_6b", _BLOCK_C),
    "mixed_5": ("Mixed_6c", _BLOCK_C),
    "mixed_6": ("Mixed_6d", _BLOCK_C),
    "mixed_7": ("Mixed_6e", _BLOCK_C),
    "mixed_8": ("Mixed_7a", _BLOCK_D),
    "mixed_9": ("Mixed_7b", _BLOCK_E),
    "mixed_10": ("Mixed_7c", _BLOCK_E),
}
_TENSORS = {"weight": "conv.weight", "beta": "bn.bias", "mean": "bn.running_mean", "var": "bn.running_var"}


def read_inception_weights(path: Path, shapes: Mapping[str, torch.Size]) -> dict[str, Tensor]:
    """The tensors by the names of the PyTorch port, in float32, counters of batches left out.

    `shapes` is what the network has. Raises: CheckpointError if the file is missing, damaged, or of another network.
    """
    tensors = _read(path)
    if any(name.startswith("layers.") for name in tensors):
        tensors = from_nvidia(tensors, path)
    tensors = {name: tensor.float() for name, tensor in tensors.items() if not name.endswith(_UNUSED)}
    _check(path, tensors, {name: shape for name, shape in shapes.items() if not name.endswith(_UNUSED)})
    return tensors


def from_nvidia(tensors: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """NVIDIA's tensors under the names of the PyTorch port; batch norm there has no scale, so it is 1.

    Raises: CheckpointError if a name is unknown.
    """
    names = nvidia_names()
    unknown = [name for name in tensors if name not in names]
    if unknown:
        raise CheckpointError(
            f"{path} is not NVIDIA's Inception-v3: nothing here is called {unknown[0]}.", remedy=_REMEDY
        )
    found = {names[name]: tensor for name, tensor in tensors.items()}
    scales = {
        name.replace(".bn.bias", ".bn.weight"): torch.ones_like(tensor)
        for name, tensor in found.items()
        if name.endswith(".bn.bias")
    }
    return {**found, **scales}


def nvidia_names() -> dict[str, str]:
    """Each name in NVIDIA's file, and the PyTorch port's name for the same tensor."""
    places = {f"layers.{theirs}": ours for theirs, ours in _STEM.items()}
    for block, (name, branches) in _BLOCKS.items():
        places |= {f"layers.{block}.{theirs}": f"{name}.{ours}" for theirs, ours in branches.items()}
    names = {f"{theirs}.{a}": f"{ours}.{b}" for theirs, ours in places.items() for a, b in _TENSORS.items()}
    return {**names, "output.weight": "fc.weight", "output.bias": "fc.bias"}


def _read(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        if is_torchscript(path):
            return read_torchscript(path)
        with warnings.catch_warnings(action="ignore"):  # of kinds of pickles, which say nothing to a user
            found = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise CheckpointError(f"{path} does not exist.", remedy=_REMEDY) from error
    except (
        *(OSError, EOFError, RuntimeError, ValueError, LookupError, TypeError, AttributeError, StopIteration),
        *(pickle.UnpicklingError, zipfile.BadZipFile, SafetensorError),
    ) as error:
        raise CheckpointError(f"{path} cannot be read as weights: {_why_not(path)}.", remedy=_REMEDY) from error
    if not isinstance(found, dict) or not all(isinstance(tensor, Tensor) for tensor in found.values()):
        raise CheckpointError(f"{path} holds something else than named tensors.", remedy=_REMEDY)
    return found


def _why_not(path: Path) -> str:
    """By what the file begins with, in our words: those of the libraries speak of code."""
    if path.is_dir():
        return "it is a folder"
    try:
        with path.open("rb") as file:
            start = file.read(64).lstrip()
    except OSError as error:
        return (error.strerror or str(error)).lower()
    if path.suffix == ".safetensors":
        return "it is no safetensors file, or it is truncated"
    known = {
        b"PK": "its archive is damaged or truncated, or holds other things than tensors",
        b"\x80": "its pickle is damaged, or asks for other things than tensors",
        b"<": "it is a web page",
        b"version https://git-lfs": "it is the pointer of Git LFS that stands for the file",
    }
    by_start = (words for prefix, words in known.items() if start.startswith(prefix))
    return next(by_start, "it is no weights file" if start else "it is empty")


def _check(path: Path, tensors: Mapping[str, Tensor], shapes: Mapping[str, torch.Size]) -> None:
    missing, unknown = sorted(shapes.keys() - tensors.keys()), sorted(tensors.keys() - shapes.keys())
    if missing or unknown:
        words = [f"{len(missing)} tensors are missing, {missing[0]} first" if missing else ""]
        words += [f"{len(unknown)} are unknown, {unknown[0]} first" if unknown else ""]
        raise CheckpointError(
            f"{path} is not Inception-v3 as FID uses it: {'; '.join(filter(None, words))}.", remedy=_REMEDY
        )
    for name, shape in shapes.items():
        if tensors[name].shape != shape:
            raise CheckpointError(
                f"{path} is not Inception-v3 as FID uses it: {name} has the shape {tuple(tensors[name].shape)} "
                f"in place of {tuple(shape)}.",
                remedy=_REMEDY,
            )
