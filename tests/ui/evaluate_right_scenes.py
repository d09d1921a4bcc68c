"""The right column of the Evaluate page in its states, for a person to look at: the history, copying, samples."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from evaluation_results import (
    copies,
    copying,
    curve_plan,
    curve_results,
    one_plan,
    one_result,
    record_of,
    result_of,
    sources_plan,
    sources_results,
    write_entry,
)
from numpy.typing import NDArray
from PIL import Image
from PySide6.QtWidgets import QVBoxLayout, QWidget
from scripted import ScriptedLauncher

from dit_studio.evaluation_plan import CopyList
from dit_studio.evaluation_request import Copying
from dit_studio.events import Pictures
from dit_studio.jobs.evaluation_history import EvaluationHistory
from dit_studio.ui.evaluate.copying_view import CopyingView
from dit_studio.ui.evaluate.history import EvaluationsPanel
from dit_studio.ui.evaluate.samples_dialog import SamplesDialog

REAL, FAKE = "/data/digits", "/data/copies"


def make_evaluations(root: Path) -> EvaluationHistory:
    """A curve that was stopped, sources side by side, one comparison, and a curve with points that failed."""
    now = time.time()
    write_entry(root, "a", record_of(one_plan(), time=now - 200_000), {0: one_result()})
    write_entry(root, "b", record_of(sources_plan(), time=now - 90_000), sources_results())
    write_entry(root, "c", record_of(curve_plan(), time=now - 7_000, failed=(4, 9)), curve_results())
    stopped = record_of(curve_plan(), done=7, state="stopped", time=now - 400)
    write_entry(root, "d", stopped, curve_results(7))
    return EvaluationHistory(root)


def image_of(path: str, number: int, side: int) -> NDArray[np.uint8]:
    """Rings that tell images apart; a copy is paler than what it was copied from."""
    y, x = np.mgrid[:side, :side] / side - 0.5
    rings = 0.5 + 0.5 * np.cos(14 * np.hypot(x - 0.1 * (number % 3), y) + number)
    pale = 0.6 if path == FAKE else 1.0
    return (255 * (1 - pale + pale * np.stack([rings, rings**2, 1 - rings], -1))).astype(np.uint8)


def read_pictures(path: str, numbers: Sequence[int], size: int, missing: Sequence[int] = ()) -> list[Pictures]:
    """What the job says of images; those of `missing` are grey."""
    grey = np.full((size, size, 3), 128, np.uint8)
    data = np.stack([grey if number in missing else image_of(path, number, size) for number in numbers])
    return [
        Pictures(
            path=path,
            numbers=tuple(numbers),
            size=size,
            missing=tuple(number for number in numbers if number in missing),
            data=data.tobytes(),
        )
    ]


def copy_list(images: int = 40) -> CopyList:
    return CopyList(real_path=REAL, fake_path=FAKE, copies=copies(images))


def honest() -> Copying:
    """Of a model that does not copy."""
    return msgspec.structs.replace(
        copying(), share_closer=0.046, is_suspicious=False, exact=0,
        copies=tuple(msgspec.structs.replace(copy, is_closer=copy.number < 2) for copy in copies(16)),
    )  # fmt: skip


def copying_view(found: Copying | None, listed: CopyList | None, *, why: str = "") -> CopyingView:
    launcher = ScriptedLauncher(answers={"pictures": lambda **asked: read_pictures(**asked, missing=(4,))})
    view = CopyingView(launcher)  # type: ignore[arg-type]
    result = msgspec.structs.replace(result_of({"fid": 3.2}, fake=FAKE, copying=found), why_no_copying=why)
    view.show_point(result, listed)
    return view


class _Column(QWidget):
    """As wide as the right column of the page."""

    def __init__(self, content: QWidget, close: Callable[[], None] | None = None) -> None:
        super().__init__()
        self._close = close
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 8, 8, 8)
        layout.addWidget(content)
        self.resize(300, 620)

    def sizeHint(self) -> Any:
        return self.size()

    def closeEvent(self, event: Any) -> None:
        super().closeEvent(event)
        if self._close:
            self._close()


def history_full(place: Path) -> QWidget:
    panel = EvaluationsPanel(make_evaluations(place / "evaluations"))
    panel.mark_shown("c")
    column = _Column(panel)
    panel.refresh()
    panel.select("d")
    return column


def history_deleted(place: Path) -> QWidget:
    column = history_full(place)
    panel = column.findChild(EvaluationsPanel)
    assert isinstance(panel, EvaluationsPanel)
    panel.select("b")
    panel.buttons["delete"].click()
    return column


def history_empty(place: Path) -> QWidget:
    return _Column(EvaluationsPanel(EvaluationHistory(place / "nothing")))


def copying_found(_place: Path) -> QWidget:
    view = copying_view(copying(), copy_list())
    return _Column(view, view.close_jobs)


def copying_none(_place: Path) -> QWidget:
    view = copying_view(honest(), None)
    return _Column(view, view.close_jobs)


def copying_not_asked(_place: Path) -> QWidget:
    return _Column(copying_view(None, None))


def copying_impossible(_place: Path) -> QWidget:
    return _Column(copying_view(None, None, why="The reference is saved statistics without images."))


def copying_lens(_place: Path) -> QWidget:
    view = copying_view(copying(), copy_list())
    view.lens.setParent(None)
    view.lens.finished.connect(view.close_jobs)
    view.lens.open_at(view.list.shown(), 1, 1)
    view.lens.view = view  # type: ignore[attr-defined]
    return view.lens


def samples(place: Path) -> QWidget:
    folder = place / "drawn"
    folder.mkdir()
    for number in range(60):
        Image.fromarray(image_of(REAL, number, 32)).save(folder / f"{number:06d}.png")
    return SamplesDialog("step 1,000, CFG 2", str(folder), 60, launcher=ScriptedLauncher())  # type: ignore[arg-type]


def samples_of_archive(_place: Path) -> QWidget:
    launcher = ScriptedLauncher(answers={"pictures": lambda **asked: read_pictures(**asked, missing=(4,))})
    path = str(Path(__file__))  # any file that is there
    return SamplesDialog("copies", path, 40, launcher=launcher)  # type: ignore[arg-type]


def samples_gone(_place: Path) -> QWidget:
    return SamplesDialog("copies", "/nowhere/drawn/8f3a", 40, launcher=ScriptedLauncher())  # type: ignore[arg-type]


EVALUATE_RIGHT_SCENES: dict[str, Callable[[Path], QWidget]] = {
    "evaluate-history": history_full,
    "evaluate-history-deleted": history_deleted,
    "evaluate-history-empty": history_empty,
    "evaluate-copying": copying_found,
    "evaluate-copying-none": copying_none,
    "evaluate-copying-not-asked": copying_not_asked,
    "evaluate-copying-impossible": copying_impossible,
    "evaluate-copying-lens": copying_lens,
    "evaluate-samples": samples,
    "evaluate-samples-archive": samples_of_archive,
    "evaluate-samples-gone": samples_gone,
}
