"""How generated images were drawn, from the settings that PNG files of the studio carry."""

from pathlib import Path

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
    """For instance "digits · step 2,000 · EMA, ddim, 50 steps, CFG 2 on all channels, seeds from 0"."""
    settings = drawn.settings
    words = [drawn.model.name or Path(drawn.model.path).name] if drawn.model else []
    words += [f"{settings['sampler']}"] if "sampler" in settings else []
    words += [f"{settings['steps']} steps"] if "steps" in settings else []
    if "cfg" in settings:
        words.append(f"CFG {settings['cfg']:g} on {settings.get('cfg_channels', 'all')} channels")
    words += [f"seeds from {settings['seed']}"] if "seed" in settings else []
    return ", ".join([*words, *([drawn.precision] if drawn.precision else [])])


def _shared(found: FoundSettings) -> dict[str, object]:
    return {name: value for name, value in found.settings.items() if name not in _OF_ONE_IMAGE}
