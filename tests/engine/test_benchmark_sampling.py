"""The benchmark's short form, and that its reference is the same computation."""

from dit_studio.engine.benchmark_sampling import SHORT, measure_sampling


def test_everything_that_is_promised_is_measured() -> None:
    figures = measure_sampling(extent=SHORT)
    assert figures.values.keys() >= {
        "speedup_fp32", "speedup", "share_outside_model", "cost_of_showing", "first_frame_ms", "ddpm_seconds",
        "unipc_seconds", "dpm++_seconds", "npz_growth_mb",
    }  # fmt: skip
    assert 0 < float(figures.values["share_outside_model"]) < 1
    assert len(figures.lines) >= 8
