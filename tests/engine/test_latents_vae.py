"""Somebody's VAE: found, described, known again, opened; and what a broken one gets."""

import json
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from dit_studio.engine.checkpoint import LatentSpace
from dit_studio.engine.latents import describe_vae
from dit_studio.engine.latents_vae import digest_of, find_vae, is_vae, load_vae, remember, vae_of
from dit_studio.errors import CheckpointError
from tests.engine.tiny_vaes import tiny_vae, write_tiny_vae

_CPU = torch.device("cpu")
_FILE = "diffusion_pytorch_model.safetensors"


def test_a_folder_says_what_it_is(tmp_path: Path) -> None:
    vae = tiny_vae(factor=8, scaling_factor=0.5, shift_factor=0.25)
    vae.save_pretrained(tmp_path / "small")

    (found,) = describe_vae(str(tmp_path / "small"))

    assert (found.factor, found.channels, found.scale, found.shift) == (8, 4, 0.5, 0.25)
    assert found.parameters == sum(parameter.numel() for parameter in vae.parameters())
    assert found.name == "small"
    assert not found.warnings
    assert found.size_bytes == (tmp_path / "small" / _FILE).stat().st_size


def test_the_network_is_what_diffusers_opens(tmp_path: Path) -> None:
    vae = tiny_vae(factor=4)
    vae.save_pretrained(tmp_path)
    images = torch.rand(2, 3, 16, 16) * 2 - 1
    before = torch.random.get_rng_state()

    loaded = load_vae(find_vae(str(tmp_path)), device=_CPU)

    torch.testing.assert_close(loaded.encode(images).latent_dist.mean, vae.encode(images).latent_dist.mean)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert not any(parameter.requires_grad for parameter in loaded.parameters())


def test_the_vae_of_a_pipeline_is_found_in_it(tmp_path: Path) -> None:
    write_tiny_vae(tmp_path / "pipeline" / "vae")

    assert find_vae(str(tmp_path / "pipeline")).folder == tmp_path / "pipeline" / "vae"
    assert is_vae(tmp_path / "pipeline")
    assert is_vae(tmp_path / "pipeline" / "vae")
    (tmp_path / "pipeline" / "transformer").mkdir()
    assert not is_vae(tmp_path / "pipeline")
    assert not is_vae(tmp_path)


def test_a_name_on_the_hub_is_looked_for_in_its_cache_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    with pytest.raises(CheckpointError, match="sd-vae-ft-ema is not on this machine") as caught:
        find_vae("stabilityai/sd-vae-ft-ema")
    assert "Model files" in caught.value.remedy
    place = tmp_path / "hub" / "models--stabilityai--sd-vae-ft-ema"
    write_tiny_vae(place / "snapshots" / "abc")
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text("abc")

    found = find_vae("stabilityai/sd-vae-ft-ema")

    assert (found.name, found.folder) == ("stabilityai/sd-vae-ft-ema", place / "snapshots" / "abc")


def test_the_digest_is_of_the_network_and_not_of_its_place_or_scale(tmp_path: Path) -> None:
    one = digest_of(find_vae(str(write_tiny_vae(tmp_path / "one"))))
    other_scale = digest_of(find_vae(str(write_tiny_vae(tmp_path / "scaled", scaling_factor=2.0))))
    other_weights = digest_of(find_vae(str(write_tiny_vae(tmp_path / "other", seed=1))))
    other_function = digest_of(find_vae(str(write_tiny_vae(tmp_path / "relu", act_fn="relu"))))

    assert one == other_scale
    assert len({one, other_weights, other_function}) == 3


def test_a_vae_that_was_moved_is_known_again_by_its_weights(tmp_path: Path) -> None:
    folder = write_tiny_vae(tmp_path / "vae")
    digest = digest_of(find_vae(str(folder)))
    space = LatentSpace(vae=str(folder), digest=digest, factor=4, channels=4)
    assert vae_of(space).folder == folder
    folder.rename(tmp_path / "moved")
    with pytest.raises(CheckpointError, match=r"turns into images.*There is no VAE") as caught:
        vae_of(space)
    assert "dit-studio inspect FOLDER" in caught.value.remedy

    list(describe_vae(str(tmp_path / "moved")))

    assert vae_of(space).folder == tmp_path / "moved"
    write_tiny_vae(folder, seed=1)  # another one where it was
    assert vae_of(space).folder == tmp_path / "moved"


def test_another_vae_in_its_place_is_refused(tmp_path: Path) -> None:
    folder = write_tiny_vae(tmp_path / "vae", seed=1)
    with pytest.raises(CheckpointError, match="is not the VAE that this model was trained with"):
        vae_of(LatentSpace(vae=str(folder), digest="0" * 32, factor=4, channels=4))
    with pytest.raises(CheckpointError, match="4 channels of latents, 4 times smaller; the model takes 16, 8 times"):
        vae_of(LatentSpace(vae=str(folder), factor=8, channels=16))
    found = find_vae(str(folder))
    remember(found, digest_of(found))
    assert vae_of(LatentSpace(vae=str(folder), factor=4, channels=4)) == found  # nothing is known of its weights


def _lacking(folder: Path) -> None:
    tensors = load_file(folder / _FILE)
    del tensors["decoder.conv_out.weight"]
    save_file(tensors, folder / _FILE, metadata={"format": "pt"})


def _with_nan(folder: Path) -> None:
    tensors = load_file(folder / _FILE)
    tensors["encoder.conv_in.weight"][0, 0, 0, 0] = torch.nan
    save_file(tensors, folder / _FILE, metadata={"format": "pt"})


def _of_another_shape(folder: Path) -> None:
    tensors = load_file(folder / _FILE)
    tensors["encoder.conv_in.weight"] = tensors["encoder.conv_in.weight"].transpose(0, 1).contiguous()
    save_file(tensors, folder / _FILE, metadata={"format": "pt"})


def _configured(folder: Path, **changes: object) -> None:
    config = json.loads((folder / "config.json").read_bytes())
    (folder / "config.json").write_text(json.dumps(config | changes))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (_lacking, r"is not whole: it lacks decoder.conv_out.weight \(1 tensors"),
        (_with_nan, "encoder.conv_in.weight holds NaN or infinity"),
        (_of_another_shape, "cannot be opened as a VAE"),
        (lambda folder: (folder / _FILE).write_bytes(b"\0" * 50), "cannot be opened as a VAE"),
        (lambda folder: (folder / _FILE).unlink(), "holds no weights"),
        (lambda folder: (folder / "config.json").unlink(), "there is no config.json"),
        (lambda folder: (folder / "config.json").write_text("{"), "cannot be read"),
        (lambda folder: (folder / "config.json").write_text("[]"), "holds no settings"),
        (lambda folder: _configured(folder, _class_name="VQModel"), "holds VQModel, and latents are those of an"),
        (lambda folder: _configured(folder, latent_channels=None), "does not describe a VAE"),
        (lambda folder: _configured(folder, scaling_factor=0), "scaling_factor is 0"),
        (lambda folder: _configured(folder, out_channels=1), "its numbers are impossible"),
    ],
)
def test_a_broken_folder_is_a_sentence(tmp_path: Path, damage, words: str) -> None:  # type: ignore[no-untyped-def]
    damage(write_tiny_vae(tmp_path / "vae"))

    with pytest.raises(CheckpointError, match=words) as caught:
        list(describe_vae(str(tmp_path / "vae")))

    assert caught.value.remedy


def test_a_pickle_with_code_in_it_runs_nothing(tmp_path: Path) -> None:
    write_tiny_vae(tmp_path / "vae")
    (tmp_path / "vae" / _FILE).unlink()

    class Evil:
        def __reduce__(self) -> tuple[object, tuple[object, ...]]:
            return Path.touch, (tmp_path / "ran",)

    torch.save({"encoder.conv_in.weight": Evil()}, tmp_path / "vae" / "diffusion_pytorch_model.bin")

    with pytest.raises(CheckpointError, match="cannot be opened as a VAE"):
        load_vae(find_vae(str(tmp_path / "vae")), device=_CPU)

    assert not (tmp_path / "ran").exists()


def test_a_vae_as_the_first_were_published_is_opened(tmp_path: Path) -> None:
    """Its attention has other names, and its configuration no scale."""
    vae = tiny_vae(factor=4)
    vae.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_bytes())
    kept = {"_class_name", "act_fn", "block_out_channels", "down_block_types", "in_channels", "latent_channels",
            "layers_per_block", "norm_num_groups", "out_channels", "sample_size", "up_block_types"}  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps({key: config[key] for key in kept}))
    names = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    tensors = {}
    for name, tensor in load_file(tmp_path / _FILE).items():
        for new, old in names.items():
            name = name.replace(f".{new}.", f".{old}.")
        tensors[name] = tensor
    save_file(tensors, tmp_path / _FILE, metadata={"format": "pt"})

    (found,) = describe_vae(str(tmp_path))
    loaded = load_vae(find_vae(str(tmp_path)), device=_CPU)

    assert (found.scale, found.shift, found.warnings) == (0.18215, 0.0, ())
    assert "encoder.mid_block.attentions.0.query.weight" in tensors
    for name, tensor in loaded.state_dict().items():
        assert torch.equal(tensor, vae.state_dict()[name]), name


def test_weights_as_a_pickle_are_read(tmp_path: Path) -> None:
    vae = tiny_vae()
    vae.save_pretrained(tmp_path, safe_serialization=False)

    loaded = load_vae(find_vae(str(tmp_path)), device=_CPU)

    for name, tensor in loaded.state_dict().items():
        assert torch.equal(tensor, vae.state_dict()[name])


@pytest.mark.parametrize("name", ["/nowhere/at/all", "./vae", "three/words/here"])
def test_a_path_that_is_not_there_is_said_to_be_none(name: str) -> None:
    with pytest.raises(CheckpointError, match="There is no VAE at"):
        find_vae(name)


def test_a_file_is_no_vae(tmp_path: Path) -> None:
    (tmp_path / "vae.safetensors").write_bytes(b"")
    with pytest.raises(CheckpointError, match="a VAE is a folder"):
        find_vae(str(tmp_path / "vae.safetensors"))


def test_without_diffusers_the_sentence_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = find_vae(str(write_tiny_vae(tmp_path)))
    monkeypatch.setitem(sys.modules, "diffusers.utils", None)
    monkeypatch.setitem(sys.modules, "diffusers", None)

    with pytest.raises(CheckpointError, match="A VAE takes diffusers") as caught:
        load_vae(found, device=_CPU)

    assert caught.value.remedy == "Run: pip install diffusers"
