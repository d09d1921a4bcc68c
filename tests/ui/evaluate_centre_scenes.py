"""The centre of the Evaluate page in its states."""

from collections.abc import Callable
from pathlib import Path

import evaluation_results as made
from PySide6.QtCore import QSize
from PySide6.QtWidgets import QComboBox, QVBoxLayout, QWidget

from dit_studio.ui.evaluate.bars import Bars
from dit_studio.ui.evaluate.curves import Curves
from dit_studio.ui.evaluate.results import Results


def results_empty(_place: Path) -> QWidget:
    return Results()


def results_one(place: Path) -> QWidget:
    plan, found = made.one_plan(), made.one_result()
    folder = made.write_entry(place / "evaluations", "one", made.record_of(plan), {0: found})
    results = Results()
    results.show_plan(plan, folder)
    results.add(0, found, "/data/drawn")
    return results


def results_measuring(_place: Path) -> QWidget:
    results = Results()
    results.show_plan(made.one_plan(), None)
    results.start(0)
    results.progress(0, "Features of the generated images: 320 of 500, 41 images/s, 4 s left", 320, 500)
    return results


def results_many(place: Path) -> QWidget:
    plan, found = made.curve_plan(), made.curve_results(12)
    folder = made.write_entry(place / "evaluations", "many", made.record_of(plan, done=12, failed=[5]), found)
    results = Results()
    results.show_plan(plan, folder)
    for index, result in found.items():
        if index != 5:
            results.add(index, result, "")
    results.fail(5, made.LOST, made.LOST_REMEDY)
    results.progress(12, "Drawing: 64 of 500", 64, 500)
    results.select(9)
    return results


def results_failed(place: Path) -> QWidget:
    results = results_many(place)
    assert isinstance(results, Results)
    results.select(5)
    return results


def results_copying(_place: Path) -> QWidget:
    results = Results()
    results.show_plan(made.sources_plan(), None)
    for index, result in made.sources_results().items():
        results.add(index, result, result.fake.path)
    results.select(2)
    return results


def curves_empty(_place: Path) -> QWidget:
    curves = Curves()
    curves.show_plan(made.one_plan())
    return curves


def curves_of(metric: str, *, count: int = 20, foreign: bool = False, axis: int = 0) -> Curves:
    curves = Curves()
    curves.show_plan(made.curve_plan())
    for index, result in made.curve_results(count).items():
        if index != 5:
            curves.add(index, made.curve_result(index, n=400) if foreign and index in (9, 14) else result)
    curves.show()  # it draws what can be seen
    boxes = {box.accessibleName(): box for box in curves.findChildren(QComboBox)}
    boxes["Metric"].setCurrentIndex(boxes["Metric"].findData(metric))
    boxes["Horizontal axis"].setCurrentIndex(axis)
    curves.select(8)
    return curves


def curves_steps(_place: Path) -> QWidget:
    return curves_of("fid")


def curves_cfg(_place: Path) -> QWidget:
    return curves_of("kid", count=14, foreign=True, axis=1)


def curves_precision_recall(_place: Path) -> QWidget:
    return curves_of("Precision against recall", axis=1)


def curves_sources(_place: Path) -> QWidget:
    curves = Curves()
    curves.show_plan(made.sources_plan())
    for index, result in made.sources_results().items():
        curves.add(index, result)
    return curves


def bars_empty(_place: Path) -> QWidget:
    return Bars()


def bars_full(_place: Path) -> QWidget:
    """Three sources, fewer images of another, and one of another reference."""
    bars = Bars()
    plan, found = made.sources_plan(), made.sources_results()
    results = [(plan.points[index].label, result) for index, result in found.items() if index < 3]
    other = made.result_of({"fid": 7.1, "precision": 0.8}, n=400, real_hash="b0b0b0b0b0b0")
    small = made.result_of({"fid": 8.0, "kid": 0.03}, fake="/data/small", n=400)
    bars.set_results([*results, ("a small one", small), ("landscapes-B4, step 20,000, CFG 4, ddim 50", other)])
    return bars


def bars_embeddings(_place: Path) -> QWidget:
    bars = Bars()
    names = ("DiT-B/4, CFG 4", "DiT-S/2, CFG 2")
    groups = [made.embeddings_results(name, shift=shift) for name, shift in zip(names, (0.0, 0.004), strict=True)]
    bars.set_results(
        [
            (f"{name}, {each.protocol.extractor}", each)
            for name, results in zip(names, groups, strict=True)
            for each in results
        ]
    )
    return bars


class Centre(QWidget):
    """A tab in the room that it has in a window of 1280 × 800."""

    def __init__(self, tab: QWidget) -> None:
        super().__init__()
        QVBoxLayout(self).addWidget(tab)

    def sizeHint(self) -> QSize:
        return QSize(600, 720)


_TABS: dict[str, Callable[[Path], QWidget]] = {
    "centre-results-empty": results_empty,
    "centre-results-one": results_one,
    "centre-results-measuring": results_measuring,
    "centre-results-many": results_many,
    "centre-results-failed": results_failed,
    "centre-results-copying": results_copying,
    "centre-bars-empty": bars_empty,
    "centre-bars-full": bars_full,
    "centre-bars-embeddings": bars_embeddings,
    "centre-curves-empty": curves_empty,
    "centre-curves-steps": curves_steps,
    "centre-curves-cfg": curves_cfg,
    "centre-curves-precision-recall": curves_precision_recall,
    "centre-curves-sources": curves_sources,
}


def _in_centre(make: Callable[[Path], QWidget]) -> Callable[[Path], QWidget]:
    return lambda place: Centre(make(place))


CENTRE_SCENES = {name: _in_centre(make) for name, make in _TABS.items()}
