"""What opening and converting a model costs in memory: little more than its weights. Each in a process of its own."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.engine.foreign_models import published_state

XL_2 = {"width": 1152, "depth": 28, "grid": 16, "rows": 1001}
_MEASURED = """
import resource, sys
import torch
from dit_studio.engine import checkpoint, export_model, interop
import diffusers
from diffusers import DiTTransformer2DModel
torch.set_num_threads(1)

def peak():
    if sys.platform == "linux":  # where ru_maxrss is also that of the process which started this one
        return 1024 * int(open("/proc/self/status").read().partition("VmHWM:")[2].split()[0])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

before = peak()
{work}
print(peak() - before)
"""
LOAD = "loaded = checkpoint.load_model({model!r})"
CONVERT = "list(export_model.convert_model({model!r}, 'ema', {target!r}, {form!r}))"


def write_state(file: Path, **sizes: int) -> int:
    """A flat published file of random numbers, with its size in bytes."""
    torch.save(published_state(**sizes), file)
    return file.stat().st_size


def peak_bytes(work: str, **places: str) -> int:
    """Above what the imports took."""
    code = _MEASURED.replace("{work}", work.format(**places))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return int(done.stdout.splitlines()[-1])


def round_trip(folder: Path, **sizes: int) -> dict[str, float]:
    """Peaks as multiples of the file's size: a published file is loaded, and goes to diffusers and back unchanged."""
    file, out = folder / "DiT-random.pt", folder / "out"
    size = write_state(file, **sizes)
    figures = {
        "load": peak_bytes(LOAD, model=str(file)) / size,
        "to diffusers": peak_bytes(CONVERT, model=str(file), target=str(out / "pipe"), form="diffusers") / size,
        "back": peak_bytes(CONVERT, model=str(out / "pipe"), target=str(out / "DiT-back.pt"), form="facebook") / size,
    }
    one, other = (torch.load(path, weights_only=True, mmap=True) for path in (file, out / "DiT-back.pt"))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    return figures


def other_loads(folder: Path) -> dict[str, float]:
    """Of what `round_trip` left: the diffusers folder, and a file of our own."""
    file, own = folder / "DiT-random.pt", folder / "out" / "own.safetensors"
    size = file.stat().st_size
    return {
        "load of diffusers": peak_bytes(LOAD, model=str(folder / "out" / "pipe")) / size,
        "to our own": peak_bytes(CONVERT, model=str(file), target=str(own), form="studio") / size,
        "load of our own": peak_bytes(LOAD, model=str(own)) / size,
    }


def check(figures: dict[str, float]) -> None:
    print(figures)  # noqa: T201  with pytest -s
    assert all(0 < share < (1.3 if "load" in name else 2.5) for name, share in figures.items()), figures


def test_the_memory_is_that_of_the_weights(tmp_path: Path) -> None:
    """A model of 110 MB, whose largest tensor is small beside it."""
    check(round_trip(tmp_path, width=512, depth=8, grid=8, rows=101))


@pytest.mark.long
@pytest.mark.timeout(1500)
def test_xl_2_of_2_7_gb_peaks_below_1_3_times_its_size(tmp_path: Path) -> None:
    check(round_trip(tmp_path, **XL_2))
    check(other_loads(tmp_path))
