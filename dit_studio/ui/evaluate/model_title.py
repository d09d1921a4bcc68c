"""What a model is called: by its run, and by its step where that tells something."""

from pathlib import Path

from dit_studio.jobs.run_folder import RunFolder, checkpoint_step
from dit_studio.jobs.run_label import title_of


def run_of(path: str) -> str:
    """The run that a path is, or is a checkpoint of; "" for a model from elsewhere."""
    place = Path(path)
    places = (place, place.parent.parent) if path else ()
    return next((str(one) for one in places if RunFolder(one).is_run()), "")


def model_title(path: str, *, has_steps: bool) -> str:
    """ "digits", or "digits step 2,000" for a checkpoint; without its step where several are measured (`has_steps`)."""
    place, run = Path(path), run_of(path)
    if not run:
        return place.stem
    name = title_of(RunFolder(Path(run)))
    return name if str(place) == run or has_steps else f"{name} step {checkpoint_step(place):,}"
