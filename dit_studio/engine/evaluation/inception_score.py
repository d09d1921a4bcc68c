"""The Inception Score of Salimans et al. 2016 (arXiv:1606.03498)."""

import itertools
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike

from dit_studio.engine.evaluation.features import as_tensor, check_features
from dit_studio.errors import DataError

SPLITS, SHUFFLE_SEED = 10, 2020


class InceptionScore(NamedTuple):
    mean: float
    std: float  # over the splits, which are disjoint


def inception_score(
    logits: ArrayLike, *, splits: int = SPLITS, shuffle_seed: int | None = SHUFFLE_SEED
) -> InceptionScore:
    """exp of the mean divergence of p(y|x) from p(y), per split.

    Splits are of shuffled images: of images sorted by class each split would hold a few classes only, and the score of
    50,000 perfect ones falls from 910 to 100. `shuffle_seed` None keeps the order, as ADM's evaluator does. It says
    something about ImageNet's classes alone, and grows with the images per split. Shape: (n, classes).
    Raises: ShapeError, or DataError if there are fewer images than splits.
    """
    array = check_features(logits, "generated images")
    if not 1 <= splits <= len(array):
        raise DataError(
            f"{len(array)} images cannot be put into {splits} splits.", remedy="Take fewer splits, or more images."
        )
    order = np.arange(len(array))
    if shuffle_seed is not None:
        order = np.random.RandomState(shuffle_seed).permutation(len(array))
    edges = [i * len(array) // splits for i in range(splits + 1)]
    parts = (order[start:stop] for start, stop in itertools.pairwise(edges))
    scores = np.array([_score(as_tensor(array[part])) for part in parts])
    return InceptionScore(float(scores.mean()), float(scores.std()))


def _score(logits: torch.Tensor) -> float:
    log_p = logits.log_softmax(1)
    p = log_p.exp()
    log_marginal = p.mean(0).clamp_min(torch.finfo(torch.float64).tiny).log()
    return float((p * (log_p - log_marginal)).sum(1).mean().exp())
