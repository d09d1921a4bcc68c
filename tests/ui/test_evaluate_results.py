"""The Results tab, used as a person would."""

import csv
import io
from pathlib import Path

import evaluation_results as made
import msgspec
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QAbstractButton, QApplication, QLabel, QTableView, QWidget
from pytestqt.qtbot import QtBot

from dit_studio.evaluation_request import CautionRecord, ValueInterval
from dit_studio.figures import figure_text, images_text, number, short, value_and_interval
from dit_studio.ui import theme
from dit_studio.ui.evaluate.cautions import CautionLine
from dit_studio.ui.evaluate.floor_words import beside
from dit_studio.ui.evaluate.metric_tile import MetricTile
from dit_studio.ui.evaluate.result_text import COLUMNS
from dit_studio.ui.evaluate.results import Results


def around(low: float, high: float) -> ValueInterval:
    return ValueInterval(low=low, high=high, method="jackknife", n=500)


def seen(widget: QWidget) -> str:
    """All text that is shown."""
    labels = [label for label in widget.findChildren(QLabel) if label.isVisibleTo(widget)]
    return "\n".join(label.text() for label in labels)


def press(widget: QWidget, text: str) -> None:
    buttons = [found for found in widget.findChildren(QAbstractButton) if found.isVisibleTo(widget)]
    next(found for found in buttons if text in (found.text(), found.accessibleName())).click()


def tile(results: Results, name: str) -> MetricTile:
    return next(found for found in results.findChildren(MetricTile) if found.accessibleName() == name)


def table(results: Results) -> QTableView:
    return results.findChild(QTableView)


def head(results: Results, column: int) -> str:
    return str(table(results).model().headerData(column, Qt.Orientation.Horizontal, Qt.ItemDataRole.DisplayRole))


def cells(results: Results) -> list[list[str]]:
    model = table(results).model()
    return [
        [str(model.index(row, column).data() or "") for column in range(model.columnCount())]
        for row in range(model.rowCount())
    ]


def click_row(qtbot: QtBot, results: Results, row: int) -> None:
    view = table(results)
    place = view.visualRect(view.model().index(row, 0)).center()
    qtbot.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=place)


@pytest.fixture
def results(qtbot: QtBot) -> Results:
    widget = Results()
    qtbot.addWidget(widget)
    widget.resize(640, 900)
    widget.show()
    return widget


@pytest.fixture
def many(results: Results) -> Results:
    """A curve of which 12 points are measured, one failed, one is on its way and the others wait."""
    results.show_plan(made.curve_plan(), None)
    for index, result in made.curve_results(12).items():
        if index != 5:
            results.add(index, result, f"/drawn/{index}")
    results.fail(5, made.LOST, made.LOST_REMEDY)
    results.start(12)
    results.progress(12, "Drawing", 250, 500)
    return results


# ------------------------------------------------------------------------------------------------- figures


@pytest.mark.parametrize(
    ("value", "interval", "text"),
    [
        (0.325, (0.311, 0.340), "0.325 [0.311, 0.340]"),
        (12.345, (5.0, 19.0), "12 [5, 19]"),
        (3.14159, None, "3.142"),
        (123_456.7, None, "123,457"),
        (1.2e-7, None, "1.2e-07"),
        (2e-12, None, "0"),
        (-2e-12, (-3e-12, 1e-12), "0 [0, 0]"),
        (0.0, (0.0, 0.004), "0 [0, 0.0040]"),
        (0.0024, (3.1e-05, 0.0049), "0.0024 [0.0000, 0.0049]"),
        (0.0006, (-0.00003, 0.0015), "0.0006 [0.0000, 0.0015]"),
        (0.5, (0.5, 0.5), "0.5000 [0.5000, 0.5000]"),
    ],
)
def test_a_figure_has_the_digits_that_it_deserves(
    value: float, interval: tuple[float, float] | None, text: str
) -> None:
    assert " ".join(filter(None, value_and_interval(value, around(*interval) if interval else None))) == text


def test_no_figure_is_no_text() -> None:
    assert number(None) == short(None) == figure_text(made.figure("fid", None)) == ""
    assert short(0.002) == "0.002"
    assert short(1200.0) == "1,200"


def test_a_figure_of_the_generated_images_alone_says_so() -> None:
    assert images_text(500, 250) == "500 against 250 images"
    assert images_text(0, 5000) == "5,000 images"


# ------------------------------------------------------------------------------------------------- one point


def test_an_empty_tab_says_what_to_do(results: Results) -> None:
    assert "press Evaluate" in seen(results)


def test_a_card_shows_value_interval_numbers_floor_and_direction(results: Results) -> None:
    results.show_plan(made.one_plan(), None)
    results.add(0, made.one_result(), "/data/drawn")
    assert not table(results).isVisible()
    text = seen(tile(results, "KD-random-500"))
    assert "[" in text
    for words in (
        "↓ lower is better",
        "95 % interval",
        "500 reference · 500 generated",
        "floor 0.002, of 250 against 250",
    ):
        assert words in text
    assert "↑ higher is better" in seen(tile(results, "Recall-random-500"))


def test_a_floor_of_fewer_images_says_how_it_may_lie(results: Results) -> None:
    results.show_plan(made.one_plan(), None)
    results.add(0, made.one_result(), "")
    shown = seen(tile(results, "FD-random-500"))
    assert "floor 1.5, of 250 against 250, fewer than here: may lie too high" in shown
    assert seen(tile(results, "KD-random-500")).endswith("floor 0.002, of 250 against 250, fewer than here")


def test_a_floor_of_more_images_may_lie_too_low() -> None:
    floor = made.figure("fid", 1.5, n=1000)
    assert beside(floor, 500, "the bars") == ", more than the bars: may lie too low"
    assert beside(floor, 1000, "here") == beside(floor, 0, "here") == ""


def test_why_there_is_no_interval_unfolds(results: Results) -> None:
    results.show_plan(made.one_plan(), None)
    results.add(0, made.one_result(), "")
    shown = tile(results, "FD-random-500")
    assert made.NO_INTERVAL not in seen(shown)
    press(shown, "Why no interval")
    assert made.NO_INTERVAL in seen(shown)
    assert "At 250 images it lies in" in seen(shown)


def test_a_figure_that_could_not_be_had_says_why(results: Results) -> None:
    results.show_plan(made.one_plan(), None)
    results.add(0, made.one_result(), "")
    assert "images that are all alike" in seen(tile(results, "FD∞-random-500"))


def test_cautions_stand_at_their_metric_in_words(results: Results) -> None:
    results.show_plan(made.one_plan(), None)
    results.add(0, made.one_result(), "")
    assert f"Red: {made.FEW}" in seen(tile(results, "FD-random-500"))
    assert "Note: The images are upscaled" in seen(tile(results, "Recall-random-500"))
    amber = "Amber: The reference is PNG"
    assert amber in seen(results)
    assert not any(amber in seen(found) for found in results.findChildren(MetricTile))


def test_the_whole_protocol_is_shown_and_copied(results: Results) -> None:
    result = made.one_result()
    results.show_plan(made.one_plan(), None)
    results.add(0, result, "")
    line = next(label for label in results.findChildren(QLabel) if label.accessibleName() == "Protocol")
    assert result.protocol_line in line.text()
    assert line.textInteractionFlags() & Qt.TextInteractionFlag.TextSelectableByMouse
    press(results, "Copy protocol")
    assert QApplication.clipboard().text() == line.text()
    assert "1,797 images, 500 measured" in line.text()


def test_a_model_that_copies_is_said_to(results: Results, qtbot: QtBot) -> None:
    plan, found = made.sources_plan(), made.sources_results()
    results.show_plan(plan, None)
    for index, result in found.items():
        results.add(index, result, "")
    assert "copying" not in seen(results)
    results.select(2)
    with qtbot.waitSignal(results.copying_asked) as asked:
        press(results, "Nearest training images")
    assert asked.args == [2]


def test_red_about_the_whole_result_comes_first_and_once(results: Results, tmp_path: Path) -> None:
    cautions = [
        CautionRecord(level="red", metric="copying", message="50% of the images lie close: it looks like copying."),
        CautionRecord(level="red", metric="", message="Other weights."),
        CautionRecord(level="amber", metric="", message="PNG against JPEG."),
    ]
    plan = made.one_plan()
    result = made.result_of({"fid": 2.0}, copying=made.copying(), cautions=cautions)
    results.show_plan(plan, made.write_entry(tmp_path, "one", made.record_of(plan), {0: result}))
    results.add(0, result, "")
    strip = next(found for found in results.findChildren(QAbstractButton) if found.accessibleName() == "First samples")
    lines = {line.accessibleName(): line for line in results.findChildren(CautionLine) if line.isVisibleTo(results)}
    assert list(lines) == [f"Red: {cautions[0].message}", "Red: Other weights.", "Amber: PNG against JPEG."]
    tops = [line.mapTo(results, QPoint()).y() for line in lines.values()]
    assert tops == sorted(tops)
    assert tops[-1] < strip.mapTo(results, QPoint()).y()
    assert seen(results).count("looks like copying") == 1
    assert "closer to a training image than 5% of those are to each other, and 4.0% of one half" in seen(results)


def test_no_sign_of_copying_is_said_below_the_figures(results: Results) -> None:
    copying = msgspec.structs.replace(made.copying(), is_suspicious=False, exact=0)
    note = CautionRecord(level="note", metric="copying", message="Among all of them.")
    results.show_plan(made.one_plan(), None)
    results.add(0, made.result_of({"fid": 2.0}, copying=copying, cautions=[note]), "")
    text = seen(results)
    assert text.index("FD-random-500") < text.index("Note: Among all of them.") < text.index("No sign of copying")


def test_the_first_images_open_the_samples(results: Results, qtbot: QtBot, tmp_path: Path) -> None:
    plan, result = made.one_plan(), made.one_result()
    folder = made.write_entry(tmp_path, "one", made.record_of(plan), {0: result})
    results.show_plan(plan, folder)
    results.add(0, result, "")
    with qtbot.waitSignal(results.samples_asked) as asked:
        press(results, "First samples")
    assert asked.args == [0]


def test_progress_is_shown_until_the_point_is_there(results: Results) -> None:
    results.show_plan(made.one_plan(), None)
    assert "Waiting to be measured" in seen(results)
    results.start(0)
    results.progress(0, "Features: 320 of 500", 320, 500)
    assert "Features: 320 of 500" in seen(results)
    results.halt()
    assert "Waiting to be measured" in seen(results)
    results.add(0, made.one_result(), "")
    assert "Features" not in seen(results)


def test_ctrl_c_copies_the_card_as_text_and_as_a_table(results: Results, qtbot: QtBot) -> None:
    results.show_plan(made.one_plan(), None)
    results.add(0, made.one_result(), "")
    results.setFocus()
    qtbot.keyClick(results, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    text = QApplication.clipboard().text()
    assert "drawn against digits" in text
    assert f"FD-random-500: Red: {made.FEW}" in text
    data = bytes(QApplication.clipboard().mimeData().data("text/csv").data()).decode()
    rows = list(csv.DictReader(io.StringIO(data)))
    assert tuple(rows[0]) == COLUMNS
    assert float(rows[0]["value"]) == made.one_result().value("fid")
    assert rows[0]["floor"] == "1.5"
    assert rows[0]["why_none"] == made.NO_INTERVAL


# ------------------------------------------------------------------------------------------------- many points


def test_many_points_are_rows_with_their_axes_and_figures(many: Results) -> None:
    assert [head(many, column) for column in range(5)] == [
        "Training step", "CFG scale", "State", "FD ↓\nrandom-500", "KD ↓\nrandom-500",
    ]  # fmt: skip
    rows = cells(many)
    assert rows[0][:4] == ["step 200", "CFG 1", "done", number(made.curve_result(0).value("fid"))]
    assert rows[5][:4] == ["step 400", "CFG 2", f"failed: {made.LOST}", ""]
    assert rows[12][2] == "measuring, 50%"
    assert rows[13][2] == "waiting"


def test_the_state_is_a_column_until_all_is_done(many: Results) -> None:
    assert not table(many).isColumnHidden(2)
    for index in (5, *range(12, 20)):
        many.add(index, made.curve_result(index), "")
    assert table(many).isColumnHidden(2)


def test_the_best_is_marked_among_those_that_compare(many: Results) -> None:
    starred = [row for row, line in enumerate(cells(many)) if line[3].startswith("★")]
    assert starred == [9]
    many.add(13, made.result_of({**made.curve_values(13), "fid": 0.1}, real_hash="another"), "")
    starred = [row for row, line in enumerate(cells(many)) if line[3].startswith("★")]
    assert starred == [9]


def test_a_figure_that_does_not_compare_says_so_in_its_cell(many: Results) -> None:
    many.add(13, made.curve_result(13, n=400), "")
    place = table(many).model().index(13, 3)
    assert place.data() == f"≠ {number(made.curve_result(13).value('fid'))}"
    tooltip = place.data(Qt.ItemDataRole.ToolTipRole)
    assert "≠ of 400 against 400 images: not comparable with the first." in tooltip
    assert not any("≠" in cell for row, line in enumerate(cells(many)) for cell in line if row != 13)


def cut_cells(results: Results) -> list[str]:
    """What has less room than it needs."""
    view, found = table(results), []
    for row in range(view.model().rowCount()):
        for column in range(view.model().columnCount()):
            place = view.model().index(row, column)
            is_cut = view.columnWidth(column) < view.sizeHintForIndex(place).width()
            found += [place.data()] if is_cut and not view.isColumnHidden(column) else []
    return found


def test_the_columns_grow_with_what_comes(results: Results, qtbot: QtBot) -> None:
    results.show_plan(made.sources_plan(), None)
    results.add(0, made.result_of({"fid": 5.0, "recall": 0.5}, cautions=()), "")
    QApplication.processEvents()
    for index in (1, 2, 3):
        results.add(index, made.result_of({"fid": 0.000123456 * index, "recall": 0.5}), "")
    qtbot.waitUntil(lambda: not cut_cells(results), timeout=1000)


def test_the_columns_fit_the_text_of_another_theme(results: Results, qtbot: QtBot) -> None:
    app = QApplication.instance()
    assert isinstance(app, QApplication)
    results.show_plan(made.sources_plan(), None)
    for index, result in made.sources_results().items():
        results.add(index, result, "")
    QApplication.processEvents()
    theme.apply_theme(app, "light", 200)
    qtbot.waitUntil(lambda: not cut_cells(results), timeout=1000)
    theme.apply_theme(app, "dark", 100)


def test_no_figure_is_cut(many: Results) -> None:
    for index in range(20):
        many.add(index, made.curve_result(index), "")
    view = table(many)
    for row in range(20):
        for column in range(3, view.model().columnCount()):
            needed = view.sizeHintForIndex(view.model().index(row, column)).width()
            assert view.columnWidth(column) >= needed


def test_a_click_on_a_head_sorts_by_value_with_gaps_last(many: Results, qtbot: QtBot) -> None:
    header = table(many).horizontalHeader()

    def click() -> None:
        table(many).scrollTo(table(many).model().index(0, 3))
        place = QPoint(header.sectionViewportPosition(3) + header.sectionSize(3) // 2, header.height() // 2)
        qtbot.mouseClick(header.viewport(), Qt.MouseButton.LeftButton, pos=place)

    values = sorted(made.curve_result(index).value("fid") or 0.0 for index in range(12) if index != 5)
    click()
    first = [line[3].removeprefix("★ ") for line in cells(many)]
    click()
    second = [line[3].removeprefix("★ ") for line in cells(many)]
    rising = [number(value) for value in values] + [""] * 9
    falling = [number(value) for value in reversed(values)] + [""] * 9
    assert [rising, falling] in ([first, second], [second, first])


def test_a_row_that_is_chosen_shows_its_card(many: Results, qtbot: QtBot) -> None:
    with qtbot.waitSignal(many.point_selected) as chosen:
        click_row(qtbot, many, 2)
    assert chosen.args == [2]
    assert number(made.curve_result(2).value("fid")) in seen(tile(many, "FD-random-500"))
    qtbot.keyClick(table(many), Qt.Key.Key_Down)
    assert number(made.curve_result(3).value("fid")) in seen(tile(many, "FD-random-500"))
    with qtbot.waitSignal(many.samples_asked) as asked:
        qtbot.keyClick(table(many), Qt.Key.Key_Return)
    assert asked.args == [3]


def test_a_selection_from_elsewhere_is_not_the_users(many: Results, qtbot: QtBot) -> None:
    with qtbot.assertNotEmitted(many.point_selected):
        many.select(7)
    assert number(made.curve_result(7).value("fid")) in seen(tile(many, "FD-random-500"))


def test_a_failed_point_says_why_and_can_be_tried_again(many: Results, qtbot: QtBot) -> None:
    many.select(5)
    assert made.LOST in seen(many)
    assert made.LOST_REMEDY in seen(many)
    with qtbot.waitSignal(many.retry_asked):
        press(many, "Try again")
    many.start(5)
    assert made.LOST not in seen(many)
    many.add(5, made.curve_result(5), "")
    assert cells(many)[5][2] == "done"


def test_a_red_figure_has_a_red_mark_and_the_words(many: Results) -> None:
    place = table(many).model().index(0, 3)
    assert not place.data(Qt.ItemDataRole.DecorationRole).isNull()
    assert f"Red: {made.FEW}" in place.data(Qt.ItemDataRole.ToolTipRole)
    assert table(many).model().index(0, 4).data(Qt.ItemDataRole.DecorationRole) is None


def test_the_share_of_copies_is_a_column(results: Results) -> None:
    results.show_plan(made.sources_plan(), None)
    for index, result in made.sources_results().items():
        results.add(index, result, "")
    column = [head(results, place) for place in range(table(results).model().columnCount())].index("Closer than real ↓")
    assert [line[column] for line in cells(results)] == ["", "", "0.5000", ""]


def test_rows_are_copied_by_ctrl_c(many: Results, qtbot: QtBot) -> None:
    click_row(qtbot, many, 0)
    table(many).selectAll()
    qtbot.keyClick(table(many), Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    data = bytes(QApplication.clipboard().mimeData().data("text/csv").data()).decode()
    labels = [row["label"] for row in csv.DictReader(io.StringIO(data)) if row["metric"] == "fid"]
    assert labels == [made.curve_plan().points[index].label for index in range(12) if index != 5]


def test_another_plan_takes_the_place_of_the_first(many: Results) -> None:
    many.show_plan(made.sources_plan(), None)
    assert len(cells(many)) == 4
    assert head(many, 0) == "Name"
    many.clear()
    assert "press Evaluate" in seen(many)
    many.add(0, made.one_result(), "")  # of a job that was just stopped
    assert "press Evaluate" in seen(many)


def test_figures_stay_whole_in_a_narrow_window_and_large_text(many: Results, qtbot: QtBot) -> None:
    app = QApplication.instance()
    assert isinstance(app, QApplication)
    theme.apply_theme(app, "light", 200)
    many.resize(480, 500)
    qtbot.waitUntil(lambda: many.width() == 480)
    for label in tile(many, "KD-random-500").findChildren(QLabel):
        if label.isVisible() and label.property("role") in ("heading", "muted"):
            assert label.width() >= label.fontMetrics().horizontalAdvance(label.text())
    theme.apply_theme(app, "dark", 100)
