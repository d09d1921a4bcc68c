"""Results as text, for the clipboard: what a card shows in words, a table's rows as comma-separated values."""

import csv
import io
from collections.abc import Sequence

from PySide6.QtCore import QMimeData
from PySide6.QtGui import QGuiApplication

from dit_studio.evaluation_request import EvaluationResult
from dit_studio.figures import figure_text, images_text, short
from dit_studio.ui.evaluate.cautions import caution_text

COLUMNS = (
    "label", "metric", "name", "value", "low", "high", "interval_images", "reference_images", "generated_images",
    "floor", "floor_images", "better", "estimator", "why_none", "protocol",
)  # fmt: skip
Labelled = Sequence[tuple[str, EvaluationResult]]


def as_text(results: Labelled) -> str:
    """Every figure with its interval and its floor, what has to be known with them, and the protocol."""
    return "\n\n".join("\n".join(_lines(label, result)) for label, result in results)


def _lines(label: str, result: EvaluationResult) -> list[str]:
    floors = {found.metric: found for found in result.floor}
    lines = [label]
    for found in result.results:
        floor = floors.get(found.metric)
        at_floor = f", floor {short(floor.value)} of {floor.n_fake:,}" if floor and floor.value is not None else ""
        why = "" if found.value is not None else f"none. {found.why_no_value}"
        numbers = "" if found.value is None else f" ({images_text(found.n_real, found.n_fake)}{at_floor})"
        lines.append(f"{found.name}: {figure_text(found) or why}{numbers}")
    names: dict[str, str] = {found.metric: f"{found.name}: " for found in result.results}
    lines += [names.get(caution.metric, "") + caution_text(caution) for caution in result.cautions]
    return [*lines, result.protocol_line]


def as_csv(results: Labelled) -> str:
    """A line for each figure, with COLUMNS."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for label, result in results:
        floors = {found.metric: found for found in result.floor}
        for found in result.results:
            interval, floor = found.interval, floors.get(found.metric)
            spread = (interval.low, interval.high, interval.n) if interval else ("", "", "")
            at_floor = (floor.value, floor.n_fake) if floor else ("", "")
            writer.writerow(
                (label, found.metric, found.name, found.value, *spread, found.n_real, found.n_fake, *at_floor,
                 found.better, found.estimator, found.why_no_value or found.why_no_interval, result.protocol_line)
            )  # fmt: skip
    return text.getvalue()


def copy_results(results: Labelled) -> None:
    """Put results on the clipboard: as words, and for spreadsheets as a table."""
    data = QMimeData()
    data.setText(as_text(results))
    data.setData("text/csv", as_csv(results).encode())
    QGuiApplication.clipboard().setMimeData(data)
