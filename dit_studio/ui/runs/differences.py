"""What sets runs apart: their settings, and what they ran on, side by side."""

from collections.abc import Mapping, Sequence

from dit_studio.config import SECTIONS, Recipe, fields_of, resolve
from dit_studio.ui.widgets.editors import format_value


def settings_table(recipes: Sequence[Recipe | None], *, only_differences: bool) -> list[tuple[str, list[str]]]:
    """A line for each setting: its name, and its value in each recipe; "?" where there is none."""
    lines = []
    for section in SECTIONS:
        for field in fields_of(section):
            values = [_value(recipe, section, field.name) for recipe in recipes]
            if not only_differences or len(set(values)) > 1:
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
    """A line for each thing that is known of the machines: versions, device, precision; "?" where it is not."""
    lines = []
    for name in dict.fromkeys(name for environment in environments for name in environment):
        values = [environment.get(name, "?") for environment in environments]
        if not only_differences or len(set(values)) > 1:
            lines.append((f"environment.{name}", values))
    return lines
