"""Long histories through their index, against the lines themselves read one by one."""

import math
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from dit_studio.config import Recipe
from dit_studio.events import (
    CheckpointSaved,
    Event,
    JobState,
    Metrics,
    Progress,
    Resumed,
    StateChanged,
    Validation,
    encode,
)
from dit_studio.jobs import event_log, long_history
from dit_studio.jobs.event_log import EventReader, EventWriter
from dit_studio.jobs.history import BANDS, BLOCK_LINES, NUMBERS, RECORD, MetricsBlocks
from dit_studio.jobs.history_index import HistoryIndex, event_of
from dit_studio.jobs.long_history import LongHistory
from dit_studio.jobs.run_folder import RunFolder

LINES = 12_000


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    """A run; a history counts as long from some thousand lines on."""
    for module in (event_log, long_history):
        monkeypatch.setattr(module, "SHORT_BYTES", 2**20)
    return RunFolder.create(tmp_path / "run", Recipe())


def a_run(lines: int = LINES, *, seed: int = 0) -> Iterator[Event]:
    """Metrics with gaps in loss and bands, validations and checkpoints among them, and resumes that go back."""
    rng = random.Random(seed)
    yield StateChanged(state=JobState.RUNNING)
    step = 0
    for number in range(1, lines + 1):
        step += 1
        yield Metrics(
            step=step,
            loss=None if rng.random() < 0.01 else rng.lognormvariate(0, 1) - 0.1,
            learning_rate=1e-4 * min(1.0, step / 1000),
            grad_norm=None if step % 7 == 0 else rng.random(),
            images_per_second=rng.uniform(100, 200),
            memory_bytes=step % 1000,
            images_seen=64 * step,
            bands=(rng.random(), None, rng.random() if step % 3 else None, 0.5),
            seconds=0.25 * number,
            time=1.7e9 + number,
        )
        if number % 100 == 0:
            yield Progress(stage="Nothing", done=number)
            yield Validation(step=step, loss=rng.random())
        if number % 1000 == 0:
            yield CheckpointSaved(step=step, file=f"step-{step}")
        if number % 2901 == 0:  # killed some 300 steps after a checkpoint
            step -= 333
            yield Resumed(step=step)


def write(folder: RunFolder, events: Iterator[Event], *, is_indexed: bool = True) -> None:
    if is_indexed:
        with EventWriter(folder) as writer:
            for event in events:
                writer.append(event)
    else:
        with (folder.path / "events.jsonl").open("ab") as file:
            file.writelines(encode(event) + b"\n" for event in events)


def raw_metrics(folder: RunFolder) -> list[Metrics]:
    """Every step that counts, in the plainest way."""
    lines = (folder.path / "events.jsonl").read_bytes().split(b"\n")[:-1]
    return without_overwritten([event for event in map(event_of, lines) if event is not None])


def without_overwritten(events: Sequence[Event]) -> list[Metrics]:
    kept: list[Metrics] = []
    for event in events:
        if isinstance(event, Metrics | Resumed):
            last = event.step - isinstance(event, Metrics)
            while kept and kept[-1].step > last:
                kept.pop()
            kept += [event] if isinstance(event, Metrics) else []
    return kept


def value_of(event: Metrics, column: int) -> float:
    value = getattr(event, NUMBERS[column]) if column < len(NUMBERS) else event.bands[column - len(NUMBERS)]
    return math.nan if value is None else value


def assert_is_told(folder: RunFolder) -> None:
    """The history, taken apart, is the raw lines: each block's figures, each single line, each rare event."""
    expected = raw_metrics(folder)
    told = [event for event in EventReader(folder).history() if event is not None]
    blocks = [record for event in told if isinstance(event, MetricsBlocks) for record in event.records]
    assert len(blocks) > 5
    by_step = {event.step: event for event in expected}
    singles = without_overwritten(told)
    for record in blocks:
        steps = range(int(record["first_step"]), int(record["last_step"]) + 1)
        assert_is_block(record, [by_step.pop(step) for step in steps])
    assert singles == list(by_step.values())  # and no step was told twice
    assert len(singles) < 6000
    rare = [event for event in folder.read_events() if not isinstance(event, Metrics | Progress)]
    assert [event for event in told if not isinstance(event, Metrics | MetricsBlocks | Progress)] == rare


def assert_is_block(record: np.void, metrics: list[Metrics]) -> None:
    assert (record["first_step"], record["last_step"]) == (metrics[0].step, metrics[-1].step)
    bad = [event.step for event in metrics if event.loss is None]
    assert record["not_finite"] == len(bad)
    assert not bad or record["first_not_finite"] == bad[0]
    for column in range(len(NUMBERS) + BANDS):
        statistics = record["numbers"][column]
        values = [value_of(event, column) for event in metrics]
        finite = [value for value in values if math.isfinite(value)]
        assert statistics["count"] == len(finite)
        assert statistics["nonpositive"] == sum(value <= 0 for value in finite)
        np.testing.assert_equal(statistics["last"], values[-1])
        if finite:
            assert statistics["mean"] == pytest.approx(math.fsum(finite) / len(finite))
            assert (statistics["low"], statistics["high"]) == (min(finite), max(finite))
        else:
            assert np.isnan([statistics[name] for name in ("mean", "low", "high")]).all()


def test_a_history_through_the_writers_index_is_the_lines(folder: RunFolder) -> None:
    write(folder, a_run())
    assert len(HistoryIndex(folder.path / "events.jsonl").records) > LINES / BLOCK_LINES
    assert_is_told(folder)


def test_the_first_reader_of_a_run_without_an_index_makes_the_writers(folder: RunFolder) -> None:
    write(folder, a_run())
    written = [(folder.path / name).read_bytes() for name in ("events.index", "events.rare")]
    for name in ("events.index", "events.rare"):
        (folder.path / name).unlink()
    assert_is_told(folder)
    assert [(folder.path / name).read_bytes() for name in ("events.index", "events.rare")] == written


def test_while_another_process_works_on_the_run_its_index_is_left_alone(folder: RunFolder) -> None:
    write(folder, a_run(), is_indexed=False)
    with folder.lock():
        assert_is_told(folder)
        assert not (folder.path / "events.index").exists()


def test_what_is_said_after_the_history_follows_without_a_gap(folder: RunFolder) -> None:
    write(folder, a_run())
    reader = EventReader(folder)
    told = [event for event in reader.history() if event is not None]
    assert isinstance(told[-1], Metrics | CheckpointSaved | Validation | Resumed | Progress)
    with (folder.path / "events.jsonl").open("ab") as file:
        file.write(b'{"kind":"metrics","st')
    assert list(reader.drain()) == []
    write(folder, iter([Resumed(step=7, time=1.0)]))
    assert list(reader.drain()) == [Resumed(step=7, time=1.0)]


def test_a_short_history_is_raw(folder: RunFolder) -> None:
    write(folder, a_run(500))
    assert list(EventReader(folder).history()) == folder.read_events()


def test_a_torn_last_line_waits(folder: RunFolder) -> None:
    write(folder, a_run())
    whole = [repr(event) for event in EventReader(folder).history() if not isinstance(event, MetricsBlocks)]
    with (folder.path / "events.jsonl").open("ab") as file:
        file.write(b'{"kind":"metrics","step":99999,"lo')
    assert [repr(event) for event in EventReader(folder).history() if not isinstance(event, MetricsBlocks)] == whole


def test_a_writer_that_died_before_its_index_is_caught_up_with(folder: RunFolder) -> None:
    write(folder, a_run(3 * LINES))
    expected = (folder.path / "events.index").read_bytes()
    cut = RECORD.itemsize * 9 + 100
    (folder.path / "events.index").write_bytes(expected[:-cut])  # half a record, too
    assert_is_told(folder)
    (folder.path / "events.index").write_bytes(expected[:-cut])
    write(folder, iter([StateChanged(state=JobState.STOPPED)]))
    assert (folder.path / "events.index").read_bytes().startswith(expected)


@pytest.mark.parametrize("place", [10, 700, 5 * 512 + 40, -30])
def test_a_damaged_index_is_made_anew(folder: RunFolder, place: int) -> None:
    write(folder, a_run())
    index = folder.path / "events.index"
    data = bytearray(index.read_bytes())
    data[place] ^= 0xFF  # in the head: of another version
    index.write_bytes(data)
    assert_is_told(folder)
    write(folder, iter([StateChanged(state=JobState.RUNNING)]))
    assert_is_told(folder)


def test_an_index_that_is_ahead_or_of_another_file_is_made_anew(folder: RunFolder) -> None:
    write(folder, a_run(3 * LINES))
    events = folder.path / "events.jsonl"
    lines = events.read_bytes().splitlines(keepends=True)
    events.write_bytes(b"".join(lines[: len(lines) // 2]))  # truncated
    assert_is_told(folder)
    write(folder, iter([Resumed(step=5000), Metrics(step=4000, loss=1.0, learning_rate=0.0)]))
    assert_is_told(folder)
    events.unlink()
    write(folder, a_run(3 * LINES, seed=1), is_indexed=False)  # replaced
    assert_is_told(folder)


def test_rare_lines_that_are_lost_are_read_again(folder: RunFolder) -> None:
    write(folder, a_run(2 * LINES))
    rare = folder.path / "events.rare"
    rare.write_bytes(rare.read_bytes()[:1000])
    assert_is_told(folder)


@pytest.mark.parametrize("place", [50, -200])
@pytest.mark.parametrize("damage", [lambda data: bytes(len(data)), lambda data: bytes([data[0] ^ 4]) + data[1:]])
def test_rare_lines_that_are_damaged_are_read_again(
    folder: RunFolder, place: int, damage: Callable[[bytes], bytes]
) -> None:
    write(folder, a_run(2 * LINES))
    rare = folder.path / "events.rare"
    expected = rare.read_bytes()
    data = bytearray(expected)
    data[place : place + 100] = damage(data[place : place + 100])
    assert data != expected
    assert len(data) == len(expected)
    rare.write_bytes(data)
    assert_is_told(folder)
    write(folder, iter([StateChanged(state=JobState.STOPPED)]))  # and mended by the next to work on the run
    assert rare.read_bytes().startswith(expected)


def test_damaged_lines_are_passed_over(folder: RunFolder) -> None:
    write(folder, a_run(), is_indexed=False)
    with (folder.path / "events.jsonl").open("ab") as file:
        file.write(b'{"kind":"?"}\nnot json\n\xff\n')
    write(folder, (event for event in a_run(LINES, seed=2) if not isinstance(event, StateChanged)), is_indexed=False)
    assert_is_told(folder)


def test_a_run_goes_on_where_its_index_cannot_be_written(folder: RunFolder, caplog: pytest.LogCaptureFixture) -> None:
    (folder.path / "events.index").mkdir()
    write(folder, a_run())
    assert "is not kept up" in caplog.text
    caplog.clear()
    assert_is_told(folder)


def test_any_stretch_is_read_line_by_line(folder: RunFolder) -> None:
    write(folder, a_run())
    file = folder.path / "events.jsonl"
    history = LongHistory(file, file.stat().st_size)
    for _ in history.read():
        pass
    expected = raw_metrics(folder)
    for first, last in [(1, 20), (2500, 2600), (2300, 3100), (0, math.inf), (10_900, 11_000), (99_999, 100_000)]:
        assert list(history.metrics(first, last)) == [event for event in expected if first <= event.step <= last]
    before, after = history.around(3000, 3100, before=4)
    assert len(before) == 4
    assert before["last_step"].max() < 3000 < 3100 < after["first_step"].min()
