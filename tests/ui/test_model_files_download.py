"""The Model files page with its real jobs: a download from a stand-in for the hub, cancelled, gone on with, opened."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from dit_studio.jobs.launch import Launcher
from dit_studio.ui.model_files.page import ModelFilesPage
from dit_studio.ui.settings import Settings
from tests.engine.file_server import serving
from tests.engine.hub_server import Hub

DIT = "facebook/DiT-XL-2-256"
WEIGHTS, VAE_WEIGHTS = (f"{part}/diffusion_pytorch_model.safetensors" for part in ("transformer", "vae"))
FILES = {
    **dict.fromkeys(("model_index.json", "scheduler/scheduler_config.json"), b"{}"),
    **dict.fromkeys(("transformer/config.json", "vae/config.json"), b"{}"),
    WEIGHTS: b"\7" * 3_000_000,
    VAE_WEIGHTS: b"\6" * 1_000_000,
}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    result = Hub(DIT, FILES)
    with serving(result.respond) as url:
        monkeypatch.setenv("HF_ENDPOINT", url)
        monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
        monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
        yield result


@pytest.fixture
def page(qtbot: QtBot, settings: Settings, hub: Hub) -> Iterator[ModelFilesPage]:
    launcher = Launcher()
    result = ModelFilesPage(settings, launcher)
    qtbot.addWidget(result)
    with qtbot.waitSignal(result.files_changed, timeout=60_000):
        result.show()
    yield result
    for held in hub.held.values():
        held.set()
    result.close_page()
    launcher.close()


def test_a_model_is_fetched_cancelled_gone_on_with_and_opened(qtbot: QtBot, page: ModelFilesPage, hub: Hub) -> None:
    card = page.cards[DIT]
    hub.held[VAE_WEIGHTS] = threading.Event()
    card.download.click()
    assert hub.asked == []
    card.consent.agree.click()
    qtbot.waitUntil(lambda: VAE_WEIGHTS in {name for name, _ in hub.asked}, timeout=60_000)
    with qtbot.waitSignal(page.files_changed, timeout=60_000):
        card.cancel.click()
    assert card.pill.text() == "Incomplete"
    assert card.download.text() == "Resume"
    assert not card.open.isVisible()
    hub.held.pop(VAE_WEIGHTS).set()
    card.download.click()
    hub.asked.clear()
    with qtbot.waitSignal(page.files_changed, timeout=60_000):
        card.consent.agree.click()
    assert card.pill.text() == "Verified"
    assert WEIGHTS not in {name for name, _ in hub.asked}
    with qtbot.waitSignal(page.open_model_requested) as opened:
        card.open.click()
    assert (Path(opened.args[0]) / WEIGHTS).read_bytes() == FILES[WEIGHTS]
