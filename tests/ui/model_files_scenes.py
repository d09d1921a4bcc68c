"""The Model files page in its states, for a person to look at.

python tests/ui/model_files_scenes.py FOLDER [WORD…]      only the pictures whose names hold one of the words
"""

import os
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QEventLoop, QTimer
from PySide6.QtWidgets import QApplication, QWidget
from scripted import Script, ScriptedLauncher

from dit_studio.events import Failure, ModelFileInfo, ModelFiles, Progress
from dit_studio.ui import theme
from dit_studio.ui.app import make_app
from dit_studio.ui.model_files.page import ModelFilesPage
from dit_studio.ui.settings import Settings

PORT, NVIDIA = "pt_inception-2015-12-05-6726825d.pth", "inception-2015-12-05.pt"
CLIP, SIGLIP = "openai/clip-vit-base-patch32", "google/siglip-base-patch16-224"
DIT, PT = "facebook/DiT-XL-2-256", "DiT-XL-2-256x256.pt"
EMA, MSE = "stabilityai/sd-vae-ft-ema", "stabilityai/sd-vae-ft-mse"
_FOLDERS = (
    "/home/user/.cache/dit-studio/models",
    "/home/user/.cache/torch/hub/checkpoints",
    "/home/user/.cache/hub",
    "/home/user/.local/share/dit-studio/models",
)
_TITLES = {
    PORT: "Inception-v3, the PyTorch port",
    NVIDIA: "Inception-v3, NVIDIA's conversion",
    DIT: "DiT-XL/2, 256 pixels",
    PT: "DiT-XL/2, 256 pixels (.pt)",
    EMA: "Stable Diffusion VAE, ft-EMA",
    MSE: "Stable Diffusion VAE, ft-MSE",
}


def example_file(name: str, **changes: object) -> ModelFileInfo:
    """A file of the list, missing."""
    is_on_hub = "/" in name
    values: dict[str, object] = {
        "name": name,
        "title": _TITLES.get(name, name),
        "extractor": {CLIP: "clip-b32", SIGLIP: "siglip"}.get(name, "inception"),
        "is_on_hub": is_on_hub,
        "size_bytes": 605_109_252 if is_on_hub else 95_628_359,
        "sha256": "" if is_on_hub else "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
        "licence": "MIT" if is_on_hub else "Apache-2.0",
        "url": f"https://huggingface.co/{name}" if is_on_hub else f"https://github.com/mseitzer/pytorch-fid/{name}",
        "folder": _FOLDERS[2] if is_on_hub else _FOLDERS[0],
        "condition": "missing",
        "sentence": f"{name} is not on this machine.",
    }
    return ModelFileInfo(**(values | changes))  # type: ignore[arg-type]


def example_model(name: str, **changes: object) -> ModelFileInfo:
    """A pretrained model, missing; under a licence with terms."""
    values: dict[str, object] = {
        "role": "model",
        "extractor": "",
        "size_bytes": 3_333_921_308 if "/" in name else 2_700_518_528,
        "sha256": "",
        "licence": "CC BY-NC 4.0 (non-commercial)",
        "licence_url": "https://creativecommons.org/licenses/by-nc/4.0/legalcode",
        "terms": "You may share and adapt it if you name its authors, but not for commercial purposes.",
    }
    if "/" not in name:
        values |= {"url": f"https://dl.fbaipublicfiles.com/DiT/models/{name}", "folder": _FOLDERS[3]}
    return example_file(name, **(values | changes))


def example_vae(name: str, **changes: object) -> ModelFileInfo:
    """A VAE, missing."""
    values: dict[str, object] = {"role": "vae", "extractor": "", "size_bytes": 334_615_452}
    return example_file(name, **(values | changes))


def listed(*files: ModelFileInfo) -> ModelFiles:
    return ModelFiles(files=files, folder=_FOLDERS[0], hub_folder=_FOLDERS[2], searched=_FOLDERS)


ALL_MISSING = listed(*(example_file(name) for name in (PORT, NVIDIA, CLIP, SIGLIP)))
MIXED = listed(
    example_file(PORT, condition="verified", path=f"{_FOLDERS[0]}/{PORT}", sentence="It is verified."),
    example_file(
        NVIDIA, condition="wrong hash", path=f"{_FOLDERS[0]}/{NVIDIA}",
        sentence=f"{_FOLDERS[0]}/{NVIDIA} is not the published file: its hash is 0123456789ab….",
    ),
    example_file(CLIP, condition="unverified", path="/data/models/clip", is_chosen=True),
    example_file(SIGLIP, condition="truncated", arrived_bytes=211_000_000, sentence="It has arrived in part only."),
)  # fmt: skip


FAMILY_MISSING = listed(
    example_model(DIT), example_model(PT), example_vae(EMA), example_vae(MSE), example_file(PORT), example_file(CLIP)
)
FAMILY_MIXED = listed(
    example_model(DIT, condition="verified", path=f"{_FOLDERS[2]}/models--facebook--DiT-XL-2-256/snapshots/eab87f77"),
    example_model(PT, arrived_bytes=1_204_000_000),
    example_vae(EMA, condition="unverified", path="/data/models/sd-vae-ft-ema", is_chosen=True),
    example_vae(
        MSE, condition="wrong hash",
        sentence="diffusion_pytorch_model.safetensors is damaged: its hash is 0123456789ab… in place of a1b2c3d4e5f6….",
    ),
    example_file(PORT),
)  # fmt: skip


def _page(place: Path, **answers: Script) -> ModelFilesPage:
    settings = Settings(place / "settings.json")
    page = ModelFilesPage(settings, ScriptedLauncher(answers=answers))  # type: ignore[arg-type]
    settings.setParent(page)
    return page


def missing(place: Path) -> QWidget:
    return _page(place, model_files=[ALL_MISSING])


def mixed(place: Path) -> QWidget:
    return _page(place, model_files=[MIXED])


def looking(place: Path) -> QWidget:
    return _page(place, model_files=[Progress(stage="Looking for model files", done=2, total=7), threading.Event()])


def fetching(place: Path) -> QWidget:
    step = Progress(
        stage=f"Downloading {PORT}", done=41_200_000, total=95_628_359, unit="bytes", rate=2_300_000
    )  # fmt: skip
    page = _page(place, model_files=[ALL_MISSING], download_model_file=[step, threading.Event()])
    page.files_changed.connect(lambda _: page.download(PORT) if page.isVisible() else None)
    page.files_changed.connect(lambda _: page.download(CLIP) if page.isVisible() else None)
    return page


def failed(place: Path) -> QWidget:
    failure = Failure(
        message=f"https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/{PORT} cannot be reached: "
        "Network is unreachable.",
        remedy="Check the connection. Try again: it goes on where it stopped.",
    )
    page = _page(place, model_files=[ALL_MISSING], download_model_file=[failure])
    page.files_changed.connect(lambda _: page.download(PORT) if not page.findChildren(QTimer, "asked") else None)
    page.files_changed.connect(lambda _: QTimer(page, objectName="asked"))
    return page


def pointed_at(place: Path) -> QWidget:
    page = mixed(place)
    assert isinstance(page, ModelFilesPage)
    page.show_file("clip-b32")
    return page


def family(place: Path) -> QWidget:
    return _page(place, model_files=[FAMILY_MISSING])


def family_mixed(place: Path) -> QWidget:
    return _page(place, model_files=[FAMILY_MIXED])


def licence(place: Path) -> QWidget:
    page = _page(place, model_files=[FAMILY_MISSING])
    page.files_changed.connect(lambda _: QTimer.singleShot(200, page, page.cards[DIT].download.click))
    page.show_file(DIT)
    return page


def fetching_model(place: Path) -> QWidget:
    step = Progress(stage=f"Downloading {DIT}", done=1_412_000_000, total=3_333_921_308, unit="bytes", rate=23_000_000)
    page = _page(place, model_files=[FAMILY_MISSING], download_model_file=[step, threading.Event()])
    page.files_changed.connect(lambda _: page.download(DIT) if page.isVisible() else None)
    page.files_changed.connect(lambda _: page.download(EMA) if page.isVisible() else None)
    page.show_file(DIT)
    return page


def unreachable(place: Path) -> QWidget:
    failure = Failure(
        message=f"{DIT} could not be fetched: the hub cannot be reached ([Errno -2] Name or service not known).",
        remedy="Check the connection and try again: it goes on where it stopped. Or add the model's folder.",
    )
    page = _page(place, model_files=[FAMILY_MISSING], download_model_file=[failure])
    page.files_changed.connect(lambda _: page.download(DIT) if not page.findChildren(QTimer, "asked") else None)
    page.files_changed.connect(lambda _: QTimer(page, objectName="asked"))
    return page


def vaes(place: Path) -> QWidget:
    page = family_mixed(place)
    assert isinstance(page, ModelFilesPage)
    page.show_file(EMA)
    return page


MODEL_FILES_SCENES: dict[str, Callable[[Path], QWidget]] = {
    "model-files-missing": missing,
    "model-files-mixed": mixed,
    "model-files-looking": looking,
    "model-files-fetching": fetching,
    "model-files-failed": failed,
    "model-files-pointed-at": pointed_at,
    "model-files-family": family,
    "model-files-family-mixed": family_mixed,
    "model-files-licence": licence,
    "model-files-fetching-model": fetching_model,
    "model-files-unreachable": unreachable,
    "model-files-vaes": vaes,
}


def _settle(milliseconds: int = 500) -> None:
    loop = QEventLoop()
    QTimer.singleShot(milliseconds, loop.quit)
    loop.exec()


def _take(app: QApplication, name: str, folder: Path, mode: str, font_scale: int, size: tuple[int, int]) -> None:
    theme.apply_theme(app, mode, font_scale)
    with tempfile.TemporaryDirectory() as place:
        page = MODEL_FILES_SCENES[name](Path(place))
        page.resize(*size)
        page.show()
        _settle()
        page.grab().save(str(folder / f"{name}-{mode}-{size[0]}-{font_scale}.png"))
        assert isinstance(page, ModelFilesPage)
        page.close_page()
        page.deleteLater()


def main(folder: Path, words: list[str]) -> None:
    app = make_app()
    folder.mkdir(parents=True, exist_ok=True)
    for name in MODEL_FILES_SCENES:
        if not words or any(word in name for word in words):
            _take(app, name, folder, "dark", 100, (1190, 740))
            _take(app, name, folder, "light", 100, (934, 590))
            _take(app, name, folder, "dark", 200, (934, 590))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
