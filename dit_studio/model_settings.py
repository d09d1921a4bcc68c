"""What a model is, and what it learns to predict: the two sections of a recipe that a checkpoint carries with it."""

import math
from collections.abc import Iterator
from typing import Annotated, Literal, get_args

from msgspec.structs import replace

from dit_studio.errors import Problem
from dit_studio.fields import Section, setting

# name                hidden  depth  heads     S to XL: Peebles & Xie 2023, table 1; the others suit a CPU
_SIZES = {
    "XXS":              (128,     6,     4),
    "XS":               (256,     8,     4),
    "S":                (384,    12,     6),
    "B":                (768,    12,    12),
    "L":               (1024,    24,    16),
    "XL":              (1152,    28,    16),
}  # fmt: skip
PATCH_SIZES = (2, 4, 8)
PRESETS = {f"{size}/{patch}": (*numbers, patch) for size, numbers in _SIZES.items() for patch in PATCH_SIZES}
Preset = Literal[
    "XXS/2", "XXS/4", "XXS/8", "XS/2", "XS/4", "XS/8", "S/2", "S/4", "S/8",
    "B/2", "B/4", "B/8", "L/2", "L/4", "L/8", "XL/2", "XL/4", "XL/8",
]  # fmt: skip


class ModelConfig(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    preset: Annotated[Preset, setting("Size and patch; the numbers below override it.")] = "XXS/2"
    patch_size: (
        Annotated[
            int, setting("Side of a patch; smaller is better and slower.", unit="pixels", advanced=True, ge=1, le=64)
        ]
        | None
    ) = None
    hidden_size: Annotated[int, setting("Width of a token.", title="Width", advanced=True, ge=16, le=8192)] | None = (
        None
    )
    depth: Annotated[int, setting("Number of blocks.", unit="blocks", advanced=True, ge=1, le=128)] | None = None
    num_heads: (
        Annotated[int, setting("Attention heads; they divide the width.", title="Heads", advanced=True, ge=1, le=128)]
        | None
    ) = None
    mlp_ratio: Annotated[
        float,
        setting(
            "Width of the MLP over the width of a token.", title="MLP ratio", unit="×", advanced=True, ge=0.5, le=16.0
        ),
    ] = 4.0
    block: Annotated[
        Literal["adaln-zero", "adaln", "cross-attention", "in-context"],
        setting("How a block is told the time and the class; adaln-zero is the paper's choice."),
    ] = "adaln-zero"
    attention: Annotated[
        Literal["full", "grouped", "window"],
        setting("Which patches look at which: all at all, with keys shared by heads, or at near ones."),
    ] = "full"
    num_kv_heads: (
        Annotated[
            int,
            setting(
                "Grouped attention: key and value heads; they divide the heads. Empty: a quarter of the heads.",
                title="Key/value heads", ge=1, le=128,
            ),
        ]
        | None
    ) = None  # fmt: skip
    window: Annotated[
        int,
        setting("Window attention: side of the square a patch sees; odd.", unit="patches", ge=1, le=511),
    ] = 7
    position: Annotated[
        Literal["sincos", "learned"],
        setting("Where a patch lies: fixed sines and cosines, or a learned row for each place.", advanced=True),
    ] = "sincos"
    rope: Annotated[
        bool, setting("Also turn queries and keys by their row and column (2-D RoPE).", title="RoPE", advanced=True)
    ] = False
    qk_norm: Annotated[bool, setting("Norm queries and keys: steadier in 16 bits.", title="QK-norm", advanced=True)] = (
        False
    )
    norm: Annotated[Literal["layer", "rms"], setting("LayerNorm as published, or RMSNorm.", advanced=True)] = "layer"
    mlp: Annotated[
        Literal["gelu", "swiglu"],
        setting("GELU as published, or SwiGLU with two thirds of the width.", title="MLP", advanced=True),
    ] = "gelu"
    dialect: Annotated[
        Literal["facebook", "diffusers"],
        setting("Small differences in numbers: as the published code computes, or as diffusers does.", advanced=True),
    ] = "facebook"
    time: Annotated[
        Literal["studio", "sit"],
        setting("How a flow is told the time: as here, or as SiT does, from 0 for noise to 1.", advanced=True),
    ] = "studio"
    learn_sigma: Annotated[
        bool,
        setting(
            "Also predict the variance of each step, trained by its variational bound.",
            title="Learned variance",
            advanced=True,
        ),
    ] = True
    class_dropout_prob: Annotated[
        float,
        setting(
            "Share of labels dropped while training, which classifier-free guidance needs.",
            title="Label drop-out",
            advanced=True,
            ge=0.0,
            lt=1.0,
        ),
    ] = 0.1


class DiffusionConfig(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    objective: Annotated[
        Literal["epsilon", "x0", "v", "flow"],
        setting(
            "What the model predicts: the noise as in the paper, the image, a velocity, or the velocity of a flow.",
            title="Prediction",
            advanced=True,
        ),
    ] = "epsilon"
    schedule: Annotated[
        Literal["linear", "cosine"],
        setting(
            "How noise grows with time: linear as in the paper, or the cosine of Nichol & Dhariwal.", advanced=True
        ),
    ] = "linear"
    timesteps: Annotated[int, setting("Length of the noise schedule.", unit="steps", advanced=True, ge=10, le=4000)] = (
        1000
    )
    beta_start: Annotated[
        float, setting("First β of the linear schedule.", title="β start", advanced=True, gt=0.0, lt=1.0)
    ] = 1e-4
    beta_end: Annotated[
        float, setting("Last β of the linear schedule.", title="β end", advanced=True, gt=0.0, lt=1.0)
    ] = 0.02
    timestep_sampling: Annotated[
        Literal["uniform", "logit-normal"],
        setting("Which timesteps are trained: all alike, or the middle more often (Esser et al. 2024).", advanced=True),
    ] = "uniform"
    logit_mean: Annotated[
        float, setting("Logit-normal: below 0 leans to clean images, above to noise.", advanced=True, ge=-5.0, le=5.0)
    ] = 0.0
    logit_std: Annotated[
        float,
        setting("Logit-normal: how far the timesteps spread.", title="Logit deviation", advanced=True, gt=0.0, le=5.0),
    ] = 1.0
    loss_weight: Annotated[
        Literal["none", "min-snr"],
        setting("Weigh each timestep's loss: none as published, or min-SNR (Hang et al. 2023).", advanced=True),
    ] = "none"
    min_snr_gamma: Annotated[
        float,
        setting("Min-SNR: the ratio at which the weight stops.", title="Min-SNR γ", advanced=True, gt=0.0, le=100.0),
    ] = 5.0


class LatentsConfig(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Training in the latents of a VAE; without one, in pixels."""

    vae: Annotated[
        str,
        setting(
            "A diffusers AutoencoderKL: a folder, or a name on the hub as stabilityai/sd-vae-ft-ema. Empty: pixels.",
            title="VAE",
        ),
    ] = ""
    scale: (
        Annotated[
            float, setting("Latents are multiplied by this; empty: as the VAE says.", advanced=True, gt=0.0, le=1e3)
        ]
        | None
    ) = None
    shift: (
        Annotated[
            float, setting("Taken off latents before scaling; empty: as the VAE says.", advanced=True, ge=-1e3, le=1e3)
        ]
        | None
    ) = None
    batch_size: Annotated[
        int, setting("Images encoded at once.", title="Encoding batch", unit="images", advanced=True, ge=1, le=4096)
    ] = 16


def resolve_model(model: ModelConfig) -> ModelConfig:
    """The same model with every number of its preset written out."""
    hidden, depth, heads, patch = PRESETS[model.preset]
    return replace(
        model,
        hidden_size=model.hidden_size or hidden,
        depth=model.depth or depth,
        num_heads=model.num_heads or heads,
        patch_size=model.patch_size or patch,
        num_kv_heads=_key_value_heads(model, model.num_heads or heads),
    )


def _key_value_heads(model: ModelConfig, heads: int) -> int | None:
    """Of grouped attention; None where every head has its own."""
    if model.attention != "grouped":
        return None
    return model.num_kv_heads or nearest_divisor(heads, max(1, heads // 4))


def suitable_learning_rate(width: int) -> float:
    """The paper's 1e-4 at the width of XL, and more for narrower models, as width^-1.5.

    The exponent is measured, not derived: in 2,000 steps at width 128, 2e-3 learns the classes of handwritten digits
    (98 % of the samples are what was asked for), 1e-3 does not (59 %), and 2e-4 not at all (11 %).
    """
    width_of_xl, paper = _SIZES["XL"][0], 1e-4
    return float(f"{paper * max(1.0, width_of_xl / width) ** 1.5:.2g}")


# ------------------------------------------------------------------------------------------------- checks


def model_problems(model: ModelConfig, *, grid: tuple[int, str]) -> Iterator[Problem]:
    """What in a resolved model contradicts itself. `grid`: the side of what it is given, and its unit."""
    side, unit = grid
    hidden, heads, patch = model.hidden_size or 0, model.num_heads or 1, model.patch_size or 1
    if side % patch:
        fits = ", ".join(str(number) for number in (1, *PATCH_SIZES) if side % number == 0)
        yield _impossible("patch_size", patch, f"it does not divide an image of {side} {unit}; {fits} would.")
    if hidden % heads:
        yield _impossible(
            "num_heads", heads, f"it does not divide a width of {hidden}; {nearest_divisor(hidden, heads)} would."
        )
    elif model.rope and hidden // heads % 4:
        yield _impossible(
            "rope", "true", f"a head is {hidden // heads} wide, and turning by row and column takes a multiple of 4."
        )
    if hidden % 4:
        fits = str(hidden + 4 - hidden % 4)
        yield _impossible("hidden_size", hidden, f"the position embedding needs a multiple of 4, as {fits} is.")
    shared = model.num_kv_heads
    if model.attention == "grouped" and shared is not None and heads % shared:
        yield _impossible(
            "num_kv_heads", shared, f"it does not divide {heads} heads; {nearest_divisor(heads, shared)} would."
        )
    if model.attention == "window" and model.window % 2 == 0:
        yield _impossible(
            "window", model.window, f"a patch is the middle of what it sees, so it is odd; {model.window + 1} would be."
        )


def diffusion_problems(diffusion: DiffusionConfig, *, learn_sigma: bool) -> Iterator[Problem]:
    """What in an objective and its schedule contradicts itself."""
    objective, low, high = diffusion.objective, diffusion.beta_start, diffusion.beta_end
    if low > high:
        message = f"noise grows with time, so at least beta_start = {low:g}."
        yield Problem("diffusion.beta_end", f"diffusion.beta_end = {high:g} is not possible: {message}", high)
    if (signal := _signal_left(diffusion)) < 1e-30:
        message = f"ᾱ at the end would be {signal:.0e}, and nothing of the image be left to learn from; smaller β or "
        message += "fewer timesteps."
        yield Problem("diffusion.beta_end", f"diffusion.beta_end = {high:g} is not possible: {message}", high)
    if learn_sigma and objective != "epsilon":
        message = f"the variance is learned with the noise alone, not with {objective}; set it to false."
        yield Problem("model.learn_sigma", f"model.learn_sigma = true is not possible: {message}", True)  # noqa: FBT003
    if diffusion.loss_weight == "min-snr" and objective == "flow":
        message = "min-SNR weighs the objectives with a noise schedule; take none, and logit-normal timesteps instead."
        yield Problem("diffusion.loss_weight", f"diffusion.loss_weight = min-snr is not possible: {message}", "min-snr")


def _impossible(name: str, value: float | str, why: str) -> Problem:
    text = value if isinstance(value, str) else f"{value:g}"
    return Problem(f"model.{name}", f"model.{name} = {text} is not possible: {why}", value)


def _signal_left(diffusion: DiffusionConfig) -> float:
    """ᾱ after the last step of the linear schedule."""
    if diffusion.schedule != "linear":
        return 1.0
    count, scale = diffusion.timesteps, 1000 / diffusion.timesteps
    first, last = scale * diffusion.beta_start, scale * diffusion.beta_end
    betas = (first + (last - first) * step / max(1, count - 1) for step in range(count))
    return math.prod(1 - min(beta, 0.999) for beta in betas)


def nearest_divisor(number: int, near: int) -> int:
    """The largest divisor of a number that is not above `near`."""
    return max((value for value in range(1, near + 1) if number % value == 0), default=1)


assert set(get_args(Preset)) == set(PRESETS)
