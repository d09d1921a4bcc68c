"""The networks that turn images into features, by name."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import torch

from dit_studio.engine.device import set_float32_matmul
from dit_studio.engine.evaluation.extractors.extractor import MAIN_OUTPUT, Extractor, Features
from dit_studio.engine.evaluation.extractors.inception import open_inception
from dit_studio.engine.evaluation.extractors.random_features import open_random
from dit_studio.engine.evaluation.extractors.transformers_models import PUBLISHED, open_published
from dit_studio.engine.evaluation.preprocessing import ADM_TF1
from dit_studio.engine.model_files.hub_models import hub_folder
from dit_studio.engine.model_files.single_files import verified_path
from dit_studio.errors import ConfigError, Problem
from dit_studio.evaluation_metrics import PROTOCOLS

__all__ = ["MAIN_OUTPUT", "NAMES", "Extractor", "Features", "open_extractor", "open_on_each", "protocols_of"]

NAMES: tuple[str, ...] = ("random", "inception", *PUBLISHED)
_NO_FILES: Mapping[str, Path] = MappingProxyType({})


def open_extractor(
    name: str, *, device: torch.device, files: Mapping[str, Path] = _NO_FILES, protocol: str = ""
) -> Extractor:
    """An extractor on a device, in float32 with TF32 off.

    `files` names, by extractor, a weights file or a model folder to take in place of the usual places'.
    `protocol`: a way of preprocessing out of `protocols_of(name)`; the first without one.
    Raises: ConfigError for an unknown name or protocol; CheckpointError if the weights are missing, damaged or others.
    """
    if name not in NAMES:
        message = f'There is no extractor "{name}": it takes one of {", ".join(NAMES)}.'
        raise ConfigError([Problem("evaluate.features", message, name)])
    set_float32_matmul(device)
    if name == "inception":
        path = files.get(name) or verified_path(name)
        return open_inception(path, device=device, protocol=protocol or ADM_TF1.name)
    _check_protocol(name, protocol)
    if name == "random":
        return open_random(device=device)
    return open_published(name, files.get(name) or hub_folder(name), device=device)


def open_on_each(
    name: str, on: Sequence[torch.device], *, files: Mapping[str, Path] = _NO_FILES, protocol: str = ""
) -> Extractor:
    """An extractor on the first of these devices, with a copy on each of the others. Raises: as `open_extractor`."""
    first, *others = [open_extractor(name, device=device, files=files, protocol=protocol) for device in on]
    return replace(first, copies=tuple(others))


def protocols_of(name: str) -> tuple[str, ...]:
    """The ways of preprocessing that an extractor knows, the usual one first."""
    return PROTOCOLS[name]


def _check_protocol(name: str, protocol: str) -> None:
    if protocol and protocol not in protocols_of(name):
        message = f'"{name}" has one protocol, {protocols_of(name)[0]}, not "{protocol}".'
        raise ConfigError([Problem("evaluate.protocol", message, protocol)])
