"""How large a model is, and which family it is of, as its tensors and the settings beside them tell."""

import math
from dataclasses import dataclass
from typing import Literal

import torch

from dit_studio.engine.interop_source import Source, depth_of
from dit_studio.engine.model import sincos_position_embedding
from dit_studio.errors import CheckpointError
from dit_studio.model_settings import PRESETS
from dit_studio.opened_models import name_of

Family = Literal["", "DiT", "SiT", "REPA", "LightningDiT"]
_NEEDED = {
    "x_embedder.proj.weight": "(width, channels, patch, patch)",
    "t_embedder.mlp.0.weight": "(width, frequencies)",
    "y_embedder.embedding_table.weight": "(rows, width)",
    "blocks.0.attn.qkv.weight": "(3 × width, width)",
    "final_layer.linear.weight": "(patch² × channels, width)",
}
_FORMS = _NEEDED | {"blocks.0.mlp.fc1.bias": "(inner width)", "pos_embed": "(1, patches, width)"}
_PUBLISHED: dict[str, Family] = {
    "DiT-XL-2-256x256.pt": "DiT", "DiT-XL-2-512x512.pt": "DiT", "SiT-XL-2-256x256.pt": "SiT",
}  # fmt: skip
_OF_FLOWS = ("path_type", "prediction", "sample_eps", "train_eps", "proj_coeff")  # settings that DiT's code has not
_NO_DIT = "Choose the weights of a DiT, as the published code or diffusers writes them."


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """What the tensors tell."""

    width: int
    depth: int
    patch_size: int
    in_channels: int
    input_size: int
    rows: int  # of the class table
    mlp_ratio: float
    learn_sigma: bool
    position: Literal["sincos", "learned"]

    @property
    def preset(self) -> str:
        """ "XL/2" where it is one of the paper's; else empty."""
        for name, (width, depth, _, patch) in PRESETS.items():
            if (width, depth, patch) == (self.width, self.depth, self.patch_size):
                return name
        return ""

    @property
    def likely_heads(self) -> int:
        """The paper's for this width, else heads of 64 numbers."""
        paper = {width: heads for width, _, heads, _ in PRESETS.values()}
        return paper.get(self.width) or max(1, self.width // 64)


def read_sizes(source: Source) -> Sizes:
    """Raises: CheckpointError if the tensors are no DiT's, or contradict each other."""
    missing = [name for name in _NEEDED if name not in source.pieces]
    if missing:
        there = ", ".join(list(source.file.places)[:3]) or "nothing"
        raise CheckpointError(
            f"{source.file.path} is no DiT: it lacks {missing[0]} ({len(missing)} of the {len(_NEEDED)} that every DiT "
            f"has); it holds {there}, …",
            remedy=_NO_DIT,
        )
    _check_forms(source)
    width, channels, patch = _patch_embedding(source)
    out_channels = _out_channels(source, patch)
    if out_channels not in (channels, 2 * channels):
        raise CheckpointError(
            f"{source.file.path}: final_layer.linear.weight gives {out_channels:g} channels for {channels}; a DiT "
            "gives as many, or twice as many with a learned variance."
        )
    sizes = Sizes(
        width=width,
        depth=depth_of(source.pieces, "blocks", source.file.path),
        patch_size=patch,
        in_channels=channels,
        input_size=_input_size(source, patch),
        rows=source.shape("y_embedder.embedding_table.weight")[0],
        mlp_ratio=_mlp_ratio(source, width),
        learn_sigma=out_channels == 2 * channels,
        position=_position(source, width),
    )
    _check_config(source, sizes)
    return sizes


def family_of(source: Source) -> tuple[Family, str]:
    """Which family of models the file is of, and what told; ("", "") if nothing did."""
    names, name = source.file.places, name_of(source.path)
    told = str(source.file.settings.get("model", source.file.settings.get("model_type", "")))
    if source.dropped or "proj_coeff" in source.file.settings:
        return "REPA", "its projectors" if source.dropped else "its settings"
    if told.startswith("DiT-") and is_told_a_flow(source):
        return "", ""
    if told.startswith("LightningDiT") or any(".mlp.w12." in key or "feat_rope" in key for key in names):
        return "LightningDiT", "its tensors" if not told else f"its settings: {told}"
    for family in ("DiT", "SiT"):
        if told.startswith(f"{family}-"):
            return family, f"its settings: {told}"
    if name.lower().startswith("lightningdit-"):
        return "LightningDiT", f"its name: {name}"
    if name in _PUBLISHED and not is_told_a_flow(source):
        return _PUBLISHED[name], f"its name: {name}"
    return "", ""


def is_told_a_flow(source: Source) -> bool:
    """Whether the settings are those of a script that trains flows, whatever it calls the model."""
    return any(name in source.file.settings for name in _OF_FLOWS)


def told_preset(source: Source) -> str:
    """ "XL/2" where the settings name a model of the paper's; else empty."""
    name = str(source.file.settings.get("model", "")).partition("-")[2]  # "DiT-XL/2"
    return name if name in PRESETS else ""


def told_heads(source: Source, width: int) -> int | None:
    """The number of heads, where something beside the tensors tells it."""
    if source.config:
        return _told(source, "num_attention_heads", 16)
    told = PRESETS.get(told_preset(source))
    return told[2] if told and told[0] == width else None


def _told(source: Source, key: str, default: int) -> int:
    """A number of diffusers' config.json. Raises: CheckpointError."""
    value = source.config.get(key, default)
    if not isinstance(value, int) or value < 1:
        raise CheckpointError(f"{source.path}: {key} = {value!r} is not possible: it takes a whole number from 1.")
    return value


def _check_forms(source: Source) -> None:
    """Raises: CheckpointError that names a tensor with too few or too many dimensions, or with none of something."""
    for name, form in _FORMS.items():
        shape = source.shape(name) if name in source.pieces else None
        if shape is not None and (len(shape) != form.count(",") + 1 or 0 in shape):
            raise CheckpointError(f"{source.file.path}: {name} is {shape}, not {form}, each 1 or more.", remedy=_NO_DIT)


def _check_config(source: Source, sizes: Sizes) -> None:
    """Raises: CheckpointError if diffusers' config.json says something else than the tensors."""
    config = source.config
    found = {"num_layers": sizes.depth, "patch_size": sizes.patch_size, "in_channels": sizes.in_channels}
    said = {name: config[name] for name in found if config.get(name) is not None}
    if {"num_attention_heads", "attention_head_dim"} <= config.keys():
        heads, size = (_told(source, name, 1) for name in ("num_attention_heads", "attention_head_dim"))
        name = f"num_attention_heads × attention_head_dim = {heads} × {size}"
        said[name], found[name] = heads * size, sizes.width
    for name, value in said.items():
        if value != found[name]:
            raise CheckpointError(
                f"{source.path}: its config.json says {name} = {value}, and its tensors have {found[name]}.",
                remedy="Take the config.json that belongs to the weights.",
            )


def _patch_embedding(source: Source) -> tuple[int, int, int]:
    """Width, channels and patch."""
    shape = source.shape("x_embedder.proj.weight")
    if len(shape) != 4 or shape[2] != shape[3]:
        raise CheckpointError(
            f"{source.file.path}: x_embedder.proj.weight is {shape}, not (width, channels, patch, patch).",
            remedy=_NO_DIT,
        )
    return shape[0], shape[1], shape[2]


def _out_channels(source: Source, patch: int) -> float:
    return source.shape("final_layer.linear.weight")[0] / patch**2


def _mlp_ratio(source: Source, width: int) -> float:
    name = "blocks.0.mlp.fc1.bias"  # which cannot be transposed
    return source.shape(name)[0] / width if name in source.pieces else 4.0


def _input_size(source: Source, patch: int) -> int:
    """Of what the model is given: pixels or latents on a side."""
    if source.config:
        return _told(source, "sample_size", 32)
    if "pos_embed" not in source.pieces:
        raise CheckpointError(
            f"{source.file.path} lacks pos_embed, which tells the image size.",
            remedy="Save the whole state of the model.",
        )
    tokens = source.shape("pos_embed")[1]
    if math.isqrt(tokens) ** 2 != tokens:
        raise CheckpointError(f"{source.file.path}: pos_embed is for {tokens} patches, which make no square image.")
    return math.isqrt(tokens) * patch


def _position(source: Source, width: int) -> Literal["sincos", "learned"]:
    """Whether the position embedding is the fixed one."""
    if "pos_embed" not in source.pieces or width % 4:
        return "sincos"
    stored = source.read("pos_embed")
    fixed = sincos_position_embedding(width, grid_size=math.isqrt(stored.shape[1]))
    is_fixed = stored.shape == fixed.shape and torch.allclose(stored, fixed, atol=0.01)  # also where it was in 16 bits
    return "sincos" if is_fixed else "learned"
