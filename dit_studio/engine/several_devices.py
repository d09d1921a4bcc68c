"""Drawing on several devices at once: whole batches, each on the next device that is free, handed on in order.

Training spreads over processes, whose gradients meet at every step; images have nothing to tell each other, so threads
of one process do, which the kernels of a device leave free.
"""

import copy
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass, replace
from queue import SimpleQueue
from threading import Event

import msgspec
import torch

from dit_studio import launch_environment
from dit_studio.device_names import first_named
from dit_studio.engine import device as devices
from dit_studio.engine.latents_decoding import open_decoder
from dit_studio.engine.sampling import Frame, Samples
from dit_studio.engine.warm_model import WarmModel, load_warm
from dit_studio.errors import StudioError
from dit_studio.events import Notice, Progress
from dit_studio.sample_request import SampleRequest

_TOLD_SECONDS = 0.1
_BATCHES_AHEAD = 2  # of each device, so that none waits for a slower one


@dataclass(frozen=True, kw_only=True)
class Underway:
    """How many images are drawn, those in work counted by their steps."""

    made: float


Drawing = Generator[Underway | Samples | Notice, None, None]


def load_several(
    path: str, weights: str, *, device: str = "auto", precision: str = "auto"
) -> Generator[Progress, None, tuple[WarmModel, ...]]:
    """The model on each device that is named, the first as `load_warm` keeps it.

    Raises: CheckpointError; ConfigError if this machine lacks a device; StudioError under torchrun.
    """
    check_alone()
    found = devices.pick_devices(device, setting="device")
    first = yield from load_warm(path, weights, device=first_named(device), precision=precision)
    models = [first]
    for number, place in enumerate(found[1:], 1):
        yield Progress(stage="Copying the model to the other devices", done=number, total=len(found) - 1)
        models.append(_copied(first, place))
    return tuple(models)


def check_alone() -> None:
    """Raises: StudioError if torchrun started several processes, each of which would do all of the work."""
    if (count := launch_environment.size()) > 1:
        raise StudioError(
            f"torchrun started {count} processes, and one draws or measures on all devices of a machine.",
            remedy='Start it once, without torchrun, with --device "cuda:0,cuda:1". Image k has seed S + k, so '
            "hosts may share the work by --seed and --count.",
        )  # fmt: skip


def _copied(model: WarmModel, device: torch.device) -> WarmModel:
    if device.type == "cpu":
        return model  # nothing in it changes while it draws
    loaded = replace(model.loaded, model=copy.deepcopy(model.loaded.model).to(device))
    latents = loaded.config.latents
    return replace(model, loaded=loaded, decoder=open_decoder(latents, device=device) if latents else None)


def draw_on(models: Sequence[WarmModel], request: SampleRequest) -> Drawing:
    """The images of a request, in order, by one model or by its copies on several devices.

    Each batch is one that a single device would draw, so the images are the same to the bit on devices of one kind.
    Closed early, it ends after the steps in work. Raises: as `sampling.sample`.
    """
    if len(models) == 1:
        yield from _on_one(models[0], request)
        return
    work = _Work(models, request)
    with ThreadPoolExecutor(len(models), thread_name_prefix="drawing") as pool:
        try:
            yield from _in_order(work, pool)
        finally:
            work.is_ended.set()
            pool.shutdown(cancel_futures=True)


def _on_one(model: WarmModel, request: SampleRequest) -> Drawing:
    with closing(model.draw(request)) as drawing:
        for done in drawing:
            yield Underway(made=_made(done)) if isinstance(done, Frame) else done


def _made(frame: Frame) -> float:
    return frame.first_image + frame.step / frame.steps * len(frame.x_t)


class _Work:
    """What the threads share: the devices that are free, and how far each batch is."""

    def __init__(self, models: Sequence[WarmModel], request: SampleRequest) -> None:
        self.request, self.is_ended = request, Event()
        self.places = len(models)
        self._free: SimpleQueue[WarmModel] = SimpleQueue()
        self._made: dict[int, float] = {}  # by a batch's first image
        for model in models:
            self._free.put(model)

    @property
    def made(self) -> float:
        return sum(list(self._made.values()))

    def batch(self, first: int) -> list[Samples | Notice]:
        """Draw the batch that begins with this image; what there is of it, once it is not wanted any more."""
        model, done = self._free.get(), list[Samples | Notice]()
        try:
            with closing(model.draw(part_of(self.request, first))) as drawing:
                for event in drawing:
                    if self.is_ended.is_set():
                        break
                    if isinstance(event, Frame):
                        self._made[first] = _made(event)
                    elif isinstance(event, Samples):
                        done.append(replace(event, first_image=first + event.first_image))
                    else:
                        done.append(event)
        finally:
            self._free.put(model)
        return done


def part_of(request: SampleRequest, first: int) -> SampleRequest:
    """The one batch of a request that begins with this image."""
    turn = first % len(request.classes)
    return msgspec.structs.replace(
        request,
        seed=request.seed + first,
        count=min(request.batch_size, request.count - first),
        classes=request.classes[turn:] + request.classes[:turn],
    )


def _in_order(work: _Work, pool: ThreadPoolExecutor) -> Drawing:
    firsts = iter(range(0, work.request.count, work.request.batch_size))
    waiting: deque[Future[list[Samples | Notice]]] = deque()
    while True:
        for first in _some(firsts, _BATCHES_AHEAD * work.places - len(waiting)):
            waiting.append(pool.submit(work.batch, first))
        if not waiting:
            return
        while wait([waiting[0]], timeout=_TOLD_SECONDS).not_done:
            yield Underway(made=work.made)
        yield from waiting.popleft().result()


def _some(firsts: Iterator[int], count: int) -> Iterator[int]:
    for _ in range(count):
        if (first := next(firsts, None)) is None:
            return
        yield first
