"""`dit-studio evaluate` of models, and of several things at once."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from dit_studio import cli
from dit_studio.evaluation_plan import open_evaluation
from dit_studio.places import evaluations_dir
from tests.engine.digits import write_digits, write_noise
from tests.engine.tiny_runs import DIGITS, write_tiny_run

QUICK = ["--metrics", "fid,kid", "--no-floor", "--json"]


@pytest.fixture
def run(tmp_path: Path) -> str:
    return str(write_tiny_run(tmp_path))


def answered(capsys: pytest.CaptureFixture[str], *words: str, status: int = 0) -> dict[str, Any]:
    assert cli.main(["evaluate", *words]) == status
    found: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return found


def test_a_model_draws_what_is_measured(run: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--classes", "3,1", "--steps", "2", "--sample-seed", "7", "--sampler", "euler", "--count", "10"]
    found = answered(capsys, "--real", run, "--fake", run, *words, *QUICK)
    sample = found["request"]["sample"]
    assert (sample["classes"], sample["steps"], sample["seed"], sample["count"]) == ([3, 1], 2, 7, 10)
    assert (sample["sampler"], sample["cfg"]) == ("euler", 3.0)  # as the run has it
    assert (found["real"]["kind"], found["real"]["images"]) == ("data set", DIGITS)
    for part in ("step 20 · EMA", "euler", "2 steps", "CFG 3 on all channels", "seeds from 7"):
        assert part in found["protocol_line"]
    more = answered(capsys, "--real", run, "--fake", run, *words[:-2], "--sample-count", "12", *QUICK)
    assert (more["fake"]["measured"], more["real"]["measured"]) == (12, DIGITS)
    raw = answered(capsys, "--real", run, "--fake", run, *words, *QUICK, "--model-weights", "raw")
    assert "step 20 · raw" in raw["protocol_line"]


def test_a_curve_over_checkpoints_and_guidance(run: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--real", run, "--fake", run, "--steps", "2", "--count", "8", "--over", "checkpoint=10,20"]
    assert cli.main(["evaluate", *words, "--over", "cfg=1,2", "--metrics", "fid,kid", "--json"]) == 0
    said = capsys.readouterr()
    found = json.loads(said.out.splitlines()[-1])
    assert [axis["name"] for axis in found["axes"]] == ["checkpoint", "cfg"]
    assert [tuple(point["labels"]) for point in found["points"]] == [
        ("step 10", "CFG 1"), ("step 10", "CFG 2"), ("step 20", "CFG 1"), ("step 20", "CFG 2"),
    ]  # fmt: skip
    assert all(point["result"]["results"][0]["value"] > 0 for point in found["points"])
    folder = Path(found["folder"])
    assert (folder.parent, open_evaluation(folder).state) == (evaluations_dir(), "finished")
    for part in ("FD-random-8", "step 10, CFG 1", "floor at 4", "Kept in", "red: FD-random-8: "):
        assert part in said.err


def test_folders_side_by_side_and_gone_on_with(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    real = write_digits(tmp_path / "real", first=0, count=40)
    fakes = [write_digits(tmp_path / "fake", first=40, count=40), str(tmp_path / "noise")]
    keep = str(tmp_path / "kept")
    sides = [word for fake in fakes for word in ("--fake", fake)]
    found = answered(capsys, "--real", real, *sides, *QUICK, "--keep", keep, status=1)
    assert (found["failed"], [point["state"] for point in found["points"]]) == (1, ["done", "failed"])
    assert "does not exist" in found["points"][1]["message"]
    write_noise(tmp_path / "noise", count=40)
    again = answered(capsys, "--keep", keep, "--json")
    assert (again["failed"], again["title"]) == (0, "fake, noise against real")
    assert again["points"][0]["result"] == found["points"][0]["result"]


def test_one_folder_may_be_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = write_digits(tmp_path / "real", first=0, count=40)
    monkeypatch.chdir(tmp_path)
    found = answered(capsys, "--real", "real", "--fake", "real", *QUICK, "--keep", "kept")
    (point,) = found["points"]
    assert (point["labels"], point["samples"], point["result"]["request"]["real"]) == (["real"], real, real)
    assert (tmp_path / "kept" / "results" / "000.json").is_file()


@pytest.mark.parametrize(
    ("words", "status", "sentence"),
    [
        (["--fake", "RUN", "--fake", "RUN", "--over", "cfg=1,2"], 2, "--over takes one --fake"),
        (["--fake", "DIGITS", "--over", "cfg=1,2"], 2, "--over takes a model"),
        (["--fake", "nowhere", "--steps", "3"], 1, "nowhere does not exist. Check the path"),
        (["--fake", "DIGITS", "--steps", "3"], 2, "is no model: leave out how its images are drawn, steps"),
        (["--fake", "RUN", "--over", "cfg=1,2", "--out", "a.json"], 2, "--keep DIR"),
        (["--fake", "RUN", "--over", "cfg"], 2, "--over cfg is not possible"),
        (["--fake", "RUN", "--over", "cgf=1"], 2, "Did you mean cfg?"),
        (["--fake", "RUN", "--over", "checkpoint=30"], 2, "checkpoint = 30"),
        (["--fake", "RUN", "--steps", "2000"], 2, "from 1 to 1000"),
        (["--fake", "RUN", "--classes", "eleven"], 2, 'no class "eleven"'),
        (["--fake", "RUN", "--cfg", "-1"], 2, "cfg"),
    ],
)
def test_what_cannot_be_done_is_a_sentence(
    run: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], status: int, sentence: str
) -> None:
    places = {"RUN": run, "DIGITS": str(tmp_path / "digits")}
    assert cli.main(["evaluate", "--real", run, *(places.get(word, word) for word in words)]) == status
    assert sentence in capsys.readouterr().err
    assert not evaluations_dir().exists() or not list(evaluations_dir().glob("*/results/*"))


def test_nothing_to_go_on_with(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["evaluate", "--keep", str(tmp_path / "nowhere")]) == 1
    assert "is no evaluation" in capsys.readouterr().err


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_an_interrupted_plan_tells_how_to_go_on(run: str, tmp_path: Path) -> None:
    keep = tmp_path / "kept"
    words = [sys.executable, "-m", "dit_studio", "evaluate"]
    axes = ["--over", "cfg=1-40", "--steps", "20", "--count", "8", "--metrics", "kid", "--no-floor"]
    sides = ["--real", run, "--fake", run]
    stopped = subprocess.Popen([*words, *sides, *axes, "--keep", str(keep)], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not (keep / "results" / "001.json").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    stopped.send_signal(signal.SIGINT)
    said = stopped.communicate(timeout=60)[1]
    assert stopped.returncode == 130, said
    assert f"Go on with dit-studio evaluate --keep {keep}" in said
    record = open_evaluation(keep)
    states = [state.state for state in record.states]
    assert (record.state, states[:2], states[-1]) == ("stopped", ["done", "done"], "waiting")
