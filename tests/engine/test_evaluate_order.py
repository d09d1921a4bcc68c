"""Real digits, a model's digits and noise: every metric must put them in this order."""

import msgspec
import pytest

from dit_studio.config import parse_recipe
from dit_studio.engine.evaluation.evaluate import evaluate
from dit_studio.evaluation_request import EvaluationResult, decode_result
from dit_studio.events import EvaluationDone
from dit_studio.jobs import training
from dit_studio.jobs.run_folder import RunFolder
from dit_studio.sample_request import SampleRequest
from tests.engine.digits import shuffled_digits, write_digits, write_images, write_noise

HALF, DRAWN = 898, 400
METRICS = ("fid", "kid", "mmd", "precision", "recall", "density", "coverage", "agreement")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, EvaluationResult]:
    """Half of the digits against the other half, a model that saw them for some seconds, noise, and a copy of them."""
    root = tmp_path_factory.mktemp("order")
    real = write_digits(root / "real", first=0, count=HALF)
    recipe = {
        "data": {"path": real, "image_size": 8, "flip": False},
        "model": {"hidden_size": 64, "depth": 3, "num_heads": 4, "patch_size": 2},
        "train": {"steps": 900, "batch_size": 64, "preview_every": 0, "validate_every": 0, "precision": "fp32"},
    }  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        for place in ("CACHE", "RUNS", "SAMPLES", "EVALUATIONS"):
            patch.setenv(f"DIT_STUDIO_{place}", str(root / place.lower()))
        for _ in training.run(RunFolder.create(root / "run", parse_recipe(recipe)), resume=False):
            pass
        request = SampleRequest(classes=tuple(range(10)), count=DRAWN, steps=20, batch_size=200)
        noise = root / "noise"
        for label in range(10):
            write_noise(noise / str(label), count=DRAWN // 10)
        fakes = {
            "real": {"fake": write_digits(root / "held out", first=HALF, count=DRAWN)},
            "model": {"fake": str(root / "run"), "sample": msgspec.to_builtins(request)},
            "noise": {"fake": str(noise)},
            "copies": {"fake": write_images(root / "copies", shuffled_digits()[0][:DRAWN])},
        }
        return {name: _measured({"real": real, **fake}) for name, fake in fakes.items()}


def _measured(request: dict[str, object]) -> EvaluationResult:
    return next(decode_result(event.result) for event in evaluate(request) if isinstance(event, EvaluationDone))


@pytest.mark.parametrize("metric", METRICS)
def test_real_then_model_then_noise(results: dict[str, EvaluationResult], metric: str) -> None:
    better = next(found.better for found in results["real"].results if found.metric == metric)
    values = [results[name].value(metric) for name in ("real", "model", "noise")]
    assert None not in values
    assert values == sorted(values, reverse=better == "higher")  # type: ignore[type-var]
    assert len(set(values)) == 3


def test_copies_alone_are_called_copies(results: dict[str, EvaluationResult]) -> None:
    suspicious = {name: result.copying.is_suspicious for name, result in results.items() if result.copying is not None}
    assert suspicious == {"real": False, "model": False, "noise": False, "copies": True}
    assert results["copies"].copying is not None
    assert results["copies"].copying.exact == DRAWN


def test_the_model_is_named_in_the_protocol(results: dict[str, EvaluationResult]) -> None:
    drawn = results["model"].protocol.drawn
    assert all(words in drawn for words in ("step 900", "EMA", "ddim", "20 steps", "CFG 1", "seeds from 0")), drawn
