"""Whether a run can go on, and if not, why."""

from pathlib import Path

from dit_studio.config import Recipe
from dit_studio.events import JobState
from dit_studio.jobs.run_folder import RunFolder, checkpoint_step

ALL_STEPS_DONE = (
    "This run has done all of its steps; start a new run, or dit-studio train --resume RUN --set train.steps=N"
)


def why_not_resume(folder: RunFolder, state: JobState, recipe: Recipe | None) -> str:
    """The sentence that says why the run cannot go on; "" if it can. `recipe` is None if run.toml cannot be read."""
    if state is JobState.FINISHED:
        return ALL_STEPS_DONE
    if not state.can_resume:
        return "This run has not ended."
    checkpoints = folder.checkpoints()
    if not checkpoints:
        return "This run ended before its first checkpoint, so there is nothing to go on from. Start a new run."
    return ALL_STEPS_DONE if is_at_the_end(checkpoints[-1], recipe) else ""


def is_at_the_end(checkpoint: Path, recipe: Recipe | None) -> bool:
    """No step is left to do after this checkpoint."""
    return recipe is not None and checkpoint_step(checkpoint) >= recipe.train.steps
