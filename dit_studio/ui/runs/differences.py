"""What sets runs apart: their settings, and what they ran on, side by side."""

from collections.abc import Mapping, Sequence

from dit_studio.config import SECTIONS, Recipe, fields_of, resolve
from dit_studio.ui.widgets.editors import format_value


def settings_table(recipes: Sequence[Recipe | None], *, only_differences: bool) -> list[tuple[str, list[str]]]:
    """A line for each setting: its name, and its value in each recipe; "?" without one, which is no difference."""
    lines = []
    for section in SECTIONS:
        for field in fields_of(section):
            values = [_value(recipe, section, field.name) for recipe in recipes]
            known = {value for value, recipe in zip(values, recipes, strict=True) if recipe is not None}
            if not only_differences or len(known) > 1:
                lines.append((field.key, values))
    return lines


def _value(recipe: Recipe | None, section: str, name: str) -> str:
    if recipe is None:
        return "?"
    table = getattr(resolve(recipe), section)
    return format_value(getattr(table, name))


def environment_table(
    environments: Sequence[Mapping[str, str]], *, only_differences: bool
) -> list[tuple[str, list[str]]]:
    """A line for each thing that is known of the machines: versions, device, precision; "?" where it is not.

    A machine of which nothing is known differs from none.
    """
    lines = []
    for name in dict.fromkeys(name for environment in environments for name in environment):
        values = [environment.get(name, "?") for environment in environments]
        known = {value for value, environment in zip(values, environments, strict=True) if environment}
        if not only_differences or len(known) > 1:
            lines.append((f"environment.{name}", values))
    return lines


def sameness_words(
    titles: Sequence[str], recipes: Sequence[Recipe | None], environments: Sequence[Mapping[str, str] | None]
) -> str:
    """What can be said where no difference is found. An environment is None until it is read."""
    machines = [title for title, found in zip(titles, environments, strict=True) if found is not None and not found]
    unread = unread_words(titles, recipes)
    if not machines and not unread and all(environments):
        return "These runs have the same settings and ran on the same machine."
    of_machines = f"What {_names(machines)} ran on is not known." if machines else ""
    return f"{unread or 'These runs have the same settings.'} {of_machines}".rstrip()


def unread_words(titles: Sequence[str], recipes: Sequence[Recipe | None]) -> str:
    """Which runs' settings are not compared; "" if all are."""
    unread = [title for title, recipe in zip(titles, recipes, strict=True) if recipe is None]
    return f"The settings of {_names(unread)} cannot be read." if unread else ""


def _names(titles: Sequence[str]) -> str:
    """ "a, b and c"."""
    return " and ".join(filter(None, (", ".join(titles[:-1]), titles[-1])))
