"""The model that was used last stays loaded and warm, so that the next image begins to form at once."""

import contextlib
import hashlib
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from dit_studio import __version__
from dit_studio.engine import device as devices
from dit_studio.engine.checkpoint import LoadedModel, load_model, weights_file
from dit_studio.engine.device import Precision
from dit_studio.engine.generators import value_of
from dit_studio.engine.latents_decoding import Decoder, open_decoder
from dit_studio.engine.sampling import Frame, Samples, StartPoint, sample
from dit_studio.engine.solvers import Chain, NoiseSchedule, samplers_for
from dit_studio.errors import CheckpointError, NotFiniteError
from dit_studio.events import Notice, Progress
from dit_studio.opened_models import foreign_kind, name_of, remembered, weight_files
from dit_studio.sample_request import BranchPoint, ModelReference, SampleRecord, SampleRequest

_BLOCKS, _BLOCK_BYTES = 64, 4096
# the file, its size and when it was changed; of another program's, what it means; the device and the number format
_Key = tuple[Path, int, int, tuple[bytes, ...], str, str]


@dataclass(frozen=True, kw_only=True)
class WarmModel:
    """A model on its device, in the number format that suits it, its VAE if it has one, and what it is called."""

    loaded: LoadedModel
    precision: Precision
    reference: ModelReference
    seconds: float  # that it took to load
    decoder: Decoder | None = None  # of a model in latents

    @property
    def device(self) -> torch.device:
        return self.loaded.model.pos_embed.device

    @property
    def pixel_channels(self) -> int:
        """Of what it draws, as it is shown: 1 or 3."""
        channels = self.decoder.image_channels if self.decoder else self.loaded.config.in_channels
        return 1 if channels == 1 else 3

    def draw(
        self, request: SampleRequest, start: StartPoint | None = None
    ) -> Generator[Frame | Samples | Notice, None, None]:
        """As `sampling.sample`."""
        loaded = self.loaded
        return sample(loaded.model, loaded.config, request, precision=self.precision, start=start, decoder=self.decoder)

    def record(self, request: SampleRequest, branch: BranchPoint | None = None) -> SampleRecord:
        """What is kept of images that this model draws now."""
        return SampleRecord(
            request=request,
            model=self.reference,
            branch=branch,
            time=time.time(),
            precision=self.precision.name,
            device=devices.describe(self.device),
            studio_version=__version__,
            torch_version=str(torch.__version__),
        )


_last: dict[_Key, WarmModel] = {}  # one at most


def warm_model(path: str, weights: str, *, device: str = "auto", precision: str = "auto") -> WarmModel:
    """The model of a run, a checkpoint or a file. Raises: CheckpointError, ConfigError."""
    return value_of(load_warm(path, weights, device=device, precision=precision))


def load_warm(
    path: str, weights: str, *, device: str = "auto", precision: str = "auto"
) -> Generator[Progress, None, WarmModel]:
    """The model of a run, a checkpoint or a file; says what it does where that takes time.

    Raises: CheckpointError, also if a checkpoint went away; ConfigError if this machine lacks the device.
    """
    file = weights_file(Path(path).expanduser(), weights)
    key = _key(file, weights, device, precision)
    if key not in _last:
        _last.clear()  # before the next one takes memory
        _last[key] = yield from _load(path, file, weights, device, precision)
    warm = _last[key]
    return replace(warm, reference=_reference(path, warm.loaded, warm.reference.fingerprint))


def _load(
    path: str, file: Path, weights: str, device_name: str, precision_name: str
) -> Generator[Progress, None, WarmModel]:
    started = time.monotonic()
    yield Progress(stage="Loading the model", done=0, total=2)
    device = devices.pick_device(device_name, setting="device")
    devices.set_float32_matmul(device)
    loaded = load_model(file, weights=weights, device=device)
    decoder = None
    if loaded.config.latents is not None:
        yield Progress(stage="Loading the VAE", done=1, total=2)
        decoder = open_decoder(loaded.config.latents, device=device)
    precision = devices.pick_precision(device, precision_name, setting="precision")
    yield Progress(stage="Warming up", done=1, total=2)
    _warm_up(loaded, precision, decoder)
    yield Progress(stage="Warming up", done=2, total=2)
    reference = _reference(path, loaded, fingerprint(file))
    seconds = time.monotonic() - started
    return WarmModel(loaded=loaded, precision=precision, reference=reference, seconds=seconds, decoder=decoder)


def _warm_up(loaded: LoadedModel, precision: Precision, decoder: Decoder | None) -> None:
    """Have diffusers imported, the kernels chosen, and of latents the colours in which they are shown."""
    if decoder is not None:
        _ = decoder.colours
    diffusion = loaded.config.diffusion
    samplers = samplers_for(diffusion.objective)
    for sampler in samplers:
        Chain(sampler, NoiseSchedule(diffusion).levels(sampler, steps=2), generators=[])
    cfg = 2.0 if loaded.config.class_dropout_prob else 1.0
    request = SampleRequest(sampler=samplers[0], steps=1, cfg=cfg)
    with contextlib.suppress(NotFiniteError):  # a model that diverged says so when it is to draw
        for _ in sample(loaded.model, loaded.config, request, precision=precision, decoder=decoder):
            if decoder is not None:
                break  # the first frame: decoding takes long on a CPU


# ------------------------------------------------------------------------------------------------- what it is called


def _reference(path: str, loaded: LoadedModel, mark: str) -> ModelReference:
    config = loaded.config
    return ModelReference(
        path=path,
        name=model_name(loaded.path, step=config.step, weights=config.weights),
        step=config.step,
        weights=config.weights,
        fingerprint=mark,
        class_names=config.class_names,
        vae=config.latents.vae if config.latents else "",
    )


def model_name(file: Path, *, step: int, weights: str) -> str:
    """As a person calls it: "landscapes · step 20,000 · EMA"."""
    folder = file.absolute().parent
    if folder.parent.name == "checkpoints":
        name = folder.parent.parent.name
    elif foreign_kind(file):
        name = name_of(file).removesuffix(file.suffix)
    else:
        name = file.stem if file.stem not in ("ema", "model") else folder.name
    steps = [f"step {step:,}"] if step else []
    says_which = bool(steps) or not foreign_kind(file)  # what is published does not
    return " · ".join([name, *steps, *([{"ema": "EMA"}.get(weights, weights)] if says_which else [])])


def fingerprint(file: Path) -> str:
    """Of a weight file: its header, its size and evenly spaced blocks; 16 hexadecimal digits.

    Of another program's model, whose file does not say what it means, also of what was said of it.
    Raises: CheckpointError if the file cannot be read.
    """
    digest = hashlib.blake2b(digest_size=8)
    try:
        digest.update((remembered(file) or b"") if foreign_kind(file) else b"")
        for part in weight_files(file):
            for block in _blocks(part):
                digest.update(block)
    except OSError as error:
        raise _gone(file, error) from error
    return digest.hexdigest()


def _blocks(file: Path) -> Iterator[bytes]:
    size = file.stat().st_size
    with file.open("rb") as opened:
        header_bytes = int.from_bytes(opened.read(8), "little") if file.suffix == ".safetensors" else 0
        yield opened.read(min(header_bytes, size))
        yield str(size).encode()
        for block in range(_BLOCKS):
            opened.seek(max(0, size - _BLOCK_BYTES) * block // (_BLOCKS - 1))
            yield opened.read(_BLOCK_BYTES)


def _key(file: Path, weights: str, device: str, precision: str) -> _Key:
    try:
        status = file.stat()
    except OSError as error:
        raise _gone(file, error) from error
    meaning = (weights.encode(), remembered(file) or b"") if foreign_kind(file) else ()
    return file.resolve(), status.st_size, status.st_mtime_ns, meaning, device, precision


def _gone(file: Path, error: OSError) -> CheckpointError:
    return CheckpointError(
        f"{file} cannot be read any more: {error.strerror or error}.", remedy="Choose another checkpoint."
    )
