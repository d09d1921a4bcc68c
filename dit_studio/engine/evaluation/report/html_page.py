"""The report as one HTML file: nothing is loaded from anywhere, nothing runs, and every text is escaped."""

import re
import time
from collections.abc import Iterable, Sequence
from html import escape

from dit_studio import __version__
from dit_studio.engine.evaluation.report.contents import Entry, Group, ReportPoint, figures_of, groups_of
from dit_studio.engine.evaluation.report.html_plots import plots
from dit_studio.engine.evaluation.report.html_points import point_section
from dit_studio.engine.evaluation.report.html_table import group_table
from dit_studio.engine.evaluation.report.pictures import ReportPictures
from dit_studio.engine.evaluation.report.style import STYLE
from dit_studio.engine.evaluation.report.words import number_words, protocol_words

_NOT_IN_HTML = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def html_page(entries: Sequence[Entry], pictures: ReportPictures) -> str:
    """The whole page."""
    groups = groups_of(figures_of(entries))
    title = entries[0].record.plan.title if len(entries) == 1 else f"{len(entries)} evaluations"
    parts = [
        _head(f"{title} – evaluation"),
        _top(title, entries),
        _contents(entries, groups),
        _why_groups(groups),
        *(_group(group) for group in groups),
        *(_entry(number, entry, pictures) for number, entry in enumerate(entries)),
        _versions(entries),
        "</body>\n</html>\n",
    ]
    return _NOT_IN_HTML.sub("�", "\n".join(part for part in parts if part))


def _head(title: str) -> str:
    return (
        '<!DOCTYPE html>\n<html lang="en-GB">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>"
    )


def _top(title: str, entries: Sequence[Entry]) -> str:
    points = [point for entry in entries for point in entry.points]
    done = sum(point.result is not None for point in points)
    newest = time.localtime(max(entry.record.time for entry in entries))
    when = f"{newest.tm_mday} {time.strftime('%B %Y, %H:%M', newest)}"
    return (
        f"<h1>{escape(title)}</h1>\n"
        f'<p class="muted">Evaluated {when}; {done:,} of {len(points):,} points measured; written by DiT Studio '
        f"{escape(__version__)}.</p>"
    )


def _contents(entries: Sequence[Entry], groups: Sequence[Group]) -> str:
    links = [f'<a href="#group-{group.letter}">Figures, group {group.letter}</a>' for group in groups]
    links += [
        f'<a href="#entry-{number}">{escape(entry.record.plan.title or entry.folder.name)}</a>'
        for number, entry in enumerate(entries)
    ]
    return f"<nav><p>{' · '.join([*links, '<a href=#versions>Versions</a>'])}</p></nav>"


def _why_groups(groups: Sequence[Group]) -> str:
    if len(groups) < 2:
        return ""
    return (
        f'<p class="caution amber"><b>Not comparable:</b> the figures fall into {len(groups)} groups of different '
        "protocols or numbers of images. Within a group they share an axis; between groups they say nothing of each "
        "other.</p>"
    )


def _group(group: Group) -> str:
    return (
        f'<section id="group-{group.letter}">\n<h2>Group {group.letter}: {escape(number_words(group))}</h2>\n'
        f'<p class="protocol">{escape(protocol_words(group))}</p>\n{plots(group)}\n{group_table(group)}\n</section>'
    )


def _entry(number: int, entry: Entry, pictures: ReportPictures) -> str:
    measured = [point_section(point, pictures) for point in entry.points if point.result is not None]
    title = entry.record.plan.title or entry.folder.name
    parts = [f'<section id="entry-{number}">\n<h2>{escape(title)}</h2>', *_not_measured(entry.points), *measured]
    return "\n".join([*parts, "</section>"])


def _not_measured(points: Iterable[ReportPoint]) -> list[str]:
    parts = []
    for point in points:
        if point.state.state == "failed":
            why = f"{point.state.message} {point.state.remedy}".strip()
            parts.append(f'<p class="caution red"><b>{escape(point.label)} failed:</b> {escape(why)}</p>')
        elif point.result is None:
            parts.append(f'<p class="caution"><b>{escape(point.label)}</b> was not measured.</p>')
    return parts


def _versions(entries: Sequence[Entry]) -> str:
    found = {
        f"{name} {version}"
        for entry in entries
        for point in entry.points
        if point.result
        for name, version in point.result.versions.items()
    }
    return f'<section id="versions">\n<h2>Versions</h2>\n<p>{escape(", ".join(sorted(found)))}</p>\n</section>'
