"""The training job: the story of a run, told as a generator of events."""

import logging
import os
import platform
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import torch

from dit_studio import __version__
from dit_studio.config import Recipe, parse_recipe, resolve
from dit_studio.engine import data, fine_tune
from dit_studio.engine import device as devices
from dit_studio.engine.checkpoint import list_checkpoints
from dit_studio.engine.data import ImageSet
from dit_studio.engine.distributed import StoppedBeforeJoiningError, World, joined
from dit_studio.engine.latents_encoding import Latents, load_latents
from dit_studio.engine.trainer import Trainer
from dit_studio.engine.training_together import (
    check_images,
    check_settings,
    is_stop,
    is_to_be_sharded,
    notices,
    prepare,
)
from dit_studio.errors import CheckpointError, DeviceMemoryError, NotFiniteError, StudioError, UnwritableError
from dit_studio.events import (
    Command,
    Event,
    Failure,
    JobState,
    Notice,
    Progress,
    Resumed,
    Started,
    StateChanged,
)
from dit_studio.files import write_atomically
from dit_studio.patience import written_patiently

_log = logging.getLogger(__name__)

NextCommand = Callable[[bool], Command | None]
_Prepared = tuple[ImageSet, Latents | None]


def train(
    *,
    recipe: dict[str, Any],
    folder: str,
    next_command: NextCommand,
    resume: bool = False,
    on_joined: Callable[[], None] = lambda: None,
) -> Iterator[Event]:
    """Train as the recipe says, in the run folder; together with the other processes that torchrun started.

    `next_command(wait)` is asked at every step boundary; with `wait` it may block until there is a command. Of many
    processes only the first is to write what it yields, and only its `next_command` and `resume` count. `on_joined` is
    called once all of them have come. Raises: StudioError for everything that has a sentence.
    """
    settings, run = resolve(parse_recipe(recipe)), Path(folder)
    asked: list[Command] = []
    try:
        with joined(settings.train.device, is_stop_asked=lambda: is_stop(next_command, asked)) as world:
            on_joined()
            check_settings(settings, world)
            yield from _train(settings, run, world, next_command, asked, resume=world.broadcast(resume))
    except StoppedBeforeJoiningError:
        yield StateChanged(state=JobState.STOPPED)


def _train(
    settings: Recipe, run: Path, world: World, next_command: NextCommand, asked: list[Command], *, resume: bool
) -> Iterator[Event]:
    """`asked`: commands that came while they could not be obeyed."""
    begins_from_model = bool(settings.train.start_from) and not (resume and list_checkpoints(run))
    if begins_from_model:
        fine_tune.check_start(settings)
    prepared = yield from prepare(world, lambda: _load(settings, world.device), next_command, asked)
    if prepared is None:
        yield StateChanged(state=JobState.STOPPED)
        return
    images, latents = prepared
    check_images(images.fingerprint, world)
    is_sharded = is_to_be_sharded(settings, world, classes=len(images.class_names))
    with world.together(), devices.naming_memory_errors(world.device, batch_size=settings.train.batch_size):
        trainer = Trainer(settings, images, run, latents, world=world, is_sharded=is_sharded)
        if world.is_main:
            _write_environment(trainer)
    names = world.gather(devices.full_name(world.device))
    yield Started(
        steps=settings.train.steps,
        parameters=trainer.parameters,
        device=devices.describe(trainer.device),
        precision=trainer.precision.name,
        images=len(trainer.train_indices),
        validation_images=len(trainer.validation_indices),
        class_names=images.class_names,
        batch_size=settings.train.batch_size,
        devices=tuple(name for name, host in zip(names, world.hosts, strict=True) if host == world.hosts[0]),
        processes=world.size,
        hosts=world.host_count,
        is_sharded=is_sharded,
    )
    yield from notices(settings, world, is_sharded=is_sharded)
    if begins_from_model:
        yield _start_from_model(trainer)
    if resume:
        yield from _restore(trainer)
    if settings.train.compile:
        with trainer.within_memory():
            compiled = trainer.compile()
        yield compiled
    if trainer.step >= settings.train.steps:
        yield Failure(
            message=f"This run has done all of its {settings.train.steps} steps.",
            remedy="Raise the steps (train.steps) to go on.",
            code="finished",
            step=trainer.step,
        )
        yield StateChanged(state=JobState.FINISHED, step=trainer.step)
        return
    yield StateChanged(state=JobState.RUNNING, step=trainer.step)
    yield from _run(trainer, asked, next_command)


def _load(settings: Recipe, device: torch.device) -> Generator[Progress | Notice, None, _Prepared]:
    if not settings.latents.vae:
        return (yield from data.load(settings.data)), None
    encoded = yield from load_latents(settings, device=device)
    return encoded.images, encoded.latents


def _asked_first(asked: list[Command], next_command: NextCommand) -> NextCommand:
    """The commands that waited, then the new ones."""

    def take(wait: bool) -> Command | None:
        return asked.pop(0) if asked else next_command(wait)

    return take


def _start_from_model(trainer: Trainer) -> Notice:
    path = Path(trainer.recipe.train.start_from)
    with trainer.world.together(), trainer.within_memory():
        return fine_tune.start_from(trainer.model, trainer.ema.model, trainer.description, path, world=trainer.world)


def _restore(trainer: Trainer) -> Iterator[Event]:
    yield from trainer.restore()
    if trainer.has_other_data:
        message = "The images have changed since this run was saved: its losses are not those of an unbroken run."
        yield Notice(message=message, level="warning", step=trainer.step)
    yield Resumed(step=trainer.step)


def _run(trainer: Trainer, asked: list[Command], next_command: NextCommand) -> Iterator[Event]:
    """`asked`: commands that came while they could not be obeyed."""
    steps = trainer.recipe.train.steps
    next_to_obey = trainer.world.obeying(_asked_first(asked, next_command))
    while trainer.step < steps:
        is_stopped = yield from _obey(trainer, next_to_obey)
        if is_stopped:
            yield StateChanged(state=JobState.STOPPING, step=trainer.step, message="Saving a checkpoint.")
            yield from written_patiently(trainer.save, step=trainer.step)
            yield StateChanged(state=JobState.STOPPED, step=trainer.step)
            return
        with trainer.within_memory():
            metrics = trainer.train_step()
        yield metrics
        trainer.check_finite()
        yield from _what_is_due(trainer)
        if trainer.world.is_main and not trainer.is_sharded:  # the others wait for the next step's command
            yield from _metrics(trainer, asked, next_command)
    trainer.world.barrier()
    yield StateChanged(state=JobState.FINISHED, step=trainer.step)


def _obey(trainer: Trainer, next_command: NextCommand) -> Generator[Event, None, bool]:
    """Do what was asked since the last step; wait while paused. Returns whether to stop."""
    is_paused = False
    while (command := next_command(is_paused)) or is_paused:
        match command:
            case Command.STOP:
                return True
            case Command.SAVE:
                yield from written_patiently(trainer.save, step=trainer.step)
            case Command.PREVIEW:
                yield from _preview(trainer)
            case Command.PAUSE if not is_paused:
                is_paused = True
                yield StateChanged(state=JobState.PAUSED, step=trainer.step)
            case Command.RESUME if is_paused:
                is_paused = False
                yield StateChanged(state=JobState.RUNNING, step=trainer.step)
    return False


def _what_is_due(trainer: Trainer) -> Iterator[Event]:
    """Validation, preview and checkpoint at their steps, and all of them at the last."""
    if not trainer.is_healthy:
        return
    train, step = trainer.recipe.train, trainer.step
    is_last = step == train.steps
    if _is_due(step, train.validate_every, is_last=is_last) and len(trainer.validation_indices):
        with trainer.within_memory():
            validation = trainer.validate()
        yield validation
    if _is_due(step, train.preview_every, is_last=is_last):
        yield from _preview(trainer)
    if is_last or _is_due(step, train.checkpoint_every, is_last=False):
        yield from written_patiently(trainer.save, step=trainer.step)


def _preview(trainer: Trainer) -> Iterator[Event]:
    """Of a model that every process has, the first one draws it, while the others wait for its next word."""
    if not (trainer.world.is_main or trainer.is_sharded):
        return
    try:
        with trainer.within_memory():
            yield from written_patiently(trainer.preview, step=trainer.step)
    except (NotFiniteError, CheckpointError, UnwritableError) as error:  # training goes on, even if a VAE went away
        yield Notice(message=f"No preview at step {trainer.step}: {error}", level="warning")


def _metrics(trainer: Trainer, asked: list[Command], next_command: NextCommand) -> Iterator[Event]:
    """Those of the recipe, at their steps and at the last; a failure keeps nothing from going on."""
    train, step = trainer.recipe.train, trainer.step
    if not (trainer.is_healthy and _is_due(step, trainer.recipe.evaluate.every, is_last=step == train.steps)):
        return
    measuring = trainer.measure()
    try:
        with trainer.within_memory():
            yield from _until_stop(measuring, asked, next_command)
    except Exception as error:  # noqa: BLE001  extractors are other people's, and training does not hang on them
        _log.info("measuring failed", exc_info=error)
        yield Notice(message=f"No metrics at step {step:,}: {_why(error)}", level="warning", step=step)


def _until_stop(measuring: Generator[Event], asked: list[Command], next_command: NextCommand) -> Iterator[Event]:
    """The events of measuring, which ends unfinished when the run is to stop. Other commands wait in `asked`."""
    with closing(measuring):
        for event in measuring:
            yield event
            if (command := next_command(False)) is not None:  # noqa: FBT003
                asked.append(command)
            if Command.STOP in asked and isinstance(event, Progress):
                return


def _why(error: Exception) -> str:
    if isinstance(error, DeviceMemoryError):
        return "they do not fit into the memory of the device. Lower evaluate.batch_size."
    return str(error) if isinstance(error, StudioError) else f"{type(error).__name__}: {error}"


def _is_due(step: int, every: int, *, is_last: bool) -> bool:
    return every > 0 and (is_last or step % every == 0)


def _write_environment(trainer: Trainer) -> None:
    """`environment.json`: what somebody needs to know who wants the same figures again."""
    environment = {
        "dit_studio": __version__,
        "torch": str(torch.__version__),
        "python": platform.python_version(),
        "system": platform.platform(),
        "device": devices.describe(trainer.device),
        "precision": trainer.precision.name,
        "threads": torch.get_num_threads(),
        "data_fingerprint": trainer.images.fingerprint,
        "pid": os.getpid(),
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }
    write_atomically(trainer.run / "environment.json", msgspec.json.format(msgspec.json.encode(environment)))
