"""The command line, as a person or a script uses it."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from dit_studio import cli
from dit_studio.config import fields_of
from dit_studio.files import naming_disk_errors
from dit_studio.jobs.run_folder import RunFolder
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


def write_drawn(folder: Path) -> None:
    """An image as the studio writes them."""
    folder.mkdir(parents=True)
    info = PngInfo()
    info.add_text("dit_studio", "{}")
    Image.new("RGB", (2, 2)).save(folder / "000000.png", pnginfo=info)


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


def test_a_run_that_is_at_work_is_not_resumed(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for more in ([], ["--set", "train.steps=9"]):
        with RunFolder(trained).lock():
            assert cli.main(["train", "--resume", str(trained), *more]) == 1
        assert "is in use by another process. Stop that one first, or watch it." in capsys.readouterr().err
    assert RunFolder(trained).recipe().train.steps == 4


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


def test_every_drawn_image_carries_its_settings_and_comes_again(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["sample", str(trained), "--precision", "fp32"]
    first = [*words, "--count", "5", "--seed", "30", "--steps", "4", "--cfg", "3", "--sampler", "dpm++"]
    assert cli.main([*first, "--out", str(tmp_path / "one")]) == 0
    image = tmp_path / "one" / "000004.png"
    assert cli.main([*words, "--like", str(image), "--out", str(tmp_path / "again"), "--json"]) == 0
    answer = last_line(capsys)
    assert [answer[key] for key in ("count", "classes", "seed", "sampler", "cfg")] == [1, [1], 34, "dpm++", 3.0]
    with Image.open(image) as one, Image.open(tmp_path / "again" / "000000.png") as other:
        assert np.abs(np.asarray(one).astype(int) - np.asarray(other)).max() <= 1
    assert cli.main([*words, "--like", str(image), "--cfg", "1", "--out", str(tmp_path / "other"), "--json"]) == 0
    answer = last_line(capsys)
    assert (answer["cfg"], answer["seed"]) == (1.0, 34)


def test_an_image_of_raw_weights_in_full_precision_comes_again(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["sample", str(trained), "--count", "1", "--steps", "4", "--out", str(tmp_path / "one")]
    assert cli.main([*words, "--weights", "raw", "--precision", "fp32"]) == 0
    like = ["sample", str(trained), "--like", str(tmp_path / "one" / "000000.png"), "--json"]
    capsys.readouterr()
    assert cli.main([*like, "--out", str(tmp_path / "again")]) == 0
    captured = capsys.readouterr()
    answer = json.loads(captured.out.splitlines()[-1])
    assert (answer["weights"], answer["precision"]) == ("raw", "fp32")
    assert "draws another image" not in captured.err
    with Image.open(tmp_path / "one" / "000000.png") as one, Image.open(tmp_path / "again" / "000000.png") as other:
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other))
    assert cli.main([*like, "--weights", "ema", "--out", str(tmp_path / "ema")]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out.splitlines()[-1])["weights"] == "ema"
    assert "000000.png was drawn by run · step 4 · raw" in captured.err
    assert "it draws another image" in captured.err


def test_a_precision_that_this_device_lacks_is_said(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    info = PngInfo()
    info.add_text("dit_studio", '{"request": {"steps": 2, "seed": 3}, "precision": "fp16"}')
    Image.new("RGB", (2, 2)).save(tmp_path / "a.png", pnginfo=info)
    words = ["sample", str(trained), "--like", str(tmp_path / "a.png"), "--device", "cpu", "--out", str(tmp_path / "s")]
    assert cli.main(words) == 0
    assert "a.png was drawn in fp16, which this device does not do" in capsys.readouterr().err
    assert cli.main([*words, "--precision", "fp16", "--overwrite"]) == 2


def test_what_was_drawn_before_is_not_mixed_with_what_is_drawn_now(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = ["sample", str(trained), "--steps", "2", "--out", str(out)]
    assert cli.main([*words, "--count", "10"]) == 0
    (out / "notes.txt").write_text("mine")
    (out / "000011.png").write_bytes((tmp_path / "bilder ü").rglob("*.png").__next__().read_bytes())
    before = sorted(file.name for file in out.iterdir())
    for more in (["--count", "3"], ["--trajectory"], ["--sweep", "cfg=1,2"]):
        assert cli.main([*words, *more]) == 1
        assert "holds images that were drawn before" in capsys.readouterr().err
        assert sorted(file.name for file in out.iterdir()) == before
    assert cli.main([*words, "--count", "3", "--overwrite"]) == 0
    names = ["000000.png", "000001.png", "000002.png", "000011.png", "labels.csv", "notes.txt"]
    assert sorted(file.name for file in out.iterdir()) == names
    assert len((out / "labels.csv").read_text().splitlines()) == 4
    assert cli.main([*words, "--sweep", "cfg=1,2", "--overwrite"]) == 0
    assert cli.main([*words, "--count", "3"]) == 1
    assert "holds a sweep" in capsys.readouterr().err
    assert cli.main([*words, "--trajectory", "--overwrite"]) == 0
    assert not (out / "cells").exists()
    assert not (out / "sweep.json").exists()
    assert cli.main([*words, "--count", "2", "--overwrite"]) == 0
    names = ["000000.png", "000001.png", "000011.png", "labels.csv", "notes.txt", "trajectory"]
    assert sorted(file.name for file in out.iterdir()) == names


def test_somebody_elses_data_set_is_never_cleared(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "labels.csv").write_text("file,label\na.png,cat\n")
    words = ["sample", str(trained), "--out", str(tmp_path / "mine"), "--overwrite"]
    assert cli.main(words) == 1
    assert "a data set that was not drawn here. Choose another folder." in capsys.readouterr().err
    assert (tmp_path / "mine" / "labels.csv").read_text().endswith("cat\n")


@pytest.mark.parametrize("way", [[], ["--trajectory"]])
def test_a_full_disk_leaves_a_data_set_of_what_there_is(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, way: list[str]
) -> None:
    from dit_studio.engine import sample_files, sample_job

    def writing(path: Path, data: bytes) -> None:
        with naming_disk_errors(path):
            if path.name == "000004.png":
                raise OSError(errno.ENOSPC, "No space left on device")
            path.write_bytes(data)

    for module in (sample_files, sample_job):
        monkeypatch.setattr(module, "write_atomically", writing)
    out = tmp_path / "out"
    words = ["sample", str(trained), "--count", "9", "--batch-size", "2", "--steps", "2", "--out", str(out), *way]
    assert cli.main(words) == 1
    said = capsys.readouterr().err
    assert f"4 of 9 images are kept in {out}" in said
    assert "000004.png" in said
    assert "resume" not in said
    assert [line.split(",")[0] for line in (out / "labels.csv").read_text().splitlines()[1:]] == [
        f"{k:06d}.png" for k in range(4)
    ]


@pytest.mark.parametrize("way", [[], ["--trajectory"]])
def test_interrupting_leaves_a_data_set_of_what_there_is(trained: Path, tmp_path: Path, way: list[str]) -> None:
    out = tmp_path / "out"
    words = ["sample", str(trained), "--out", str(out), "--count", "20000", "--batch-size", "4", "--steps", "2", *way]
    with subprocess.Popen([sys.executable, "-m", "dit_studio", *words], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        while not (out / "labels.csv").exists() and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        rest = process.stderr.read()
        assert process.wait(60) == 130, rest
    labelled = {line.split(",")[0] for line in (out / "labels.csv").read_text().splitlines()[1:]}
    assert labelled == {file.name for file in out.glob("*.png")}
    assert 0 < len(labelled) < 20_000


def test_a_foreign_picture_gives_what_fits(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    info = PngInfo()
    info.add_text("parameters", "a cat\nSteps: 5, Sampler: LMS, CFG scale: 1.5, Seed: 12, Size: 512x512")
    Image.new("RGB", (2, 2)).save(tmp_path / "a.png", pnginfo=info)
    words = ["sample", str(trained), "--like", str(tmp_path / "a.png"), "--out", str(tmp_path / "s"), "--json"]
    assert cli.main(words) == 0
    captured = capsys.readouterr()
    answer = json.loads(captured.out.splitlines()[-1])
    assert [answer[key] for key in ("steps", "cfg", "seed", "sampler", "count")] == [5, 1.5, 12, "ddim", 3]
    assert "sampler = LMS is not possible" in captured.err
    assert "unknown here and left out: Size" in captured.err


def test_a_branch_goes_on_from_a_step_that_was_kept(trained: Path, tmp_path: Path) -> None:
    words = ["sample", str(trained), "--precision", "fp32"]
    one, same, other = (tmp_path / name for name in ("one", "same", "other"))
    first = [*words, "--steps", "6", "--count", "2", "--seed", "5", "--sampler", "ddpm", "--trajectory"]
    assert cli.main([*first, "--out", str(one)]) == 0
    assert cli.main([*words, "--branch", f"{one}:1:3", "--out", str(same)]) == 0
    assert cli.main([*words, "--branch", f"{one}:1:3", "--seed", "99", "--out", str(other)]) == 0
    images = [np.asarray(Image.open(path)) for path in (one / "000001.png", same / "000000.png", other / "000000.png")]
    assert np.array_equal(images[0], images[1]), "with nothing changed it is the parent's image"
    assert not np.array_equal(images[0], images[2])
    assert (other / "trajectory" / "evolution.png").is_file()


@pytest.mark.parametrize(
    ("branch", "sentence", "status"),
    [
        ("one", "is no place in a trajectory", 2),
        ("one:0:0x1", "is no place in a trajectory", 2),
        ("far/away:0:1", "has to lie beside --out", 2),
        ("gone:0:1", "holds no trajectory", 1),
    ],
)
def test_a_branch_from_nowhere_is_a_sentence(
    branch: str, sentence: str, status: int, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert cli.main(["sample", "model", "--branch", branch, "--out", "new"]) == status
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_a_trajectory_comes_with_its_sheet_and_film(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert cli.main(["sample", str(trained), "--steps", "6", "--trajectory", "--out", str(out), "--json"]) == 0
    answer = last_line(capsys)
    names = [Path(file).name for file in answer["files"]]  # type: ignore[attr-defined]
    assert names == ["evolution.png", "evolution.pdf", "evolution.gif"]
    assert np.load(out / "x_t.npy").shape == (6, 3, 3, 8, 8)
    assert np.load(out / "x_start.npy").shape == (6, 3, 8, 8, 3)
    with Image.open(out / "trajectory" / "evolution.gif") as film:
        assert film.n_frames == 7  # type: ignore[attr-defined]
    assert cli.main(["inspect", str(out), "--json"]) == 0
    answer = last_line(capsys)
    assert (answer["images"], answer["source"]) == (3, "labels")


def test_a_sweep_is_drawn_and_gone_on_with(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["sample", str(trained), "--sweep", "cfg=1-7 [3]", "--sweep", "checkpoint=2,4", "--steps", "2", "--json"]
    for _ in range(2):
        assert cli.main([*words, "--out", str(tmp_path / "sweep")]) == 0
        answer = last_line(capsys)
        cells: list[dict[str, object]] = answer["cells"]  # type: ignore[assignment]
        assert [cell["labels"] for cell in cells][::3] == [["CFG 1", "step 2"], ["CFG 1", "step 4"]]
        assert {cell["state"] for cell in cells} == {"drawn"}
        assert (answer["failed"], answer["drawn"]) == (0, 18)
    assert (tmp_path / "sweep" / "sweep.png").exists()
    assert len(list((tmp_path / "sweep" / "cells").glob("*/labels.csv"))) == 6


def test_an_npz_needs_no_folder(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a.npz"
    words = ["sample", str(trained), "--npz", str(file), "--count", "9", "--classes", "1", "--steps", "2"]
    assert cli.main([*words, "--json"]) == 0
    assert last_line(capsys)["size_bytes"] == file.stat().st_size
    with np.load(file) as found:
        assert found["arr_0"].shape == (9, 8, 8, 3)
        assert found["arr_1"].tolist() == [1] * 9
    assert [path.name for path in tmp_path.glob("*.tmp")] == []


def test_interrupting_an_npz_keeps_what_is_drawn(trained: Path, tmp_path: Path) -> None:
    words = ["sample", str(trained), "--npz", str(tmp_path / "a.npz"), "--count", "1000000", "--batch-size", "8"]
    words = [sys.executable, "-m", "dit_studio", *words, "--steps", "2"]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=os.environ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "Sampling" in line:
                process.send_signal(signal.SIGTERM)
                break
        rest = process.stderr.read()
        assert process.wait(60) == 130, rest
    assert "interrupted" in rest
    assert "stopped: a.npz holds " in rest
    with np.load(tmp_path / "a.npz") as found:
        assert 0 < len(found["arr_0"]) == len(found["arr_1"]) < 1_000_000


def test_every_option_of_a_request_has_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["sample", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    for field in fields_of("request"):
        assert f"--{field.name.replace('_', '-')} " in said
        assert field.description[:12] in said


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
        (["sample", "{run}", "--steps", "0", "--out", "s"], 2, "from 1 to 4000"),
        (["sample", "{run}", "--steps", "1001", "--out", "s"], 2, "from 1 to 1000"),
        (["sample", "{run}", "--out", ""], 2, "the name is empty"),
        (["sample", "{run}", "--npz", ""], 2, "the name is empty"),
        (["sample", "{run}", "--npz", "d.npz"], 2, "d.npz is a folder"),
        (["sample", "{run}", "--out", "{recipe}"], 1, "is a file, and the images go into a folder"),
        (["sample", "nowhere", "--steps", "0", "--out", "s"], 2, "from 1 to 4000"),
        (["sample", "nowhere", "--cfg", "x", "--count", "0", "--out", "s"], 2, "request.count = 0"),
        (["sample", "nowhere", "--out", "s", "--like", "none.png"], 1, "none.png cannot be read"),
        (["sample", "nowhere", "--out", "s", "--sweep", "cfg=1,400"], 2, "cfg = 400 is not possible"),
        (["sample", "nowhere", "--out", "d.npz/full"], 1, "images that were drawn before"),
        (["sample", "{run}", "--cfg", "nan", "--out", "s"], 2, "from 0 to 100"),
        (["sample", "{run}", "--batch-size", "0", "--out", "s"], 2, "from 1 to"),
        (["train", "--resume", "{run}", "--set", "model.depth=1"], 1, "depth = 2, and the recipe says 1"),
        (["sample", "{run}", "--steps", "ten", "--out", "s"], 2, "a whole number"),
        (["sample", "{run}", "--sampler", "dim", "--out", "s"], 2, 'Did you mean "ddim"?'),
        (["sample", "{run}"], 2, "--out DIR, or --npz FILE"),
        (["sample", "{run}", "--npz", "a.npz", "--out", "s"], 2, "leave out --out"),
        (["sample", "{run}", "--npz", "a.png"], 2, "end in .npz"),
        (["sample", "{run}", "--out", "s", "--sweep", "cfg=1,4", "--trajectory"], 2, "leave out --trajectory"),
        (["sample", "{run}", "--out", "s", "--sweep", "cgf=1,4"], 2, "Did you mean cfg?"),
        (["sample", "{run}", "--out", "s", "--sweep", "cfg=1,400"], 2, "cfg = 400 is not possible"),
        (["sample", "{run}", "--out", "s", "--like", "{recipe}"], 1, "is not a PNG"),
        (["sample", "{run}", "--out", "s", "--device", "tpu"], 2, "tpu"),
        (["sample", "{data}", "--out", "s"], 1, "holds no model"),
        (["sample", "model.pt", "--out", "s"], 1, "model.pt does not exist"),
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
    write_drawn(tmp_path / "d.npz" / "full")
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
    assert "does not exist" in str(last_line(capsys)["error"])


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
        assert process.wait(60) == 130, rest
    assert "stopping after this step" in rest
    assert len(list((run / "checkpoints").glob("step-*"))) >= 1


def test_a_signal_may_cut_into_any_sentence() -> None:
    """What a handler says while stderr is being written to must not end the program."""
    program = (
        "import io, signal, sys\n"
        "from dit_studio import cli_job\n"
        "class Slow(io.FileIO):\n"
        "    def write(self, text):\n"
        "        signal.raise_signal(signal.SIGINT)\n"
        "        return super().write(text)\n"
        "sys.stderr = io.TextIOWrapper(io.BufferedWriter(Slow(2, 'w', closefd=False)), write_through=True)\n"
        "with cli_job._stopping_at_a_step() as presses:\n"
        "    sys.stderr.write('a sentence\\n')\n"
        "    sys.stderr.flush()\n"
        "    assert presses == [2]\n"
        "    import os\n"
        "    os._exit(0)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "stopping after this step" in done.stderr
    assert "a sentence" in done.stderr


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
