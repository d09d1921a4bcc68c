"""The benchmark's short form measures all that is promised, and what it compares with is the same number."""

from dit_studio.engine.benchmark_evaluation import SHORT, measure_evaluation


def test_everything_that_is_promised_is_measured() -> None:
    figures = measure_evaluation(extent=SHORT)
    assert figures.values.keys() >= {
        "frechet_features_seconds", "sqrtm_seconds", "frechet_features_speedup", "frechet_factorised_speedup",
        "frechet_covariances_speedup", "moments_seconds", "mmd_seconds",
        "extraction_random_16_share", "extraction_random_16_peak_mb_of_half",
    }  # fmt: skip
    assert float(figures.values["frechet_relative_error"]) < 1e-9
    assert float(figures.values["mmd_relative_error"]) < 1e-9
    assert 0 <= float(figures.values["mmd_peak_mb"]) < 200
    assert 0 <= float(figures.values["moments_peak_mb"]) < 200
    assert 0 < float(figures.values["extraction_random_16_share"]) < 1.5
    assert len(figures.lines) == 5
