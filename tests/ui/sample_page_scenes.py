"""The whole Sample page in its states, for a person to look at."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from attention_answers import seen
from PySide6.QtWidgets import QWidget
from sample_films import Drawing, photographs, started
from sample_history_scenes import DIGITS, make_entry, make_history, record_of
from sample_setup_scenes import example_model
from scripted import Script, ScriptedLauncher, Step

from dit_studio.events import CellDrawn, CellFailed, CellStarted, Failure
from dit_studio.places import samples_dir
from dit_studio.sample_request import SampleRequest
from dit_studio.ui.main_window import MainWindow
from dit_studio.ui.sample.page import SamplePage
from dit_studio.ui.settings import Settings

_NAMES = ("temple", "flower")
_MODEL = example_model(_NAMES, image_size=32, patch_size=2, depth=12, num_heads=6)
_REQUEST = SampleRequest(classes=(0, 1), count=8, steps=50, cfg=4.0, seed=12)
_DIED = Failure(
    message="The worker process ended in the middle of its work (it closed its output).",
    remedy="Try again: the next request starts a new one.",
    code="killed",
    details="Traceback (most recent call last):\n  …",
)


def _window(place: Path, sample: Script | Callable[..., Script] = ()) -> tuple[MainWindow, SamplePage]:
    settings = Settings(place / "settings.json")
    settings.put(page="sample")
    settings.save_form("sample model", {"path": _MODEL.path, "weights": "ema"})
    launcher = ScriptedLauncher(answers={"describe_sampling": [_MODEL], "sample": sample, "sweep": _cells})
    window = MainWindow(settings, launcher)  # type: ignore[arg-type]
    page = window.page("sample")
    assert isinstance(page, SamplePage)
    page.session.model_loaded.connect(lambda: page.set_up.set_request(_REQUEST))
    return window, page


def _generated(place: Path, sample: Callable[..., Script]) -> tuple[MainWindow, SamplePage]:
    make_history(samples_dir())
    window, page = _window(place, sample)
    page.session.model_loaded.connect(page.set_up.bar.generate.click)
    return window, page


def _frames(folder: str, until: int) -> list[Step]:
    clean = photographs(_REQUEST.count, 32)
    start = msgspec.structs.replace(started(clean, _REQUEST.steps, seed=_REQUEST.seed), folder=folder)
    drawing = Drawing(clean, start)
    return [start, *(drawing.frame(step) for step in range(1, until + 1)), *([drawing.drawn()] if until == 50 else [])]


def _all_steps(folder: str, **_: object) -> Script:
    return _frames(folder, 50)


def _cells(folder: str, **_: Any) -> Script:
    drawing = Drawing(photographs(4, 32), started(photographs(4, 32), 50))
    pixels = drawing.drawn().data
    done = [
        CellDrawn(index=n, folder=f"{folder}/cells/{n:03d}", images=4, height=32, width=32, channels=3, data=pixels)
        for n in range(2)
    ]
    failed = CellFailed(index=2, message="cfg = 1000 is not possible: a number from 0 to 100.")
    return [*done, failed, CellStarted(index=3), threading.Event()]


def empty(place: Path) -> QWidget:
    settings = Settings(place / "settings.json")
    settings.put(page="sample")
    return MainWindow(settings, ScriptedLauncher())  # type: ignore[arg-type]


def live(place: Path) -> QWidget:
    return _generated(place, lambda folder, **_: [*_frames(folder, 21), threading.Event()])[0]


def finished(place: Path) -> QWidget:
    window, page = _generated(place, _all_steps)
    page.session.state_changed.connect(lambda state: state.is_active or (page.stage.pick(3), page.stage.seek(29)))
    return window


def guidance(place: Path) -> QWidget:
    window, page = _generated(place, _all_steps)
    page.session.state_changed.connect(
        lambda state: state.is_active or (page.stage.guidance.click(), page.stage.seek(24))
    )
    return window


def branch(place: Path) -> QWidget:
    make_history(samples_dir())
    window, page = _window(place)
    page.session.model_loaded.connect(
        lambda: (page.entries.opened.emit("b"), page.stage.seek(30), page.stage.branch.click())
    )
    return window


def compared(place: Path) -> QWidget:
    make_history(samples_dir())
    window, page = _window(place)
    page.entries.compare_asked.emit("d", 2)
    page.entries.compare_asked.emit("d", 3)
    return window


def swept(place: Path) -> QWidget:
    make_entry(samples_dir(), "a", record_of(count=4))
    window, page = _window(place)
    page._tabs.setCurrentWidget(page.sweep)
    page.session.model_loaded.connect(page.sweep.panel.start.click)
    return window


def died(place: Path) -> QWidget:
    return _generated(place, lambda folder, **_: [*_frames(folder, 9), _DIED])[0]


def attention(place: Path, *, heads: int = 6) -> QWidget:
    make_entry(samples_dir(), "drawn", record_of(count=8, steps=50), side=32)
    window, page = _window(place)
    launcher = page.attention._launcher
    assert isinstance(launcher, ScriptedLauncher)
    launcher.answers["describe_sampling"] = [msgspec.structs.replace(_MODEL, path=DIGITS.path, fingerprint="")]
    launcher.answers["see_attention"] = lambda **params: [seen(**params, heads=heads, grid=16, elsewhere=0.2)]
    page.session.model_loaded.connect(lambda: page.stage.seek(38))
    page.stage.heads.setChecked(True)
    return window


def attention_of_sixteen(place: Path) -> QWidget:
    return attention(place, heads=16)


def attention_of_another(place: Path) -> QWidget:
    (place / "digits").mkdir()
    model = msgspec.structs.replace(DIGITS, path=str(place / "digits"))
    make_entry(samples_dir(), "drawn", record_of(count=8, steps=50, model=model), side=32)
    window, page = _window(place)
    page.stage.heads.setChecked(True)
    return window


SAMPLE_SCENES: dict[str, Callable[[Path], QWidget]] = {
    "sample-empty": empty,
    "sample-live": live,
    "sample-finished": finished,
    "sample-guidance": guidance,
    "sample-branch": branch,
    "sample-compared": compared,
    "sample-swept": swept,
    "sample-died": died,
    "sample-attention": attention,
    "sample-attention-16": attention_of_sixteen,
    "sample-attention-other": attention_of_another,
}
