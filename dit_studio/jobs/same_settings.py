"""Whether a recipe is that of a run which is to go on, and what differs."""

from pathlib import Path

from dit_studio.config import Recipe, recipe_to_tables, resolve
from dit_studio.errors import RunError

_MOST_NAMED = 3  # differences in a sentence


def check_same_settings(recipe: Recipe, there: Recipe, out: Path) -> None:
    """Raises: RunError that names what differs between a recipe and that of the run which is to go on."""
    now, then = recipe_to_tables(resolve(recipe)), recipe_to_tables(resolve(there))
    differences = [
        f"{section}.{name} = {value} now, {then[section].get(name)} there"
        for section, settings in now.items()
        if section != "about"
        for name, value in settings.items()
        if value != then[section].get(name)
    ]
    if differences:
        more = f" and {len(differences) - _MOST_NAMED} more" if len(differences) > _MOST_NAMED else ""
        raise RunError(
            f"{out} holds a run with other settings: {'; '.join(differences[:_MOST_NAMED])}{more}.",
            remedy="Put them back to go on with it, choose another --out, or use --resume RUN with --set.",
        )
