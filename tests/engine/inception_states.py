"""A seeded state of Inception-v3 under its published names, made from a table of shapes and not by our network."""

import math

import torch
from torch import Tensor

_STEM = [
    ("1a_3x3", 3, 32, 3),
    ("2a_3x3", 32, 32, 3),
    ("2b_3x3", 32, 64, 3),
    ("3b_1x1", 64, 80, 1),
    ("4a_3x3", 80, 192, 3),
]


def _block_a(inputs: int, pool: int) -> str:
    return (
        f"branch1x1 {inputs} 64 1 1;branch5x5_1 {inputs} 48 1 1;branch5x5_2 48 64 5 5;branch3x3dbl_1 {inputs} 64 1 1;"
        f"branch3x3dbl_2 64 96 3 3;branch3x3dbl_3 96 96 3 3;branch_pool {inputs} {pool} 1 1"
    )


def _block_c(c: int) -> str:
    return (
        f"branch1x1 768 192 1 1;branch7x7_1 768 {c} 1 1;branch7x7_2 {c} {c} 1 7;branch7x7_3 {c} 192 7 1;"
        f"branch7x7dbl_1 768 {c} 1 1;branch7x7dbl_2 {c} {c} 7 1;branch7x7dbl_3 {c} {c} 1 7;"
        f"branch7x7dbl_4 {c} {c} 7 1;branch7x7dbl_5 {c} 192 1 7;branch_pool 768 192 1 1"
    )


def _block_e(inputs: int) -> str:
    return (
        f"branch1x1 {inputs} 320 1 1;branch3x3_1 {inputs} 384 1 1;branch3x3_2a 384 384 1 3;branch3x3_2b 384 384 3 1;"
        f"branch3x3dbl_1 {inputs} 448 1 1;branch3x3dbl_2 448 384 3 3;branch3x3dbl_3a 384 384 1 3;"
        f"branch3x3dbl_3b 384 384 3 1;branch_pool {inputs} 192 1 1"
    )


_MIXED = {
    "5b": _block_a(192, 32),
    "5c": _block_a(256, 64),
    "5d": _block_a(288, 64),
    "6a": "branch3x3 288 384 3 3;branch3x3dbl_1 288 64 1 1;branch3x3dbl_2 64 96 3 3;branch3x3dbl_3 96 96 3 3",
    "6b": _block_c(128),
    "6c": _block_c(160),
    "6d": _block_c(160),
    "6e": _block_c(192),
    "7a": "branch3x3_1 768 192 1 1;branch3x3_2 192 320 3 3;branch7x7x3_1 768 192 1 1;branch7x7x3_2 192 192 1 7;"
    "branch7x7x3_3 192 192 7 1;branch7x7x3_4 192 192 3 3",
    "7b": _block_e(1280),
    "7c": _block_e(2048),
}


def random_state(seed: int = 0) -> dict[str, Tensor]:
    """472 tensors whose activations neither vanish nor explode."""
    generator = torch.Generator().manual_seed(seed)
    state: dict[str, Tensor] = {}
    for name, inputs, outputs, side in _STEM:
        state |= _unit(f"Conv2d_{name}", inputs, outputs, side, side, generator)
    for block, units in _MIXED.items():
        for unit in units.split(";"):
            branch, *numbers = unit.split()
            inputs, outputs, height, width = map(int, numbers)
            state |= _unit(f"Mixed_{block}.{branch}", inputs, outputs, height, width, generator)
    state["fc.weight"] = torch.randn(1008, 2048, generator=generator) / 45
    state["fc.bias"] = torch.randn(1008, generator=generator)
    return state


def _unit(
    name: str, inputs: int, outputs: int, height: int, width: int, generator: torch.Generator
) -> dict[str, Tensor]:
    scale = math.sqrt(2 / (inputs * height * width))
    return {
        f"{name}.conv.weight": torch.randn(outputs, inputs, height, width, generator=generator) * scale,
        f"{name}.bn.weight": 1 + torch.rand(outputs, generator=generator) / 5,
        f"{name}.bn.bias": torch.randn(outputs, generator=generator) / 10,
        f"{name}.bn.running_mean": torch.randn(outputs, generator=generator) / 10,
        f"{name}.bn.running_var": 1 + torch.rand(outputs, generator=generator) / 5,
    }
