"""What opening and converting a model costs in memory: little more than its weights."""

from pathlib import Path

import pytest

from dit_studio.engine.benchmark import Figures
from dit_studio.engine.benchmark_models import measure_models


def check(figures: Figures) -> None:
    peaks = {name: value for name, value in figures.values.items() if name.endswith("_peak")}
    assert len(peaks) >= 3
    for name, peak in peaks.items():
        assert isinstance(peak, float)
        assert 0 < peak < (1.3 if name.startswith("load") else 2.5), figures.lines


def test_the_memory_is_that_of_the_weights(tmp_path: Path) -> None:
    """On the smallest of the paper's, 130 MB."""
    check(measure_models("S/2", steps=("load", "to diffusers", "from diffusers"), folder=tmp_path))


@pytest.mark.long
@pytest.mark.timeout(1500)
def test_xl_2_of_2_7_gb_peaks_below_1_3_times_its_size(tmp_path: Path) -> None:
    check(measure_models("XL/2", folder=tmp_path))
