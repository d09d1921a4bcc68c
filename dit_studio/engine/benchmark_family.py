"""The family on this machine: numbers, Gflops, images a second and memory of each member."""

import time
from collections.abc import Iterator, Sequence
from statistics import median

import torch

from dit_studio.engine import device as devices
from dit_studio.engine.checkpoint import ModelDescription
from dit_studio.engine.model import DiT
from dit_studio.engine.model_cost import count_parameters, walk
from dit_studio.errors import DeviceMemoryError
from dit_studio.events import Notice, Progress
from dit_studio.model_events import FamilyTimed
from dit_studio.model_settings import PRESETS, DiffusionConfig

_LEAST_PASSES, _MOST_PASSES, _SECONDS_A_MODEL = 2, 10, 4.0
_CLASSES = 1000  # as the paper's models


def time_family(names: Sequence[str], image_size: int, batch: int) -> Iterator[Progress | Notice | FamilyTimed]:
    """Forward passes of each preset on what has 4 channels, as latents do, in the number format of this machine."""
    device = devices.pick_device()
    precision = devices.pick_precision(device)
    how = f"in {precision.name} on {devices.describe(device)}, torch {torch.__version__}"
    yield Notice(message=f"Measured {how}: batch {batch:,}, {image_size} × {image_size} × 4.")
    for number, name in enumerate(names):
        yield Progress(stage=name, done=number, total=len(names))
        yield _timed(name, image_size, batch, device)


def _timed(name: str, image_size: int, batch: int, device: torch.device) -> FamilyTimed:
    hidden, depth, heads, patch = PRESETS[name]
    if image_size % patch:
        return _row(name, note=f"A patch of {patch} does not divide a side of {image_size}.")
    description = ModelDescription(
        input_size=image_size, patch_size=patch, in_channels=4, hidden_size=hidden, depth=depth, num_heads=heads,
        mlp_ratio=4.0, class_dropout_prob=0.1, num_classes=1, learn_sigma=True, diffusion=DiffusionConfig(),
    )  # fmt: skip
    counted = {"parameters": count_parameters(description, _CLASSES), "gflops": walk(description).gflops}
    needed = 4 * counted["parameters"] + batch * walk(description).live_bytes
    free = devices.memory_free(device)
    if needed > free:
        return _row(name, **counted, note=f"It needs {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free.")
    try:
        with devices.naming_memory_errors(device):
            seconds, held = _measured(_filled(description, device), batch, device)
    except DeviceMemoryError:
        return _row(name, **counted, note=f"A batch of {batch} does not fit into the memory here.")
    weights = 4 * int(counted["parameters"])
    memory = None if held is None else weights + held
    return _row(name, **counted, images_per_second=batch / seconds, memory_bytes=memory)


def _row(name: str, **found: object) -> FamilyTimed:
    missing = {"parameters": 0, "gflops": 0.0, "images_per_second": None, "memory_bytes": None}
    return FamilyTimed(name=name, **{**missing, **found})  # type: ignore[arg-type]


def _filled(description: ModelDescription, device: torch.device) -> DiT:
    """With weights that cost no time to draw; products take as long with them as with any."""
    with torch.device("meta"):
        model = description.build()
    weights = {name: torch.full(tensor.shape, 0.01, device=device) for name, tensor in model.state_dict().items()}
    model.load_state_dict(weights, assign=True)
    return model.to(device).eval()


@torch.no_grad()
def _measured(model: DiT, batch: int, device: torch.device) -> tuple[float, int | None]:
    """Seconds of a forward pass, and the bytes that it holds beside the weights."""
    x = torch.randn(batch, model.in_channels, model.input_size, model.input_size).to(device)
    t, y = torch.zeros(batch, device=device), torch.zeros(batch, dtype=torch.long, device=device)

    def forward() -> None:
        with devices.pick_precision(device).autocast(device):
            model(x, t, y)
        devices.synchronise(device)

    held, seconds = devices.peak_bytes(device, forward), list[float]()
    while len(seconds) < _LEAST_PASSES or (len(seconds) < _MOST_PASSES and sum(seconds) < _SECONDS_A_MODEL):
        started = time.perf_counter()
        forward()
        seconds.append(time.perf_counter() - started)
    return median(seconds), held
