"""The plots of a group: a curve for each plan with axes, bars for what stands side by side; one metric a plot."""

from collections.abc import Sequence
from html import escape

from dit_studio.engine.evaluation.report.contents import Figure, Group
from dit_studio.engine.evaluation.report.html_precision_recall import precision_recall_plots
from dit_studio.engine.evaluation.report.svg_plot import Mark, Series, bar_plot, line_plot, series_names
from dit_studio.engine.evaluation.report.words import BETTER
from dit_studio.figures import number
from dit_studio.sweep import SweepAxis

_AXIS_TITLES = {"checkpoint": "Training step", "cfg": "CFG scale", "steps": "Denoising steps", "sampler": "Sampler"}
_MOST_BARS = 60


def plots(group: Group) -> str:
    """Every metric of the group. Copies and figures of their own number of images are told in the caption."""
    parts = []
    for metric in group.metrics:
        for figures in _sharing_an_axis(group.of(metric)):
            by_entry = [_of_entry(figures, folder) for folder in dict.fromkeys(one.point.folder for one in figures)]
            parts += [_curve(one) for one in by_entry if _has_curve(one)]
            if bars := [figure for one in by_entry if not _has_curve(one) for figure in one]:
                parts.append(_bars(bars))
    parts += precision_recall_plots(group)
    inside = "\n".join(parts)
    return f'<div class="plots">\n{inside}\n</div>' if parts else ""


def _sharing_an_axis(figures: Sequence[Figure]) -> list[list[Figure]]:
    """Those with values, by their names: these tell the number of images that a figure is of."""
    measured = [figure for figure in figures if figure.found.value is not None]
    names = dict.fromkeys(figure.found.name for figure in measured)
    return [[figure for figure in measured if figure.found.name == name] for name in names]


def _of_entry(figures: Sequence[Figure], folder: object) -> list[Figure]:
    return [figure for figure in figures if figure.point.folder == folder]


def _has_curve(figures: Sequence[Figure]) -> bool:
    axes = figures[0].point.axes
    return bool(axes) and len({figure.point.point.values[0] for figure in figures}) > 1


# ------------------------------------------------------------------------------------------------- curves


def _curve(figures: Sequence[Figure]) -> str:
    axis = figures[0].point.axes[0]
    places = _places(axis)
    series = [
        Series(name=name, marks=tuple(sorted((_mark(one, places) for one in chosen), key=lambda mark: mark.x)))
        for name, chosen in _by_other_axes(figures).items()
    ]
    floor, found = _floor(figures), figures[0].found
    title = f"{figures[0].point.entry}: {found.name}"
    svg = line_plot(
        series,
        title=title,
        x_title=_AXIS_TITLES.get(axis.name, axis.name.capitalize()),
        ticks=[(places[value], value) for value in axis.values],
        floor=floor,
    )
    return f"<figure>\n{svg}\n{_legend(series, floor)}<figcaption>{_caption(figures, title)}</figcaption>\n</figure>"


def _places(axis: SweepAxis) -> dict[str, float]:
    """Where values lie on the axis: as numbers, if all of them are, else one after the other."""
    try:
        return {value: float(value) for value in axis.values}
    except ValueError:
        return {value: float(place) for place, value in enumerate(axis.values)}


def _by_other_axes(figures: Sequence[Figure]) -> dict[str, list[Figure]]:
    lines: dict[str, list[Figure]] = {}
    for figure in figures:
        lines.setdefault(", ".join(figure.point.point.labels[1:]), []).append(figure)
    return lines


def _mark(figure: Figure, places: dict[str, float]) -> Mark:
    return _marked(figure, places[figure.point.point.values[0]])


def _marked(figure: Figure, x: float) -> Mark:
    found, interval = figure.found, figure.found.interval
    assert found.value is not None
    low, high = (interval.low, interval.high) if interval else (None, None)
    return Mark(x=x, y=found.value, label=figure.point.label, low=low, high=high)


def _legend(series: Sequence[Series], floor: float | None) -> str:
    named = series_names(series)
    named += [f'<span><i class="floor"></i>floor {number(floor)}</span>'] if floor is not None else []
    return f'<p class="legend">{"".join(named)}</p>\n' if named else ""


# ------------------------------------------------------------------------------------------------- bars


def _bars(figures: Sequence[Figure]) -> str:
    shown = figures[:_MOST_BARS]
    floor, title = _floor(figures), figures[0].found.name
    svg = bar_plot([_marked(figure, 0.0) for figure in shown], title=title, floor=floor)
    more = f" The first {len(shown)} of {len(figures):,}." if len(shown) < len(figures) else ""
    caption = f"{_caption(figures, title)}{more}"
    return f"<figure>\n{svg}\n{_legend((), floor)}<figcaption>{caption}</figcaption>\n</figure>"


def _floor(figures: Sequence[Figure]) -> float | None:
    """Theirs, if they have one in common."""
    floors = {figure.floor.value if figure.floor else None for figure in figures}
    return floors.pop() if len(floors) == 1 else None


def _caption(figures: Sequence[Figure], title: str) -> str:
    found, floor = figures[0].found, figures[0].floor
    words = [
        f"<b>{escape(title)}</b>",
        BETTER[found.better],
        f"of {found.n_real:,} real and {found.n_fake:,} generated",
    ]
    words += ["bars: 95 % intervals" if found.interval else "no interval"]
    if _floor(figures) is not None and floor is not None:
        words.append(f"dashed: the floor, {floor.n_real:,} real images against {floor.n_fake:,} others")
    return "; ".join(word for word in words if word) + "."
