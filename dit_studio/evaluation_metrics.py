"""Which metrics the features of an extractor can serve, and what to say of the others. Needs no torch."""

from dit_studio.errors import ConfigError, Problem
from dit_studio.evaluation_request import ALIASES, METRICS, Metric

PROTOCOLS: dict[str, tuple[str, ...]] = {  # the ways of resizing that an extractor knows, the usual one first
    "random": ("area-64",), "inception": ("adm-tf1", "clean", "legacy-pytorch"),
    "clip-b32": ("clip-224",), "clip-l14-336": ("clip-336",), "siglip": ("siglip-224",), "align": ("align-289",),
    "dinov2": ("dinov2-squash-224",),
}  # fmt: skip
_INCEPTION_ONLY: dict[Metric, str] = {"sfid": "sFID", "is": "IS"}
_CMMD_EXTRACTOR = "clip-l14-336"


def metrics_of(extractor: str) -> tuple[Metric, ...]:
    """Those that an extractor supports, in their usual order."""
    return tuple(metric for metric in METRICS if not why_not(metric, extractor))


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
        elif why := why_not(metric, extractor):
            problems.append(Problem("evaluate.metrics", why, text))
        elif metric not in chosen:
            chosen.append(metric)
    if problems:
        raise ConfigError(problems)
    return tuple(chosen) or metrics_of(extractor)


def needed_extractor(metric: Metric) -> str:
    """The only extractor that supports a metric; empty if all do."""
    if metric in _INCEPTION_ONLY:
        return "inception"
    return _CMMD_EXTRACTOR if metric == "cmmd" else ""


def why_not(metric: Metric, extractor: str) -> str:
    """A sentence if an extractor does not support a metric; empty if it does."""
    if needed_extractor(metric) in ("", extractor):
        return ""
    if metric in _INCEPTION_ONLY:
        return f"{_INCEPTION_ONLY[metric]} is of Inception's features alone: choose the extractor inception."
    return f"CMMD is of CLIP ViT-L/14-336 alone: choose the extractor {_CMMD_EXTRACTOR}, or the metric mmd."
