"""The models that lie on the Hugging Face hub: which there are, whether its cache has them, and their download."""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import IO, Literal, NamedTuple

from dit_studio.engine.evaluation.model_files import hugging_face_dir, sha256_of
from dit_studio.errors import CheckpointError, DataError
from dit_studio.events import Progress

Condition = Literal["missing", "truncated", "wrong hash", "unverified", "verified"]

_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
_POLL_SECONDS = 0.2
_SHA256 = re.compile("[0-9a-f]{64}")

# Runs in a process of its own, which can be stopped at once. The hub's client fetches a file anew after it was stopped,
# so the large one is fetched here, into the place where the client then finds it.
_FETCH = """
import errno, os, sys
from pathlib import Path
from huggingface_hub import HfApi, get_hf_file_metadata, hf_hub_url, snapshot_download
from huggingface_hub.file_download import http_get
repo, folder, endpoint = sys.argv[1], sys.argv[2], sys.argv[3] or None
try:
    tree = HfApi(endpoint=endpoint).list_repo_tree(repo, recursive=True)
    sizes = {entry.path: getattr(entry, "size", 0) for entry in tree}
    weights = "model.safetensors" if "model.safetensors" in sizes else "pytorch_model.bin"
    wanted = ["config.json", "preprocessor_config.json", weights]
    print(sum(sizes.get(name, 0) for name in wanted), flush=True)
    url = hf_hub_url(repo, weights, endpoint=endpoint)
    about = get_hf_file_metadata(url)
    blob = Path(folder) / f"models--{repo.replace('/', '--')}" / "blobs" / about.etag
    part = blob.with_name(f"{about.etag}.part.incomplete")
    if not blob.exists():
        part.parent.mkdir(parents=True, exist_ok=True)
        part.touch()
        with part.open("r+b") as file:
            start = file.seek(0, os.SEEK_END)
            http_get(about.location or url, file, resume_size=start, expected_size=about.size)
        part.replace(blob)
    snapshot_download(repo, cache_dir=folder, endpoint=endpoint, allow_patterns=wanted, max_workers=1)
except Exception as error:
    status = getattr(getattr(error, "response", None), "status_code", None)
    if getattr(error, "errno", None) == errno.ENOSPC:
        sys.exit(f"there is no room left in {folder}")
    words = str(error).strip().splitlines() or [type(error).__name__]
    sys.exit(f"the hub answers {status}" if status else f"the hub cannot be reached ({words[0]})")
"""


class HubModel(NamedTuple):
    """A published model. Its hash is not listed here: the hub names each large file by it."""

    repo: str
    extractor: str
    title: str
    parameters: int  # of text and image side, in float32
    licence: str

    @property
    def size_bytes(self) -> int:
        """Of its weights, but for a few thousand."""
        return 4 * self.parameters

    @property
    def url(self) -> str:
        return f"https://huggingface.co/{self.repo}"


class HubState(NamedTuple):
    """What the cache holds of a model; `folder` is what an extractor opens, None if it is not whole."""

    repo: str
    condition: Condition
    folder: Path | None
    sentence: str


MODELS = (
    HubModel("openai/clip-vit-base-patch32", "clip-b32", "CLIP ViT-B/32", 151_277_313, "MIT"),
    HubModel("openai/clip-vit-large-patch14-336", "clip-l14-336", "CLIP ViT-L/14-336", 427_944_193, "MIT"),
    HubModel("google/siglip-base-patch16-224", "siglip", "SigLIP base-p16-224", 203_155_970, "Apache-2.0"),
    HubModel("kakaobrain/align-base", "align", "ALIGN base", 172_424_627, "as stated on its page"),
    HubModel("facebook/dinov2-large", "dinov2", "DINOv2 ViT-L/14", 304_368_640, "Apache-2.0"),
)


def hub_model(extractor: str) -> HubModel:
    """The model that an extractor needs."""
    return next(model for model in MODELS if model.extractor == extractor)


def hub_state(repo: str) -> HubState:
    """What the cache holds of a model's main branch. Weights are verified against the hash that the hub gives them."""
    place = _place(repo)
    folder = _snapshot(place)
    weights = next((folder / name for name in _WEIGHTS if (folder / name).is_file()), None) if folder else None
    if folder is None or weights is None or not (folder / "config.json").is_file():
        if any(place.glob("blobs/*.incomplete")):
            return HubState(repo, "truncated", None, f"{repo} has arrived in part only.")
        return HubState(repo, "missing", None, f"{repo} is not on this machine.")
    blob = weights.resolve().name
    if not _SHA256.fullmatch(blob):
        return HubState(repo, "unverified", folder, f"{folder} is there; its hash is not known.")
    if (found := sha256_of(weights)) != blob:
        sentence = f"{weights} is damaged: its hash is {found[:12]}… in place of {blob[:12]}…."
        return HubState(repo, "wrong hash", None, sentence)
    return HubState(repo, "verified", folder, f"{folder} is verified.")


def hub_folder(extractor: str) -> Path:
    """The folder of the model that an extractor needs. Raises: CheckpointError if it is not there or damaged."""
    state = hub_state(hub_model(extractor).repo)
    if state.folder is None:
        raise CheckpointError(
            state.sentence,
            remedy=f"Download {state.repo} or choose its folder under Model files, "
            'or take the extractor "random", which needs no file.',
        )
    return state.folder


def download_model(repo: str, *, endpoint: str = "") -> Generator[Progress, None, HubState]:
    """Fetch a model into the hub's usual cache; the generator's value is its state.

    Closing it stops at once; the next download goes on with what arrived. `endpoint`: another address than the hub's.
    Raises: DataError if the hub cannot be reached or `huggingface_hub` fails; CheckpointError if what came is damaged.
    """
    if (state := hub_state(repo)).condition == "verified":
        return state
    if state.condition == "wrong hash":
        _remove_weights(repo)  # which the client would take for whole
    command = [sys.executable, "-c", _FETCH, repo, str(hugging_face_dir()), endpoint]
    environment = {**os.environ, "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    with tempfile.TemporaryFile() as told, tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, env=environment, stdout=told, stderr=log, stdin=subprocess.DEVNULL)
        try:
            yield _progress(repo, told)
            while not _has_ended(process):
                yield _progress(repo, told)
        finally:
            process.kill()
            process.wait()
        if process.returncode:
            raise DataError(
                f"{repo} could not be fetched: {_last_line(log)}.",
                remedy="Check the connection and try again: it goes on where it stopped. Or add the model's folder.",
            )
        yield _progress(repo, told)
    state = hub_state(repo)
    if state.folder is None:
        raise CheckpointError(state.sentence, remedy="Try again.")
    return state


def _remove_weights(repo: str) -> None:
    folder = _snapshot(_place(repo))
    for path in [folder / name for name in _WEIGHTS] if folder else []:
        path.resolve().unlink(missing_ok=True)
        path.unlink(missing_ok=True)


def arrived_bytes(repo: str) -> int:
    """What the cache holds of a model, finished or not."""
    return sum(file.stat().st_size for file in _place(repo).glob("blobs/*") if file.is_file())


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(_POLL_SECONDS)
    except subprocess.TimeoutExpired:
        return False
    return True


def _progress(repo: str, told: IO[bytes]) -> Progress:
    """`told`: how many bytes there are, once the hub has said so."""
    told.seek(0)
    total = int(told.readline().strip() or 0) or None
    return Progress(stage=f"Downloading {repo}", done=arrived_bytes(repo), total=total, unit="bytes")


def _last_line(log: IO[bytes]) -> str:
    log.seek(0)
    lines = log.read().decode(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "it ended without a word")


def _place(repo: str) -> Path:
    return hugging_face_dir() / f"models--{repo.replace('/', '--')}"


def _snapshot(place: Path) -> Path | None:
    try:
        commit = (place / "refs" / "main").read_text().strip()
    except OSError:
        return None
    folder = place / "snapshots" / commit
    return folder if commit and folder.is_dir() else None
