"""Training on the command line: in this process, or in several that torchrun starts and this one follows."""

from collections.abc import Iterator
from pathlib import Path

from dit_studio.config import Recipe, recipe_to_tables, resolve
from dit_studio.device_names import named
from dit_studio.errors import RunError
from dit_studio.events import CaughtUp, Event
from dit_studio.jobs import end_now, orphans, ranks, training
from dit_studio.jobs.run_folder import RunFolder

_MOST_NAMED = 3  # differences in a sentence


def training_events(folder: RunFolder, *, resume: bool) -> Iterator[Event]:
    """The events of a run, from now on, until it ends. A recipe that names several devices takes a process on each."""
    if ranks.is_under_torchrun():
        orphans.end_when_orphaned(folder)
    elif len(named(folder.recipe().train.device)) > 1:
        return _followed(folder, resume=resume)
    return training.run(folder, resume=resume)


def _followed(folder: RunFolder, *, resume: bool) -> Iterator[Event]:
    process = training.start_worker(folder, resume=resume)
    is_new = False
    try:
        for event in training.follow(folder, process=process):
            if event is not None and is_new:
                yield event
            is_new = is_new or isinstance(event, CaughtUp)
    finally:
        if process.poll() is None:  # whoever pressed Ctrl-C twice wants an end
            end_now.end_now(folder)
            process.terminate()
        process.wait()


def check_same_settings(recipe: Recipe, there: Recipe, out: Path) -> None:
    """Raises: RunError that names what differs between a recipe and that of the run which is to go on."""
    now, then = recipe_to_tables(resolve(recipe)), recipe_to_tables(resolve(there))
    differences = [
        f"{section}.{name} = {value} now, {then[section].get(name)} there"
        for section, settings in now.items()
        if section != "about"
        for name, value in settings.items()
        if value != then[section].get(name)
    ]
    if differences:
        more = f" and {len(differences) - _MOST_NAMED} more" if len(differences) > _MOST_NAMED else ""
        raise RunError(
            f"{out} holds a run with other settings: {'; '.join(differences[:_MOST_NAMED])}{more}.",
            remedy="Put them back to go on with it, choose another --out, or use --resume RUN with --set.",
        )
