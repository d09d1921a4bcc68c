"""Which figures may stand on one axis: those of one protocol, of one reference and of as many images."""

from collections.abc import Iterable

import msgspec

from dit_studio.evaluation_request import EvaluationResult, Metric, MetricResult
from dit_studio.figures import images_text


def figure_of(result: EvaluationResult, metric: Metric) -> MetricResult | None:
    """A figure of a result; the share of copies is one, too. None if it was not asked for."""
    if metric == "copying":
        return _share_closer(result)
    return next((found for found in result.results if found.metric == metric), None)


def floor_of(result: EvaluationResult, metric: Metric) -> MetricResult | None:
    """One half of the reference against the other; None if that was not measured."""
    if metric == "copying" and result.copying is not None:
        found, floor = _share_closer(result), result.copying.floor
        return (
            None if found is None or floor is None else msgspec.structs.replace(found, value=floor, n_real=0, n_fake=0)
        )
    return next((found for found in result.floor if found.metric == metric and found.value is not None), None)


def _share_closer(result: EvaluationResult) -> MetricResult | None:
    if result.copying is None:
        return None
    return MetricResult(
        metric="copying",
        name="Closer than real",
        value=result.copying.share_closer,
        why_no_interval="It is a share of images that may be copies of one another, so no interval is its own.",
        estimator=f"share of images nearer than {result.copying.threshold:.4g} to a training image",
        better="lower",
        n_real=result.protocol.n_real,
        n_fake=result.protocol.n_fake,
    )


def differences(first: EvaluationResult, other: EvaluationResult, metric: Metric) -> list[str]:
    """What keeps a figure from being compared with the first one's, in words; empty if nothing does."""
    one, two = first.protocol, other.protocol
    found = []
    if (one.extractor, one.weights_sha256) != (two.extractor, two.weights_sha256):
        found.append(f"other features ({two.extractor_name}, weights {two.weights_sha256[:8]})")
    if one.resize != two.resize:
        found.append(f"resized as {two.resize}")
    if one.arithmetic != two.arithmetic:
        found.append(f"in {two.arithmetic}")
    if one.real_hash != two.real_hash:
        found.append(f"another reference ({two.real_hash[:8]})")
    if not found and one.key != two.key:
        found.append("another protocol")
    numbers, usual = _numbers(figure_of(other, metric)), _numbers(figure_of(first, metric))
    if numbers and usual and numbers != usual:
        found.append(f"of {images_text(*numbers)}")
    return found


def _numbers(found: MetricResult | None) -> tuple[int, int] | None:
    return None if found is None or found.value is None else (found.n_real, found.n_fake)


def metrics_in(results: Iterable[EvaluationResult]) -> list[Metric]:
    """Every metric that any of them has a value of, in the order in which they come."""
    found: dict[Metric, None] = {}
    for result in results:
        found |= dict.fromkeys(each.metric for each in result.results if each.value is not None)
        found |= {"copying": None} if result.copying is not None else {}
    return list(found)
