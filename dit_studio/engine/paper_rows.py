"""Which row of the paper's table 4 a model is: Peebles & Xie 2023, arXiv:2212.09748."""

from collections.abc import Iterator

from dit_studio.engine.checkpoint import ModelDescription
from dit_studio.model_settings import PRESETS

_SIZES = ("S", "B", "L", "XL")
_BLOCKS = {"adaln": "adaLN", "cross-attention": "cross-attention", "in-context": "in-context"}
_SHAPES = {"32×32×4": "", "64×64×4": "512×512"}  # of the latents of 256×256 and 512×512 pixels
_MOST_DIFFERENCES = 3  # with more it is another model


def paper_row(model: ModelDescription) -> str:
    """ "DiT-XL/2", "DiT-XL/2 (in-context)", or "as DiT-B/4 but with window attention" where little differs, or ""."""
    numbers = (model.hidden_size, model.depth, model.num_heads, model.patch_size)
    names = [f"DiT-{name}" for name, row in PRESETS.items() if row == numbers and name.split("/")[0] in _SIZES]
    if not names:
        return ""
    (name,) = names
    block, shape = _BLOCKS.get(model.block, ""), "×".join(map(str, (*2 * (model.input_size,), model.in_channels)))
    differences = list(_differences(model))
    if name == "DiT-XL/2" and not differences and (row := _row_of_xl2(block, shape)):
        return row
    differences += [f"{block} blocks"] if block else []
    differences += [f"inputs of {shape}"] if _SHAPES.get(shape, shape) else []
    if len(differences) > _MOST_DIFFERENCES:
        return ""
    return f"as {name} but with {_listed(differences)}" if differences else name


def _row_of_xl2(block: str, shape: str) -> str:
    """The kinds of blocks, and 512×512 pixels, are shown at XL/2 alone, and one at a time."""
    if shape not in _SHAPES or (block and _SHAPES[shape]):
        return ""
    what = block or _SHAPES[shape]
    return f"DiT-XL/2 ({what})" if what else "DiT-XL/2"


def _differences(model: ModelDescription) -> Iterator[str]:
    """In what a model is none of the paper's, as words after "with"."""
    if model.attention != "full":
        yield f"{model.attention} attention"
    if model.position != "sincos":
        yield "learned positions"
    if model.rope:
        yield "RoPE"
    if model.qk_norm:
        yield "QK-norm"
    if model.norm != "layer":
        yield "RMSNorm"
    if model.mlp != "gelu":
        yield "SwiGLU"
    if model.mlp_ratio != 4:
        yield f"an MLP {model.mlp_ratio:g} times as wide"
    if not model.learn_sigma:
        yield "no learned variance"


def _listed(words: list[str]) -> str:
    """ "a, b and c"."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
