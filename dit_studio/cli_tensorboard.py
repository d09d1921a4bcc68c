"""`dit-studio tensorboard`: runs as TensorBoard's event files."""

import argparse
from pathlib import Path

from dit_studio.cli_job import follow
from dit_studio.cli_output import Ticker, answer, say


def add_tensorboard_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", nargs="+", metavar="RUN", help="a run folder; several are compared")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="gets a folder for each run")


def run_tensorboard(options: argparse.Namespace) -> int:
    """Write the files, and return the exit status."""
    from dit_studio.jobs.tensorboard import export_tensorboard

    (written,) = follow(export_tensorboard(options.runs, str(options.out)), Ticker())
    say(f"wrote {written.file} ({written.size_bytes / 1e6:,.1f} MB); see it with: tensorboard --logdir {written.file}")
    answer(options, file=written.file, size_bytes=written.size_bytes)
    return 0
