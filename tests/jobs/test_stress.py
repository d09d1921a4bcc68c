"""The stress script: a run that is killed at random moments loses nothing."""

import importlib
from pathlib import Path

import pytest

PACKAGING = Path(__file__).parent.parent.parent / "packaging"


@pytest.mark.parametrize("kills", [4, pytest.param(50, marks=[pytest.mark.long, pytest.mark.timeout(3600)])])
def test_killed_at_random_moments_nothing_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kills: int) -> None:
    monkeypatch.syspath_prepend(PACKAGING)
    stress = importlib.import_module("stress")
    tally = stress.stress(tmp_path, kills=kills, seed=1)
    assert tally.kills == kills
    assert tally.steps == stress.STEPS_PER_KILL * kills + stress.MORE_STEPS
    assert tally.checkpoints_read >= 3
    assert max(tally.found_dead_seconds) < 10
