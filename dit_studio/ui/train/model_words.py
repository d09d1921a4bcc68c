"""The model of a run in a few words: its preset, and what was changed of it."""

from dit_studio.model_settings import PRESETS, ModelConfig, resolve_model

_NUMBERS = (("hidden_size", "width"), ("depth", "depth"), ("num_heads", "heads"), ("patch_size", "patch"))


def changed_numbers(model: ModelConfig) -> list[str]:
    """Those that are not the preset's: ["width 32", "depth 2"]."""
    resolved = resolve_model(model)
    return [
        f"{word} {getattr(resolved, name)}"
        for (name, word), number in zip(_NUMBERS, PRESETS[model.preset], strict=True)
        if getattr(resolved, name) != number
    ]


def model_name(model: ModelConfig) -> str:
    """ "XXS/4", or "XXS/4, changed"."""
    return f"{model.preset}, changed" if changed_numbers(model) else model.preset


def changes_line(model: ModelConfig) -> str:
    """ "width 32, depth 2 instead of the preset's"; "" for a preset as it is."""
    changed = changed_numbers(model)
    return f"{', '.join(changed)} instead of the preset's" if changed else ""
