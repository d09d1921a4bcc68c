"""What was answered of another program's model, out of what is remembered of it."""

import json
from pathlib import Path
from typing import Any

from dit_studio.opened_models import foreign_kind, remembered
from dit_studio.ui.sample.question_row import PIXELS


def must_be_asked(path: Path) -> bool:
    """Whether a model is another program's and was never opened, or has changed since."""
    return bool(foreign_kind(path)) and remembered(path) is None


def remembered_answers(path: Path) -> dict[str, str]:
    """The answers that were given, by the names of their questions; none if there were none."""
    try:
        known = json.loads(remembered(path) or b"{}") if foreign_kind(path) else {}
        return _answers(known) if known else {}
    except (ValueError, KeyError, TypeError):
        return {}  # of another version of this program


def _answers(known: dict[str, Any]) -> dict[str, str]:
    latents = known["latents"]
    result = {
        "objective": "sit" if known["time"] == "sit" else known["diffusion"]["objective"],
        "num_heads": str(known["num_heads"]),
        "null_class": "yes" if known["class_dropout_prob"] else "no",
        "vae": latents["vae"] if latents else PIXELS,
    }
    if latents:
        result |= {"latent_scale": f"{latents['scale']:g}", "latent_factor": str(latents["factor"])}
    return result
