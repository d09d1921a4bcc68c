"""`dit-studio evaluate`, as a person or a script uses it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dit_studio import cli
from dit_studio.errors import DiskFullError
from dit_studio.evaluation_request import decode_result
from tests.engine.digits import shuffled_digits, write_digits, write_images, write_noise


@pytest.fixture
def real(tmp_path: Path) -> str:
    return write_digits(tmp_path / "real", first=0, count=80)


@pytest.fixture
def fake(tmp_path: Path) -> str:
    return write_digits(tmp_path / "fake", first=80, count=80)


def test_a_table_and_everything_as_json(
    real: str, fake: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "result.json"
    assert cli.main(["evaluate", "--real", real, "--fake", fake, "--out", str(out), "--json"]) == 0
    said = capsys.readouterr()
    for words in (
        "FD-random-80",
        "KD-random-80",
        "95 % interval",
        "floor at 40",
        "random features (weights",
        "red: FD-random-80: ",
    ):
        assert words in said.err
    answered = json.loads(said.out.splitlines()[-1])
    result = decode_result(out.read_bytes())
    assert answered == json.loads(out.read_bytes())
    assert {found.metric for found in result.results} >= {"fid", "kid", "mmd", "precision", "recall"}
    assert result.copying is not None
    assert result.protocol_line in said.err


def test_figures_are_printed_even_if_the_disk_is_full(
    real: str, fake: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, _: bytes) -> None:
        raise DiskFullError(f"There is no room to write {path}: 0 MB are free.", remedy="Free some space.")

    monkeypatch.setattr("dit_studio.engine.evaluation.evaluate.write_atomically", full)
    words = ["--out", str(tmp_path / "result.json"), "--metrics", "fid", "--json"]
    assert cli.main(["evaluate", "--real", real, "--fake", fake, *words]) == 1
    said = capsys.readouterr()
    assert "FD-random-80" in said.err
    assert "There is no room to write" in said.err
    answered = json.loads(said.out.splitlines()[-1])
    assert answered["results"][0]["value"] > 0
    assert answered["error"].endswith("0 MB are free. Free some space.")


def test_chosen_metrics_count_and_seed(real: str, fake: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--metrics", "fid,kid", "--count", "50", "--seed", "7", "--no-floor", "--json"]
    assert cli.main(["evaluate", "--real", real, "--fake", fake, *words]) == 0
    answered = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [found["name"] for found in answered["results"]] == ["FD-random-50", "KD-random-50"]
    assert (answered["request"]["seed"], answered["floor"], answered["copying"]) == (7, [], None)


def test_copies_are_named(real: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copied = write_images(tmp_path / "copied", shuffled_digits()[0][:30])
    assert cli.main(["evaluate", "--real", real, "--fake", copied, "--metrics", "copying"]) == 0
    said = capsys.readouterr().err
    assert "100.0% of the images" in said
    assert "30 are one, to the last byte" in said
    assert "000.png is close to" in said
    assert "red: 100% of the images lie as close" in said


@pytest.mark.parametrize(
    ("words", "status", "sentence"),
    [
        (["--metrics", "fod"], 2, 'no metric "fod"'),
        (["--features", "clip-b23"], 2, 'Did you mean "clip-b32"?'),
        (["--count", "one"], 2, "count"),
        (["--seed", "-1"], 2, "seed"),
        (["--device", "abacus"], 2, "abacus"),
        (["--features", "inception"], 1, "SHA-256 6726825d"),
    ],
)
def test_what_cannot_be_done_is_a_sentence(
    real: str, fake: str, capsys: pytest.CaptureFixture[str], words: list[str], status: int, sentence: str
) -> None:
    assert cli.main(["evaluate", "--real", real, "--fake", fake, *words]) == status
    assert sentence in capsys.readouterr().err


def test_both_sides_are_needed(real: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["evaluate", "--real", real]) == 2
    assert "--fake" in capsys.readouterr().err


def test_a_missing_folder_and_a_run_without_a_model(
    real: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["evaluate", "--real", real, "--fake", str(tmp_path / "nowhere"), "--json"]) == 1
    assert "nowhere" in json.loads(capsys.readouterr().out)["error"]
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.toml").write_text("")
    assert cli.main(["evaluate", "--real", real, "--fake", str(tmp_path / "run")]) == 1
    assert "holds no model" in capsys.readouterr().err


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_an_interrupted_command_goes_on_where_it_stopped(tmp_path: Path) -> None:
    real, fake = write_digits(tmp_path / "real", first=0, count=1500), write_noise(tmp_path / "fake", count=60)
    words = [sys.executable, "-m", "dit_studio", "evaluate", "--real", real, "--fake", fake, "--metrics", "kid"]
    stopped = subprocess.Popen([*words, "--batch-size", "1"], stderr=subprocess.PIPE, text=True)
    store = tmp_path / "cache" / "features"
    deadline = time.monotonic() + 60
    while not list(store.glob("*/features.bin")) and time.monotonic() < deadline:
        time.sleep(0.02)
    stopped.send_signal(signal.SIGINT)
    said = stopped.communicate(timeout=60)[1]
    assert stopped.returncode == 130, said
    states = [json.loads(path.read_bytes()) for path in store.glob("*/state.json")]
    assert len(states) == 1
    kept = states[0]["rows"]
    assert 0 < kept < 1500
    done = subprocess.run([*words, "--json"], capture_output=True, text=True, timeout=120, check=True)
    assert f"Reference: {kept:,} of 1,500 images are kept" in done.stderr
    assert json.loads(done.stdout)["real"]["measured"] == 1500
