"""Other programs' models where our own are used: kept warm, named, described without torch, drawn from, by jobs."""

from pathlib import Path

import msgspec
import pytest
import torch

from dit_studio.checkpoint_header import is_checkpoint, read_header
from dit_studio.engine.interop import open_model
from dit_studio.engine.sampling import Samples
from dit_studio.engine.warm_model import fingerprint, warm_model
from dit_studio.errors import CheckpointError
from dit_studio.events import Written, decode, encode
from dit_studio.jobs.launch import Launcher
from dit_studio.model_events import ExportChecked, ModelOpened
from dit_studio.sample_request import SampleRequest
from tests.engine.foreign_models import published_state, training_checkpoint, write_pipeline


def write_pixels(file: Path, seed: int = 0, **answers: str) -> Path:
    """A published file of a model that draws pixels, opened with the likely answers."""
    torch.save(published_state(seed, channels=3, out=6), file)
    list(open_model(str(file), {"objective": "epsilon", "num_heads": "2", "null_class": "yes", **answers}))
    return file


def test_a_pipeline_is_kept_warm_and_draws_images_through_its_vae(tmp_path: Path) -> None:
    write_pipeline(tmp_path / "places")
    warm = warm_model(str(tmp_path / "places"), "ema")
    assert warm.reference.name == "places"
    assert warm.reference.class_names == ("kind 0", "kind 1", "kind 2")
    assert warm_model(str(tmp_path / "places"), "ema").loaded is warm.loaded
    (samples,) = (found for found in warm.draw(SampleRequest(steps=2, cfg=4.0)) if isinstance(found, Samples))
    assert samples.images.shape == (1, 3, 16, 16)


def test_a_model_in_the_hubs_cache_is_called_as_its_repository(tmp_path: Path) -> None:
    folder = tmp_path / "models--facebook--DiT-XL-2-256" / "snapshots" / "eab87f77"
    write_pipeline(folder)
    assert warm_model(str(folder), "ema").reference.name == "DiT-XL-2-256"
    (tmp_path / "DiT-XL-2-256x256.pt").symlink_to(_flat(tmp_path / "0123abcd.pt"))
    *_, event = open_model(str(tmp_path / "DiT-XL-2-256x256.pt"), {})
    assert isinstance(event, ModelOpened)
    assert "objective" not in {question.name for question in event.questions}, "its own name tells"


def _flat(file: Path) -> Path:
    torch.save(published_state(), file)
    return file


def test_another_answer_is_another_model(tmp_path: Path) -> None:
    file = write_pixels(tmp_path / "DiT-XL-2-256x256.pt")
    first, mark = warm_model(str(file), "ema"), fingerprint(file)
    assert first.reference.name == "DiT-XL-2-256x256"
    assert (first.reference.fingerprint, first.loaded.config.num_heads) == (mark, 2)
    list(open_model(str(file), {"objective": "epsilon", "num_heads": "4", "null_class": "yes"}))
    second = warm_model(str(file), "ema")
    assert second.loaded.config.num_heads == 4
    assert second.reference.fingerprint == fingerprint(file) != mark


def test_raw_and_averaged_weights_of_one_file_are_two_models(tmp_path: Path) -> None:
    torch.save(training_checkpoint(model="DiT-S/2"), tmp_path / "0000500.pt")
    list(open_model(str(tmp_path / "0000500.pt"), {"num_heads": "2", "vae": "pixels"}))
    averaged, raw = (warm_model(str(tmp_path / "0000500.pt"), weights) for weights in ("ema", "raw"))
    assert (averaged.reference.name, raw.reference.name) == ("0000500 · step 500 · EMA", "0000500 · step 500 · raw")
    assert not torch.equal(averaged.loaded.model.x_embedder.proj.weight, raw.loaded.model.x_embedder.proj.weight)


def test_what_was_said_of_a_model_is_its_header(tmp_path: Path) -> None:
    torch.save(published_state(), tmp_path / "weights.pt")
    assert is_checkpoint(tmp_path / "weights.pt")
    with pytest.raises(CheckpointError, match="Open it on the Sample page first"):
        read_header(tmp_path / "weights.pt", "ema")
    file = write_pixels(tmp_path / "weights.pt", objective="v")
    header = read_header(file, "ema")
    assert (header.num_classes, header.diffusion.objective, header.class_dropout_prob) == (3, "v", 0.1)
    write_pipeline(tmp_path / "pipe")
    list(open_model(str(tmp_path / "pipe"), {}))
    assert read_header(tmp_path / "pipe", "ema").class_names[1] == "kind 1"


@pytest.mark.parametrize("in_process", [True, False], ids=["here", "worker"])
def test_the_jobs_say_what_they_found(tmp_path: Path, in_process: bool) -> None:
    file = tmp_path / "DiT-XL-2-256x256.pt"
    torch.save(published_state(channels=3, out=6), file)
    launcher = Launcher(in_process=in_process)
    try:
        *_, opened = launcher.call("open_model", path=str(file), answers={"num_heads": "2"}).events()
        *_, checked = launcher.call("check_export", model=str(file), weights="ema", format="diffusers").events()
        target = str(tmp_path / "a.safetensors")
        *_, written = launcher.call(
            "convert_model", model=str(file), weights="ema", path=target, format="studio"
        ).events()
        *_, failed = launcher.call("open_model", path=str(tmp_path / "none.pt"), answers={}).events()
    finally:
        launcher.close()
    assert isinstance(opened, ModelOpened)
    assert isinstance(checked, ExportChecked)
    assert isinstance(written, Written)
    assert Path(target).stat().st_size == written.size_bytes
    assert decode(encode(opened)) == opened
    assert [question.name for question in opened.questions] == ["num_heads", "null_class"]
    assert "none.pt" in msgspec.to_builtins(failed)["message"]
