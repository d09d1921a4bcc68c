"""Models that other programs wrote: how they look on the disk, and what a person answered when one was opened.

A published checkpoint does not say everything about itself. What it means is kept once, as a description beside its
path, so that the window, the command line and the history can use the file where it lies.
"""

import hashlib
import json
from pathlib import Path
from typing import Literal

from dit_studio.files import naming_disk_errors, write_atomically
from dit_studio.places import models_dir

Foreign = Literal["", "published", "diffusers"]
_STUDIO_KEY = "dit_studio"
_CLASSES = ("DiTTransformer2DModel", "Transformer2DModel")
_PICKLES = (".pt", ".pth", ".ckpt", ".bin")
_KINDS = (
    ".safetensors",
    ".bin",
    ".safetensors.index.json",
    ".bin.index.json",
    ".fp16.safetensors",
    ".fp16.bin",
    ".safetensors.index.fp16.json",
    ".bin.index.fp16.json",
)  # fmt: skip  of diffusers' weights
_MOST_BYTES = 100 * 2**20  # of a safetensors head


def foreign_kind(path: Path) -> Foreign:
    """What another program wrote there: a "published" state, a "diffusers" folder, or "" for none of them.

    No tensor is read, and no pickle opened.
    """
    if path.is_dir():
        return "diffusers" if diffusers_folder(path) else ""
    if path.suffix in _PICKLES and path.is_file():
        return "published"
    if path.suffix == ".safetensors" and path.is_file():
        return "" if _is_ours(path) else "published"
    return "diffusers" if is_index(path) and path.is_file() and diffusers_folder(path.parent) else ""


def diffusers_folder(path: Path) -> Path | None:
    """The folder with the transformer's config.json: of a pipeline, or the transformer's own; None if it is neither."""
    for folder in (path / "transformer", path):
        try:
            config = json.loads((folder / "config.json").read_bytes())
        except (OSError, ValueError):
            continue
        if isinstance(config, dict) and config.get("_class_name") in _CLASSES:
            return folder
    return None


def weight_file(path: Path) -> Path:
    """The file with the weights of a foreign model."""
    folder = diffusers_folder(path) if path.is_dir() else None
    if folder is None:
        return path
    names = [f"diffusion_pytorch_model{kind}" for kind in _KINDS]
    return next((folder / name for name in names if (folder / name).is_file()), folder / names[0])


def is_index(file: Path) -> bool:
    """Whether it is what tells in which of several files each tensor of a large model lies."""
    return ".index." in file.name and file.suffix == ".json"


def parts_of(file: Path) -> dict[str, Path]:
    """The file of each tensor, by its name, as an index tells. Raises: OSError, or ValueError if it is none."""
    named = json.loads(file.read_bytes())["weight_map"] if is_index(file) else None
    if not isinstance(named, dict) or not named:
        raise ValueError("no weight_map")
    for part in named.values():
        if not isinstance(part, str) or Path(part).name != part:
            raise ValueError(f"{part!r} is no name of a file beside it")
    return {str(name): file.parent / part for name, part in named.items()}


def weight_files(file: Path) -> list[Path]:
    """A weight file, or an index and the files that it names, as far as they can be read."""
    try:
        return [file, *sorted(set(parts_of(file).values()))] if is_index(file) else [file]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return [file]


def name_of(path: Path) -> str:
    """What a person calls a foreign model: its file, the folder of its pipeline, or the repository on the hub."""
    place = path.absolute()
    if place.stem.startswith("diffusion_pytorch_model"):  # as every diffusers folder names its weights
        place = place.parent
    if place.name == "transformer":
        place = place.parent
    if place.parent.name == "snapshots":  # of the hub's cache: models--owner--name/snapshots/commit
        return place.parent.parent.name.rpartition("--")[2]
    return place.name


def remember(path: Path, description: bytes) -> None:
    """Keep what a foreign model means. Raises: DiskFullError or RunError."""
    note = _note(path)
    with naming_disk_errors(note):
        note.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(note, description)


def remembered(path: Path) -> bytes | None:
    """What was kept of a foreign model; None if it was never opened, or changed since."""
    try:
        return _note(path).read_bytes()
    except OSError:
        return None


def _note(path: Path) -> Path:
    first, *parts = weight_files(weight_file(path))
    found = [first.stat(), *(part.stat() for part in parts if part.is_file())]
    key = " ".join([str(first.resolve()), *(f"{status.st_size} {status.st_mtime_ns}" for status in found)])
    return models_dir() / "opened" / f"{hashlib.blake2b(key.encode(), digest_size=16).hexdigest()}.json"


def _is_ours(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            length = int.from_bytes(opened.read(8), "little")
            head = json.loads(opened.read(length)) if length <= _MOST_BYTES else {}
        return _STUDIO_KEY in head.get("__metadata__", {})
    except (OSError, ValueError, AttributeError, RecursionError):
        return True  # damaged: whoever reads our files says how
