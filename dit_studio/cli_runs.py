"""`dit-studio runs`: what runs there are, what they are called, and a run as one file."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dit_studio import figures
from dit_studio.cli_acts import acts_of
from dit_studio.cli_job import follow
from dit_studio.cli_output import Ticker, UsageError, answer, say
from dit_studio.errors import RunError
from dit_studio.jobs.archive_format import SUFFIX
from dit_studio.jobs.run_archive import CHECKPOINTS, export_run, import_run
from dit_studio.jobs.run_filter import data_name, matches
from dit_studio.jobs.run_folder import RunFolder
from dit_studio.jobs.run_label import Label, change_label, read_label, tags_in, titled, with_tags
from dit_studio.jobs.run_list import RunSummary, list_runs
from dit_studio.places import runs_dir

_RUN = "a run's name or folder"


def add_runs_options(parser: argparse.ArgumentParser) -> None:
    _add_list_options(parser)
    parser.set_defaults(act=_list)
    act = acts_of(parser, "list|export|import|rename|tag|untag|archive|unarchive")

    _add_list_options(act("list", _list, "list the runs, the newest first"), default=argparse.SUPPRESS)
    export = act("export", _export, f"write a run as one {SUFFIX} file")
    export.add_argument("run_name", metavar="RUN", help=_RUN)
    export.add_argument("file", type=Path, metavar="FILE")
    export.add_argument("--checkpoints", choices=CHECKPOINTS, default="all", help="which go along (default: all)")
    imported = act("import", _import, f"unpack a {SUFFIX} file as a run")
    imported.add_argument("file", type=Path, metavar="FILE")
    imported.add_argument("--into", type=Path, metavar="DIR", help="the folder of runs (default: where runs are kept)")
    rename = act("rename", _rename, "call a run something else; its folder stays")
    rename.add_argument("run_name", metavar="RUN", help=_RUN)
    rename.add_argument("title", metavar="NAME", help='"" gives back the name of its folder')
    for name, run, text in (("tag", _tag, "give a run tags"), ("untag", _untag, "take tags from a run")):
        added = act(name, run, text)
        added.add_argument("run_name", metavar="RUN", help=_RUN)
        added.add_argument("tags", nargs="+", metavar="TAG")
    for name, is_archived, text in (
        ("archive", True, "put runs away: they are listed with --archived alone"),
        ("unarchive", False, "take runs back out of the archive"),
    ):
        added = act(name, _archive, text)
        added.set_defaults(is_archived=is_archived)
        added.add_argument("run_names", nargs="+", metavar="RUN", help=_RUN)


def run_runs(options: argparse.Namespace) -> int:
    """Do what is asked, and return the exit status."""
    status: int = options.act(options)
    return status


def _add_list_options(parser: argparse.ArgumentParser, **default: Any) -> None:
    hint = 'words that all occur in name, tags, data set or state; or "tag:a", "data:b", "state:failed"'
    parser.add_argument("--filter", metavar="TEXT", help=hint, **(default or {"default": ""}))
    parser.add_argument("--archived", action="store_true", help="archived runs, too", **default)


# ------------------------------------------------------------------------------------------------- list


def _list(options: argparse.Namespace) -> int:
    runs = [run for run in list_runs(runs_dir()) if options.archived or not run.label.is_archived]
    found = [run for run in runs if matches(run, options.filter)]
    for run in found:
        say(_line(run))
    if not found:
        say(f"No run below {runs_dir()}" + (f" fits {options.filter!r}." if options.filter else "."))
    answer(options, runs=[_as_values(run) for run in found])
    return 0


def _line(run: RunSummary) -> str:
    """ "digits-XXS  finished  2,000/2,000  loss 0.05012  FID-random-256 12.3  digits  #ablation"."""
    status = run.status
    parts = [
        f"{run.title:<32} {status.state:<12} {f'{status.step:,}/{status.steps:,}':>16}",
        f"loss {figures.number(status.loss)}" if status.loss is not None else "",
        f"{status.metric} {figures.number(status.metric_value)}" if status.metric_value is not None else "",
        data_name(run),
        " ".join(f"#{tag}" for tag in run.label.tags),
        "archived" if run.label.is_archived else "",
        run.problem,
    ]
    return "  ".join(part for part in parts if part)


def _as_values(run: RunSummary) -> dict[str, Any]:
    status, label = run.status, run.label
    return {
        "name": run.folder.name, "title": run.title, "path": str(run.folder.path), "state": status.state,
        "step": status.step, "steps": status.steps, "loss": status.loss, "validation_loss": status.validation_loss,
        "metric": status.metric, "metric_value": status.metric_value, "data": data_name(run), "tags": label.tags,
        "is_archived": label.is_archived, "note": label.note, "started": status.started, "seconds": status.seconds,
        "devices": status.devices, "processes": status.processes, "message": status.message, "problem": run.problem,
    }  # fmt: skip


# ------------------------------------------------------------------------------------------------- one run


def _find(name: str) -> RunFolder:
    """The run of a folder, or of a name or title below the runs. Raises: RunError if there is none, or several."""
    for path in (Path(name).expanduser(), runs_dir() / name):
        if RunFolder(path).is_run():
            return RunFolder(path.absolute())
    called = [run.folder for run in list_runs(runs_dir()) if run.title == name]
    if len(called) == 1:
        return called[0]
    if called:
        folders = ", ".join(folder.name for folder in called)
        raise RunError(f"{len(called)} runs are called {name!r}.", remedy=f"Say which: {folders}.")
    raise RunError(f"There is no run {name!r} below {runs_dir()}.", remedy="dit-studio runs --archived lists them.")


def _export(options: argparse.Namespace) -> int:
    folder = _find(options.run_name)
    (written,) = follow(export_run(str(folder.path), str(options.file), options.checkpoints), Ticker())
    say(f"wrote {written.file} ({written.size_bytes / 1e6:,.1f} MB).")
    answer(options, file=written.file, size_bytes=written.size_bytes, note=written.note)
    return 0


def _import(options: argparse.Namespace) -> int:
    (written,) = follow(import_run(str(options.file), str(options.into or runs_dir())), Ticker())
    say(f"The run is here: {written.file}")
    answer(options, run=written.file, size_bytes=written.size_bytes, note=written.note)
    return 0


def _rename(options: argparse.Namespace) -> int:
    folder = _find(options.run_name)
    return _tell(options, [(folder, change_label(folder, title=options.title))])


def _tag(options: argparse.Namespace) -> int:
    folder = _find(options.run_name)
    return _tell(options, [(folder, change_label(folder, tags=with_tags(read_label(folder), _tags(options))))])


def _untag(options: argparse.Namespace) -> int:
    folder = _find(options.run_name)
    label, gone = read_label(folder), _tags(options)
    return _tell(options, [(folder, change_label(folder, tags=with_tags(label, (), without=gone)))])


def _archive(options: argparse.Namespace) -> int:
    folders = [_find(name) for name in options.run_names]  # all are there before one is changed
    is_archived = options.is_archived
    return _tell(options, [(folder, change_label(folder, is_archived=is_archived)) for folder in folders])


def _tags(options: argparse.Namespace) -> tuple[str, ...]:
    """Raises: UsageError if there is none among the words."""
    tags = tags_in(options.tags)
    if not tags:
        raise UsageError(f"{' '.join(options.tags)!r} holds no tag.")
    return tags


def _tell(options: argparse.Namespace, changed: Sequence[tuple[RunFolder, Label]]) -> int:
    for folder, label in changed:
        tags = "".join(f" #{tag}" for tag in label.tags)
        say(f"{folder.name}: {titled(folder, label)}{tags}{' (archived)' if label.is_archived else ''}")
    answer(options, runs=[{"name": folder.name, "title": titled(folder, label), "tags": label.tags,
                           "is_archived": label.is_archived} for folder, label in changed])  # fmt: skip
    return 0
