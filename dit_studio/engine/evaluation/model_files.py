"""The files that extractors need: which there are, where they are looked for, and whether they are what they should be.

Nothing is fetched here, and a file counts as there only when its hash is right.
"""

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from dit_studio.errors import CheckpointError, StudioError
from dit_studio.files import naming_disk_errors, sync_folder, write_atomically
from dit_studio.places import cache_dir

Condition = Literal["missing", "truncated", "wrong hash", "verified"]

_BLOCK_BYTES = 2**20
_Hashes = dict[str, tuple[int, int, str]]  # by path: size in bytes, time of change in ns, SHA-256


class ModelFile(NamedTuple):
    """A published file; `base_url` is the folder it lies in, to show and to download from on request."""

    name: str
    extractor: str
    title: str
    size_bytes: int
    sha256: str
    licence: str
    base_url: str

    @property
    def url(self) -> str:
        return f"{self.base_url}/{self.name}"


class FileState(NamedTuple):
    """What was found of a file; `path` is None if it is missing, `sentence` what to say of it."""

    file: ModelFile
    condition: Condition
    path: Path | None
    sentence: str


FILES = (
    ModelFile(
        name="pt_inception-2015-12-05-6726825d.pth",
        extractor="inception",
        title="Inception-v3, the PyTorch port",
        size_bytes=95_628_359,
        sha256="6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
        licence="Apache-2.0",
        base_url="https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights",
    ),
    ModelFile(
        name="inception-2015-12-05.pt",
        extractor="inception",
        title="Inception-v3, NVIDIA's conversion",
        size_bytes=95_607_719,
        sha256="f58cb9b6ec323ed63459aa4fb441fe750cfe39fafad6da5cb504a16f19e958f4",
        licence="Nvidia Source Code License (non-commercial)",
        base_url="https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained/metrics",
    ),
)


def models_dir() -> Path:
    """Where this application keeps model files."""
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


def find_file(name: str) -> ModelFile:
    """The file of that name in the table. Raises: CheckpointError."""
    for file in FILES:
        if file.name == name:
            return file
    known = ", ".join(file.name for file in FILES)
    raise CheckpointError(f'There is no model file "{name}" in the list.', remedy=f"There are {known}.")


def state_of(file: ModelFile) -> FileState:
    """The best of what lies in the usual places: a verified copy, else the first that is damaged, else nothing."""
    states = [_judged(file, path) for path in _candidates(file)]
    missing = FileState(file, "missing", None, f"{file.name} is not on this machine.")
    return next((state for state in states if state.condition == "verified"), states[0] if states else missing)


def verified_path(extractor: str) -> Path:
    """A verified file for an extractor. Raises: CheckpointError if there is none; says which would do and where."""
    states = [state_of(file) for file in FILES if file.extractor == extractor]
    for state in states:
        if state.condition == "verified" and state.path is not None:
            return state.path
    raise CheckpointError(
        " ".join(state.sentence for state in states),
        remedy=f"Download or add {' or '.join(state.file.name for state in states)} under Model files, "
        'or take the extractor "random", which needs no file.',
    )


def take_in(path: Path) -> FileState:
    """Copy a file into `models_dir`, under its own name in the table, if its content is one of the table's.

    Raises: CheckpointError if it is none of them; DiskFullError or RunError if there is no place for it.
    """
    with _naming_access(path):
        size_bytes = path.stat().st_size
        file = next((file for file in FILES if file.size_bytes == size_bytes), None)
        if file is None or sha256_of(path) != file.sha256:
            raise _unknown(path, size_bytes, file)
    target = models_dir() / file.name
    temporary = target.with_name(f".{file.name}.{os.getpid()}.tmp")
    with naming_disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(path, temporary)
            publish(temporary, file)
        finally:
            temporary.unlink(missing_ok=True)
    return state_of(file)


def publish(temporary: Path, file: ModelFile) -> None:
    """Put a finished file into its place if its hash is right. Raises: CheckpointError, and then removes it."""
    if (found := sha256_of(temporary)) != file.sha256:
        temporary.unlink()
        raise CheckpointError(
            f"What arrived as {file.name} has the hash {found[:12]}… in place of {file.sha256[:12]}…; it is not kept.",
            remedy="Try again, or download it with a browser and add the file.",
        )
    with temporary.open("rb+") as written:
        os.fsync(written.fileno())
    temporary.replace(temporary.with_name(file.name))
    sync_folder(temporary.parent)


def sha256_of(path: Path) -> str:
    """The hash of a file's content, remembered while its path, size and time of change stay the same."""
    about, key = path.stat(), str(path.resolve())
    hashes = _read_hashes()
    size_bytes, time_ns, known = hashes.get(key, (-1, -1, ""))
    if (size_bytes, time_ns) == (about.st_size, about.st_mtime_ns):
        return known
    state = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            state.update(block)
    _write_hashes({**hashes, key: (about.st_size, about.st_mtime_ns, state.hexdigest())})
    return state.hexdigest()


def _read_hashes() -> _Hashes:
    try:
        return msgspec.json.decode((models_dir() / "hashes.json").read_bytes(), type=_Hashes)
    except (OSError, msgspec.DecodeError):
        return {}


def _write_hashes(hashes: _Hashes) -> None:
    """Without those of files that are gone; a hash that cannot be remembered is computed again."""
    kept = {path: entry for path, entry in hashes.items() if Path(path).exists()}
    with contextlib.suppress(OSError, StudioError):
        models_dir().mkdir(parents=True, exist_ok=True)
        write_atomically(models_dir() / "hashes.json", msgspec.json.encode(kept))


def _candidates(file: ModelFile) -> Iterator[Path]:
    for folder in (models_dir(), torch_hub_dir()):
        if (folder / file.name).is_file():
            yield folder / file.name
    yield from sorted(hugging_face_dir().glob(f"models--*/snapshots/*/{file.name}"))


def _judged(file: ModelFile, path: Path) -> FileState:
    size_bytes = path.stat().st_size
    if size_bytes < file.size_bytes:
        sentence = f"{path} is truncated: {size_bytes:,} of {file.size_bytes:,} bytes."
        return FileState(file, "truncated", path, sentence)
    found = sha256_of(path) if size_bytes == file.size_bytes else ""
    if found != file.sha256:
        difference = f"its hash is {found[:12]}…" if found else f"it has {size_bytes:,} bytes"
        sentence = f"{path} is not the published file: {difference}."
        return FileState(file, "wrong hash", path, sentence)
    return FileState(file, "verified", path, f"{path} is verified.")


def _unknown(path: Path, size_bytes: int, same_size: ModelFile | None) -> CheckpointError:
    named = next((file for file in FILES if file.name == path.name), None)
    if same_size is not None:
        why = f"its size is that of {same_size.name}, its hash is another"
    elif named is not None and size_bytes < named.size_bytes:
        why = f"it is truncated: {size_bytes:,} of {named.size_bytes:,} bytes"
    else:
        why = f"its {size_bytes:,} bytes are those of no file in the list"
    known = ", ".join(file.name for file in FILES)
    return CheckpointError(f"{path} is not taken: {why}.", remedy=f"Add one of {known}.")


@contextlib.contextmanager
def _naming_access(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CheckpointError(
            f"{path} cannot be read: {error.strerror or error}.", remedy="Choose another file."
        ) from error
