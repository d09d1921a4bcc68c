"""A history of drawn images on the disk, and the right column of the Sample page in its states."""

import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PySide6.QtWidgets import QPushButton, QVBoxLayout, QWidget
from scripted import ScriptedLauncher

from dit_studio.events import StepPoint, Written
from dit_studio.jobs.sample_history import ENTRY, SampleHistory
from dit_studio.sample_request import BranchPoint, ModelReference, SampleEntry, SampleRecord, SampleRequest
from dit_studio.sweep import CellState, SweepAxis, SweepCell, SweepPlan, SweepRecord
from dit_studio.trajectory import INDEX, TrajectoryIndex
from dit_studio.ui.sample.compare import ComparePanel, Pin
from dit_studio.ui.sample.compare_view import CompareView
from dit_studio.ui.sample.export_menu import ExportDialogs, ExportMenu
from dit_studio.ui.sample.film import KeptFilm
from dit_studio.ui.sample.history import HistoryPanel
from dit_studio.ui.sample.movie_dialog import MovieDialog
from dit_studio.ui.sample.sheet_dialog import SheetDialog

DIGITS = ModelReference(
    path="/runs/digits",
    name="digits · step 2,000 · EMA",
    step=2000,
    class_names=tuple(str(digit) for digit in range(10)),
)
LANDSCAPES = ModelReference(
    path="/runs/landscapes",
    name="landscapes · step 20,000 · EMA",
    class_names=("fields", "mountains", "desert", "sea", "beach", "island", "forest at dusk"),
)


def record_of(
    *, model: ModelReference = DIGITS, branch: BranchPoint | None = None, seconds_ago: float = 0.0, **settings: object
) -> SampleRecord:
    request = SampleRequest(**{"classes": (7,), "cfg": 4.0, "seed": 12, **settings})  # type: ignore[arg-type]
    return SampleRecord(request=request, model=model, branch=branch, time=time.time() - seconds_ago)


def make_entry(
    root: Path,
    name: str,
    record: SampleRecord,
    *,
    state: str = "finished",
    images: int | None = None,
    side: int = 16,
    with_trajectory: bool = True,
) -> Path:
    """An entry with pictures that a person can tell apart."""
    folder = root / name
    folder.mkdir(parents=True)
    count = record.request.count if images is None else images
    for image in range(count):
        Image.fromarray(picture(record, image, side)).save(folder / f"{image:06d}.png")
    if with_trajectory:
        make_trajectory(folder, record, count, side)
    entry = SampleEntry(record=record, state=state, images=count, height=side, width=side, seconds=1.2)  # type: ignore[arg-type]
    (folder / ENTRY).write_bytes(msgspec.json.encode(entry))
    return folder


def picture(record: SampleRecord, image: int, side: int) -> NDArray[np.uint8]:
    """Rings whose colour is the class and whose centre is the seed."""
    rng = np.random.default_rng(record.request.seed + image)
    y, x = np.mgrid[:side, :side] / side - rng.uniform(0.3, 0.7, 2)[:, None, None]
    hue = record.label_of(image)
    rings = 0.5 + 0.5 * np.cos(12 * np.hypot(x, y) + hue)
    colours = np.stack([rings, rings**2, 1 - rings], -1) * (0.4 + 0.6 * np.roll([1.0, 0.6, 0.3], hue))
    return (colours * 255).clip(0, 255).astype(np.uint8)


def make_trajectory(folder: Path, record: SampleRecord, images: int, side: int) -> None:
    points = points_of(record.request.steps if images <= 8 else 4)
    finals = np.stack([picture(record, image, side) for image in range(images)])
    noise = np.random.default_rng(record.request.seed).standard_normal((images, 3, side, side)).astype(np.float32)
    signal = finals.transpose(0, 3, 1, 2) / 127.5 - 1
    weights = [point.t / 1000 for point in points]
    x_t = np.stack([(1 - weight) * signal + weight * noise for weight in weights]).astype(np.float32)
    shown = [(1 - weight) * finals + weight * 128 for weight in weights]
    np.save(folder / "x_t.npy", x_t)
    np.save(folder / "x_start.npy", np.stack(shown).astype(np.uint8))
    index = TrajectoryIndex(points=points, images=images, finished=images, planes=("x_t", "x_start"))
    (folder / INDEX).write_bytes(msgspec.json.encode(index))


def points_of(steps: int) -> tuple[StepPoint, ...]:
    times = np.linspace(999, 0, steps)
    return tuple(
        StepPoint(t=float(t), sigma=float(0.02 + t / 300), log_snr=float(-2 * np.log(0.02 + t / 300))) for t in times
    )


def make_sweep(root: Path, name: str, *, drawn: int = 4, state: str = "stopped") -> Path:
    """A sweep of CFG and steps, of which some cells are drawn."""
    axes = (SweepAxis(name="cfg", values=("1", "4", "7")), SweepAxis(name="steps", values=("10", "50")))
    cells = tuple(
        SweepCell(
            index=place,
            page=0,
            row=place // 3,
            column=place % 3,
            labels=(f"CFG {axes[0].values[place % 3]}", f"{axes[1].values[place // 3]} steps"),
            request=SampleRequest(classes=(place % 3,), cfg=float(axes[0].values[place % 3]), seed=place, count=4),
            model="/runs/digits",
            weights="ema",
        )
        for place in range(6)
    )
    plan = SweepPlan(axes=axes, cells=cells, columns=3, rows=2, pages=1)
    # the first cell failed: what is drawn comes after it
    states = tuple(
        CellState(state="failed" if place == 0 else "drawn" if place <= drawn else "waiting") for place in range(6)
    )
    for cell in cells[1 : drawn + 1]:
        folder = root / name / cell.folder
        folder.mkdir(parents=True)
        record = SampleRecord(request=cell.request, model=DIGITS)
        Image.fromarray(picture(record, 0, 16)).save(folder / "000000.png")
    (root / name).mkdir(parents=True, exist_ok=True)
    record_of_sweep = SweepRecord(plan=plan, states=states, state=state)  # type: ignore[arg-type]
    (root / name / "sweep.json").write_bytes(msgspec.json.encode(record_of_sweep))
    return root / name


def make_history(root: Path) -> SampleHistory:
    """A tree of branches, many images, one that was stopped, one that failed, and a damaged folder."""
    hour, day = 3600.0, 86_400.0
    make_entry(root, "a", record_of(seconds_ago=3 * hour, count=4, steps=50))
    branch = BranchPoint(entry="a", image=0, step=17, t=640.0)
    make_entry(root, "b", record_of(seconds_ago=2 * hour, classes=(3,), branch=branch))
    again = BranchPoint(entry="b", image=0, step=9, t=400.0)
    make_entry(root, "c", record_of(seconds_ago=20, classes=(3,), cfg=7.0, sampler="unipc", steps=20, branch=again))
    kinds = tuple(range(7))
    make_entry(root, "d", record_of(model=LANDSCAPES, seconds_ago=200, classes=kinds, count=64, seed=1), side=32)
    make_entry(
        root, "e", record_of(model=LANDSCAPES, seconds_ago=day, classes=(3,), count=8), state="stopped", images=3
    )
    make_entry(root, "f", record_of(seconds_ago=9 * day, cfg=1.0), state="failed", images=0, with_trajectory=False)
    lost = BranchPoint(entry="gone", image=0, step=30, t=300.0)
    make_entry(root, "g", record_of(seconds_ago=400 * day, branch=lost, classes=(1, 2), count=2))
    (root / "foreign").mkdir()
    (root / "foreign" / ENTRY).write_text("{")
    history = SampleHistory(root)
    history.set_favourite("d", 1, on=True)
    history.set_favourite("a", 0, on=True)
    return history


def history_full(place: Path) -> QWidget:
    panel = HistoryPanel(make_history(place / "samples"))
    make_sweep(place / "samples", "s")
    panel.refresh()
    panel.mark_shown("b")
    panel.select("d")
    return panel


def history_empty(place: Path) -> QWidget:
    return HistoryPanel(SampleHistory(place / "samples"))


def history_searched(place: Path) -> QWidget:
    panel = history_full(place)
    assert isinstance(panel, HistoryPanel)
    panel.search.setText("cgf>3 steps<60 desert")
    panel.select("d")
    panel.list.asked.emit("delete")
    return panel


def two_pins(place: Path) -> tuple[Pin, Pin]:
    """An entry of 16 pixels and 50 steps, and one of 32 pixels and 20 steps."""
    one = make_entry(place, "one", record_of(count=2))
    other = make_entry(place, "other", record_of(model=LANDSCAPES, classes=(3,), steps=20, seed=5), side=32)
    return Pin(KeptFilm(one), 0, "digits · 7 · ddim 50 · cfg 4 · seed 12"), Pin(KeptFilm(other), 0, "landscapes · sea")


def compare_pinned(place: Path) -> QWidget:
    panel = ComparePanel()
    for pin in two_pins(place)[:1]:
        panel.pin(pin.film, pin.image, pin.title)
    return panel


def compare_swipe(place: Path) -> QWidget:
    view = CompareView()
    view.show_pins(*two_pins(place))
    return view


def compare_difference(place: Path) -> QWidget:
    view = compare_swipe(place)
    next(button for button in view.findChildren(QPushButton) if button.text() == "Difference").click()
    return view


def compare_beside(place: Path) -> QWidget:
    view = compare_swipe(place)
    assert isinstance(view, CompareView)
    next(button for button in view.findChildren(QPushButton) if button.text() == "Side by side").click()
    view.slider.setValue(30)
    return view


def export_sheet(place: Path) -> QWidget:
    folder = make_entry(place, "one", record_of(classes=(1, 7, 3), count=6))
    return SheetDialog(KeptFilm(folder), 1, [0, 3])


def export_movie(place: Path) -> QWidget:
    folder = make_entry(place, "one", record_of(classes=(1, 7, 3), count=6))
    return MovieDialog(KeptFilm(folder), 1, [0, 3])


def export_menu(place: Path) -> QWidget:
    """The menu of an entry without a trajectory, opened in a page of its own, and how an export went."""
    history = SampleHistory(place / "samples")
    make_entry(history.root, "one", record_of(), with_trajectory=False)
    written = Written(file="/home/me/digits-ddim50-seed12.png", size_bytes=41_234)
    menu = ExportMenu(
        ScriptedLauncher(answers={"export": [written]}),
        dialogs=ExportDialogs(save_path=lambda _title, path, _kinds: path),
    )
    menu.show_entry(history.entry("one"))
    menu.export("png")
    page = QWidget()
    layout = QVBoxLayout(page)
    for widget in (menu, menu.status, menu.menu()):
        layout.addWidget(widget)
    return page


SAMPLE_HISTORY_SCENES: dict[str, Callable[[Path], QWidget]] = {
    "history-full": history_full,
    "history-empty": history_empty,
    "history-searched": history_searched,
    "export-sheet": export_sheet,
    "export-movie": export_movie,
    "export-menu": export_menu,
    "compare-pinned": compare_pinned,
    "compare-swipe": compare_swipe,
    "compare-beside": compare_beside,
    "compare-difference": compare_difference,
}
