"""Do generated images look like the class that was asked for? A linear classifier, fitted to real ones, says."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from dit_studio.errors import DataError


class Agreement(NamedTuple):
    share: float  # of generated images that the probe names as asked
    of_real: float  # of real images that it was not fitted to: the most that can be expected
    per_class: dict[int, float]


def class_agreement(
    real: NDArray[np.float64],
    real_labels: NDArray[np.int64],
    generated: NDArray[np.float64],
    asked: NDArray[np.int64],
    *,
    seed: int = 0,
) -> Agreement:
    """Does a generated image look like the class that was asked for, by a probe fitted to all real images?

    What the probe is worth is measured on halves of them, fitted to one and asked about the other.
    Shapes: (n, d), (n,), (m, d), (m,). Raises: DataError if a class that was asked for has too few real images.
    """
    classes, numbers = np.unique(np.concatenate([real_labels, asked]), return_inverse=True)
    real_numbers, asked_numbers = numbers[: len(real)], numbers[len(real) :]
    halves = np.array_split(np.random.default_rng(seed).permutation(len(real)), 2)
    for number in np.unique(asked_numbers):
        there = min(int((real_numbers[half] == number).sum()) for half in halves)
        if not there:
            raise DataError(
                f"Class {classes[number]} has too few real images for a probe: {int((real_numbers == number).sum())}.",
                remedy="Give at least 10 of each class that is sampled, or leave out this metric.",
            )
    named = np.empty(len(real), bool)
    for fitted, held_out in (halves, halves[::-1]):
        probe = ClassProbe(real[fitted], real_numbers[fitted])
        named[held_out] = probe.predict(real[held_out]) == real_numbers[held_out]
    is_right = ClassProbe(real, real_numbers).predict(generated) == asked_numbers
    per_class = {int(label): float(is_right[asked == label].mean()) for label in np.unique(asked)}
    return Agreement(float(is_right.mean()), float(named.mean()), per_class)


class ClassProbe:
    """Multinomial logistic regression on standardised features."""

    def __init__(self, features: NDArray[np.float64], labels: NDArray[np.int64], *, decay: float = 1e-3) -> None:
        """Fit to features (n, d) and labels (n,) that count from 0. `decay` weighs the squared weights."""
        x, y = torch.from_numpy(np.asarray(features, dtype=np.float64)), torch.from_numpy(np.asarray(labels))
        self._mean, self._scale = x.mean(0), x.std(0).clamp(min=1e-8)
        x = self._standardised(x)
        weight = torch.zeros(x.shape[1], int(y.max()) + 1, dtype=torch.float64, requires_grad=True)
        bias = torch.zeros(weight.shape[1], dtype=torch.float64, requires_grad=True)
        optimizer = torch.optim.LBFGS([weight, bias], max_iter=200, line_search_fn="strong_wolfe")

        def loss() -> torch.Tensor:
            optimizer.zero_grad()
            value = F.cross_entropy(x @ weight + bias, y) + decay * weight.square().sum()
            value.backward()  # type: ignore[no-untyped-call]
            return value

        optimizer.step(loss)  # type: ignore[no-untyped-call]
        self._weight, self._bias = weight.detach(), bias.detach()

    def predict(self, features: NDArray[np.float64]) -> NDArray[np.int64]:
        """Shapes: (n, d) -> (n,)."""
        x = self._standardised(torch.from_numpy(np.asarray(features, dtype=np.float64)))
        chosen: NDArray[np.int64] = (x @ self._weight + self._bias).argmax(1).numpy()
        return chosen

    def agreement(self, features: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
        """The share of images that it names as `labels` say."""
        return float((self.predict(features) == np.asarray(labels)).mean())

    def _standardised(self, x: torch.Tensor) -> torch.Tensor:
        return (x - self._mean) / self._scale
