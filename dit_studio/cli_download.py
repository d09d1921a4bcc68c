"""Published models on the command line: their names in place of a path, and `dit-studio download`."""

import argparse
import sys
from collections.abc import Generator
from pathlib import Path

import msgspec

from dit_studio.cli_job import until_stopped
from dit_studio.cli_output import Ticker, UsageError, answer, say, show
from dit_studio.errors import StudioError
from dit_studio.events import ModelFileInfo, ModelFiles, Progress

_MEGABYTE = 10**6


def model_place(text: str) -> str:
    """Where a published model or VAE lies, by its name: "facebook/DiT-XL-2-256"; a path stays as it is.

    Raises: CheckpointError for a published name that is not on this machine; says how to get it.
    """
    from dit_studio.engine.pretrained import find_published, is_published, need_published

    if Path(text).expanduser().exists():
        return text
    return str(need_published(text) if is_published(text) else find_published(text) or text)


def add_download_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", metavar="NAME", help="as --list has it: facebook/DiT-XL-2-256")
    parser.add_argument("--list", action="store_true", dest="is_list", help="list what there is, and end")
    parser.add_argument("--yes-licence", action="store_true", help="agree to the licence, which is shown all the same")


def run_download(options: argparse.Namespace) -> int:
    """Fetch what is named, once its licence is agreed to, and return the exit status."""
    from dit_studio.engine.model_files.job import download_file, list_files

    if not options.name and not options.is_list:
        raise UsageError("download takes a NAME; --list lists them.")
    files = _last(list_files(), Ticker())
    if options.is_list:
        for info in files.files:
            say(_line(info))
        answer(options, files=files.files)
        return 0
    info = _named(files, options.name)
    if not _is_here(info):
        _agree(info, options)
        ticker = Ticker()
        info = _named(_last(download_file(info.name, accepts_licence=True), ticker), info.name)
    say(f"{info.name} is here: {info.path}")
    answer(options, file=info)
    return 0


def _last(events: Generator[Progress | ModelFiles, None, None], ticker: Ticker) -> ModelFiles:
    """What a job names at its end; how far it is is shown in megabytes."""
    files: ModelFiles | None = None
    for event in until_stopped(events):
        if isinstance(event, ModelFiles):
            files = event
        elif isinstance(event, Progress) and event.unit == "bytes":
            show(_in_megabytes(event), ticker, 0)
    assert files is not None
    return files


def _in_megabytes(progress: Progress) -> Progress:
    total = None if progress.total is None else progress.total // _MEGABYTE
    return msgspec.structs.replace(
        progress, done=progress.done // _MEGABYTE, total=total, unit="MB", rate=progress.rate / _MEGABYTE
    )


def _named(files: ModelFiles, name: str) -> ModelFileInfo:
    """Raises: StudioError if there is none of that name."""
    for info in files.files:
        if name in (info.name, info.name.rpartition("/")[2]):
            return info
    known = ", ".join(info.name for info in files.files)
    raise StudioError(f'There is nothing called "{name}" in the list.', remedy=f"There are {known}.")


def _is_here(info: ModelFileInfo) -> bool:
    return info.condition in ("verified", "unverified")


def _line(info: ModelFileInfo) -> str:
    """ "facebook/DiT-XL-2-256  model  3,334 MB  missing  CC BY-NC 4.0 (non-commercial)"."""
    size = f"{info.size_bytes / _MEGABYTE:,.0f} MB"
    return f"{info.name:<40}{info.role:<11}{size:>9}  {info.condition:<12}{info.licence}"


def _agree(info: ModelFileInfo, options: argparse.Namespace) -> None:
    """Show the licence, and ask where it has terms. Raises: StudioError if nobody agrees."""
    address = f", {info.licence_url}" if info.licence_url else ""
    say(f"{info.name} is under {info.licence}{address}. {info.terms}".rstrip())
    if not info.terms or options.yes_licence:
        return
    if sys.stdin.isatty():
        say("Do you agree? Type yes to go on.")
        if sys.stdin.readline().strip().casefold() in ("y", "yes"):
            return
    raise StudioError(
        f"Nothing was fetched: nobody agreed to the licence of {info.name}.", remedy="To agree, add --yes-licence."
    )
