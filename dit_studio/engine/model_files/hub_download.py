"""A model of the hub, on request only: with progress, to be stopped at any time and gone on with."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Generator
from typing import IO

from dit_studio.engine.model_files.folders import hugging_face_dir
from dit_studio.engine.model_files.hub_models import (
    HubModel,
    HubState,
    arrived_bytes,
    hub_state,
    remove_damaged_weights,
)
from dit_studio.errors import CheckpointError, DataError
from dit_studio.events import Progress

_POLL_SECONDS = 0.2


def download_model(model: HubModel, *, endpoint: str = "") -> Generator[Progress, None, HubState]:
    """Fetch a model into the hub's usual cache; the generator's value is its state.

    Closing it stops at once; the next download goes on with what arrived. `endpoint`: another address than the hub's.
    Raises: DataError if the hub cannot be reached or `huggingface_hub` fails; CheckpointError if what came is damaged.
    """
    if (state := hub_state(model)).condition == "verified":
        return state
    remove_damaged_weights(model)
    module = "dit_studio.engine.model_files.hub_fetch"
    command = [sys.executable, "-m", module, model.repo, str(hugging_face_dir()), endpoint, json.dumps(model.files)]
    environment = {**os.environ, "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    with tempfile.TemporaryFile() as told, tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, env=environment, stdout=told, stderr=log, stdin=subprocess.PIPE)
        try:
            yield _progress(model, told)
            while not _has_ended(process):
                yield _progress(model, told)
        finally:
            process.kill()
            process.communicate()
        if process.returncode:
            raise DataError(
                f"{model.repo} could not be fetched: {_last_line(log)}.",
                remedy="Check the connection and try again: it goes on where it stopped. Or add the model's folder.",
            )
        yield _progress(model, told)
    state = hub_state(model)
    if state.folder is None:
        raise CheckpointError(state.sentence, remedy="Try again.")
    return state


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(_POLL_SECONDS)
    except subprocess.TimeoutExpired:
        return False
    return True


def _progress(model: HubModel, told: IO[bytes]) -> Progress:
    """`told`: how many bytes there are, once the hub has said so."""
    told.seek(0)
    total = int(told.readline().strip() or 0) or None
    done = arrived_bytes(model)
    return Progress(stage=f"Downloading {model.repo}", done=min(done, total or done), total=total, unit="bytes")


def _last_line(log: IO[bytes]) -> str:
    log.seek(0)
    lines = log.read().decode(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "it ended without a word")
