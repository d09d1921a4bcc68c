"""Everyone's checkpoints: read right, with diffusers' own model as the witness; or refused with a sentence."""

import argparse
import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from dit_studio import opened_models
from dit_studio.engine.checkpoint import LoadedModel, ModelDescription, load_model, read_description, weights_file
from dit_studio.engine.interop import open_model
from dit_studio.engine.warm_model import fingerprint
from dit_studio.errors import CheckpointError
from dit_studio.events import Progress
from dit_studio.model_events import ModelOpened
from tests.engine.foreign_models import (
    LIKELY,
    change_json,
    diffusers_transformer,
    published_state,
    training_checkpoint,
    write_pipeline,
)


def opened(path: Path, **answers: str) -> ModelOpened:
    """The last word of the job."""
    *before, last = open_model(str(path), answers)
    assert all(isinstance(event, Progress) for event in before)
    assert isinstance(last, ModelOpened)
    return last


def described(event: ModelOpened) -> ModelDescription:
    return msgspec.json.decode(event.description, type=ModelDescription)


@torch.no_grad()
def outputs(loaded: LoadedModel, theirs: Any) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(3, 4, 8, 8, generator=generator)
    t, y = torch.tensor([0, 500, 999]), torch.tensor([0, 2, 3])
    return loaded.model(x, t, y), theirs(x, timestep=t, class_labels=y).sample


def write_flat(folder: Path, name: str = "DiT-XL-2-256x256.pt", **sizes: int) -> tuple[Path, dict[str, Tensor]]:
    state = published_state(**sizes)
    torch.save(state, folder / name)
    return folder / name, state


# ------------------------------------------------------------------------------------------------- the published code


def test_a_published_file_is_read_and_computes_as_it_should(tmp_path: Path) -> None:
    """The witness is diffusers' model, of the same weights, with the published code's frequencies and norms."""
    file, state = write_flat(tmp_path)
    event = opened(file, num_heads="2", null_class="yes", vae="pixels")
    found = described(event)
    assert event.format == "published"
    assert (found.hidden_size, found.depth, found.patch_size, found.in_channels) == (32, 2, 2, 4)
    assert (found.input_size, found.num_classes, found.class_dropout_prob, found.learn_sigma) == (8, 3, 0.1, True)
    assert (found.dialect, found.position, found.diffusion.objective, found.origin) == (
        "facebook", "sincos", "epsilon", "DiT-XL-2-256x256.pt",
    )  # fmt: skip
    loaded = load_model(file)
    assert loaded.config == found
    assert all(torch.equal(tensor, state[name]) for name, tensor in loaded.model.state_dict().items())
    assert set(loaded.model.state_dict()) == set(state)
    theirs = diffusers_transformer()
    theirs.load_state_dict(_as_diffusers(state), strict=False)
    _compute_as_published(theirs)
    torch.testing.assert_close(*outputs(loaded, theirs), rtol=0, atol=1e-5)


def _as_diffusers(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Spelt out, block by block, without the mapping under test."""
    theirs = {}
    for part in ("weight", "bias"):
        theirs[f"pos_embed.proj.{part}"] = state[f"x_embedder.proj.{part}"]
        theirs[f"proj_out_1.{part}"] = state[f"final_layer.adaLN_modulation.1.{part}"]
        theirs[f"proj_out_2.{part}"] = state[f"final_layer.linear.{part}"]
        for i in range(2):
            norm = f"transformer_blocks.{i}.norm1"
            theirs[f"{norm}.emb.timestep_embedder.linear_1.{part}"] = state[f"t_embedder.mlp.0.{part}"]
            theirs[f"{norm}.emb.timestep_embedder.linear_2.{part}"] = state[f"t_embedder.mlp.2.{part}"]
            theirs[f"{norm}.emb.class_embedder.embedding_table.weight"] = state["y_embedder.embedding_table.weight"]
            theirs[f"{norm}.linear.{part}"] = state[f"blocks.{i}.adaLN_modulation.1.{part}"]
            q, k, v = state[f"blocks.{i}.attn.qkv.{part}"].split(32)
            theirs |= {
                f"transformer_blocks.{i}.attn1.to_{n}.{part}": rows for n, rows in zip("qkv", (q, k, v), strict=True)
            }
            theirs[f"transformer_blocks.{i}.attn1.to_out.0.{part}"] = state[f"blocks.{i}.attn.proj.{part}"]
            theirs[f"transformer_blocks.{i}.ff.net.0.proj.{part}"] = state[f"blocks.{i}.mlp.fc1.{part}"]
            theirs[f"transformer_blocks.{i}.ff.net.2.{part}"] = state[f"blocks.{i}.mlp.fc2.{part}"]
    return theirs


def _compute_as_published(theirs: Any) -> None:
    for block in theirs.transformer_blocks:
        block.norm1.emb.time_proj.downscale_freq_shift = 0
        block.norm3.eps = 1e-6


def test_what_is_not_known_is_asked_and_the_likely_answer_filled_in(tmp_path: Path) -> None:
    file, _ = write_flat(tmp_path, "model.pt", width=64)
    event = opened(file)
    asked = {question.name: question for question in event.questions}
    assert event.description == ""
    assert {name: question.likely for name, question in asked.items()} == {
        "objective": "epsilon", "num_heads": "1", "null_class": "yes", "vae": "stabilityai/sd-vae-ft-ema",
    }  # fmt: skip
    assert [name for name, question in asked.items() if question.is_open] == ["objective"]
    with pytest.raises(CheckpointError, match="What does the model predict") as raised:
        load_model(file)
    assert "--assume objective=epsilon" in raised.value.remedy
    assert opened_models.remembered(file) is None


def test_answers_are_remembered_for_the_file_as_it_is(tmp_path: Path) -> None:
    file, _ = write_flat(tmp_path, "model.pt")
    first = opened(file, objective="v")
    assert described(first).num_heads == 1, "the likely answer"
    assert opened_models.remembered(file) is None, "not every question was answered"
    event = opened(file, **(LIKELY | {"objective": "v"}))
    assert load_model(file).config == described(event) == read_description(file)
    assert described(event).diffusion.objective == "v"
    assert described(event).num_heads == 2
    again = opened(file)
    assert again.description == event.description, "what was answered is said again"
    assert again.questions == event.questions
    torch.save(published_state(7), file)
    with pytest.raises(CheckpointError, match="What does the model predict"):
        load_model(file)


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ({"num_heads": "5"}, "5 heads do not divide a width of 32; 4 would."),
        ({"num_heads": "0"}, "0 heads do not divide a width of 32; 1 would."),
        ({"num_heads": "many"}, "many is no number of heads: a whole number that divides the width, 32"),
        ({"objective": "noise"}, "objective = noise is not possible: it takes epsilon, x0, v, flow, sit"),
        ({"colour": "red"}, "colour is not asked of this model. It is asked"),
    ],
)
def test_answers_that_cannot_be_are_named(tmp_path: Path, answers: dict[str, str], words: str) -> None:
    file, _ = write_flat(tmp_path)
    with pytest.raises(CheckpointError) as raised:
        opened(file, **answers)
    assert words in str(raised.value)


@pytest.mark.parametrize("wrap", ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."])
def test_what_wrappers_put_before_names_is_taken_off(tmp_path: Path, wrap: str) -> None:
    state = published_state()
    torch.save({"ema": {wrap + name: tensor for name, tensor in state.items()}}, tmp_path / "DiT-XL-2-256x256.pt")
    model = load_model(tmp_path / "DiT-XL-2-256x256.pt").model.state_dict()
    assert all(torch.equal(model[name], tensor) for name, tensor in state.items())
    save_file({wrap + name: tensor for name, tensor in state.items()}, tmp_path / "b.safetensors")
    opened(tmp_path / "b.safetensors", **LIKELY)
    assert load_model(tmp_path / "b.safetensors").config.weights == "ema", "as it was asked for"


def test_of_a_training_checkpoint_the_averaged_weights_are_taken_unless_the_raw_are_asked_for(tmp_path: Path) -> None:
    checkpoint = training_checkpoint(model="DiT-S/2")
    file = tmp_path / "0050000.pt"
    torch.save(checkpoint, file)
    event = opened(file)
    assert event.format == "training checkpoint"
    assert {question.name for question in event.questions} == {"num_heads", "vae"}, "the command line tells the rest"
    for weights, key in (("ema", "ema"), ("raw", "model")):
        opened(file, num_heads="4", vae="pixels")
        loaded = load_model(file, weights=weights)
        assert (loaded.config.weights, loaded.config.step, loaded.config.num_heads) == (weights, 50_000, 4)
        assert torch.equal(loaded.model.final_layer.linear.weight, checkpoint[key]["final_layer.linear.weight"])
    del checkpoint["model"]
    torch.save(checkpoint, file)
    with pytest.raises(CheckpointError, match="holds no raw weights, only averaged ones"):
        load_model(file, weights="raw")


def test_a_file_in_the_form_before_archives_is_read(tmp_path: Path) -> None:
    state = published_state()
    torch.save(state, tmp_path / "DiT-XL-2-256x256.pt", _use_new_zipfile_serialization=False)
    model = load_model(tmp_path / "DiT-XL-2-256x256.pt").model.state_dict()
    assert all(torch.equal(model[name], tensor) for name, tensor in state.items())


def test_views_and_transposed_storages_are_read_as_they_look(tmp_path: Path) -> None:
    state = published_state()
    state["blocks.0.mlp.fc1.weight"] = state["blocks.0.mlp.fc1.weight"].t().contiguous().t()
    both = torch.randn(2, 32)
    state["blocks.0.mlp.fc2.bias"], state["blocks.1.mlp.fc2.bias"] = both
    torch.save(state, tmp_path / "DiT-XL-2-256x256.pt")
    model = load_model(tmp_path / "DiT-XL-2-256x256.pt").model.state_dict()
    assert all(torch.equal(model[name], tensor) for name, tensor in state.items())


def test_an_archive_that_somebody_compressed_is_read_as_torch_reads_it(tmp_path: Path) -> None:
    state = published_state()
    torch.save(state, tmp_path / "plain.pt")
    with (
        zipfile.ZipFile(tmp_path / "plain.pt") as plain,
        zipfile.ZipFile(tmp_path / "DiT-XL-2-256x256.pt", "w", zipfile.ZIP_DEFLATED) as small,
    ):
        for name in plain.namelist():
            small.writestr(name, plain.read(name))
    model = load_model(tmp_path / "DiT-XL-2-256x256.pt").model.state_dict()
    assert all(torch.equal(model[name], tensor) for name, tensor in state.items())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_number_formats_are_converted_and_said(tmp_path: Path, dtype: torch.dtype) -> None:
    state = {name: tensor.to(dtype) for name, tensor in published_state().items()}
    torch.save(state, tmp_path / "DiT-XL-2-256x256.pt")
    event = opened(tmp_path / "DiT-XL-2-256x256.pt")
    assert event.warnings == (f"The weights are stored as {str(dtype)[6:]}; they are converted to float32.",)
    assert described(event).position == "sincos"
    model = load_model(tmp_path / "DiT-XL-2-256x256.pt").model.state_dict()
    assert all(torch.equal(model[name], tensor.float()) for name, tensor in state.items())


def test_a_learned_position_embedding_is_told_from_the_fixed_one(tmp_path: Path) -> None:
    state = published_state()
    state["pos_embed"] = torch.randn(state["pos_embed"].shape)
    torch.save(state, tmp_path / "DiT-XL-2-256x256.pt")
    loaded = load_model(tmp_path / "DiT-XL-2-256x256.pt")
    assert loaded.config.position == "learned"
    assert torch.equal(loaded.model.pos_embed, state["pos_embed"])


def test_a_model_of_pixels_without_no_class_and_with_a_fixed_variance(tmp_path: Path) -> None:
    torch.save({"model": published_state(channels=3, out=3, rows=3), "args": argparse.Namespace(num_classes=3)},
               tmp_path / "DiT-XL-2-256x256.pt")  # fmt: skip
    event = opened(tmp_path / "DiT-XL-2-256x256.pt")
    found = described(event)
    assert {question.name for question in event.questions} == {"num_heads"}
    assert (found.num_classes, found.class_dropout_prob, found.learn_sigma, found.latents) == (3, 0.0, False, None)


# ------------------------------------------------------------------------------------------------- siblings


def test_a_sit_is_told_its_own_time_and_its_velocity_points_to_the_image(tmp_path: Path) -> None:
    checkpoint = training_checkpoint(model="SiT-S/2", path_type="Linear", prediction="velocity")
    torch.save(checkpoint, tmp_path / "0000010.pt")
    found = described(opened(tmp_path / "0000010.pt", num_heads="2", vae="pixels"))
    assert (found.diffusion.objective, found.time) == ("flow", "sit")
    sit = load_model(tmp_path / "0000010.pt").model
    torch.save(checkpoint["ema"], tmp_path / "same.pt")
    opened(tmp_path / "same.pt", **LIKELY | {"objective": "flow"})
    plain = load_model(tmp_path / "same.pt").model
    x, y = torch.randn(1, 4, 8, 8), torch.tensor([1])
    with torch.no_grad():
        torch.testing.assert_close(sit(x, torch.tensor([250.0]), y), -plain(x, torch.tensor([0.75]), y))


FLOW = {"path_type": "Linear", "prediction": "velocity", "loss_weight": None}


@pytest.mark.parametrize("args", [FLOW, {"train_eps": 0.0}, {"sample_eps": None}])
def test_the_settings_of_a_flow_do_not_prove_a_dit(tmp_path: Path, args: dict[str, Any]) -> None:
    torch.save(training_checkpoint(model="DiT-S/2", **args), tmp_path / "DiT-XL-2-256x256.pt")
    event = opened(tmp_path / "DiT-XL-2-256x256.pt")
    (asked,) = (question for question in event.questions if question.name == "objective")
    assert (asked.is_open, asked.likely, event.description) == (True, "sit", "")
    with pytest.raises(CheckpointError, match="What does the model predict"):
        load_model(tmp_path / "DiT-XL-2-256x256.pt")


@pytest.mark.parametrize(
    ("name", "likely"),
    [("DiT-my-flow.pt", "epsilon"), ("DiT-XL-2-256x256-mine.pt", "epsilon"), ("SiT-mine.pt", "sit"),
     ("DiT-XL-2-256x256.pt", ""), ("DiT-XL-2-512x512.pt", "")],
)  # fmt: skip
def test_only_a_published_name_tells_what_is_predicted(tmp_path: Path, name: str, likely: str) -> None:
    file, _ = write_flat(tmp_path, name)
    asked = {question.name: question.likely for question in opened(file).questions if question.is_open}
    assert asked == ({"objective": likely} if likely else {})


def test_a_dit_of_a_path_that_is_not_drawn_is_refused(tmp_path: Path) -> None:
    torch.save(training_checkpoint(model="DiT-S/2", path_type="VP", prediction="noise"), tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match="of path VP that predicts the noise"):
        opened(tmp_path / "a.pt")


def test_settings_that_name_another_size_are_warned_about(tmp_path: Path) -> None:
    torch.save(training_checkpoint(model="DiT-S/2"), tmp_path / "a.pt")
    (warning,) = opened(tmp_path / "a.pt").warnings
    assert "name DiT-S/2, of width 384, depth 12 and patch 2; its tensors have width 32, depth 2" in warning


def test_siblings_that_cannot_be_drawn_from_are_refused(tmp_path: Path) -> None:
    torch.save(training_checkpoint(model="SiT-S/2", path_type="GVP", prediction="velocity"), tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match="a SiT of path GVP that predicts the velocity"):
        opened(tmp_path / "a.pt")
    repa = training_checkpoint(model="SiT-S/2")
    repa["ema"]["projectors.0.0.weight"] = torch.zeros(2, 32)
    torch.save(repa | {"steps": 70}, tmp_path / "b.pt")
    with pytest.raises(CheckpointError, match="trained by REPA, by its projectors"):
        opened(tmp_path / "b.pt")
    lightning = published_state(channels=32, out=32)
    lightning["blocks.0.mlp.w12.weight"] = torch.zeros(2, 32)
    torch.save(
        {"model": lightning, "ema": lightning, "config": {"model": {"model_type": "LightningDiT-XL/1"}}},
        tmp_path / "c.pt",
    )
    with pytest.raises(CheckpointError, match="is a LightningDiT, by its settings"):
        opened(tmp_path / "c.pt")


def test_latents_of_an_unknown_vae_are_asked_about(tmp_path: Path) -> None:
    file, _ = write_flat(tmp_path, channels=16, out=16)
    event = opened(file)
    assert [question.name for question in event.questions if question.is_open] == [
        "vae",
        "latent_scale",
        "latent_factor",
    ]
    found = described(opened(file, vae="someone/vae", latent_scale="0.36", latent_factor="16"))
    assert found.latents is not None
    assert (found.latents.scale, found.latents.factor, found.latents.channels) == (0.36, 16, 16)


# ------------------------------------------------------------------------------------------------- diffusers


@pytest.mark.parametrize("kind", ["new", "old", "pickled"])
def test_a_diffusers_folder_is_read_and_computes_as_diffusers_does(tmp_path: Path, kind: str) -> None:
    pipeline = write_pipeline(tmp_path / "pipe", old=kind == "old", as_pickle=kind == "pickled")
    event = opened(tmp_path / "pipe")
    found = described(event)
    assert event.format == "diffusers"
    assert event.questions == ()
    assert (found.num_heads, found.input_size, found.num_classes, found.dialect) == (2, 8, 3, "diffusers")
    assert found.class_names == ("kind 0", "kind 1", "kind 2")
    assert found.latents is not None
    assert (found.latents.factor, found.latents.scale) == (2, 0.18215)
    assert found.latents.vae == str((tmp_path / "pipe" / "vae").absolute())
    for place in ("pipe", "pipe/transformer"):
        loaded = load_model(tmp_path / place)
        assert loaded.config == found, "remembered by the file of its weights"
        torch.testing.assert_close(*outputs(loaded, pipeline.transformer), rtol=0, atol=1e-5)
    assert load_model(weights_file(tmp_path / "pipe", "ema")).config == found


@pytest.mark.parametrize("is_safe", [True, False])
def test_a_folder_whose_weights_are_in_several_files_is_read(tmp_path: Path, *, is_safe: bool) -> None:
    theirs, folder = diffusers_transformer(), tmp_path / "transformer"
    theirs.save_pretrained(folder, max_shard_size="40KB", safe_serialization=is_safe)
    index, *_ = folder.glob("*.index.json")
    parts = sorted(folder.glob("*-of-*"))
    assert len(parts) > 2
    opened(folder, objective="epsilon", vae="pixels")
    for place in (folder, index):
        loaded = load_model(place)
        torch.testing.assert_close(*outputs(loaded, theirs), rtol=0, atol=1e-5)
    before = fingerprint(weights_file(folder, "ema"))
    diffusers_transformer(seed=1).save_pretrained(folder, max_shard_size="40KB", safe_serialization=is_safe)
    assert fingerprint(weights_file(folder, "ema")) != before
    with pytest.raises(CheckpointError, match="What does the model predict"):
        load_model(folder)
    parts[1].unlink()
    with pytest.raises(CheckpointError, match=rf"{parts[1].name} is missing"):
        opened(folder)


@pytest.mark.parametrize(
    ("weight_map", "words"),
    [
        ({"a": "../away.safetensors"}, "'../away.safetensors' is no name of a file beside it"),
        ({}, "does not tell where its tensors lie"),
        ({"a": "one.safetensors"}, r"says that a is in one\.safetensors, and it is not"),
    ],
)
def test_an_index_that_cannot_be_is_named(tmp_path: Path, weight_map: dict[str, str], words: str) -> None:
    diffusers_transformer().save_pretrained(tmp_path)
    (tmp_path / "diffusion_pytorch_model.safetensors").rename(tmp_path / "one.safetensors")
    (tmp_path / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    with pytest.raises(CheckpointError, match=words):
        opened(tmp_path)


def test_a_transformer_alone_does_not_tell_what_it_predicts(tmp_path: Path) -> None:
    theirs = diffusers_transformer()
    theirs.save_pretrained(tmp_path / "transformer")
    event = opened(tmp_path / "transformer")
    assert {question.name for question in event.questions} == {"objective", "vae"}
    assert event.description == ""
    opened(tmp_path / "transformer", objective="epsilon", vae="pixels")
    torch.testing.assert_close(*outputs(load_model(tmp_path / "transformer"), theirs), rtol=0, atol=1e-5)


def test_embedders_that_were_trained_apart_are_refused(tmp_path: Path) -> None:
    write_pipeline(tmp_path / "pipe")
    file = tmp_path / "pipe" / "transformer" / "diffusion_pytorch_model.safetensors"
    state = load_file(file)
    state["transformer_blocks.1.norm1.emb.timestep_embedder.linear_1.bias"][3] += 1
    save_file(state, file)
    with pytest.raises(CheckpointError, match=r"transformer_blocks\.1\.norm1.* were trained apart"):
        opened(tmp_path / "pipe")
    with pytest.raises(CheckpointError, match="were trained apart"):
        load_model(tmp_path / "pipe")


def test_another_transformer_of_diffusers_is_refused(tmp_path: Path) -> None:
    write_pipeline(tmp_path / "pipe")
    change_json(tmp_path / "pipe" / "transformer" / "config.json", norm_type="layer_norm")
    with pytest.raises(CheckpointError, match="norm_type is 'layer_norm', and a DiT has 'ada_norm_zero'"):
        opened(tmp_path / "pipe")


@pytest.mark.parametrize(
    ("file", "values", "words"),
    [
        ("transformer/config.json", {"sample_size": "large"}, "sample_size = 'large' is not possible"),
        ("transformer/config.json", {"sample_size": 7}, "A patch of 2 does not divide an image of 7"),
        (
            "transformer/config.json",
            {"num_attention_heads": 3},
            "says num_attention_heads × attention_head_dim = 3 × 16 = 48, and its tensors",
        ),
        ("transformer/config.json", {"num_layers": 3}, "says num_layers = 3, and its tensors have 2"),
        ("scheduler/scheduler_config.json", {"beta_schedule": "scaled_linear"}, "noise schedule scaled_linear"),
        ("scheduler/scheduler_config.json", {"rescale_betas_zero_snr": True}, "rescaled ones, is not known"),
        ("scheduler/scheduler_config.json", {"prediction_type": "score"}, "the prediction score is not known"),
        ("scheduler/scheduler_config.json", {"num_train_timesteps": None}, "has a noise schedule that cannot be"),
        ("scheduler/scheduler_config.json", {"num_train_timesteps": 2}, "has a noise schedule that cannot be"),
        ("vae/config.json", {"latent_channels": 16}, "its latents have 16 channels, the model's 4"),
    ],
)
def test_configurations_that_cannot_be_are_named(tmp_path: Path, file: str, values: dict[str, Any], words: str) -> None:
    write_pipeline(tmp_path / "pipe")
    change_json(tmp_path / "pipe" / file, **values)
    with pytest.raises(CheckpointError, match=words):
        opened(tmp_path / "pipe")


def test_diffusers_weights_without_their_config_are_refused(tmp_path: Path) -> None:
    save_file(diffusers_transformer().state_dict(), tmp_path / "weights.safetensors")
    with pytest.raises(CheckpointError, match=r"its config\.json is not beside it"):
        opened(tmp_path / "weights.safetensors")


# ------------------------------------------------------------------------------------------------- bad files


class Bomb:
    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Any, tuple[Path]]:
        return Path.touch, (self.file,)


@pytest.mark.parametrize("form", ["archive", "legacy", "pickle"])
def test_a_pickle_with_code_is_refused_and_nothing_runs(tmp_path: Path, form: str) -> None:
    exploded, file = tmp_path / "exploded", tmp_path / "DiT-XL-2-256x256.pt"
    contents = {**published_state(), "bomb": Bomb(exploded)}
    if form == "pickle":
        file.write_bytes(pickle.dumps(contents))
    else:
        torch.save(contents, file, _use_new_zipfile_serialization=form == "archive")
    with pytest.raises(CheckpointError, match="is a pickle") as raised:
        opened(file)
    assert "nothing of it was run" in raised.value.message
    with pytest.raises(CheckpointError, match="is a pickle"):
        load_model(file)
    assert not exploded.exists()
    torch.load(file, weights_only=False) if form != "pickle" else pickle.loads(file.read_bytes())
    assert exploded.exists(), "the bomb was a real one"


@pytest.mark.parametrize("name", ["DiT.pt", "DiT.safetensors"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_truncated_file_is_refused(tmp_path: Path, name: str, share: float) -> None:
    file = tmp_path / name
    torch.save(published_state(), file) if name.endswith(".pt") else save_file(published_state(), file)
    whole = file.read_bytes()
    file.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(CheckpointError, match=r"truncated|damaged|did not write"):
        load_model(file)


def change(folder: Path, **tensors: Tensor | None) -> Path:
    state: dict[str, Tensor] = published_state()
    for name, tensor in tensors.items():
        key = name.replace("__", ".")
        state.pop(key, None)
        if tensor is not None:
            state[key] = tensor
    torch.save(state, folder / "DiT-XL-2-256x256.pt")
    return folder / "DiT-XL-2-256x256.pt"


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        ({"blocks__1__mlp__fc2__bias": None}, r"lacks blocks\.1\.mlp\.fc2\.bias \(1 missing, 0 left over\)"),
        ({"extra": torch.zeros(2), "blocks__0__mlp__fc2__bias": None}, r"lacks blocks.* and has extra too many"),
        ({"extra": torch.zeros(2)}, r"has extra too many \(0 missing, 1 left over\)"),
        ({"blocks__0__mlp__fc1__weight": torch.zeros(32, 128)}, r"is \(32, 128\)"),
        ({"blocks__1__mlp__fc2__weight": torch.zeros(128, 32)}, r"transposed: the model takes \(32, 128\)"),
        ({"blocks__1__attn__qkv__bias": torch.full((96,), float("nan"))}, "96 of the 96 numbers of blocks"),
        ({"final_layer__linear__bias": torch.tensor([1.0] * 31 + [float("inf")])}, "1 of the 32 numbers of final"),
        ({"final_layer__linear__bias": torch.zeros(32, dtype=torch.int32)}, "final_layer.linear.bias as torch.int32"),
        ({"x_embedder__proj__weight": torch.zeros(32, 16)}, r"is \(32, 16\), not \(width, channels, patch, patch\)"),
        ({"final_layer__linear__weight": torch.zeros(48, 32)}, "gives 12 channels for 4"),
        ({"pos_embed": torch.zeros(1, 15, 32)}, "15 patches, which make no square image"),
        ({"pos_embed": None}, "lacks pos_embed, which tells the image size"),
        ({"pos_embed": torch.zeros(())}, r"pos_embed is \(\), not \(1, patches, width\)"),
        ({"pos_embed": torch.zeros(16)}, r"pos_embed is \(16,\), not \(1, patches, width\)"),
        ({"y_embedder__embedding_table__weight": torch.zeros(())}, r"is \(\), not \(rows, width\)"),
        ({"y_embedder__embedding_table__weight": torch.zeros(0, 32)}, r"is \(0, 32\), not \(rows, width\), each 1"),
        ({"blocks__999999999__attn__qkv__weight": torch.zeros(1)}, "lacks blocks.2 and has blocks.999999999, of 3"),
        ({f"blocks__{i}__a": torch.zeros(1) for i in range(2, 129)}, "has 129 blocks; 128 are the most"),
        ({"blocks__1__mlp__fc1__bias": torch.ones(128).to_sparse()}, "fc1.bias as sparse_coo; weights are dense"),
        ({"y_embedder__embedding_table__weight": None}, "is no DiT: it lacks y_embedder.embedding_table.weight"),
    ],
)  # fmt: skip
def test_tensors_that_do_not_fit_are_named(tmp_path: Path, tensors: dict[str, Tensor | None], words: str) -> None:
    file = change(tmp_path, **tensors)
    with pytest.raises(CheckpointError, match=words):
        opened(file)
    with pytest.raises(CheckpointError, match=words):
        load_model(file)


def test_a_tensor_without_a_name_is_refused(tmp_path: Path) -> None:
    torch.save(published_state() | {7: torch.zeros(1)}, tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match="holds a tensor under 7, a int: weights have names"):
        opened(tmp_path / "a.pt")


def test_what_no_answer_mends_is_refused_before_a_question_is_asked(tmp_path: Path) -> None:
    state = published_state()
    state["blocks.1.attn.qkv.bias"][3] = float("nan")
    torch.save(state, tmp_path / "asked.pt")
    with pytest.raises(CheckpointError, match="1 of the 96 numbers"):
        opened(tmp_path / "asked.pt")
    del state["blocks.1.attn.qkv.bias"]
    torch.save(state, tmp_path / "asked.pt")
    for answers in ({}, {"num_heads": "2"}):
        with pytest.raises(CheckpointError, match=r"lacks blocks\.1\.attn\.qkv\.bias"):
            opened(tmp_path / "asked.pt", **answers)
    with pytest.raises(CheckpointError, match="lacks blocks"):
        load_model(tmp_path / "asked.pt")


def test_a_class_table_of_one_row_has_no_room_for_no_class(tmp_path: Path) -> None:
    file, _ = write_flat(tmp_path, rows=1)
    assert described(opened(file)).num_classes == 1
    with pytest.raises(CheckpointError, match=r"null_class = yes is not possible: the class table .* has 1 row"):
        opened(file, null_class="yes")


@pytest.mark.parametrize("contents", [torch.zeros(3), [1, 2], {"a": 1}, {}, {"a": torch.zeros(1)}])
def test_what_is_no_dit_is_refused(tmp_path: Path, contents: Any) -> None:
    torch.save(contents, tmp_path / "DiT.pt")
    with pytest.raises(CheckpointError, match=r"holds a (Tensor|list)|holds no weights: there is|is no DiT: it lacks"):
        load_model(tmp_path / "DiT.pt")


# ------------------------------------------------------------------------------------------------- our own


def test_our_own_files_are_opened_without_a_question(tmp_path: Path) -> None:
    from tests.engine.tiny_runs import write_tiny_run

    run = write_tiny_run(tmp_path)
    event = opened(run)
    assert (event.format, event.questions) == ("studio", ())
    assert described(event).step == 20
    assert dict(event.facts)["Depth"] == "1 block"
