"""How well the line fits at whose end FID∞ is."""

from collections.abc import Iterable

from dit_studio.evaluation_request import CautionRecord, MetricResult

_LEAST_R_SQUARED = 0.9  # the share of the distances' variation that the line has to explain


def fit_caution(results: Iterable[MetricResult]) -> tuple[CautionRecord, ...]:
    """In words, where the line fits badly."""
    return tuple(
        CautionRecord(
            level="amber",
            metric=found.metric,
            message=f"R² is {found.details['r_squared']:.2f}, below {_LEAST_R_SQUARED:g}: the distances do not lie on "
            "a line over 1/N, so that its end is a guess. Go by the distance at all images, or take more of them.",
        )
        for found in results
        if found.metric == "fid-infinity" and found.value is not None and _is_bad(found)
    )


def _is_bad(found: MetricResult) -> bool:
    return found.details["r_squared"] < _LEAST_R_SQUARED
