"""`dit-studio queue`: the runs that wait their turn on each device: list them, add, order and start."""

import argparse
import difflib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dit_studio.cli_acts import acts_of
from dit_studio.cli_output import Ticker, UsageError, answer, say
from dit_studio.cli_recipe import add_recipe_options, check_before_start, recipe_and_its_start
from dit_studio.config import Recipe
from dit_studio.device_names import AUTO, named
from dit_studio.errors import RunError
from dit_studio.events import JobState
from dit_studio.jobs.queue import Queue, QueueEntry
from dit_studio.jobs.run_folder import RunFolder, Status, new_run_path
from dit_studio.jobs.run_label import change_label, read_label, titled
from dit_studio.places import runs_dir

_POLL_SECONDS = 1.0
_FAILURES = (JobState.FAILED, JobState.INTERRUPTED)


def add_queue_options(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(act=_list)
    act = acts_of(parser, "list|add|hold|release|up|down|remove|run")

    act("list", _list, "list what waits, in order of start, and what runs")
    add = act("add", _add, "queue a run of a recipe, with its settings frozen, or one that is to go on")
    add_recipe_options(add)
    add.add_argument("--device", metavar="NAME", help="same as --set train.device=NAME; several as in cpu,cpu")
    add.add_argument("--name", default="", help="what the run is called (default: as its data set)")
    for name, run, text in (
        ("hold", _hold, "keep a run from starting; it keeps its place"),
        ("release", _release, "let a run that is held start when its turn comes"),
        ("up", _up, "move a run further to the front"),
        ("down", _down, "move a run further to the end"),
        ("remove", _remove, "take a run out of the queue; its folder and settings stay"),
    ):
        act(name, run, text).add_argument("run_name", metavar="NAME", help="a run's name, or its place in the list")
    start = act("run", _run, "start what waits, one run at a time on each device, in a process of its own")
    start.add_argument("--wait", action="store_true", help="stay until the queue is empty; status 1 if a run failed")


def run_queue(options: argparse.Namespace) -> int:
    """Do what is asked, and return the exit status."""
    status: int = options.act(options)
    return status


# ------------------------------------------------------------------------------------------------- list


def _list(options: argparse.Namespace) -> int:
    queue = Queue(runs_dir())
    rows = _rows(queue)
    for row in rows:
        say(_line(row))
    if not rows:
        say(f"Nothing waits below {queue.root}.")
    elif any(not row["host"] for row in rows) and not queue.is_kept():
        say(_NOT_KEPT)
    if any(row["host"] for row in rows):
        say(_OF_ANOTHER)
    answer(options, entries=rows, is_kept=queue.is_kept(), problem=queue.problem)
    return 0


_NOT_KEPT = "Nothing starts by itself now: dit-studio queue run starts what waits."
_OF_ANOTHER = "What waits for another machine starts there only; to run it here, remove it and add it again."


def _rows(queue: Queue) -> list[dict[str, Any]]:
    """What the queue has started, then what waits."""
    rows: list[dict[str, Any]] = []
    for entry in queue.listed():
        status = queue.folder(entry.run).observed_status()
        if status.state.is_active:
            rows.append(_row(entry, status))
    for place, entry in enumerate(queue.entries(), start=1):
        rows.append({**_row(entry, queue.folder(entry.run).read_status()), "position": place})
    if queue.problem:
        say(queue.problem)
    return rows


def _row(entry: QueueEntry, status: Status) -> dict[str, Any]:
    return {
        "position": 0, "name": entry.run, "devices": entry.devices, "is_held": entry.is_held, "resume": entry.resume,
        "state": status.state, "step": status.step, "steps": status.steps,
        "host": "" if entry.is_for_this_machine else entry.host,
    }  # fmt: skip


def _line(row: dict[str, Any]) -> str:
    """ "  2  20260301-142233-digits            cuda:0      queued, held"."""
    state = f"{row['state']}{', held' if row['is_held'] else ''}{', goes on' if row['resume'] else ''}"
    if row["host"]:
        state += f", for {row['host']}"
    if row["step"]:
        state += f"  step {row['step']:,} of {row['steps']:,}"
    return f"{row['position'] or '–':>3}  {row['name']:<36} {', '.join(row['devices']):<12} {state}"


# ------------------------------------------------------------------------------------------------- change


def _add(options: argparse.Namespace) -> int:
    queue = Queue(runs_dir())
    folder = _add_again(queue, options) if options.resume else _add_new(queue, options)
    place = [entry.run for entry in queue.entries()].index(folder.name) + 1
    say(f"{folder.name} waits in place {place}.")
    if not queue.is_kept():
        say(_NOT_KEPT)
    answer(options, run=str(folder.path), position=place, is_kept=queue.is_kept())
    return 0


def _add_new(queue: Queue, options: argparse.Namespace) -> RunFolder:
    if options.recipe is None:
        raise UsageError("queue add takes a RECIPE.toml, or --resume RUN.")
    if options.device:
        options.settings.append(f"train.device={options.device}")
    recipe = recipe_and_its_start(options)
    name = options.name or Path(recipe.data.path).name or options.recipe.stem
    check_before_start(recipe, new_run_path(queue.root, name))
    folder = queue.add(recipe, name, devices=_devices(recipe))
    if options.name:
        change_label(folder, title=options.name)
    return folder


def _add_again(queue: Queue, options: argparse.Namespace) -> RunFolder:
    if options.recipe or options.settings or options.data or options.device or options.name or options.assume:
        raise UsageError("--resume goes on in the run's own folder with its own recipe: leave out the others.")
    is_name = not (options.resume / "run.toml").is_file()
    folder = RunFolder.open((queue.root / options.resume if is_name else options.resume).absolute())
    queue.add_again(folder, devices=_devices(folder.recipe()))
    return folder


def _devices(recipe: Recipe) -> tuple[str, ...]:
    """What a run takes; the best device of this machine by its own name."""
    devices = named(recipe.train.device)
    if devices != (AUTO,):
        return devices
    from dit_studio.engine.device import pick_device

    return (str(pick_device()),)


def _hold(options: argparse.Namespace) -> int:
    return _change(options, lambda queue, run: queue.hold(run, is_held=True))


def _release(options: argparse.Namespace) -> int:
    return _change(options, lambda queue, run: queue.hold(run, is_held=False))


def _up(options: argparse.Namespace) -> int:
    return _change(options, lambda queue, run: queue.move(run, by=-1))


def _down(options: argparse.Namespace) -> int:
    return _change(options, lambda queue, run: queue.move(run, by=1))


def _remove(options: argparse.Namespace) -> int:
    return _change(options, lambda queue, run: queue.remove(run))


def _change(options: argparse.Namespace, change: Callable[[Queue, str], None]) -> int:
    """Change the entry that is named, and list the queue."""
    queue = Queue(runs_dir())
    change(queue, _find(queue, options.run_name))
    return _list(options)


def _find(queue: Queue, name: str) -> str:
    """The run that waits by its folder's name, with or without its time, by its title or by its place.

    Raises: RunError if there is none, or several.
    """
    titles = {entry.run: _title(queue, entry) for entry in queue.entries()}
    if name.isdecimal() and 1 <= int(name) <= len(titles):
        return list(titles)[int(name) - 1]
    found = [run for run in titles if run == name] or [run for run, title in titles.items() if title == name]
    if len(found) == 1:
        return found[0]
    if found:
        raise RunError(f"{len(found)} runs that wait are called {name!r}.", remedy=f"Say which: {', '.join(found)}.")
    raise RunError(f"No run {name!r} waits in the queue of {queue.root}.", remedy=_what_is_there(name, titles))


def _title(queue: Queue, entry: QueueEntry) -> str:
    folder = queue.folder(entry.run)
    return titled(folder, read_label(folder))


def _what_is_there(name: str, titles: dict[str, str]) -> str:
    by_name = {called: run for run, title in titles.items() for called in (run, title)}
    if near := difflib.get_close_matches(name, by_name, n=1, cutoff=0.5):
        return f"Did you mean {by_name[near[0]]}?"
    return f"There are {', '.join(titles)}." if titles else "It is empty."


# ------------------------------------------------------------------------------------------------- run


def _run(options: argparse.Namespace) -> int:
    queue = Queue(runs_dir())
    if options.wait:
        return _wait(queue, options)
    queue.keep_going()
    return _list(options)


def _wait(queue: Queue, options: argparse.Namespace) -> int:
    """Stay until nothing is left to start or to run, whatever starts it."""
    ended: dict[str, Status] = {}
    try:
        _follow(queue, ended)
    except KeyboardInterrupt:
        say("The runs go on, and those behind them start, without this command; dit-studio queue lists them.")
        raise
    failed = [run for run, status in ended.items() if status.state in _FAILURES]
    runs = [{"name": run, "state": status.state, "step": status.step, "steps": status.steps,
             "message": status.message} for run, status in ended.items()]  # fmt: skip
    held = sum(entry.is_for_this_machine for entry in queue.entries())
    say(f"Nothing is left to start here. Ended: {len(ended)}, of these failed: {len(failed)}; held: {held}.")
    answer(options, runs=runs, failed=failed)
    return 1 if failed else 0


def _follow(queue: Queue, ended: dict[str, Status]) -> None:
    """Show what goes on; `ended` takes the runs that the queue has seen to their end meanwhile."""
    ticker, going = Ticker(), set[str]()
    while True:
        queue.keep_going()
        ours = [entry.run for entry in queue.listed() if entry.is_for_this_machine and not entry.is_held]
        statuses = {run: queue.folder(run).read_status() for run in ours}
        for run in sorted(going):
            status = queue.folder(run).read_status()
            if run not in ended and not _is_going(status) and status.state is not JobState.IDLE:
                ended[run] = status
                ticker.say(f"{run} {status.state} at step {status.step:,}. {status.message}".rstrip())
        going |= {run for run, status in statuses.items() if _is_going(status)}
        if not any(_is_going(status) for status in statuses.values()):
            return
        ticker.show(_progress(statuses))
        time.sleep(_POLL_SECONDS)


def _is_going(status: Status) -> bool:
    return status.state.is_active or status.state is JobState.QUEUED


def _progress(statuses: dict[str, Status]) -> str:
    running = [f"{run} step {status.step:,}/{status.steps:,}" for run, status in statuses.items()
               if status.state.is_active]  # fmt: skip
    waiting = sum(status.state is JobState.QUEUED for status in statuses.values())
    return ", ".join([*running, f"{waiting} waiting"])
