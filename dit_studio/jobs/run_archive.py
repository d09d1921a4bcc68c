"""A run as one file, and back: `export_run` and `import_run`."""

import errno
import hashlib
import os
import re
import shutil
import tempfile
import time
import zipfile
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Literal

import msgspec

from dit_studio import __version__
from dit_studio.errors import DiskFullError, RunError
from dit_studio.events import JobState, Progress, StateChanged, Written
from dit_studio.files import free_bytes, naming_disk_errors, open_atomically, sync_folder
from dit_studio.jobs.archive_checks import damaged, opened, reading
from dit_studio.jobs.archive_format import (
    FILES,
    FORMAT,
    MANIFEST,
    VERSION,
    ArchivedFile,
    Manifest,
    folded,
    why_not_name,
)
from dit_studio.jobs.event_log import EventWriter, end_of_last_line
from dit_studio.jobs.run_folder import RunFolder
from dit_studio.jobs.run_label import change_label, checked, read_label, shortened
from dit_studio.jobs.run_names import is_reserved

Checkpoints = Literal["all", "newest", "none"]
CHECKPOINTS: tuple[Checkpoints, ...] = ("all", "newest", "none")
_BLOCK = 2**20
_SPARE_BYTES = 64 * 2**20  # left free on the disk
_PACKED = (".toml", ".json", ".jsonl", ".txt", ".csv", ".html", ".svg")
_LEAST_TIMES_SMALLER = 2  # packed; a history is some four times smaller, and what was to be too much is said in time
_LEFT_OUT = ("commands", "set-aside")  # folders that mean nothing elsewhere
_LEFTOVER_SECONDS = 24 * 3600.0
_GROWING = ("events.jsonl",)  # by whole lines


# ------------------------------------------------------------------------------------------------- export


def export_run(folder: str, path: str, checkpoints: Checkpoints = "all") -> Generator[Progress | Written]:
    """Write a run as one file. Of a run at work it is what was there: whole lines, whole checkpoints.

    Raises: RunError or DiskFullError; then, and where it is closed early, there is no file.
    """
    run, out = RunFolder.open(Path(folder)), Path(path)
    if out.absolute().is_relative_to(run.path.absolute()):
        raise RunError(f"{out} lies in the run itself.", remedy="Choose another folder.")
    if checkpoints not in CHECKPOINTS:
        raise RunError(f"checkpoints = {checkpoints} is not possible.", remedy=f"It is {', '.join(CHECKPOINTS)}.")
    chosen = _chosen_checkpoints(run, checkpoints)
    files = [*(file for kept in chosen for file in _files_in(kept)), *_other_files(run)]
    total = sum(map(_size, files))
    _need_room(out.parent, sum(map(_packed_size, files)))
    with open_atomically(out) as file, zipfile.ZipFile(file, "w") as archive:
        writing = _Writing(archive, run, total)
        for checkpoint in chosen:
            yield from writing.add_checkpoint(checkpoint)
        yield from writing.add(_other_files(run))
        manifest = Manifest(
            format=FORMAT, version=VERSION, name=run.name, program=f"DiT Studio {__version__}",
            files=tuple(writing.files),
        )  # fmt: skip
        archive.writestr(_entry(MANIFEST), msgspec.json.format(msgspec.json.encode(manifest)))
    yield Written(file=str(out), size_bytes=out.stat().st_size, note=_left_out_words(writing.left_out))


def _chosen_checkpoints(run: RunFolder, which: Checkpoints) -> list[Path]:
    there = run.checkpoints()
    return {"all": there, "newest": there[-1:], "none": []}[which]


class _Writing:
    """An archive that files are added to; `files` is what its manifest says, `left_out` what cannot be in it."""

    def __init__(self, archive: zipfile.ZipFile, run: RunFolder, total: int) -> None:
        self.files: list[ArchivedFile] = []
        self.left_out: list[str] = []
        self._archive, self._run = archive, run
        self._done, self._total, self._started = 0, total, time.monotonic()
        self._names: set[str] = set()

    def add_checkpoint(self, checkpoint: Path) -> Generator[Progress]:
        """All of its files, or none: they are opened together, so that they stay while the run removes it."""
        with ExitStack() as stack:
            try:
                paths = _files_in(checkpoint)
                sources = [(path, stack.enter_context(path.open("rb"))) for path in paths]
            except OSError:
                return  # it has just been removed
            if checkpoint.is_dir() and sources:
                for path, source in sources:
                    yield from self._add_one(path, source)

    def add(self, paths: Iterator[Path]) -> Generator[Progress]:
        for path in paths:
            try:
                source = path.open("rb")
            except OSError:
                self.left_out.append(self._name_of(path))
                continue
            with source:
                yield from self._add_one(path, source)

    def _add_one(self, path: Path, source: IO[bytes]) -> Generator[Progress]:
        name = self._name_of(path)
        if why_not_name(name) or folded(name) in self._names:
            self.left_out.append(name)
            return
        self._names.add(folded(name))
        size = end_of_last_line(source) if name in _GROWING else os.fstat(source.fileno()).st_size
        source.seek(0)
        digest, written = hashlib.sha256(), 0
        with self._archive.open(_entry(FILES + name), "w", force_zip64=True) as target:
            for block in _blocks(source, size):
                target.write(block)
                digest.update(block)
                written += len(block)
                self._done += len(block)
                yield _progress("exporting", self._done, max(self._total, self._done), self._started)
        self.files.append(ArchivedFile(path=name, size_bytes=written, sha256=digest.hexdigest()))

    def _name_of(self, path: Path) -> str:
        return path.relative_to(self._run.path).as_posix()


def _other_files(run: RunFolder) -> Iterator[Path]:
    """Everything but checkpoints, what is derived, and what steers a run at work. The label and status come last."""
    last = ("events.jsonl", "status.json", "label.json")
    tops = sorted(path for path in run.path.iterdir() if not _is_passed_over(path))
    for top in (path for path in tops if path.name not in last):
        yield from _files_in(top) if top.is_dir() and not top.is_symlink() else (top,)
    yield from (path for name in last if (path := run.path / name).is_file())


def _is_passed_over(path: Path) -> bool:
    name = path.name
    is_derived = name.startswith(("run.lock", "events.")) and name not in _GROWING
    return name == "checkpoints" or name in _LEFT_OUT or name.startswith(".") or is_derived or _is_odd(path)


def _is_odd(path: Path) -> bool:
    """A link, a pipe: nothing that can be copied."""
    return path.is_symlink() or not (path.is_file() or path.is_dir())


def _files_in(folder: Path) -> list[Path]:
    """All files below a folder, in order; links and what is half-written are passed over."""
    found = []
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "set-aside")
        found += [Path(place, name) for name in sorted(names) if not name.startswith(".")]
    return [path for path in found if not _is_odd(path)]


def _entry(name: str) -> zipfile.ZipInfo:
    """A plain file; what is dense already is stored as it is."""
    info = zipfile.ZipInfo(name, time.localtime()[:6])
    info.external_attr = 0o100644 << 16
    info.compress_type = zipfile.ZIP_DEFLATED if name.endswith(_PACKED) else zipfile.ZIP_STORED
    return info


def _blocks(source: IO[bytes], size: int) -> Iterator[bytes]:
    """At most `size` bytes in pieces; fewer if the file is cut meanwhile."""
    while size > 0 and (block := source.read(min(_BLOCK, size))):
        size -= len(block)
        yield block


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _packed_size(path: Path) -> int:
    """What it takes in the archive, at most in all likelihood."""
    return _size(path) // _LEAST_TIMES_SMALLER if path.name.endswith(_PACKED) else _size(path)


def _left_out_words(names: list[str]) -> str:
    if not names:
        return ""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"Left out, because they cannot be read or have no name for every system: {', '.join(names[:3])}{more}."


# ------------------------------------------------------------------------------------------------- import


def import_run(path: str, root: str) -> Generator[Progress | Written]:
    """Unpack an exported run below `root`; it is seen there once all of it is right. `Written` names the new folder.

    Raises: RunError or DiskFullError; then, and where it is closed early, nothing is left.
    """
    source, place = Path(path), Path(root)
    with opened(source) as (archive, manifest), _hidden_folder(place) as folder:
        _need_room(place, manifest.size_bytes)
        yield from _unpack(archive, manifest, folder, source)
        _settle(RunFolder(folder))
        note = _settle_label(RunFolder(folder))
        run = _reveal(folder, place, manifest.name)
    note = " ".join(filter(None, (_imported_words(RunFolder(run), manifest.name), note)))
    yield Written(file=str(run), size_bytes=manifest.size_bytes, note=note)


@contextmanager
def _hidden_folder(root: Path) -> Iterator[Path]:
    """A folder below `root` that no list shows, and that is gone afterwards unless it was renamed."""
    with naming_disk_errors(root):
        root.mkdir(parents=True, exist_ok=True)
        for old in root.glob(".import-*.tmp"):  # of processes that were killed
            if old.stat().st_mtime < time.time() - _LEFTOVER_SECONDS:
                shutil.rmtree(old, ignore_errors=True)
        folder = Path(tempfile.mkdtemp(prefix=".import-", suffix=".tmp", dir=root))
        try:
            folder.chmod(0o755)
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _unpack(archive: zipfile.ZipFile, manifest: Manifest, folder: Path, path: Path) -> Generator[Progress]:
    done, started = 0, time.monotonic()
    for file in manifest.files:
        target = folder / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256()
        with reading(path), archive.open(FILES + file.path) as packed, target.open("xb") as out:
            for block in _blocks(packed, file.size_bytes):
                out.write(block)
                digest.update(block)
                done += len(block)
                yield _progress("importing", done, manifest.size_bytes, started)
            _read_to_the_end(packed)
            out.flush()
            os.fsync(out.fileno())
        if digest.hexdigest() != file.sha256:
            raise damaged(path, f"the SHA-256 of {file.path} is not that of its manifest")


def _read_to_the_end(packed: IO[bytes]) -> None:
    """The checksum of an entry is compared when its end is read."""
    packed.read(1)


def _settle(run: RunFolder) -> None:
    """What was at work when it was exported has no process here; what was queued there is not here."""
    for name in ("checkpoints", "previews", "commands"):
        (run.path / name).mkdir(exist_ok=True)
    status = run.read_status()
    if status.state.is_active:
        message = "The run was at work when it was exported."
        changed = msgspec.structs.replace(status, state=JobState.INTERRUPTED, message=message, pid=0, host="")
        with EventWriter(run) as writer:
            writer.append(StateChanged(state=JobState.INTERRUPTED, step=status.step, message=message))
        run.write_status(changed)
    elif status.state is JobState.QUEUED:
        waited_to_go_on = bool(run.checkpoints())
        state = JobState.STOPPED if waited_to_go_on else JobState.IDLE
        run.write_status(msgspec.structs.replace(status, state=state))


def _settle_label(run: RunFolder) -> str:
    """The run is shown, by a label that is possible here; a sentence if something of it had to go."""
    label = read_label(run)
    fitting = shortened(label)
    change_label(run, title=fitting.title, tags=fitting.tags, note=fitting.note, is_archived=False)
    try:
        checked(label)
    except RunError as error:
        return f"{error.message} What was too much is left out."
    return ""


def _reveal(folder: Path, root: Path, name: str) -> Path:
    """Give the folder its name, with a number behind it if that is taken."""
    safe = re.sub(r'[\x00-\x1f\x7f/\\:*?"<>|]+', "-", name).strip(" .")[:100]
    stem = safe if safe and not why_not_name(safe) and not is_reserved(safe) else "run"
    for count in range(1, 10_000):
        path = root / (stem if count == 1 else f"{stem}-{count}")
        if path.exists():
            continue
        try:
            folder.rename(path)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
            continue  # somebody was quicker
        sync_folder(root)
        return path
    raise RunError(f"There are thousands of runs called {stem} in {root}.", remedy="Choose another folder.")


def _imported_words(run: RunFolder, name: str) -> str:
    return "" if run.name == name else f"It is called {run.name} here, because {name or 'its name'} could not be taken."


# ------------------------------------------------------------------------------------------------- both


def _need_room(place: Path, size_bytes: int) -> None:
    """Raises: DiskFullError."""
    free = free_bytes(place)
    if free < size_bytes + _SPARE_BYTES:
        raise DiskFullError(
            f"{place} has {free / 1e6:,.0f} MB free, and {(size_bytes + _SPARE_BYTES) / 1e6:,.0f} MB are needed.",
            remedy="Free some space, or choose another disk.",
            numbers={"free_bytes": free, "needed_bytes": size_bytes},
        )


def _progress(stage: str, done: int, total: int, started: float) -> Progress:
    seconds = time.monotonic() - started
    return Progress(stage=stage, done=done, total=total, unit="bytes", rate=done / seconds if seconds > 0 else 0.0)
