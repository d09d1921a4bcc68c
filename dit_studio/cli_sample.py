"""`dit-studio sample`: everything of the Sample page that needs no mouse."""

import argparse
import time
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from dit_studio.cli_branch import read_branch
from dit_studio.cli_download import model_place
from dit_studio.cli_job import follow, saying_what_is_kept
from dit_studio.cli_models import add_assume_option, open_foreign
from dit_studio.cli_out import check_folder, clear_folder
from dit_studio.cli_output import Ticker, UsageError, answer, say, show
from dit_studio.config import fields_of
from dit_studio.device_names import first_named, named
from dit_studio.errors import ConfigError, Problem, StudioError
from dit_studio.events import Event
from dit_studio.fields import Field, check_value
from dit_studio.image_settings import FoundSettings, read_settings
from dit_studio.npz_count import StoppedNpz
from dit_studio.sample_request import BranchPoint, SampleRequest
from dit_studio.sweep import check_axes
from dit_studio.sweep_text import parse_axis

if TYPE_CHECKING:
    from dit_studio.engine.warm_model import WarmModel

_MEMORY_BYTES = 512 * 2**20  # of a trajectory that is being drawn; beyond it is written as it comes
_FILM_IMAGES = 4
_PRECISIONS = ("bf16", "fp16", "fp32")
_OPTIONS = fields_of("request")
_OWN_DEFAULTS = {
    "cfg": "2, or 1 for a model without a null class",
    "count": "one a class",
    "sampler": "the first that suits the model",
}


def add_sample_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "model", type=model_place, metavar="MODEL",
        help="a run, a checkpoint, a published file or name, or a diffusers folder",
    )  # fmt: skip
    add_assume_option(parser)
    add("--classes", metavar="0,3", help="numbers or names, taken in turn (default: all)")
    add_settings(add, {field.name: field for field in _OPTIONS})
    add("--weights", choices=["ema", "raw"], help="averaged or raw (default: ema)")
    add(
        "--like",
        type=_path,
        metavar="IMAGE.png",
        help="draw an image again, with its settings; other options go before",
    )
    add("--out", type=_path, metavar="DIR", help="a folder for the PNG files")
    add("--overwrite", action="store_true", help="clear what was drawn into the folder before")
    add("--npz", type=_path, metavar="FILE", help="write an NPZ for evaluators instead of PNG files")
    add("--branch", metavar="DIR:IMAGE:STEP", help="go on from a step of an image that --trajectory kept beside --out")
    add("--trajectory", action="store_true", help="keep every step, and draw an evolution sheet (PNG, PDF) and a GIF")
    add(
        "--sweep", action="append", default=[], metavar="cfg=1,4,7", type=str,
        help="draw every combination of values; up to three times: cfg, steps, sampler, class, seed, checkpoint, "
        "weights, interval; ranges as 1-10, 1-10 (+3) or 1-10 [4]",
    )  # fmt: skip
    add(
        "--device",
        default="auto",
        metavar="NAME",
        help="of those that doctor names, several with commas (default: the best)",
    )
    add("--precision", choices=["auto", *_PRECISIONS], help="of products (default: auto)")


def add_settings(
    add: Callable[..., object], fields: Mapping[str, Field], *, defaults: Mapping[str, str] = _OWN_DEFAULTS
) -> None:
    """An option for each setting of a drawing, by the name that it has among the options."""
    for name, field in fields.items():
        add(f"--{name.replace('_', '-')}", metavar=_metavar(field), help=_help(field, defaults))


def _path(text: str) -> Path:
    if not text.strip():
        raise argparse.ArgumentTypeError("the name is empty; . is the folder that you are in.")
    return Path(text)


def _metavar(field: Field) -> str:
    return {int: "N", float: "X"}.get(field.type, "NAME")


def _help(field: Field, defaults: Mapping[str, str]) -> str:
    default = defaults.get(field.name, "none" if field.default is None else field.default)
    return f"{field.description} {field.range_text.capitalize()} (default: {default})".replace("%", "%%")


def run_sample(options: argparse.Namespace) -> int:
    """Draw what is asked for, and return the exit status."""
    _check_usage(options)
    open_foreign(options.model, options.assume)
    axes = [parse_axis(text) for text in options.sweep]
    if axes:
        check_axes(axes, model=options.model)
    found = _like(options.like) if options.like else None
    branch, left = read_branch(options.branch, out=options.out) if options.branch else (None, {})
    settings = (
        left
        | (found.of_this_image() if found else {})
        | typed_settings(options, {field.name: field for field in _OPTIONS})
    )
    if options.out is not None:
        check_folder(options.out, is_sweep=bool(axes), may_overwrite=options.overwrite)
    ticker, started = Ticker(), time.monotonic()
    warm = _load(options, found, ticker)
    request = _request(options, settings, warm)
    if options.overwrite and options.out is not None:
        clear_folder(options.out)
    if axes:
        extra = _sweep(options, request, [msgspec.to_builtins(axis) for axis in axes], ticker)
    elif options.npz:
        extra = _npz(options, request, ticker)
    elif options.trajectory or branch:
        extra = _trajectory(options, request, warm, ticker, branch)
    else:
        extra = _images(options, request, ticker)
    seconds, place = time.monotonic() - started, options.npz or options.out
    ticker.say(f"{extra.get('drawn', request.count):,} images in {place} ({seconds:.1f} s).")
    answer(
        options, out=str(place), count=request.count, classes=list(request.classes), seed=request.seed,
        sampler=request.sampler, steps=request.steps, cfg=request.cfg, model=str(warm.loaded.path),
        step=warm.reference.step, weights=warm.reference.weights, seconds=round(seconds, 3),
        device=str(warm.device), precision=warm.precision.name, **extra,
    )  # fmt: skip
    return 1 if extra.get("failed") else 0


def _check_usage(options: argparse.Namespace) -> None:
    if options.npz is None and options.out is None:
        raise UsageError("sample takes --out DIR, or --npz FILE.")
    if options.npz is not None and (options.out is not None or options.trajectory or options.sweep):
        raise UsageError("--npz writes an NPZ and nothing else: leave out --out, --trajectory and --sweep.")
    if options.npz is not None and (options.npz.suffix.lower() != ".npz" or options.npz.is_dir()):
        what = "is a folder" if options.npz.is_dir() else "does not end in .npz"
        raise UsageError(f"--npz {options.npz} {what}: choose another name.")
    if options.branch and (options.out is None or options.sweep):
        raise UsageError("--branch takes --out DIR, and neither --npz nor --sweep.")
    if len(named(options.device)) > 1 and (options.trajectory or options.branch):
        raise UsageError("--trajectory and --branch keep the steps of one device: name one, or leave them out.")
    if options.trajectory and options.sweep:
        raise UsageError("--sweep keeps no steps: leave out --trajectory.")


# ------------------------------------------------------------------------------------------------- what is asked for


def typed_settings(options: argparse.Namespace, fields: Mapping[str, Field]) -> dict[str, Any]:
    """The settings that are typed, each within the widest limits. Raises: ConfigError with all that are not."""
    given: dict[str, Any] = {}
    problems: list[Problem] = []
    for name, field in fields.items():
        if (text := getattr(options, name)) is not None:
            try:
                given[field.name] = check_value(field, _value(field, text))
            except ConfigError as error:
                problems += error.problems
    if problems:
        raise ConfigError(problems)
    return given


def _request(options: argparse.Namespace, settings: dict[str, Any], warm: "WarmModel") -> SampleRequest:
    """Defaults, and over them the settings of --like and the options. Raises: ConfigError."""
    from dit_studio.engine.sample_checks import check_request
    from dit_studio.engine.sample_files import choose_classes
    from dit_studio.engine.solvers import samplers_for

    config = warm.loaded.config
    defaults: dict[str, Any] = {
        "cfg": 2.0 if config.class_dropout_prob else 1.0,
        "sampler": samplers_for(config.diffusion.objective)[0],
    }
    settings = defaults | settings
    if options.classes is not None or "classes" not in settings:
        settings["classes"] = choose_classes(options.classes or "", config)
    request = SampleRequest(**{"count": len(settings["classes"]), **settings})
    check_request(request, config)
    return request


def _value(field: Field, text: str) -> Any:
    """A number whatever its size, as the model says what its limits are. Raises: ConfigError if it is none."""
    try:
        return field.type(text)
    except ValueError:
        return check_value(field, text)


def _like(image: Path) -> FoundSettings:
    """What an image says of itself; what cannot be used of it is said. Raises: DataError."""
    found = read_settings(image)
    for refused in found.refused:
        say(f"{image.name}: {refused.message} Left out.")
    if found.unknown:
        say(f"{image.name}: unknown here and left out: {', '.join(found.unknown)}.")
    if found.is_branch:
        say(f"{image.name} is a branch: its settings alone draw another image.")
    return found


# ------------------------------------------------------------------------------------------------- the ways to draw


def _load(options: argparse.Namespace, found: FoundSettings | None, ticker: Ticker) -> "WarmModel":
    """The model with the weights and in the precision that are asked for, or else those of --like."""
    drawn_by = found.model if found else None
    drawn_in = found.precision if found and found.precision in _PRECISIONS else "auto"
    options.weights = options.weights or (drawn_by.weights if drawn_by else "ema")
    is_typed, options.precision = options.precision is not None, options.precision or drawn_in
    try:
        warm = _load_now(options, ticker)
    except ConfigError:
        if is_typed or drawn_in == "auto":
            raise
        say(f"{options.like.name} was drawn in {drawn_in}, which this device does not do: its image may differ.")
        options.precision = "auto"
        warm = _load_now(options, ticker)
    if drawn_by and drawn_by.fingerprint and drawn_by.fingerprint != warm.reference.fingerprint:
        say(
            f"{options.like.name} was drawn by {drawn_by.name or 'another model'} ({drawn_by.fingerprint}), "
            f"and this is {warm.reference.name} ({warm.reference.fingerprint}): it draws another image."
        )
    return warm


def _load_now(options: argparse.Namespace, ticker: Ticker) -> "WarmModel":
    from dit_studio.engine.warm_model import load_warm

    loading = load_warm(options.model, options.weights, device=first_named(options.device), precision=options.precision)
    while True:
        try:
            show(next(loading), ticker, 0)
        except StopIteration as end:
            warm: WarmModel = end.value
            return warm


def _job_parameters(options: argparse.Namespace, request: SampleRequest) -> dict[str, Any]:
    return {
        "model": options.model,
        "weights": options.weights,
        "request": msgspec.to_builtins(request),
        "device": options.device,
        "precision": options.precision,
    }


def _images(options: argparse.Namespace, request: SampleRequest, ticker: Ticker) -> dict[str, Any]:
    with saying_what_is_kept(options.out, request):
        follow(_drawing(options, request), ticker)
    return {}


def _drawing(options: argparse.Namespace, request: SampleRequest) -> Generator[Event, None, None]:
    from dit_studio.engine.sample_files import save_samples
    from dit_studio.engine.several_devices import load_several

    models = yield from load_several(options.model, options.weights, device=options.device, precision=options.precision)
    yield from save_samples(models, request, options.out)


def _npz(options: argparse.Namespace, request: SampleRequest, ticker: Ticker) -> dict[str, Any]:
    from dit_studio.engine.draw_npz import draw_npz

    stopped = StoppedNpz(options.npz)
    try:
        written = follow(draw_npz(**_job_parameters(options, request), path=str(options.npz)), ticker)
    except (KeyboardInterrupt, StudioError):
        ticker.say(stopped.sentence(request.count))
        raise
    return {"size_bytes": written[0].size_bytes}


def _trajectory(
    options: argparse.Namespace,
    request: SampleRequest,
    warm: "WarmModel",
    ticker: Ticker,
    branch: BranchPoint | None,
) -> dict[str, Any]:
    from dit_studio.engine.export.job import export
    from dit_studio.engine.sample_files import LabelsFile
    from dit_studio.engine.sample_job import draw

    job = draw(
        **_job_parameters(options, request),
        folder=str(options.out),
        branch=None if branch is None else msgspec.to_builtins(branch),
        budget_bytes=_MEMORY_BYTES,
    )
    with saying_what_is_kept(options.out, request), LabelsFile(options.out, warm.record(request)) as labels:
        follow(job, ticker, labels)
    entry: dict[str, Any] = {"entry": str(options.out)}
    film = {**entry, "plane": "both", "images": list(range(min(_FILM_IMAGES, request.count)))}
    wanted: list[tuple[str, str, dict[str, Any]]] = [
        ("sheet", "evolution.png", entry),
        ("sheet", "evolution.pdf", entry),
        ("gif", "evolution.gif", film),
    ]
    files = []
    for kind, name, chosen in wanted:
        file = options.out / "trajectory" / name
        files += [written.file for written in follow(export(kind, str(file), chosen), ticker)]
    return {"files": files}


def _sweep(
    options: argparse.Namespace, request: SampleRequest, axes: list[dict[str, Any]], ticker: Ticker
) -> dict[str, Any]:
    from dit_studio.engine.sweep_job import draw_sweep
    from dit_studio.sweep import open_sweep

    files = follow(draw_sweep(**_job_parameters(options, request), axes=axes, folder=str(options.out)), ticker)
    record = open_sweep(options.out)
    cells = [
        {"folder": cell.folder, "labels": cell.labels, "state": state.state, "message": state.message}
        for cell, state in zip(record.plan.cells, record.states, strict=True)
    ]
    failed = sum(cell["state"] == "failed" for cell in cells)
    drawn = sum(state.images for state in record.states)
    return {"cells": cells, "failed": failed, "files": [written.file for written in files], "drawn": drawn}
