"""The model of a run in a few words: its preset, and what was changed of it."""

from dit_studio.model_settings import PRESETS, ModelConfig, resolve_model
from dit_studio.ui.train.amounts import counted

_NUMBERS = (("hidden_size", "width"), ("depth", "depth"), ("num_heads", "heads"), ("patch_size", "patch"))


def changed_numbers(model: ModelConfig) -> list[str]:
    """Those that are not the preset's: ["width 32", "depth 2"]."""
    resolved = resolve_model(model)
    return [
        f"{word} {getattr(resolved, name)}"
        for (name, word), number in zip(_NUMBERS, PRESETS[model.preset], strict=True)
        if getattr(resolved, name) != number
    ]


def kinds(model: ModelConfig) -> list[str]:
    """What of its kind the published DiT has otherwise: ["in-context", "window 7"]."""
    resolved = resolve_model(model)
    attention = {"grouped": counted(resolved.num_kv_heads or 1, "key/value head"), "window": f"window {model.window}"}
    words: list[str] = [model.block] if model.block != "adaln-zero" else []
    words += [attention[model.attention]] if model.attention != "full" else []
    words += ["learned positions"] if model.position != "sincos" else []
    switches = (("RoPE", model.rope), ("QK-norm", model.qk_norm), ("RMSNorm", model.norm == "rms"),
                ("SwiGLU", model.mlp == "swiglu"))  # fmt: skip
    return [*words, *(name for name, is_on in switches if is_on)]


def model_name(model: ModelConfig) -> str:
    """ "XXS/4", or "XXS/4, changed, window 7"."""
    return ", ".join([model.preset, *(["changed"] if changed_numbers(model) else []), *kinds(model)])


def changes_line(model: ModelConfig) -> str:
    """ "width 32, depth 2 instead of the preset's"; "" for a preset as it is."""
    changed = changed_numbers(model)
    return f"{', '.join(changed)} instead of the preset's" if changed else ""
