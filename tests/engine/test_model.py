"""The model: published names, shapes, counts and numbers."""

import math

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from dit_studio.engine import device
from dit_studio.engine.attention import attend
from dit_studio.engine.diffusers_reference import as_diffusers_model
from dit_studio.engine.model import DiT, modulate, patchify, sincos_position_embedding, unpatchify
from dit_studio.errors import ShapeError
from dit_studio.model_settings import PRESETS

TINY = {
    "input_size": 8,
    "patch_size": 2,
    "in_channels": 3,
    "hidden_size": 32,
    "depth": 2,
    "num_heads": 4,
    "num_classes": 5,
}


def randomised(model: DiT, *, seed: int = 0) -> DiT:
    """Weights that are nowhere zero, so that every path counts."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name != "pos_embed":
                parameter.copy_(0.1 * torch.randn(parameter.shape, generator=generator))
    return model


def test_xl2_has_exactly_the_published_state() -> None:
    with torch.device("meta"):
        state = DiT().state_dict()
    assert len(state) == 292
    assert sum(tensor.numel() for tensor in state.values()) == 675_129_632
    assert state["y_embedder.embedding_table.weight"].shape == (1001, 1152)
    assert state["x_embedder.proj.weight"].shape == (1152, 4, 2, 2)
    assert state["blocks.27.adaLN_modulation.1.weight"].shape == (6 * 1152, 1152)
    assert state["final_layer.linear.weight"].shape == (32, 1152)
    assert state["pos_embed"].shape == (1, 256, 1152)


@pytest.mark.parametrize(
    ("preset", "gflops", "parameters"),
    [("S/2", 6.06, 33), ("S/4", 1.41, 33), ("S/8", 0.36, 33), ("B/2", 23.01, 130), ("B/4", 5.56, 130),
     ("B/8", 1.42, 131),
     ("L/2", 80.71, 458), ("L/4", 19.70, 458), ("L/8", 5.01, 459), ("XL/2", 118.64, 675), ("XL/4", 29.05, 675),
     ("XL/8", 7.39, 676)],
)  # fmt: skip
def test_sizes_cost_what_the_paper_says(preset: str, gflops: float, parameters: int) -> None:
    hidden, depth, heads, patch = PRESETS[preset]
    with torch.device("meta"):
        model = DiT(hidden_size=hidden, depth=depth, num_heads=heads, patch_size=patch).to("meta")
        x, t, y = torch.empty(1, 4, 32, 32), torch.zeros(1), torch.zeros(1, dtype=torch.long)
    with FlopCounterMode(display=False) as flops, torch.no_grad():
        model(x, t, y)
    assert flops.get_total_flops() / 2e9 == pytest.approx(gflops, rel=0.004, abs=0.006)
    assert sum(parameter.numel() for parameter in model.parameters()) / 1e6 == pytest.approx(parameters, abs=0.6)


def test_output_agrees_with_diffusers() -> None:
    ours = randomised(DiT(**TINY, dialect="diffusers")).eval()
    theirs = as_diffusers_model(ours)
    x, t, y = torch.randn(4, 3, 8, 8), torch.tensor([0, 7, 500, 999]), torch.tensor([0, 2, 4, 5])
    with torch.no_grad():
        torch.testing.assert_close(ours(x, t, y), theirs(x, timestep=t, class_labels=y).sample, rtol=1e-5, atol=1e-5)


def test_every_block_is_the_identity_and_the_output_zero_at_first() -> None:
    model = DiT(**TINY)
    tokens, c = torch.randn(2, 16, 32), torch.randn(2, 32)
    for block in model.blocks:
        torch.testing.assert_close(block(tokens, c), tokens)
    output = model(torch.randn(2, 3, 8, 8), torch.tensor([1, 2]), torch.tensor([0, 1]))
    assert output.shape == (2, 6, 8, 8)
    assert torch.count_nonzero(output) == 0


def test_initialisation_is_as_published() -> None:
    torch.manual_seed(0)
    model = DiT(hidden_size=256, depth=1, num_heads=4)
    qkv = model.blocks[0].attn.qkv.weight
    assert qkv.abs().max() <= math.sqrt(6 / (256 + 768))
    assert qkv.std().item() == pytest.approx(math.sqrt(2 / (256 + 768)), rel=0.02)
    patch = model.x_embedder.proj.weight
    assert patch.std().item() == pytest.approx(math.sqrt(2 / (256 + 16)), rel=0.03)
    assert model.y_embedder.embedding_table.weight.std().item() == pytest.approx(0.02, rel=0.02)
    assert model.t_embedder.mlp[0].weight.std().item() == pytest.approx(0.02, rel=0.02)
    assert not model.pos_embed.requires_grad


def test_position_embedding_follows_the_published_order() -> None:
    """An independent, literal reading: columns first, each half sines then cosines."""
    embedding = sincos_position_embedding(16, grid_size=3)[0]
    assert embedding.shape == (9, 16)
    for row in range(3):
        for column in range(3):
            expected = [
                function(position * 10_000 ** (-k / 4))
                for position in (column, row) for function in (math.sin, math.cos) for k in range(4)
            ]  # fmt: skip
            torch.testing.assert_close(embedding[3 * row + column], torch.tensor(expected))


def test_patchify_and_unpatchify() -> None:
    images = torch.arange(2 * 3 * 4 * 4.0).reshape(2, 3, 4, 4)
    patches = patchify(images, patch_size=2)
    assert patches.shape == (2, 4, 12)
    torch.testing.assert_close(patches[1, 2].reshape(3, 2, 2), images[1, :, 2:4, 0:2])
    tokens = patches.reshape(2, 4, 3, 2, 2).permute(0, 1, 3, 4, 2).flatten(2)  # channels last, as the model ends
    torch.testing.assert_close(unpatchify(tokens, patch_size=2, channels=3), images)
    with pytest.raises(ShapeError, match="5 tokens"):
        unpatchify(torch.zeros(1, 5, 12), patch_size=2, channels=3)


def test_modulate_shape_and_value() -> None:
    x, shift, scale = torch.randn(2, 5, 8), torch.randn(2, 1, 8), torch.randn(2, 1, 8)
    torch.testing.assert_close(modulate(x, shift, scale), x * (1 + scale) + shift)


def test_plain_attention_equals_the_fused_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    q, k, v = torch.randn(3, 2, 4, 16, 8)
    fused = attend(q, k, v)
    monkeypatch.setattr(device, "prefers_plain_attention", lambda _, **__: True)
    torch.testing.assert_close(attend(q, k, v), fused)
    assert fused.shape == (2, 4, 16, 8)


def test_labels_are_dropped_at_the_given_rate_and_only_with_a_null_class() -> None:
    model = DiT(**TINY, class_dropout_prob=0.25)
    assert model.null_class == 5
    y = torch.zeros(20_000, dtype=torch.long)
    dropped = model.drop_labels(y, generator=torch.Generator().manual_seed(0))
    assert set(dropped.tolist()) == {0, 5}
    assert (dropped == 5).float().mean() == pytest.approx(0.25, abs=0.01)
    without = DiT(**TINY, class_dropout_prob=0.0)
    assert without.null_class is None
    assert without.y_embedder.embedding_table.weight.shape == (5, 32)
    assert without.drop_labels(y) is y


def test_gradient_checkpointing_changes_nothing_but_memory() -> None:
    gradients = []
    for checkpointing in (False, True):
        model = randomised(DiT(**TINY, gradient_checkpointing=checkpointing)).train()
        x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))
        model(x, torch.tensor([3, 900]), torch.tensor([0, 1])).square().mean().backward()
        gradients.append([parameter.grad for parameter in model.parameters() if parameter.requires_grad])
    torch.testing.assert_close(gradients[0], gradients[1])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [({"patch_size": 3}, "patch of 3 does not divide"), ({"num_heads": 5}, "5 heads do not divide"),
     ({"hidden_size": 30, "num_heads": 3}, "not a multiple of 4")],
)  # fmt: skip
def test_sizes_that_do_not_fit_are_named(change: dict[str, int], sentence: str) -> None:
    with pytest.raises(ShapeError, match=sentence):
        DiT(**{**TINY, **change})


def test_an_image_of_another_shape_is_named() -> None:
    with pytest.raises(ShapeError, match=r"\(3, 8, 8\), not \(3, 10, 8\)"):
        DiT(**TINY)(torch.zeros(1, 3, 10, 8), torch.zeros(1), torch.zeros(1, dtype=torch.long))
