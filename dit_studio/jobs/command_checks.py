"""What stands in the way of starting a recipe on several hosts, as far as this machine can tell."""

import re
from collections.abc import Iterator
from pathlib import Path

from dit_studio.config import Recipe, load_recipe, resolve
from dit_studio.device_names import named
from dit_studio.errors import StudioError
from dit_studio.events import Check, CheckStatus
from dit_studio.jobs.run_folder import RunFolder
from dit_studio.jobs.same_settings import check_same_settings
from dit_studio.jobs.torchrun import Cluster

_SHARED = (
    "nfs", "lustre", "beegfs", "gpfs", "ceph", "cifs", "smb", "glusterfs", "fuse.", "9p", "afs", "pvfs", "orangefs",
    "wekafs", "panfs", "ocfs", "gfs",
)  # fmt: skip
_MOUNTS = Path("/proc/self/mounts")


def command_checks(recipe: Recipe | None, file: str, out: str, cluster: Cluster) -> list[Check]:
    """Failed lines and warnings. `recipe`: the settings that are meant, None if they are not possible; `file`: where
    they are to be saved, and `out`: the run folder, as they are typed."""
    checks = [*_recipe_checks(recipe, file), *_out_checks(recipe, out), *_host_checks(cluster)]
    if recipe is not None:
        checks += [*_device_checks(recipe, cluster), *(_disk_checks(recipe, file, out) if cluster.hosts > 1 else ())]
    return checks


def _recipe_checks(recipe: Recipe | None, file: str) -> Iterator[Check]:
    if recipe is None:
        yield _failed("Recipe", "The settings are not possible.", "Mend what is marked on the left.")
    elif not file:
        yield _failed("Recipe", "The recipe is not saved yet.", "Save it where every host can read it.")
    elif not Path(file).is_absolute():
        yield _relative("Recipe", file)
    elif not Path(file).is_file():
        yield _failed("Recipe", f"{file} is not saved yet.", "Press Save recipe.")
    else:
        yield from _unsaved(recipe, file)


def _unsaved(recipe: Recipe, file: str) -> Iterator[Check]:
    try:
        is_same = resolve(load_recipe(Path(file))) == resolve(recipe)
    except StudioError as error:
        yield _failed("Recipe", error.message, "Press Save recipe, or choose another file.")
        return
    if not is_same:
        yield _failed("Recipe", f"{file} holds other settings than these.", "Press Save recipe.")


def _out_checks(recipe: Recipe | None, out: str) -> Iterator[Check]:
    if not out:
        yield _failed("Run folder", "The run has no folder.", "Name one that every host can write.")
    elif not Path(out).is_absolute():
        yield _relative("Run folder", out)
    else:
        yield from _there_checks(recipe, RunFolder(Path(out)))


def _there_checks(recipe: Recipe | None, folder: RunFolder) -> Iterator[Check]:
    """Of what is at the run folder's place already: a run with these settings goes on, all else is in the way."""
    try:
        if not folder.is_run():
            yield from _foreign_checks(folder.path)
        elif recipe is not None:
            check_same_settings(recipe, folder.recipe(), folder.path)
    except StudioError as error:
        yield _failed("Run folder", error.message, "Name another folder, or put the settings back to go on with it.")


def _foreign_checks(path: Path) -> Iterator[Check]:
    remedy = "Name a folder that is not there yet."
    try:
        if not path.is_dir():
            if path.exists():
                yield _failed("Run folder", f"{path} is a file.", remedy)
        elif any(path.iterdir()):
            yield _warning("Run folder", f"{path} holds other files, and no run.", remedy)
    except OSError as error:
        yield _failed("Run folder", f"{path} cannot be read: {error.strerror}.", remedy)


def _relative(name: str, path: str) -> Check:
    remedy = "Give the whole path, from the root: each host starts in a folder of its own."
    return _failed(name, f"{path} is not a whole path.", remedy)


def _host_checks(cluster: Cluster) -> Iterator[Check]:
    if cluster.hosts == 1:
        return
    if not re.fullmatch(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:]+\]", cluster.head):
        what = f"{cluster.head!r} is not the name of a host" if cluster.head else "No first host is named"
        yield _failed("First host", f"{what}.", "Name the one where the hosts meet, by name or address.")
    if cluster.least_hosts > cluster.hosts:
        message = f"At least {cluster.least_hosts} hosts are wanted of {cluster.hosts}."
        yield _failed("Hosts", message, f"Take {cluster.hosts} or fewer.")


def _device_checks(recipe: Recipe, cluster: Cluster) -> Iterator[Check]:
    batch, count, chosen = recipe.train.batch_size, cluster.processes, len(named(recipe.train.device))
    if chosen not in (1, cluster.devices):
        message = f"The recipe names {chosen} devices, and each host is to take {cluster.devices}."
        yield _failed("Devices", message, f"Take {chosen} of each host, or untick the devices and save the recipe.")
    if batch < count:
        message = f"A batch of {batch:,} is less than {count:,} devices: each takes at least one image."
        yield _failed("Batch", message, f"Take a batch of {count:,} or more, or fewer devices.")
    elif batch % count:
        message = f"{count:,} devices do not divide a batch of {batch:,}: some wait for those with one image more."
        yield _warning("Batch", message, f"A batch of {-(-batch // count) * count:,} is divided evenly.")


def _disk_checks(recipe: Recipe, file: str, out: str) -> Iterator[Check]:
    """Each host reads and writes by the same paths."""
    if recipe.data.path and not Path(recipe.data.path).is_absolute():
        yield _relative("Images", recipe.data.path)
    for name, path in (
        ("Images", recipe.data.path), ("VAE", recipe.latents.vae), ("Start model", recipe.train.start_from),
        ("Recipe", file), ("Run folder", out),
    ):  # fmt: skip
        if Path(path).is_absolute() and is_probably_local(Path(path)):
            message = f"{path} is probably on this machine's own disk."
            yield _warning(name, message, "Put it on a disk that every host sees by the same path.")


def is_probably_local(path: Path, mounts: Path = _MOUNTS) -> bool:
    """The path is on a file system that is not known to be shared; False where the system does not tell."""
    try:
        lines = [line.split() for line in mounts.read_text().splitlines()]
    except OSError:
        return False
    places = {Path(_plain(words[1])): words[2] for words in lines if len(words) > 2}
    around = next((places[place] for place in (path, *path.parents) if place in places), "")
    return not around.startswith(_SHARED)


def _plain(mounted: str) -> str:
    """As the system writes a path with spaces: "\\040" for each."""
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), mounted)


def _failed(name: str, message: str, remedy: str) -> Check:
    return Check(name=name, status=CheckStatus.FAILED, message=message, remedy=remedy)


def _warning(name: str, message: str, remedy: str) -> Check:
    return Check(name=name, status=CheckStatus.WARNING, message=message, remedy=remedy)
