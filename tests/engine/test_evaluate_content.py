"""What is kept and compared goes by the content of images, not by where they lie or when they were written."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from dit_studio.engine.evaluation import content_digest
from dit_studio.engine.evaluation.extractors import Extractor
from dit_studio.places import evaluations_dir
from tests.engine.digits import shuffled_digits, write_images, write_noise
from tests.engine.test_evaluate import _never, measured
from tests.engine.test_evaluate_plan import measured as measured_plan
from tests.engine.test_evaluate_plan import over_checkpoints, results
from tests.engine.tiny_runs import write_tiny_run

ASKED = {"metrics": ["kid"], "has_floor": False}


@pytest.fixture
def real(tmp_path: Path) -> str:
    return write_images(tmp_path / "real", shuffled_digits()[0][:40])


@pytest.fixture
def fake(tmp_path: Path) -> str:
    return write_noise(tmp_path / "fake", count=40)


@pytest.mark.skipif(os.name == "nt", reason="Windows does not tell when a file was last written to")
def test_files_replaced_with_their_time_put_back_are_measured_anew(
    real: str, fake: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(content_digest, "_SETTLED_SECONDS", -60.0)  # remembered at once
    before = measured(real, fake, **ASKED)
    files = sorted(Path(real).iterdir(), key=lambda file: file.name)
    size = max(file.stat().st_size for file in files)
    for file in files:
        _replace(file, file.read_bytes().ljust(size, b"\0"))
    padded = measured(real, fake, **ASKED)
    assert (padded.results, padded.protocol) == (before.results, before.protocol)  # other bytes, the same pixels
    for file in files[:20]:
        _replace(file, files[-1].read_bytes())
    after = measured(real, fake, **ASKED)
    assert after.value("kid") != before.value("kid")
    assert after.protocol.real_hash != before.protocol.real_hash


def _replace(file: Path, content: bytes) -> None:
    about = file.stat()
    file.write_bytes(content)
    os.utime(file, ns=(about.st_atime_ns, about.st_mtime_ns))


def test_a_copied_folder_is_not_extracted_again(
    real: str, fake: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = measured(real, fake, **ASKED)
    copy = shutil.copytree(real, tmp_path / "copy", copy_function=shutil.copyfile)
    monkeypatch.setattr(Extractor, "__call__", _never)
    after = measured(str(copy), fake, **ASKED)
    assert (after.results, after.protocol) == (before.results, before.protocol)


def test_the_same_pixels_in_any_form_share_an_axis(real: str, fake: str, tmp_path: Path) -> None:
    grey = shuffled_digits()[0][:40, :, :, None]
    np.savez(tmp_path / "grey.npz", grey)
    np.savez(tmp_path / "rgb.npz", np.repeat(grey, 3, axis=3))
    packed = shutil.make_archive(str(tmp_path / "packed"), "zip", real)
    forms = [real, packed, str(tmp_path / "grey.npz"), str(tmp_path / "rgb.npz")]
    assert len({measured(form, fake, **ASKED).protocol.key for form in forms}) == 1


def test_what_is_drawn_twice_has_one_hash(tmp_path: Path) -> None:
    plan = over_checkpoints(write_tiny_run(tmp_path))
    hashes = []
    for entry in ("20260301-142233-9f3a", "20260301-142234-9f3b"):
        said = measured_plan(plan, evaluations_dir() / entry)
        hashes.append([result.protocol.fake_hash for result in results(said).values()])
        shutil.rmtree(evaluations_dir() / "drawn")
    assert hashes[0] == hashes[1]
    assert len(set(hashes[0])) == 2
