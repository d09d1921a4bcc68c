"""What a figure was computed with."""

import platform
from importlib import metadata

import torch

from dit_studio import __version__
from dit_studio.engine.evaluation.extractors.transformers_models import PUBLISHED


def versions_for(extractor: str) -> dict[str, str]:
    """This program, Python, and the packages that images and their features go through."""
    versions = {"dit-studio": __version__, "python": platform.python_version(), "torch": str(torch.__version__)}
    packages = ("numpy", "pillow", *(("transformers",) if extractor in PUBLISHED else ()))
    return versions | {name: metadata.version(name) for name in packages}
