"""What a metric is called: with its extractor, its number of images and its protocol, and FID only where it is FID."""

from dit_studio.engine.evaluation.extractors import Extractor
from dit_studio.evaluation_metrics import chosen_metrics, metrics_of
from dit_studio.evaluation_request import Metric

__all__ = ["chosen_metrics", "metric_name", "metrics_of"]

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


def _short(n: int) -> str:
    return f"{n // 1000}k" if n >= 1000 and n % 1000 == 0 else str(n)
