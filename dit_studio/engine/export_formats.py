"""What other programs' formats can express of a model, and what they change or lose."""

from collections.abc import Iterator
from typing import Literal

from dit_studio.engine.checkpoint import ModelDescription
from dit_studio.engine.interop_names import PIPELINE_NULL_CLASS

Format = Literal["facebook", "diffusers", "studio"]
FORMATS: tuple[Format, ...] = ("facebook", "diffusers", "studio")
_CODE = {"facebook": "the published code", "diffusers": "diffusers' DiT"}


def problems(model: ModelDescription, format_: Format) -> tuple[str, ...]:
    """Why the format cannot express the model, a sentence each; empty if it can."""
    return () if format_ == "studio" else tuple(_problems(model, format_))


def notes(model: ModelDescription, format_: Format) -> tuple[str, ...]:
    """What should be known of the model in that format, a sentence each."""
    return () if format_ == "studio" else tuple(_notes(model, format_))


def is_pipeline(model: ModelDescription) -> bool:
    """DiTPipeline can draw with it: it decodes with a VAE."""
    return model.latents is not None


def _problems(model: ModelDescription, format_: Format) -> Iterator[str]:
    code = _CODE[format_]
    if model.block != "adaln-zero":
        yield f"Its blocks are {model.block}, and {code} knows adaln-zero alone."
    if not _sees_all(model):
        yield f"Its attention is {model.attention}, and that of {code} is full."
    for name, value, plain in (
        ("2-D RoPE", model.rope, False),
        ("QK-norm", model.qk_norm, False),
        ("RMSNorm", model.norm, "layer"),
        ("SwiGLU", model.mlp, "gelu"),
    ):
        if value != plain:
            yield f"It has {name}, and {code} has not."
    if model.diffusion.objective == "flow":
        yield f"It predicts the velocity of a flow, which whoever reads the format takes for the noise of {code}."
    if format_ == "facebook" and model.diffusion.objective == "v":
        yield "It predicts v, and the published code knows the noise or the image."
    if format_ == "diffusers" and model.position == "learned":
        yield "Its position embedding is learned, and diffusers computes the sine-cosine one anew."
    if format_ == "diffusers" and model.mlp_ratio != 4:
        yield f"Its MLP is {model.mlp_ratio:g} times as wide as a token, and that of diffusers' DiT 4 times."
    if format_ == "diffusers" and model.latents is not None and model.latents.shift:
        yield f"Its latents are shifted by {model.latents.shift:g}, and DiTPipeline scales alone."


def _sees_all(model: ModelDescription) -> bool:
    """Full attention, by whatever name."""
    if model.attention == "grouped":
        return model.num_kv_heads == model.num_heads
    grid = model.input_size // model.patch_size
    return model.attention == "full" or model.window >= 2 * grid - 1


def _notes(model: ModelDescription, format_: Format) -> Iterator[str]:
    if model.dialect != format_:
        yield _other_numbers(format_)
    yield from _facebook_notes(model) if format_ == "facebook" else _diffusers_notes(model)


def _other_numbers(format_: Format) -> str:
    theirs = "127, and the second norm's eps is 1e-5" if format_ == "diffusers" else "128, and every norm's eps is 1e-6"
    return f"Outputs will differ a little: {_CODE[format_]} computes the timestep's frequencies over {theirs}."


def _facebook_notes(model: ModelDescription) -> Iterator[str]:
    diffusion = model.diffusion
    yield (
        "The file holds tensors alone: not the number of heads "
        f"({model.num_heads}), the classes' names, the noise schedule or the VAE."
    )
    if model.latents is not None:
        yield f"Its latents are of {model.latents.vae}, multiplied by {model.latents.scale:g}."
    if (diffusion.schedule, diffusion.timesteps, diffusion.beta_start, diffusion.beta_end) != (
        "linear",
        1000,
        1e-4,
        0.02,
    ):
        yield f"Its noise schedule is {diffusion.schedule} of {diffusion.timesteps:,} steps, not the published one."
    if diffusion.objective == "x0":
        yield "It predicts the image: the published code draws from it with predict_xstart=True."
    if not model.class_dropout_prob:
        yield "It has no row for “no class”: build the model with class_dropout_prob=0, and draw without guidance."
    if model.mlp_ratio != 4:
        yield f"Build the model with mlp_ratio={model.mlp_ratio:g}."
    if model.position == "learned":
        yield "Its position embedding is learned; it is kept in the file, as pos_embed."


def _diffusers_notes(model: ModelDescription) -> Iterator[str]:
    if not is_pipeline(model):
        yield (
            "DiTPipeline decodes with a VAE, and this model draws pixels: the transformer alone is written, for "
            "DiTTransformer2DModel.from_pretrained."
        )
    elif model.diffusion.objective == "epsilon" and model.learn_sigma:
        yield "DiTPipeline does not use the learned variance."
    if not is_pipeline(model):
        yield "The classes' names and the noise schedule are not in it."
    elif model.num_classes > PIPELINE_NULL_CLASS:
        yield (
            f"DiTPipeline takes class {PIPELINE_NULL_CLASS:,} for “no class”, which is one of the model's "
            f"{model.num_classes:,}: draw with guidance_scale=1."
        )
    elif model.num_classes < PIPELINE_NULL_CLASS:
        yield (
            f"The class table is filled up to {PIPELINE_NULL_CLASS:,} rows, as DiTPipeline takes row "
            f"{PIPELINE_NULL_CLASS:,} for “no class”."
        )
    if not model.class_dropout_prob:
        yield "It was trained without “no class”, whose row is that of class 0: draw with guidance_scale=1."
