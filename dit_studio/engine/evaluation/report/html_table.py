"""The figures of a group as a table, with the reason where a figure or its interval is missing."""

from html import escape

from dit_studio.engine.evaluation.report.contents import Figure, Group
from dit_studio.engine.evaluation.report.words import BETTER, floor_words, interval_words, number

_HEADS = (("Point", ""), ("Metric", ""), ("Value", "number"), ("95 % interval", "number"), ("Real", "number"),
          ("Generated", "number"), ("Floor", "number"), ("Estimator", ""))  # fmt: skip


def group_table(group: Group) -> str:
    """A row a figure; the name of a point stands before its first."""
    head = "".join(f'<th scope="col" class="{kind}">{escape(text)}</th>' for text, kind in _HEADS)
    rows, last = [], ""
    for figure in group.figures:
        name = f"{figure.point.entry}: {figure.point.label}"
        rows.append(_row(figure, "" if name == last else name))
        last = name
    body = "\n".join(rows)
    return f'<div class="wide"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>'


def _row(figure: Figure, name: str) -> str:
    found = figure.found
    better = f' <span class="why">{BETTER[found.better]}</span>' if found.better else ""
    cells = [f"<td>{escape(name)}</td><td>{escape(found.name)}{better}</td>"]
    if found.value is None:
        cells.append(f'<td colspan="2" class="why">none. {escape(found.why_no_value)}</td>')
    else:
        interval = escape(interval_words(figure)) or "none"
        value = f"{number(found.value)} {escape(found.unit)}".strip()
        cells.append(f'<td class="number">{value}</td><td class="number">{interval}</td>')
    counts = (f"{found.n_real:,}" if found.n_real else "", f"{found.n_fake:,}" if found.n_fake else "")
    cells += [f'<td class="number">{escape(text)}</td>' for text in (*counts, floor_words(figure))]
    how = found.interval.method if found.interval else found.why_no_interval
    cells.append(f'<td class="why">{escape(found.estimator)}{_after(how)}</td>')
    return f"<tr>{''.join(cells)}</tr>"


def _after(text: str) -> str:
    return f"<br>{escape(text)}" if text else ""
