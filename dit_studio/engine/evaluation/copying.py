"""The generated images that are closest to the reference's, by name, and what to expect of ones that are no copies."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dit_studio.engine.evaluation.extractors import MAIN_OUTPUT
from dit_studio.engine.evaluation.finite import check_finite
from dit_studio.engine.evaluation.intervals import share_interval
from dit_studio.engine.evaluation.measurements import Pair
from dit_studio.engine.evaluation.nearest import (
    CLOSE_QUANTILE,
    NearestImages,
    leave_one_out_distances,
    nearest_images,
)
from dit_studio.engine.evaluation.sides import OpenSide, Side
from dit_studio.evaluation_request import CautionRecord, Copy, Copying, NearImage

LISTED, NEIGHBOURS = 16, 5  # in a result; of each image
MOST_KEPT = 10_000
_SUSPICIOUS = 2  # times what is expected


class Spacing(NamedTuple):
    """How close the reference's images are to each other. `floor`: the share of one half of them that is as close to
    the other half, where there are halves."""

    leave_one_out: NDArray[np.float64]
    floor: float | None


def spacing_of(real: Side, halves: Pair | None) -> Spacing:
    """Raises: DataError if there are fewer than 2 images."""
    floor = None if halves is None else _share_closer(halves)
    return Spacing(leave_one_out_distances(real.features[MAIN_OUTPUT]), floor)


def find_copies(pair: Pair, real: OpenSide, fake: OpenSide, *, spacing: Spacing) -> tuple[Copying, tuple[Copy, ...]]:
    """What a result says, and the images by closeness, up to 10,000 of them. Raises: StudioError."""
    k = min(NEIGHBOURS, pair.real.n - 1)
    found = nearest_images(
        pair.real.features[MAIN_OUTPUT], pair.fake.features[MAIN_OUTPUT], k=k, leave_one_out=spacing.leave_one_out
    )
    floor = spacing.floor
    at_least = share_interval(found.share_closer, pair.fake.n).low
    copies = tuple(_copy(found, row, pair, real, fake) for row in found.order[:MOST_KEPT].tolist())
    copying = Copying(
        share_closer=found.share_closer,
        threshold=found.threshold,
        expected=CLOSE_QUANTILE,
        floor=floor,
        is_suspicious=at_least > _SUSPICIOUS * max(CLOSE_QUANTILE, floor or 0.0),
        exact=_exact(pair),
        searched=pair.real.n,
        copies=copies[:LISTED],
    )
    check_finite(copying)
    return copying, copies


def searched_note(copying: Copying | None, measured: int) -> tuple[CautionRecord, ...]:
    """In words, if more reference images were searched than were `measured` for the other figures."""
    if copying is None or copying.searched <= measured:
        return ()
    message = (
        f"Copies were looked for among all {copying.searched:,} reference images; the other figures are of "
        f"{measured:,} of them."
    )
    return (CautionRecord(level="note", metric="copying", message=message),)


def copying_caution(copying: Copying | None) -> tuple[CautionRecord, ...]:
    """In words, if it looks like copying, or some images are copies."""
    if copying is None or not (copying.is_suspicious or copying.exact):
        return ()
    if not copying.is_suspicious:
        return (CautionRecord(level="amber", metric="copying", message=_exact_words(copying.exact)),)
    message = (
        f"{copying.share_closer:.0%} of the images lie as close to a reference image as {copying.expected:.0%} of "
        "those do to each other: it looks like copying, and every distance rewards that. Look at the nearest images; "
        "train for fewer steps, on more images, or a smaller model."
    )
    return (CautionRecord(level="red", metric="copying", message=message),)


def _exact_words(exact: int) -> str:
    copies = (
        "1 generated image is a copy of a reference image"
        if exact == 1
        else f"{exact:,} generated images are copies of reference images"
    )
    return f"{copies}, to the last byte: every distance rewards that. Look at the nearest images."


def _share_closer(pair: Pair) -> float:
    return nearest_images(pair.real.features[MAIN_OUTPUT], pair.fake.features[MAIN_OUTPUT], k=1).share_closer


def _exact(pair: Pair) -> int:
    assert pair.real.hashes is not None
    assert pair.fake.hashes is not None
    return int(np.isin(pair.fake.hashes, pair.real.hashes).sum())


def _copy(found: NearestImages, row: int, pair: Pair, real: OpenSide, fake: OpenSide) -> Copy:
    number = _number(pair.fake, row)
    return Copy(
        image=fake.name_of(number),
        number=number,
        nearest=tuple(
            NearImage(image=real.name_of(other), number=other, distance=float(distance))
            for other, distance in (
                (_number(pair.real, index), distance)
                for index, distance in zip(found.indices[row].tolist(), found.distances[row].tolist(), strict=True)
            )
        ),
        is_closer=bool(found.is_closer[row]),
    )


def _number(side: Side, row: int) -> int:
    assert side.numbers is not None
    return int(side.numbers[row])
