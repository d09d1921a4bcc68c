"""Features and logits for which published evaluators' own code gives known figures."""

from typing import NamedTuple

import numpy as np
from sklearn.datasets import load_digits


class Golden(NamedTuple):
    generated: np.ndarray  # (600, 64)
    real: np.ndarray  # (500, 64)
    logits: np.ndarray  # (1000, 10)


def golden() -> Golden:
    draws = np.random.RandomState(1234)
    mix = draws.randn(64, 64) / 8
    generated = np.abs(draws.randn(600, 64) @ mix).astype(np.float32).astype(float)
    real = np.abs(draws.randn(500, 64) @ mix * 1.05 + 0.05).astype(np.float32).astype(float)
    return Golden(generated, real, draws.randn(1000, 10) * 2)


class Digits(NamedTuple):
    half: np.ndarray  # (898, 64)
    other_half: np.ndarray  # (898, 64)
    blurred: np.ndarray  # (898, 64): the other half, half-way to the mean digit
    noise: np.ndarray  # (898, 64)


def digits() -> Digits:
    """Real digits, worse ones and noise: every metric has to put them in this order."""
    draws = np.random.default_rng(0)
    pixels = draws.permutation(load_digits().data) / 16
    half, other = pixels[:898], pixels[898:1796]
    return Digits(half, other, (other + pixels.mean(0)) / 2, draws.random((898, 64)))
