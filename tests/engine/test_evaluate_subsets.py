"""Some of a source's images: their features are those of the whole where it was extracted, in the same order.

They are equal to the last bit but for batches of very few images, which CPUs compute in another way.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dit_studio.engine.evaluation.extractors import Extractor, Features
from dit_studio.errors import ShapeError
from dit_studio.evaluation_request import EvaluationResult
from tests.engine.digits import shuffled_digits, write_digits, write_noise
from tests.engine.test_evaluate import _never, figures, measured

METRICS = {"metrics": ["fid", "kid", "precision"]}


@pytest.fixture
def fake(tmp_path: Path) -> str:
    return write_noise(tmp_path / "fake", count=30)


def archive(tmp_path: Path) -> str:
    np.savez(tmp_path / "real.npz", shuffled_digits()[0][:120, :, :, None])
    return str(tmp_path / "real.npz")


def folder(tmp_path: Path) -> str:
    return write_digits(tmp_path / "real", first=0, count=120)


def mixed(tmp_path: Path) -> str:
    """Of several sizes and formats, some of them broken."""
    draws = np.random.default_rng(3)
    (tmp_path / "mixed").mkdir()
    for number in range(120):
        height, width = draws.integers(5, 7, 2)
        name = f"{number:03}.{'jpg' if number % 3 == 0 else 'png'}"
        pixels = draws.integers(0, 256, (height, width, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "mixed" / name)
    return str(tmp_path / "mixed")


def broken(tmp_path: Path) -> str:
    path = mixed(tmp_path)
    for number in (7, 8, 40, 41, 100):
        (Path(path) / f"{number:03}.{'jpg' if number % 3 == 0 else 'png'}").write_bytes(b"broken")
    return path


@pytest.fixture
def extracted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many images each call of an extractor got."""
    counts: list[int] = []
    real_call = Extractor.__call__

    def counting(self: Extractor, images: Any) -> dict[str, Features]:
        counts.append(len(images))
        return real_call(self, images)

    monkeypatch.setattr(Extractor, "__call__", counting)
    return counts


def assert_same(found: EvaluationResult, expected: EvaluationResult, *, is_exact: bool) -> None:
    if is_exact:
        assert (found.results, found.floor) == (expected.results, expected.floor)
    for one, other in zip((*found.results, *found.floor), (*expected.results, *expected.floor), strict=True):
        assert one.value == pytest.approx(other.value, rel=1e-5, abs=1e-6)


def anew(monkeypatch: pytest.MonkeyPatch, cache: Path, *paths: str, **options: Any) -> EvaluationResult:
    """With an empty cache."""
    with monkeypatch.context() as patched:
        patched.setenv("DIT_STUDIO_CACHE", str(cache))
        return measured(*paths, **options)


@pytest.mark.parametrize("make", [archive, folder, mixed])
def test_any_count_and_seed_is_served_from_the_whole(
    make: Any, fake: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, asked = make(tmp_path), [{"count": 48, "seed": 1}, {"count": 32, "seed": 0}, {"count": 48, "seed": 2}]
    options = {**METRICS, "batch_size": 8}
    alone = [
        anew(monkeypatch, tmp_path / str(place), real, fake, **options, **each) for place, each in enumerate(asked)
    ]
    measured(real, fake, **options)
    monkeypatch.setattr(Extractor, "__call__", _never)
    for each, expected in zip(asked, alone, strict=True):
        found = measured(real, fake, **options, **each)
        assert (found.real, found.protocol) == (expected.real, expected.protocol)
        assert_same(found, expected, is_exact=make is not mixed)


@pytest.mark.parametrize("make", [archive, folder, mixed, broken])
def test_looking_for_copies_among_all_takes_one_pass(
    make: Any, fake: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, extracted: list[int]
) -> None:
    real, options = make(tmp_path), {**METRICS, "batch_size": 8, "count": 48}
    alone = anew(monkeypatch, tmp_path / "another", real, fake, **options)
    extracted.clear()
    found = measured(real, fake, **options | {"metrics": [*METRICS["metrics"], "copying"]})
    assert sum(extracted) == (115 if make is broken else 120) + 30
    assert (found.real, found.protocol) == (alone.real, alone.protocol)
    assert_same(found, alone, is_exact=make in (archive, folder))
    assert found.copying is not None
    assert found.copying.searched == (115 if make is broken else 120)


def test_a_folder_in_which_the_chosen_ones_are_whole_is_served_too(fake: str, tmp_path: Path) -> None:
    real, options = broken(tmp_path), {**METRICS, "count": 50}
    first = measured(real, fake, **options)
    measured(real, fake, **METRICS)
    assert figures(measured(real, fake, **options, has_floor=True)) == figures(first)


def test_features_of_another_width_are_not_kept(fake: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real_call = Extractor.__call__

    def wider(self: Extractor, images: Any) -> dict[str, Features]:
        return {name: np.repeat(array, 2, axis=1) for name, array in real_call(self, images).items()}

    monkeypatch.setattr(Extractor, "__call__", wider)
    with pytest.raises(ShapeError, match=r'The "features" of 30 images have the shape \(30, 512\) in place of'):
        measured(folder(tmp_path), fake, batch_size=30)
