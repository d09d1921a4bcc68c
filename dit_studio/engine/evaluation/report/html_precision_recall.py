"""Precision against recall: how true the images are, and how much of the reference they cover."""

from collections.abc import Sequence
from html import escape

from dit_studio.engine.evaluation.report.contents import Figure, Group, ReportPoint
from dit_studio.engine.evaluation.report.svg_plot import Mark, Series, scatter_plot, series_names
from dit_studio.figures import figure_text, interval_of, short

Pair = tuple[Figure, Figure]  # precision and recall of a point


def precision_recall_plots(group: Group) -> list[str]:
    """A plot for each entry with axes, and one for all that stand side by side."""
    by_entry: dict[object, list[Pair]] = {}
    for pair in _pairs(group):
        point = pair[0].point
        by_entry.setdefault(point.folder if point.axes else None, []).append(pair)
    return [_plot(pairs) for pairs in by_entry.values()]


def _pairs(group: Group) -> list[Pair]:
    recalls = {_key(figure.point): figure for figure in group.of("recall") if figure.found.value is not None}
    return [
        (figure, recalls[_key(figure.point)])
        for figure in group.of("precision")
        if figure.found.value is not None and _key(figure.point) in recalls
    ]


def _key(point: ReportPoint) -> tuple[object, int]:
    return point.folder, point.point.index


def _plot(pairs: Sequence[Pair]) -> str:
    precision, recall = pairs[0]
    title = f"{precision.point.entry}: precision against recall" if precision.point.axes else "Precision against recall"
    series, floor = _series(pairs), _floor(precision, recall)
    svg = scatter_plot(series, title=title, titles=(recall.found.name, precision.found.name), floor=floor)
    names = series_names(series)
    legend = f'<p class="legend">{"".join(names)}</p>\n' if names else ""
    return f"<figure>\n{svg}\n{legend}<figcaption>{_caption(precision, title, floor)}</figcaption>\n</figure>"


def _series(pairs: Sequence[Pair]) -> list[Series]:
    """Along the first axis a line for each combination of the others; what stands side by side is not joined."""
    lines: dict[str, list[Mark]] = {}
    for pair in sorted(pairs, key=_place):
        point = pair[0].point
        name = ", ".join(point.point.labels[1:]) if point.axes else f"{point.folder}/{point.point.index}"
        lines.setdefault(name, []).append(_mark(*pair))
    is_joined = bool(pairs[0][0].point.axes)
    return [Series(name=name if is_joined else marks[0].name, marks=tuple(marks)) for name, marks in lines.items()]


def _place(pair: Pair) -> int:
    """On the first axis."""
    point = pair[0].point
    return point.axes[0].values.index(point.point.values[0]) if point.axes else 0


def _mark(precision: Figure, recall: Figure) -> Mark:
    point, across, up = precision.point, interval_of(recall.found), interval_of(precision.found)
    assert precision.found.value is not None
    assert recall.found.value is not None
    return Mark(
        x=recall.found.value,
        y=precision.found.value,
        label=point.label,
        low=up.low if up else None,
        high=up.high if up else None,
        across=(across.low, across.high) if across else None,
        name=point.point.labels[0],
        hint=f"{point.label}: precision {figure_text(precision.found)}, recall {figure_text(recall.found)}",
    )


def _floor(precision: Figure, recall: Figure) -> Mark | None:
    """That of the first point: the others of a group have the same reference."""
    up, across = precision.floor, recall.floor
    if up is None or across is None or up.value is None or across.value is None:
        return None
    hint = f"floor: precision {short(up.value)}, recall {short(across.value)}"
    return Mark(x=across.value, y=up.value, label="floor", hint=hint)


def _caption(precision: Figure, title: str, floor: Mark | None) -> str:
    found = precision.found
    words = [
        f"<b>{escape(title)}</b>",
        "up and to the right is better",
        f"of {found.n_real:,} real and {found.n_fake:,} generated",
        "bars: 95 % intervals" if interval_of(found) else "no interval",
    ]
    if floor is not None and precision.floor is not None:
        of = precision.floor
        words.append(f"✕: the floor, {of.n_real:,} real images against {of.n_fake:,} others")
    return f"{'; '.join(words)}."
