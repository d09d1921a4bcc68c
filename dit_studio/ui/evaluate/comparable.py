"""Which figures may stand on one axis: those of one protocol, of one reference and of as many images."""

from collections.abc import Iterable

from dit_studio.evaluation_request import EvaluationResult, Metric, MetricResult


def figure_of(result: EvaluationResult, metric: str) -> MetricResult | None:
    return next((found for found in result.results if found.metric == metric), None)


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
        found.append(f"of {numbers[0]:,} against {numbers[1]:,} images")
    return found


def _numbers(found: MetricResult | None) -> tuple[int, int] | None:
    return None if found is None or found.value is None else (found.n_real, found.n_fake)


def metrics_in(results: Iterable[EvaluationResult]) -> list[Metric]:
    """Every metric that any of them has a value of, in the order in which they come."""
    found: dict[Metric, None] = {}
    for result in results:
        found |= dict.fromkeys(each.metric for each in result.results if each.value is not None)
    return list(found)
