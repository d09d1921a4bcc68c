"""Which images a run was trained on, as its recipe names them."""

from functools import lru_cache
from pathlib import Path

from dit_studio.errors import StudioError
from dit_studio.jobs.run_folder import RunFolder


@lru_cache(maxsize=64)  # asked at every key that is typed; the recipe of a run stays as it is
def images_of(path: str) -> str:
    """Of a run the path of its data set, or its own where nobody can tell; anything else is the images itself."""
    run = RunFolder(Path(path))
    if not run.is_run():
        return path
    try:
        return run.recipe().data.path or path
    except StudioError:
        return path


def are_same_images(one: str, other: str) -> bool:
    """Whether two runs, folders or files are, or were trained on, the same images, by their paths."""
    return Path(images_of(one)).expanduser().absolute() == Path(images_of(other)).expanduser().absolute()
