"""What the trials of a batch size or of a learning rate say, also where they were ended early."""

from collections.abc import Sequence

from dit_studio.machine_events import BatchFound, BatchTried, RateFound, RateTried

EQUAL_SPEED = 0.02  # as a share; measured twice, a step's time differs by as much
RUN_AWAY = 4.0  # times the lowest smoothed loss
LEAST_FALL = 0.01  # of the first loss
HIGHEST_RATE = 1.0  # where a range test ends


def batch_found(tried: Sequence[BatchTried], *, limit: str) -> BatchFound:
    """The largest that fits, and the fastest: the smallest whose speed is within a fiftieth of the best."""
    fitting = [one for one in tried if one.fits]
    speeds = {one.batch_size: one.images_per_second for one in fitting if one.images_per_second is not None}
    best = max(speeds.values(), default=0.0)
    fastest = min((size for size, speed in speeds.items() if speed >= (1 - EQUAL_SPEED) * best), default=None)
    return BatchFound(
        batch_size=max((one.batch_size for one in fitting), default=None),
        fastest=fastest,
        images_per_second=speeds.get(fastest) if fastest else None,
        limit=limit,
    )


def has_run_away(tried: Sequence[RateTried]) -> bool:
    """The newest loss is not a number, or the smoothed one far above its lowest."""
    smoothed = [one.smoothed for one in tried if one.smoothed is not None]
    if not tried or tried[-1].smoothed is None:
        return bool(tried)
    return smoothed[-1] > RUN_AWAY * min(smoothed)


def rate_found(tried: Sequence[RateTried]) -> RateFound:
    """The rate at which the smoothed loss falls fastest, on a logarithmic scale of rates, before it is lowest.

    On digits that was a third of the rate that learned most in 200 steps, for noise and for a flow; a tenth of the rate
    of the lowest loss, the other usual choice, was a third of it and a tenth.
    """
    points = [(one.learning_rate, one.smoothed) for one in tried if one.smoothed is not None]
    if len(points) < 3:
        return RateFound(learning_rate=None, reason=_too_early(tried))
    diverged = tried[-1].learning_rate if has_run_away(tried) else None
    losses = [loss for _, loss in points]
    place = losses.index(min(losses))
    lowest, first = points[place], losses[0]
    early = _ended_early(tried, diverged)
    if place < 2 or lowest[1] > (1 - LEAST_FALL) * first:
        reason = early or _never_fell(first, lowest[1])
        return RateFound(learning_rate=None, lowest=lowest[0], diverged=diverged, reason=reason)
    falls = [after - before for (_, before), (_, after) in zip(points[: place - 1], points[2 : place + 1], strict=True)]
    steepest = points[1 + falls.index(min(falls))][0]
    return RateFound(
        learning_rate=float(f"{steepest:.1e}"),
        steepest=steepest,
        lowest=lowest[0],
        diverged=diverged,
        reason=early,
    )


def _too_early(tried: Sequence[RateTried]) -> str:
    if has_run_away(tried):
        return "The loss is not a number from the first steps on: the model or the images to start from are at fault."
    return "The test was ended before anything could be seen."


def _never_fell(first: float, lowest: float) -> str:
    return (
        f"The loss never fell by more than {LEAST_FALL:.0%}: it began at {first:.4g}, and {lowest:.4g} was the lowest. "
        "No rate can be told from that; a model that is trained already may have little left to learn."
    )


def _ended_early(tried: Sequence[RateTried], diverged: float | None) -> str:
    last = tried[-1].learning_rate
    if diverged is not None or last >= 0.999 * HIGHEST_RATE:
        return ""
    return f"The test was ended at a rate of {last:.2g}, before the loss ran away; higher ones may learn faster."
