"""The command line and other programs' models: inspected, opened with --assume, sampled, converted."""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from dit_studio import cli
from dit_studio.engine.checkpoint import read_description
from tests.engine.foreign_models import published_state, small_vae, write_pipeline


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, object], str]:
    """The exit status, the answer, and what was said."""
    status = cli.main([*words, "--json"])
    said = capsys.readouterr()
    return status, json.loads(said.out.splitlines()[-1]), said.err


def write_pixels(folder: Path, name: str = "DiT-XL-2-256x256.pt") -> str:
    torch.save(published_state(channels=3, out=6, rows=4), folder / name)
    return str(folder / name)


def test_a_published_file_is_inspected_with_what_is_asked_of_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_pixels(tmp_path, "weights.pt")
    status, answer, said = run(capsys, "inspect", file)
    assert (status, answer["format"], "hidden_size" in answer) == (0, "published", False)
    assert "open: objective; likely epsilon. What does the model predict?" in said
    assert "Depth: 2 blocks" in said
    status, answer, _ = run(capsys, "inspect", file, "--assume", "objective=epsilon", "--assume", "num_heads=4")
    assert (status, answer["hidden_size"], answer["num_heads"]) == (0, 32, 4)


def test_a_diffusers_folder_is_inspected(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_pipeline(tmp_path / "pipe", old=True)
    status, answer, said = run(capsys, "inspect", str(tmp_path / "pipe"))
    assert (status, answer["format"], answer["dialect"]) == (0, "diffusers", "diffusers")
    assert "asked:" not in said


def test_a_published_file_is_sampled_where_it_lies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write_pixels(tmp_path, "weights.pt")
    words = ["sample", file, "--out", str(tmp_path / "out"), "--count", "2", "--steps", "2"]
    status, answer, said = run(capsys, *words)
    assert status == 1
    assert "Add --assume objective=epsilon, which is likely." in said
    assert not (tmp_path / "out").exists()
    status, answer, said = run(capsys, *words, "--assume", "objective=epsilon", "--assume", "num_heads=4")
    assert (status, answer["count"]) == (0, 2)
    assert "null_class = yes is assumed" in said
    assert "num_heads" not in said
    status, _, said = run(capsys, *words, "--overwrite", "--cfg", "3")
    assert status == 0, "it is remembered"
    assert "assumed" not in said
    assert len(list((tmp_path / "out").glob("*.png"))) == 2


def test_what_inspect_is_told_is_remembered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write_pixels(tmp_path, "weights.pt")
    status, _, said = run(capsys, "inspect", file, "--assume", "num_heads=4")
    assert (status, "Add --assume objective=epsilon" in said) == (1, True)
    status, answer, said = run(capsys, "inspect", file, "--assume", "objective=v", "--assume", "num_heads=4")
    assert (status, answer["num_heads"], "null_class = yes is assumed" in said) == (0, 4, True)
    assert read_description(Path(file)).diffusion.objective == "v"


def test_training_is_told_what_its_start_does_not_tell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, recipe = write_pixels(tmp_path, "weights.pt"), tmp_path / "recipe.toml"
    for number in range(8):
        (tmp_path / "images").mkdir(exist_ok=True)
        Image.new("RGB", (8, 8), (20 * number, 50, 200)).save(tmp_path / "images" / f"{number}.png")
    recipe.write_text(
        f'[data]\npath = "{(tmp_path / "images").as_posix()}"\nvalidation_fraction = 0.0\n'
        "[train]\nsteps = 1\nbatch_size = 4\npreview_every = 0\n"
    )
    words = ["train", str(recipe), "--out", str(tmp_path / "run")]
    started = [*words, "--set", f"train.start_from={file}"]
    status, _, said = run(capsys, *started)
    assert (status, "Add --assume objective=epsilon" in said) == (1, True)
    status, _, said = run(capsys, *words, "--assume", "objective=epsilon")
    assert (status, "--assume is of the model that training starts from" in said) == (2, True)
    status, answer, said = run(capsys, *started, "--assume", "objective=epsilon", "--assume", "num_heads=4")
    assert (status, answer.get("state")) == (0, "finished"), said
    status, _, said = run(capsys, "train", "--resume", str(tmp_path / "run"), "--assume", "objective=v")
    assert (status, "--resume goes on" in said) == (2, True)


def test_converting_does_not_write_over_a_file_unasked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, target = write_pixels(tmp_path), tmp_path / "mine.safetensors"
    target.write_bytes(b"dear to me")
    words = ["convert", file, str(target), "--format", "studio"]
    status, _, said = run(capsys, *words)
    assert (status, f"{target} is there already" in said, "--overwrite" in said) == (1, True, True)
    assert target.read_bytes() == b"dear to me"
    assert run(capsys, *words, "--overwrite")[0] == 0
    assert target.stat().st_size > 1000
    status, _, said = run(capsys, "convert", file, file, "--format", "facebook")
    assert (status, "is the model itself" in said) == (1, True)


def test_converting_there_and_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, folder, back = write_pixels(tmp_path), tmp_path / "folder", tmp_path / "back.pt"
    status, answer, said = run(capsys, "convert", file, str(folder), "--format", "diffusers")
    assert (status, answer["format"]) == (0, "diffusers")
    assert "the transformer alone is written" in said
    words = ("convert", str(folder), str(back), "--format", "facebook")
    status, answer, said = run(capsys, *words)
    assert (status, "Add --assume objective=epsilon" in said) == (1, True)
    status, answer, _ = run(capsys, *words, "--assume", "objective=epsilon")
    assert (status, answer["size_bytes"]) == (0, back.stat().st_size)
    one, other = (torch.load(path, weights_only=True) for path in (file, back))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(
    ("words", "status", "sentence"),
    [
        (["inspect", "{file}", "--assume", "num_heads"], 2, "it takes name=value"),
        (["inspect", "{file}", "--assume", "colour=red"], 1, "colour is not asked of this model"),
        (
            ["sample", "{file}", "--out", "o", "--assume", "num_heads=7"],
            1,
            "7 heads do not divide a width of 32; 8 would.",
        ),
        (["sample", "{folder}", "--out", "o", "--assume", "num_heads=7"], 2, "--assume is of models of other programs"),
        (["inspect", "{folder}", "--assume", "num_heads=7"], 2, "--assume is of models of other programs"),
        (["convert", "{file}", "o.bin", "--format", "facebook"], 1, "ends in .bin"),
        (["convert", "{file}", "o.pt", "--format", "keras"], 2, "keras"),
        (["convert", "{folder}", "o.pt", "--format", "facebook"], 1, "holds no model"),
        (["convert", "missing.pt", "o.pt", "--format", "facebook"], 1, "missing.pt"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    tmp_path: Path, words: list[str], status: int, sentence: str, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    places = {"file": write_pixels(tmp_path), "folder": tmp_path / "folder"}
    try:
        found = cli.main([word.format(**places) for word in words])
    except SystemExit as end:
        found = end.code  # type: ignore[assignment]
    said = capsys.readouterr().err
    assert (found, sentence in said) == (status, True), said


@pytest.mark.parametrize("kind", ["diffusers", "published"])
def test_a_model_is_opened_trained_on_given_back_and_loaded_by_diffusers(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The whole way of a fine-tune: images in latents, classes of one's own."""
    from diffusers import DiTPipeline

    start = tmp_path / "DiT-XL-2-256x256.pt"
    if kind == "diffusers":
        start = tmp_path / "start"
        write_pipeline(start)
        assumed = []
    else:
        torch.save(published_state(), start)
        small_vae().save_pretrained(tmp_path / "vae")
        assumed = ["--assume", f"vae={tmp_path / 'vae'}", "--assume", "num_heads=2", "--assume", "null_class=yes"]
    assert run(capsys, "inspect", str(start), *assumed)[0] == 0
    for name in ("cats", "dogs"):
        (tmp_path / "images" / name).mkdir(parents=True)
        for number in range(8):
            colour = (200, 20 * number, 50) if name == "cats" else (20 * number, 50, 200)
            Image.new("RGB", (16, 16), colour).save(tmp_path / "images" / name / f"{number}.png")
    (tmp_path / "recipe.toml").write_text(
        f'[data]\npath = "{(tmp_path / "images").as_posix()}"\n'
        f'[train]\nstart_from = "{start.as_posix()}"\nsteps = 2\nbatch_size = 4\npreview_every = 0\n'
    )
    status, answer, said = run(capsys, "train", str(tmp_path / "recipe.toml"), "--out", str(tmp_path / "run"))
    assert (status, answer.get("state")) == (0, "finished"), said
    target = tmp_path / "given-back"
    assert run(capsys, "convert", str(tmp_path / "run"), str(target), "--format", "diffusers")[0] == 0
    pipeline = DiTPipeline.from_pretrained(target)
    pipeline.set_progress_bar_config(disable=True)
    assert pipeline.labels == {"cats": 0, "dogs": 1}
    images = pipeline([0, 1], num_inference_steps=2, output_type="np").images
    assert images.shape == (2, 16, 16, 3)
    flat = tmp_path / "given-back.pt"
    assert run(capsys, "convert", str(tmp_path / "run"), str(flat), "--format", "facebook")[0] == 0
    state = torch.load(flat, weights_only=True)
    theirs = pipeline.transformer.state_dict()
    assert torch.equal(state["final_layer.linear.weight"], theirs["proj_out_2.weight"])
    assert state["y_embedder.embedding_table.weight"].shape == (3, 32)
