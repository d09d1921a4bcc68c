"""What the Speed page measures: every row beside the plain one, and the family's own numbers."""

import pytest
import torch

from dit_studio.engine import benchmark_attention, benchmark_family
from dit_studio.engine import device as devices
from dit_studio.engine.benchmark_attention import measure_window, time_attention
from dit_studio.engine.benchmark_family import time_family
from dit_studio.engine.device import Precision
from dit_studio.events import Notice
from dit_studio.model_events import AttentionTimed, FamilyTimed


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """One round in float32, and nothing compiled."""
    monkeypatch.setattr(devices, "pick_precision", lambda *_: Precision("fp32"))
    monkeypatch.setattr(torch, "compile", lambda function, **_: function)
    monkeypatch.setattr(benchmark_attention, "_LEAST_ROUNDS", 1)
    monkeypatch.setattr(benchmark_attention, "_MOST_ROUNDS", 1)
    monkeypatch.setattr(benchmark_family, "_LEAST_PASSES", 1)
    monkeypatch.setattr(benchmark_family, "_MOST_PASSES", 1)


def attention_rows(batches: list[int], tokens: int) -> dict[tuple[str, int], AttentionTimed]:
    events = list(time_attention(batches, tokens, 4, 8))
    assert isinstance(events[0], Notice)
    return {(row.name, row.batch): row for row in events if isinstance(row, AttentionTimed)}


def test_every_implementation_stands_beside_the_plain_one() -> None:
    rows = attention_rows([1, 3], 81)
    for batch in (1, 3):
        for name in ("plain", "sdpa math", "sdpa flash", "grouped 1", "window 7"):
            row = rows[name, batch]
            assert row.note == "", row
            assert row.seconds is not None
            assert row.backward_seconds is not None
            assert row.seconds > 0
            assert row.difference is not None
            assert row.difference < 1e-5
            assert row.memory_bytes is not None
            assert row.memory_bytes > 0
        for name in ("flex", "flex window 7"):
            row = rows[name, batch]
            assert row.note or (row.difference is not None and row.difference < 1e-5)
        assert rows["plain", batch].difference == 0
        assert rows["xformers", batch].note or rows["xformers", batch].seconds
    assert rows["plain", 3].memory_bytes == pytest.approx(3 * rows["plain", 1].memory_bytes, rel=0.2)


def test_what_does_not_run_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = attention_rows([1], 10)
    assert rows["window 7", 1].note == "10 tokens make no square, which a window needs."
    assert rows["window 7", 1].seconds is None
    monkeypatch.setattr(devices, "memory_free", lambda _: 1000)
    rows = attention_rows([2], 64)
    assert rows["plain", 2].note == "It needs 0.0 GB, and 0.0 GB are free."
    assert rows["window 7", 2].seconds is not None
    assert rows["window 7", 2].difference is None  # nothing to compare it with


def test_a_window_is_compared_with_full_attention() -> None:
    figures = measure_window(tokens=400, heads=2, head_size=8)
    assert figures.values.keys() >= {"window_speed_against_full", "window_memory_against_plain"}
    assert float(figures.values["window_memory_against_plain"]) > 1


def test_the_family_is_counted_and_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    small, odd = (row for row in time_family(["XXS/8", "XXS/4"], 8, 2) if isinstance(row, FamilyTimed))
    for row in (small, odd):
        assert row.note == ""
        assert row.images_per_second is not None
        assert row.images_per_second > 0
        assert row.memory_bytes is not None
        assert row.memory_bytes > 4 * row.parameters
    (row,) = (row for row in time_family(["S/8"], 12, 2) if isinstance(row, FamilyTimed))
    assert row.note == "A patch of 8 does not divide a side of 12."
    monkeypatch.setattr(devices, "memory_free", lambda _: 1_000_000)
    (row,) = (row for row in time_family(["S/2"], 32, 2) if isinstance(row, FamilyTimed))
    assert row.note.startswith("It needs 0.")
    assert (round(row.parameters / 1e6), round(row.gflops, 2)) == (33, 6.06)


def test_peak_memory_is_that_of_the_tensors_at_one_moment() -> None:
    def action() -> None:
        one = torch.empty(1000, 1000)
        two = one + 1
        del one
        torch.empty(100)
        two += 1

    assert devices.peak_bytes(torch.device("cpu"), action) == pytest.approx(8_000_000, rel=1e-4)
