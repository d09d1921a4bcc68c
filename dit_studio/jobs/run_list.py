"""Every run below a folder, as rows: quickly, again and again, while anything may change."""

import functools
import hashlib
import logging
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from dit_studio import __version__
from dit_studio.config import Recipe, parse_recipe, path_beside, read_tables
from dit_studio.errors import StudioError
from dit_studio.files import write_atomically
from dit_studio.jobs.run_folder import RunFolder, Status
from dit_studio.jobs.run_label import LABEL_FILE, Label, read_label, titled
from dit_studio.places import cache_dir

_log = logging.getLogger(__name__)
_BATCH = 64  # runs
_SETTLED_NS = 2 * 10**9  # a file that changed so recently may change again without looking different
_NO_LABEL = Label()
_Stamp = tuple[int, ...]  # of a file: when it was changed, its size and its number; () without a file


@dataclass(frozen=True, kw_only=True)
class RunSummary:
    """A row of the list of runs. `recipe` is None, and `problem` says why, if run.toml cannot be read."""

    folder: RunFolder
    status: Status
    recipe: Recipe | None = None
    problem: str = ""
    label: Label = _NO_LABEL

    @property
    def title(self) -> str:
        return titled(self.folder, self.label)

    @property
    def is_unreadable(self) -> bool:
        """Nobody can say what its settings are, and it is not at work."""
        return bool(self.problem) and not self.status.state.is_active


class _Settings(msgspec.Struct, frozen=True):
    """What run.toml said when it looked like `stamp`; `started` is what the status said then."""

    stamp: _Stamp
    recipe: Recipe | None
    problem: str
    started: float = 0.0


class _Memory(msgspec.Struct, frozen=True):
    """The file that spares the next process from parsing every run.toml."""

    version: str
    settings: dict[str, _Settings]


@dataclass(frozen=True)
class _Seen:
    """A row as it was read, and how its files looked just before."""

    stamps: tuple[_Stamp, _Stamp, _Stamp]
    summary: RunSummary
    is_settled: bool  # none of its files had changed just now


class RunLister:
    """Lists the runs directly below a folder. What has not changed since the last time is not read again."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._seen: dict[str, _Seen] = {}
        self._settings: dict[str, _Settings] | None = None
        self._are_settings_new = False

    def batches(self, *, size: int = _BATCH) -> Iterator[list[RunSummary]]:
        """The runs in pieces; those that began last come first, as far as can be told without reading them."""
        names = self._names()
        for start in range(0, len(names), size):
            batch = [self._summary(name) for name in names[start : start + size]]
            yield [summary for summary in batch if summary is not None]
        self._forget_all_but(set(names))
        self._save()

    def glance(self, count: int) -> list[RunSummary]:
        """The first of many runs that were not listed yet, as soon as can be: where run.toml would have to be parsed,
        without what it says. [] if `batches` is as quick."""
        names = self._names()
        if self._seen or len(names) <= count:
            return []
        summaries = [self._glanced(name) for name in names[:count]]
        return [summary for summary in summaries if summary is not None]

    def runs(self) -> list[RunSummary]:
        """All of them, the newest first."""
        summaries = [summary for batch in self.batches() for summary in batch]
        return sorted(summaries, key=lambda summary: summary.status.started, reverse=True)

    def _names(self) -> list[str]:
        """Of folders that may be runs, the newest first."""
        try:
            with os.scandir(self.root) as entries:
                names = [entry.name for entry in entries if not entry.name.startswith(".")]
        except OSError:
            return []
        return sorted(names, key=self._newness, reverse=True)

    def _newness(self, name: str) -> tuple[float, str]:
        """Unknown runs come first, by the time in their names."""
        seen = self._seen.get(name)
        known = self._remembered().get(name)
        started = seen.summary.status.started if seen else known.started if known else float("inf")
        return started, name

    def _summary(self, name: str) -> RunSummary | None:
        """None if this is no run, or is gone."""
        path = self.root / name
        stamps = _stamp(f"{path}/run.toml"), _stamp(f"{path}/status.json"), _stamp(f"{path}/{LABEL_FILE}")
        if not stamps[0]:
            return None
        seen = self._seen.get(name)
        if seen is not None and seen.is_settled and seen.stamps == stamps:
            if not seen.summary.status.state.is_active:
                return seen.summary
            now = seen.summary.folder.observed_status()
            if now == seen.summary.status:
                return seen.summary
        summary = self._read(name, seen.summary.folder if seen else RunFolder(path), stamps)
        if seen is not None and seen.summary == summary:
            summary = seen.summary
        self._seen[name] = _Seen(stamps, summary, all(_is_settled(stamp) for stamp in stamps))
        return summary

    def _glanced(self, name: str) -> RunSummary | None:
        path = self.root / name
        stamp = _stamp(f"{path}/run.toml")
        if not stamp:
            return None
        known = self._remembered().get(name)
        recipe = known.recipe if known is not None and known.stamp == stamp else None
        folder = RunFolder(path)
        return RunSummary(folder=folder, status=folder.observed_status(), recipe=recipe, label=read_label(folder))

    def _read(self, name: str, folder: RunFolder, stamps: tuple[_Stamp, _Stamp, _Stamp]) -> RunSummary:
        status = folder.read_status() if stamps[1] else Status()
        if status.state.is_active:
            status = folder.observed_status()
        settings = self._settings_of(name, folder, stamps[0], status.started)
        label = read_label(folder) if stamps[2] else _NO_LABEL
        recipe = settings.recipe
        if recipe is not None and not Path(recipe.data.path).is_absolute():
            recipe = path_beside(recipe, folder.path / "run.toml")
        return RunSummary(folder=folder, status=status, recipe=recipe, problem=settings.problem, label=label)

    def _settings_of(self, name: str, folder: RunFolder, stamp: _Stamp, started: float) -> _Settings:
        known = self._remembered().get(name)
        if known is not None and known.stamp == stamp:
            return known
        settings = _read_settings(folder, stamp, started)
        if _is_settled(stamp):
            self._remembered()[name] = settings
            self._are_settings_new = True
        return settings

    def _forget_all_but(self, names: set[str]) -> None:
        for known in (self._seen, self._remembered()):
            for name in known.keys() - names:
                known.pop(name, None)

    # --------------------------------------------------------------------------------------------- the memory

    @property
    def _file(self) -> Path:
        digest = hashlib.sha256(os.fsencode(self.root.absolute())).hexdigest()[:16]
        return cache_dir() / f"runs-{digest}.json"

    def _remembered(self) -> dict[str, _Settings]:
        if self._settings is None:
            self._settings = _load(self._file)
        return self._settings

    def _save(self) -> None:
        if not self._are_settings_new:
            return
        self._are_settings_new = False
        try:
            data = msgspec.json.encode(_Memory(_version(), dict(self._remembered())))
            self._file.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self._file, data)
        except (StudioError, OSError, ValueError) as error:  # a name that is not UTF-8 is a ValueError
            _log.info("the list of runs is not remembered: %s", error)


@functools.lru_cache(maxsize=4)
def lister_of(root: Path) -> RunLister:
    """The lister of a folder, one for the whole process."""
    return RunLister(root)


def list_runs(root: Path) -> list[RunSummary]:
    """Every run directly below `root`, the newest first."""
    return lister_of(root).runs()


def _stamp(path: str) -> _Stamp:
    try:
        found = os.stat(path)  # noqa: PTH116  a Path costs more than the question
    except OSError:
        return ()
    return found.st_mtime_ns, found.st_size, found.st_ino


def _is_settled(stamp: _Stamp) -> bool:
    return not stamp or stamp[0] < time.time_ns() - _SETTLED_NS


def _read_settings(folder: RunFolder, stamp: _Stamp, started: float) -> _Settings:
    try:
        return _Settings(stamp, parse_recipe(read_tables(folder.path / "run.toml", ())), "", started)
    except StudioError as error:
        return _Settings(stamp, None, error.message, started)


def _version() -> str:
    """Of what is remembered: another schema, or another default, makes it void."""
    schema = msgspec.json.encode(Recipe())
    return f"{__version__} {hashlib.sha256(schema).hexdigest()[:16]}"


def _load(file: Path) -> dict[str, _Settings]:
    """What was remembered; nothing if that is of another version, or damaged."""
    try:
        memory = msgspec.json.decode(file.read_bytes(), type=_Memory)
    except (OSError, ValueError):
        return {}
    return memory.settings if memory.version == _version() else {}
