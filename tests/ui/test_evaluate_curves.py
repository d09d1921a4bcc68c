"""The Curves tab, used as a person would."""

import csv
import io
import itertools
import math
from pathlib import Path
from xml.etree import ElementTree

import evaluation_results as made
import msgspec
import numpy as np
import pyqtgraph as pg
import pytest
from PySide6.QtCore import QPoint, QPointF, QRectF, Qt
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QApplication, QCheckBox, QComboBox, QLabel, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from dit_studio.evaluation_plan import EvaluationPlan
from dit_studio.evaluation_request import CautionRecord
from dit_studio.sweep import SweepAxis
from dit_studio.ui import theme
from dit_studio.ui.evaluate.curve_view import CurveView
from dit_studio.ui.evaluate.curves import Curves
from dit_studio.ui.evaluate.line_marks import mark_of

RECALL = "Precision against recall"


def seen(widget: QWidget) -> str:
    QApplication.processEvents()
    return "\n".join(label.text() for label in widget.findChildren(QLabel) if label.isVisibleTo(widget))


def view(curves: Curves) -> CurveView:
    """The plot, when all that came is drawn."""
    QApplication.processEvents()
    return curves.findChild(CurveView)


def box(curves: Curves, name: str) -> QComboBox:
    return next(found for found in curves.findChildren(QComboBox) if found.accessibleName() == name)


def choose(curves: Curves, name: str, text: str) -> None:
    found = box(curves, name)
    found.setCurrentIndex(next(place for place in range(found.count()) if found.itemText(place).startswith(text)))


def save(curves: Curves, kind: str) -> None:
    menu = next(found for found in curves.findChildren(QPushButton) if found.text() == "Save").menu()
    next(action for action in menu.actions() if kind in action.text()).trigger()


def points(curves: Curves, line: int) -> list[tuple[float, float]]:
    """Where the filled points of a line are, as data."""
    return [(spot.pos().x(), spot.pos().y()) for spot in view(curves).lines[line].points.points()]


def pixel(curves: Curves, x: float, y: float) -> QPoint:
    return view(curves).box.mapViewToScene(QPointF(x, y)).toPoint()


def fid(index: int) -> float:
    value = made.curve_result(index).value("fid")
    assert value is not None
    return value


@pytest.fixture
def curves(qtbot: QtBot, tmp_path: Path) -> Curves:
    widget = Curves(choose_file=lambda name, _pattern: tmp_path / name)
    qtbot.addWidget(widget)
    widget.resize(640, 560)
    widget.show()
    return widget


@pytest.fixture
def full(curves: Curves) -> Curves:
    """5 checkpoints × 4 CFG, all of them measured."""
    curves.show_plan(made.curve_plan())
    for index, result in made.curve_results().items():
        curves.add(index, result)
    QApplication.processEvents()
    return curves


def test_an_empty_tab_says_what_to_do(curves: Curves) -> None:
    assert "No curves yet" in seen(curves)
    curves.show_plan(made.one_plan())
    curves.add(0, made.one_result())
    assert "One point makes no curve" in seen(curves)
    curves.show_plan(made.curve_plan())
    assert "Nothing measured yet" in seen(curves)


def test_a_line_for_each_cfg_over_the_training_step(full: Curves) -> None:
    assert box(full, "Horizontal axis").currentText() == "Training step"
    assert len(view(full).lines) == 4
    for line in range(4):
        assert points(full, line) == [(step, fid(4 * place + line)) for place, step in enumerate(made.CHECKPOINTS)]
    for name in ("CFG&nbsp;1", "CFG&nbsp;7"):
        assert name in seen(full)


def test_the_other_axis_makes_other_lines(full: Curves) -> None:
    choose(full, "Horizontal axis", "CFG scale")
    assert len(view(full).lines) == 5
    assert points(full, 2) == [(cfg, fid(8 + place)) for place, cfg in enumerate(made.CFGS)]
    assert "step&nbsp;1,000" in seen(full)


def test_lines_differ_in_mark_as_well_as_in_colour() -> None:
    marks = [mark_of(number) for number in range(21)]
    assert len({(mark.colour, mark.symbol) for mark in marks}) == 21
    assert len({mark.symbol for mark in marks[:7]}) == len({mark.glyph for mark in marks[:7]}) == 7


def test_the_floor_is_drawn_under_every_curve_with_its_label(full: Curves) -> None:
    for metric, value, reading in (("FD", 1.5, ": may lie too high"), ("KD", 0.002, "")):
        choose(full, "Metric", metric)
        (floor,) = view(full).floors
        low, high = floor.getRegion() if hasattr(floor, "getRegion") else (floor.value(), floor.value())
        assert low <= value <= high
        assert view(full).box.viewRange()[1][0] < low
        (label,) = view(full).labels
        assert label.toPlainText() == f"floor {value}: real against real, 250 each, fewer than the points{reading}"


def test_intervals_are_bars_around_the_points(full: Curves) -> None:
    choose(full, "Metric", "KD")
    (bar,) = view(full).lines[0].bars
    value = made.curve_result(0).value("kid")
    assert value is not None
    assert bar.opts["top"][0] == pytest.approx(0.05 * value)
    assert bar.opts["bottom"][0] == pytest.approx(0.05 * value)
    choose(full, "Metric", "FD")
    assert not view(full).lines[0].bars


def test_points_that_wait_leave_gaps(curves: Curves) -> None:
    curves.show_plan(made.curve_plan())
    for index in range(20):
        if index not in (4, 5, 17):
            curves.add(index, made.curve_result(index))
    assert [x for x, _ in points(curves, 0)] == [200, 600, 800, 1000]
    assert np.isnan(view(curves).lines[0].curve.getData()[1]).tolist() == [False, True, False, False, False]
    assert view(curves).box.viewRange()[0][1] > 1000
    choose(curves, "Metric", RECALL)
    assert np.isnan(view(curves).lines[0].curve.getData()[1]).tolist() == [False, True, False, False, False]
    assert "3 points without a figure" in seen(curves)


def test_what_does_not_compare_is_hollow_and_said_to_be(curves: Curves) -> None:
    curves.show_plan(made.curve_plan())
    for index in range(20):
        curves.add(index, made.curve_result(index, n=400 if index == 8 else 500))
    curves.add(12, made.curve_result(12, real_hash="b0b0b0b0"))
    line = view(curves).lines[0]
    assert [spot.pos().x() for spot in line.hollow.points()] == [600, 800]
    assert [x for x, _ in points(curves, 0)] == [200, 400, 1000]
    assert np.isnan(line.curve.getData()[1]).tolist() == [False, False, True, True, False]
    assert [mark.item.toPlainText() for mark in line.marks] == ["≠", "≠"]
    assert "≠ 1 hollow point: of 400 against 400 images. Not comparable with the first." in seen(curves)
    assert "≠ 1 hollow point: another reference (b0b0b0b0)" in seen(curves)
    assert box(curves, "Metric").currentText().startswith("FD-random")
    assert "FID" not in view(curves).left.labelText


def test_red_is_said_below_the_plot(full: Curves) -> None:
    assert f"Red: {made.FEW}" in seen(full)
    choose(full, "Metric", "KD")
    assert made.FEW not in seen(full)


def test_a_caution_says_of_which_points_it_is_unless_it_is_of_all(curves: Curves) -> None:
    def caution(n: int) -> CautionRecord:
        return CautionRecord(level="amber", metric="", message=f"This result is of {n} generated images.")

    curves.show_plan(made.curve_plan())
    everywhere = CautionRecord(level="red", metric="fid", message=made.FEW)
    for index in range(20):
        few = [everywhere, caution(150 if index < 5 else 300)] if index < 6 else [everywhere]
        curves.add(index, made.result_of(made.curve_values(index), cautions=few))
    text = seen(curves)
    assert f"</span> Red: {made.FEW}" in text
    names = "step 200, CFG 1 · step 200, CFG 2 · step 200, CFG 4 and 2 more"
    assert f"</span> Amber, {names}: This result is of 150 generated images." in text
    assert "</span> Amber, step 400, CFG 2: This result is of 300 generated images." in text


def test_steps_may_be_logarithmic(full: Curves) -> None:
    next(found for found in full.findChildren(QCheckBox) if found.text() == "Log x").click()
    assert points(full, 0)[-1] == (pytest.approx(3.0), fid(16))
    assert points(full, 0)[0][0] == pytest.approx(math.log10(200))
    assert view(full).bottom.tickStrings([2.0, 3.0], 1.0, 1.0) == ["100", "1k"]


def test_pointing_reads_and_clicking_selects(full: Curves, qtbot: QtBot) -> None:
    place = pixel(full, 600, fid(9))
    qtbot.mouseMove(view(full).viewport(), place)
    assert f"step 600, CFG 2: FD-random-500 {fid(9):.4g}, 500 against 500 images" in seen(full)
    with qtbot.waitSignal(full.point_selected) as chosen:
        qtbot.mouseClick(view(full).viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert chosen.args == [9]
    with qtbot.waitSignal(full.samples_asked) as asked:
        qtbot.mouseDClick(view(full).viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert asked.args == [9]


def test_a_click_beside_every_point_selects_none(full: Curves, qtbot: QtBot) -> None:
    place = pixel(full, 900, 25)
    with qtbot.assertNotEmitted(full.point_selected):
        qtbot.mouseClick(view(full).viewport(), Qt.MouseButton.LeftButton, pos=place)


def test_points_are_reached_by_keys(full: Curves, qtbot: QtBot) -> None:
    chosen: list[int] = []
    full.point_selected.connect(chosen.append)
    for key in (Qt.Key.Key_Right, Qt.Key.Key_Right, Qt.Key.Key_Down, Qt.Key.Key_Up, Qt.Key.Key_Left, Qt.Key.Key_Left):
        qtbot.keyClick(view(full), key)
    assert chosen == [0, 4, 5, 4, 0, 0]
    assert "step 200, CFG 1" in seen(full)
    with qtbot.waitSignal(full.samples_asked) as asked:
        qtbot.keyClick(view(full), Qt.Key.Key_Return)
    assert asked.args == [0]


def test_a_zoom_stays_until_home(full: Curves, qtbot: QtBot) -> None:
    before = view(full).box.viewRange()[0]
    qtbot.keyClick(view(full), Qt.Key.Key_Plus)
    now = view(full).box.viewRange()[0]
    assert now[1] - now[0] < before[1] - before[0]
    full.add(3, made.curve_result(3))
    assert view(full).box.viewRange()[0] == now
    qtbot.keyClick(view(full), Qt.Key.Key_Home)
    assert view(full).box.viewRange()[0] == before


def test_precision_against_recall(full: Curves) -> None:
    choose(full, "Metric", RECALL)
    values = [(made.curve_values(4 * place)["recall"], made.curve_values(4 * place)["precision"]) for place in range(5)]
    assert points(full, 0) == values
    assert (view(full).bottom.labelText, view(full).left.labelText) == ("Recall-random-500 ↑", "Precision-random-500 ↑")
    assert [(spot.pos().x(), spot.pos().y()) for spot in view(full).floors[0].points()] == [(0.94, 0.93)]
    assert len(view(full).lines[0].bars) == 2
    full.select(0)
    assert "Precision-random-500 0.580 [0.560, 0.600], Recall-random-500 0.790" in seen(full)


def shown_names(curves: Curves) -> list[pg.TextItem]:
    """The names at the points, those that are hidden left out."""
    items = view(curves).lines
    return [name.item for line in items for name in line.names if name.item.isVisible()]


def covered(item: pg.TextItem) -> QRectF:
    """What a text covers, in the plot."""
    return item.textItem.sceneBoundingRect()


def test_each_folder_has_its_name_at_its_precision_and_recall(curves: Curves) -> None:
    curves.show_plan(made.sources_plan())
    for index, result in made.sources_results().items():
        curves.add(index, result)
    QApplication.processEvents()
    choose(curves, "Metric", RECALL)
    assert [item.toPlainText() for item in shown_names(curves)] == ["real half", "model", "copies", "noise"]


def test_names_at_points_lie_over_nothing(full: Curves) -> None:
    choose(full, "Metric", RECALL)
    names = shown_names(full)
    assert {"step 200", "step 1,000"} <= {item.toPlainText() for item in names}
    floor_name = view(full).floor_name
    assert floor_name is not None
    rects = [covered(item) for item in (*names, floor_name.item)]
    assert not any(one.intersects(other) for one, other in itertools.combinations(rects, 2))
    room = view(full).box.sceneBoundingRect().adjusted(-1, -1, 1, 1)
    assert all(room.contains(rect) for rect in rects)


def test_more_than_a_hundred_points_have_no_names(curves: Curves) -> None:
    plan = made.sources_plan()
    points = tuple(msgspec.structs.replace(plan.points[0], index=index, labels=(f"n{index}",)) for index in range(101))
    curves.show_plan(msgspec.structs.replace(plan, points=points))
    for index in range(101):
        curves.add(index, made.sources_results()[1])
    QApplication.processEvents()
    choose(curves, "Metric", RECALL)
    assert shown_names(curves) == []


def test_a_long_name_at_a_point_is_cut_in_its_middle(curves: Curves) -> None:
    plan = made.sources_plan()
    first = msgspec.structs.replace(plan.points[0], labels=("a folder of images with a name that never ends, 2",))
    curves.show_plan(msgspec.structs.replace(plan, points=(first, *plan.points[1:])))
    for index, result in made.sources_results().items():
        curves.add(index, result)
    QApplication.processEvents()
    choose(curves, "Metric", RECALL)
    shown = shown_names(curves)[0].toPlainText()
    assert "…" in shown
    assert shown.endswith("2")


def test_the_floor_of_precision_and_recall_says_that_it_is_of_fewer_images(full: Curves) -> None:
    choose(full, "Metric", RECALL)
    QApplication.processEvents()
    floor_name = view(full).floor_name
    assert floor_name is not None
    text = "floor: real against real, 250 each, fewer than the points"
    assert floor_name.item.toPlainText() == text


def test_the_mark_of_what_does_not_compare_leaves_the_floors_label_free(curves: Curves) -> None:
    curves.show_plan(made.curve_plan())
    for index in range(20):
        values = {**made.curve_values(index), "fid": 1.5 if index == 4 else 1.5 + index}
        curves.add(index, made.result_of(values, n=400 if index == 4 else 500))
    (label,) = view(curves).labels
    (mark,) = [mark for line in view(curves).lines for mark in line.marks]
    assert not covered(mark.item).intersects(covered(label))


def test_sources_stand_beside_one_another_with_their_names(curves: Curves) -> None:
    curves.show_plan(made.sources_plan())
    for index, result in made.sources_results().items():
        curves.add(index, result)
    assert points(curves, 0) == [(0, 1.6), (1, 9.4), (2, 3.2), (3, 212.0)]
    assert view(curves).bottom._tickLevels == [[(0, "real half"), (1, "model"), (2, "copies"), (3, "noise")]]
    assert not len(view(curves).lines[0].curve.getData()[0])  # names have no line between them
    choose(curves, "Metric", "Closer than real")
    assert points(curves, 0) == [(2, 0.5)]
    (label,) = view(curves).labels
    assert label.toPlainText() == "floor 0.04: real against real"


def test_checkpoints_by_name_and_samplers() -> None:
    from dit_studio.ui.evaluate.plan_axis import axis_names, axis_values

    plan = made.curve_plan()
    folders = tuple(f"/runs/digits/checkpoints/step-{step:07d}" for step in made.CHECKPOINTS)
    points = tuple(
        msgspec.structs.replace(point, values=(folders[point.index // 4], "ddim" if point.index % 4 else "unipc"))
        for point in plan.points
    )
    axes = (SweepAxis(name="checkpoint", values=folders), SweepAxis(name="sampler", values=("unipc", "ddim")))
    named = EvaluationPlan(title="", axes=axes, points=points)
    assert axis_values(named, 0) == [float(step) for step in made.CHECKPOINTS for _ in range(4)]
    assert axis_values(named, 1)[:3] == [0.0, 1.0, 1.0]
    assert not axis_names(named, 0)
    assert [x for x, _ in axis_names(named, 1)] == [0.0, 1.0]


def test_the_plot_is_saved_as_table_picture_and_drawing(full: Curves, tmp_path: Path) -> None:
    save(full, "CSV")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "curves.csv").read_text())))
    assert len(rows) == 20
    assert (rows[0]["line"], float(rows[0]["Training step"])) == ("CFG 1", 200.0)
    save(full, "PNG")
    image = QImage(str(tmp_path / "curves.png"))
    assert image.width() > 800
    save(full, "SVG")
    drawing = ElementTree.fromstring((tmp_path / "curves.svg").read_text())
    assert drawing.tag.endswith("svg")
    assert "Training step" in "".join(drawing.itertext())
    assert "Saved curves.svg." in seen(full)


def test_a_file_that_cannot_be_written_is_said(full: Curves, tmp_path: Path) -> None:
    (tmp_path / "curves.csv").mkdir()
    save(full, "CSV")
    assert "curves.csv" in seen(full)
    assert "Saved" not in seen(full)


def test_the_metric_stays_for_the_next_evaluation(full: Curves) -> None:
    choose(full, "Metric", "Recall")
    full.show_plan(made.sources_plan())
    for index, result in made.sources_results().items():
        full.add(index, result)
    assert points(full, 0) == [(0, 0.94), (1, 0.61), (2, 0.41), (3, 0.0)]


def test_another_theme_and_text_size_keep_the_plot(full: Curves) -> None:
    app = QApplication.instance()
    assert isinstance(app, QApplication)
    full.select(9)
    before = points(full, 1)
    theme.apply_theme(app, "light", 200)
    assert points(full, 1) == before
    assert view(full).lines[1].curve.opts["pen"].color().name().upper() == theme.LIGHT.curves[1]
    assert theme.LIGHT.curves[1] in seen(full)
    assert view(full).backgroundBrush().color().name().upper() == theme.LIGHT.ground
    theme.apply_theme(app, "dark", 100)
    assert "step 600, CFG 2" in seen(full)
