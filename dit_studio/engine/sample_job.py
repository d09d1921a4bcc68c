"""The jobs behind the Sample page: say what a model is, and draw a request into a folder of the history."""

import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dit_studio.engine import device as devices
from dit_studio.engine.branching import start_of_branch
from dit_studio.engine.class_thumbnails import SIZE, class_thumbnails
from dit_studio.engine.export.png import encode_png
from dit_studio.engine.guidance import Guidance
from dit_studio.engine.sample_checks import check_request, parse_request
from dit_studio.engine.sampling import Frame, Samples, StartPoint, check_start, to_uint8
from dit_studio.engine.solvers import NoiseSchedule, samplers_for
from dit_studio.engine.trajectory_writer import TrajectoryWriter, trajectory_bytes
from dit_studio.engine.warm_model import WarmModel, load_warm
from dit_studio.errors import ConfigError, DiskFullError, Problem, RunError
from dit_studio.events import (
    Event,
    Notice,
    SampleFrame,
    SampleModel,
    SamplesDrawn,
    SamplingStarted,
    SettingsRefused,
    StepPoint,
)
from dit_studio.files import naming_disk_errors, write_atomically
from dit_studio.sample_request import BranchPoint, SampleEntry, SampleRequest
from dit_studio.trajectory import Colours, latents_to_pixels, noise_to_pixels

_ENTRY = "entry.json"
_SHOWN_CHANNELS = 3  # of latents the first three are shown


def describe(model: str, weights: str) -> Generator[Event]:
    """Load a model and say what can be asked of it. Raises: CheckpointError."""
    warm = yield from load_warm(model, weights)
    config, schedule = warm.loaded.config, NoiseSchedule(warm.loaded.config.diffusion)
    yield SampleModel(
        path=model,
        name=warm.reference.name,
        step=config.step,
        weights=config.weights,
        fingerprint=warm.reference.fingerprint,
        class_names=config.class_names,
        num_classes=config.num_classes,
        has_null_class=config.class_dropout_prob > 0,
        image_size=config.image_size,
        channels=config.in_channels if config.latents else warm.pixel_channels,
        latent_size=config.input_size if config.latents else 0,
        patch_size=config.patch_size,
        depth=config.depth,
        num_heads=config.num_heads,
        dialect=config.dialect,
        origin=config.origin,
        vae=config.latents.vae if config.latents else "",
        timesteps=config.diffusion.timesteps,
        objective=config.diffusion.objective,
        samplers=samplers_for(config.diffusion.objective),
        log_snr=schedule.log_snr_table(),
        parameters=sum(parameter.numel() for parameter in warm.loaded.model.parameters() if parameter.requires_grad),
        device=devices.describe(warm.device),
        precision=warm.precision.name,
        thumbnail_size=SIZE,
        seconds=warm.seconds,
        data=class_thumbnails(warm.loaded.path, config.class_names).tobytes(),
    )


def draw(
    model: str,
    weights: str,
    request: dict[str, Any],
    folder: str,
    branch: dict[str, Any] | None = None,
    budget_bytes: int = 0,
    device: str = "auto",
    precision: str = "auto",
) -> Generator[Event]:
    """Draw a request into `folder`, or into nothing; closed early, it keeps the images that are finished.

    Raises: CheckpointError, DeviceMemoryError, DataError, DiskFullError or RunError.
    """
    out = Path(folder) if folder else None
    try:
        asked = parse_request(request)
        warm = yield from load_warm(model, weights, device=device, precision=precision)
        check_request(asked, warm.loaded.config)
        point = _branch_point(branch) if branch else None
        start = start_of_branch(out, point) if point else None
        check_start(start, warm.loaded.config, NoiseSchedule(warm.loaded.config.diffusion))
    except ConfigError as error:
        yield SettingsRefused(problems=tuple((problem.field, problem.message) for problem in error.problems))
        return
    yield from Generation(warm, asked, out, point, start).run(budget_bytes)


def _branch_point(values: dict[str, Any]) -> BranchPoint:
    """Raises: ConfigError if they do not say where a branch begins."""
    try:
        return msgspec.convert(values, BranchPoint)
    except (msgspec.ValidationError, ValueError) as error:
        message = f"The branch does not say where it begins: {error}. It takes entry, image and step."
        raise ConfigError([Problem("branch", message)]) from error


class Generation:
    """One request on its way into its folder."""

    def __init__(
        self,
        warm: WarmModel,
        request: SampleRequest,
        folder: Path | None,
        branch: BranchPoint | None,
        start: StartPoint | None,
    ) -> None:
        self._warm, self._request, self._folder, self._start = warm, request, folder, start
        self._record = warm.record(request, branch)
        self._started = time.monotonic()
        self._finished = 0
        self._trajectory: TrajectoryWriter | None = None
        config = warm.loaded.config
        self._size, self._plane_size, self._channels = config.image_size, config.input_size, warm.pixel_channels
        self._colours = warm.decoder.colours if warm.decoder else ()
        guided = Guidance.from_options(request, in_channels=config.in_channels).needs_both
        shown = (self._plane_size, self._plane_size, self._channels)
        self._shapes = {"x_t": (config.in_channels, self._plane_size, self._plane_size), "x_start": shown}
        self._shapes |= {"conditional": shown, "unconditional": shown} if guided else {}
        levels = NoiseSchedule(config.diffusion).levels(
            request.sampler, steps=request.steps, start=start.t if start else None
        )
        self._points = tuple(StepPoint(t=level.t, sigma=level.sigma, log_snr=level.log_snr) for level in levels)

    def run(self, budget_bytes: int) -> Generator[Event]:
        """The events of the whole. However it ends, the entry says how."""
        if self._folder is not None:
            with naming_disk_errors(self._folder):
                self._folder.mkdir(parents=True, exist_ok=True)
        self._write_entry("drawing")
        try:
            yield from self._open_trajectory(budget_bytes)
            yield self._announcement()
            yield from self._draw()
        except (GeneratorExit, KeyboardInterrupt):
            if self._finished == self._request.count:
                self._end("finished")
            else:
                self._end("stopped", "It was stopped.")
            raise
        except BaseException as error:
            self._end("failed", str(error))
            raise
        if notice := self._end("finished"):
            yield notice

    def _open_trajectory(self, budget_bytes: int) -> Iterator[Notice]:
        if self._folder is None:
            return
        try:
            self._trajectory = TrajectoryWriter(
                self._folder,
                self._points,
                images=self._request.count,
                shapes=self._shapes,
                budget_bytes=budget_bytes,
                colours=self._colours,
            )
        except (DiskFullError, RunError) as error:
            yield _not_kept(error)

    def _announcement(self) -> SamplingStarted:
        request = self._request
        return SamplingStarted(
            folder=str(self._folder or ""),
            points=self._points,
            labels=tuple(self._record.label_of(k) for k in range(request.count)),
            seeds=tuple(range(request.seed, request.seed + request.count)),
            height=self._size,
            width=self._size,
            plane_height=self._plane_size,
            plane_width=self._plane_size,
            channels=self._channels,
            planes=tuple(self._shapes),
            trajectory_bytes=trajectory_bytes(self._shapes, steps=len(self._points), images=request.count),
            in_memory=self._trajectory is None or self._trajectory.in_memory,
        )

    def _draw(self) -> Generator[Event]:
        moves = _Moves()
        for done in self._warm.draw(self._request, self._start):
            match done:
                case Frame():
                    yield from self._show(done, moves.of(done))
                case Samples():
                    yield self._keep(done)
                case Notice():
                    yield done

    def _show(self, frame: Frame, moves: Tensor) -> Iterator[Event]:
        x_t = frame.x_t.float().cpu().numpy()
        clean = {
            "x_start": frame.x_start,
            "conditional": frame.x_start if frame.conditional is None else frame.conditional,
            "unconditional": frame.unconditional,
        }
        planes = {"x_t": x_t} | {
            name: shown_pixels(images, like=frame.x_t, colours=self._colours)
            for name, images in clean.items()
            if name in self._shapes
        }
        norms, moved = (torch.nan_to_num(values).cpu().numpy() for values in (_size_of(frame.x_t), moves))
        if self._trajectory is not None:
            try:
                self._trajectory.add(frame.step, frame.first_image, planes, norms=norms, moves=moved)
            except (DiskFullError, RunError) as error:
                self._trajectory.discard()
                self._trajectory = None
                yield _not_kept(error)
        shown = [noise_to_pixels(x_t, self._colours), *(planes[name] for name in self._shapes if name != "x_t")]
        yield SampleFrame(
            first_image=frame.first_image,
            images=len(x_t),
            step=frame.step,
            norms=tuple(norms.tolist()),
            moves=tuple(moved.tolist()),
            data=b"".join(pixels.tobytes() for pixels in shown),
        )

    def _keep(self, samples: Samples) -> SamplesDrawn:
        pixels = _channels_last(samples.images)
        files = []
        if self._folder is not None:
            for k, image in enumerate(pixels, start=samples.first_image):
                files.append(f"{k:06d}.png")
                write_atomically(self._folder / files[-1], encode_png(image, self._record, k))
        self._finished = samples.first_image + len(pixels)
        self._write_entry("drawing")  # so that they are found if the process is killed
        return SamplesDrawn(
            first_image=samples.first_image, images=len(pixels), files=tuple(files), data=pixels.tobytes()
        )

    def _end(self, state: Literal["finished", "stopped", "failed"], message: str = "") -> Notice | None:
        """Put the trajectory and the entry on the disk; a trajectory that does not fit is given up."""
        notice = None
        if self._trajectory is not None:
            try:
                self._trajectory.finish(self._finished)
            except (DiskFullError, RunError) as error:
                notice = _not_kept(error)
        self._write_entry(state, message)
        return notice

    def _write_entry(self, state: Literal["drawing", "finished", "stopped", "failed"], message: str = "") -> None:
        if self._folder is None:
            return
        entry = SampleEntry(
            record=self._record,
            state=state,
            images=self._finished,
            height=self._size,
            width=self._size,
            seconds=time.monotonic() - self._started,
            message=message,
        )
        write_atomically(self._folder / _ENTRY, msgspec.json.encode(entry))


@dataclass
class _Moves:
    """How far x̂₀ moved since the step before."""

    _before: Tensor | None = field(default=None)

    def of(self, frame: Frame) -> Tensor:
        """An image. Shape: (B,)"""
        before = frame.x_start if frame.step == 1 or self._before is None else self._before
        self._before = frame.x_start
        return _size_of(frame.x_start - before)


def shown_pixels(x_start: Tensor | None, *, like: Tensor, colours: Colours = ()) -> NDArray[np.uint8]:
    """x̂₀ as it is shown, latents in their `colours`, black where there is none. Shapes: (B, C, H, W) -> (B, H, W, 3 or
    1)."""
    if colours:
        shape = (len(like), *like.shape[2:], len(colours))
        return np.zeros(shape, np.uint8) if x_start is None else latents_to_pixels(x_start.cpu().numpy(), colours)
    return _channels_last(to_uint8(torch.full_like(like, -1.0) if x_start is None else x_start))


def _channels_last(images: Tensor) -> NDArray[np.uint8]:
    channels = _pixel_channels(images.shape[1])
    return np.ascontiguousarray(images[:, :channels].permute(0, 2, 3, 1).numpy())


def _pixel_channels(channels: int) -> int:
    return 1 if channels == 1 else _SHOWN_CHANNELS


def _size_of(values: Tensor) -> Tensor:
    """The root of the mean square of each image. Shape: (B, …) -> (B,)"""
    return values.flatten(1).float().square().mean(dim=1).sqrt()


def _not_kept(error: DiskFullError | RunError) -> Notice:
    return Notice(message=f"No trajectory is kept; the images go on. {error}", level="warning")
