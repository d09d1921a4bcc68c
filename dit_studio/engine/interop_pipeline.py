"""What lies around a diffusers transformer: its pipeline's noise schedule, and the names of its classes."""

import json
from pathlib import Path
from typing import Any

import msgspec

from dit_studio.class_names import are_imagenets, imagenet_names
from dit_studio.engine.interop_source import class_labels
from dit_studio.errors import CheckpointError
from dit_studio.model_settings import DiffusionConfig

_SCHEDULES = {"linear": "linear", "squaredcos_cap_v2": "cosine"}
_PREDICTIONS = {"epsilon": "epsilon", "sample": "x0", "v_prediction": "v"}


def read_scheduler(pipeline: Path | None) -> tuple[DiffusionConfig, str]:
    """The noise schedule, and the objective where it is told, else "". Raises: CheckpointError."""
    default = DiffusionConfig()
    config = _json(pipeline / "scheduler" / "scheduler_config.json") if pipeline else {}
    if not config:
        return default, ""
    if "FlowMatch" in str(config.get("_class_name")):
        return default, "flow"
    schedule = str(config.get("beta_schedule", "linear"))
    if schedule not in _SCHEDULES:
        raise CheckpointError(
            f"{pipeline}: the noise schedule {schedule} is not known here; it takes linear or squaredcos_cap_v2."
        )
    if config.get("trained_betas") is not None or config.get("rescale_betas_zero_snr"):
        raise CheckpointError(f"{pipeline}: a noise schedule of its own betas, or of rescaled ones, is not known here.")
    prediction = str(config.get("prediction_type", "epsilon"))
    if prediction not in _PREDICTIONS:
        raise CheckpointError(f"{pipeline}: the prediction {prediction} is not known here.")
    try:
        timesteps = int(config.get("num_train_timesteps", 1000))
        scale = timesteps / 1000  # ours is scaled so that any number of timesteps ends in the same noise
        told = {
            "schedule": _SCHEDULES[schedule],
            "timesteps": timesteps,
            "beta_start": float(config.get("beta_start", 1e-4)) * scale,
            "beta_end": float(config.get("beta_end", 0.02)) * scale,
        }
        return msgspec.convert(told, DiffusionConfig), _PREDICTIONS[prediction]
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{pipeline} has a noise schedule that cannot be: {error}.") from error


def class_names(pipeline: Path | None, classes: int) -> tuple[str, ...]:
    """As the pipeline names them; of a thousand, ImageNet's in their standard order; else empty."""
    labels = class_labels(pipeline) if pipeline else {}
    given = tuple(labels[number] for number in range(classes)) if set(labels) == set(range(classes)) else ()
    is_imagenets = are_imagenets(given) if given else classes == len(imagenet_names())
    return imagenet_names() if is_imagenets else given


def _json(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
