"""The family: blocks, norms, dialects and times; every combination of them works."""

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dit_studio.engine.checkpoint import ModelDescription
from dit_studio.engine.diffusion import Diffusion
from dit_studio.engine.model import DiT
from dit_studio.engine.sampling import Frame, sample
from dit_studio.errors import ShapeError
from dit_studio.model_settings import DiffusionConfig
from dit_studio.sample_request import SampleRequest
from tests.engine.test_model import TINY, randomised

BLOCKS = ("adaln-zero", "adaln", "cross-attention", "in-context")
ATTENTIONS: tuple[dict[str, Any], ...] = (
    {"attention": "full"},
    {"attention": "grouped", "num_kv_heads": 2},
    {"attention": "window", "window": 3},
)


def batch(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    x = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(seed))
    return x, torch.tensor([0, 7, 500, 999]), torch.tensor([0, 2, 4, 5])


# ------------------------------------------------------------------------------------------------- combinations


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("attention", ATTENTIONS, ids=lambda choice: choice["attention"])
def test_every_combination_runs_forward_and_backward(block: str, attention: dict[str, Any]) -> None:
    choices = itertools.product(
        ("sincos", "learned"), (False, True), (False, True), ("layer", "rms"), ("gelu", "swiglu"),
        ("facebook", "diffusers"),
    )  # fmt: skip
    for position, rope, qk_norm, norm, mlp, dialect in choices:
        model = DiT(
            **TINY, **attention, block=block, position=position, rope=rope, qk_norm=qk_norm, norm=norm, mlp=mlp,
            dialect=dialect,
        )  # fmt: skip
        output = randomised(model)(*batch())
        assert output.shape == (4, 6, 8, 8)
        output.square().mean().backward()
        for name, parameter in model.named_parameters():
            if not parameter.requires_grad:
                assert name == "pos_embed"
                assert position == "sincos"
            else:
                assert parameter.grad is not None, name
                assert parameter.grad.isfinite().all(), name


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("attention", ATTENTIONS, ids=lambda choice: choice["attention"])
def test_a_description_builds_it_and_a_half_precision_pass_is_near(block: Any, attention: dict[str, Any]) -> None:
    model = randomised(description(block=block, **attention, rope=True, qk_norm=True, norm="rms").build()).eval()
    with torch.no_grad():
        exact = model(*batch())
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rounded = model(*batch())
    torch.testing.assert_close(rounded.float(), exact, rtol=0.1, atol=0.05 * float(exact.abs().max()))


def description(**changes: Any) -> ModelDescription:
    shared: dict[str, Any] = {**TINY, "mlp_ratio": 4.0, "class_dropout_prob": 0.1, "learn_sigma": True}
    return ModelDescription(**{**shared, "diffusion": DiffusionConfig(), **changes})


# ------------------------------------------------------------------------------------------------- equalities


@pytest.mark.parametrize("block", BLOCKS)
def test_kinds_of_attention_that_see_all_are_the_same_model(block: str) -> None:
    full = randomised(DiT(**TINY, block=block, rope=True))
    for kind in ({"attention": "window", "window": 7}, {"attention": "grouped", "num_kv_heads": 4}):
        other = DiT(**TINY, block=block, rope=True, **kind)  # type: ignore[arg-type]
        other.load_state_dict(full.state_dict())
        torch.testing.assert_close(other(*batch()), full(*batch()))


def test_only_adaln_zero_is_the_identity_at_first_and_every_output_is_zero() -> None:
    for block in BLOCKS:
        model = DiT(**TINY, block=block)
        tokens, c = torch.randn(4, 16, 32), torch.randn(4, 32)
        if block == "adaln-zero":
            for layer in model.blocks:
                torch.testing.assert_close(layer(tokens, c), tokens)
        assert torch.count_nonzero(model(*batch())) == 0


@pytest.mark.parametrize("block", BLOCKS)
def test_time_and_label_count_in_every_block_kind(block: str) -> None:
    model = randomised(DiT(**TINY, block=block))
    x, t, y = batch()
    output = model(x, t, y)
    assert not torch.allclose(model(x, t + 100, y), output, atol=1e-4)
    assert not torch.allclose(model(x, t, (y + 1) % 6), output, atol=1e-4)


def test_in_context_tokens_are_seen_through_any_window() -> None:
    """With a window of 1 a patch sees itself, the time and the label, and through them, two blocks on, every patch."""
    model = randomised(DiT(**TINY, block="in-context", attention="window", window=1))
    x, t, y = batch()
    x.requires_grad_()
    model(x, t, y)[0, :, 0, 0].sum().backward()
    assert x.grad is not None
    assert torch.count_nonzero(x.grad[0, :, 6:, 6:]) > 0
    assert torch.count_nonzero(x.grad[1]) == 0


def test_gradient_checkpointing_serves_every_block_kind() -> None:
    for block in BLOCKS:
        losses = []
        for checkpointing in (False, True):
            model = randomised(DiT(**TINY, block=block, gradient_checkpointing=checkpointing)).train()
            model(*batch()).square().mean().backward()
            losses.append([parameter.grad for parameter in model.parameters() if parameter.requires_grad])
        torch.testing.assert_close(losses[0], losses[1])


def test_swiglu_has_two_thirds_of_the_width() -> None:
    layer = DiT(**{**TINY, "hidden_size": 48}, mlp="swiglu").blocks[0].mlp  # type: ignore[arg-type]
    assert layer.w12.weight.shape == (2 * 128, 48)
    x = torch.randn(2, 3, 48)
    gate, value = layer.w12(x)[..., :128], layer.w12(x)[..., 128:]
    torch.testing.assert_close(layer(x), layer.w3(gate * gate.sigmoid() * value))


def test_key_value_heads_that_do_not_fit_are_named() -> None:
    with pytest.raises(ShapeError, match="3 key/value heads do not divide 4 heads"):
        DiT(**TINY, attention="grouped", num_kv_heads=3)


@pytest.mark.parametrize("block", BLOCKS)
def test_a_model_built_without_memory_is_whole_once_its_weights_are_in(block: str) -> None:
    """Tables that are in no file are made where the model is built."""
    model = randomised(DiT(**TINY, block=block, attention="window", window=3, rope=True, dialect="diffusers"))
    with torch.device("meta"):
        other = DiT(**TINY, block=block, attention="window", window=3, rope=True, dialect="diffusers")
    other.load_state_dict(model.state_dict(), assign=True)
    torch.testing.assert_close(other(*batch()), model(*batch()))


# ------------------------------------------------------------------------------------------------- dialects


def diffusers_model(ours: DiT, *, dialect: str) -> nn.Module:
    """diffusers' own DiT with our weights, mapped by hand; for the published numbers its own are put out of force."""
    from diffusers import DiTTransformer2DModel

    theirs = DiTTransformer2DModel(
        num_attention_heads=4, attention_head_dim=8, in_channels=3, out_channels=6, num_layers=2, sample_size=8,
        patch_size=2, num_embeds_ada_norm=5,
    )  # fmt: skip
    with torch.no_grad():
        theirs.pos_embed.proj.load_state_dict(ours.x_embedder.proj.state_dict())
        theirs.proj_out_1.load_state_dict(ours.final_layer.adaLN_modulation[1].state_dict())
        theirs.proj_out_2.load_state_dict(ours.final_layer.linear.state_dict())
        for block, layer in zip(theirs.transformer_blocks, ours.blocks, strict=True):
            _copy_block(block, layer, ours)
            if dialect == "facebook":
                block.norm1.emb.time_proj.downscale_freq_shift = 0
                block.norm3.eps = 1e-6
    return theirs.eval()


def _copy_block(theirs: Any, ours: Any, model: DiT) -> None:
    embedders = theirs.norm1.emb
    embedders.class_embedder.embedding_table.load_state_dict(model.y_embedder.embedding_table.state_dict())
    embedders.timestep_embedder.linear_1.load_state_dict(model.t_embedder.mlp[0].state_dict())
    embedders.timestep_embedder.linear_2.load_state_dict(model.t_embedder.mlp[2].state_dict())
    theirs.norm1.linear.load_state_dict(ours.adaLN_modulation[1].state_dict())
    for part in ("weight", "bias"):
        rows = getattr(ours.attn.qkv, part).split(32)
        for name, values in zip(("to_q", "to_k", "to_v"), rows, strict=True):
            getattr(getattr(theirs.attn1, name), part).copy_(values)
    theirs.attn1.to_out[0].load_state_dict(ours.attn.proj.state_dict())
    theirs.ff.net[0].proj.load_state_dict(ours.mlp.fc1.state_dict())
    theirs.ff.net[2].load_state_dict(ours.mlp.fc2.state_dict())


@pytest.mark.parametrize("dialect", ["facebook", "diffusers"])
def test_a_dialect_gives_what_its_own_implementation_does(dialect: str) -> None:
    x, t, y = batch()
    outputs = {}
    for ours in ("facebook", "diffusers"):
        model = randomised(DiT(**TINY, dialect=ours)).eval()
        theirs = diffusers_model(model, dialect=dialect)
        with torch.no_grad():
            outputs[ours] = model(x, t, y)
            reference = theirs(x, timestep=t, class_labels=y).sample
    torch.testing.assert_close(outputs.pop(dialect), reference, rtol=1e-5, atol=1e-5)
    (other,) = outputs.values()
    assert (other - reference).abs().max() > 1e-4  # the difference between them is no rounding


# ------------------------------------------------------------------------------------------------- SiT's time


def test_sits_flow_is_drawn_as_sit_draws_it() -> None:
    """SiT's own steps from t = 0 (noise) to 1, its image kept in [-1, 1], beside our sampler with the same weights."""
    shared: dict[str, Any] = {"learn_sigma": False, "class_dropout_prob": 0.0}
    config = description(**shared, time="sit", diffusion=DiffusionConfig(objective="flow"))
    model = randomised(config.build()).eval()
    plain = DiT(**TINY, **shared).eval()
    plain.load_state_dict(model.state_dict())
    request = SampleRequest(sampler="flow-euler", steps=5, cfg=1.0, count=2, classes=(1, 2), seed=3)
    frames = [frame for frame in sample(model, config, request) if isinstance(frame, Frame)]
    x, y = frames[0].x_t, torch.tensor([1, 2])
    assert len(frames) == 5
    for step, frame in enumerate(frames):
        t = step / 5
        torch.testing.assert_close(frame.x_t, x, rtol=1e-4, atol=1e-5)
        with torch.no_grad():
            image = (x + (1 - t) * plain(x, torch.full((2,), t), y)).clamp(-1, 1)
        torch.testing.assert_close(frame.x_start, image, rtol=1e-4, atol=1e-5)
        x = x + (image - x) / (1 - t) / 5


def test_sits_flow_is_trained_in_its_own_time() -> None:
    """The loss is that of SiT's: at t from 0 to 1, the velocity image - noise."""
    shared: dict[str, Any] = {"class_dropout_prob": 0.0}
    model = randomised(DiT(**TINY, **shared, sit_timesteps=1000))
    plain = DiT(**TINY, **shared)
    plain.load_state_dict(model.state_dict())
    images, steps, y = batch()
    noise = torch.randn(images.shape)
    y = y % 5
    loss = Diffusion(objective="flow").losses(model, images, steps, y, noise)
    t = (1 - (steps + 1) / 1000).view(-1, 1, 1, 1)
    velocity = plain(t * images + (1 - t) * noise, t.flatten(), y)[:, :3]
    torch.testing.assert_close(loss.total, (velocity - (images - noise)).square().flatten(1).mean(1))


# ------------------------------------------------------------------------------------------------- compiling


@pytest.mark.long
@pytest.mark.filterwarnings("ignore")  # of the compiler
@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("attention", ATTENTIONS, ids=lambda choice: choice["attention"])
def test_a_compiled_model_is_the_same(block: str, attention: dict[str, Any]) -> None:
    _check_compiled(block, attention, backend="inductor")


@pytest.mark.parametrize("block", BLOCKS)
def test_a_model_is_one_graph(block: str) -> None:
    """The short form: traced and run without a compiler."""
    for attention in ATTENTIONS:
        _check_compiled(block, attention, backend="eager")


def _check_compiled(block: str, attention: dict[str, Any], *, backend: str) -> None:
    torch._dynamo.reset()
    model = randomised(DiT(**TINY, **attention, block=block, rope=True))
    compiled = torch.compile(model, backend=backend, fullgraph=True)
    torch.testing.assert_close(compiled(*batch()), model(*batch()))
