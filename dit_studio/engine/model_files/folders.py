"""Where model files lie: this program's own, PyTorch's and the hub's."""

import os
from pathlib import Path

from dit_studio.places import cache_dir


def files_dir() -> Path:
    """Where this program keeps the files of extractors, what it knows of hashes, and what was chosen."""
    return cache_dir() / "models"


def torch_hub_dir() -> Path:
    """Where PyTorch and its tools keep downloaded weights."""
    home = os.environ.get("TORCH_HOME") or _user_cache() / "torch"
    return Path(home).expanduser() / "hub" / "checkpoints"


def hugging_face_dir() -> Path:
    """Where `huggingface_hub` keeps downloaded models."""
    if place := os.environ.get("HF_HUB_CACHE"):
        return Path(place).expanduser()
    return Path(os.environ.get("HF_HOME") or _user_cache() / "huggingface").expanduser() / "hub"


def _user_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
