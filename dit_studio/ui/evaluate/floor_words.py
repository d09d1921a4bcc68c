"""What a floor of another number of images than the figures beside it means for reading them."""

from dit_studio.evaluation_request import MetricResult

_FALLING = ("fid", "sfid", "cmmd")  # with the number of images, by their bias


def beside(floor: MetricResult, n_fake: int, what: str) -> str:
    """For instance ", fewer than the points: may lie too high"; "" where there are as many, or nobody knows.

    `n_fake`: generated images of the figures; `what`: they, in a word.
    """
    if not floor.n_fake or not n_fake or floor.n_fake == n_fake:
        return ""
    is_more = floor.n_fake > n_fake
    reading = f": may lie too {'low' if is_more else 'high'}" if floor.metric in _FALLING else ""
    return f", {'more' if is_more else 'fewer'} than {what}{reading}"


def halves(floor: MetricResult) -> str:
    """Of how many images the two halves are: "250 each", "250 against 249"."""
    if floor.n_real == floor.n_fake:
        return f"{floor.n_fake:,} each"
    return f"{floor.n_real:,} against {floor.n_fake:,}"
