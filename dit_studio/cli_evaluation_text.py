"""The results of evaluations as lines of text: tables, and what has to be known with them."""

from dit_studio.evaluation_plan import EvaluationPlan, EvaluationPoint
from dit_studio.evaluation_request import EvaluationResult, MetricResult
from dit_studio.figures import number

_LISTED_COPIES = 5


def describe(result: EvaluationResult) -> list[str]:
    """The table, and what has to be known with it."""
    floors = {found.metric: found for found in result.floor}
    floor_n = max((found.n_fake for found in result.floor), default=0)
    floor = f"floor at {floor_n:,}" if floor_n else "no floor"
    rows: list[tuple[str, ...]] = [("", "value", "95 % interval", "real", "fake", floor)]
    rows += [_row(found, floors.get(found.metric)) for found in result.results if found.value is not None]
    lines = table(rows) if len(rows) > 1 else []
    lines += [f"{found.name}: none. {found.why_no_value}" for found in result.results if found.value is None]
    lines += [f"Copying: none. {result.why_no_copying}"] if result.why_no_copying else _copying_lines(result)
    lines.append(result.protocol_line)
    names: dict[str, str] = {found.metric: f"{found.name}: " for found in result.results}
    lines += [f"{caution.level}: {names.get(caution.metric, '')}{caution.message}" for caution in result.cautions]
    lines += [f"{side.path}: {side.left_out}" for side in (result.real, result.fake) if side.left_out]
    return lines


def _row(found: MetricResult, floor: MetricResult | None) -> tuple[str, ...]:
    interval = f"{number(found.interval.low)} … {number(found.interval.high)}" if found.interval else "none"
    at_floor = number(floor.value) if floor is not None and floor.value is not None else ""
    real, fake = (f"{n:,}" if n else "" for n in (found.n_real, found.n_fake))
    return (found.name, number(found.value), interval, real, fake, at_floor)


def table(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for name, *cells in rows:
        aligned = [cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True)]
        lines.append("  ".join([name.ljust(widths[0]), *aligned]))
    return lines


def _copying_lines(result: EvaluationResult) -> list[str]:
    copying = result.copying
    if copying is None:
        return []
    searched = f"Copies were looked for among {copying.searched:,} reference images." if copying.searched else ""
    floor = "" if copying.floor is None else f", and {copying.floor:.1%} of one half of them to the other"
    lines = [
        f"{copying.share_closer:.1%} of the images are closer to a reference image than {copying.expected:.0%} of "
        f"those are to each other{floor}; {copying.exact:,} are one, to the last byte. {searched}".rstrip()
    ]
    for copy in [copy for copy in copying.copies if copy.is_closer][:_LISTED_COPIES]:
        lines.append(f"  {copy.image} is close to {copy.nearest[0].image} ({number(copy.nearest[0].distance)})")
    return lines


# ------------------------------------------------------------------------------------------------- of a plan


def describe_plan(plan: EvaluationPlan, results: dict[int, EvaluationResult]) -> list[str]:
    """A row for each point that is measured, then how each was measured and what has to be known."""
    measured = [(point, results[point.index]) for point in plan.points if point.index in results]
    if not measured:
        return []
    columns = list(dict.fromkeys(found.metric for _, result in measured for found in result.results))
    names = {found.metric: found.name for _, result in measured for found in result.results}
    rows: list[tuple[str, ...]] = [("", *(names[column] for column in columns))]
    rows += [(point.label, *(_cell(result, column) for column in columns)) for point, result in measured]
    floor: dict[str, MetricResult] = {found.metric: found for found in measured[0][1].floor}
    if floor:
        rows.append((f"floor at {next(iter(floor.values())).n_fake:,}", *(_floor(floor, column) for column in columns)))
    lines = table(rows)
    for line in dict.fromkeys(result.protocol_line for _, result in measured):
        lines.append(f"{_labels_with(measured, line)}: {line}")
    return [*lines, *_cautions(measured)]


def _cell(result: EvaluationResult, metric: str) -> str:
    found = next((found for found in result.results if found.metric == metric), None)
    if found is None or found.value is None:
        return "none"
    if found.interval is None:
        return number(found.value)
    return f"{number(found.value)} ({number(found.interval.low)} … {number(found.interval.high)})"


def _floor(floor: dict[str, MetricResult], metric: str) -> str:
    return number(floor[metric].value) if metric in floor else ""


Measured = list[tuple[EvaluationPoint, EvaluationResult]]


def _labels_with(measured: Measured, line: str) -> str:
    return "; ".join(point.label for point, result in measured if result.protocol_line == line)


def _cautions(measured: Measured) -> list[str]:
    """Each once, with the points that it is about."""
    labels: dict[str, list[str]] = {}
    for point, result in measured:
        names: dict[str, str] = {found.metric: f"{found.name}: " for found in result.results}
        for caution in result.cautions:
            sentence = f"{caution.level}: {names.get(caution.metric, '')}{caution.message}"
            labels.setdefault(sentence, []).append(point.label)
    return [
        sentence if len(about) == len(measured) else f"{sentence} ({'; '.join(about)})"
        for sentence, about in labels.items()
    ]
