"""Images that a model draws to be measured, kept so that the same ones are never drawn twice.

<evaluations>/drawn/<key>/       000000.png … with their settings inside, and labels.csv: a data set
<evaluations>/drawn/<key>.json   their `SampleRecord`, written when all are there
<evaluations>/drawn/<key>.lock   held by who draws
"""

import csv
import hashlib
import io
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from dit_studio.config import load_recipe
from dit_studio.engine import device as devices
from dit_studio.engine.checkpoint import LatentSpace, ModelDescription, list_checkpoints, read_description, weights_file
from dit_studio.engine.export.png import encode_png
from dit_studio.engine.latents_vae import vae_of
from dit_studio.engine.sample_checks import check_request
from dit_studio.engine.sampling import Samples
from dit_studio.engine.several_devices import Underway, draw_on, load_several
from dit_studio.engine.solvers import samplers_for
from dit_studio.engine.warm_model import WarmModel, fingerprint
from dit_studio.errors import CheckpointError, ConfigError, Problem, RunError
from dit_studio.evaluation_plan import DRAWN
from dit_studio.evaluation_request import EvaluationRequest
from dit_studio.events import Event, Notice, Progress
from dit_studio.files import naming_disk_errors, remove_leftovers, write_atomically
from dit_studio.locks import locked
from dit_studio.opened_models import foreign_kind
from dit_studio.places import evaluations_dir
from dit_studio.sample_request import SampleRecord, SampleRequest

USUAL_COUNT = 1000  # images, where nobody says how many
_LEAST = 2
_MODEL_FILES = ("run.toml", "ema.safetensors", "model.safetensors", "model_index.json")
_MODEL_SUFFIXES = frozenset({".safetensors", ".pt", ".pth", ".ckpt", ".bin"})
_STAGE = "Drawing images"


def is_model(path: Path) -> bool:
    """A run, a checkpoint (perhaps a former one), a file of weights or a diffusers folder, and no images."""
    if path.suffix.lower() in _MODEL_SUFFIXES or any((path / name).is_file() for name in _MODEL_FILES):
        return True
    if foreign_kind(path):  # a transformer alone
        return True
    was_checkpoint = path.parent.name == "checkpoints" and path.name.startswith("step-")
    return was_checkpoint or bool(list_checkpoints(path))


def run_of(path: Path) -> Path | None:
    """The run that a model at an absolute path belongs to: itself, or the one whose checkpoint it is."""
    for folder in (path, path.parent.parent, path.parent.parent.parent):
        if (folder / "run.toml").is_file() or list_checkpoints(folder):
            return folder
    return None


# ------------------------------------------------------------------------------------------------- what is drawn


def usual_sample(path: Path, model: ModelDescription) -> SampleRequest:
    """As the run's own previews are drawn, the classes in turn; what the model does not do is left out."""
    samplers = samplers_for(model.diffusion.objective)
    settings = SampleRequest(sampler=samplers[0], cfg=2.0, count=USUAL_COUNT)
    run = run_of(path.absolute())
    if run is not None and (run / "run.toml").is_file():
        with suppress(ConfigError):  # a recipe of another version says nothing that is needed
            own = load_recipe(run / "run.toml").sample
            settings = msgspec.structs.replace(
                settings, sampler=own.sampler, steps=own.steps, cfg=own.cfg, seed=own.seed
            )
    return msgspec.structs.replace(
        settings,
        classes=tuple(range(model.num_classes)),
        sampler=settings.sampler if settings.sampler in samplers else samplers[0],
        steps=min(settings.steps, model.diffusion.timesteps),
        cfg=settings.cfg if model.class_dropout_prob else 1.0,
    )


def sample_of(request: EvaluationRequest) -> SampleRequest:
    """What a model is to draw: what the request says, else as its run does, as many images as are to be measured.

    Raises: ConfigError if the model cannot draw that; CheckpointError if it cannot be read.
    """
    path = Path(request.fake).expanduser()
    if not path.exists():
        raise CheckpointError(f"{path} does not exist any more.", remedy="Choose a checkpoint that is still there.")
    file = weights_file(path, request.model_weights)
    model = read_description(file)
    check_draws_pixels(file, model)
    if request.sample is None:
        return msgspec.structs.replace(usual_sample(path, model), count=request.count or USUAL_COUNT)
    check_request(request.sample, model)
    if request.sample.count < _LEAST:
        message = (
            f"request.count = {request.sample.count} is not possible: a comparison needs at least {_LEAST} images."
        )
        raise ConfigError([Problem("request.count", message, request.sample.count)])
    return request.sample


def check_draws_pixels(file: Path, model: ModelDescription) -> None:
    """Raises: CheckpointError, also if the VAE of a model in latents is not here."""
    if model.latents is not None:
        vae_of(model.latents)
    elif model.in_channels not in (1, 3):
        raise CheckpointError(
            f"{file} draws latents of {model.in_channels} channels, which only a decoder turns into images.",
            remedy="Choose a model of pixels, or a folder of decoded images.",
        )


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """Images on the disk, and the settings that they were drawn with."""

    folder: Path
    sample: SampleRequest


def draw_for(request: EvaluationRequest, *, device: str = "auto") -> Generator[Event, None, Drawn]:
    """The images of the request's model: those that are there, else drawn now, from where it was stopped.

    Closed early it keeps those that are finished. Raises: ConfigError, CheckpointError, DiskFullError or RunError.
    """
    asked = sample_of(request)
    path = Path(request.fake).expanduser()
    file = weights_file(path, request.model_weights)  # a run that goes on training has another newest one soon
    place = _place(file, request.model_weights, asked, device, read_description(file).latents)
    with naming_disk_errors(place):
        place.mkdir(parents=True, exist_ok=True)
    with _only_drawer(place):
        remove_leftovers(place)
        there = _images_there(place)
        if there < asked.count or not _done_file(place).is_file():
            last = min(there, asked.count - 1)
            first = last // asked.batch_size * asked.batch_size  # the same batches give the same images to the bit
            if first:
                yield Notice(message=f"{_STAGE}: {first:,} of {asked.count:,} are kept from before; going on.")
            models = yield from load_several(
                str(file.parent if path.is_dir() else file), request.model_weights, device=device
            )
            yield from _draw(models, asked, place, first)
    return Drawn(folder=place, sample=asked)


def _place(file: Path, weights: str, asked: SampleRequest, device: str, latents: LatentSpace | None) -> Path:
    """The folder of these images: named by everything that decides how they look."""
    on = devices.pick_device(device, setting="device")
    parts = [
        fingerprint(file),
        weights,
        msgspec.json.encode(asked).decode(),
        devices.pick_precision(on).name,
        on.type,
        *([msgspec.json.encode(latents).decode()] if latents else []),
    ]
    return evaluations_dir() / DRAWN / hashlib.blake2b("\0".join(parts).encode(), digest_size=8).hexdigest()


def _done_file(place: Path) -> Path:
    return place.with_suffix(".json")


@contextmanager
def _only_drawer(place: Path) -> Iterator[None]:
    """Raises: RunError if somebody else draws the same."""
    with locked(place.with_suffix(".lock")) as is_ours:
        if not is_ours:
            raise RunError(
                f"The images in {place} are being drawn by another evaluation.", remedy="Wait until it has ended."
            )
        yield


def _images_there(place: Path) -> int:
    """How many of the first images are there without a gap."""
    names = {file.name for file in place.iterdir()}
    count = 0
    while _name(count) in names:
        count += 1
    return count


def _name(image: int) -> str:
    return f"{image:06d}.png"


def _draw(models: Sequence[WarmModel], asked: SampleRequest, place: Path, first: int) -> Generator[Event, None, None]:
    record, started = models[0].record(asked), time.monotonic()
    turn = first % len(asked.classes)
    rest = msgspec.structs.replace(
        asked,
        seed=asked.seed + first,
        count=asked.count - first,
        classes=asked.classes[turn:] + asked.classes[:turn],
    )
    with closing(draw_on(models, rest)) as drawing:
        for done in drawing:
            match done:
                case Samples():
                    _keep(done, record, place, first)
                    yield _progress(first, done.first_image + len(done.images), asked.count, started)
                case Underway(made=made):
                    yield _progress(first, made, asked.count, started)
                case Notice():
                    yield done
    _write_labels(place, record)
    write_atomically(_done_file(place), msgspec.json.encode(record))


def _keep(samples: Samples, record: SampleRecord, place: Path, first: int) -> None:
    for image, pixels in enumerate(samples.images, start=first + samples.first_image):
        write_atomically(place / _name(image), encode_png(pixels.permute(1, 2, 0).numpy(), record, image))


def _progress(first: int, made: float, count: int, started: float) -> Progress:
    rate = made / max(1e-9, time.monotonic() - started)
    return Progress(stage=_STAGE, done=int(first + made), total=count, unit="images", rate=rate)


def _write_labels(place: Path, record: SampleRecord) -> None:
    """labels.csv, which makes the folder a data set with the model's classes."""
    text = io.StringIO()
    rows = ((_name(image), record.class_of(image)) for image in range(record.request.count))
    csv.writer(text).writerows([("file", "label"), *rows])
    write_atomically(place / "labels.csv", text.getvalue().encode("utf-8", "replace"))
