"""`dit-studio evaluate --save-statistics`, as typed."""

import json
from pathlib import Path

import numpy as np
import pytest

from dit_studio import cli
from tests.engine.digits import write_digits


def test_the_statistics_of_the_reference_are_saved_and_measured_against(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    real, file = write_digits(tmp_path / "real", first=0, count=40), tmp_path / "real.npz"
    words = ["evaluate", "--real", real, "--count", "30", "--device", "cpu", "--save-statistics", str(file), "--json"]
    assert cli.main(words) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["images"], said["file"]) == (30, str(file))
    with np.load(file, allow_pickle=False) as arrays:
        assert int(arrays["n"]) == 30
    fake = write_digits(tmp_path / "fake", first=40, count=40)
    words = ["evaluate", "--real", str(file), "--fake", fake, "--metrics", "fid", "--device", "cpu"]
    assert cli.main(words) == 0


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "add --real"),
        (["--real", "r", "--fake", "f"], "leave out --fake"),
        (["--real", "r"], "has to end in .npz"),
    ],
)
def test_what_is_refused(words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["evaluate", *words, "--save-statistics", "statistics.txt"]) == 2
    assert sentence in capsys.readouterr().err
