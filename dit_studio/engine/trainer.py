"""What a training step, a validation, a preview and a checkpoint are. The order of them is told in `training`."""

import logging
import math
import time
from collections.abc import Generator
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dit_studio.config import Recipe, resolve
from dit_studio.engine import device as devices
from dit_studio.engine.batches import Batches, generator_for, seed_for, to_float
from dit_studio.engine.checkpoint import (
    ModelDescription,
    Progressed,
    TrainingState,
    checkpoint_name,
    list_checkpoints,
    load_checkpoint,
    save_checkpoint,
)
from dit_studio.engine.data import ImageSet
from dit_studio.engine.diffusion import BANDS, Diffusion, Loss, Model
from dit_studio.engine.distributed import World, is_loss
from dit_studio.engine.ema import Ema
from dit_studio.engine.evaluation.training_metrics import TrainingMetrics
from dit_studio.engine.export.png import encode_png, grid
from dit_studio.engine.latents_decoding import Decoder, open_decoder
from dit_studio.engine.latents_encoding import Latents
from dit_studio.engine.model import DiT
from dit_studio.engine.parallel import called_model, clip, keeping_gradients, put_back, split_model
from dit_studio.engine.sampling import Samples, sample, to_uint8
from dit_studio.errors import CheckpointError, NotFiniteError
from dit_studio.events import CheckpointSaved, Event, Metrics, Notice, PreviewSaved, Validation
from dit_studio.files import remove_folder, set_aside, write_atomically
from dit_studio.sample_request import SampleRequest

_log = logging.getLogger(__name__)
PREVIEW_CLASSES = 12  # columns of a preview at most
_BAD_STEPS_LIMIT = 5  # in a row


class Trainer:
    """A model in training. `step` counts the optimiser steps that are done."""

    def __init__(
        self,
        recipe: Recipe,
        images: ImageSet,
        run: Path,
        latents: Latents | None = None,
        *,
        world: World | None = None,
        is_sharded: bool = False,
    ) -> None:
        """`world`: the processes that train together; None: this one alone. `is_sharded`: the model is split over
        them."""
        train = recipe.train
        self.recipe, self.images, self.run, self.latents = recipe, images, run, latents
        self.world = world or World(device=devices.pick_device(train.device))
        self.is_sharded = is_sharded
        self.device = self.world.device
        self.precision = devices.pick_precision(self.device, train.precision)
        devices.set_float32_matmul(self.device)
        self.description = ModelDescription.from_recipe(
            recipe, class_names=images.class_names, latents=latents.space if latents else None
        )
        self.diffusion = Diffusion.from_config(recipe.diffusion, device=self.device)

        model = self._new_model().train()
        model.gradient_checkpointing = train.gradient_checkpointing
        self.model = model
        self.ema = Ema(model, decay=train.ema_decay, copied=self._new_model() if is_sharded else None)
        parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.AdamW(
            parameters,
            lr=learning_rate_at(0, recipe=recipe),
            betas=(train.beta1, train.beta2),
            weight_decay=train.weight_decay,
            fused=True,
        )
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.precision.needs_scaler)
        self._called: Model = called_model(model, self.world, is_sharded=is_sharded)

        self.train_indices, self.validation_indices = images.split(recipe.data.validation_fraction, seed=0)
        self.batches = Batches(
            images, self.train_indices, batch_size=train.batch_size, seed=train.seed, flip=recipe.data.flip,
            latents=latents,
        )  # fmt: skip
        self._metrics = TrainingMetrics(recipe, images, self.train_indices, self.description, run)
        self.step, self.images_seen, self.seconds = 0, 0, 0.0
        self.validation_loss: float | None = None
        self.has_other_data = False  # than the checkpoint that it went on from
        self._bad_steps = 0
        self._memory_bytes = 0

    def _new_model(self) -> DiT:
        """With the first weights that the seed gives, the same in every process."""
        torch.manual_seed(seed_for(self.recipe.train.seed, 0, "initialisation"))
        model = self.description.build()
        if self.is_sharded:
            split_model(model, self.world)
            return model
        return model.to(self.device)

    @property
    def parameters(self) -> int:
        """Numbers that are trained, which the paper counts too: the fixed position embedding is none of them."""
        return sum(parameter.numel() for parameter in self.model.parameters() if parameter.requires_grad)

    @property
    def _parts(self) -> int:
        """In how many parts each process takes its share of a batch, all in the same number."""
        return min(self.recipe.train.accumulate, self.recipe.train.batch_size // self.world.size)

    @property
    def _part_size(self) -> int:
        """Images that go through the model at once, in one process."""
        return math.ceil(self.recipe.train.batch_size / self.world.size / self._parts)

    def within_memory(self) -> AbstractContextManager[None]:
        """What runs in it and does not fit into memory raises a DeviceMemoryError with the run's numbers."""
        numbers = {"batch_size": self._part_size, "parameters": self.parameters}
        return devices.naming_memory_errors(self.device, **numbers)

    def compile(self) -> Notice:
        """Compile the model by a first step that changes nothing; where that fails, say so and go on without."""
        started = time.monotonic()
        compiled = torch.compile(self.model)
        size = self.description.input_size
        x = torch.zeros(self._part_size, self.description.in_channels, size, size, device=self.device)
        t = torch.zeros(len(x), dtype=torch.long, device=self.device)
        problem = ""
        try:
            self.diffusion.losses(self._in_precision(compiled), x, t, t, x).total.sum().backward()  # type: ignore[no-untyped-call]
        except Exception as error:
            if is_loss(error):
                raise
            _log.info("compiling failed", exc_info=error)  # compilers fail in many ways, and none of them matters here
            problem = type(error).__name__
        finally:
            self.optimizer.zero_grad(set_to_none=True)
        if problem := next(filter(None, self.world.gather(problem)), ""):
            message = f"The model cannot be compiled here ({problem}); training goes on without."
            return Notice(message=message, level="warning")
        self._called = called_model(compiled, self.world, is_sharded=self.is_sharded)
        return Notice(message=f"The model was compiled in {time.monotonic() - started:.0f} s.")

    # --------------------------------------------------------------------------------------------- a step

    def train_step(self) -> Metrics:
        """One optimiser step.

        A step whose loss or gradient is not a number changes no weight.
        """
        started = time.perf_counter()
        train = self.recipe.train
        rate = learning_rate_at(self.step, recipe=self.recipe)
        loss, t = self._backward()
        norm = self._update(rate, loss)
        self.step += 1
        self.images_seen += train.batch_size
        mean = float(loss.mean())
        elapsed = time.perf_counter() - started
        self.seconds += elapsed
        is_overflow_expected = self.scaler.is_enabled()  # it scales down by itself
        is_good = math.isfinite(mean) and (math.isfinite(norm) or is_overflow_expected)
        self._bad_steps = 0 if is_good else self._bad_steps + 1
        return Metrics(
            step=self.step,
            loss=_finite(mean),
            learning_rate=rate,
            grad_norm=_finite(norm),
            images_per_second=train.batch_size / elapsed,
            memory_bytes=self._memory_bytes,
            images_seen=self.images_seen,
            bands=self._bands(loss, t),
            seconds=self.seconds,
        )

    @property
    def is_healthy(self) -> bool:
        """The last step's loss was a number."""
        return self._bad_steps == 0

    def check_finite(self) -> None:
        """Raises: NotFiniteError when too many steps in a row went wrong.

        Checkpoints whose weights gave the first bad loss, and later ones, are set aside then: the newest is a good one.
        """
        if self._bad_steps < _BAD_STEPS_LIMIT:
            return
        last_good = self.step - self._bad_steps - 1  # the weights after this step still gave a finite loss
        if self.world.is_main:
            set_aside([path for path in list_checkpoints(self.run) if int(path.name[5:]) > last_good])
        rate = learning_rate_at(self.step - 1, recipe=self.recipe)
        raise NotFiniteError(
            f"The loss was not a number for {self._bad_steps} steps in a row, up to step {self.step}.",
            remedy=f"Lower the learning rate ({rate:g}), clip gradients at 1, or train in fp32.",
            numbers={"step": self.step, "learning_rate": rate},
        )

    def _backward(self) -> tuple[Tensor, Tensor]:
        """Gradients of the step's batch, part by part: each process takes its share of it.

        Returns the loss (B,) of each image of the whole batch, on the CPU, and its t (B,).
        """
        train = self.recipe.train
        share = self.world.share(train.batch_size)
        images, labels = self.batches.at(self.step, share)
        draws = generator_for(train.seed, self.step, "draws")
        t = self.diffusion.draw_timesteps(len(labels), generator=draws)
        labels = self.model.drop_labels(labels, generator=draws)
        noise = torch.randn(
            (len(labels), *images.shape[1:]),
            generator=generator_for(train.seed, self.step, "noise", device=self.device),
            device=self.device,
        )
        losses: list[Tensor] = []
        own_t, own_labels, own_noise = t[share], labels[share], noise[share]
        for part in torch.arange(len(images)).tensor_split(self._parts):
            with keeping_gradients(self._called, self.model, is_last=len(losses) == self._parts - 1):
                x_start = to_float(images[part], self.device)
                loss = self._losses(
                    x_start, own_t[part].to(self.device), own_labels[part].to(self.device), own_noise[part]
                )
                weight = self.world.size  # as the processes' gradients are averaged
                mean = loss.total.sum() / len(labels) * weight
                self.scaler.scale(mean).backward()  # type: ignore[no-untyped-call]
            losses.append(loss.total.detach())
        return self._gathered(torch.cat(losses).cpu()), t

    def _gathered(self, losses: Tensor) -> Tensor:
        """The losses of the whole batch, from every process's own; and the most memory that one of them holds."""
        used = devices.memory_used(self.device)
        if self.world.size == 1:
            self._memory_bytes = used
            return losses
        batch = self.recipe.train.batch_size
        numbers = torch.zeros(batch + self.world.size, dtype=torch.float64)
        numbers[self.world.share(batch)], numbers[batch + self.world.rank] = losses.double(), used
        self.world.sum(numbers)
        self._memory_bytes = int(numbers[batch:].max())
        return numbers[:batch].float()

    def _losses(self, x_start: Tensor, t: Tensor, y: Tensor, noise: Tensor) -> Loss:
        return self.diffusion.losses(self._in_precision(self._called), x_start, t, y, noise)

    def _in_precision(self, model: Model) -> Model:
        """The model with its matrix products in the chosen number format; everything around it stays in float32."""

        def forward(x: Tensor, t: Tensor, y: Tensor) -> Tensor:
            with self.precision.autocast(self.device):
                return model(x, t, y)

        return forward

    def _update(self, rate: float, loss: Tensor) -> float:
        """Clip, step and average; returns the gradient's norm before clipping. Bad gradients change nothing."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.scaler.unscale_(self.optimizer)
        norm = clip(self.model.parameters(), self.recipe.train.clip_grad_norm or math.inf)
        is_good = math.isfinite(norm) and bool(torch.isfinite(loss).all())
        if is_good or self.scaler.is_enabled():  # the scaler looks at the gradients itself, and learns from bad ones
            self.scaler.step(self.optimizer)
            self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        if is_good:
            self.ema.update(self.model)
        return norm

    def _bands(self, loss: Tensor, t: Tensor) -> tuple[float | None, ...]:
        """The mean loss in equal bands of the timestep; None where the batch had none, or it is not a number."""
        bands = t * BANDS // self.diffusion.timesteps
        means = [loss[bands == band].mean().item() if (bands == band).any() else math.nan for band in range(BANDS)]
        return tuple(_finite(mean) for mean in means)

    # --------------------------------------------------------------------------------------------- looking at it

    @torch.no_grad()
    def validate(self) -> Validation:
        """The averaged weights' loss on the held-out images, at timesteps and noise that never change."""
        indices, steps = self.validation_indices, self.diffusion.timesteps
        generator, model = generator_for(0, 0, "validation"), self._in_precision(self.ema.model)
        t = ((torch.randperm(len(indices), generator=generator) + 0.5) / len(indices) * steps).long()
        loss_of_each = torch.zeros(len(indices))
        at_once = self.recipe.train.batch_size // self.recipe.train.accumulate  # which the noise depends on
        for part in np.array_split(np.arange(len(indices)), math.ceil(len(indices) / at_once)):
            share = self.world.share(len(part))
            own = part[share] if len(part[share]) else part[:1]  # nothing to do: a split model takes all processes
            images = self._held_out(indices[own])
            labels = torch.from_numpy(self.images.labels[indices[own]])
            drawn = torch.randn((len(part), *images.shape[1:]), generator=generator)
            noise = (drawn[share] if len(part[share]) else drawn[:1]).to(self.device)
            x_start, y = to_float(images, self.device), labels.to(self.device)
            loss = self.diffusion.losses(model, x_start, t[own].to(self.device), y, noise)
            loss_of_each[part[share]] = loss.total.cpu()[: len(part[share])]
        put_back(self.ema.model)
        self.world.sum(loss_of_each)
        self.validation_loss = _finite(float(loss_of_each.mean()))
        return Validation(step=self.step, loss=self.validation_loss, bands=self._bands(loss_of_each, t))

    def _held_out(self, indices: np.ndarray) -> Tensor:
        """Pixels, or latents without the noise of their posteriors, so that the loss is steady. Shape: (B, C, H, W)."""
        return self.latents.means(indices) if self.latents else torch.from_numpy(self.images.images[indices])

    @cached_property
    def _decoder(self) -> Decoder | None:
        """The VAE, loaded when the first image is drawn, and kept."""
        space = self.description.latents
        return open_decoder(space, device=self.device) if space else None

    def preview(self) -> PreviewSaved:
        """Samples of every class, or of evenly chosen ones, at the same seeds as always, as one picture."""
        settings, classes = self.recipe.sample, self._preview_classes()
        request = SampleRequest(
            classes=classes,
            count=len(classes) * settings.per_class,
            seed=settings.seed,
            sampler=settings.sampler,
            steps=settings.steps,
            cfg=settings.cfg if self.ema.model.null_class is not None else 1.0,
            batch_size=min(64, self._part_size),
        )
        images = self._drawn(request)
        file = f"previews/{checkpoint_name(self.step)}.png"
        pixels = grid(images.permute(0, 2, 3, 1).numpy(), columns=len(classes))
        with self._writing():
            if self.world.is_main:
                write_atomically(self.run / file, encode_png(pixels))
        names = self.images.class_names
        return PreviewSaved(
            step=self.step,
            file=file,
            columns=len(classes),
            rows=settings.per_class,
            cell_size=self.description.image_size,
            labels=tuple(names[number] for number in classes) if names else (),
            seed=settings.seed,
        )

    def _drawn(self, request: SampleRequest) -> Tensor:
        """The images of a request, (B, C, H, W) uint8.

        A split model takes all processes, which may not fail apart: what it draws is decoded afterwards, by the first.
        """
        model, described = self.ema.model, self.description
        if not self.is_sharded or described.latents is None:
            decoder = None if self.is_sharded else self._decoder
            drawn = sample(model, described, request, precision=self.precision, decoder=decoder)
            images = torch.cat([batch.images for batch in drawn if isinstance(batch, Samples)])
            put_back(model)
            return images
        kept: Any = _Undecoded()
        images = torch.cat(
            [batch.images for batch in sample(model, described, request, precision=self.precision, decoder=kept)
             if isinstance(batch, Samples)]
        )  # fmt: skip
        put_back(model)
        with self._writing():
            if self.world.is_main and (decoder := self._decoder):
                images = torch.cat([to_uint8(decoder(latents)) for latents in kept.latents])
        return images

    def _writing(self) -> AbstractContextManager[None]:
        """Something that the first process does alone. Where all draw, the others have to know whether it went well."""
        return self.world.together() if self.is_sharded else nullcontext()

    def measure(self) -> Generator[Event]:
        """The metrics of the averaged weights on few images: Progress…, then Measured or Notice for each."""
        yield from self._metrics.measure(
            self.ema.model, step=self.step, device=self.device, precision=self.precision, decoder=self._decoder
        )

    def _preview_classes(self) -> tuple[int, ...]:
        count = self.description.num_classes if self.images.class_names else 8
        if not self.images.class_names:
            return (0,) * count
        chosen = np.linspace(0, count - 1, min(count, PREVIEW_CLASSES)).round().astype(int)
        return tuple(int(number) for number in chosen)

    # --------------------------------------------------------------------------------------------- saving

    def save(self) -> CheckpointSaved:
        """Write a checkpoint, and forget the oldest. All processes wait until it is written.

        Raises: DiskFullError or RunError; in the others, ProcessLostError.
        """
        folder = self.run / "checkpoints" / checkpoint_name(self.step)
        progressed = Progressed(
            step=self.step,
            images_seen=self.images_seen,
            seconds=self.seconds,
            ema_updates=self.ema.updates,
            scaler=self.scaler.state_dict() if self.scaler.is_enabled() else {},
            validation_loss=self.validation_loss,
            data_fingerprint=self.images.fingerprint,
        )
        size = 0
        with self.world.together():
            if self.world.is_main or self.is_sharded:
                size = save_checkpoint(folder, self._state(), description=self.description, progressed=progressed)
            if self.world.is_main:
                self._forget_old_checkpoints()
        return CheckpointSaved(step=self.step, file=f"checkpoints/{folder.name}", size_bytes=size)

    def _forget_old_checkpoints(self) -> None:
        keep = self.recipe.train.keep_checkpoints
        for folder in list_checkpoints(self.run)[:-keep] if keep else []:
            remove_folder(folder)

    def restore(self) -> list[Notice]:
        """Go on from the newest checkpoint that is whole; from the beginning if there is none.

        Raises: CheckpointError if there are checkpoints and none of them fits.
        """
        notices: list[Notice] = []
        damaged: list[Path] = []
        first_problem = ""
        found = self.world.broadcast(list_checkpoints(self.run))
        for folder in reversed(found):
            problem = self._try_to_restore(folder)
            if not problem:
                if self.world.is_main:
                    set_aside(damaged)
                return notices
            _log.warning("%s", problem)
            first_problem = first_problem or problem
            notices.append(Notice(message=f"{problem} It is set aside.", level="warning"))
            damaged.append(folder)
        if found:
            raise CheckpointError(
                f"None of the {len(found)} checkpoints of {self.run} can be used. The newest: {first_problem}",
                remedy="Start a new run.",
            )
        return notices

    def _try_to_restore(self, folder: Path) -> str:
        """What is damaged in a checkpoint, in the eyes of any process; "" if it is restored. Raises: RunError."""
        problem = ""
        with self.world.together():
            try:
                self._restore(folder)
            except CheckpointError as error:
                problem = error.message
        return next(filter(None, self.world.gather(problem)), "")

    def _restore(self, folder: Path) -> None:
        """Raises: CheckpointError if it is damaged; RunError if it is of another model or other classes."""
        progressed = load_checkpoint(folder, self._state(), description=self.description)
        self.step, self.images_seen, self.seconds = progressed.step, progressed.images_seen, progressed.seconds
        self.ema.updates = progressed.ema_updates
        self.validation_loss = progressed.validation_loss
        self.has_other_data = progressed.data_fingerprint not in ("", self.images.fingerprint)
        if self.scaler.is_enabled() and progressed.scaler:
            self.scaler.load_state_dict(dict(progressed.scaler))

    def _state(self) -> TrainingState:
        return TrainingState(
            model=self.model,
            ema=self.ema.model,
            optimizer=self.optimizer,
            device=self.device,
            world=self.world,
            is_split=self.is_sharded,
        )


class _Undecoded:
    """Stands where a VAE's decoder stands, and keeps the latents that it is given."""

    is_tiled = False

    def __init__(self) -> None:
        self.latents: list[Tensor] = []

    def __call__(self, latents: Tensor) -> Tensor:
        self.latents.append(latents)
        return latents


def learning_rate_at(step: int, *, recipe: Recipe) -> float:
    """The learning rate of a step, counted from 0: a linear warm-up, then constant or half a cosine down to 0."""
    train = resolve(recipe).train
    rate = train.learning_rate or 0.0
    if step < train.warmup_steps:
        return rate * (step + 1) / train.warmup_steps
    if train.learning_rate_schedule == "constant":
        return rate
    share = (step - train.warmup_steps) / max(1, train.steps - train.warmup_steps)
    return rate * 0.5 * (1 + math.cos(math.pi * min(1.0, share)))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
