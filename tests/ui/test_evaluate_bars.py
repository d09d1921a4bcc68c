"""The Compare tab, used as a person would."""

from pathlib import Path
from xml.etree import ElementTree

import evaluation_results as made
import pytest
from PySide6.QtGui import QColor, QImage
from PySide6.QtWidgets import QApplication, QComboBox, QLabel, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from dit_studio.evaluation_request import EvaluationResult
from dit_studio.figures import figure_text
from dit_studio.ui import theme
from dit_studio.ui.evaluate.bar_panel import BarPanel, _Bars
from dit_studio.ui.evaluate.bars import Bars
from dit_studio.ui.evaluate.line_marks import mark_of
from dit_studio.ui.evaluate.short_labels import short_labels


def seen(widget: QWidget) -> str:
    return "\n".join(label.text() for label in widget.findChildren(QLabel) if label.isVisibleTo(widget))


def panels(bars: Bars) -> dict[str, BarPanel]:
    return {panel.group.title: panel for panel in bars.findChildren(BarPanel) if panel.isVisibleTo(bars)}


def press(bars: Bars, name: str) -> None:
    next(found for found in bars.findChildren(QPushButton) if found.accessibleName() == name).click()


def take(bars: Bars, text: str) -> None:
    """Choose an entry of any menu of the tab."""
    actions = [action for found in bars.findChildren(QPushButton) if found.menu() for action in found.menu().actions()]
    next(action for action in actions if text in action.text()).trigger()


def choose(bars: Bars, text: str) -> None:
    box = bars.findChild(QComboBox)
    box.setCurrentIndex(next(place for place in range(box.count()) if box.itemText(place).startswith(text)))


def sources() -> list[tuple[str, EvaluationResult]]:
    plan = made.sources_plan()
    return [(plan.points[index].label, result) for index, result in made.sources_results().items()]


@pytest.fixture
def bars(qtbot: QtBot, tmp_path: Path) -> Bars:
    widget = Bars(choose_file=lambda name, _pattern: tmp_path / name)
    qtbot.addWidget(widget)
    widget.resize(640, 700)
    widget.show()
    return widget


def test_an_empty_tab_says_how_to_add_results(bars: Bars) -> None:
    assert "Compare" in seen(bars)
    assert "history" in seen(bars)


def test_a_panel_for_each_metric_and_a_bar_for_each_result(bars: Bars) -> None:
    bars.set_results(sources())
    shown = panels(bars)
    assert list(shown)[:4] == ["FD-random-500 ↓", "KD-random-500 ↓", "Precision-random-500 ↑", "Recall-random-500 ↑"]
    group = shown["KD-random-500 ↓"].group
    assert [(bar.label, bar.value) for bar in group.bars] == [
        ("real half", 0.0021), ("model", 0.031), ("copies", 0.009), ("noise", 1.9),
    ]  # fmt: skip
    assert group.bars[1].interval == (pytest.approx(0.95 * 0.031), pytest.approx(1.05 * 0.031))
    assert group.bars[1].text == figure_text(made.figure("kid", 0.031))
    assert shown["FD-random-500 ↓"].group.bars[0].interval is None
    assert [bar.label for bar in shown["Closer than real ↓"].group.bars] == ["copies"]


@pytest.mark.parametrize(
    ("labels", "short", "shared"),
    [
        (["a against r · step 1, CFG 4", "a against r · step 2, CFG 4"], ["step 1", "step 2"], "a against r, CFG 4"),
        (["a against r", "b against r"], ["a", "b"], "r"),
        (["a against r", "b against s"], ["a against r", "b against s"], ""),
        (["a · step 1", "a"], ["a · step 1", "a"], ""),
        (["a, a, a", "a, a"], ["a, a", "a"], "a"),
        (["one"], ["one"], ""),
        ([], [], ""),
    ],
)
def test_labels_are_without_what_all_of_them_say(labels: list[str], short: list[str], shared: str) -> None:
    assert short_labels(labels) == (short, shared)


def test_bars_are_called_by_what_tells_them_apart(bars: Bars, qtbot: QtBot) -> None:
    title = "20261121-083409 a run with a long name against a reference with a long name"
    results = [(f"{title} · {label}", result) for label, result in sources()]
    bars.set_results(results)
    panel = panels(bars)["FD-random-500 ↓"]
    assert [bar.label for bar in panel.group.bars] == ["real half", "model", "copies", "noise"]
    assert f"All: {title}" in seen(bars)
    assert results[0][0] in panel.findChild(_Bars).toolTip()
    with qtbot.waitSignal(bars.removed) as removed:
        take(bars, "· model")
    assert removed.args == [results[1][0]]


def test_a_metric_can_be_chosen(bars: Bars) -> None:
    bars.set_results(sources())
    choose(bars, "Recall")
    assert list(panels(bars)) == ["Recall-random-500 ↑"]
    bars.set_results(sources()[:2])
    assert list(panels(bars)) == ["Recall-random-500 ↑"]
    assert len(panels(bars)["Recall-random-500 ↑"].group.bars) == 2


def test_the_floor_is_said_in_each_panel(bars: Bars) -> None:
    bars.set_results(sources())
    floors = panels(bars)["FD-random-500 ↓"].group.floors
    assert [(floor.low, floor.high) for floor in floors] == [(1.5, 1.5)]
    words = "floor 1.5: real against real, 250 each, fewer than the bars: may lie too high"
    assert words in seen(panels(bars)["FD-random-500 ↓"])


def test_the_floor_stands_only_at_the_bars_that_it_belongs_to(bars: Bars, qtbot: QtBot) -> None:
    other = made.result_of({"fid": 9.0}, n=400, floor={"fid": 3.0})
    bars.set_results([("one", made.result_of({"fid": 9.0}, fake="/one", floor={"fid": 4.5})), ("other", other)])
    choose(bars, "FD")
    panel = panels(bars)["FD-random ↓"]
    qtbot.waitUntil(lambda: panel.width() > 200)
    drawn = panel.findChild(_Bars).grab().toImage()
    x, rows = drawn.width() // 2, drawn.height() // 2
    ground = {drawn.pixelColor(x, y).name() for y in range(rows, drawn.height())}
    first = {drawn.pixelColor(column, y).name() for column in range(x - 3, x + 4) for y in range(rows)}
    second = {drawn.pixelColor(column, y).name() for column in range(x - 3, x + 4) for y in range(rows, 2 * rows)}
    muted = QColor(theme.current().muted).name()
    assert muted in first
    assert muted not in second | ground


def test_mmd_in_three_embeddings_is_three_panels_in_the_same_colours(bars: Bars) -> None:
    results = [
        (f"{name}, {each.protocol.extractor}", each)
        for name, shift in (("B/4", 0.0), ("S/2", 0.004))
        for each in made.embeddings_results(name, shift=shift)
    ]
    bars.set_results(results)
    shown = panels(bars)
    assert list(shown) == ["MMD-clip-b32-500 ↓", "MMD-siglip-500 ↓", "MMD-align-500 ↓"]
    for panel in shown.values():
        assert [bar.number for bar in panel.group.bars] == [0, 1]
        assert not any(bar.differs for bar in panel.group.bars)
    assert [bar.value for bar in shown["MMD-siglip-500 ↓"].group.bars] == [0.0143, pytest.approx(0.0183)]


def test_another_number_of_images_is_hatched_and_said(bars: Bars) -> None:
    others = [(f"small {number}", made.result_of({"fid": 7.1}, n=400)) for number in range(5)]
    bars.set_results([*sources(), *others])
    panel = panels(bars)["FD-random ↓"]
    assert [bar.label for bar in panel.group.bars if bar.differs] == [label for label, _ in others]
    sentence = "≠ small 0, small 1, small 2 and 2 more: of 400 against 400 images. Not comparable with real half."
    assert sentence in seen(panel)
    assert panel.group.floors[0].high == 1.5


def test_other_features_or_another_reference_are_another_panel(bars: Bars) -> None:
    other = made.result_of({"fid": 7.1}, extractor="dinov2")
    foreign = made.result_of({"agreement": 0.4}, real_hash="b0b0b0b0b0b0")
    bars.set_results([*sources(), ("other features", other), ("landscapes", foreign)])
    shown = panels(bars)
    assert "reference digits (b0b0b0b0)" in seen(shown["Agreement-random-500 ↑"])
    assert [bar.label for bar in shown["FD-dinov2-500 ↓"].group.bars] == ["other features"]
    assert len(shown["FD-random-500 ↓"].group.bars) == 4


def test_the_bars_are_painted_in_their_colours_the_unlike_hatched(bars: Bars, qtbot: QtBot) -> None:
    other = made.result_of({"fid": 9.0}, n=400)
    bars.set_results([("one", made.result_of({"fid": 9.0}, fake="/one", floor={})), ("other", other)])
    choose(bars, "FD")
    qtbot.waitUntil(lambda: panels(bars)["FD-random ↓"].width() > 200)
    image = panels(bars)["FD-random ↓"].grab().toImage()
    shares = [_share(image, QColor(mark_of(number).colour)) for number in (0, 1)]
    assert shares[0] > 0.01
    assert 0 < shares[1] < 0.8 * shares[0]


def test_bars_and_their_menu_follow_the_theme(bars: Bars) -> None:
    app = QApplication.instance()
    assert isinstance(app, QApplication)
    bars.set_results(sources())
    theme.apply_theme(app, "light")
    QApplication.processEvents()
    image = panels(bars)["FD-random-500 ↓"].findChild(_Bars).grab().toImage()
    shares = [_share(image, QColor(colours[3])) for colours in (theme.LIGHT.curves, theme.DARK.curves)]
    theme.apply_theme(app, "dark")
    assert shares[0] > 0.01
    assert shares[1] == 0


def test_an_interval_is_seen_on_the_darkest_bar(bars: Bars) -> None:
    app = QApplication.instance()
    assert isinstance(app, QApplication)
    theme.apply_theme(app, "light")
    bars.set_results([(name, made.result_of({"kid": 1.0}, fake=name, floor={})) for name in "abcdef"])
    image = panels(bars)["KD-random-500 ↓"].findChild(_Bars).grab().toImage()
    theme.apply_theme(app, "dark")
    navy, top = QColor(theme.LIGHT.curves[5]), image.height() * 5 // 6
    rows = [y for y in range(top, image.height()) if image.pixelColor(20, y) == navy]
    end = max(x for x in range(image.width()) if image.pixelColor(x, rows[0]) == navy)
    on_the_bar = [image.pixelColor(x, y) for y in rows for x in range(20, end)]
    assert any(colour.lightnessF() > 0.6 for colour in on_the_bar)


def _share(image: QImage, colour: QColor) -> float:
    hits = sum(image.pixelColor(x, y) == colour for x in range(image.width()) for y in range(image.height()))
    return hits / (image.width() * image.height())


def test_results_are_taken_out(bars: Bars, qtbot: QtBot) -> None:
    bars.set_results(sources())
    with qtbot.waitSignal(bars.removed) as removed:
        take(bars, "Take out model")
    assert removed.args == ["model"]
    with qtbot.waitSignal(bars.removed) as removed:
        take(bars, "Take all out")
    assert removed.args == [""]
    bars.set_results([])
    assert "Nothing to compare yet" in seen(bars)


def test_figures_are_copied_and_the_bars_saved(bars: Bars, tmp_path: Path) -> None:
    bars.set_results(sources())
    press(bars, "Copy")
    assert "noise" in QApplication.clipboard().text()
    take(bars, "PNG")
    assert QImage(str(tmp_path / "comparison.png")).width() > 800
    take(bars, "SVG")
    drawing = ElementTree.fromstring((tmp_path / "comparison.svg").read_text())
    assert "212.0" in "".join(drawing.itertext())
    assert "Saved comparison.svg." in seen(bars)


def test_panels_keep_to_a_narrow_window_and_large_text(bars: Bars, qtbot: QtBot) -> None:
    app = QApplication.instance()
    assert isinstance(app, QApplication)
    bars.set_results(sources())
    theme.apply_theme(app, "light", 200)
    bars.resize(520, 500)
    qtbot.waitUntil(lambda: bars.width() == 520)
    for panel in panels(bars).values():
        assert panel.mapTo(bars, panel.rect().topRight()).x() <= bars.width()
    theme.apply_theme(app, "dark", 100)
    assert len(panels(bars)) == 5
