"""The folder that `dit-studio sample` draws into: what a former drawing left there is neither mixed up nor lost."""

import re
import shutil
from pathlib import Path

from dit_studio.errors import DataError, RunError
from dit_studio.files import naming_disk_errors
from dit_studio.image_settings import KEY
from dit_studio.locks import is_locked
from dit_studio.png_text import read_texts
from dit_studio.sweep import INDEX as SWEEP
from dit_studio.sweep import LOCK
from dit_studio.trajectory import INDEX as TRAJECTORY
from dit_studio.trajectory import PLANES

_NUMBERED = re.compile(r"\d{6,8}\.png")
_PAGE = re.compile(r"sweep(-\d+)?\.png")
_ENTRY, _LABELS = "entry.json", "labels.csv"
_OWN = {_ENTRY, _LABELS, SWEEP, LOCK, TRAJECTORY, "favourites.json", *(f"{plane}.npy" for plane in PLANES)}


def check_folder(out: Path, *, is_sweep: bool, may_overwrite: bool) -> None:
    """Raises: RunError if something else lies there. A sweep may go on in its own folder."""
    if out.exists() and not out.is_dir():
        raise RunError(f"{out} is a file, and the images go into a folder.", remedy="Choose another name.")
    if is_locked(out / LOCK):
        raise RunError(f"{out} is being drawn already.", remedy="Wait until it has ended, or choose another folder.")
    former = _former(out)
    if not former or (is_sweep and former == SWEEP and not may_overwrite):
        return
    if may_overwrite and former in (SWEEP, _ENTRY, KEY):
        return
    what = {SWEEP: "a sweep", _LABELS: "a data set that was not drawn here"}.get(
        former, "images that were drawn before"
    )
    remedy = "Choose another folder."
    if former != _LABELS:
        remedy = "Choose another folder, or clear what was drawn there with --overwrite."
    raise RunError(f"{out} holds {what}.", remedy=remedy)


def clear_folder(out: Path) -> None:
    """Remove what a former drawing wrote there, and nothing else. Raises: RunError."""
    if not out.is_dir() or not _former(out):
        return
    with naming_disk_errors(out):
        if (out / SWEEP).exists() and (out / "cells").is_dir():
            shutil.rmtree(out / "cells")
        for film in (out / "trajectory").glob("evolution.*"):
            film.unlink()
        for file in list(out.iterdir()):
            if file.name in _OWN or _PAGE.fullmatch(file.name) or (_NUMBERED.fullmatch(file.name) and _is_ours(file)):
                file.unlink()


def _former(out: Path) -> str:
    """What tells that something was drawn there: a sweep's or an entry's file, images of ours (KEY), or the labels of
    somebody else's; "" if nothing does."""
    for name in (SWEEP, _ENTRY):
        if (out / name).exists():
            return name
    if out.is_dir() and any(_NUMBERED.fullmatch(file.name) and _is_ours(file) for file in out.iterdir()):
        return KEY
    return _LABELS if (out / _LABELS).exists() else ""


def _is_ours(file: Path) -> bool:
    try:
        return KEY in read_texts(file)
    except DataError:
        return False
