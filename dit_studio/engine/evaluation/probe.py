"""Do generated images look like the class that was asked for? A linear classifier, fitted to real ones, says."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F


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
