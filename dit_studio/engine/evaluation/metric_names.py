"""What a metric is called: with its extractor, its number of images and its protocol, and FID only where it is FID."""

from dit_studio.engine.evaluation.extractors import Extractor
from dit_studio.errors import ConfigError, Problem
from dit_studio.evaluation_request import ALIASES, METRICS, Metric

_INCEPTION_ONLY: frozenset[Metric] = frozenset({"sfid", "is"})
_CMMD_EXTRACTOR = "clip-l14-336"
_INCEPTION_NAMES: dict[Metric, str] = {
    "fid": "FID", "sfid": "sFID", "fid-infinity": "FID∞", "is": "IS", "kid": "KID", "kid-subsets": "KID-subsets",
}  # fmt: skip
_NAMES: dict[Metric, str] = {
    "fid": "FD", "fid-infinity": "FD∞", "kid": "KD", "kid-subsets": "KD-subsets", "cmmd": "CMMD", "mmd": "MMD",
    "precision": "Precision", "recall": "Recall", "density": "Density", "coverage": "Coverage",
    "agreement": "Agreement", "copying": "Closer than real",
}  # fmt: skip
_PROTOCOL_WORDS = {"adm-tf1": "ADM", "clean": "clean", "legacy-pytorch": "pytorch-fid"}


def metric_name(metric: Metric, extractor: Extractor, n: int) -> str:
    """For instance "FID-5k (ADM)" or "FD-random-500", of `n` generated images."""
    protocol = _PROTOCOL_WORDS.get(extractor.protocol, "")
    if metric == "cmmd":
        return f"CMMD-{_short(n)}"
    if extractor.name == "inception":
        return f"{_INCEPTION_NAMES.get(metric, _NAMES.get(metric, metric))}-{_short(n)} ({protocol})"
    return f"{_NAMES[metric]}-{extractor.name}-{_short(n)}"


def metrics_of(extractor: str) -> tuple[Metric, ...]:
    """Those that an extractor supports, in their usual order."""
    return tuple(metric for metric in METRICS if not _why_not(metric, extractor))


def chosen_metrics(asked: tuple[str, ...], extractor: str) -> tuple[Metric, ...]:
    """The metrics by their names or aliases; all that the extractor supports without any. Raises: ConfigError."""
    problems, chosen = [], []
    for text in asked:
        name = text.strip().lower()
        metric = next((known for known in METRICS if known == ALIASES.get(name, name)), None)
        if metric is None:
            known = ", ".join(metrics_of(extractor))
            message = f'There is no metric "{text}": {extractor} supports {known}.'
            problems.append(Problem("evaluate.metrics", message, text))
        elif why := _why_not(metric, extractor):
            problems.append(Problem("evaluate.metrics", why, text))
        elif metric not in chosen:
            chosen.append(metric)
    if problems:
        raise ConfigError(problems)
    return tuple(chosen) or metrics_of(extractor)


def _why_not(metric: Metric, extractor: str) -> str:
    if metric in _INCEPTION_ONLY and extractor != "inception":
        return f"{_INCEPTION_NAMES[metric]} is of Inception's features alone: choose the extractor inception."
    if metric == "cmmd" and extractor != _CMMD_EXTRACTOR:
        return f"CMMD is of CLIP ViT-L/14-336 alone: choose the extractor {_CMMD_EXTRACTOR}, or the metric mmd."
    return ""


def _short(n: int) -> str:
    return f"{n // 1000}k" if n >= 1000 and n % 1000 == 0 else str(n)
