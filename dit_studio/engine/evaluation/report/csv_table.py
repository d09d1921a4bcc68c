"""The figures as a table, one row each, that spreadsheets open as it is meant."""

import csv
import io
from collections.abc import Sequence

from dit_studio.engine.evaluation.report.contents import Entry, Figure, Group, ReportPoint

_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet takes a text for, if it begins so

Row = dict[str, str | float | int | None]


def csv_table(entries: Sequence[Entry], groups: Sequence[Group]) -> bytes:
    """UTF-8 with a byte order mark, without which some spreadsheets take it for something else."""
    rows = [_row(figure, group.letter) for group in groups for figure in group.figures]
    rows += [_failed(point) for entry in entries for point in entry.points if point.state.state == "failed"]
    columns = list(_row(groups[0].figures[0], "")) if groups else list(rows[0])
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\r\n")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    return text.getvalue().encode("utf-8-sig", "backslashreplace")


def _row(figure: Figure, letter: str) -> Row:
    found, floor, protocol, interval = figure.found, figure.floor, figure.protocol, figure.found.interval
    return {
        **_of_point(figure.point),
        "group": letter,
        "metric": found.metric,
        "name": found.name,
        "value": found.value,
        "low": interval.low if interval else None,
        "high": interval.high if interval else None,
        "interval": interval.method if interval else found.why_no_interval,
        "n_real": found.n_real or None,
        "n_fake": found.n_fake or None,
        "better": found.better,
        "floor": floor.value if floor else None,
        "floor_n": floor.n_fake if floor else None,
        "why_no_value": found.why_no_value,
        "estimator": found.estimator,
        "extractor": protocol.extractor,
        "weights_sha256": protocol.weights_sha256,
        "resize": protocol.resize,
        "arithmetic": protocol.arithmetic,
        "device": protocol.device,
        "statistics": protocol.statistics,
        "seed": protocol.seed,
        "real_hash": protocol.real_hash,
        "fake_hash": protocol.fake_hash,
        "drawn": protocol.drawn,
    }


def _failed(point: ReportPoint) -> Row:
    return _of_point(point) | {"why_no_value": f"{point.state.message} {point.state.remedy}".strip()}


def _of_point(point: ReportPoint) -> Row:
    result = point.result
    return {
        "entry": point.entry,
        "point": point.label,
        "real": result.real.path if result else point.point.request.real,
        "fake": result.fake.path if result else point.point.request.fake,
    }


def _cell(value: str | float | None) -> str:
    """A text that would be a formula is marked as a text; numbers keep every digit."""
    if value is None:
        return ""
    if not isinstance(value, str):
        return repr(value)
    return f"'{value}" if value.startswith(_FORMULA) else value
