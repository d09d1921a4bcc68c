"""Does it learn? Real handwritten digits, judged by an SVM that was fitted to the real ones."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.svm import SVC

from dit_studio import cli
from dit_studio.events import Metrics, Validation
from dit_studio.jobs.run_folder import RunFolder
from dit_studio.places import resources_dir


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """scikit-learn's 1,797 digits as a folder of PNG files, a subfolder for each."""
    folder, data = tmp_path_factory.mktemp("digits"), load_digits()
    for number, (image, label) in enumerate(zip(data.images, data.target, strict=True)):
        place = folder / str(label)
        place.mkdir(exist_ok=True)
        Image.fromarray((image * 255 / 16).round().astype(np.uint8)).save(place / f"{number:04}.png")
    return folder


def train(digits: Path, run: Path, *settings: str) -> RunFolder:
    words = ["train", str(resources_dir() / "recipes" / "digits.toml"), "--data", str(digits), "--out", str(run)]
    assert cli.main([*words, *(word for setting in settings for word in ("--set", setting))]) == 0
    return RunFolder.open(run)


def agreement(samples: Path) -> float:
    """The share of samples that an SVM, fitted to the real digits, names as they were asked for."""
    real = load_digits()
    judge = SVC(gamma=0.001).fit(real.data, real.target)
    with (samples / "labels.csv").open() as file:
        rows = list(csv.DictReader(file))
    pixels = []
    for row in rows:
        with Image.open(samples / row["file"]) as picture:
            pixels.append(np.asarray(picture.convert("L"), dtype=float).ravel() * 16 / 255)
    named = judge.predict(np.array(pixels))
    return float((named == [int(row["label"]) for row in rows]).mean())


def test_the_losses_fall(digits: Path, tmp_path: Path) -> None:
    settings = ("train.steps=120", "train.preview_every=0", "train.warmup_steps=20", "train.validate_every=60")
    folder = train(digits, tmp_path / "run", *settings)
    events = folder.read_events()
    losses = [event.loss for event in events if isinstance(event, Metrics) and event.loss is not None]
    assert np.mean(losses[-20:]) < 0.25 * np.mean(losses[:5])
    first, last = (event.loss for event in events if isinstance(event, Validation))
    assert first is not None
    assert last is not None
    assert last < first < 0.5


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_an_svm_names_the_samples_as_they_were_asked_for(digits: Path, tmp_path: Path) -> None:
    train(digits, tmp_path / "run")
    words = ["sample", str(tmp_path / "run"), "--count", "500", "--cfg", "2", "--out", str(tmp_path / "samples")]
    assert cli.main(words) == 0
    assert agreement(tmp_path / "samples") >= 0.95
