"""Checkpoints of nothing but the head of their files, which is all that is read before a model is loaded."""

import json
from pathlib import Path


def write_header(
    folder: Path, *, classes: int = 3, timesteps: int = 1000, dropout: float = 0.1, objective: str = "epsilon"
) -> Path:
    """A checkpoint folder whose two files say this of their model. Returns `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    model = {
        "num_classes": classes,
        "class_dropout_prob": dropout,
        "diffusion": {"objective": objective, "timesteps": timesteps},
    }
    head = json.dumps({"__metadata__": {"dit_studio": json.dumps(model)}}).encode()
    for name in ("ema", "model"):
        (folder / f"{name}.safetensors").write_bytes(len(head).to_bytes(8, "little") + head)
    return folder
