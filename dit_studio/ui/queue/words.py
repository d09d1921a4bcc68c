"""How the window speaks of the queue: places, devices, how far a run is."""

from collections.abc import Sequence

from dit_studio.device_names import AUTO
from dit_studio.jobs.queue_order import QueueEntry, do_share
from dit_studio.jobs.run_folder import Status
from dit_studio.ui.run_watch import SeenRun
from dit_studio.ui.train import amounts
from dit_studio.ui.train.state_pill import STATE_TEXTS

_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")


def ordinal(place: int) -> str:
    """1 as "first", 12 as "12th"."""
    if place <= len(_ORDINALS):
        return _ORDINALS[place - 1]
    ending = "th" if place % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(place % 10, "th")
    return f"{place}{ending}"


def device_words(devices: Sequence[str]) -> str:
    """("cuda:0", "cuda:1") as "cuda:0 and cuda:1"; "auto" in words."""
    names = ["the best device" if name == AUTO else name for name in devices] or ["the best device"]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def place_of(run: str, entries: Sequence[QueueEntry]) -> int:
    """The place among those that take the same devices, from 1; 0 if the run does not wait."""
    for index, entry in enumerate(entries):
        if entry.run == run:
            return 1 + sum(do_share(entry.devices, other.devices) for other in entries[:index])
    return 0


def place_words(run: str, entries: Sequence[QueueEntry]) -> str:
    """For instance "second in the queue for cuda:0, held"; "" if the run does not wait."""
    entry = next((entry for entry in entries if entry.run == run), None)
    if entry is None:
        return ""
    held = ", held" if entry.is_held else ""
    return f"{ordinal(place_of(run, entries))} in the queue for {device_words(entry.devices)}{held}"


def steps_words(status: Status) -> str:
    """For instance "1,240 / 20,000"; of a run that has not begun "20,000"."""
    steps = amounts.count(status.steps)
    return f"{amounts.count(status.step)} / {steps}" if status.step else steps


def seconds_left(status: Status) -> float | None:
    """By the mean pace so far; None before there is one."""
    if not status.step or status.seconds <= 0:
        return None
    return max(0, status.steps - status.step) * status.seconds / status.step


def at_work_words(runs: Sequence[SeenRun]) -> str:
    """For instance "landscapes  running · step 40 / 200 · 1 more at work"; "" where nothing is."""
    if not runs:
        return ""
    run = runs[0]
    parts = [f"{run.title}  {STATE_TEXTS[run.status.state].lower()}", _step_words(run.status)]
    parts += [f"{len(runs) - 1} more at work"] if len(runs) > 1 else []
    return " · ".join(parts)


def _step_words(status: Status) -> str:
    return f"step {amounts.count(status.step)} / {amounts.count(status.steps)}"


def progress_words(title: str, status: Status) -> str:
    """For instance "landscapes-B4 (step 1,240 of 20,000, 1 h 40 min left)"."""
    remaining = seconds_left(status)
    left = "" if remaining is None else f", {amounts.duration(remaining)} left"
    return f"{title} (step {amounts.count(status.step)} of {amounts.count(status.steps)}{left})"
