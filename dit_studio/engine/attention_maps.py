"""Where the heads of a block look from a patch, at a step of an image's way from noise."""

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from msgspec.structs import replace
from numpy.typing import NDArray
from torch import Tensor

from dit_studio.engine import device as devices
from dit_studio.engine.attention import Attend, SelfAttention, WindowAttention
from dit_studio.engine.checkpoint import ModelDescription
from dit_studio.engine.device import Precision
from dit_studio.engine.model import DiT
from dit_studio.engine.sample_checks import check_request, parse_request
from dit_studio.engine.sample_job import shown_pixels
from dit_studio.engine.sampling import Frame
from dit_studio.engine.solvers import NoiseSchedule
from dit_studio.engine.warm_model import WarmModel, load_warm
from dit_studio.errors import ConfigError, Problem
from dit_studio.events import (
    Event,
    Notice,
    Progress,
    SettingsRefused,
)
from dit_studio.model_events import AttentionSeen
from dit_studio.sample_request import SampleEntry, SampleRequest
from dit_studio.trajectory import Trajectory, open_trajectory

_LEAST_SHARE = 1e-12


@dataclass(frozen=True, kw_only=True)
class Moment:
    """A step of an image's trajectory: what the model is given there, and the clean image that it predicts."""

    x_t: Tensor  # (C, H, W), on the CPU
    t: float
    label: int
    shown: NDArray[np.uint8]  # x̂₀ as it is shown, (H, W, 3 or 1)


@dataclass(frozen=True, kw_only=True)
class HeadMaps:
    """Where each head looks from a patch."""

    weights: NDArray[np.float32]  # (heads, grid, grid), each summing to 1
    elsewhere: tuple[float, ...]  # the share of each head that goes to tokens that are no patches, and is left out


@dataclass(frozen=True, kw_only=True)
class Place:
    """What is looked at: an image of a request, a step from 1, a block and a patch from 0, patches rows first."""

    image: int
    step: int
    block: int
    patch: int


def see_attention(
    model: str,
    weights: str,
    request: dict[str, Any],
    image: int,
    step: int,
    block: int,
    patch: int,
    folder: str = "",
    device: str = "auto",
    precision: str = "auto",
) -> Generator[Event]:
    """Progress…, AttentionSeen. The step is that of the trajectory kept in `folder`, or else is drawn.

    Raises: CheckpointError, DataError, DeviceMemoryError or NotFiniteError.
    """
    place = Place(image=image, step=step, block=block, patch=patch)
    try:
        warm = yield from load_warm(model, weights, device=device, precision=precision)
        moment, maps = yield from look(warm, request, place, folder)
    except ConfigError as error:
        yield SettingsRefused(problems=tuple((problem.field, problem.message) for problem in error.problems))
        return
    yield AttentionSeen(
        block=block,
        heads=len(maps.weights),
        grid=maps.weights.shape[-1],
        patch=patch,
        image=image,
        step=step,
        t=moment.t,
        elsewhere=maps.elsewhere,
        data=maps.weights.tobytes(),
    )


def look(
    warm: WarmModel, request: dict[str, Any], place: Place, folder: str
) -> Generator[Progress | Notice, None, tuple[Moment, HeadMaps]]:
    """The moment that is looked at, and the maps. Raises: ConfigError if there is no such place."""
    asked = parse_request(request)
    check_request(asked, warm.loaded.config)
    _check_place(place, asked, warm.loaded.config)
    moment = _kept_moment(Path(folder), place, asked) if folder else None
    if moment is None and folder:
        _check_drawn_from_noise(Path(folder))
    if moment is None:
        moment = yield from _drawn_moment(warm, asked, place)
    return moment, head_maps(warm.loaded.model, moment, block=place.block, patch=place.patch, precision=warm.precision)


# ------------------------------------------------------------------------------------------------- the weights


@torch.no_grad()
def head_maps(model: DiT, moment: Moment, *, block: int, patch: int, precision: Precision | None = None) -> HeadMaps:
    """The softmax weights of a block's heads, of the class alone, in float32 whatever the model computes in."""
    device, grid = model.pos_embed.device, model.input_size // model.patch_size
    attn = model.get_submodule(f"blocks.{block}.attn")
    assert isinstance(attn, SelfAttention)
    with devices.naming_memory_errors(device):
        tokens = _tokens_at(model, attn, moment, precision or Precision("fp32"))
        weights = attention_from(attn, tokens, token=patch)  # (H, N)
    patches, others = weights[:, : grid**2], weights[:, grid**2 :]
    maps = patches / patches.sum(dim=1, keepdim=True).clamp_min(_LEAST_SHARE)
    return HeadMaps(
        weights=maps.reshape(-1, grid, grid).cpu().numpy(), elsewhere=tuple(others.sum(dim=1).clamp(0, 1).tolist())
    )


def attention_from(attn: SelfAttention, tokens: Tensor, *, token: int) -> Tensor:
    """softmax(q·kᵀ / √d) of one token over those that it sees, 0 elsewhere. Shapes: tokens (N, D) -> (H, N)."""
    q, k, _ = attn.heads(tokens[None].float())  # (1, H, N, d), (1, H_kv, N, d)
    asking = torch.unflatten(q[0, :, token], 0, (k.shape[1], -1))  # (H_kv, H/H_kv, d)
    scores = (asking @ k[0].transpose(-1, -2)).flatten(0, 1) * q.shape[-1] ** -0.5  # (H, N)
    hidden = ~visible_from(attn.kind, token, tokens=len(tokens)).to(scores.device)
    weights: Tensor = scores.masked_fill(hidden, -torch.inf).softmax(dim=-1)
    return weights


def visible_from(kind: Attend, token: int, *, tokens: int) -> Tensor:
    """Which tokens a token sees. Shape: (tokens,), on the CPU."""
    visible = torch.ones(tokens, dtype=torch.bool)
    if isinstance(kind, WindowAttention) and token < kind.grid_size**2:
        row, column = divmod(token, kind.grid_size)
        places = torch.arange(kind.grid_size)
        near = [(places - middle).abs() <= kind.window // 2 for middle in (row, column)]
        visible[: kind.grid_size**2] = (near[0][:, None] & near[1]).flatten()
    return visible


class _Reached(Exception):  # noqa: N818  nothing went wrong
    """The block is reached: what lies behind it is not computed."""


def _tokens_at(model: DiT, attn: SelfAttention, moment: Moment, precision: Precision) -> Tensor:
    """What the attention of a block is given. Shape: (N, D)."""
    seen: list[Tensor] = []

    def keep(_: torch.nn.Module, inputs: tuple[Tensor, ...]) -> None:
        seen.append(inputs[0][0])
        raise _Reached

    device = model.pos_embed.device
    t = torch.full((1,), float(moment.t), device=device)
    y = torch.tensor([moment.label], device=device)
    hook = attn.register_forward_pre_hook(keep)
    try:
        with precision.autocast(device):
            model(moment.x_t[None].to(device), t, y)
    except _Reached:
        return seen[0]
    finally:
        hook.remove()
    raise AssertionError("the model does not use this attention")


# ------------------------------------------------------------------------------------------------- the moment

_last: dict[object, list[Moment]] = {}  # of one image at most: its steps so far


def _kept_moment(folder: Path, place: Place, request: SampleRequest) -> Moment | None:
    """From the trajectory of an entry; None if none is kept. Raises: DataError if it is damaged."""
    trajectory = open_trajectory(folder)
    if trajectory is None or not _has(trajectory, place):
        return None
    return Moment(
        x_t=torch.from_numpy(trajectory.noise(place.image, place.step).copy()),
        t=trajectory.index.points[place.step - 1].t,
        label=_label(request, place.image),
        shown=trajectory.pixels("x_start", place.image, place.step),
    )


def _has(trajectory: Trajectory, place: Place) -> bool:
    index = trajectory.index
    if not (place.image < index.images and place.step <= len(index.points)):
        return False
    return not index.norms or bool(index.norms[place.step - 1][place.image])  # 0: it was stopped before


def _check_drawn_from_noise(folder: Path) -> None:
    """Raises: ConfigError if the images of an entry went on from a step of others, which the request does not tell."""
    try:
        entry = msgspec.json.decode((folder / "entry.json").read_bytes(), type=SampleEntry)
    except (OSError, msgspec.DecodeError):
        return
    if entry.record.branch is not None:
        message = f"{folder.name} is a branch, and its trajectory is not kept at this step any more; draw it again."
        raise ConfigError([Problem("step", message)])


def _drawn_moment(warm: WarmModel, request: SampleRequest, place: Place) -> Generator[Progress | Notice, None, Moment]:
    """Drawn from the image's own noise, unless that step of the same image was drawn last."""
    label = _label(request, place.image)
    alone = replace(request, classes=(label,), seed=request.seed + place.image, count=1, batch_size=1)
    key = (warm.reference.fingerprint, str(warm.device), warm.precision.name, alone)
    if key not in _last:
        _last.clear()
        _last[key] = []
    moments = _last[key]
    if len(moments) < place.step:
        moments.clear()
        for done in warm.draw(alone):
            if isinstance(done, Notice):
                yield done
            if not isinstance(done, Frame):
                continue
            moments.append(_moment(done, label, warm))
            yield Progress(stage="Drawing the image", done=done.step, total=place.step, unit="steps")
            if done.step == place.step:
                break
    return moments[place.step - 1]


def _moment(frame: Frame, label: int, warm: WarmModel) -> Moment:
    colours = warm.decoder.colours if warm.decoder else ()
    shown = shown_pixels(frame.x_start, like=frame.x_t, colours=colours)[0]
    return Moment(x_t=frame.x_t[0].float().cpu(), t=frame.t, label=label, shown=shown)


def _label(request: SampleRequest, image: int) -> int:
    return request.classes[image % len(request.classes)]


def _check_place(place: Place, request: SampleRequest, config: ModelDescription) -> None:
    """Raises: ConfigError that names what lies outside, and the limit."""
    steps = len(NoiseSchedule(config.diffusion).levels(request.sampler, steps=request.steps))
    limits = {
        "image": (place.image, 0, request.count - 1),
        "step": (place.step, 1, steps),
        "block": (place.block, 0, config.depth - 1),
        "patch": (place.patch, 0, (config.input_size // config.patch_size) ** 2 - 1),
    }
    problems = [
        Problem(name, f"{name} = {value} is not possible: it goes from {low} to {high}.", value)
        for name, (value, low, high) in limits.items()
        if not low <= value <= high
    ]
    if problems:
        raise ConfigError(problems)
