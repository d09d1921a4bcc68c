"""What a benchmark found: lines to read, and values for scripts."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Figures:
    lines: list[str]
    values: dict[str, float | str]
