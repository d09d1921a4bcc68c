"""Where heads look: the weights against a softmax by hand, diffusers, and what the model itself makes of them."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL
from diffusers.models.attention_processor import Attention
from PIL import Image
from torch import Tensor

from dit_studio.engine import sample_job
from dit_studio.engine.attention import SelfAttention
from dit_studio.engine.attention_maps import HeadMaps, Moment, attention_from, head_maps, see_attention
from dit_studio.engine.attention_picture import encode_maps, export_attention
from dit_studio.engine.checkpoint import LatentSpace, ModelDescription, load_model, write_weights
from dit_studio.engine.device import Precision
from dit_studio.engine.model import DiT
from dit_studio.engine.sampling import Frame, sample
from dit_studio.events import (
    Event,
    Progress,
    SettingsRefused,
    Written,
)
from dit_studio.model_events import AttentionSeen
from dit_studio.model_settings import DiffusionConfig
from dit_studio.sample_request import BranchPoint, SampleRequest
from tests.engine.tiny_runs import write_tiny_run
from tests.engine.tiny_vaes import write_tiny_vae

GRID, HEADS, WIDTH = 6, 4, 32
KINDS: dict[str, dict[str, Any]] = {
    "full": {},
    "grouped": {"attention": "grouped", "num_kv_heads": 2},
    "one key head": {"attention": "grouped", "num_kv_heads": 1},
    "window": {"attention": "window", "window": 3},
    "wide window": {"attention": "window", "window": 11},
    "modern": {"rope": True, "qk_norm": True, "norm": "rms", "mlp": "swiglu"},
    "adaln": {"block": "adaln"},
    "cross-attention": {"block": "cross-attention"},
    "in-context": {"block": "in-context"},
    "in-context, window and rope": {"block": "in-context", "attention": "window", "window": 5, "rope": True},
    "diffusers": {"dialect": "diffusers"},
}


def description(**changes: Any) -> ModelDescription:
    numbers: dict[str, Any] = {
        "input_size": 2 * GRID, "patch_size": 2, "in_channels": 3, "hidden_size": WIDTH, "depth": 2,
        "num_heads": HEADS, "mlp_ratio": 2.0, "class_dropout_prob": 0.1, "num_classes": 3, "learn_sigma": False,
        "diffusion": DiffusionConfig(),
    }  # fmt: skip
    return ModelDescription(**numbers | changes)


def random_model(**changes: Any) -> DiT:
    torch.manual_seed(0)
    model = description(**changes).build()
    for parameter in model.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=0.3)
    return model.eval()


def moment(label: int = 1) -> Moment:
    x_t = torch.randn(3, 2 * GRID, 2 * GRID, generator=torch.Generator().manual_seed(1))
    return Moment(x_t=x_t, t=431.0, label=label, shown=np.full((12, 12, 3), 128, np.uint8))


def given_and_made(model: DiT, block: int, at: Moment) -> tuple[Tensor, Tensor]:
    """What the attention of a block is given in a forward pass, and what it makes of it. Shapes: each (N, D)."""
    seen: list[Tensor] = []
    attn = model.get_submodule(f"blocks.{block}.attn")
    hook = attn.register_forward_hook(lambda _, inputs, output: seen.extend((inputs[0][0], output[0])))
    with torch.no_grad():
        model(at.x_t[None], torch.tensor([at.t]), torch.tensor([at.label]))
    hook.remove()
    return seen[0], seen[1]


@pytest.mark.parametrize("kind", KINDS)
def test_the_weights_are_those_with_which_the_model_mixes_values(kind: str) -> None:
    model, at = random_model(**KINDS[kind]), moment()
    tokens, made = given_and_made(model, 1, at)
    attn = model.get_submodule("blocks.1.attn")
    assert isinstance(attn, SelfAttention)
    with torch.no_grad():
        _, _, v = attn.heads(tokens[None])
        v = v[0].repeat_interleave(HEADS // v.shape[1], dim=0)  # (heads, N, d)
        for token in (0, 8, 35, len(tokens) - 1):
            weights = attention_from(attn, tokens, token=token)
            torch.testing.assert_close(weights.sum(dim=1), torch.ones(HEADS))
            mixed = (weights[:, None] @ v).flatten()  # of all heads, one after another
            torch.testing.assert_close(attn.proj(mixed), made[token], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("patch", [0, 14, 35])
def test_maps_sum_to_one_and_say_what_they_leave_out(kind: str, patch: int) -> None:
    model, at = random_model(**KINDS[kind]), moment()
    maps = head_maps(model, at, block=1, patch=patch)
    assert maps.weights.shape == (HEADS, GRID, GRID)
    assert maps.weights.dtype == np.float32
    np.testing.assert_allclose(maps.weights.sum(axis=(1, 2)), 1, rtol=1e-5)
    tokens, _ = given_and_made(model, 1, at)
    attn = model.get_submodule("blocks.1.attn")
    with torch.no_grad():
        whole = attention_from(attn, tokens, token=patch).numpy()  # type: ignore[arg-type]
    if "in-context" not in kind:
        assert maps.elsewhere == (0.0,) * HEADS
    else:
        np.testing.assert_allclose(maps.elsewhere, whole[:, GRID**2 :].sum(axis=1), rtol=1e-4, atol=1e-6)
        assert min(maps.elsewhere) > 0
    kept = maps.weights.reshape(HEADS, -1) * (1 - np.array(maps.elsewhere, np.float32))[:, None]
    np.testing.assert_allclose(kept, whole[:, : GRID**2], rtol=1e-3, atol=1e-6)


def test_a_softmax_by_hand_gives_the_same_weights() -> None:
    model, at, patch = random_model(), moment(), 20
    maps = head_maps(model, at, block=0, patch=patch)
    tokens, _ = given_and_made(model, 0, at)
    attn = model.get_submodule("blocks.0.attn")
    weight, bias = (each.detach().double().numpy() for each in (attn.qkv.weight, attn.qkv.bias))  # type: ignore[union-attr, operator]
    q, k, _ = np.split(tokens.double().numpy() @ weight.T + bias, 3, axis=1)
    size = WIDTH // HEADS
    for head in range(HEADS):
        part = slice(head * size, (head + 1) * size)
        scores = np.array([q[patch, part] @ k[other, part] for other in range(GRID**2)]) / np.sqrt(size)
        expected = np.exp(scores) / np.exp(scores).sum()
        np.testing.assert_allclose(maps.weights[head].reshape(-1), expected, rtol=1e-4, atol=1e-6)


def test_diffusers_gives_the_same_weights() -> None:
    model, at = random_model(), moment()
    tokens, _ = given_and_made(model, 1, at)
    attn = model.get_submodule("blocks.1.attn")
    theirs = Attention(WIDTH, heads=HEADS, dim_head=WIDTH // HEADS, bias=True)
    parts = zip((theirs.to_q, theirs.to_k), attn.qkv.weight.chunk(3), attn.qkv.bias.chunk(3), strict=False)  # type: ignore[union-attr, operator]
    with torch.no_grad():
        for linear, weight, bias in parts:
            linear.weight.copy_(weight)
            linear.bias.copy_(bias)
        q, k = (theirs.head_to_batch_dim(linear(tokens[None])) for linear in (theirs.to_q, theirs.to_k))
        expected = theirs.get_attention_scores(q, k)  # (heads, N, N)
    for patch in range(GRID**2):
        found = head_maps(model, at, block=1, patch=patch).weights.reshape(HEADS, -1)
        np.testing.assert_allclose(found, expected[:, patch].numpy(), rtol=1e-4, atol=1e-6)


def test_maps_in_16_bits_are_near_those_in_32() -> None:
    model, at = random_model(), moment()
    exact, near = (head_maps(model, at, block=1, patch=9, precision=Precision(name)) for name in ("fp32", "bf16"))
    np.testing.assert_allclose(near.weights, exact.weights, atol=0.05)
    np.testing.assert_allclose(near.weights.sum(axis=(1, 2)), 1, rtol=1e-5)
    assert not np.array_equal(near.weights, exact.weights)


def test_outside_a_window_nothing_is_seen() -> None:
    maps = head_maps(random_model(attention="window", window=3), moment(), block=1, patch=GRID + 4).weights
    seen = np.zeros((GRID, GRID), bool)
    seen[0:3, 3:6] = True
    assert (maps[:, seen] > 0).all()
    assert (maps[:, ~seen] == 0).all()


# ------------------------------------------------------------------------------------------------- jobs


REQUEST = {"classes": [3, 5], "count": 4, "steps": 4, "seed": 9, "cfg": 3.0, "sampler": "ddpm"}


@pytest.fixture(scope="module")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_run(tmp_path_factory.mktemp("attention"))


@pytest.fixture
def forwards(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The batch size of every forward pass."""
    sizes, forward = [], DiT.forward

    def counted(self: DiT, x: Tensor, t: Tensor, y: Tensor) -> Tensor:
        sizes.append(len(x))
        return forward(self, x, t, y)

    monkeypatch.setattr(DiT, "forward", counted)
    return sizes


def seen(run: Path, **changes: Any) -> tuple[AttentionSeen, np.ndarray[Any, Any]]:
    event = events(run, **changes)[-1]
    assert isinstance(event, AttentionSeen)
    return event, np.frombuffer(event.data, np.float32).reshape(event.heads, event.grid, event.grid)


def events(run: Path, **changes: Any) -> list[Event]:
    params: dict[str, Any] = {"request": REQUEST, "image": 1, "step": 3, "block": 0, "patch": 2}
    return list(see_attention(str(run), "ema", **params | changes))


def draw_into(folder: Path, run: Path, **options: Any) -> None:
    assert list(sample_job.draw(str(run), "ema", REQUEST, str(folder), budget_bytes=10**8, **options))


def test_another_click_on_the_same_image_costs_one_forward_pass(tiny_run: Path, forwards: list[int]) -> None:
    told = [event for event in events(tiny_run) if isinstance(event, Progress) and event.stage == "Drawing the image"]
    assert [(event.done, event.total) for event in told] == [(1, 3), (2, 3), (3, 3)]
    del forwards[:]
    for change in ({"patch": 0}, {"step": 1}, {"patch": 3, "step": 2}):
        event, maps = seen(tiny_run, **change)
        np.testing.assert_allclose(maps.sum(axis=(1, 2)), 1, rtol=1e-5)
        assert (event.heads, event.grid, event.image, event.block) == (2, 2, 1, 0)
    assert forwards == [1, 1, 1]
    seen(tiny_run, step=4)
    assert len(forwards) == 3 + 4 + 1


def test_the_step_is_that_of_the_kept_trajectory_or_is_drawn_alike(
    tiny_run: Path, tmp_path: Path, forwards: list[int]
) -> None:
    draw_into(tmp_path / "entry", tiny_run)
    for image, step in ((0, 1), (3, 2), (2, 4)):
        del forwards[:]
        kept, maps = seen(tiny_run, image=image, step=step, folder=str(tmp_path / "entry"))
        assert forwards == [1]
        drawn, again = seen(tiny_run, image=image, step=step)
        assert kept.t == drawn.t
        np.testing.assert_allclose(maps, again, rtol=1e-3, atol=1e-5)


def test_a_branch_is_seen_where_it_went_and_refused_where_that_is_forgotten(tiny_run: Path, tmp_path: Path) -> None:
    draw_into(tmp_path / "first", tiny_run)
    point = BranchPoint(entry="first", image=0, step=3)
    draw_into(tmp_path / "branch", tiny_run, branch=msgspec.to_builtins(point))
    event, _ = seen(tiny_run, image=0, step=1, folder=str(tmp_path / "branch"))
    parent, _ = seen(tiny_run, image=0, step=3, folder=str(tmp_path / "first"))
    assert event.t == parent.t
    (tmp_path / "branch" / "trajectory.json").unlink()
    (refused,) = [
        event
        for event in events(tiny_run, image=0, step=1, folder=str(tmp_path / "branch"))
        if isinstance(event, SettingsRefused)
    ]
    assert "branch is a branch, and its trajectory is not kept" in refused.problems[0][1]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"image": 4}, ("image", "image = 4 is not possible: it goes from 0 to 3.")),
        ({"step": 0}, ("step", "step = 0 is not possible: it goes from 1 to 4.")),
        ({"step": 5}, ("step", "step = 5 is not possible: it goes from 1 to 4.")),
        ({"block": 1}, ("block", "block = 1 is not possible: it goes from 0 to 0.")),
        ({"patch": 4}, ("patch", "patch = 4 is not possible: it goes from 0 to 3.")),
    ],
)
def test_what_lies_outside_is_refused_with_its_limit(
    tiny_run: Path, changes: dict[str, int], problem: tuple[str, str]
) -> None:
    last = events(tiny_run, **changes)[-1]
    assert isinstance(last, SettingsRefused)
    assert last.problems == (problem,)


def test_maps_are_written_as_a_picture_of_all_heads(tiny_run: Path, tmp_path: Path) -> None:
    file = tmp_path / "new" / "maps.png"
    place: dict[str, Any] = {"request": REQUEST, "image": 1, "step": 3, "block": 0, "patch": 2}
    written = list(export_attention(str(tiny_run), "ema", **place, path=str(file)))[-1]
    assert isinstance(written, Written)
    assert (written.file, written.images, written.size_bytes) == (str(file), 2, file.stat().st_size)
    with Image.open(file) as picture:
        assert picture.size == (8 + 2 * 200, 16 + 2 * 22 + 2 * (192 + 22))
    refused = list(export_attention(str(tiny_run), "ema", **place, path=str(tmp_path / "maps.jpg")))[-1]
    assert isinstance(refused, SettingsRefused)


def test_a_model_in_latents_is_seen_through_its_latents(tmp_path: Path) -> None:
    vae = write_tiny_vae(tmp_path / "vae", factor=2)
    latents = LatentSpace(vae=str(vae), factor=2, channels=4)
    config = description(in_channels=4, latents=latents)
    write_weights(tmp_path / "model.safetensors", random_model(in_channels=4, latents=latents), config)
    file, request = tmp_path / "maps.png", REQUEST | {"classes": [2], "steps": 2}
    event, maps = seen(tmp_path / "model.safetensors", request=request, step=2, block=1, patch=35)
    assert maps.shape == (HEADS, GRID, GRID)
    place: dict[str, Any] = {"image": event.image, "step": 2, "block": 1, "patch": 35}
    model = str(tmp_path / "model.safetensors")
    for step in (1, 2):
        place["step"] = step
        done = list(export_attention(model, "ema", request, **place, path=str(file), precision="fp32"))[-1]
        assert isinstance(done, Written)
        with Image.open(file) as picture:
            assert picture.size == (8 + 3 * 200, 16 + 2 * 22 + 2 * (192 + 22))
            shown = np.asarray(picture.convert("RGB"))[8 + 2 * 22 :, 8:][:192, :192]
        expected = decoded_by_diffusers(vae, latents_at(model, request, image=event.image, step=step))
        enlarged = expected.resize((192, 192), Image.Resampling.NEAREST)
        apart = np.abs(shown.astype(int) - np.asarray(enlarged)).max(axis=-1)
        assert (apart > 1).mean() < 0.01, "but for the mark of the patch"


def latents_at(model: str, request: dict[str, Any], *, image: int, step: int) -> Tensor:
    """x̂₀ of an image at a step of its own way from noise. Shape: (1, C, h, w)."""
    loaded = load_model(model)
    alone = SampleRequest(**request | {"seed": request.get("seed", 0) + image, "count": 1, "batch_size": 1})
    frames = [done for done in sample(loaded.model, loaded.config, alone) if isinstance(done, Frame)]
    return frames[step - 1].x_start


def decoded_by_diffusers(folder: Path, latents: Tensor) -> Image.Image:
    with torch.no_grad():
        image = AutoencoderKL.from_pretrained(folder).decode(latents / 0.18215).sample[0]
    return Image.fromarray((127.5 * image + 128).clamp(0, 255).to(torch.uint8).permute(1, 2, 0).numpy())


def test_patches_that_are_looked_at_are_bright_and_the_others_are_dim(tmp_path: Path) -> None:
    weights = np.zeros((2, GRID, GRID), np.float32)
    weights[0, 4, 2] = weights[1, 1, 5] = 1
    data = encode_maps(moment(), HeadMaps(weights=weights, elsewhere=(0.25, 0.0)), patch=7, heads=["one line"])
    (tmp_path / "maps.png").write_bytes(data)
    with Image.open(tmp_path / "maps.png") as picture:
        pixels = np.asarray(picture.convert("RGB"))
    assert (pixels[8 + 22 + 192 : 8 + 22 + 192 + 44, 200:208] == 255).all(), "what is said of a cell stays below it"
    one, other = 4 * GRID + 2, GRID + 5
    for (line, column), bright in {(0, 1): [one, other], (1, 0): [one], (1, 1): [other]}.items():  # the mean is first
        top, left = 8 + 22 + line * (192 + 2 * 22), 8 + column * 200
        cell = pixels[top : top + 192, left : left + 192].reshape(GRID, 32, GRID, 32, 3)
        patches = cell[:, 8:24, :, 8:24].mean(axis=(1, 3, 4)).reshape(-1)
        assert (patches[bright] > 100).all()
        assert (np.delete(patches, bright) < 60).all()
