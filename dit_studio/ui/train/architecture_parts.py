"""What a Diffusion Transformer is made of, as the parts of a drawing; which of them the paper's own does not have."""

from dataclasses import dataclass

from dit_studio.model_settings import DiffusionConfig, ModelConfig, resolve_model


@dataclass(frozen=True, kw_only=True)
class Part:
    """A box of the drawing. `is_other`: the published DiT has it otherwise."""

    title: str
    detail: str = ""
    is_other: bool = False
    is_joined: bool = False  # what comes in is added to what it gives


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """The whole from top to bottom, one of its blocks, and what tells it the time and the class."""

    before: tuple[Part, ...]
    block: tuple[Part, ...]
    block_title: str
    after: tuple[Part, ...]
    conditioning: tuple[Part, ...]
    reaches: tuple[int, ...]  # the parts of the block that the conditioning goes into


@dataclass(frozen=True, kw_only=True)
class Input:
    """What the model sees: the side and the channels of an image, or of its latents."""

    size: int
    channels: int
    is_latent: bool = False
    classes: int = 0


def architecture_of(settings: ModelConfig, diffusion: DiffusionConfig, seen: Input) -> Architecture:
    """The drawing of a model."""
    model = resolve_model(settings)
    patch, depth = model.patch_size or 1, model.depth or 1
    grid = seen.size // patch
    block, reaches = _block(model)
    return Architecture(
        before=_before(model, seen, patch, grid),
        block=block,
        block_title=f"Block, {depth} times",
        after=_after(model, diffusion, seen, patch),
        conditioning=_conditioning(model, seen),
        reaches=reaches,
    )


def _before(model: ModelConfig, seen: Input, patch: int, grid: int) -> tuple[Part, ...]:
    what = "Noisy latents" if seen.is_latent else "Noisy image"
    parts = [
        Part(title=what, detail=f"{seen.size} × {seen.size} × {seen.channels}"),
        Part(title="Patches", detail=f"{patch} × {patch}, {grid * grid:,} tokens of {model.hidden_size:,}"),
    ]
    if model.position == "learned":
        parts.append(Part(title="+ position", detail="a learned row for each place", is_other=True))
    else:
        parts.append(Part(title="+ position", detail="sines and cosines of row and column"))
    if model.block == "in-context":
        parts.append(Part(title="+ 2 tokens", detail="the time and the class", is_other=True))
    return tuple(parts)


def _block(model: ModelConfig) -> tuple[tuple[Part, ...], tuple[int, ...]]:
    is_modulated, is_gated = model.block in ("adaln-zero", "adaln"), model.block == "adaln-zero"
    norm = Part(title="RMSNorm" if model.norm == "rms" else "LayerNorm", is_other=model.norm == "rms")
    modulate = Part(title="Scale and shift", detail="by time and class")
    gate = Part(title="Gate", detail="by time and class, 0 at first", is_joined=True)
    parts: list[Part] = []
    reaches: list[int] = []

    def add(*more: Part) -> None:
        for part in more:
            if part is modulate or part is gate or part.title == "Cross-attention":
                reaches.append(len(parts))
            parts.append(part)

    add(norm, *([modulate] if is_modulated else []), _attention(model, is_joined=not is_gated))
    add(*([gate] if is_gated else []))
    if model.block == "cross-attention":
        add(norm, Part(title="Cross-attention", detail="to time and class", is_other=True, is_joined=True))
    add(norm, *([modulate] if is_modulated else []), _mlp(model, is_joined=not is_gated))
    add(*([gate] if is_gated else []))
    return tuple(parts), tuple(reaches)


def _attention(model: ModelConfig, *, is_joined: bool) -> Part:
    heads = model.num_heads or 1
    details = {
        "full": f"{heads} heads, all patches",
        "grouped": f"{heads} heads, {model.num_kv_heads} key/value",
        "window": f"{heads} heads, {model.window} × {model.window} patches",
    }
    extras = [name for name, is_on in (("RoPE", model.rope), ("QK-norm", model.qk_norm)) if is_on]
    return Part(
        title="Self-attention",
        detail=", ".join([details[model.attention], *extras]),
        is_other=model.attention != "full" or bool(extras),
        is_joined=is_joined,
    )


def _mlp(model: ModelConfig, *, is_joined: bool) -> Part:
    kind, width = ("SwiGLU", model.mlp_ratio * 2 / 3) if model.mlp == "swiglu" else ("GELU", model.mlp_ratio)
    return Part(
        title="MLP",
        detail=f"{kind}, {width:.3g} times as wide",
        is_other=model.mlp != "gelu" or model.mlp_ratio != 4,
        is_joined=is_joined,
    )


def _after(model: ModelConfig, diffusion: DiffusionConfig, seen: Input, patch: int) -> tuple[Part, ...]:
    predicted = {"epsilon": "the noise", "x0": "the image", "v": "a velocity", "flow": "the velocity of a flow"}
    variance = " and the variance" if model.learn_sigma else ""
    channels = seen.channels * (2 if model.learn_sigma else 1)
    norm = "RMSNorm" if model.norm == "rms" else "LayerNorm"
    return (
        Part(title=norm, detail="scaled and shifted" if model.block in ("adaln-zero", "adaln") else "",
             is_other=model.norm == "rms"),
        Part(title="Linear", detail=f"{patch} × {patch} × {channels} a patch"),
        Part(
            title="Prediction",
            detail=predicted[diffusion.objective] + variance,
            is_other=diffusion.objective != "epsilon" or not model.learn_sigma,
        ),
    )  # fmt: skip


def _conditioning(model: ModelConfig, seen: Input) -> tuple[Part, ...]:
    parts = [Part(title="Time", detail="256 sines and cosines, an MLP")]
    if seen.classes:
        dropped = f", dropped in {model.class_dropout_prob:.0%}" if model.class_dropout_prob else ""
        parts.append(Part(title="Class", detail=f"a row for each of {seen.classes:,}{dropped}"))
    if model.block in ("adaln-zero", "adaln"):
        count = 6 if model.block == "adaln-zero" else 4
        parts.append(Part(title="Sum, SiLU, Linear", detail=f"{count} vectors a block", is_other=count == 4))
    else:
        parts.append(Part(title="A sequence of 2", detail="time and class side by side", is_other=True))
    return tuple(parts)
