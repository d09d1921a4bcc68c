"""What opening and converting a published model costs in memory and time; each step in a process of its own."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
import torch

from dit_studio.engine import checkpoint, export_model
from dit_studio.engine.benchmark_figures import Figures
from dit_studio.engine.interop_tensors import open_tensors
from dit_studio.engine.model import DiT, sincos_position_embedding
from dit_studio.errors import StudioError
from dit_studio.model_settings import PRESETS

_CODE = "import sys; from dit_studio.engine.benchmark_models import run_step; run_step(*sys.argv[1:])"
_STEPS = {  # name: (what is read, what is written, in which format), by their names in the folder
    "load": ("DiT-XL-2-256x256.pt", "", ""),
    "to diffusers": ("DiT-XL-2-256x256.pt", "pipeline", "diffusers"),
    "load of diffusers": ("pipeline", "", ""),
    "from diffusers": ("pipeline", "DiT-back.pt", "facebook"),
    "to our own": ("DiT-XL-2-256x256.pt", "own.safetensors", "studio"),
    "load of our own": ("own.safetensors", "", ""),
}
STEPS = tuple(_STEPS)


def measure_models(preset: str = "B/2", *, steps: Sequence[str] = STEPS, folder: Path | None = None) -> Figures:
    """Load a random state of a published size, and convert it to diffusers and back, bit for bit, and to our own.

    Four times its size is taken on the disk for a while.
    `steps`: some of STEPS, in their order.
    Raises: StudioError if a step fails, or if a number is not the same there and back.
    """
    with tempfile.TemporaryDirectory(prefix="dit-studio-benchmark-", dir=folder) as place:
        return _measure(Path(place), preset, steps)


def _measure(folder: Path, preset: str, steps: Sequence[str]) -> Figures:
    _in_a_process("write", str(folder / "DiT-XL-2-256x256.pt"), preset)
    size = (folder / "DiT-XL-2-256x256.pt").stat().st_size
    lines = [f"DiT-{preset}, random weights: {size / 1e9:.2f} GB. Peak memory above the imports', over that size:"]
    values: dict[str, float | str] = {"preset": preset, "size_bytes": float(size)}
    for name in steps:
        source, target, form = _STEPS[name]
        peak, seconds = _in_a_process(
            "convert" if form else "load", *(str(folder / part) for part in (source, target)), form
        )
        key = name.replace(" ", "_")
        values |= {f"{key}_peak": round(peak / size, 3), f"{key}_seconds": round(seconds, 2)}
        lines.append(f"  {name:<18} {peak / size:5.2f} ×   {seconds:6.1f} s")
    _check_same(folder / "DiT-XL-2-256x256.pt", folder / "DiT-back.pt")
    lines.append("  There and back it is the same, bit for bit.")
    return Figures(lines=lines, values=values)


def _in_a_process(*words: str) -> tuple[float, float]:
    """Peak memory above what the imports took, in bytes, and seconds. Raises: StudioError."""
    done = subprocess.run([sys.executable, "-c", _CODE, *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise StudioError(f"Measuring {words[0]} failed: {done.stderr.strip().splitlines()[-1]}")
    peak, seconds = json.loads(done.stdout.splitlines()[-1])
    return peak, seconds


def run_step(step: str, source: str, target: str, form: str = "") -> None:
    """In a process of its own: print the peak memory and the seconds of one step."""
    import diffusers  # noqa: F401  before the memory is looked at

    torch.set_num_threads(1)
    before, started = _peak_bytes(), time.monotonic()
    match step:
        case "write":
            _write_random(Path(source), preset=target)
        case "load":
            checkpoint.load_model(source)
        case _:
            for _event in export_model.convert_model(source, "ema", target, form):
                pass
    sys.stdout.write(json.dumps([_peak_bytes() - before, time.monotonic() - started]) + "\n")


def _write_random(file: Path, *, preset: str) -> None:
    """A flat published file, without its noise schedule or VAE, as all are."""
    width, depth, heads, patch = PRESETS[preset]
    with torch.device("meta"):
        model = DiT(input_size=32, patch_size=patch, hidden_size=width, depth=depth, num_heads=heads)
    generator = torch.Generator().manual_seed(0)
    state = {name: torch.randn(value.shape, generator=generator) for name, value in model.state_dict().items()}
    state["pos_embed"] = sincos_position_embedding(width, grid_size=32 // patch)
    torch.save(state, file)


def _check_same(one: Path, other: Path) -> None:
    """Raises: StudioError if a tensor is not the same to the bit."""
    first, second = open_tensors(one), open_tensors(other)
    for name in sorted(first.places.keys() | second.places.keys()):
        if not torch.equal(first.read(name), second.read(name)):
            raise StudioError(f"{name} is not the same there and back.")


def _peak_bytes() -> int:
    """The most that this process had in memory so far."""
    status = Path("/proc/self/status")
    if status.is_file():  # elsewhere on Linux it is also that of the process which started this one
        return 1024 * int(status.read_text().partition("VmHWM:")[2].split()[0])
    if (peak := getattr(psutil.Process().memory_info(), "peak_wset", None)) is not None:  # Windows
        return int(peak)
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
