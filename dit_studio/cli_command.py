"""`dit-studio command`: the line that starts a recipe on many devices and hosts, or a SLURM script that does."""

import argparse
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from dit_studio.cli_output import answer, say
from dit_studio.config import load_recipe
from dit_studio.device_names import PROCESSOR, kind_of, named
from dit_studio.errors import StudioError
from dit_studio.events import CheckStatus
from dit_studio.jobs.command_checks import command_checks
from dit_studio.jobs.slurm import Turn, slurm_script
from dit_studio.jobs.torchrun import MOST_DEVICES, MOST_HOSTS, PORT, Cluster, command_line


def add_command_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("recipe", type=Path, metavar="RECIPE.toml", help="on a disk that every host sees")
    parser.add_argument("--out", required=True, type=Path, metavar="RUN", help="the run folder, on such a disk too")
    add = parser.add_argument
    add("--hosts", type=_within(1, MOST_HOSTS), default=1, metavar="N", help="machines (default: 1)")
    add("--least-hosts", type=_within(1, MOST_HOSTS), default=0, metavar="N", help="go on with so many (default: all)")
    add("--devices", type=_within(1, MOST_DEVICES), default=1, metavar="N", help="of each host (default: 1)")
    add(
        "--head",
        default="",
        metavar="HOST",
        help="where the hosts meet (default: this machine; with --slurm: the first)",
    )
    add("--port", type=_within(1, 65_535), default=PORT, metavar="N", help=f"of that host (default: {PORT})")
    add("--restarts", type=_within(0, 1000), default=3, metavar="N", help="after a failure (default: 3)")
    add("--slurm", action="store_true", help="print a script for sbatch instead of a line")
    add("--hours", type=_within(1, 24 * 365), default=24, metavar="N", help="with --slurm: of a turn (default: 24)")
    add("--cores", type=_within(1, 1024), default=0, metavar="N", help="with --slurm: of a host (default: 8 a device)")


def run_command(options: argparse.Namespace) -> int:
    """Print the line or the script, and return the exit status."""
    file, out = _whole(options.recipe), _whole(options.out)
    recipe = load_recipe(file)
    cluster = Cluster(
        hosts=options.hosts, least_hosts=options.least_hosts, devices=options.devices,
        head=options.head or socket.gethostname(), port=options.port, restarts=options.restarts,
    )  # fmt: skip
    checks = command_checks(recipe, str(file), str(out), cluster)
    for check in checks:
        if check.status is CheckStatus.FAILED:
            raise StudioError(check.message, remedy=check.remedy)
        say(f"{check.status}: {check.message} {check.remedy}".rstrip())
    turn = Turn(
        hours=options.hours,
        cores=options.cores or 8 * options.devices,
        has_gpus=kind_of(named(recipe.train.device)[0]) != PROCESSOR,
    )
    text = slurm_script(file, out, cluster, turn) if options.slurm else command_line(file, out, cluster) + "\n"
    if not options.json:
        sys.stdout.write(text)
    answer(options, **{"script" if options.slurm else "command": text.rstrip()}, checks=msgspec.to_builtins(checks))
    return 0


def _whole(path: Path) -> Path:
    return path.expanduser().absolute()


def _within(least: int, most: int) -> Callable[[str], int]:
    """Takes a whole number in a range."""

    def take(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text} is not possible: it takes {least:,} to {most:,}.")
        return int(text)

    return take
