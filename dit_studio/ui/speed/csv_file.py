"""A table as a CSV file."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import msgspec
from PySide6.QtWidgets import QFileDialog, QWidget

from dit_studio.errors import StudioError
from dit_studio.files import write_atomically


def ask_for_csv(parent: QWidget, name: str) -> str:
    """Where to save; "" for nowhere."""
    return QFileDialog.getSaveFileName(parent, "Save the table", name, "Tables (*.csv)")[0]


def rows_of(rows: Sequence[msgspec.Struct], measured: str) -> list[list[str]]:
    """Figures as plain numbers, their names as heads, and in the last column how they were measured."""
    names = [name for name in rows[0].__struct_fields__ if name != "time"]
    heads = [*names, "measured"]
    return [heads, *([*(_cell(getattr(row, name)) for name in names), measured] for row in rows)]


def _cell(value: object) -> str:
    return "" if value is None else str(value)


def write_csv(path: Path, lines: Sequence[Sequence[str]]) -> str:
    """Why it could not be written; "" if it is."""
    text = io.StringIO()
    csv.writer(text).writerows(lines)
    try:
        write_atomically(path, text.getvalue().encode())
    except StudioError as error:
        return str(error)
    return ""
