"""What sets runs apart: their settings side by side."""

from collections.abc import Sequence

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
