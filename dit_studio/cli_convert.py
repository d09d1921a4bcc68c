"""`dit-studio convert`: a model in the names of the published code, as a diffusers folder, or as a file of our own."""

import argparse
from pathlib import Path

from dit_studio.cli_download import model_place
from dit_studio.cli_job import follow
from dit_studio.cli_models import add_assume_option, open_foreign
from dit_studio.cli_output import Ticker, answer, say
from dit_studio.errors import RunError


def add_convert_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "model", type=model_place, metavar="MODEL",
        help="a run, a checkpoint, a published file or name, or a diffusers folder",
    )  # fmt: skip
    add("dest", metavar="DEST", help="the file to write, .pt or .safetensors; of diffusers a new folder")
    add("--format", required=True, choices=["facebook", "diffusers", "studio"], help="in whose names")
    add("--weights", choices=["ema", "raw"], default="ema", help="averaged or raw (default: ema)")
    add("--overwrite", action="store_true", help="write over a file that is there")
    add_assume_option(parser)


def _check_free(dest: Path, model: Path, *, may_overwrite: bool) -> None:
    """Raises: RunError if a file lies there; of the model itself and of folders the job says so."""
    if dest.is_file() and not may_overwrite and dest.resolve() != model.resolve():
        raise RunError(f"{dest} is there already.", remedy="Choose another name, or write over it with --overwrite.")


def run_convert(options: argparse.Namespace) -> int:
    """Write the model, and return the exit status."""
    from dit_studio.engine.export_model import convert_model

    _check_free(Path(options.dest).expanduser(), Path(options.model).expanduser(), may_overwrite=options.overwrite)
    open_foreign(options.model, options.assume)
    ticker = Ticker()
    (written,) = follow(convert_model(options.model, options.weights, options.dest, options.format), ticker)
    say(f"wrote {written.file} ({written.size_bytes / 1e6:,.1f} MB).")
    answer(
        options, file=str(Path(written.file)), format=options.format, size_bytes=written.size_bytes, note=written.note
    )
    return 0
