"""Figures of sampling for the README: side by side in one run, in turn, and given as medians of ratios."""

import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import msgspec
import numpy as np
import psutil
import torch
from msgspec.structs import replace

from dit_studio.engine import device as devices
from dit_studio.engine.benchmark_figures import Figures
from dit_studio.engine.cache import open_cache
from dit_studio.engine.checkpoint import LoadedModel, ModelDescription, Progressed, write_weights
from dit_studio.engine.demo_run import pixel_features
from dit_studio.engine.device import Precision
from dit_studio.engine.diffusers_reference import as_diffusers_model, pipeline_steps
from dit_studio.engine.draw_npz import draw_npz
from dit_studio.engine.evaluation import frechet_distance_from_features
from dit_studio.engine.sample_job import Generation, draw
from dit_studio.engine.sampling import Samples, sample
from dit_studio.engine.warm_model import WarmModel, load_warm, warm_model
from dit_studio.events import Event, SampleFrame, encode, split_bytes
from dit_studio.model_settings import DiffusionConfig
from dit_studio.sample_request import ModelReference, SampleRequest

_S2 = ModelDescription(
    input_size=32, patch_size=2, in_channels=4, hidden_size=384, depth=12, num_heads=6, mlp_ratio=4.0,
    class_dropout_prob=0.1, num_classes=1000, learn_sigma=True, diffusion=DiffusionConfig(),
)  # fmt: skip
_SMALL = replace(_S2, in_channels=3, hidden_size=128, depth=6, num_heads=4, num_classes=7)  # as the demonstration's
_TINY = replace(_S2, input_size=8, patch_size=4, in_channels=3, hidden_size=32, depth=1, num_heads=1, num_classes=2)


@dataclass(frozen=True, kw_only=True)
class Extent:
    """How much is measured."""

    large: ModelDescription = _S2
    small: ModelDescription = _SMALL
    steps: int = 50
    npz_images: int = 5000
    statistics_images: int = 105  # a multiple of the demonstration's seven classes
    ddpm_steps: int = 250


SHORT = Extent(large=_TINY, small=_TINY, steps=3, npz_images=60, statistics_images=4, ddpm_steps=6)
FULL = Extent(npz_images=50_000, statistics_images=1050)


def measure_sampling(*, model: Path | None = None, extent: Extent | None = None) -> Figures:
    """Everything that is promised of sampling; with a `model` of a run also how near its samples come to its data."""
    extent, device = extent or Extent(), devices.pick_device()
    devices.set_float32_matmul(device)
    report = _Report()
    report.say(
        f"{devices.describe(device)}, {torch.get_num_threads()} threads, torch {torch.__version__}, "
        f"{devices.pick_precision(device).name} chosen"
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        large = _warm(extent.large, device)
        _against_diffusers(report, large, extent.steps)
        _outside_the_model(report, large, extent.steps)
        _showing(report, large, extent.steps)
        with tempfile.TemporaryDirectory(prefix="dit-studio-benchmark-") as folder:
            small = Path(folder) / "small.safetensors"
            write_weights(small, extent.small.build(), extent.small)
            _first_frame(report, str(model or small), Path(folder))
            _fewer_steps(report, str(model or small), extent)
            tiny = Path(folder) / "tiny.safetensors"
            write_weights(tiny, _TINY.build(), _TINY)
            _npz_memory(report, str(tiny), Path(folder) / "images.npz", extent.npz_images)
    return Figures(lines=report.lines, values=report.values)


@dataclass
class _Report:
    lines: list[str] = field(default_factory=list)
    values: dict[str, float | str] = field(default_factory=dict)

    def say(self, line: str, **values: float | str) -> None:
        self.lines.append(line if not self.lines else f"  {line}")
        self.values |= values


def _warm(config: ModelDescription, device: torch.device) -> WarmModel:
    """A model with random weights that predict something."""
    model = config.build().to(device).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.02) if parameter.requires_grad else None
    loaded = LoadedModel(model=model, config=config, path=Path())
    reference = ModelReference(path="", name="random weights")
    return WarmModel(loaded=loaded, precision=devices.pick_precision(device), reference=reference, seconds=0.0)


def _request(steps: int) -> SampleRequest:
    return SampleRequest(sampler="ddim", steps=steps, cfg=4.0, count=4, classes=(0, 1))


# ------------------------------------------------------------------------------------------------- a step


def _against_diffusers(report: _Report, warm: WarmModel, steps: int) -> None:
    """50 DDIM steps of four images under guidance, each loop taking a step in its turn."""
    loaded, request = warm.loaded, _request(steps)

    def ours(precision: Precision) -> Iterator[object]:
        return sample(loaded.model, loaded.config, request, precision=precision)

    loops = {"ours fp32": ours(Precision("fp32")), "ours": ours(warm.precision)}
    try:
        theirs = as_diffusers_model(loaded.model)
    except ImportError:
        report.say("diffusers' own DiT is not on this machine: sampling was not compared with it")
        _in_turn(loops, warm.device, steps)
        return
    config, device = loaded.config, warm.device
    noise = torch.randn(request.count, config.in_channels, config.input_size, config.input_size, device=device)
    labels = torch.tensor([0, 1, 0, 1], device=device)
    loops["diffusers"] = pipeline_steps(theirs, noise, labels, steps=steps, cfg=request.cfg)
    seconds = _in_turn(loops, device, steps)
    exact, chosen = (_ratio(seconds["diffusers"], seconds[name]) for name in ("ours fp32", "ours"))
    size = "×".join(map(str, (config.input_size, config.input_size, config.in_channels)))
    milliseconds = {name: 1000 * median(times) for name, times in seconds.items()}
    report.say(
        f"width {config.hidden_size}, {size}, 4 images, {steps} DDIM steps, CFG 4: diffusers' DiTPipeline loop "
        f"{milliseconds['diffusers']:.1f} ms a step, ours "
        f"{milliseconds['ours fp32']:.1f} in fp32 ({exact:.2f} times as fast) "
        f"and {milliseconds['ours']:.1f} in {warm.precision.name} ({chosen:.2f} times)",
        diffusers_fp32_ms=milliseconds["diffusers"],
        ours_fp32_ms=milliseconds["ours fp32"],
        ours_ms=milliseconds["ours"],
        speedup_fp32=exact,
        speedup=chosen,
    )


def _outside_the_model(report: _Report, warm: WarmModel, steps: int) -> None:
    """The time of a step that is not the model's, in the number format that is chosen."""
    inside: list[float] = []
    model, device = warm.loaded.model, warm.device

    def enter(*_: object) -> None:
        devices.synchronise(device)
        inside.append(-time.perf_counter())

    def leave(*_: object) -> None:
        devices.synchronise(device)
        inside[-1] += time.perf_counter()

    handles = [model.register_forward_pre_hook(enter), model.register_forward_hook(leave)]
    loop = warm.draw(_request(steps))
    whole = _in_turn({"ours": loop}, device, steps)["ours"]
    for handle in handles:
        handle.remove()
    share = median(1 - model_seconds / seconds for model_seconds, seconds in zip(inside[1:], whole, strict=True))
    report.say(f"{100 * share:.1f} % of a step are spent outside the model", share_outside_model=share)


def _showing(report: _Report, warm: WarmModel, steps: int) -> None:
    """Every step as pixels through a pipe, as a window is shown it, against nothing shown."""
    request = _request(steps)

    def shown() -> Iterator[Event]:
        with open(os.devnull, "wb") as pipe:  # noqa: PTH123  a device, not a path
            for event in Generation(warm, request, None, None, None).run(0):
                line, data = split_bytes(event)
                pipe.write(encode(line) + b"\n" + data)
                if isinstance(event, SampleFrame):
                    yield event

    loops: dict[str, Iterator[object]] = {
        "shown": shown(),
        "alone": warm.draw(request),
    }
    seconds = _in_turn(loops, warm.device, steps)
    cost = _ratio(seconds["shown"], seconds["alone"]) - 1
    report.say(f"showing every step costs {100 * cost:.1f} %", cost_of_showing=cost)


def _in_turn(loops: dict[str, Iterator[object]], device: torch.device, steps: int) -> dict[str, list[float]]:
    """Seconds that each loop takes for each of its steps but the first, one loop after the other."""
    seconds: dict[str, list[float]] = {name: [] for name in loops}
    for number in range(steps):
        for name, loop in loops.items():
            devices.synchronise(device)
            started = time.perf_counter()
            next(loop)
            devices.synchronise(device)
            if number:
                seconds[name].append(time.perf_counter() - started)
    return seconds


def _ratio(slow: list[float], fast: list[float]) -> float:
    return median(a / b for a, b in zip(slow, fast, strict=True))


# ------------------------------------------------------------------------------------------------- a generation


def _first_frame(report: _Report, model: str, folder: Path, *, rounds: int = 9) -> None:
    """From the request to the first frame, of a model that is loaded and warm."""
    for _ in load_warm(model, "ema"):
        pass
    milliseconds = []
    for number in range(rounds):
        events = draw(model, "ema", {"count": 4, "steps": 50}, str(folder / f"entry-{number}"), None, 2**28)
        started = time.perf_counter()
        next(event for event in events if isinstance(event, SampleFrame))
        milliseconds.append(1000 * (time.perf_counter() - started))
        events.close()
    report.say(
        f"first frame of 4 images on a warm model after {median(milliseconds):.0f} ms (at most "
        f"{max(milliseconds):.0f})",
        first_frame_ms=median(milliseconds),
        first_frame_ms_most=max(milliseconds),
    )


def _fewer_steps(report: _Report, model: str, extent: Extent) -> None:
    """20 steps of the better solvers against 250 of DDPM: their time, and how near the samples are to the data."""
    warm = warm_model(model, "ema")
    few = min(20, extent.steps)
    real = _training_features(warm)
    request = SampleRequest(
        classes=tuple(range(warm.loaded.config.num_classes)), count=extent.statistics_images, batch_size=35
    )
    for sampler, steps in (("ddpm", extent.ddpm_steps), ("unipc", few), ("dpm++", few)):
        asked = replace(request, sampler=sampler, steps=steps)
        started = time.perf_counter()
        images = _images(warm, asked)
        seconds = time.perf_counter() - started
        values: dict[str, float | str] = {f"{sampler}_seconds": seconds}
        line = f"{steps} steps of {sampler}: {request.count} images in {seconds:.1f} s"
        if real is not None:
            distance = frechet_distance_from_features(real, _features(images))
            line += f", Fréchet distance of 8×8 pixels to the training images {distance:.3f}"
            values[f"{sampler}_frechet_pixels"] = distance
        report.say(line, **values)
    if real is not None:
        some = np.random.default_rng(0).permutation(len(real))[: request.count]
        distance = frechet_distance_from_features(real, real[some])
        line = f"as many training images at random: {distance:.3f}. (Not FID: no Inception features.)"
        report.say(line, real_frechet_pixels=distance)


def _images(warm: WarmModel, request: SampleRequest) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return torch.cat([done.images for done in warm.draw(request) if isinstance(done, Samples)]).numpy()


def _training_features(warm: WarmModel) -> np.ndarray[Any, np.dtype[np.float64]] | None:
    """Of the images that the run of a model was trained on, if they are still decoded."""
    try:
        state = msgspec.json.decode((warm.loaded.path.parent / "state.json").read_bytes(), type=Progressed)
    except (OSError, msgspec.DecodeError):
        return None
    cached = open_cache(state.data_fingerprint) if state.data_fingerprint else None
    return None if cached is None else _features(np.asarray(cached.images))


def _features(images: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
    return pixel_features(images, side=8)


def _npz_memory(report: _Report, model: str, file: Path, images: int) -> None:
    """What the process takes while many images go into an NPZ: at a tenth of them and at the end."""
    request = {"count": images, "batch_size": min(500, images // 20), "steps": 2, "classes": [0, 1]}
    process = psutil.Process()
    sizes: list[float] = []
    started = time.perf_counter()
    for event in draw_npz(model, "ema", request, str(file)):
        done = getattr(event, "done", images)
        if (not sizes and done >= images / 10) or done == images:
            sizes.append(process.memory_info().rss / 2**20)
    growth = sizes[-1] - sizes[0]
    report.say(
        f"{images:,} images to an NPZ of {file.stat().st_size / 2**20:,.0f} MB in "
        f"{time.perf_counter() - started:.1f} s: {sizes[0]:,.0f} MB held after a tenth, {sizes[-1]:,.0f} at the end",
        npz_images=images,
        npz_growth_mb=growth,
    )
