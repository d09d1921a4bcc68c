"""Which device computes, in which number format, and how much memory it has: the only file that names a device."""

import gc
import itertools
import os
import platform
import subprocess
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch

from dit_studio.device_names import AUTO, named, why_not_together
from dit_studio.errors import ConfigError, DeviceMemoryError, Problem

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}
_PLAIN_ATTENTION_SCORES = 32 * 2**20
_LOOK_SECONDS = 0.01  # between two looks at this process's memory
_MEMORY_WORDS = ("out of memory", "can't allocate memory", "failed to allocate", "not enough memory")


@dataclass(frozen=True)
class Precision:
    """The number format of matrix products; weights and sums stay in float32."""

    name: str  # "bf16", "fp16" or "fp32"

    @property
    def dtype(self) -> torch.dtype:
        return _DTYPES[self.name]

    @property
    def needs_scaler(self) -> bool:
        """float16 loses small gradients unless the loss is scaled up."""
        return self.name == "fp16"

    def autocast(self, device: torch.device) -> AbstractContextManager[object]:
        return nullcontext() if self.name == "fp32" else torch.autocast(device.type, dtype=self.dtype)


def pick_device(name: str = "auto", *, setting: str = "train.device") -> torch.device:
    """CUDA, then MPS, then the CPU; or the one that is named; of several the first.

    Raises: ConfigError if one is not there, with the name of the setting that asked for it.
    """
    return pick_devices(name, setting=setting)[0]


def pick_devices(name: str = "auto", *, setting: str = "train.device") -> tuple[torch.device, ...]:
    """The devices that are named with commas between them, one for each process; "auto" is one.

    Raises: ConfigError if one is not there, or if they cannot train together.
    """
    if name == AUTO:
        return (torch.device(available_devices()[0]),)
    if (names := named(name)) and (why_not := why_not_together(name)):
        raise ConfigError([Problem(setting, f'{setting} = "{name}" is not possible: {why_not}', name)])
    found = [device for one in names if (device := _find(one)) is not None]
    if len(found) < len(names) or not names:
        raise ConfigError([Problem(setting, _not_here(name, names, setting), name)])
    places = [device.index or 0 for device in found if device.type != "cpu"]
    if len(set(places)) < len(places):  # as "cuda" and "cuda:0" are
        message = f'{setting} = "{name}" is not possible: two of these names are of one device; name each once.'
        raise ConfigError([Problem(setting, message, name)])
    return tuple(found)


def _not_here(name: str, names: tuple[str, ...], setting: str) -> str:
    if len(names) < 2:
        return f'{setting} = "{name}" is not on this machine: it takes one of {", ".join([AUTO, *here()])}.'
    missing = next(one for one in names if _find(one) is None)
    has = f"this machine has {', '.join(here())}; name only these"
    return f'{setting} = "{name}" is not possible: {missing} is not here; {has}, or {AUTO}.'


def here() -> list[str]:
    """Every device of this machine as a recipe names it, the best first."""
    kinds = available_devices()
    several = [f"cuda:{number}" for number in range(torch.cuda.device_count())] if "cuda" in kinds else []
    return [*several, *(kind for kind in kinds if kind != "cuda" or not several)]


def _find(name: str) -> torch.device | None:
    """The device of a name, or None if it is not on this machine."""
    try:
        device = torch.device(name)
    except RuntimeError:
        return None
    is_here = device.type in available_devices()
    count = torch.cuda.device_count() if device.type == "cuda" else 1
    return device if is_here and (device.index or 0) < max(1, count) else None


def pick_device_of_rank(name: str, *, local_rank: int, local_size: int) -> torch.device:
    """The device of one of `local_size` processes that train together on this machine.

    Of several that are named, each takes its own; of one kind, each takes the one of its number. The processor takes
    any number of processes. Raises: ConfigError if there are more processes than devices.
    """
    found = pick_devices(name)
    first, there = found[0], len(found)
    what = f'train.device = "{name}" names {there}'
    if there == 1:
        there = torch.cuda.device_count() if first.type == "cuda" else 1
        what = f"this machine has {there} of the kind {first.type}"
    if local_size > there and not (first.type == "cpu" and len(found) == 1):
        message = (
            f"{local_size} processes were started on this machine, each takes a device, and {what}: "
            f"start {there} (--nproc-per-node={there})."
        )
        raise ConfigError([Problem("train.device", message, name)])
    if len(found) > 1 or local_size == 1:
        return found[local_rank]
    return torch.device(first.type, local_rank) if first.type == "cuda" else first


def take_device(device: torch.device) -> None:
    """Make it the one that this process computes on where none is named."""
    if device.type == "cuda":
        torch.cuda.set_device(device)


def full_name(device: torch.device) -> str:
    """As torch knows it, with its number where there may be several."""
    name = str(device)
    return f"{name}:{torch.cuda.current_device()}" if name == "cuda" else name


def collective_back_end(device: torch.device) -> str:
    """What carries tensors between processes on devices of this kind."""
    return "nccl" if device.type == "cuda" else "gloo"


def available_devices() -> list[str]:
    """The kinds of device on this machine, the best first."""
    found = ["cuda"] if torch.cuda.is_available() else []
    found += ["mps"] if torch.backends.mps.is_available() else []
    return [*found, "cpu"]


def cores() -> int:
    """Of the processor, those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def pick_precision(device: torch.device, wanted: str = "auto", *, setting: str = "train.precision") -> Precision:
    """What suits the device, or what is wanted.

    Raises: ConfigError if the device cannot do it, with the name of the setting that asked for it.
    """
    if wanted == "auto":
        return Precision(_best_precision(device))
    if wanted not in _DTYPES:
        message = f'{setting} = "{wanted}" is not possible: it takes one of auto, {", ".join(_DTYPES)}.'
        raise ConfigError([Problem(setting, message, wanted)])
    if wanted == "fp16" and device.type == "cpu":
        message = f'{setting} = "fp16" is not possible on a CPU: it takes bf16 or fp32.'
        raise ConfigError([Problem(setting, message, wanted)])
    return Precision(wanted)


def _best_precision(device: torch.device) -> str:
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    if device.type == "cpu" and cpu_has_bf16():
        return "bf16"
    return "fp32"


def cpu_has_bf16() -> bool:
    """The processor multiplies bfloat16 matrices in hardware (AVX512-BF16, AMX or Arm's BF16)."""
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    words = set(flags.split())
    return bool(words & {"avx512_bf16", "amx_bf16", "bf16"})


def move(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """To the device; from pinned memory without waiting where that helps."""
    if device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def set_float32_matmul(device: torch.device) -> None:
    """TF32 stays off: float32 means float32, as the reference figures do."""
    if device.type == "cuda":
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False


def prefers_plain_attention(q: torch.Tensor, *, keys: int | None = None) -> bool:
    """Plain matrix products beat the fused kernel: on CPUs in bfloat16 (three times, forward and backward, at 256
    tokens), while the scores are few enough to be kept. Shape: q (B, heads, N, d), which look at `keys`, or at N."""
    scores = q.shape[0] * q.shape[1] * q.shape[2] * (keys or q.shape[2])
    return q.device.type == "cpu" and q.dtype == torch.bfloat16 and scores <= _PLAIN_ATTENTION_SCORES


def parts_of_heads(device: torch.device, heads: int) -> int:
    """In how many parts window attention takes the heads: on a CPU one by one, so that what it gathers stays small;
    elsewhere all at once, where a call costs more than its memory."""
    return heads if device.type == "cpu" else 1


def synchronise(device: torch.device) -> None:
    """Wait until the device has done what it was told, so that a clock reads true."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


# ------------------------------------------------------------------------------------------------- memory


def memory_used(device: torch.device) -> int:
    """Bytes that this process holds on the device (on a CPU: of main memory)."""
    if device.type == "cuda":
        return int(torch.cuda.memory_reserved(device))
    if device.type == "mps":
        return int(torch.mps.driver_allocated_memory())
    return int(psutil.Process().memory_info().rss)


def memory_total(device: torch.device) -> int:
    """Bytes that the device has; on a CPU no more than the limit of this process's container."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    if device.type == "mps":
        return int(torch.mps.recommended_max_memory())
    return min([psutil.virtual_memory().total, *_container_limit()])


def memory_free(device: torch.device) -> int:
    """Bytes that are free for this process now."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    return min([psutil.virtual_memory().available, memory_total(device), *_container_free()])


def raises_when_full(device: torch.device) -> bool:
    """The back end says so where memory is short; on a CPU the system ends the process without a word."""
    return device.type != "cpu"


def most_held(device: torch.device, action: Callable[[], object]) -> int:
    """The most bytes that this process held on the device during an action: also what was there before, and what an
    allocator keeps for the next time."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        action()
        torch.cuda.synchronize(device)
        return int(torch.cuda.max_memory_reserved(device))
    if device.type != "cpu":
        action()
        return memory_used(device)
    return _most_resident(device, action)


def _most_resident(device: torch.device, action: Callable[[], object]) -> int:
    """Looks so often that nothing large comes and goes unseen."""
    seen, is_done = [memory_used(device)], threading.Event()

    def look() -> None:
        while not is_done.wait(_LOOK_SECONDS):
            seen[0] = max(seen[0], memory_used(device))

    looking = threading.Thread(target=look)
    looking.start()
    try:
        action()
    finally:
        is_done.set()
        looking.join()
    return max(seen[0], memory_used(device))


def release_memory(device: torch.device) -> None:
    """Give back what nothing refers to any more."""
    gc.collect()
    empty_cache(device)


@contextmanager
def undisturbed(device: torch.device) -> Iterator[None]:
    """What runs in it leaves random states, number formats and threads as they were, and holds no memory after it."""
    random, threads = torch.get_rng_state(), torch.get_num_threads()
    on_device = _random_state(device)
    formats = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = formats
        torch.set_num_threads(threads)
        torch.set_rng_state(random)
        if on_device is not None:
            _set_random_state(device, on_device)
        release_memory(device)


def _random_state(device: torch.device) -> torch.Tensor | None:
    """Of a device that has one of its own."""
    if device.type == "cuda":
        return torch.cuda.get_rng_state(device)
    return torch.mps.get_rng_state() if device.type == "mps" else None


def _set_random_state(device: torch.device, state: torch.Tensor) -> None:
    if device.type == "cuda":
        torch.cuda.set_rng_state(state, device)
    else:
        torch.mps.set_rng_state(state)


def memory_in_use(found: Sequence[torch.device]) -> list[int]:
    """Bytes that all processes together hold on each device; 0 where nobody tells. No work begins on a GPU for it."""
    gpus = _gpu_memory_in_use() if any(device.type == "cuda" for device in found) else {}
    return [
        gpus.get(str(torch.cuda.get_device_properties(device).uuid), 0)
        if device.type == "cuda"
        else memory_total(device) - memory_free(device)
        for device in found
    ]


def _gpu_memory_in_use() -> dict[str, int]:
    """Bytes by the GPU's UUID, as its driver counts them."""
    asked = ["nvidia-smi", "--query-gpu=uuid,memory.used", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(asked, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return {}
    pairs = (line.removeprefix("GPU-").split(", ") for line in done.stdout.splitlines())
    return {pair[0]: int(pair[1]) * 2**20 for pair in pairs if len(pair) == 2 and pair[1].isdigit()}


def peak_bytes(device: torch.device, action: Callable[[], object]) -> int | None:
    """The most bytes that an action's tensors took at one moment, above what was there; None where nobody counts."""
    if device.type == "cuda":
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        action()
        torch.cuda.synchronize(device)
        return int(torch.cuda.max_memory_allocated(device)) - before
    if device.type != "cpu":
        action()
        return None
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler talks otherwise
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profiled:
        action()
    events = profiled.profiler.kineto_results.events() if profiled.profiler else ()
    changes = (event.nbytes() for event in events if event.name() == "[memory]")
    return max(itertools.accumulate(changes), default=0)


def _container_limit() -> list[int]:
    try:
        return [int(Path("/sys/fs/cgroup/memory.max").read_text())]
    except (OSError, ValueError):  # no such file, or "max"
        return []


def _container_free() -> list[int]:
    """Bytes below the container's limit; what the system merely caches of files counts as free."""
    place = Path("/sys/fs/cgroup")
    try:
        used = int((place / "memory.current").read_text())
        lines = (place / "memory.stat").read_text().splitlines()
        cached = next((int(line.split()[1]) for line in lines if line.startswith("inactive_file ")), 0)
    except (OSError, ValueError, IndexError):
        return []
    return [max(0, limit - (used - cached)) for limit in _container_limit()]


class BackEndError(Exception):
    """What the back end said, in its own words, without its tensors."""


@contextmanager
def naming_memory_errors(device: torch.device, **numbers: float) -> Iterator[None]:
    """Turn what a back end throws for want of memory into a DeviceMemoryError that carries `numbers`."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        text = str(error).splitlines()[0] if str(error) else "out of memory"
        is_memory = isinstance(error, torch.OutOfMemoryError | MemoryError)
        if not is_memory and not any(word in text.lower() for word in _MEMORY_WORDS):
            raise
        traceback.clear_frames(error.__traceback__)  # the step's tensors live in its frames
        empty_cache(device)
        figures = {"total_bytes": memory_total(device), "used_bytes": memory_used(device), **numbers}
        raise DeviceMemoryError(
            f"Training does not fit into the memory of {describe(device)}.",
            remedy="Take a smaller batch, gradient checkpointing, or a smaller model.",
            numbers=figures,
        ) from BackEndError(text)


def empty_cache(device: torch.device) -> None:
    """Give back what the allocator keeps for the next time."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


# ------------------------------------------------------------------------------------------------- words


def describe(device: torch.device) -> str:
    """The device's name as a person knows it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "mps":
        return f"Apple {platform.machine()} GPU"
    return _cpu_name()


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def missing_accelerator_hint() -> str:
    """A sentence if a GPU is there that this torch was built without; else nothing."""
    if available_devices()[0] != "cpu" or not _has_nvidia_gpu():
        return ""
    return (
        f"An NVIDIA GPU is here, but torch {torch.__version__} cannot use it: "
        "install a CUDA build of torch to train on it."
    )


def _has_nvidia_gpu() -> bool:
    try:
        done = subprocess.run(["nvidia-smi", "-L"], capture_output=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and b"GPU" in done.stdout
