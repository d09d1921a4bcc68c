"""The command line, as a person or a script uses it."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from dit_studio import cli
from tests.pictures import write_pictures

RECIPE = """
about = "A tiny run for a test."
[data]
image_size = 8
[model]
hidden_size = 32
depth = 2
num_heads = 4
patch_size = 4
[train]
steps = 4
batch_size = 8
checkpoint_every = 2
preview_every = 0
[sample]
steps = 3
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    write_pictures(tmp_path / "bilder ü")
    file = tmp_path / "rezept ü.toml"
    file.write_text(RECIPE)
    return file


@pytest.fixture
def trained(recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    run = tmp_path / "run"
    assert cli.main(["train", str(recipe), "--data", str(tmp_path / "bilder ü"), "--out", str(run)]) == 0
    capsys.readouterr()
    return run


def last_line(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    result: dict[str, object] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return result


def test_training_answers_with_one_json_object(
    recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", str(recipe), "--data", str(tmp_path / "bilder ü"), "--out", str(tmp_path / "run"), "--json"]
    assert cli.main(words) == 0
    captured = capsys.readouterr()
    answer = json.loads(captured.out)
    assert (answer["state"], answer["step"], answer["steps"]) == ("finished", 4, 4)
    assert answer["loss"] > 0
    assert "24 images" not in captured.out
    assert "validation" in captured.err
    lines = [json.loads(line) for line in (tmp_path / "run" / "events.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if line["kind"] == "metrics"] == [1, 2, 3, 4]


@pytest.mark.provokes_log
def test_a_run_is_resumed_with_more_steps(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["train", "--resume", str(trained)]) == 1
    assert "Raise the steps (train.steps)" in capsys.readouterr().err
    assert cli.main(["train", "--resume", str(trained), "--set", "train.steps=6", "--json"]) == 0
    assert last_line(capsys)["step"] == 6


def test_a_run_is_never_overwritten(recipe: Path, trained: Path, tmp_path: Path) -> None:
    words = ["train", str(recipe), "--data", str(tmp_path / "bilder ü"), "--out", str(trained)]
    before = (trained / "events.jsonl").read_bytes()
    assert cli.main(words) == 1
    assert (trained / "events.jsonl").read_bytes() == before


@pytest.mark.parametrize("sampler", ["ddim", "ddpm"])
def test_sampling_writes_a_data_set(
    trained: Path, tmp_path: Path, sampler: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "samples"
    words = ["sample", str(trained), "--classes", "2,class 0", "--count", "5", "--sampler", sampler, "--steps", "4"]
    assert cli.main([*words, "--out", str(out), "--json"]) == 0
    assert last_line(capsys)["count"] == 5
    assert sorted(file.name for file in out.glob("*.png")) == [f"{k:06d}.png" for k in range(5)]
    with Image.open(out / "000000.png") as picture:
        assert picture.size == (8, 8)
    assert (out / "labels.csv").read_text().splitlines()[1] == "000000.png,class 2"
    assert cli.main(["inspect", str(out), "--json"]) == 0
    assert last_line(capsys)["source"] == "labels"


@pytest.mark.parametrize(
    ("words", "status", "sentence"),
    [
        (["trian", "x"], 2, "Did you mean train?"),
        (["train"], 2, "RECIPE.toml, or --resume RUN"),
        (["train", "nowhere.toml"], 2, "nowhere.toml cannot be read"),
        (["train", "{recipe}", "--set", "train.stps=3"], 2, "Did you mean train.steps?"),
        (["train", "{recipe}", "--set", "train.steps=-3"], 2, "from 1 to"),
        (["train", "{recipe}", "--data", "/nowhere"], 1, "/nowhere"),
        (["train", "{recipe}"], 1, "No images are chosen"),
        (["train", "--resume", "{run}", "x.toml"], 2, "leave out the others"),
        (["train", "--resume", "{data}"], 1, "is not a run"),
        (["sample", "{run}", "--classes", "clas 0", "--out", "s"], 2, "Did you mean class 0?"),
        (["sample", "{run}", "--classes", "7", "--out", "s"], 2, "numbers from 0 to 2"),
        (["sample", "{run}", "--steps", "0", "--out", "s"], 2, "from 1 to 1000"),
        (["sample", "{run}", "--cfg", "nan", "--out", "s"], 2, "from 0 to 100"),
        (["sample", "{run}", "--batch-size", "0", "--out", "s"], 2, "from 1 to"),
        (["train", "--resume", "{run}", "--set", "model.depth=1"], 1, "depth = 2, and the recipe says 1"),
        (["sample", "{data}", "--out", "s"], 1, "holds no model"),
        (["sample", "model.pt", "--out", "s"], 1, "is a pickle"),
        (["inspect", "/nowhere"], 1, "/nowhere"),
        (["benchmark", "everything"], 2, "everything"),
        (["demo", "--minutes", "-1"], 2, "above 0"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    words: list[str], status: int, sentence: str, recipe: Path, trained: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    places = {"recipe": recipe, "run": trained, "data": tmp_path / "bilder ü"}
    try:
        found = cli.main([word.format(**places) for word in words])
    except SystemExit as end:
        found = end.code  # type: ignore[assignment]
    error = capsys.readouterr().err
    assert found == status, error
    assert sentence in error
    assert "Traceback" not in error


def test_a_change_that_cannot_be_leaves_the_run_as_it_was(trained: Path) -> None:
    before = (trained / "run.toml").read_bytes()
    assert cli.main(["train", "--resume", str(trained), "--set", "model.depth=1"]) == 1
    assert (trained / "run.toml").read_bytes() == before


def test_a_failure_is_an_answer_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["sample", "nowhere", "--out", "x", "--json"]) == 1
    assert "holds no model" in str(last_line(capsys)["error"])


def test_inspecting_a_run_and_its_checkpoint(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["inspect", str(trained), "--json"]) == 0
    assert last_line(capsys)["checkpoints"] == ["step-0000002", "step-0000004"]
    assert cli.main(["inspect", str(trained / "checkpoints" / "step-0000004"), "--json"]) == 0
    answer = last_line(capsys)
    assert answer["weights"] == "ema"
    assert answer["class_names"] == ["class 0", "class 1", "class 2"]


def test_every_setting_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["train", "--settings"]) == 0
    listed = capsys.readouterr().out
    assert "train.learning_rate" in listed
    assert "sample.cfg" in listed


def test_the_doctor_answers(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["doctor", "--json"]) == 0
    names = {check["name"] for check in last_line(capsys)["checks"]}  # type: ignore[attr-defined,union-attr]
    assert {"torch", "Device", "Runs", "Window"} <= names


def test_interrupting_saves_and_stops(recipe: Path, tmp_path: Path) -> None:
    run = tmp_path / "interrupted"
    words = [
        "train",
        str(recipe),
        "--data",
        str(tmp_path / "bilder ü"),
        "--out",
        str(run),
        "--set",
        "train.steps=9999999",
    ]
    with subprocess.Popen(
        [sys.executable, "-m", "dit_studio", *words], stderr=subprocess.PIPE, text=True, env=os.environ
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "running" in line:
                process.send_signal(signal.SIGINT)
                break
        rest = process.stderr.read()
        assert process.wait(60) == 130
    assert "stopping after this step" in rest
    assert len(list((run / "checkpoints").glob("step-*"))) >= 1


def test_help_costs_no_torch() -> None:
    code = "import sys; from dit_studio import cli\ntry: cli.main(['--help'])\nexcept SystemExit: pass\n"
    code += "assert 'torch' not in sys.modules and 'PySide6' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for command in ("demo", "train", "sample", "inspect", "benchmark", "doctor"):
        assert command in done.stdout


@pytest.mark.parametrize(
    "words", [["sample", "x"], ["train"], ["tran"], ["benchmark", "foo"], ["inspect", ".", "--classes", "foo"],
              ["benchmark", "train", "--seconds", "abc"]],
)  # fmt: skip
def test_wrong_usage_is_an_answer_too(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*words, "--json"]) == 2
    assert last_line(capsys)["error"]
