"""The real side of comparisons, and what follows from it alone: read and measured once for all points of a plan."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from dit_studio.engine.evaluation.copying import Spacing, spacing_of
from dit_studio.engine.evaluation.extractors import MAIN_OUTPUT, Extractor
from dit_studio.engine.evaluation.measurements import Pair
from dit_studio.engine.evaluation.sides import OpenSide, Side
from dit_studio.evaluation_request import Metric, MetricResult, SourceRecord

_LEAST_FOR_HALVES, _MOST_IN_HALF = 8, 10_000
_OUTPUTS: dict[Metric, str] = {"sfid": "spatial", "is": "logits"}


class Halves(NamedTuple):
    """One half of the reference against the other, or why there is none."""

    pair: Pair | None
    why_not: str


@dataclass
class Reference:
    """`floor` is filled in when it is measured. Copies are looked for in all of its images, however few of them are
    measured: those are `searched`, with halves of their own."""

    opened: OpenSide
    record: SourceRecord
    side: Side
    halves: Halves
    searched: Side
    searched_halves: Halves
    floor: tuple[MetricResult, ...] | None = None

    @cached_property
    def spacing(self) -> Spacing:
        """How close all of its images are to each other. Raises: DataError."""
        return spacing_of(self.searched, self.searched_halves.pair)


def halves_of(
    real: Side, extractor: Extractor, metrics: tuple[Metric, ...], *, seed: int, is_asked_for: bool
) -> Halves:
    """Drawn by the seed, with the features that the metrics need."""
    if not is_asked_for:
        return Halves(None, "It was not asked for.")
    if not real.features:
        return Halves(None, "The reference is statistics without images, which cannot be halved.")
    if real.n < _LEAST_FOR_HALVES:
        return Halves(None, f"{real.n} reference images are too few to be halved; {_LEAST_FOR_HALVES} would do.")
    outputs = frozenset({MAIN_OUTPUT} | {output for metric, output in _OUTPUTS.items() if metric in metrics})
    order = np.random.default_rng(seed).permutation(real.n)[: 2 * _MOST_IN_HALF]
    first, second = (real.rows(np.sort(rows), outputs) for rows in np.array_split(order, 2))
    return Halves(Pair(first, second, extractor, seed), "")
