"""Giving models back: bit for bit both ways, loaded by diffusers itself; what cannot be expressed is said before."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from dit_studio.engine.checkpoint import LatentSpace, ModelDescription, load_model, write_weights
from dit_studio.engine.export_diffusers import transformer_shapes
from dit_studio.engine.export_model import check_export, convert_model
from dit_studio.engine.interop import open_model
from dit_studio.engine.tensor_writer import size_bytes
from dit_studio.errors import CheckpointError, DiskFullError, RunError
from dit_studio.events import Progress, Written
from dit_studio.model_events import ExportChecked
from dit_studio.model_settings import DiffusionConfig
from tests.engine.foreign_models import LIKELY, published_shapes, published_state, small_vae, write_pipeline


def converted(model: Path, target: Path, format_: str, weights: str = "ema") -> Written:
    *before, last = convert_model(str(model), weights, str(target), format_)
    assert before
    assert all(isinstance(event, Progress) for event in before)
    assert isinstance(last, Written)
    return last


def checked(model: Path, format_: str) -> ExportChecked:
    (event,) = check_export(str(model), "ema", format_)
    return event


def published_file(folder: Path, state: dict[str, Tensor] | None = None, **answers: str) -> Path:
    torch.save(state or published_state(), folder / "DiT-XL-2-256x256.pt")
    list(open_model(str(folder / "DiT-XL-2-256x256.pt"), LIKELY | answers))
    return folder / "DiT-XL-2-256x256.pt"


def write_vae(folder: Path) -> str:
    small_vae().save_pretrained(folder / "own-vae")
    return str(folder / "own-vae")


def write_model(folder: Path, **changes: Any) -> Path:
    """A file of our own, of random numbers."""
    plain = ModelDescription(
        input_size=8, patch_size=2, in_channels=4, hidden_size=32, depth=2, num_heads=2, mlp_ratio=4.0,
        class_dropout_prob=0.1, num_classes=3, learn_sigma=True, diffusion=DiffusionConfig(),
        latents=LatentSpace(vae="someone/vae", factor=2), class_names=("a", "b", "ü"),
    )  # fmt: skip
    description = msgspec.structs.replace(plain, **changes)
    torch.manual_seed(0)
    model = description.build()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn(parameter.shape) * 0.1)
    write_weights(folder / "own.safetensors", model, description)
    return folder / "own.safetensors"


# ------------------------------------------------------------------------------------------------- both ways


def test_published_to_diffusers_and_back_is_the_same_bit_for_bit(tmp_path: Path) -> None:
    state = published_state()
    file = published_file(tmp_path, state)
    written = converted(file, tmp_path / "pipe", "diffusers")
    assert written.size_bytes > size_bytes(published_shapes())
    list(open_model(str(tmp_path / "pipe"), {"vae": "stabilityai/sd-vae-ft-ema"}))
    for name in ("back.pt", "back.safetensors"):
        converted(tmp_path / "pipe", tmp_path / name, "facebook")
        back = torch.load(tmp_path / name, weights_only=True) if name.endswith("pt") else load_file(tmp_path / name)
        assert back.keys() == state.keys()
        assert all(torch.equal(back[key], tensor) for key, tensor in state.items())


def test_diffusers_to_published_and_back_is_the_same_bit_for_bit(tmp_path: Path) -> None:
    theirs = write_pipeline(tmp_path / "pipe").transformer.state_dict()
    converted(tmp_path / "pipe", tmp_path / "DiT-XL-2-256x256.pt", "facebook")
    state = torch.load(tmp_path / "DiT-XL-2-256x256.pt", weights_only=True)
    assert {name: tuple(tensor.shape) for name, tensor in state.items()} == published_shapes()
    list(open_model(str(tmp_path / "DiT-XL-2-256x256.pt"), LIKELY))
    converted(tmp_path / "DiT-XL-2-256x256.pt", tmp_path / "again", "diffusers")
    again = load_file(tmp_path / "again" / "transformer" / "diffusion_pytorch_model.safetensors")
    assert again.keys() == theirs.keys()
    for name, tensor in theirs.items():
        if "class_embedder" in name:  # filled up, so that row 1,000 is "no class"
            assert torch.equal(again[name][:3], tensor[:3])
            assert torch.equal(again[name][3:], tensor[3:].expand(998, -1))
        else:
            assert torch.equal(again[name], tensor), name


def test_a_studio_file_keeps_everything(tmp_path: Path) -> None:
    file = published_file(tmp_path)
    converted(file, tmp_path / "sub" / "kept.safetensors", "studio")
    kept, before = load_model(tmp_path / "sub" / "kept.safetensors"), load_model(file)
    assert kept.config == before.config
    state = before.model.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in kept.model.state_dict().items())


def test_raw_weights_are_written_where_they_are_asked_for(tmp_path: Path) -> None:
    raw, averaged = published_state(1), published_state(2)
    torch.save({"model": raw, "ema": averaged}, tmp_path / "DiT-XL-2-256x256.pt")
    for weights, state in (("raw", raw), ("ema", averaged)):
        converted(tmp_path / "DiT-XL-2-256x256.pt", tmp_path / f"{weights}.safetensors", "facebook", weights)
        found = load_file(tmp_path / f"{weights}.safetensors")
        assert torch.equal(found["final_layer.linear.weight"], state["final_layer.linear.weight"])


# ------------------------------------------------------------------------------------------------- diffusers reads it


@torch.no_grad()
def test_a_folder_of_ours_is_loaded_and_sampled_by_diffusers(tmp_path: Path) -> None:
    from diffusers import DiTPipeline

    file = write_model(tmp_path, latents=LatentSpace(vae=write_vae(tmp_path), factor=2, scale=0.5), dialect="diffusers")
    written = converted(file, tmp_path / "pipe", "diffusers")
    assert "Outputs will differ" not in written.note
    pipeline = DiTPipeline.from_pretrained(tmp_path / "pipe")
    pipeline.set_progress_bar_config(disable=True)
    assert pipeline.vae.config.scaling_factor == 0.5
    assert pipeline.get_label_ids(["ü"]) == [2]
    generator = torch.Generator().manual_seed(1)
    images = pipeline([0, 2], guidance_scale=4.0, num_inference_steps=3, generator=generator, output_type="pt").images
    assert images.shape == (2, 3, 16, 16)
    assert images.isfinite().all()
    ours = load_model(file).model
    x, t = torch.randn(2, 4, 8, 8), torch.tensor([3, 700])
    theirs = pipeline.transformer(x, timestep=t, class_labels=torch.tensor([1, 1000])).sample
    torch.testing.assert_close(ours(x, t, torch.tensor([1, 3])), theirs, rtol=0, atol=1e-5)
    again = load_model(tmp_path / "pipe")
    assert (again.config.num_classes, again.config.class_names) == (3, ("a", "b", "ü"))
    state = ours.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in again.model.state_dict().items())


@torch.no_grad()
@pytest.mark.parametrize(
    ("diffusion", "learned"),
    [
        (DiffusionConfig(), True),
        (DiffusionConfig(timesteps=400, beta_start=2e-4), True),
        (DiffusionConfig(schedule="cosine"), False),
        (DiffusionConfig(objective="v"), False),
        (DiffusionConfig(objective="x0"), False),
    ],
    ids=str,
)
def test_the_scheduler_goes_as_our_ddim_does(tmp_path: Path, diffusion: DiffusionConfig, learned: bool) -> None:
    """DiTPipeline draws from the same noise the latents that our own sampling draws."""
    from diffusers import DiTPipeline

    from dit_studio.engine.sampling import Frame, sample
    from dit_studio.sample_request import SampleRequest

    latents = LatentSpace(vae=write_vae(tmp_path), factor=2)
    file = write_model(tmp_path, latents=latents, dialect="diffusers", diffusion=diffusion, learn_sigma=learned)
    converted(file, tmp_path / "pipe", "diffusers")
    pipeline = DiTPipeline.from_pretrained(tmp_path / "pipe")
    pipeline.set_progress_bar_config(disable=True)
    decoded: list[Tensor] = []
    decode = pipeline.vae.decode
    pipeline.vae.decode = lambda latent: decoded.append(latent) or decode(latent)
    pipeline([1], guidance_scale=3.0, num_inference_steps=5, generator=torch.Generator().manual_seed(7))
    loaded = load_model(file)
    request = SampleRequest(count=1, classes=(1,), seed=7, sampler="ddim", steps=5, cfg=3.0, cfg_channels="all")
    last = [frame for frame in sample(loaded.model, loaded.config, request) if isinstance(frame, Frame)][-1]
    torch.testing.assert_close(last.x_start, decoded[0] * 0.18215, rtol=1e-3, atol=1e-3)


@torch.no_grad()
def test_a_model_of_pixels_is_written_as_the_transformer_alone(tmp_path: Path) -> None:
    from diffusers import DiTTransformer2DModel

    file = write_model(tmp_path, latents=None, in_channels=3, learn_sigma=False, dialect="diffusers")
    written = converted(file, tmp_path / "alone", "diffusers")
    assert "the transformer alone is written" in written.note
    theirs = DiTTransformer2DModel.from_pretrained(tmp_path / "alone")
    x, t, y = torch.randn(2, 3, 8, 8), torch.tensor([3, 700]), torch.tensor([1, 3])
    ours = load_model(file).model(x, t, y)
    torch.testing.assert_close(ours, theirs(x, timestep=t, class_labels=y).sample, rtol=0, atol=1e-5)


@torch.no_grad()
def test_a_model_without_no_class_is_drawn_without_guidance(tmp_path: Path) -> None:
    from diffusers import DiTPipeline

    vae = LatentSpace(vae=write_vae(tmp_path), factor=2)
    file = write_model(tmp_path, latents=vae, class_dropout_prob=0.0, num_classes=1, class_names=())
    written = converted(file, tmp_path / "pipe", "diffusers")
    assert "draw with guidance_scale=1" in written.note
    assert "Outputs will differ a little" in written.note
    pipeline = DiTPipeline.from_pretrained(tmp_path / "pipe")
    pipeline.set_progress_bar_config(disable=True)
    images = [
        pipeline(
            [0],
            guidance_scale=scale,
            num_inference_steps=2,
            generator=torch.Generator().manual_seed(1),
            output_type="pt",
        )
        for scale in (1.0, 4.0)
    ]
    torch.testing.assert_close(images[0].images, images[1].images)


@pytest.mark.parametrize("has_vae", [True, False])
def test_the_size_that_is_said_before_counts_the_vae(tmp_path: Path, has_vae: bool) -> None:
    vae = write_vae(tmp_path)
    file = write_model(tmp_path, latents=LatentSpace(vae=vae if has_vae else "someone/vae", factor=2, scale=0.5))
    said = checked(file, "diffusers").size_bytes
    written = converted(file, tmp_path / "pipe", "diffusers").size_bytes
    assert (tmp_path / "pipe" / "vae").exists() == has_vae
    assert 0 <= written - said < 20_000, "all but the small files"


def test_a_vae_that_is_not_here_is_named(tmp_path: Path) -> None:
    from diffusers import DiTPipeline

    written = converted(write_model(tmp_path), tmp_path / "pipe", "diffusers")
    assert "The VAE is not written. " in written.note
    assert "someone/vae" in written.note
    pipeline = DiTPipeline.from_pretrained(tmp_path / "pipe", vae=small_vae())
    assert pipeline.transformer.config.num_embeds_ada_norm == 1000


# ------------------------------------------------------------------------------------------------- what cannot be


@pytest.mark.parametrize(
    ("changes", "facebook", "diffusers"),
    [
        ({}, "", ""),
        ({"block": "in-context"}, "Its blocks are in-context", "Its blocks are in-context"),
        ({"attention": "window", "window": 3}, "Its attention is window", "Its attention is window"),
        ({"attention": "window", "window": 7}, "", ""),
        ({"attention": "grouped", "num_kv_heads": 1}, "Its attention is grouped", "Its attention is grouped"),
        ({"attention": "grouped", "num_kv_heads": 2}, "", ""),
        ({"rope": True}, "It has 2-D RoPE", "It has 2-D RoPE"),
        ({"qk_norm": True}, "It has QK-norm", "It has QK-norm"),
        ({"norm": "rms"}, "It has RMSNorm", "It has RMSNorm"),
        ({"mlp": "swiglu"}, "It has SwiGLU", "It has SwiGLU"),
        ({"diffusion": DiffusionConfig(objective="flow"), "learn_sigma": False}, "It predicts the", "It predicts the"),
        ({"diffusion": DiffusionConfig(objective="v"), "learn_sigma": False}, "It predicts v", ""),
        ({"position": "learned"}, "", "Its position embedding is learned"),
        ({"mlp_ratio": 2.0}, "", "Its MLP is 2 times as wide"),
        ({"latents": LatentSpace(vae="v", shift=0.1)}, "", "Its latents are shifted by 0.1"),
    ],
)  # fmt: skip
def test_what_a_format_cannot_express_is_said_before_anything_is_written(
    tmp_path: Path, changes: dict[str, Any], facebook: str, diffusers: str
) -> None:
    file = write_model(tmp_path, **changes)
    for format_, target, words in (("facebook", "a.pt", facebook), ("diffusers", "folder", diffusers)):
        problems = checked(file, format_).problems
        assert bool(problems) == bool(words)
        if words:
            assert words in problems[0]
            with pytest.raises(CheckpointError, match=f"cannot be written as {format_}. {words}"):
                converted(file, tmp_path / target, format_)
        else:
            converted(file, tmp_path / target, format_)
        assert (tmp_path / target).exists() == (not words)
    assert checked(file, "studio") == ExportChecked(format="studio", size_bytes=checked(file, "studio").size_bytes)


def test_what_changes_is_noted(tmp_path: Path) -> None:
    notes = checked(
        write_model(tmp_path, dialect="diffusers", diffusion=DiffusionConfig(timesteps=500)), "facebook"
    ).notes
    said = " ".join(notes)
    assert "over 128" in said
    assert "number of heads (2)" in said
    assert "linear of 500 steps" in said
    assert "over 127" in " ".join(checked(write_model(tmp_path), "diffusers").notes)


@pytest.mark.parametrize(
    ("name", "format_", "words"),
    [
        ("a.bin", "facebook", r"ends in \.bin. Choose a name that ends in \.pt or \.safetensors"),
        ("a.pt", "studio", r"ends in \.pt. Choose a name that ends in \.safetensors"),
        ("full", "diffusers", "is there already"),
        ("own.safetensors", "studio", "is the model itself"),
        ("a.pt", "onnx", "There is no format onnx. Choose one of facebook, diffusers, studio"),
    ],
)
def test_targets_that_do_not_suit_are_named(tmp_path: Path, name: str, format_: str, words: str) -> None:
    file = write_model(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "diary.txt").write_text("mine")
    before = file.read_bytes()
    with pytest.raises(CheckpointError, match=words):
        converted(file, tmp_path / name, format_)
    assert file.read_bytes() == before
    assert (tmp_path / "full" / "diary.txt").read_text() == "mine"


@pytest.mark.parametrize("format_", ["studio", "diffusers"])
def test_a_name_that_no_disk_takes_is_said(tmp_path: Path, format_: str) -> None:
    with pytest.raises(RunError, match="cannot be written: File name too long"):
        converted(write_model(tmp_path), tmp_path / ("x" * 300 + ".safetensors"), format_)


def test_what_does_not_fit_on_the_disk_is_not_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write_model(tmp_path)
    monkeypatch.setattr("dit_studio.engine.export_model.free_bytes", lambda _: 1000)
    with pytest.raises(DiskFullError, match=r"a\.pt takes 0 MB, and 0 MB are free"):
        converted(file, tmp_path / "a.pt", "facebook")


@pytest.mark.parametrize(
    ("name", "format_"), [("a.pt", "facebook"), ("a.safetensors", "studio"), ("pipe", "diffusers")]
)
def test_a_conversion_that_is_stopped_leaves_nothing(tmp_path: Path, name: str, format_: str) -> None:
    file = write_model(tmp_path)
    (tmp_path / "out").mkdir()
    job = convert_model(str(file), "ema", str(tmp_path / "out" / name), format_)
    for _ in range(8):
        next(job)
    job.close()
    assert list((tmp_path / "out").iterdir()) == []


def test_numbers_that_are_none_stop_it_and_leave_nothing(tmp_path: Path) -> None:
    file = write_model(tmp_path)
    loaded = load_model(file)
    with torch.no_grad():
        loaded.model.final_layer.linear.bias[3] = float("nan")  # type: ignore[operator,index,union-attr]
    write_weights(file, loaded.model, loaded.config)
    with pytest.raises(CheckpointError, match=r"1 of the 32 numbers of final_layer\.linear\.bias are NaN"):
        converted(file, tmp_path / "pipe", "diffusers")
    assert not (tmp_path / "pipe").exists()


# ------------------------------------------------------------------------------------------------- the published size


def test_xl_2_has_the_published_names_and_numbers() -> None:
    """292 names and 675,129,632 numbers; of diffusers 538 and 749,826,464. On the meta device, without a number."""
    shapes = published_shapes(width=1152, depth=28, grid=16, rows=1001)
    assert len(shapes) == 292
    assert size_bytes(shapes) == 4 * 675_129_632
    description = ModelDescription(
        input_size=32, patch_size=2, in_channels=4, hidden_size=1152, depth=28, num_heads=16, mlp_ratio=4.0,
        class_dropout_prob=0.1, num_classes=1000, learn_sigma=True, diffusion=DiffusionConfig(),
        latents=LatentSpace(vae="someone/vae"),
    )  # fmt: skip
    with torch.device("meta"):
        model = description.build()
    assert {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()} == shapes
    theirs = transformer_shapes(description)
    assert len(theirs) == 538
    assert size_bytes(theirs) == 4 * 749_826_464
