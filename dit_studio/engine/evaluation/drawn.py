"""How generated images were drawn, from the settings that PNG files of the studio carry."""

from pathlib import Path
from typing import Any

from dit_studio.engine.evaluation.sides import OpenSide
from dit_studio.errors import DataError
from dit_studio.evaluation_request import DrawnBy
from dit_studio.image_settings import FoundSettings, read_settings

_OF_ONE_IMAGE = frozenset({"seed", "count", "classes", "batch_size"})


def drawn_by(opened: OpenSide) -> DrawnBy | None:
    """What the first image of a folder says, if the last one says the same; None if they say nothing."""
    source = opened.source
    if source is None or source.kind != "folder" or not opened.names:
        return None
    try:
        first, last = (read_settings(Path(source.path) / opened.names[index]) for index in (0, -1))
    except DataError:
        return None
    if first.model is None or first.model != last.model or _shared(first) != _shared(last):
        return None
    return DrawnBy(model=first.model, settings=first.settings, precision=first.precision)


def drawn_words(drawn: DrawnBy) -> str:
    """For instance "digits · step 2,000 · EMA, ddim, 50 steps, CFG 2 on all channels, seeds from 0, bf16, model file
    1f0c22aa"."""
    settings, model = drawn.settings, drawn.model
    words = [model.name or Path(model.path).name] if model else []
    words += [f"{settings['sampler']}"] if "sampler" in settings else []
    words += [f"η {settings['eta']:g}"] if settings.get("eta") else []
    words += [f"{settings['steps']} steps"] if "steps" in settings else []
    words += [_guidance_words(settings)] if "cfg" in settings else []
    words += [f"seeds from {settings['seed']}"] if "seed" in settings else []
    words += [drawn.precision] if drawn.precision else []
    words += [f"decoded by {_vae_name(model.vae)}"] if model and model.vae else []
    words += [f"model file {model.fingerprint[:8]}"] if model and model.fingerprint else []
    return ", ".join(words)


def _vae_name(vae: str) -> str:
    """Of the hub as it is; of a folder its own, "model/vae" of one in a model's folder."""
    path = Path(vae)
    if not path.is_absolute():
        return vae
    return f"{path.parent.name}/vae" if path.name == "vae" else path.name


def _guidance_words(settings: dict[str, Any]) -> str:
    words = f"CFG {settings['cfg']:g} on {settings.get('cfg_channels', 'all')} channels"
    first, last = settings.get("cfg_from", 0), settings.get("cfg_to")
    if first or last is not None:
        words += f" at t from {first}" + (f" to {last}" if last is not None else "")
    return words


def _shared(found: FoundSettings) -> dict[str, object]:
    return {name: value for name, value in found.settings.items() if name not in _OF_ONE_IMAGE}
