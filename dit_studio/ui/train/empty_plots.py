"""What stands in the place of the plots while there is nothing to draw."""

from dit_studio.events import JobState

NO_RUN = ("No run yet", "Press Start. The loss appears here after the first steps.")


def empty_words(state: JobState, *, has_run: bool, is_reading: bool) -> tuple[str, str]:
    """A title, and a sentence."""
    if not has_run:
        return NO_RUN
    if state is JobState.QUEUED:
        return "Queued", "The loss appears here once the run has begun."
    if is_reading:
        return "Reading the history…", "The curves appear here once it is read."
    if state.is_active:
        return "No step yet", "The loss appears here after the first steps."
    return "Nothing to draw", "No step of this run is on record."
