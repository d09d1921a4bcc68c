"""A tiny run that trains in seconds."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dit_studio.config import apply_settings, parse_recipe
from dit_studio.jobs.run_folder import RunFolder
from tests.pictures import write_pictures

TINY: dict[str, Any] = {
    "data": {"image_size": 8, "validation_fraction": 0.2},
    "model": {"hidden_size": 32, "depth": 2, "num_heads": 4, "patch_size": 4},
    "train": {"steps": 6, "batch_size": 8, "warmup_steps": 2, "checkpoint_every": 3, "preview_every": 3,
              "validate_every": 2, "learning_rate": 1e-3},
    "sample": {"steps": 3},
}  # fmt: skip

MakeRun = Callable[..., RunFolder]


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """A new run on a folder of pictures; settings as on the command line."""
    pictures = write_pictures(tmp_path / "pictures ü")

    def make(*settings: str, name: str = "run") -> RunFolder:
        recipe = parse_recipe(apply_settings(TINY, [f"data.path={pictures}", *settings]))
        return RunFolder.create(tmp_path / name, recipe)

    return make
