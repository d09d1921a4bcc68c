"""The job that writes a report: its form follows from the name of the file."""

from collections.abc import Generator
from pathlib import Path

import msgspec

from dit_studio import __version__
from dit_studio.engine.evaluation.report.contents import Entry, figures_of, groups_of, read_entry
from dit_studio.engine.evaluation.report.csv_table import csv_table
from dit_studio.engine.evaluation.report.html_page import html_page
from dit_studio.engine.evaluation.report.pictures import read_pictures
from dit_studio.engine.left_out import shown
from dit_studio.errors import ConfigError, Problem, RunError
from dit_studio.events import Event, Progress, Written
from dit_studio.files import naming_disk_errors, why_not_writable, write_atomically

SUFFIXES = (".html", ".csv", ".json")


def report(folders: list[str], path: str) -> Generator[Event, None, None]:
    """Entries of the history of evaluations as one file: .html, .csv or .json.

    Raises: ConfigError for another suffix or no folders; DataError if a folder holds no results; DiskFullError or
    RunError.
    """
    file = _checked(folders, path)
    entries = []
    for number, folder in enumerate(dict.fromkeys(folders)):
        yield Progress(stage="Reading evaluations", done=number, total=len(folders), unit="evaluations")
        entries.append(read_entry(folder))
    if file.suffix.lower() == ".html":
        data = yield from _html(entries)
    else:
        data = csv_table(entries, groups_of(figures_of(entries))) if file.suffix.lower() == ".csv" else _json(entries)
    with naming_disk_errors(file):
        file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, data)
    yield Written(file=str(file), size_bytes=len(data), note=_note(entries))


def _html(entries: list[Entry]) -> Generator[Event, None, bytes]:
    pictures = yield from read_pictures(entries)
    yield Progress(stage="Writing the report", done=0, total=1, unit="files")
    return html_page(entries, pictures).encode("utf-8", "backslashreplace")


def _json(entries: list[Entry]) -> bytes:
    """Everything that is known: the plan and the state of every point, and every result."""
    content = {
        "dit_studio": __version__,
        "entries": [
            {
                "folder": shown(str(entry.folder)),
                "record": entry.record,
                "results": [{"index": one.point.index, "result": one.result} for one in entry.points if one.result],
            }
            for entry in entries
        ],
    }
    return msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n"


def _checked(folders: list[str], path: str) -> Path:
    """Where to write. Raises: ConfigError or RunError, before anything is read."""
    file = Path(path).expanduser()
    if not folders:
        raise ConfigError([Problem("report.folders", "A report needs at least one evaluation: name its folder.")])
    if not path or file.suffix.lower() not in SUFFIXES:
        message = f'A report cannot be written to "{shown(path)}": its name has to end in {", ".join(SUFFIXES[:-1])} '
        raise ConfigError([Problem("report.path", f"{message}or {SUFFIXES[-1]}.", shown(path))])
    if file.is_dir():
        raise RunError(f"{shown(path)} is a folder.", remedy="Choose another name for the file.")
    if why := why_not_writable(file.parent):
        raise RunError(shown(why), remedy="Choose a folder that you may write to.")
    return file


def _note(entries: list[Entry]) -> str:
    """What is not in it."""
    points = [point for entry in entries for point in entry.points]
    missing = sum(point.result is None for point in points)
    return f"{missing:,} of {len(points):,} points were not measured." if missing else ""
