"""`dit-studio evaluate --save-statistics`: the reference's statistics, so that nobody has to read its images again."""

import argparse
from typing import Any

import msgspec

from dit_studio.cli_evaluate_plan import request_of
from dit_studio.cli_job import follow
from dit_studio.cli_output import Ticker, UsageError, answer, say

_NOTHING = "nothing"  # stands for generated images, which statistics do not need


def save_reference(options: argparse.Namespace) -> int:
    """Write the file, and return the exit status. Raises: UsageError without --real."""
    from dit_studio.engine.evaluation.statistics_job import save_statistics

    if not options.real:
        raise UsageError("--save-statistics takes the reference: add --real. See dit-studio evaluate --help.")
    if options.fake:
        raise UsageError("--save-statistics saves those of --real and measures nothing: leave out --fake.")
    request: dict[str, Any] = msgspec.to_builtins(request_of(options, _NOTHING))
    (written,) = follow(save_statistics(request, str(options.save_statistics), options.device), Ticker())
    say(f"wrote {written.file} ({written.size_bytes / 1e3:,.0f} kB).")
    answer(options, file=written.file, size_bytes=written.size_bytes, images=written.images, note=written.note)
    return 0
