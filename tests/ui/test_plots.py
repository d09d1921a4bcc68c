"""The plots, used as a person would."""

from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QImage, QPainter
from PySide6.QtWidgets import QApplication, QCheckBox, QComboBox, QPushButton, QSlider, QTabBar, QWidget
from pytestqt.qtbot import QtBot

from dit_studio.events import CheckpointSaved, Event, Failure, Measured, Metrics, PreviewSaved, Resumed, Validation
from dit_studio.ui import theme
from dit_studio.ui.benchmark_window import measure_event_loop, synthetic_run
from dit_studio.ui.train.flags import FlagStrip
from dit_studio.ui.train.plot_export import to_csv
from dit_studio.ui.train.plot_view import PlotView
from dit_studio.ui.train.plots import TrainPlots, ask_for_file
from dit_studio.ui.train.readout import Readout


def run_of(steps: int) -> list[Event]:
    run = synthetic_run()
    return [event for _ in range(steps) for event in next(run)]


def find(plots: TrainPlots, kind: type, name: str) -> QWidget:
    return next(widget for widget in plots.findChildren(kind) if widget.accessibleName() == name)


def loss_view(plots: TrainPlots) -> PlotView:
    view = find(plots, PlotView, "Plot: Loss")
    assert isinstance(view, PlotView)
    return view


def readout(plots: TrainPlots) -> str:
    return plots.findChildren(Readout)[0].text()


@pytest.fixture
def plots(qtbot: QtBot) -> TrainPlots:
    widget = TrainPlots()
    qtbot.addWidget(widget)
    widget.resize(620, 560)
    widget.show()
    return widget


def drawn_to(plots: TrainPlots, step: int) -> bool:
    low, high = loss_view(plots).box.viewRange()[0]
    return low <= step <= high


def test_an_empty_page_says_what_to_do(plots: TrainPlots) -> None:
    assert not loss_view(plots).isVisible()
    texts = [label.text() for label in plots.findChildren(QWidget) if label.isVisible() and hasattr(label, "text")]
    assert any("Press Start" in text for text in texts if isinstance(text, str))


def test_the_plots_follow_the_run(plots: TrainPlots, qtbot: QtBot) -> None:
    plots.add_events(run_of(300))
    qtbot.waitUntil(lambda: drawn_to(plots, 300))
    plots.add_events([Metrics(step=301, loss=0.125, learning_rate=1e-4)])
    qtbot.waitUntil(lambda: "raw 0.1250" in readout(plots))
    low, high = loss_view(plots).box.viewRange()[0]
    assert low == 0
    assert 301 <= high < 350


def test_a_long_history_goes_in_piece_by_piece(plots: TrainPlots, qtbot: QtBot) -> None:
    plots.add_events(run_of(5000))
    assert len(plots.history.loss) < 5000
    qtbot.waitUntil(lambda: len(plots.history.loss) == 5000)
    qtbot.waitUntil(lambda: drawn_to(plots, 5000))


def test_hidden_plots_are_drawn_when_they_are_seen(qtbot: QtBot) -> None:
    plots = TrainPlots()
    qtbot.addWidget(plots)
    plots.add_events(run_of(200))
    assert not drawn_to(plots, 200)
    plots.show()
    qtbot.waitUntil(lambda: drawn_to(plots, 200))


def test_few_points_are_handed_to_the_screen(plots: TrainPlots, qtbot: QtBot) -> None:
    plots.add_events(run_of(20_000))
    qtbot.waitUntil(lambda: len(plots.history.loss) == 20_000 and drawn_to(plots, 20_000))
    view = loss_view(plots)
    sizes = [len(item.xData) for item in view.items() if getattr(item, "xData", None) is not None]
    assert sizes
    assert max(sizes) <= 2 * view.width()


def test_a_zoom_survives_updates_until_fit(plots: TrainPlots, qtbot: QtBot) -> None:
    plots.add_events(run_of(1000))
    qtbot.waitUntil(lambda: drawn_to(plots, 1000))
    view = loss_view(plots)
    view.setFocus()
    qtbot.keyClick(view, Qt.Key.Key_Plus)
    zoomed = view.box.viewRange()[0]
    assert zoomed[1] - zoomed[0] < 1000
    fit = find(plots, QPushButton, "Fit")
    assert isinstance(fit, QPushButton)
    assert not fit.isChecked()
    plots.add_events([Metrics(step=1500, loss=0.5, learning_rate=1e-4)])
    qtbot.waitUntil(lambda: "raw 0.5000" in readout(plots))
    assert view.box.viewRange()[0] == pytest.approx(zoomed)
    qtbot.mouseClick(fit, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: drawn_to(plots, 1500))
    assert fit.isChecked()


def test_a_drag_zooms_both_plots_in_x(plots: TrainPlots, qtbot: QtBot) -> None:
    plots.add_events(run_of(1000))
    qtbot.waitUntil(lambda: drawn_to(plots, 1000))
    view = loss_view(plots)
    area = view.box.sceneBoundingRect()
    start = area.topLeft().toPoint() + QPoint(100, 20)
    qtbot.mousePress(view.viewport(), Qt.MouseButton.LeftButton, pos=start)
    for shift in (40, 80, 160):
        qtbot.mouseMove(view.viewport(), start + QPoint(shift, shift // 2))
        QApplication.processEvents()
    qtbot.mouseRelease(view.viewport(), Qt.MouseButton.LeftButton, pos=start + QPoint(160, 80))
    below = find(plots, PlotView, "Plot: By timestep")
    assert isinstance(below, PlotView)
    qtbot.waitUntil(lambda: below.box.viewRange()[0][0] > 50)
    assert below.box.viewRange()[0] == pytest.approx(view.box.viewRange()[0])


def test_the_crosshair_reads_out_values_of_both_plots(plots: TrainPlots, qtbot: QtBot) -> None:
    plots.add_events(
        [Metrics(step=step, loss=step / 100, learning_rate=1e-4, bands=(step / 10,)) for step in (1, 2, 3)]
    )
    qtbot.waitUntil(lambda: drawn_to(plots, 3))
    view = loss_view(plots)
    view.pointed.emit(2.1)
    assert "raw 0.02000" in readout(plots)
    assert "t 0–999" in plots.findChildren(Readout)[1].text()
    view.setFocus()
    for _ in range(60):
        qtbot.keyClick(view, Qt.Key.Key_Left)
    assert "raw 0.01000" in readout(plots)
    view.pointed.emit(None)
    assert "raw 0.03000" in readout(plots)


def test_a_logarithmic_axis_says_what_it_leaves_out(plots: TrainPlots, qtbot: QtBot) -> None:
    losses = [0.5, 0.0, -0.1, 0.25]
    plots.add_events([Metrics(step=step, loss=loss, learning_rate=1e-4) for step, loss in enumerate(losses, start=1)])
    qtbot.waitUntil(lambda: drawn_to(plots, 4))
    box = find(plots, QCheckBox, "Logarithmic y axis")
    assert isinstance(box, QCheckBox)
    box.click()
    qtbot.waitUntil(lambda: plots._note.isVisible())
    assert plots._note.text() == "2 values ≤ 0 are not shown"
    box.click()
    qtbot.waitUntil(lambda: not plots._note.isVisible())


def test_the_x_axis_can_be_images_or_time(plots: TrainPlots, qtbot: QtBot) -> None:
    plots.add_events(run_of(1000))  # 64 images and 0.2 s a step
    axis = find(plots, QComboBox, "Horizontal axis")
    assert isinstance(axis, QComboBox)
    axis.setCurrentText("Images seen")
    qtbot.waitUntil(lambda: 64_000 <= loss_view(plots).box.viewRange()[0][1] < 80_000)
    axis.setCurrentText("Training time")
    qtbot.waitUntil(lambda: 200 <= loss_view(plots).box.viewRange()[0][1] < 250)


def test_smoothing_changes_the_line(plots: TrainPlots, qtbot: QtBot) -> None:
    plots.add_events(run_of(100))
    qtbot.waitUntil(lambda: drawn_to(plots, 100))
    slider = find(plots, QSlider, "Smoothing")
    assert isinstance(slider, QSlider)
    slider.setValue(slider.minimum())
    last = plots.history.loss.y[-1]
    qtbot.waitUntil(lambda: readout(plots).startswith(f"loss {last:#.4g}"))


def test_each_tab_shows_its_plot(plots: TrainPlots, qtbot: QtBot) -> None:
    plots.add_events(run_of(50))
    tabs = plots.findChild(QTabBar)
    for index in range(tabs.count()):
        tabs.setCurrentIndex(index)
        view = find(plots, PlotView, f"Plot: {tabs.tabText(index)}")
        assert isinstance(view, PlotView)
        qtbot.waitUntil(lambda view=view: view.isVisible() and view.box.viewRange()[0][1] >= 50)


def test_flags_can_be_clicked_and_reached_by_keys(plots: TrainPlots, qtbot: QtBot) -> None:
    preview = PreviewSaved(step=60, file="p.png", columns=1, rows=1, cell_size=8)
    plots.add_events([*run_of(100), CheckpointSaved(step=30, file="c"), preview, Failure(message="It died.", step=100)])
    strip = plots.findChild(FlagStrip)
    flags = {flag.kind: flag for flag in plots.history.flags}
    qtbot.waitUntil(lambda: strip.place_of(flags["failure"]) is not None)
    with qtbot.waitSignal(plots.checkpoint_clicked) as checkpoint:
        place = strip.place_of(flags["checkpoint"]) or QPointF()
        qtbot.mouseClick(strip, Qt.MouseButton.LeftButton, pos=place.toPoint())
    assert checkpoint.args == [30]
    strip.setFocus()
    qtbot.keyClick(strip, Qt.Key.Key_Right)
    with qtbot.waitSignal(plots.preview_clicked) as clicked:
        qtbot.keyClick(strip, Qt.Key.Key_Return)
    assert clicked.args == [60]


def test_curves_and_picture_are_saved_where_asked(qtbot: QtBot, tmp_path: Path) -> None:
    plots = TrainPlots(choose_file=lambda name, _pattern: tmp_path / name)
    qtbot.addWidget(plots)
    plots.resize(620, 560)
    plots.show()
    plots.add_events([*run_of(20), Validation(step=20, loss=0.5)])
    qtbot.waitUntil(lambda: drawn_to(plots, 20))
    for name in ("CSV…", "PNG…"):
        button = find(plots, QPushButton, name)
        assert isinstance(button, QPushButton)
        button.click()
    assert len((tmp_path / "curves.csv").read_text(encoding="utf-8").splitlines()) == 21
    assert QImage(str(tmp_path / "plots.png")).width() == 620
    assert plots._note.text() == "Saved plots.png."


def test_a_file_that_cannot_be_written_is_said(qtbot: QtBot, tmp_path: Path) -> None:
    plots = TrainPlots(choose_file=lambda name, _pattern: tmp_path / "missing" / name)
    qtbot.addWidget(plots)
    button = find(plots, QPushButton, "CSV…")
    assert isinstance(button, QPushButton)
    button.click()
    assert "cannot be written" in plots._note.text()


def test_clear_forgets_the_run(plots: TrainPlots, qtbot: QtBot) -> None:
    plots.add_events(run_of(5000))
    plots.clear()
    assert plots.history.is_empty
    plots.add_events(run_of(30))
    qtbot.waitUntil(lambda: drawn_to(plots, 30))
    assert len(plots.history.loss) == 30
    assert loss_view(plots).box.viewRange()[0][1] < 40


def test_an_empty_plot_has_no_numbers_of_the_run_before(plots: TrainPlots, qtbot: QtBot) -> None:
    below = find(plots, PlotView, "Plot: By timestep")
    assert isinstance(below, PlotView)
    plots.add_events([Metrics(step=step, loss=0.5, learning_rate=1e-4, bands=(5e6,)) for step in (1, 2, 3)])
    qtbot.waitUntil(lambda: below.box.viewRange()[1][1] > 1e6)
    plots.clear()
    plots.add_events([Metrics(step=step, loss=0.5, learning_rate=1e-4) for step in (1, 2, 3)])
    qtbot.waitUntil(lambda: drawn_to(plots, 3))
    assert below.box.viewRange()[1] == pytest.approx([0, 1])


def test_huge_losses_have_labels_that_fit(plots: TrainPlots, qtbot: QtBot) -> None:
    plots.add_events([Metrics(step=step, loss=10.0**step, learning_rate=1e-4) for step in range(1, 29)])
    view = loss_view(plots)
    qtbot.waitUntil(lambda: view.box.viewRange()[1][1] > 1e26)
    picture = QImage(view.size(), QImage.Format.Format_RGB32)
    painter = QPainter(picture)
    labels = [text for _, _, text in view._left.generateDrawSpecs(painter)[2]]
    painter.end()
    assert len(labels) >= 3
    assert max(map(len, labels)) <= len("-1.5e28")


def test_both_themes_are_taken_on(plots: TrainPlots, qtbot: QtBot, qapp: QApplication) -> None:
    plots.add_events(run_of(50))
    try:
        for mode, palette in (("light", theme.LIGHT), ("dark", theme.DARK)):
            theme.apply_theme(qapp, mode)
            corner = QPoint(2, loss_view(plots).height() - 2)
            qtbot.waitUntil(lambda: drawn_to(plots, 50))
            assert loss_view(plots).grab().toImage().pixelColor(corner).name().upper() == palette.ground.upper()
    finally:
        theme.apply_theme(qapp, "dark")


def test_every_control_can_be_named_and_reached(plots: TrainPlots) -> None:
    plots.add_events(run_of(10))
    for kind in (QPushButton, QSlider, QCheckBox, QComboBox, QTabBar, PlotView, FlagStrip):
        for control in plots.findChildren(kind):
            assert control.accessibleName(), control
            assert control.focusPolicy() & Qt.FocusPolicy.TabFocus, control.accessibleName()
            assert control.toolTip(), control.accessibleName()


def test_the_plots_fit_a_narrow_column(plots: TrainPlots) -> None:
    plots.add_events(run_of(10))
    assert plots.minimumSizeHint().width() <= 520
    assert plots.minimumSizeHint().height() <= 450


def test_the_event_loop_is_measured() -> None:
    figures = measure_event_loop(0.3, 500)
    assert figures["points"] >= 500
    assert 0 <= figures["p50_ms"] <= figures["p99_ms"] <= figures["max_ms"]


# ------------------------------------------------------------------------------------------------- metrics


def measured(step: int, fd: float, kd: float = 0.02) -> list[Event]:
    """What a run says of a step that it measured."""
    return [
        Metrics(step=step, loss=0.1, learning_rate=1e-4),
        Measured(step=step, metric="fid", name="FD-random-256", value=fd, floor=3.25, floor_n=256, n=256),
        Measured(step=step, metric="kid", name="KD-random-256", value=kd, low=kd / 2, high=2 * kd, floor=0.0,
                 floor_n=200, n=256),
    ]  # fmt: skip


def tabs(plots: TrainPlots) -> QTabBar:
    bar = find(plots, QTabBar, "Plot below the loss")
    assert isinstance(bar, QTabBar)
    return bar


def show_tab(plots: TrainPlots, name: str) -> None:
    texts = [tabs(plots).tabText(index) for index in range(tabs(plots).count())]
    tabs(plots).setCurrentIndex(texts.index(name))


def below(plots: TrainPlots) -> str:
    return next(one.text() for one in plots.findChildren(Readout)[1:] if one.isVisible())


def test_each_metric_gets_a_plot_with_its_small_number_and_its_floor(plots: TrainPlots, qtbot: QtBot) -> None:
    before = tabs(plots).count()
    plots.add_events([*measured(100, 40.0), *measured(200, 20.5)])
    assert [tabs(plots).tabText(index) for index in range(before, tabs(plots).count())] == [
        "FD-random-256",
        "KD-random-256",
    ]
    assert "compare it within this run alone" in tabs(plots).tabToolTip(before)
    show_tab(plots, "FD-random-256")
    qtbot.waitUntil(lambda: "20.5" in below(plots))
    assert below(plots) == "FD-random-256, 256 images only 20.50, floor, 256 real images 3.250"


def test_a_metric_with_an_interval_shows_it(plots: TrainPlots, qtbot: QtBot) -> None:
    plots.add_events([*measured(100, 40.0), *measured(200, 20.5, kd=0.04)])
    show_tab(plots, "KD-random-256")
    qtbot.waitUntil(lambda: "0.04" in below(plots))
    assert "95 % 0.02000 … 0.08000" in below(plots)
    view = find(plots, PlotView, "Plot: KD-random-256")
    assert isinstance(view, PlotView)
    (low, high) = view.box.viewRange()[1]
    assert low < 0.01
    assert high > 0.08  # the bars' ends are in sight
    ends = [item.yData.tolist() for item in view.items() if getattr(item, "yData", None) is not None]
    assert [0.01, 0.04, 0.02, 0.08] in ends


def test_a_resumed_run_takes_back_what_it_measured_later(plots: TrainPlots, qtbot: QtBot) -> None:
    plots.add_events([*measured(100, 40.0), *measured(200, 20.5), Resumed(step=150)])
    show_tab(plots, "FD-random-256")
    qtbot.waitUntil(lambda: "only 40" in below(plots))


def test_another_run_has_no_metrics_of_this_one(plots: TrainPlots, qtbot: QtBot) -> None:
    before = tabs(plots).count()
    plots.add_events(measured(100, 40.0))
    show_tab(plots, "KD-random-256")
    plots.clear()
    assert tabs(plots).count() == before
    assert tabs(plots).currentIndex() == 0
    plots.add_events(measured(100, 7.0))
    show_tab(plots, "FD-random-256")
    qtbot.waitUntil(lambda: "only 7" in below(plots))


def test_metrics_are_columns_of_the_table(plots: TrainPlots) -> None:
    plots.add_events([*measured(100, 40.0), *measured(200, 20.5)])
    head, first, _ = to_csv(plots.history).decode().splitlines()
    cells = dict(zip(head.split(","), first.split(","), strict=True))
    assert (cells["FD-random-256"], cells["FD-random-256 low"], cells["FD-random-256 floor"]) == ("40", "", "3.25")
    assert cells["KD-random-256 high"] == "0.04"


@pytest.mark.parametrize(("typed", "saved"), [("a.PNG", "a.PNG"), ("a", "a.png"), ("a.svg", "a.svg.png"), ("", "")])
def test_a_picture_is_called_one(tmp_path: Path, typed: str, saved: str) -> None:
    path = ask_for_file("plots.png", "Picture (*.png)", save_path=lambda *_: str(tmp_path / typed) if typed else "")
    assert path == (tmp_path / saved if saved else None)


def test_a_file_under_the_name_with_the_ending_is_not_replaced_unasked(tmp_path: Path) -> None:
    (tmp_path / "a.svg.png").touch()
    names, questions = iter(("a.svg", "")), []

    def confirm(question: str, _button: str) -> bool:
        questions.append(question)
        return False

    def save_path(*_: str) -> str:
        return str(tmp_path / name) if (name := next(names)) else ""

    assert ask_for_file("plots.png", "Picture (*.png)", save_path=save_path, confirm=confirm) is None
    assert questions == [f"a.svg.png is there already in {tmp_path}. Replace it?"]
