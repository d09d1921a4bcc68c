"""`dit-studio report`: evaluations of the history as one file to hand on."""

import argparse
from pathlib import Path

from dit_studio.cli_job import follow
from dit_studio.cli_output import Ticker, answer, say


def add_report_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folders", nargs="+", metavar="FOLDER", help="an entry of the Evaluate page, or what --keep made"
    )
    parser.add_argument(
        "--out", required=True, type=Path, metavar="FILE", help="report.html, figures.csv or everything.json"
    )


def run_report(options: argparse.Namespace) -> int:
    """Write the report, and return the exit status."""
    from dit_studio.engine.evaluation.report.job import report

    (written,) = follow(report(options.folders, str(options.out)), Ticker())
    say(f"wrote {written.file} ({written.size_bytes / 1e3:,.0f} kB).")
    answer(options, file=written.file, size_bytes=written.size_bytes, note=written.note)
    return 0
