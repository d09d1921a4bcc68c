"""Finding runs by words: name, tag, data set, state; "tag:ablation", "data:digits" and "state:failed" ask for one."""

from collections.abc import Callable
from pathlib import Path

from dit_studio.jobs.run_list import RunSummary

UNREADABLE = "unreadable"  # instead of the state of a run whose settings cannot be read
_Test = Callable[[RunSummary, str], bool]


def matches(summary: RunSummary, text: str, *, more: str = "") -> bool:
    """All words of `text` fit the run. `more` is searched too."""
    words = text.casefold().split()
    return all(_matches_one(summary, word, more) for word in words)


def data_name(summary: RunSummary) -> str:
    """The folder or archive of the images; "" if the settings cannot be read."""
    return Path(summary.recipe.data.path).name if summary.recipe else ""


def _matches_one(summary: RunSummary, word: str, more: str) -> bool:
    kind, colon, rest = word.partition(":")
    if colon and kind in _TESTS:
        return _TESTS[kind](summary, rest)
    return word in _searched(summary, more)


def _searched(summary: RunSummary, more: str) -> str:
    label = summary.label
    model = summary.recipe.model.preset if summary.recipe else ""
    parts = (
        summary.title, summary.folder.name, *label.tags, label.note, data_name(summary), summary.status.state, model,
        summary.problem, more,
    )  # fmt: skip
    return "\n".join(parts).casefold()


def _has_tag(summary: RunSummary, word: str) -> bool:
    return any(tag.casefold().startswith(word) for tag in summary.label.tags)


def _has_data(summary: RunSummary, word: str) -> bool:
    return word in data_name(summary).casefold()


def _has_state(summary: RunSummary, word: str) -> bool:
    return summary.status.state.startswith(word) or (summary.is_unreadable and UNREADABLE.startswith(word))


def _has_name(summary: RunSummary, word: str) -> bool:
    return word in summary.title.casefold() or word in summary.folder.name.casefold()


_TESTS: dict[str, _Test] = {"tag": _has_tag, "data": _has_data, "state": _has_state, "name": _has_name}
