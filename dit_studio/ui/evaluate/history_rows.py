"""What the history says of an evaluation: its figures in a line, how they were made, what became of it."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from dit_studio.evaluation_request import MetricResult
from dit_studio.figures import figure_text, number
from dit_studio.jobs.evaluation_history import EvaluationEntry, State
from dit_studio.ui.sample.history_words import time_in_words
from dit_studio.ui.train.amounts import count, counted


@dataclass(frozen=True)
class EvaluationRow:
    """An entry as a row of the history."""

    item: EvaluationEntry
    state: State | Literal["paused"]

    @property
    def name(self) -> str:
        return self.item.name

    @property
    def title(self) -> str:
        return self.item.title or self.item.name

    @property
    def can_go_on(self) -> bool:
        """Whether there are points that were not measured, and nobody is about it."""
        return self.state != "running" and self.item.done < len(self.item.record.states)

    def tooltip(self) -> str:
        begun = time.strftime("%d %B %Y, %H:%M:%S", time.localtime(self.item.time))
        request = self.item.first.request
        failed = next((state for state in self.item.record.states if state.state == "failed"), None)
        lines = (
            self.title,
            figures_of(self.item),
            f"Reference: {request.real}",
            f"Measured: {request.fake}" if len(self.item.figures) == 1 else "",
            f"Begun on {begun}",
            state_text(self),
            f"{failed.message} {failed.remedy}".strip() if failed else "",
        )
        return "\n".join(line for line in lines if line)

    def spoken(self) -> str:
        words = (self.title, figures_of(self.item), how_of(self.item), time_in_words(self.item.time, time.time()))
        return ", ".join(part for part in (*words, state_text(self)) if part)


def figures_of(item: EvaluationEntry) -> str:
    """ "FD-random-500 15.81"; "20 points, best FD-random-500 3.102 at step 2,000, CFG 2"."""
    if len(item.figures) == 1:
        return _figure(item.figures[0], figure_text)
    points = counted(len(item.figures), "point")
    if item.best < 0:
        return points
    place = f"{'at' if item.record.plan.axes else 'of'} {item.record.plan.points[item.best].label}"
    best = "best" if item.done + item.failed == len(item.figures) else "best so far"
    return f"{points}, {best} {_figure(item.figures[item.best], lambda best: number(best.value))} {place}"


def _figure(figure: MetricResult | None, write: Callable[[MetricResult], str]) -> str:
    if figure is None:
        return ""
    return f"{figure.name} {write(figure)}" if figure.value is not None else f"{figure.name}: no value"


def how_of(item: EvaluationEntry) -> str:
    """ "random, 500 images": the features and the number of generated images, as far as they are known."""
    request = item.first.request
    measured = max((figure.n_fake for figure in item.figures if figure is not None), default=0)
    images = measured or request.count or 0
    return ", ".join(part for part in (request.extractor, counted(images, "image") if images else "") if part)


def state_text(row: EvaluationRow) -> str:
    """What kept it from being whole; "" if it is."""
    item = row.item
    words: list[str] = []
    if row.state != "finished":
        at = f" at {count(item.done)} of {counted(len(item.figures), 'point')}" if len(item.figures) > 1 else ""
        words.append(row.state + at)
    if item.failed:
        words.append("failed" if len(item.figures) == 1 else f"{counted(item.failed, 'point')} failed")
    return ", ".join(words)


def matches(row: EvaluationRow, words: str) -> bool:
    """Whether each of some words is somewhere in what the row is about."""
    text = " ".join(_words(row)).lower()
    return all(word in text for word in words.lower().split())


def _words(row: EvaluationRow) -> Iterator[str]:
    yield from (row.name, row.title, figures_of(row.item), how_of(row.item), row.state, state_text(row))
    for point in row.item.record.plan.points:
        yield from (point.label, point.request.real, point.request.fake, *point.request.metrics)
