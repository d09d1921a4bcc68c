"""The figures of a group as a table, and below it how each metric and its interval are computed."""

from html import escape

from dit_studio.engine.evaluation.report.contents import Figure, Group
from dit_studio.engine.evaluation.report.words import BETTER, floor_words, interval_words
from dit_studio.figures import number

_HEADS = (("Metric", ""), ("Value", "number"), ("95 % interval", "number"), ("Real", "number"),
          ("Generated", "number"), ("Floor", "number"))  # fmt: skip


def group_table(group: Group) -> str:
    """A row a figure, the point's name above its first."""
    head = "".join(f'<th scope="col" class="{kind}">{escape(text)}</th>' for text, kind in _HEADS)
    rows, last = [], ""
    for figure in group.figures:
        name = f"{figure.point.entry}: {figure.point.label}"
        if name != last:
            rows.append(f'<tr><th scope="rowgroup" colspan="{len(_HEADS)}">{escape(name)}</th></tr>')
        rows.append(_row(figure))
        last = name
    body = "\n".join(rows)
    table = f'<div class="wide"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>'
    return f"{table}\n{_how(group)}"


def _row(figure: Figure) -> str:
    found = figure.found
    better = f' <span class="why">{BETTER[found.better]}</span>' if found.better else ""
    name = f'<td class="name">{escape(found.name)}{better}</td>'
    if found.value is None:
        return f'<tr>{name}<td colspan="{len(_HEADS) - 1}" class="why">none. {escape(found.why_no_value)}</td></tr>'
    value, interval = f"{number(found.value)} {found.unit}".strip(), interval_words(figure) or "none"
    counts = (f"{found.n_real:,}" if found.n_real else "", f"{found.n_fake:,}" if found.n_fake else "")
    cells = [f'<td class="number">{escape(text)}</td>' for text in (value, interval, *counts, floor_words(figure))]
    return f"<tr>{name}{''.join(cells)}</tr>"


def _how(group: Group) -> str:
    """Each once, however many figures are made alike."""
    lines = dict.fromkeys(_method(figure) for figure in group.figures if figure.found.value is not None)
    return f'<ul class="why">{"".join(f"<li>{escape(line)}</li>" for line in lines)}</ul>' if lines else ""


def _method(figure: Figure) -> str:
    found = figure.found
    interval = f"interval: {found.interval.method}" if found.interval else "no interval, for the reason at each point"
    return f"{found.name}: {found.estimator}; {interval}."
