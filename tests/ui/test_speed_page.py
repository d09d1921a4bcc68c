"""The Speed page: what it asks for, what it shows, what it keeps."""

import csv
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QModelIndex
from PySide6.QtGui import QGuiApplication
from pytestqt.qtbot import QtBot
from scripted import Script, ScriptedLauncher
from speed_scenes import ATTENTION, FAMILY, timed

from dit_studio.errors import ConfigError
from dit_studio.events import Failure, Notice, Progress
from dit_studio.speed_settings import AttentionSizes, FamilySizes, batch_sizes, family_members
from dit_studio.ui.settings import Settings
from dit_studio.ui.speed.bars import SHARE
from dit_studio.ui.speed.page import SpeedPage
from dit_studio.ui.speed.panel import SpeedPanel

Open = Callable[..., SpeedPage]


@pytest.fixture
def opened(qtbot: QtBot, tmp_path: Path) -> Iterator[Open]:
    pages: list[SpeedPage] = []

    def open_page(**answers: Script | Callable[..., Script]) -> SpeedPage:
        launcher = ScriptedLauncher(answers=answers)
        pages.append(SpeedPage(Settings(tmp_path / "settings.json"), launcher))  # type: ignore[arg-type]
        qtbot.addWidget(pages[-1])
        return pages[-1]

    yield open_page
    for page in pages:
        page.close_page()


def measure(panel: SpeedPanel, qtbot: QtBot) -> None:
    panel.start.click()
    qtbot.waitUntil(lambda: not panel.is_busy)


def column(panel: SpeedPanel, title: str) -> int:
    return [found.title for found in panel.model.columns].index(title)


def test_the_sizes_are_asked_for_as_they_are_typed(opened: Open, qtbot: QtBot) -> None:
    asked: list[dict[str, object]] = []
    page = opened(time_attention=lambda **params: asked.append(params) or ATTENTION)
    page.attention.form.set_values({"batches": "1, 2,2, 4", "tokens": 256})
    measure(page.attention, qtbot)
    assert asked == [{"batches": [1, 2, 4], "tokens": 256, "heads": 6, "head_size": 64}]


def test_every_implementation_has_its_row_and_bars_that_compare_within_a_batch(opened: Open, qtbot: QtBot) -> None:
    panel = opened(time_attention=ATTENTION).attention
    measure(panel, qtbot)
    assert len(panel.model.rows) == len(ATTENTION)
    forward = column(panel, "Forward")
    shares = {
        (row.name, row.batch): panel.model.index(number, forward).data(SHARE)
        for number, row in enumerate(panel.model.rows)
    }
    assert shares["sdpa math", 10] == shares["sdpa math", 200] == 1.0, "the longest of its batch"
    assert shares["sdpa flash", 50] == pytest.approx(0.46 / 1.1)
    assert shares["xformers", 10] is None
    assert panel.model.index(5, column(panel, "Note")).data() == "It is not installed here."
    assert panel.model.index(0, forward).data() == "2.1 ms"


def test_a_measurement_made_again_takes_the_place_of_the_old_one(opened: Open) -> None:
    model = opened().attention.model
    for row in (timed("plain", 10, 1.0), timed("plain", 20, 1.0), timed("flash", 10, 1.0), timed("plain", 10, 0.5)):
        model.put(row)
    assert [(row.name, row.batch, row.seconds) for row in model.rows] == [
        ("plain", 10, 0.5), ("flash", 10, 1.0), ("plain", 20, 1.0),
    ]  # fmt: skip
    assert model.rowCount(QModelIndex()) == 3


def test_what_was_measured_is_there_the_next_time(opened: Open, qtbot: QtBot) -> None:
    measure(opened(time_family=FAMILY).family, qtbot)
    again = opened().family
    assert again.model.rows == list(FAMILY)
    assert again.save.isEnabled()


def test_only_one_thing_is_measured_at_a_time(opened: Open, qtbot: QtBot) -> None:
    gate = threading.Event()
    page = opened(time_attention=[Progress(stage="plain", done=0, total=2), gate, *ATTENTION], time_family=FAMILY)
    page.attention.start.click()
    qtbot.waitUntil(lambda: page.attention.is_busy)
    assert not page.family.start.isEnabled()
    page.family.measure()
    assert not page.family.is_busy
    gate.set()
    qtbot.waitUntil(lambda: not page.attention.is_busy)
    assert page.family.start.isEnabled()


def test_stopped_it_keeps_what_is_measured(opened: Open, qtbot: QtBot) -> None:
    panel = opened(time_attention=[*ATTENTION[:2], threading.Event()]).attention
    panel.start.click()
    qtbot.waitUntil(lambda: len(panel.model.rows) == 2)
    panel.halt.click()
    assert not panel.is_busy
    assert opened().attention.model.rows == list(ATTENTION[:2])


def test_a_failure_is_a_card_and_the_rest_stays(opened: Open, qtbot: QtBot) -> None:
    panel = opened(time_attention=[ATTENTION[0], Failure(message="The device went away.", remedy="Again.")]).attention
    measure(panel, qtbot)
    assert "The device went away." in panel.message.text()
    assert len(panel.model.rows) == 1


@pytest.mark.parametrize("typed", ["", "ten", "0", "10, -1", "1,2,3,4,5,6,7,8,9", "99999999"])
def test_batch_sizes_that_cannot_be(opened: Open, typed: str) -> None:
    with pytest.raises(ConfigError, match="is not possible for batches: "):
        batch_sizes(AttentionSizes(batches=typed))
    panel = opened(time_attention=ATTENTION).attention
    panel.form.set_values({"batches": typed})
    panel.start.click()
    assert not panel.is_busy


def test_models_are_named_as_the_family_has_them() -> None:
    assert family_members(FamilySizes(models="s/2, XL/8,s/2")) == ("S/2", "XL/8")
    for models in ("S/3", "", "small"):
        with pytest.raises(ConfigError, match="is not possible for models: "):
            family_members(FamilySizes(models=models))


def test_the_table_is_copied_and_saved(opened: Open, qtbot: QtBot, tmp_path: Path) -> None:
    panel = opened(time_family=[Notice(message="Measured in bf16."), *FAMILY]).family
    measure(panel, qtbot)
    panel.copy.click()
    copied = QGuiApplication.clipboard().text().splitlines()
    assert copied[0].split("\t")[:3] == ["Model", "Parameters", "Gflops"]
    assert copied[1].split("\t") == ["S/2", "33.0 M", "6.06", "19.4", "310 MB", ""]
    panel._choose_csv = lambda _parent, _name: str(tmp_path / "speed.csv")
    panel.save.click()
    with (tmp_path / "speed.csv").open(newline="") as file:
        heads, first, *_, last = csv.reader(file)
    assert heads == ["name", "parameters", "gflops", "images_per_second", "memory_bytes", "note", "measured"]
    assert first == ["S/2", "32956800", "6.06", "19.4", "310000000", "", "Measured in bf16."]
    assert last[3:] == ["", "", "It needs 3.6 GB, and 2.1 GB are free.", "Measured in bf16."]
    panel._choose_csv = lambda _parent, _name: str(tmp_path / "no folder" / "x" / "speed.csv")
    panel.save.click()
    assert "cannot be written" in panel.message.text()


def test_stopped_before_the_first_row_the_old_table_stays(opened: Open, qtbot: QtBot) -> None:
    scripts: list[Script] = [
        [Notice(message="Measured in fp32."), *ATTENTION],
        [Progress(stage="plain", done=0), threading.Event()],
    ]
    panel = opened(time_attention=lambda **_: scripts.pop(0)).attention
    measure(panel, qtbot)
    panel.start.click()
    panel.halt.click()
    assert len(panel.model.rows) == len(ATTENTION)
    assert panel._measured.text() == "Measured in fp32."
    assert opened().attention._measured.text() == "Measured in fp32.", "it is kept with the figures"
