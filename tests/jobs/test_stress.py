"""The stress script: a run that is killed at random moments loses nothing."""

from pathlib import Path

import pytest

from tests import stress


@pytest.mark.parametrize("kills", [4, pytest.param(50, marks=[pytest.mark.long, pytest.mark.timeout(3600)])])
def test_killed_at_random_moments_nothing_is_lost(tmp_path: Path, kills: int) -> None:
    tally = stress.stress(tmp_path, kills=kills, seed=1)
    assert tally.kills == kills
    assert tally.steps == stress.STEPS_PER_KILL * kills + stress.MORE_STEPS
    assert tally.checkpoints_read >= 3
    assert max(tally.found_dead_seconds) < 10
