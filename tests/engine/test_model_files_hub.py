"""Models of the hub: what its cache holds, and a download from a stand-in for the hub on this machine."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from dit_studio.engine.evaluation.extractors.transformers_models import PUBLISHED
from dit_studio.engine.model_files.hub_download import download_model
from dit_studio.engine.model_files.hub_models import MODELS, hub_folder, hub_model, hub_state
from dit_studio.errors import CheckpointError, DataError
from tests.engine.file_server import serving
from tests.engine.hub_server import COMMIT, Hub

SIGLIP = hub_model("siglip")
REPO = SIGLIP.repo
FILES = {"config.json": b'{"model_type": "siglip"}', "model.safetensors": b"\7" * 3_000_000, "README.md": b"text"}
SHA256 = hashlib.sha256(FILES["model.safetensors"]).hexdigest()


@pytest.fixture(autouse=True)
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The cache of the hub, empty."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    for name in ("HF_HUB_OFFLINE", "HF_ENDPOINT", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "hub"


def _fill(hub: Path, content: bytes = FILES["model.safetensors"]) -> Path:
    """A cache as the hub's client leaves it: blobs by their hash, links to them in a snapshot."""
    place = hub / "models--google--siglip-base-patch16-224"
    snapshot = place / "snapshots" / COMMIT
    for folder in (snapshot, place / "blobs", place / "refs"):
        folder.mkdir(parents=True)
    (place / "refs" / "main").write_text(COMMIT)
    for name, blob, body in (("config.json", "a" * 40, FILES["config.json"]), ("model.safetensors", SHA256, content)):
        (place / "blobs" / blob).write_bytes(body)
        (snapshot / name).symlink_to(place / "blobs" / blob)
    return snapshot


def test_what_the_cache_holds(hub: Path) -> None:
    assert hub_state(SIGLIP)[1:] == ("missing", None, f"{REPO} is not on this machine.")
    with pytest.raises(CheckpointError, match=r"is not on this machine\. Download google/siglip"):
        hub_folder("siglip")
    snapshot = _fill(hub)
    assert hub_state(SIGLIP).condition == "verified"
    assert hub_folder("siglip") == snapshot


def test_a_damaged_or_partial_model_is_not_opened(hub: Path) -> None:
    snapshot = _fill(hub, b"\7" * 2_999_999 + b"\0")
    assert hub_state(SIGLIP).condition == "wrong hash"
    with pytest.raises(CheckpointError, match=f"is damaged: its hash is .* in place of {SHA256[:12]}"):
        hub_folder("siglip")
    blob = (snapshot / "model.safetensors").resolve()
    (snapshot / "model.safetensors").unlink()
    blob.rename(blob.with_name(f"{SHA256}.incomplete"))
    assert hub_state(SIGLIP).condition == "truncated"


def test_a_copy_without_links_is_used_but_not_called_verified(hub: Path) -> None:
    snapshot = _fill(hub)
    (snapshot / "model.safetensors").unlink()
    (snapshot / "model.safetensors").write_bytes(safetensors.numpy.save({"a": np.zeros(9, np.float32)}))
    assert hub_state(SIGLIP)[1:3] == ("unverified", snapshot)
    (snapshot / "model.safetensors").write_bytes(safetensors.numpy.save({"a": np.zeros(9, np.float32)})[:-1])
    assert hub_state(SIGLIP)[1:3] == ("truncated", None)


def test_every_published_extractor_has_its_model() -> None:
    assert {model.extractor for model in MODELS if model.role == "extractor"} == set(PUBLISHED)
    assert all(model.url == f"https://huggingface.co/{model.repo}" and model.licence for model in MODELS)


# ------------------------------------------------------------------------------------------------- downloading


@pytest.fixture
def endpoint() -> Iterator[str]:
    with serving(Hub(REPO, FILES).respond) as url:
        yield url


def test_a_model_is_fetched_into_the_usual_cache(endpoint: str) -> None:
    steps = list(download_model(SIGLIP, endpoint=endpoint))
    state = hub_state(SIGLIP)
    assert state.condition == "verified", state.sentence
    assert steps[0].done == 0
    assert steps[-1].done >= 3_000_000
    assert state.folder is not None
    assert sorted(path.name for path in state.folder.iterdir()) == ["config.json", "model.safetensors"]
    assert list(download_model(SIGLIP, endpoint="http://127.0.0.1:1")) == []  # it is there


def test_a_hub_out_of_reach_is_a_sentence(endpoint: str) -> None:
    with pytest.raises(DataError, match="nobody/nothing could not be fetched: "):
        list(download_model(SIGLIP._replace(repo="nobody/nothing"), endpoint=endpoint))


def test_a_download_can_be_stopped(endpoint: str) -> None:
    job = download_model(SIGLIP, endpoint=endpoint)
    next(job)
    job.close()
    assert hub_state(SIGLIP).condition in ("missing", "truncated", "verified")


def test_a_stopped_download_goes_on_where_it_stopped(hub: Path) -> None:
    part = hub / "models--google--siglip-base-patch16-224/blobs" / f"{SHA256}.part.incomplete"
    part.parent.mkdir(parents=True)
    part.write_bytes(FILES["model.safetensors"][:1_000_000])
    server = Hub(REPO, FILES)
    with serving(server.respond) as url:
        steps = list(download_model(SIGLIP, endpoint=url))
    assert [start for name, start in server.asked if name == "model.safetensors"] == ["1000000"]
    assert (steps[0].done, steps[-1].total) == (1_000_000, 3_000_024)
    assert hub_state(SIGLIP).condition == "verified"
    assert not part.exists()


def test_damaged_weights_are_fetched_anew(hub: Path, endpoint: str) -> None:
    _fill(hub, b"\7" * 2_999_999 + b"\0")
    assert hub_state(SIGLIP).condition == "wrong hash"
    list(download_model(SIGLIP, endpoint=endpoint))
    assert hub_state(SIGLIP).condition == "verified"
