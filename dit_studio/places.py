"""Where things are kept on this machine; each place can be moved by a variable of the environment."""

import os
from pathlib import Path

import platformdirs


def runs_dir() -> Path:
    """Where runs are kept: $DIT_STUDIO_RUNS, else a folder of the user's data."""
    return Path(os.environ.get("DIT_STUDIO_RUNS") or platformdirs.user_data_path("dit-studio") / "runs")


def cache_dir() -> Path:
    """Where decoded data sets are kept: $DIT_STUDIO_CACHE, else the user's cache folder."""
    return Path(os.environ.get("DIT_STUDIO_CACHE") or platformdirs.user_cache_path("dit-studio"))


def resources_dir() -> Path:
    """Icons, styles and recipes: inside the installed package, or beside it in a checkout."""
    packed = Path(__file__).parent / "resources"
    return packed if packed.is_dir() else Path(__file__).parent.parent / "resources"


def samples_dir() -> Path:
    """Where drawn images and their history are kept: $DIT_STUDIO_SAMPLES, else a folder of the user's data."""
    return Path(os.environ.get("DIT_STUDIO_SAMPLES") or platformdirs.user_data_path("dit-studio") / "samples")


def evaluations_dir() -> Path:
    """Where evaluations and what was drawn for them are kept: $DIT_STUDIO_EVALUATIONS, else in the user's data."""
    return Path(os.environ.get("DIT_STUDIO_EVALUATIONS") or platformdirs.user_data_path("dit-studio") / "evaluations")


def models_dir() -> Path:
    """Where downloaded models, and what is known of opened ones, are kept: $DIT_STUDIO_MODELS, else the user's data."""
    return Path(os.environ.get("DIT_STUDIO_MODELS") or platformdirs.user_data_path("dit-studio") / "models")
