"""The columns of the table of runs: what each says of a run, and what it sorts by."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dit_studio import figures
from dit_studio.events import JobState
from dit_studio.jobs.run_filter import UNREADABLE, data_name
from dit_studio.ui.runs.listing import RunRow
from dit_studio.ui.train.amounts import count, duration
from dit_studio.ui.train.model_words import model_name
from dit_studio.ui.train.state_pill import STATE_TEXTS

_SMALLEST_LOSS, _GREATEST_LOSS = 1e-3, 1e5  # beyond, powers of ten


@dataclass(frozen=True)
class Column:
    key: str  # under which it is remembered
    title: str
    text: Callable[[RunRow], str]
    order: Callable[[RunRow], Any]  # what it sorts by; None comes last
    tooltip: str
    width: int  # pixels at a font scale of 100 %; 0: what the others leave
    is_number: bool = False


def share_done(row: RunRow) -> float:
    status = row.summary.status
    return min(1.0, status.step / status.steps) if status.steps else 0.0


def _state(row: RunRow) -> str:
    return UNREADABLE.capitalize() if row.summary.is_unreadable else STATE_TEXTS[row.summary.status.state]


def _progress(row: RunRow) -> str:
    return f"{count(row.summary.status.step)} / {count(row.summary.status.steps)}"


def _loss(value: float | None) -> str:
    """As many digits as its column holds."""
    is_usual = value is None or value == 0 or _SMALLEST_LOSS <= abs(value) < _GREATEST_LOSS
    return figures.number(value) if is_usual else f"{value:.1e}"


def _metric(row: RunRow) -> str:
    """ "FID 12.34"; which extractor and number is in the tooltip."""
    status = row.summary.status
    if status.metric_value is None:
        return ""
    return f"{status.metric.partition('-')[0]} {figures.number(status.metric_value)}"


def _metric_order(row: RunRow) -> tuple[str, float] | None:
    """Figures of one kind stand together."""
    status = row.summary.status
    return None if status.metric_value is None else (status.metric, status.metric_value)


def _model(row: RunRow) -> str:
    recipe = row.summary.recipe
    return model_name(recipe.model) if recipe else ""


def _started(row: RunRow) -> str:
    started = row.summary.status.started
    if not started:
        return ""
    moment, now = datetime.fromtimestamp(started), datetime.now()
    return f"{moment:%d %b %H:%M}" if moment.year == now.year else f"{moment:%d %b %Y}"


COLUMNS = (
    Column("name", "Name", lambda row: row.title, lambda row: row.title.casefold(), "What the run is called.", 0),
    Column(
        "state",
        "State",
        _state,
        lambda row: -1 if row.summary.is_unreadable else list(JobState).index(row.summary.status.state),
        "What the run does now, or how it ended.",
        120,
    ),
    Column("progress", "Progress", _progress, share_done, "Optimiser steps done, of those planned.", 148),
    Column(
        "loss",
        "Loss",
        lambda row: _loss(row.summary.status.loss),
        lambda row: row.summary.status.loss,
        "Training loss of the last step.",
        82,
        is_number=True,
    ),
    Column(
        "validation",
        "Val. loss",
        lambda row: _loss(row.summary.status.validation_loss),
        lambda row: row.summary.status.validation_loss,
        "Loss of the averaged weights on held-out images, at noise that never changes.",
        82,
        is_number=True,
    ),
    Column(
        "metric",
        "Metric",
        _metric,
        _metric_order,
        "The newest figure measured while training; compare only those of one extractor and number.",
        96,
        is_number=True,
    ),
    Column(
        "data",
        "Data",
        lambda row: data_name(row.summary),
        lambda row: data_name(row.summary).casefold() or None,
        "Folder or archive of the images.",
        92,
    ),
    Column(
        "tags",
        "Tags",
        lambda row: ", ".join(row.summary.label.tags),
        lambda row: ", ".join(row.summary.label.tags).casefold() or None,
        "Words that you gave the run (Ctrl+T).",
        96,
    ),
    Column("model", "Model", _model, lambda row: _model(row) or None, "Size and patch of the model.", 64),
    Column(
        "started",
        "Started",
        _started,
        lambda row: row.summary.status.started or None,
        "When the run was started.",
        112,
    ),
    Column(
        "trained",
        "Trained",
        lambda row: duration(row.summary.status.seconds) if row.summary.status.seconds else "",
        lambda row: row.summary.status.seconds or None,
        "Time spent training, pauses left out.",
        98,
        is_number=True,
    ),
)
PLACES = {column.key: place for place, column in enumerate(COLUMNS)}


def search_words(row: RunRow) -> str:
    """What the filter searches beside names, tags and data set."""
    return f"{_state(row)}\n{_model(row)}"
