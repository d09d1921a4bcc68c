"""A run with a very long history: how fast it opens, what it weighs in memory, and what its index costs."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from dit_studio.config import Recipe
from dit_studio.events import CheckpointSaved, Event, JobState, Metrics, Started, Validation, encode
from dit_studio.jobs.event_log import EventWriter
from dit_studio.jobs.history_index import HistoryIndex
from dit_studio.jobs.run_folder import RunFolder, Status
from dit_studio.ui.benchmark_window import WindowFigures

_WRITTEN_LINES = 100_000
_PIECE = 100_000  # lines
_LINE = (
    b'{"kind":"metrics","time":%.6f,"step":%d,"loss":%.17g,"learning_rate":0.0001,"grad_norm":0.31234567890123456,'
    b'"images_per_second":812.34567890123456,"memory_bytes":12345678900,"images_seen":%d,'
    b'"bands":[0.12345678901234567,0.23456789012345678,0.34567890123456789,0.45678901234567890],"seconds":%.6f}\n'
)
_OPEN = """
import sys, time
from pathlib import Path
import psutil
import pyqtgraph
from dit_studio.jobs.launch import Launcher
from dit_studio.jobs.run_folder import RunFolder
from dit_studio.ui.app import make_app
from dit_studio.ui.one_job import OneJob
from dit_studio.ui.train.plot_view import PlotView
from dit_studio.ui.train.plots import TrainPlots
def drawn_until():
    items = plots.findChildren(PlotView)[0].box.allChildren()
    curves = [item.getData()[0] for item in items if isinstance(item, pyqtgraph.PlotCurveItem)]
    return max((x[-1] for x in curves if x is not None and len(x)), default=0)
app, plots, job = make_app(), TrainPlots(), OneJob()
plots.resize(900, 600); plots.show(); plots.grab(); app.processEvents()
folder, lines, limit = RunFolder(Path(sys.argv[1])), int(sys.argv[2]), time.monotonic() + 300
before, start = psutil.Process().memory_info().rss, time.perf_counter()
job.received.connect(plots.add_events)
job.run(Launcher().follow(folder))
while drawn_until() < lines and time.sleep(0.002) is None and time.monotonic() < limit:
    app.processEvents()
plots.grab()
seconds = time.perf_counter() - start
after = psutil.Process().memory_info().rss
job.close()
plots.close_jobs()
assert drawn_until() >= lines, f"drawn until step {drawn_until():.0f} only"
print(seconds, after - before, len(plots.history.loss), flush=True)
"""


def measure_history(lines: int) -> WindowFigures:
    """A run of so many lines of metrics, opened by the real follower and drawn, each time in a new process.

    `open_seconds`, from the beginning to the drawn curve, and `open_bytes` of memory that it takes; the same without an
    index, `first_open_seconds`, which makes it; `index_bytes` and `events_bytes` on the disk; `write_seconds` a line,
    with the index, and `write_seconds_without_index`.
    """
    with tempfile.TemporaryDirectory(prefix="dit-studio-history-") as place:
        folder = RunFolder.create(Path(place) / "run", Recipe())
        folder.write_status(Status(state=JobState.FINISHED, step=lines, steps=lines))
        events_file = folder.path / "events.jsonl"
        write_history(events_file, lines)
        first_seconds, _, _ = _open(folder, lines)
        seconds, size, points = _open(folder, lines)
        written, plain = _write_seconds(Path(place))
        values = {
            "lines": float(lines),
            "open_seconds": seconds,
            "open_bytes": size,
            "points": points,
            "first_open_seconds": first_seconds,
            "index_bytes": float(HistoryIndex(events_file).records.nbytes),
            "events_bytes": float(events_file.stat().st_size),
            "write_seconds": written,
            "write_seconds_without_index": plain,
        }
    return WindowFigures(_lines(values), values)


def _lines(values: dict[str, float]) -> tuple[str, ...]:
    return (
        f"A history of {values['lines']:,.0f} steps, {values['events_bytes'] / 1e9:.2f} GB, "
        f"and its index, {values['index_bytes'] / 1e6:.1f} MB",
        f"  opened and drawn in {values['open_seconds']:.2f} s with {values['open_bytes'] / 1e6:.0f} MB of memory",
        f"  the first time, without an index: {values['first_open_seconds']:.1f} s",
        f"  a step written: {1e6 * values['write_seconds']:.1f} µs, "
        f"a plain line {1e6 * values['write_seconds_without_index']:.1f} µs",
    )


def write_history(events_file: Path, lines: int) -> None:
    """What a run of so many steps says, quickly, and without an index."""
    noise = np.random.default_rng(0)
    started = Started(steps=lines, parameters=1, device="cpu", precision="fp32", images=1, validation_images=1)
    with events_file.open("wb") as file:
        file.write(encode(started) + b"\n")
        for begin in range(1, lines + 1, _PIECE):
            steps = np.arange(begin, min(begin + _PIECE, lines + 1))
            losses = 0.1 + np.exp(-steps / 1e6) * noise.lognormal(0.0, 0.2, steps.size)
            pairs = zip(steps.tolist(), losses.tolist(), strict=True)
            file.writelines(_LINE % (1.7e9 + step / 4, step, loss, 256 * step, step / 4) for step, loss in pairs)
            last = int(steps[-1])
            file.write(encode(Validation(step=last, loss=0.1)) + b"\n")
            file.write(encode(CheckpointSaved(step=last, file=f"checkpoints/step-{last}")) + b"\n")


def _open(folder: RunFolder, lines: int) -> tuple[float, float, float]:
    command = [sys.executable, "-c", _OPEN, str(folder.path), str(lines)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=900)
    seconds, size, points = map(float, done.stdout.split())
    return seconds, size, points


def _write_seconds(place: Path) -> tuple[float, float]:
    """What a line costs whoever writes it: with the index, and the plain lines."""
    events = list(_steps(_WRITTEN_LINES))
    with EventWriter(RunFolder.create(place / "written", Recipe())) as writer:
        start = time.perf_counter()
        for event in events:
            writer.append(event)
        written = time.perf_counter() - start
    with (place / "plain.jsonl").open("ab", buffering=2**16) as file:
        start = time.perf_counter()
        for event in events:
            file.write(encode(event) + b"\n")
        plain = time.perf_counter() - start
    return written / _WRITTEN_LINES, plain / _WRITTEN_LINES


def _steps(count: int) -> Iterator[Event]:
    for step in range(1, count + 1):
        yield Metrics(
            step=step,
            loss=1 / step,
            learning_rate=1e-4,
            grad_norm=1 / step,
            images_per_second=812.3,
            memory_bytes=12_345_678_900,
            images_seen=256 * step,
            bands=(1 / step, 2 / step, None, 0.5),
            seconds=step / 4,
        )
