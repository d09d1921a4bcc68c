"""Published single files: which there are, where they are looked for, and whether they are what they should be.

Nothing is fetched here. A file whose hash is published counts as there only when its hash is right; one without, when
it is whole and the checksums inside it are right.
"""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from dit_studio.engine.model_files.folders import files_dir, hugging_face_dir, torch_hub_dir
from dit_studio.engine.model_files.hashes import sha256_of
from dit_studio.engine.model_files.licences import CC_BY_NC, NVIDIA, Licence
from dit_studio.engine.model_files.states import Condition, Role
from dit_studio.engine.model_files.whole_files import why_damaged, why_not_whole
from dit_studio.errors import CheckpointError
from dit_studio.files import naming_disk_errors, sync_folder
from dit_studio.places import models_dir

_MOST_OVER_BYTES = 3_000_000  # what a checkpoint without a hash may hold beside its tensors


class ModelFile(NamedTuple):
    """A published file; `base_url` is the folder it lies in, to show and to download from on request."""

    name: str
    extractor: str  # that it is for; empty for a model
    title: str
    size_bytes: int  # without a hash: at least
    sha256: str  # empty: not published
    licence: Licence
    base_url: str
    role: Role = "extractor"

    @property
    def url(self) -> str:
        return f"{self.base_url}/{self.name}"

    @property
    def key(self) -> str:
        """What a chosen path is remembered by."""
        return self.extractor or self.name

    @property
    def home(self) -> Path:
        """The folder that a download puts it into."""
        return files_dir() if self.role == "extractor" else models_dir()

    def fits(self, size_bytes: int) -> bool:
        """Whether a file of this size can be it."""
        over_bytes = size_bytes - self.size_bytes
        return over_bytes == 0 if self.sha256 else 0 <= over_bytes <= _MOST_OVER_BYTES


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
        licence=Licence("Apache-2.0"),
        base_url="https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights",
    ),
    ModelFile(
        name="inception-2015-12-05.pt",
        extractor="inception",
        title="Inception-v3, NVIDIA's conversion",
        size_bytes=95_607_719,
        sha256="f58cb9b6ec323ed63459aa4fb441fe750cfe39fafad6da5cb504a16f19e958f4",
        licence=NVIDIA,
        base_url="https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained/metrics",
    ),
    *(
        ModelFile(
            name=f"DiT-XL-2-{side}x{side}.pt",
            extractor="",
            title=f"DiT-XL/2, {side} pixels (.pt)",
            size_bytes=4 * (675_129_632 + (side // 16) ** 2 * 1152 - 256 * 1152),  # in float32; positions as parameters
            sha256="",
            licence=CC_BY_NC,
            base_url="https://dl.fbaipublicfiles.com/DiT/models",
            role="model",
        )
        for side in (256, 512)
    ),
)


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
    """Copy a file into its home, under its own name in the table, if its content is one of the table's.

    Raises: CheckpointError if it is none of them; DiskFullError or RunError if there is no place for it.
    """
    with _naming_access(path):
        size_bytes = path.stat().st_size
        file = next((file for file in FILES if file.sha256 and file.size_bytes == size_bytes), None)
        if file is None or sha256_of(path) != file.sha256:
            raise _unknown(path, size_bytes, file)
    target = file.home / file.name
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
    """Put a finished file into its place if it is the right one. Raises: CheckpointError, and then removes it."""
    if fault := _fault(temporary, file):
        temporary.unlink()
        raise CheckpointError(
            f"What arrived as {file.name} {fault}; it is not kept.",
            remedy="Try again, or download it with a browser and add the file.",
        )
    with temporary.open("rb+") as written:
        os.fsync(written.fileno())
    temporary.replace(temporary.with_name(file.name))
    sync_folder(temporary.parent)


def _fault(path: Path, file: ModelFile) -> str:
    """What says that a finished file is not the published one; empty if nothing does."""
    if not file.sha256:
        return why_damaged(path)
    found = sha256_of(path)
    return "" if found == file.sha256 else f"has the hash {found[:12]}… in place of {file.sha256[:12]}…"


def _candidates(file: ModelFile) -> Iterator[Path]:
    for folder in (file.home, torch_hub_dir()):
        if (folder / file.name).is_file():
            yield folder / file.name
    yield from sorted(hugging_face_dir().glob(f"models--*/snapshots/*/{file.name}"))


def _judged(file: ModelFile, path: Path) -> FileState:
    size_bytes = path.stat().st_size
    if size_bytes < file.size_bytes:
        sentence = f"{path} is truncated: {size_bytes:,} of {file.size_bytes:,} bytes."
        return FileState(file, "truncated", path, sentence)
    if not file.sha256 and file.fits(size_bytes):
        return _judged_without_hash(file, path)
    found = sha256_of(path) if file.fits(size_bytes) else ""
    if found != file.sha256 or not found:
        difference = f"its hash is {found[:12]}…" if found else f"it has {size_bytes:,} bytes"
        sentence = f"{path} is not the published file: {difference}."
        return FileState(file, "wrong hash", path, sentence)
    return FileState(file, "verified", path, f"{path} is verified.")


def _judged_without_hash(file: ModelFile, path: Path) -> FileState:
    if why := why_not_whole(path):
        return FileState(file, "truncated", path, f"{path} {why}.")
    return FileState(file, "unverified", path, f"{path} is whole; its publisher gives no hash.")


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
