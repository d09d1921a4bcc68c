"""What tables, plots and sections of a report say alike."""

from dit_studio.engine.evaluation.report.contents import Figure, Group
from dit_studio.evaluation_request import Protocol
from dit_studio.figures import number

BETTER = {"lower": "lower is better", "higher": "higher is better", "": ""}


def number_words(group: Group) -> str:
    """For instance "random features, 500 real and 500 generated images"."""
    protocol = group.protocol
    real = f"{protocol.n_real:,} real" if protocol.n_real else "saved statistics"
    return f"{protocol.extractor_name}, {real} and {protocol.n_fake:,} generated images"


def protocol_words(group: Group) -> str:
    """All that its figures have in common."""
    protocol = group.protocol
    return (
        f"Extractor {protocol.extractor_name}, {_weights_words(protocol)} (SHA-256 {protocol.weights_sha256}); "
        f"resized as {protocol.resize}; {protocol.arithmetic} on {protocol.device}; "
        f"statistics in {protocol.statistics}; reference {group.reference} ({protocol.real_hash}); "
        f"{protocol.n_real:,} reference images and {protocol.n_fake:,} generated ones."
    )


def _weights_words(protocol: Protocol) -> str:
    if protocol.extractor == "random":
        return "the same random weights on every machine"
    return "published weights" if protocol.are_weights_published else "weights that are not the published ones"


def interval_words(figure: Figure) -> str:
    interval = figure.found.interval
    return f"{number(interval.low)} … {number(interval.high)}" if interval else ""


def floor_words(figure: Figure) -> str:
    floor = figure.floor
    return "" if floor is None else f"{number(floor.value)} at {floor.n_fake:,}"
